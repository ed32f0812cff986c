/* et_export.h: a program of the network simulator becomes Chakra traces. */
#ifndef DF_ET_EXPORT_H
#define DF_ET_EXPORT_H
#include "net/net.h"

/* Writes the name of a node; NULL as the function: nodes are named by their type. */
typedef void df_et_namer(const void *context, const df_net_node *node, char *name, size_t size);

/* Writes the nodes of a rank of a sealed program as a trace.
 * DF_EIO, DF_ENOMEM. DF_EINVAL: a duration that is not a whole number of microseconds, which
 * is what traces have. */
DF_NODISCARD df_status df_et_write_rank(const df_net_program *program,
                                        int32_t rank,
                                        df_et_namer *namer,
                                        const void *context,
                                        const char *path,
                                        df_err *err);

/* The kind of a collective as Chakra numbers it. */
int32_t df_et_collective_number(df_net_collective collective);

#endif
