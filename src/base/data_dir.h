/* data_dir.h: files that come with the program: configurations, measured runs, page templates. */
#ifndef DF_DATA_DIR_H
#define DF_DATA_DIR_H
#include <stddef.h>

#include "base/status.h"

enum { DF_DATA_PATH = 4096 };

/* Finds `name`, such as "configs/validation". It looks in the folder that the environment variable
 * DEEPFLOW_DATA_DIR names. If that is not set, it looks in ../share/deepflow beside the program (if
 * that is installed), in a folder above it (if it was built inside the sources), and beside it (in
 * a build folder elsewhere, where CMake makes a link). DF_EIO: none of them has it. */
DF_NODISCARD df_status df_data_find(const char *name, char path[DF_DATA_PATH], df_err *err);

#endif
