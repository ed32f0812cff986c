/* The network simulator against AstraSim: events a second in this process, and whole processes
 * that read the same program from files. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "support/net_case.h"

enum { REPEATS = 5, CASES = 4 };

/* A program, and what AstraSim made of it: recorded, a core of an x86 server, one run each. */
typedef struct {
    const char *name;
    df_net_case (*make)(void);
    uint64_t max_ns; /* it must come to this */
    double astrasim_cpu_s, astrasim_mib;
} bench_case;

static const double LONG_S = 1;
static const double TARGET_EACH = 10;
static const double TARGET_MEDIAN = 20;

/* ---- Programs ---- */

/* All ranks take part in collectives one after the other, in 32 chunks; 50 GiB/s, 5 us. */
static df_net_case collectives(df_net_topology topology, int32_t ranks, df_net_algorithm_kind kind)
{
    df_net_case c = df_net_case_new(topology, ranks, kind);
    c.network.bandwidth_gib_ps = 50;
    c.network.latency_ns = 5000;
    c.system.splits = c.system.active_chunks = 32;
    return c;
}

static void add_collective(df_net_case *c, uint64_t id, df_net_collective kind)
{
    const uint64_t dep = id - 1;
    const df_net_node node = {.id = id,
                              .type = DF_NET_COMM,
                              .collective = kind,
                              .bytes = (64 << 20) + 13 * id,
                              .deps = &dep,
                              .num_deps = id > 0};
    for (int32_t rank = 0; rank < c->network.ranks; rank++) {
        df_net_case_add(c, rank, &node);
    }
}

static df_net_case ring_256(void)
{
    df_net_case c = collectives(DF_NET_RING, 256, DF_NET_ALG_RING);
    add_collective(&c, 0, DF_NET_ALL_REDUCE);
    return c;
}

static df_net_case ring_64(void)
{
    df_net_case c = collectives(DF_NET_RING, 64, DF_NET_ALG_RING);
    for (uint64_t id = 0; id < 15; id++) {
        add_collective(&c, id, DF_NET_ALL_REDUCE);
    }
    return c;
}

static df_net_case direct_64(void)
{
    df_net_case c = collectives(DF_NET_FULLY_CONNECTED, 64, DF_NET_ALG_DIRECT);
    add_collective(&c, 0, DF_NET_ALL_REDUCE);
    add_collective(&c, 1, DF_NET_ALL_TO_ALL);
    return c;
}

/* One stage of the pipeline. */
typedef struct {
    df_net_case *c;
    int32_t stage, stages;
    uint64_t id, last_compute; /* the next node; NO_DEP: none yet */
} stage;

/* A micro-batch goes forward to the next stage, or backward to the one before. */
static void add_step(stage *s, uint32_t batch, bool forward)
{
    enum { FORWARD_NS = 200000, BACKWARD_NS = 400000, BYTES = 8 << 20, BACKWARD_TAG = 500000 };
    const int32_t from = forward ? s->stage - 1 : s->stage + 1;
    const int32_t to = forward ? s->stage + 1 : s->stage - 1;
    const uint32_t tag = 1000 * batch + (forward ? 0 : BACKWARD_TAG);
    uint64_t deps[2];
    df_net_node compute = {
        .type = DF_NET_COMPUTE, .duration_ns = forward ? FORWARD_NS : BACKWARD_NS, .deps = deps};
    if (from >= 0 && from < s->stages) {
        const df_net_node receive = {.id = s->id++,
                                     .type = DF_NET_RECEIVE,
                                     .bytes = BYTES,
                                     .peer = from,
                                     .tag = tag + (uint32_t)(forward ? from : s->stage)};
        df_net_case_add(s->c, s->stage, &receive);
        deps[compute.num_deps++] = receive.id;
    }
    if (s->last_compute != NO_DEP) {
        deps[compute.num_deps++] = s->last_compute;
    }
    compute.id = s->last_compute = s->id++;
    df_net_case_add(s->c, s->stage, &compute);
    if (to >= 0 && to < s->stages) {
        const df_net_node send = {.id = s->id++,
                                  .type = DF_NET_SEND,
                                  .bytes = BYTES,
                                  .peer = to,
                                  .tag = tag + (uint32_t)(forward ? s->stage : to),
                                  .deps = &compute.id,
                                  .num_deps = 1};
        df_net_case_add(s->c, s->stage, &send);
    }
}

/* 16 stages and 32 micro-batches: one forward, one backward. */
static df_net_case pipeline(void)
{
    enum { STAGES = 16, BATCHES = 32 };
    df_net_case c = df_net_case_new(DF_NET_SWITCH, STAGES, DF_NET_ALG_RING);
    for (int32_t i = 0; i < STAGES; i++) {
        stage s = {&c, i, STAGES, 0, NO_DEP};
        const uint32_t ahead = STAGES - 1 - (uint32_t)i;
        for (uint32_t step = 0; step < BATCHES + ahead; step++) {
            if (step < BATCHES) {
                add_step(&s, step, true);
            }
            if (step >= ahead) {
                add_step(&s, step - ahead, false);
            }
        }
    }
    return c;
}

/* ---- In this process ---- */

/* Events a second, in the best of some runs. */
static double events_ps(const df_net_case *c, uint64_t expected_ns)
{
    df_net_program *const program = df_net_case_program(c);
    df_net_sim *const sim = df_net_sim_new();
    double best = 0;
    for (int i = 0; i < REPEATS && sim; i++) {
        df_net_result result;
        df_err err;
        const double start = df_clock_s();
        if (df_net_run(sim, program, &c->network, &c->system, &result, &err) != DF_OK) {
            df_bench_stop(&err);
        }
        const double rate = (double)result.events / (df_clock_s() - start);
        best = rate > best ? rate : best;
        if (result.max_ns != expected_ns) {
            df_bench_stop(&(df_err){"the simulator does not come to AstraSim's time"});
        }
    }
    df_net_sim_free(sim);
    df_net_program_free(program);
    return best;
}

/* ---- Whole processes ---- */

typedef struct {
    double cpu_s, mib;
} usage;

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

/* Runs a program in a folder. What the system says of its memory includes this process's at the
 * fork. */
static usage run_process(const char *dir, char *const words[])
{
    struct rusage used;
    int status;
    const pid_t child = fork();
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (dup2(nowhere, STDOUT_FILENO) >= 0 && chdir(dir) == 0) {
            execv(words[0], words);
        }
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) {
        df_err err;
        (void)df_fail(&err, DF_ERUNTIME, "%s failed", words[0]);
        df_bench_stop(&err);
    }
    return (usage){seconds(used.ru_utime) + seconds(used.ru_stime), (double)used.ru_maxrss / 1024};
}

/* The least of some runs; of one that takes long. */
static usage best_process(const char *dir, char *const words[])
{
    usage best = run_process(dir, words);
    for (int i = 1; i < REPEATS && best.cpu_s < LONG_S; i++) {
        const usage u = run_process(dir, words);
        best.cpu_s = u.cpu_s < best.cpu_s ? u.cpu_s : best.cpu_s;
        best.mib = u.mib > best.mib ? u.mib : best.mib;
    }
    return best;
}

static usage run_ours(const char *dir)
{
    char *const words[] = {DF_BIN,     "astra",       "run",       "--workload",  "workload",
                           "--system", "system.json", "--network", "network.yml", NULL};
    return best_process(dir, words);
}

/* AstraSim itself where it is named, else what is recorded of it. */
static usage run_astrasim(const char *dir, const bench_case *c)
{
    char *const program = getenv("DEEPFLOW_TEST_ASTRASIM");
    char *const words[] = {program,
                           "--workload-configuration=workload",
                           "--system-configuration=system.json",
                           "--network-configuration=network.yml",
                           "--remote-memory-configuration=memory.json",
                           NULL};
    char path[300];
    if (!program || !*program) {
        return (usage){c->astrasim_cpu_s, c->astrasim_mib};
    }
    snprintf(path, sizeof path, "%s/memory.json", dir);
    df_write_file(path, "{\"memory-type\": \"NO_MEMORY_EXPANSION\"}");
    return best_process(dir, words);
}

void df_bench_net(void)
{
    static const bench_case cases[CASES] = {
        {"256 ranks, ring all-reduce", ring_256, 2641167, 11.25, 46.2},
        {"64 ranks, 15 ring all-reduces", ring_64, 46864560, 10.33, 20.1},
        {"64 ranks, direct all-reduce and all-to-all", direct_64, 69210, 2.55, 96.5},
        {"pipeline of 16 stages, 32 micro-batches", pipeline, 42038000, 0.02, 16.3},
    };
    usage ours[CASES];
    usage astrasim[CASES];
    double ratios[CASES];
    for (int i = 0; i < CASES; i++) {
        char dir[256];
        df_net_case c = cases[i].make();
        df_make_dir(dir);
        df_net_case_write(&c, dir);
        ours[i] = run_ours(dir);
        astrasim[i] = run_astrasim(dir, &cases[i]);
        ratios[i] = astrasim[i].cpu_s / ours[i].cpu_s;
        df_remove_dir(dir);
        df_net_case_free(&c);
    }
    for (int i = 0; i < CASES; i++) {
        df_net_case c = cases[i].make();
        printf("Network simulator: %s\n", cases[i].name);
        printf("  %-56s %12.4g 1/s\n", "events", events_ps(&c, cases[i].max_ns));
        df_bench_print("  `deepflow astra run`, processor time", 1e3 * ours[i].cpu_s, "ms",
                       ratios[i] / TARGET_EACH);
        df_bench_print("  its memory", ours[i].mib, "MiB", astrasim[i].mib / ours[i].mib);
        printf("  %.1f times as fast as AstraSim, %.4g s\n", ratios[i], astrasim[i].cpu_s);
        df_net_case_free(&c);
    }
    qsort(ratios, CASES, sizeof ratios[0], df_bench_by_value);
    const double median = (ratios[CASES / 2 - 1] + ratios[CASES / 2]) / 2;
    df_bench_print("Network simulator: times as fast as AstraSim, median", median, "",
                   median / TARGET_MEDIAN);
}
