/* et_program.h: Chakra traces become a program of the network simulator. */
#ifndef DF_ET_PROGRAM_H
#define DF_ET_PROGRAM_H
#include "net/net.h"

/* Adds the nodes of a trace to a rank of the program.
 * DF_EIO, DF_ENOMEM. DF_EINVAL: malformed, or a node that the simulator does not know; the
 * text names the file and the node. */
DF_NODISCARD df_status df_et_add_rank(df_net_program *program,
                                      int32_t rank,
                                      const char *path,
                                      df_err *err);

#endif
