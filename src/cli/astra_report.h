/* astra_report.h: prints what a run of the network simulator came to. */
#ifndef DF_ASTRA_REPORT_H
#define DF_ASTRA_REPORT_H
#include "net/net.h"

/* Both print to stdout and return the exit code. */
int df_astra_print_text(const df_net_sim *sim, const df_net_result *result);
int df_astra_print_json(const df_net_sim *sim, const df_net_result *result);

#endif
