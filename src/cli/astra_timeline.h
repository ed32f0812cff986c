/* astra_timeline.h: a run of the network simulator as a file of Chrome's trace events, which
 * Perfetto (https://ui.perfetto.dev), Chromium's developer tools and speedscope open. It is
 * written while the run goes on.
 *
 * A rank is a process: its lanes are the GPU's and the CPU's computing, communication (sends
 * and collectives), and receives. With links, one more process has a lane for each link.
 * Times are microseconds with three decimals, so nanoseconds exactly; a duration has more where
 * its end, added up in floating point, would reach into what begins at that nanosecond.
 * Format: "Trace Event Format", Google, 2016. */
#ifndef DF_ASTRA_TIMELINE_H
#define DF_ASTRA_TIMELINE_H
#include "chakra/et_program.h"

typedef struct df_astra_timeline df_astra_timeline;

typedef struct {
    const char *path;
    bool links;               /* also what goes over links */
    int64_t max_events;       /* what comes after these is left out, and a note says so */
    const df_et_names *names; /* borrowed; where labels lead to none, it is what a node is */
} df_astra_timeline_options;

/* Makes the file. The path is borrowed. DF_EIO, DF_ENOMEM. */
DF_NODISCARD df_status df_astra_timeline_new(const df_astra_timeline_options *options,
                                             const df_net_network *network,
                                             const df_net_system *system,
                                             df_astra_timeline **timeline,
                                             df_err *err);

/* The observer for df_net_sim_observe; it belongs to the timeline. */
df_net_observer df_astra_timeline_observer(df_astra_timeline *timeline);

/* Ends the file and frees the timeline, also when the run failed: the file then shows how far
 * it came. *left_out: events that the bound cut off. DF_EIO: not all was written. */
DF_NODISCARD df_status df_astra_timeline_finish(df_astra_timeline *timeline,
                                                const df_net_sim *sim,
                                                uint64_t *left_out,
                                                df_err *err);

#endif
