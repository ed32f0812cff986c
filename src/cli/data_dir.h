/* data_dir.h: files that come with the program: configurations, measured runs, page templates. */
#ifndef DF_DATA_DIR_H
#define DF_DATA_DIR_H
#include <stddef.h>

#include "base/status.h"

enum { DF_DATA_PATH = 4096 };

/* Finds `name`, such as "configs/validation": in ../share/deepflow beside the program (where it
 * is installed), or in a folder above it (where it is built).
 * DF_EIO: it is in none of them. */
DF_NODISCARD df_status df_data_find(const char *name, char path[DF_DATA_PATH], df_err *err);

#endif
