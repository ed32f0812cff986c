/* astra_files.h: the configuration files of AstraSim: system, network, groups. */
#ifndef DF_ASTRA_FILES_H
#define DF_ASTRA_FILES_H
#include "chakra/et_program.h"

/* The system's JSON: the system, and how it wants traces to be taken (which dependencies count is
 * not in it, and stays). Keys that AstraSim does not look at either are ignored. DF_EIO, or
 * DF_EINVAL with the file and the key. */
DF_NODISCARD df_status df_astra_read_system(const char *path,
                                            df_net_system *system,
                                            df_et_options *traces,
                                            df_err *err);

/* The analytical network's YAML, with exactly one dimension. */
DF_NODISCARD df_status df_astra_read_network(const char *path,
                                             df_net_network *network,
                                             df_err *err);

/* Adds the groups of {"ID": [RANK, ...], ...} to a program. NULL, or a path with "empty" in
 * it (AstraSim's way to say so): no groups. */
DF_NODISCARD df_status df_astra_read_groups(const char *path, df_net_program *program, df_err *err);

#endif
