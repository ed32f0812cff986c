/* et_program.h: Chakra traces become a program of the network simulator. */
#ifndef DF_ET_PROGRAM_H
#define DF_ET_PROGRAM_H
#include "net/net.h"

/* How nodes are taken. Zeroed, or NULL: as AstraSim does now. */
typedef struct {
    /* Control dependencies do not count, as in AstraSim to August 2025. */
    bool data_deps_only;
    /* Every node lasts its duration, nothing is sent, and of the attributes only is_cpu_op is read.
     */
    bool replay;
    /* Computing on the GPU that has num_ops and tensor_size is timed by them and these rates. */
    bool roofline;
    double peak_flops_ps, local_mem_bytes_ps;
} df_et_options;

/* Names of nodes, each without the underscore and the node's id that end it in DeepFlow's own
 * traces. The label of a node is the place in `text` where its name begins. Works zeroed; free the
 * text. */
typedef struct {
    char *text; /* NULL: none */
    size_t used, room;
} df_et_names;

/* Adds the nodes of a trace to a rank of the program, and their names unless `names` is NULL.
 * DF_EIO, DF_ENOMEM. DF_EINVAL: the trace is malformed, or has a node that the simulator does not
 * support; the text names the file and the node. */
DF_NODISCARD df_status df_et_add_rank(df_net_program *program,
                                      int32_t rank,
                                      const char *path,
                                      const df_et_options *options,
                                      df_et_names *names,
                                      df_err *err);

#endif
