/* net_case.h: programs of the network simulator with their machine, for tests. */
#ifndef DF_TEST_NET_CASE_H
#define DF_TEST_NET_CASE_H
#include "net/net.h"
#include "support/support.h"

typedef struct {
    int32_t rank;
    df_net_node node; /* with its own copy of the dependencies */
} df_net_case_node;

typedef struct {
    int32_t id, count;
    int32_t *ranks;
} df_net_case_group;

typedef struct {
    df_net_network network;
    df_net_system system;
    df_net_case_node *nodes;
    size_t num_nodes;
    df_net_case_group *groups;
    size_t num_groups;
} df_net_case;

/* A machine of 100 GiB/s, 500 ns; endpoint delay 10 ns, memory 1600 GB/s, no splits, and one
 * algorithm for all collectives. No nodes yet. */
df_net_case df_net_case_new(df_net_topology topology, int32_t ranks, df_net_algorithm_kind kind);
void df_net_case_free(df_net_case *c);

/* Both copy what they point to. */
void df_net_case_add(df_net_case *c, int32_t rank, const df_net_node *node);
void df_net_case_add_group(df_net_case *c, int32_t id, const int32_t *ranks, int32_t count);

/* The nodes that tests are made of, each behind one other node (of an id; NO_DEP: none). */
#define NO_DEP UINT64_MAX
void df_net_case_compute(
    df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, uint64_t duration_ns);
void df_net_case_send(df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, int32_t peer);
void df_net_case_receive(df_net_case *c, int32_t rank, uint64_t id, uint64_t dep, int32_t peer);
void df_net_case_collective(
    df_net_case *c, int32_t rank, uint64_t id, df_net_collective kind, uint64_t bytes);

/* Of the messages that df_net_case_send and _receive make; their tag is 0. */
enum { DF_NET_CASE_BYTES = 1 << 20 };

/* The program, sealed. The test fails when that is not possible. */
df_net_program *df_net_case_program(const df_net_case *c);

/* Runs the case; the test fails unless it ends well. The result is the simulator's. */
df_net_result df_net_case_run(const df_net_case *c, df_net_sim *sim);
/* The case must not be possible to build or run; *err is the reason. */
df_status df_net_case_refused(const df_net_case *c, df_err *err);

/* Runs a case of as many ranks as there are values and compares. */
void df_net_case_check(const df_net_case *c, const uint64_t *cycles_ns);

/* Writes AstraSim's files into a folder: workload.RANK.et, system.json, network.yml and, where
 * there are groups, comm_group.json. Durations must be whole microseconds. */
void df_net_case_write(const df_net_case *c, const char *folder);

#endif
