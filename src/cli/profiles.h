/* profiles.h: what a prediction by the calibrated rules rests on: measured kernels, profiles. */
#ifndef DF_PROFILES_H
#define DF_PROFILES_H
#include "config/cfg.h"
#include "json_out.h"

/* Adds the object "basis". */
void df_basis_add_json(json_t *root, const df_cfg *cfg);
/* Prints a line. */
void df_basis_print(const df_cfg *cfg);

#endif
