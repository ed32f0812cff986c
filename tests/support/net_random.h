/* net_random.h: random programs of the network simulator that can finish.
 *
 * Their operations are in one order, which all ranks keep where it matters: a collective waits
 * for all that its rank has sent and taken part in before, sends wait for the last collective,
 * and messages that look alike are chained. So the first operation that has not ended can
 * always go on. */
#ifndef DF_TEST_NET_RANDOM_H
#define DF_TEST_NET_RANDOM_H
#include "support/net_case.h"

typedef struct {
    uint64_t state;
} df_random;

/* From 0 to bound - 1. */
uint32_t df_random_below(df_random *random, uint32_t bound);

/* `plain`: without what AstraSim cannot report on (nodes of the CPU). */
df_net_case df_net_random_case(df_random *random, bool plain);

#endif
