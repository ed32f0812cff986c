/* et_text.h: Chakra traces as text, a node a line:
 *
 *   ID TYPE "NAME" [after CONTROL,...] [needs DATA,...] [lasts Nus] [ATTRIBUTE=VALUE ...] */
#ifndef DF_ET_TEXT_H
#define DF_ET_TEXT_H
#include <stdio.h>

#include "chakra/et.h"

/* All nodes of a file. DF_EIO, DF_EINVAL: as when reading it; what came before is printed. */
DF_NODISCARD df_status df_et_print_file(FILE *out, const char *path, df_err *err);

#endif
