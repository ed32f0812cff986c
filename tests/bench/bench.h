/* bench.h: what the parts of the benchmark share. */
#ifndef DF_BENCH_H
#define DF_BENCH_H
#include "base/status.h"

/* Ends the program: something cannot be measured. */
_Noreturn void df_bench_stop(const df_err *err);
void df_bench_print(const char *what, double value, const char *unit, double ratio);
int df_bench_by_value(const void *a, const void *b); /* doubles, for qsort */

/* The network simulator, in process and as `deepflow astra run`. */
void df_bench_net(void);
/* arch_search as a whole. */
void df_bench_sweep(void);

#endif
