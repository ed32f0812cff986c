/* layout.h: where the workers of a strategy sit on wafers of L x L devices or in nodes, and
 * how much their rings share the links. */
#ifndef DF_LAYOUT_H
#define DF_LAYOUT_H
#include "strategy/strategy.h"

typedef struct {
    int order[DF_LAYOUT_AXES];          /* the axes, innermost first: the layout's identity */
    int64_t inter_derate, intra_derate; /* most rings on one link; 0: none used */
    bool inter[DF_LAYOUT_AXES];         /* whether the axis leaves a wafer or a node */
    bool feasible;
    const char *reason; /* why the layout is not feasible; "" if it is. The text lives forever. */
} df_layout;

enum { DF_MAX_LAYOUTS = 24 };

/* All layouts of a strategy, sorted by order; infeasible ones are kept with their reason. The axes
 * are 0 kp1 or tp, 1 kp2 or cp, 2 dp, 3 lp. In nodes the workers are numbered in that order, node
 * by node. No device shares its links there, so the derates are 1, and of the orders by which the
 * same axes leave a node only the first is listed. Returns the number of layouts (at least 1)
 * through *count. DF_ENOMEM: no memory for the device map. */
DF_NODISCARD df_status df_layout_list(const df_system_size *size,
                                      const df_strategy *strategy,
                                      const df_rules *rules,
                                      df_layout layouts[DF_MAX_LAYOUTS],
                                      int *count,
                                      df_err *err);

/* "2013": the order as digits. */
void df_layout_name(const df_layout *layout, char text[DF_LAYOUT_AXES + 1]);

/* Writes derates, inter flags, num_nodes and num_devices_per_node into *cfg. In nodes, networks
 * that are used keep the derates of the file. */
void df_layout_apply(const df_layout *layout,
                     const df_system_size *size,
                     const df_strategy *strategy,
                     const df_rules *rules,
                     df_cfg *cfg);

#endif
