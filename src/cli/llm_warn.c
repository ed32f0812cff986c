#include "llm_warn.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/units.h"
#include "compat/compat.h"
#include "model/exchange.h"
#include "predict/predict.h"

/* ---- Strategies ---- */

static int64_t at_least_1(int64_t degree)
{
    return degree > 0 ? degree : 1;
}

/* One stage: the reference leaves micro-batches out. */
static void warn_batches(const df_cfg *cfg, const df_rules *rules, FILE *out)
{
    const df_pipe pipe = df_pipe_read(cfg);
    if (pipe.batches == 1 || !df_compat_first_batch_only(rules, &pipe, df_pipe_order(cfg))) {
        return;
    }
    fputs("deepflow: warning: scheduling_param.mb: with one stage (lp 1) the reference rules ",
          out);
    fputs(cfg->llm.run_type == DF_RUN_TRAINING
              ? "run only one micro-batch; --rules corrected runs all of them\n"
              : "run the whole batch at once; --rules corrected runs one micro-batch after "
                "another\n",
          out);
}

/* ---- Rings ---- */

/* The steps of a ring follow one another, so that its latency grows with its members, which is why
 * collective libraries take trees for many (NCCL 2.4). From here on that is worth a word. */
enum { MANY_MEMBERS = 64 };

static void warn_steps(const char *axis, double members, bool simulates, FILE *out)
{
    if (members > MANY_MEMBERS) {
        fprintf(out,
                "deepflow: warning: scheduling_param.%s: a ring of %.0f devices takes %.0f steps, "
                "one after another, for an all-gather and %.0f for an all-reduce; it would be "
                "faster with fewer devices on this axis, with one axis inside nodes and another "
                "between them, or with network_topology.intra_node: switch%s\n",
                axis, members, members - 1.0, 2.0 * (members - 1.0),
                simulates ? "" : " with execution_backend.model: astra");
    }
}

/* All devices of a simulated step are on one ring. The devices of the next replica follow the
 * stages of a replica, each of which has `ranks` devices. */
static void warn_hops(const df_split *s, double ranks, double replicas, FILE *out)
{
    const double apart = s->pp * ranks;
    const double members = apart * replicas;
    if (!(members > MANY_MEMBERS)) {
        return;
    }
    fprintf(out,
            "deepflow: warning: network_topology.intra_node: the simulated ring has %.0f devices, "
            "and a message may pass %.0f of them",
            members, floor(members / 2.0));
    fprintf(out, "; along %s neighbours are %.0f hops apart", replicas > 1.0 ? "dp" : "lp",
            replicas > 1.0 ? apart : ranks);
    fputs("; it would be faster with a switch, with fewer devices on this axis, or in mode hybrid, "
          "where each axis has a ring of its own\n",
          out);
}

/* Formulas have rings only; the simulator has what the file says. */
static void warn_rings(const df_cfg *cfg, const df_rules *rules, FILE *out)
{
    const bool simulates = df_backend_simulates(&cfg->backend);
    const df_astra_mode mode = simulates ? cfg->backend.mode : DF_ASTRA_ANALYTICAL;
    df_stack stack;
    df_split split;
    if (simulates && cfg->intra_topology != DF_TOPO_RING) {
        return;
    }
    df_stack_read(cfg, &stack);
    df_split_read(cfg, &split);
    df_exchange exchange = {.replicas = 1.0};
    if (cfg->llm.run_type == DF_RUN_TRAINING) {
        exchange = df_exchange_of(&stack, &split, cfg->sw.dp_zero_stage);
        df_compat_exchange(rules, &stack.kind[0], &split, cfg->sw.dp_zero_stage, &exchange);
    }
    const df_coll_algo algorithm = cfg->backend.all_reduce;
    const bool rings = !simulates || algorithm == DF_ALGO_AUTO || algorithm == DF_ALGO_RING;
    if (rings) {
        warn_steps("tp", split.tp, simulates, out);
        warn_steps("cp", split.cp, simulates, out);
    }
    if (mode == DF_ASTRA_FLATTENED) {
        warn_hops(&split, split.tp * split.cp, fmin(exchange.replicas, split.dp), out);
    } else if (mode == DF_ASTRA_HIERARCHICAL) {
        warn_hops(&split, 1.0, exchange.replicas, out);
    } else if (rings && !(simulates && df_compat_read(rules).edges_free)) {
        warn_steps("dp", exchange.replicas, simulates, out);
    }
}

void df_llm_warn_strategy(const df_cfg *cfg, const df_rules *rules, FILE *out)
{
    warn_batches(cfg, rules, out);
    warn_rings(cfg, rules, out);
}

/* ---- Memory ---- */

enum { NAME_ROOM = 128, NAMES_ROOM = 640 };

/* Makes a change to the strategy, of the given extent, and names it. False: it is none. */
typedef bool (*change)(df_cfg *cfg, int64_t extent, char name[NAME_ROOM]);

static bool is_training(const df_cfg *cfg)
{
    return cfg->llm.run_type == DF_RUN_TRAINING;
}

static bool use_flash(df_cfg *cfg, int64_t tile, char name[NAME_ROOM])
{
    df_cfg_attention *const a = &cfg->llm.attention;
    const bool off = !a->use_flashattention;
    a->use_flashattention = true;
    a->attention_tile_size = a->attention_tile_size > 0 ? a->attention_tile_size : tile;
    snprintf(name, NAME_ROOM,
             "model_param.attention.use_flashattention: true and attention_tile_size: %" PRId64,
             a->attention_tile_size);
    return off;
}

/* Micro-batches of `sequences` sequences, 0: as they are, one forward, one backward: on one stage
 * only that adds up gradients by any rules. */
static bool alternate(df_cfg *cfg, int64_t sequences, char name[NAME_ROOM])
{
    df_cfg_sched *const s = &cfg->sched;
    const int64_t batch = cfg->llm.batch_size / s->dp;
    const int64_t mb = sequences > 0 ? batch / sequences : s->mb;
    const bool reorder = df_orders[s->schedule].forward_first;
    const bool changed = (reorder && s->lp > 1) || mb > s->mb;
    s->schedule = reorder ? DF_ORDER_1F1B : s->schedule;
    s->mb = mb;
    snprintf(name, NAME_ROOM, "scheduling_param.mb: %" PRId64 " and schedule: %s", mb,
             df_orders[s->schedule].name);
    return is_training(cfg) && changed;
}

static bool recompute(df_cfg *cfg, int64_t what, char name[NAME_ROOM])
{
    const bool less = (int64_t)cfg->sched.recompute < what;
    cfg->sched.recompute = (df_recompute)what;
    snprintf(name, NAME_ROOM, "scheduling_param.recompute: %s",
             what == DF_RECOMPUTE_FULL ? "full" : "selective");
    return is_training(cfg) && less;
}

static bool shard(df_cfg *cfg, int64_t stage, char name[NAME_ROOM])
{
    const bool less = cfg->sw.dp_zero_stage < stage;
    cfg->sw.dp_zero_stage = stage;
    snprintf(name, NAME_ROOM, "sw_param.dp_zero_stage: %" PRId64, stage);
    return is_training(cfg) && cfg->sched.dp * at_least_1(cfg->sched.cp) > 1 && less;
}

static bool narrow_cache(df_cfg *cfg, int64_t bytes, char name[NAME_ROOM])
{
    df_cfg_precision *const p = &cfg->sw.precision;
    const double now = p->kv_cache_bytes > 0 ? p->kv_cache_bytes : p->tensor_bytes;
    p->kv_cache_bytes = (double)bytes;
    snprintf(name, NAME_ROOM, "sw_param.precision.kv_cache: fp8");
    return !is_training(cfg) && now > (double)bytes;
}

static bool split(df_cfg *cfg, int64_t times, char name[NAME_ROOM])
{
    df_cfg_sched *const s = &cfg->sched;
    s->tp = at_least_1(s->tp) * times;
    cfg->system.num_devices_per_node *= times;
    snprintf(name, NAME_ROOM, "scheduling_param.tp: %" PRId64 " (on %" PRId64 " devices)", s->tp,
             df_cfg_workers(cfg));
    df_cfg_misfit misfit;
    return !df_cfg_find_misfit(&cfg->llm, s->degree, s->ep, s->tp_sp, DF_SPLIT_EVEN, &misfit);
}

/* Remedies, from those that cost nothing to those that cost time, then devices. */
enum { EXTENTS = 4 };
static const struct {
    change make;
    int64_t extents[EXTENTS]; /* the first are milder; -1 ends them */
} changes[] = {
    {use_flash, {128, -1}},  {alternate, {0, 1, -1}},
    {shard, {1, 2, 3, -1}},  {recompute, {DF_RECOMPUTE_SELECTIVE, DF_RECOMPUTE_FULL, -1}},
    {narrow_cache, {1, -1}}, {split, {2, 4, 8, 16}},
};
enum { CHANGES = sizeof changes / sizeof changes[0] };

static double needed_bytes(const df_cfg *cfg, const df_rules *rules)
{
    df_memory memory;
    df_predict_memory_peak(cfg, rules, &memory);
    return memory.total_bytes;
}

/* Makes the mildest form of a change after which it fits, or else the one that saves most.
 * False: none saves anything. */
static bool
improve(df_cfg *cfg, const df_rules *rules, int row, double capacity, char name[NAME_ROOM])
{
    const df_cfg before = *cfg;
    double least = needed_bytes(cfg, rules);
    bool better = false;
    for (int i = 0; i < EXTENTS && changes[row].extents[i] >= 0 && least > capacity; i++) {
        char tried[NAME_ROOM];
        df_cfg changed = before;
        if (changes[row].make(&changed, changes[row].extents[i], tried) &&
            df_cfg_check(&changed, NULL) == DF_OK && needed_bytes(&changed, rules) < least) {
            least = needed_bytes(&changed, rules);
            better = true;
            *cfg = changed;
            memcpy(name, tried, NAME_ROOM);
        }
    }
    return better;
}

static bool
find_one(const df_cfg *cfg, const df_rules *rules, double capacity, char names[NAMES_ROOM])
{
    for (int row = 0; row < CHANGES; row++) {
        char name[NAME_ROOM];
        df_cfg changed = *cfg;
        if (improve(&changed, rules, row, capacity, name) &&
            needed_bytes(&changed, rules) <= capacity) {
            snprintf(names, NAMES_ROOM, "%s", name);
            return true;
        }
    }
    return false;
}

/* One after another, until it fits. */
static bool
find_several(const df_cfg *cfg, const df_rules *rules, double capacity, char names[NAMES_ROOM])
{
    df_cfg changed = *cfg;
    size_t used = 0;
    for (int row = 0; row < CHANGES && needed_bytes(&changed, rules) > capacity; row++) {
        char name[NAME_ROOM];
        if (improve(&changed, rules, row, capacity, name)) {
            used += (size_t)snprintf(names + used, NAMES_ROOM - used, "%s%s", used > 0 ? ", " : "",
                                     name);
        }
        if (used >= NAMES_ROOM) {
            return false;
        }
    }
    return needed_bytes(&changed, rules) <= capacity;
}

/* The largest batch that fits with the strategy as it is. */
static bool
find_batch(const df_cfg *cfg, const df_rules *rules, double capacity, char names[NAMES_ROOM])
{
    df_cfg changed = *cfg;
    const int64_t unit = cfg->sched.dp * cfg->sched.mb;
    int64_t fitting = 0;
    int64_t too_many = cfg->llm.batch_size / unit;
    while (too_many - fitting > 1) {
        const int64_t middle = fitting + (too_many - fitting) / 2;
        changed.llm.batch_size = middle * unit;
        if (needed_bytes(&changed, rules) <= capacity) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    snprintf(names, NAMES_ROOM, "model_param.batch_size: %" PRId64, fitting * unit);
    return fitting > 0;
}

void df_llm_warn_memory(const df_llm_report *report, FILE *out)
{
    const double capacity = report->dev->mem[DF_HW_LEVELS - 1].size_bytes;
    char names[NAMES_ROOM];
    fprintf(out,
            "deepflow: warning: the model does not fit: stage %" PRId64
            " needs %.4g GiB of memory on each device, %.4g GiB more than it has",
            report->memory->stage, report->memory->total_bytes / DF_GIB,
            (report->memory->total_bytes - capacity) / DF_GIB);
    if (find_one(report->cfg, report->rules, capacity, names) ||
        find_several(report->cfg, report->rules, capacity, names) ||
        find_batch(report->cfg, report->rules, capacity, names)) {
        fprintf(out, "; it would with %s\n", names);
    } else {
        fputs("; more devices or shorter sequences would be needed\n", out);
    }
}
