/* dir.h: folders. */
#ifndef DF_DIR_H
#define DF_DIR_H
#include "base/status.h"

/* Makes the folder and those above it. An existing one is fine.
 * DF_EIO: it cannot be made, or not be written to. DF_EINVAL: the path is empty or too long. */
DF_NODISCARD df_status df_dir_make(const char *path, df_err *err);

/* Removes a folder and all in it, as far as that is possible; links are not followed. */
void df_dir_remove(const char *path);

#endif
