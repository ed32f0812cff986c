/* What each rule of LLMs changes: the same case under the reference rules and with this one
 * rule corrected; what is expected is worked out here from the model's shape. */
#include <math.h>
#include <string.h>

#include "cost/simulated.h"
#include "support/cost_case.h"
#include "support/llm_case.h"

/* The shape of data/llm.yaml, as used in the formulas. */
enum { B = 8, S = 256, D = 512, H = 8, HK = 4, E = 64, I = 1024, V = 1000, L = 4 };
static const double A = 2; /* bytes of an element */
static const double O = 9e-6;

static df_llm_result corrected(const df_cfg *cfg, size_t offset)
{
    df_rules rules = df_rules_reference();
    *(bool *)((char *)&rules + offset) = false;
    return df_llm_case_predict(cfg, &rules);
}

#define CORRECTED(cfg, rule) corrected(cfg, offsetof(df_rules, rule))

/* Time of work that streams through the DRAM. */
static double stream_s(const df_cfg *cfg, double flops, double bytes)
{
    const df_hw_device dev = df_llm_case_device(cfg);
    const df_hw_mem *const dram = &dev.mem[3];
    const double memory_s = bytes / dram->throughput_bytes_ps;
    const double compute_s = flops / dev.core.throughput_flops_ps;
    return compute_s < memory_s ? trunc(bytes) / dram->throughput_bytes_ps + dram->latency_s
                                : compute_s;
}

static df_gemm_cost gemm(const df_cfg *cfg, double m, double k, double n)
{
    const df_rules rules = df_rules_reference();
    const df_hw_device dev = df_llm_case_device(cfg);
    return df_case_gemm(&dev, &rules, m, k, n);
}

static double gemm_s(const df_cfg *cfg, double m, double k, double n)
{
    return gemm(cfg, m, k, n).time_s;
}

/* A collective over the network inside the node. */
static double ring_s(const df_cfg *cfg, df_coll_kind kind, double bytes, double n)
{
    const df_rules rules = df_rules_reference();
    const df_hw_device dev = df_llm_case_device(cfg);
    const df_op_collective what = {kind, 0, bytes};
    const df_topo_group group = {.members = n,
                                 .link = {dev.intra.throughput_bytes_ps, dev.intra.latency_s}};
    return df_case_ring_s(&dev, &rules, DF_MODE_LLM, &what, &group);
}

static double all_reduce_s(const df_cfg *cfg, double bytes, double n)
{
    return ring_s(cfg, DF_COLL_ALL_REDUCE, bytes, n);
}

static const df_row *row_of(const df_llm_result *r, df_row_name op)
{
    return &r->pass.row[op];
}

/* ---- Operators ---- */

/* Four devices, three steps: three quarters of the bytes less in each. */
static void all_gather_whole_steps(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    const double link = df_llm_case_device(&cfg).intra.throughput_bytes_ps;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_all_gather_whole_steps);
    const double bytes = A * B * S * D;
    df_assert_rel(row_of(&r, DF_ROW_NORM1)->side[DF_FORWARD].comm_s -
                      row_of(&c, DF_ROW_NORM1)->side[DF_FORWARD].comm_s,
                  3 * 0.75 * bytes / link, 1e-9);
}

/* The same three steps as the simulator does them, in one chunk around a ring; its times are
 * whole nanoseconds, and so each step is off by less than one. */
static void all_gather_whole_steps_simulated(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    cfg.intra_topology = DF_TOPO_RING;
    cfg.backend.model = DF_BACKEND_ASTRA;
    cfg.backend.mode = DF_ASTRA_HYBRID;
    cfg.backend.endpoint_delay = 10;
    cfg.backend.active_chunks_per_dimension = 1;
    cfg.backend.preferred_dataset_splits = 1;
    const double link = df_llm_case_device(&cfg).intra.throughput_bytes_ps;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_all_gather_whole_steps);
    const double less_s = row_of(&r, DF_ROW_NORM1)->side[DF_FORWARD].comm_s -
                          row_of(&c, DF_ROW_NORM1)->side[DF_FORWARD].comm_s;
    assert_true(fabs(less_s - 3 * 0.75 * A * B * S * D / link) < 3e-9);
}

/* The time of one collective of so many bytes over n devices on a ring, with the algorithms for
 * another number of them. */
static double
collective_s(const df_cfg *cfg, df_coll_kind kind, double bytes, double n, double algorithm_ranks)
{
    const df_hw_device dev = df_llm_case_device(cfg);
    const df_hw_link link = {dev.intra.throughput_bytes_ps, dev.intra.latency_s};
    const df_topo topo = {.dim = {[DF_TOPO_INSIDE] = {.kind = cfg->intra_topology}}};
    const df_simulator_op op = {kind, bytes, df_simulated_network(&topo, n, &link),
                                df_simulated_system(&topo, &cfg->backend, algorithm_ranks, 1600e9)};
    df_simulator *const net = df_simulator_new(NULL);
    double time_s;
    assert_int_equal(df_simulator_time(net, &op, &time_s, NULL), DF_OK);
    df_simulator_free(net);
    return time_s + O;
}

static void set_ring(df_cfg *cfg, int64_t tp, int64_t cp)
{
    df_llm_case_split(cfg, tp, 1, 1, 1);
    cfg->sched.cp = cp;
    cfg->system.num_devices_per_node = tp * cp;
    cfg->intra_topology = DF_TOPO_RING;
    cfg->backend.model = DF_BACKEND_ASTRA;
    cfg->backend.mode = DF_ASTRA_HYBRID;
}

/* Over context on a ring, keys and values are gathered forward and, again, backward, and the
 * gradients of the scores are reduced. In between come collectives over two for tensors, which are
 * connected and so direct. A reference that has met two before keeps to the ring all the same. */
static void algorithms_of_operators_own(void **state)
{
    (void)state;
    static const int64_t splits[][2] = {{2, 3}, {2, 4}, {2, 8}, {4, 2}};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        const int64_t tp = splits[i][0];
        const double cp = (double)splits[i][1];
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        set_ring(&cfg, tp, splits[i][1]);
        const double kv_bytes = 2.0 * A * B * S * HK * E / (double)tp;
        const double gather_s = collective_s(&cfg, DF_COLL_ALL_GATHER, kv_bytes, cp, cp);
        const double scatter_s = collective_s(&cfg, DF_COLL_REDUCE_SCATTER, kv_bytes, cp, cp);
        const double direct_s = collective_s(&cfg, DF_COLL_REDUCE_SCATTER, kv_bytes, cp, 2);
        assert_int_equal(direct_s != scatter_s, cp > 2);
        const df_llm_result r = df_llm_case_reference(&cfg);
        const df_llm_result c = CORRECTED(&cfg, astra_algorithm_stale);
        const df_llm_result *const both[] = {&r, &c};
        for (size_t k = 0; k < 2; k++) {
            df_assert_rel(row_of(both[k], DF_ROW_QKV)->side[DF_FORWARD].comm_s, gather_s, 1e-12);
            df_assert_rel(row_of(both[k], DF_ROW_SCORE)->side[DF_BACKWARD].comm_s, scatter_s,
                          1e-12);
            df_assert_rel(row_of(both[k], DF_ROW_OUT)->side[DF_BACKWARD].comm_s, gather_s, 1e-12);
        }
    }
}

/* Why it is no matter whose algorithm a collective of two has: one message each way. */
static void algorithms_alike_for_two(void **state)
{
    (void)state;
    static const df_coll_kind kinds[] = {DF_COLL_ALL_REDUCE, DF_COLL_ALL_GATHER,
                                         DF_COLL_REDUCE_SCATTER};
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    set_ring(&cfg, 2, 4);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (int chunks = 1; chunks <= 4; chunks++) {
            cfg.backend.preferred_dataset_splits = 4;
            cfg.backend.active_chunks_per_dimension = chunks;
            const double own_s = collective_s(&cfg, kinds[i], 5e6, 2, 2);
            df_assert_rel(collective_s(&cfg, kinds[i], 5e6, 2, 8), own_s, 1e-15);
        }
    }
}

/* Replicas of two devices for tensors: the graph over the replicas, on a ring, has the algorithms
 * of two, and is direct. With all named, nothing depends on numbers of devices. */
static void algorithms_stale_in_graphs(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    set_ring(&cfg, 2, 1);
    df_llm_case_split(&cfg, 2, 4, 1, 1);
    cfg.system.num_devices_per_node = 8;
    cfg.backend.mode = DF_ASTRA_HIERARCHICAL;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, astra_algorithm_stale);
    assert_true(r.time_s != c.time_s);
    cfg.backend.all_reduce = DF_ALGO_DIRECT;
    df_assert_rel(CORRECTED(&cfg, astra_algorithm_stale).time_s, r.time_s, 1e-15);
}

/* ZeRO 3 over four replicas: its gathers are in the graph of the step, and take less. */
static void all_gather_whole_steps_in_graphs(void **state)
{
    (void)state;
    static const df_astra_mode modes[] = {DF_ASTRA_HIERARCHICAL, DF_ASTRA_FLATTENED};
    for (size_t i = 0; i < 2; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_llm_case_split(&cfg, 2, 4, 1, 1);
        cfg.sw.dp_zero_stage = 3;
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = modes[i];
        const df_llm_result r = df_llm_case_reference(&cfg);
        const df_llm_result c = CORRECTED(&cfg, llm_all_gather_whole_steps);
        assert_true(c.time_s < r.time_s);
    }
}

static void single_gradient_as_forward(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result c = CORRECTED(&cfg, llm_single_gradient_as_forward);
    const double m = (double)S * H / HK;
    df_assert_rel(row_of(&c, DF_ROW_SCORE)->side[DF_BACKWARD].time_s,
                  B * HK * (gemm_s(&cfg, m, S, E) + gemm_s(&cfg, E, m, S)) + 2 * O, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_AV)->side[DF_BACKWARD].time_s,
                  B * HK * (gemm_s(&cfg, m, E, S) + gemm_s(&cfg, S, m, E)) + 2 * O, 1e-12);
}

/* 16 heads on a device: 16 launches of each of the two kernels, of which 15 are too many. */
static void hybrid_launches_scaled(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_hybrid_launches_scaled);
    df_assert_rel(row_of(&r, DF_ROW_AV)->side[DF_BACKWARD].time_s -
                      row_of(&c, DF_ROW_AV)->side[DF_BACKWARD].time_s,
                  2 * (B * HK / 2.0 - 1) * O, 1e-9);
}

/* The kernel's own time is that without launch overhead. */
static void flash_launch_on_heads(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.llm.attention.use_flashattention = true;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_launch_on_heads);
    cfg.sw.kernel_launch_overhead_s = 0;
    const df_llm_result bare = df_llm_case_reference(&cfg);
    const double kernel_s = row_of(&bare, DF_ROW_ATTENTION)->side[DF_FORWARD].time_s;
    df_assert_rel(row_of(&c, DF_ROW_ATTENTION)->side[DF_FORWARD].time_s, kernel_s + O, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_ATTENTION)->side[DF_BACKWARD].time_s, 2 * kernel_s + O, 1e-12);
}

static void flash_backward_double(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.llm.attention.use_flashattention = true;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_backward_double);
    df_assert_rel(row_of(&r, DF_ROW_ATTENTION)->side[DF_BACKWARD].time_s,
                  2 * row_of(&r, DF_ROW_ATTENTION)->side[DF_FORWARD].time_s, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_ATTENTION)->side[DF_BACKWARD].time_s,
                  2.5 * row_of(&c, DF_ROW_ATTENTION)->side[DF_FORWARD].time_s, 1e-12);
}

/* Gradients of the keys and values of the whole sequence, all heads. */
static void flash_context_unreduced(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.llm.attention.use_flashattention = true;
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_context_unreduced);
    assert_true(row_of(&r, DF_ROW_ATTENTION)->side[DF_BACKWARD].comm_bytes == 0);
    df_assert_rel(row_of(&c, DF_ROW_ATTENTION)->side[DF_BACKWARD].comm_bytes,
                  2 * A * B * S * HK * E, 0);
    df_assert_rel(row_of(&c, DF_ROW_ATTENTION)->side[DF_BACKWARD].time_s -
                      row_of(&r, DF_ROW_ATTENTION)->side[DF_BACKWARD].time_s,
                  row_of(&c, DF_ROW_ATTENTION)->side[DF_BACKWARD].comm_s, 1e-9);
}

static void context_norm_forward_whole(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.sched.cp = 4;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_context_norm_forward_whole);
    const double n = (double)B * S * D;
    const double residual_s = stream_s(&cfg, 2 * n, 3 * A * n) + O;
    df_assert_rel(row_of(&r, DF_ROW_NORM1)->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 7 * n, 2 * A * n) + 3 * O + residual_s, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_NORM1)->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 7 * n / 4, 2 * A * n / 4) + 3 * O + residual_s, 1e-12);
}

/* Two bytes an element, not four; what a device gathers of the others is half as much, too. */
static void norms_at_statistics_width(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    cfg.sched.tp_sp = true;
    cfg.sw.precision.mixed_precision = true;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_norms_at_statistics_width);
    const df_row *const wide = row_of(&r, DF_ROW_NORM1);
    const df_row *const narrow = row_of(&c, DF_ROW_NORM1);
    const double n = (double)B * S * D / 4;
    df_assert_rel(wide->side[DF_FORWARD].comm_bytes, 4 * 4 * n, 0);
    df_assert_rel(narrow->side[DF_FORWARD].comm_bytes, A * 4 * n, 0);
    df_assert_rel(narrow->side[DF_BACKWARD].comm_bytes, A * 4 * n, 0);
    df_assert_rel(wide->side[DF_FORWARD].time_s - wide->side[DF_FORWARD].comm_s -
                      (narrow->side[DF_FORWARD].time_s - narrow->side[DF_FORWARD].comm_s),
                  stream_s(&cfg, 7 * n, 2 * 4 * n) - stream_s(&cfg, 7 * n, 2 * A * n), 1e-9);
    df_assert_rel(wide->side[DF_BACKWARD].time_s - narrow->side[DF_BACKWARD].time_s,
                  stream_s(&cfg, 14 * n, 4 * 4 * n) - stream_s(&cfg, 14 * n, 4 * A * n), 1e-9);
}

static void pointwise_unsharded(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    cfg.sched.tp_sp = true;
    const df_llm_result c = CORRECTED(&cfg, llm_pointwise_unsharded);
    const df_row *const norm = row_of(&c, DF_ROW_NORM2);
    const df_row *const swiglu = row_of(&c, DF_ROW_ACTIVATION);
    const double inner = (double)B * S * I / 4;
    const double n = (double)B * S * D / 4;
    df_assert_rel(swiglu->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 11 * inner, 3 * A * inner) + 2 * O, 1e-12);
    df_assert_rel(swiglu->side[DF_BACKWARD].time_s,
                  stream_s(&cfg, 22 * inner, 5 * A * inner) + 3 * O, 1e-12);
    df_assert_rel(norm->side[DF_FORWARD].time_s - norm->side[DF_FORWARD].comm_s,
                  stream_s(&cfg, 7 * n, 2 * A * n) + stream_s(&cfg, 2 * n, 3 * A * n) + 4 * O,
                  1e-12);
}

/* The host sends a number of four bytes for each token. */
static void embedding_whole_table(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.sw.h2d_bandwidth_bytes_ps = 1e9;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_embedding_whole_table);
    const double table = A * (V * D + (double)B * S * D);
    const double rows = A * 2 * B * S * D;
    df_assert_rel(row_of(&r, DF_ROW_EMBEDDING)->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 0, table) + O + table / 1e9, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_EMBEDDING)->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 0, rows) + O + 4.0 * B * S / 1e9, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_EMBEDDING)->side[DF_BACKWARD].time_s,
                  stream_s(&cfg, 0, rows) + O, 1e-12);
}

/* Two by two devices: half of the tokens by half of the vocabulary each, where the reference has
 * all of them by a quarter. The input's other half comes from the other tensor-parallel device;
 * then the two compare 4 + 4 bytes a token. */
static void head_split_twice(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_head_split_twice);
    const df_row_side *const forward = &row_of(&c, DF_ROW_LOGITS)->side[DF_FORWARD];
    const df_row_side *const backward = &row_of(&c, DF_ROW_LOGITS)->side[DF_BACKWARD];
    const double m = B * S / 2.0;
    const double n = m * V / 2;
    df_assert_rel(row_of(&r, DF_ROW_LOGITS)->side[DF_FORWARD].time_s,
                  gemm_s(&cfg, 2 * m, D, V / 4.0) +
                      ring_s(&cfg, DF_COLL_ALL_GATHER, A * 2 * m * V, 4) +
                      stream_s(&cfg, 7 * n, 4 * A * n) + 5 * O,
                  1e-12);
    df_assert_rel(forward->comm_s,
                  ring_s(&cfg, DF_COLL_ALL_GATHER, A * m * D, 2) + all_reduce_s(&cfg, 8 * m, 2),
                  1e-12);
    df_assert_rel(forward->time_s - forward->comm_s,
                  gemm_s(&cfg, m, D, V / 2.0) + stream_s(&cfg, 7 * n, 4 * A * n) + 5 * O, 1e-12);
    df_assert_rel(backward->comm_s, ring_s(&cfg, DF_COLL_REDUCE_SCATTER, A * m * D, 2), 1e-12);
    df_assert_rel(backward->time_s - backward->comm_s,
                  gemm_s(&cfg, m, V / 2.0, D) + gemm_s(&cfg, D, m, V / 2.0) +
                      stream_s(&cfg, 4 * n, 3 * A * n) + 6 * O,
                  1e-12);
}

/* Who draws the next token of eight sequences needs the logits of eight positions. */
static void head_split_twice_in_inference(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    cfg.sched.tp_sp = false;
    df_rules rules = df_rules_reference();
    rules.llm_head_split_twice = false;
    rules.llm_decode_logits_one_row = false;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double gather_s = ring_s(&cfg, DF_COLL_ALL_GATHER, A * B * V, 4);
    df_assert_rel(c.pass.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s, gather_s, 1e-12);
    df_assert_rel(c.decode.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s, gather_s, 1e-12);
    rules.llm_head_split_twice = true;
    const df_llm_result r = df_llm_case_predict(&cfg, &rules);
    df_assert_rel(r.pass.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s,
                  ring_s(&cfg, DF_COLL_ALL_GATHER, A * B * (S - 16) * V, 4), 1e-12);
    df_assert_rel(r.decode.row[DF_ROW_LOGITS].side[DF_FORWARD].comm_s, gather_s, 1e-12);
}

static void decode_logits_one_row(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_decode_logits_one_row);
    const double softmax_s = stream_s(&cfg, 7.0 * B * V, 4 * A * B * V) + 5 * O;
    df_assert_rel(r.decode.row[DF_ROW_LOGITS].side[DF_FORWARD].time_s,
                  gemm_s(&cfg, 1, D, V) + softmax_s, 1e-12);
    df_assert_rel(c.decode.row[DF_ROW_LOGITS].side[DF_FORWARD].time_s,
                  gemm_s(&cfg, B, D, V) + softmax_s, 1e-12);
}

/* The first token of eight sequences is drawn from the logits of eight positions, not of all 240 of
 * each; nor does the model need more. Tensor-parallel devices have a fourth of the table each. */
static void prefill_logits_whole(void **state)
{
    (void)state;
    const double prompt = B * (S - 16.0);
    for (int tp = 1; tp <= 4; tp *= 4) {
        df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
        df_llm_case_split(&cfg, tp, 1, 1, 1);
        cfg.sched.tp_sp = false;
        const df_llm_result r = df_llm_case_reference(&cfg);
        const df_llm_result c = CORRECTED(&cfg, llm_prefill_logits_whole);
        const double v = (double)V / tp;
        const df_row_side *const all = &row_of(&r, DF_ROW_LOGITS)->side[DF_FORWARD];
        const df_row_side *const last = &row_of(&c, DF_ROW_LOGITS)->side[DF_FORWARD];
        df_assert_rel(all->time_s - all->comm_s,
                      gemm_s(&cfg, prompt, D, v) +
                          stream_s(&cfg, 7.0 * prompt * v, 4 * A * prompt * v) + 5 * O,
                      1e-9);
        df_assert_rel(last->time_s - last->comm_s,
                      gemm_s(&cfg, B, D, v) + stream_s(&cfg, 7.0 * B * v, 4 * A * B * v) + 5 * O,
                      1e-9);
        df_assert_rel(r.model_flops - c.model_flops, 2.0 * (prompt - B) * D * V, 1e-9);
        df_assert_rel(c.decode_s, r.decode_s, 0);
    }
}

/* The last step reads the keys and values of all S positions, before its products or beside,
 * in as many bytes as the cache has, and writes those of one. */
static void kv_cache_free(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.llm.batch_size = 64;
    const df_llm_result wide = CORRECTED(&cfg, llm_kv_cache_free);
    cfg.kv_fetch_overlap = true;
    const df_llm_result beside = CORRECTED(&cfg, llm_kv_cache_free);
    cfg.kv_fetch_overlap = false;
    cfg.sw.precision.kv_cache_bytes = 1;
    const df_llm_result narrow = CORRECTED(&cfg, llm_kv_cache_free);
    const double fetched = 2.0 * 64 * S * HK * E;
    const double stored = 2.0 * 64 * HK * E;
    const df_row *const row = &wide.decode.row[DF_ROW_ATTENTION];
    df_assert_rel(row->side[DF_FORWARD].time_s -
                      narrow.decode.row[DF_ROW_ATTENTION].side[DF_FORWARD].time_s,
                  stream_s(&cfg, 0, 2 * fetched) - stream_s(&cfg, 0, fetched) +
                      stream_s(&cfg, 0, 2 * stored) - stream_s(&cfg, 0, stored),
                  1e-9);
    const df_row *const parts = wide.decode.row;
    const double core_s = parts[DF_ROW_SCORE].side[DF_FORWARD].time_s +
                          parts[DF_ROW_SOFTMAX].side[DF_FORWARD].time_s +
                          parts[DF_ROW_AV].side[DF_FORWARD].time_s;
    const double fetch_s = stream_s(&cfg, 0, 2 * fetched);
    const double store_s = stream_s(&cfg, 0, 2 * stored);
    df_assert_rel(row->side[DF_FORWARD].time_s, core_s + fetch_s + store_s, 1e-12);
    df_assert_rel(beside.decode.row[DF_ROW_ATTENTION].side[DF_FORWARD].time_s,
                  (core_s > fetch_s ? core_s : fetch_s) + store_s, 1e-12);
}

/* On eight devices each has half of one of the four key and value heads, but keeps and fetches
 * it whole: 2 * 8 * 256 * 64 * 2 bytes = 512 KiB at 900 GiB/s, 2^19 / (900 * 2^30) s and the
 * latency; what the step stores is one of the 256 positions. */
static void cached_heads_are_whole(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 8, 1, 1, 1);
    const df_llm_result r = CORRECTED(&cfg, llm_kv_cache_free);
    const df_row *const parts = r.decode.row;
    const double fetch_s = 1.0 / (900 * 2048) + 100e-9;
    const double store_s = 1.0 / (900 * 2048) / 256 + 100e-9;
    df_assert_rel(parts[DF_ROW_ATTENTION].side[DF_FORWARD].time_s -
                      parts[DF_ROW_SCORE].side[DF_FORWARD].time_s -
                      parts[DF_ROW_SOFTMAX].side[DF_FORWARD].time_s -
                      parts[DF_ROW_AV].side[DF_FORWARD].time_s,
                  fetch_s + store_s, 1e-9);
}

/* Eight devices share four key and value heads: each has one whole, not half of one. So has its
 * QKV projection, of one head each of queries, keys and values; and the query head of each of the
 * eight sequences attends by itself. */
static void kv_heads_fraction(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 8, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_kv_heads_fraction);
    const double m = (double)B * S;
    df_assert_rel(row_of(&r, DF_ROW_QKV)->side[DF_FORWARD].time_s, gemm_s(&cfg, m, D, 2 * E) + O,
                  1e-12);
    df_assert_rel(row_of(&c, DF_ROW_QKV)->side[DF_FORWARD].time_s, gemm_s(&cfg, m, D, 3 * E) + O,
                  1e-12);
    df_assert_rel(row_of(&r, DF_ROW_SCORE)->side[DF_FORWARD].time_s,
                  B / 2.0 * gemm_s(&cfg, 2 * S, E, S) + O, 1e-12);
    df_assert_rel(row_of(&c, DF_ROW_SCORE)->side[DF_FORWARD].time_s, B * gemm_s(&cfg, S, E, S) + O,
                  1e-12);
    df_assert_rel(row_of(&c, DF_ROW_SOFTMAX)->side[DF_FORWARD].time_s,
                  row_of(&r, DF_ROW_SOFTMAX)->side[DF_FORWARD].time_s, 0);
}

/* Eight devices share two heads, of which four have a copy each, or four or eight: their layers are
 * the same, but for the sum of the gradients of D * 64 weights of keys and as many of values in
 * each of a stage's layers. Replicas that keep halves of gradients have sums of halves. */
static void kv_heads_fraction_in_gradients(void **state)
{
    (void)state;
    static const struct {
        int64_t dp, lp, zero;
        double layers, parts;
    } cases[] = {{1, 1, 0, L, 1}, {1, 2, 0, L / 2.0, 1}, {2, 1, 0, L, 1}, {2, 1, 2, L, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_llm_case_split(&cfg, 8, cases[i].dp, cases[i].lp, 1);
        cfg.sw.dp_zero_stage = cases[i].zero;
        cfg.tech.intra.nominal_energy_per_link_j = 1e-12;
        cfg.llm.attention.kv_heads = H;
        const df_llm_result own = CORRECTED(&cfg, llm_kv_heads_fraction);
        for (int copies = 2; copies <= 4; copies *= 2) {
            const double bytes = cases[i].layers * A * 2 * D * E / cases[i].parts;
            cfg.llm.attention.kv_heads = H / copies;
            const df_llm_result c = CORRECTED(&cfg, llm_kv_heads_fraction);
            df_assert_rel(c.time_s - own.time_s, all_reduce_s(&cfg, bytes, copies), 1e-9);
            /* 8 bits of each byte that is sent, twice over, to all but one n-th */
            df_assert_rel(c.energy.network_j - own.energy.network_j,
                          8e-12 * 8.0 * (double)(cases[i].dp * cases[i].lp) * bytes * 2 *
                              (copies - 1) / copies,
                          1e-9);
        }
    }
}

/* Half of a head of 64 columns more, twice, in each of four layers; and a device that has whole
 * heads anyway has no copies. */
static void kv_heads_fraction_in_memory(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    df_memory whole;
    df_memory part;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    for (int64_t tp = 4; tp <= 8; tp += 4) {
        df_llm_case_split(&cfg, tp, 1, 1, 1);
        rules.llm_kv_heads_fraction = false;
        df_predict_memory_peak(&cfg, &rules, &whole);
        rules.llm_kv_heads_fraction = true;
        df_predict_memory_peak(&cfg, &rules, &part);
        df_assert_rel(whole.part_bytes[DF_MEMORY_WEIGHTS],
                      part.part_bytes[DF_MEMORY_WEIGHTS] +
                          (tp == 8 ? A * L * D * 2.0 * (0.5 * E) : 0.0),
                      1e-12);
        df_assert_rel(whole.part_bytes[DF_MEMORY_KV_CACHE], part.part_bytes[DF_MEMORY_KV_CACHE], 0);
    }
}

/* Weights in 4 bytes, used in 2: 6 bytes moved for each, once a forward pass. */
static void casts_free(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    cfg.sw.precision.mixed_precision = true;
    cfg.sw.precision.param_storage = DF_STORE_FP32;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_casts_free);
    df_assert_rel(row_of(&c, DF_ROW_FFN2)->side[DF_FORWARD].time_s -
                      row_of(&r, DF_ROW_FFN2)->side[DF_FORWARD].time_s,
                  stream_s(&cfg, 0, 6.0 * I / 2 * D) + O, 1e-9);
    df_assert_rel(row_of(&c, DF_ROW_FFN2)->side[DF_BACKWARD].time_s,
                  row_of(&r, DF_ROW_FFN2)->side[DF_BACKWARD].time_s, 0);
}

/* The case with FlashAttention in square tiles of 64: 4 x 4 of them, and 64 heads. */
static df_cfg flash_case(int64_t cp)
{
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    cfg.llm.attention.use_flashattention = true;
    cfg.llm.attention.attention_tile_size = 64;
    cfg.sched.cp = cp;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    return cfg;
}

static const df_row *attention_of(const df_llm_result *r)
{
    return row_of(r, DF_ROW_ATTENTION);
}

/* Two devices have half the queries each: half of the tiles' rows, by all columns instead of
 * half of them. What is left of the kernel is loading, which does not change. */
static void flash_context_own_keys(void **state)
{
    (void)state;
    const df_cfg cfg = flash_case(2);
    const df_cfg one = flash_case(1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_context_own_keys);
    const df_llm_result whole = df_llm_case_reference(&one);
    const double flops = attention_of(&whole)->side[DF_FORWARD].sum.flops;
    df_assert_rel(attention_of(&r)->side[DF_FORWARD].sum.flops, flops / 4, 1e-12);
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].sum.flops, flops / 2, 1e-12);
    /* loads: two tiles a device fit into one wave, as do four of a whole sequence */
    const double load_s = B * HK * stream_s(&cfg, 0, 2.0 * 64 * E * 64 * A);
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].time_s - load_s,
                  2 * (attention_of(&r)->side[DF_FORWARD].time_s - load_s), 1e-9);
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].time_s - load_s,
                  (attention_of(&whole)->side[DF_FORWARD].time_s - load_s) / 2, 1e-9);
}

/* A wave of the 64 bundles' tiles is loaded for each of the 32 key and value heads, where 4 tiles
 * are all. Each of queries, keys, values and outputs once takes less time than the products. */
static void flash_loads_waves(void **state)
{
    (void)state;
    const df_cfg cfg = flash_case(1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_loads_waves);
    df_assert_rel(attention_of(&r)->side[DF_FORWARD].time_s -
                      attention_of(&c)->side[DF_FORWARD].time_s,
                  B * HK * stream_s(&cfg, 0, 2.0 * 64 * E * 64 * A), 1e-9);
    /* with a DRAM a thousand times slower they are all that counts */
    df_cfg slow = cfg;
    slow.tech.dram.bandwidth_bytes_ps /= 1000;
    const df_llm_result s = CORRECTED(&slow, llm_flash_loads_waves);
    df_assert_rel(attention_of(&s)->side[DF_FORWARD].time_s,
                  stream_s(&slow, 0, 2.0 * A * B * S * (H + HK) * E), 1e-12);
}

/* 10 of 4 x 4 tiles are on or below the diagonal. */
static void flash_unmasked(void **state)
{
    (void)state;
    const df_cfg cfg = flash_case(1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_unmasked);
    const double load_s = B * HK * stream_s(&cfg, 0, 2.0 * 64 * E * 64 * A);
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].sum.flops,
                  attention_of(&r)->side[DF_FORWARD].sum.flops * 10 / 16, 1e-12);
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].time_s - load_s,
                  (attention_of(&r)->side[DF_FORWARD].time_s - load_s) * 10 / 16, 1e-9);
}

/* 7 flops for each of B H S S scores, fifteen times more. */
static void flash_softmax_as_products(void **state)
{
    (void)state;
    const df_cfg cfg = flash_case(1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_flash_softmax_as_products);
    const double flops_ps = df_llm_case_device(&cfg).core.throughput_flops_ps;
    df_assert_rel(attention_of(&c)->side[DF_FORWARD].time_s -
                      attention_of(&r)->side[DF_FORWARD].time_s,
                  15 * 7.0 * B * H * S * S / flops_ps, 1e-9);
}

/* Two of eight experts for a token. One sequence of one token: two experts, a row each; of the
 * reference eight with a row of a quarter, counted as one when decoding. A long sequence: all
 * eight, a quarter of the tokens each. */
static void idle_experts_run(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.llm.batch_size = 1;
    cfg.llm.num_experts = 8;
    cfg.llm.top_k = 2;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_idle_experts_run);
    const double one_s = gemm_s(&cfg, 1, D, 2 * I) + O;
    df_assert_rel(r.decode.row[DF_ROW_FFN1].side[DF_FORWARD].time_s, 8 * one_s, 1e-12);
    df_assert_rel(c.decode.row[DF_ROW_FFN1].side[DF_FORWARD].time_s, 2 * one_s, 1e-12);
    const double rows = (S - 16) * 2.0 / 8;
    df_assert_rel(row_of(&c, DF_ROW_FFN1)->side[DF_FORWARD].time_s,
                  8 * (gemm_s(&cfg, rows, D, 2 * I) + O), 1e-12);
    /* two tokens: 8 (1 - (3/4)^2) = 3.5 experts on average, 4 rows over them: 2 each */
    cfg.llm.batch_size = 2;
    const df_llm_result two = CORRECTED(&cfg, llm_idle_experts_run);
    df_assert_rel(two.decode.row[DF_ROW_FFN1].side[DF_FORWARD].time_s,
                  3.5 * (gemm_s(&cfg, 2, D, 2 * I) + O), 1e-12);
}

/* ---- Micro-batches and data parallelism ---- */

static double forward_s(const df_llm_result *r)
{
    return row_of(r, DF_ROW_EMBEDDING)->side[DF_FORWARD].time_s + L * r->pass.block_s[DF_FORWARD] +
           row_of(r, DF_ROW_LOGITS)->side[DF_FORWARD].time_s;
}

static double backward_s(const df_llm_result *r)
{
    return row_of(r, DF_ROW_EMBEDDING)->side[DF_BACKWARD].time_s +
           L * r->pass.block_s[DF_BACKWARD] + row_of(r, DF_ROW_LOGITS)->side[DF_BACKWARD].time_s;
}

/* Four micro-batches of two sequences, each forward and backward. */
static void one_stage_one_batch(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 1, 4);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_one_stage_one_batch);
    df_assert_rel(r.time_s, forward_s(&r) + row_of(&r, DF_ROW_LOGITS)->side[DF_BACKWARD].time_s,
                  1e-12);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.llm.batch_size = B / 4;
    const df_llm_result quarter = df_llm_case_reference(&cfg);
    df_assert_rel(c.time_s, 4 * (forward_s(&quarter) + backward_s(&quarter)), 1e-12);
}

/* Two layers on the first two of four stages, the logits on the last. The third is passed by.
 * Two micro-batches, in turns of the slowest stage. */
static void backward_index_wraps(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 4, 2);
    cfg.llm.num_layers = 2;
    cfg.llm.vocab_size = 16; /* so that a layer takes longest */
    const df_llm_result c = CORRECTED(&cfg, llm_backward_index_wraps);
    const df_row *const e = row_of(&c, DF_ROW_EMBEDDING);
    const df_row *const s = row_of(&c, DF_ROW_LOGITS);
    const double f = c.pass.block_s[DF_FORWARD];
    const double b = c.pass.block_s[DF_BACKWARD];
    const double hop_s = A * B / 2 * S * D / df_llm_case_device(&cfg).intra.throughput_bytes_ps +
                         df_llm_case_device(&cfg).intra.latency_s;
    assert_true(s->side[DF_FORWARD].time_s < f && s->side[DF_BACKWARD].time_s < b);
    /* stage 0 is the slowest forward (a layer and the embedding), and backward */
    const double ahead_s =
        2 * (e->side[DF_FORWARD].time_s + f) + hop_s + f + hop_s + s->side[DF_FORWARD].time_s;
    const double back_s =
        s->side[DF_BACKWARD].time_s + hop_s + b + hop_s + 2 * (b + e->side[DF_BACKWARD].time_s);
    df_assert_rel(c.time_s, ahead_s + back_s, 1e-12);
}

/* On two stages all activations go ahead once and their gradients back once: over one link, or over
 * one for each device that has a part of the sequence. */
static void hop_whole(void **state)
{
    (void)state;
    static const struct {
        int64_t tp, cp;
        bool tp_sp;
        double parts;
    } cases[] = {{1, 1, false, 1}, {4, 1, false, 1}, {4, 1, true, 4},
                 {1, 2, false, 2}, {2, 2, false, 4}, {2, 2, true, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        cfg.sched.cp = cases[i].cp;
        cfg.sched.tp_sp = cases[i].tp_sp;
        df_llm_case_split(&cfg, cases[i].tp, 1, 2, 1);
        const double link = df_llm_case_device(&cfg).intra.throughput_bytes_ps;
        const df_llm_result r = df_llm_case_reference(&cfg);
        const df_llm_result c = CORRECTED(&cfg, llm_hop_whole);
        df_assert_rel(r.time_s, c.time_s + 2 * A * B * S * D * (1 - 1 / cases[i].parts) / link,
                      1e-12);
    }
}

/* A slow link and a small vocabulary: a step ends with the reduction of the first layer. */
static df_cfg replicas(void)
{
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 2, 1, 1);
    cfg.tech.intra.bandwidth_bytes_ps /= 64;
    cfg.llm.vocab_size = 2;
    return cfg;
}

static double parameters(void)
{
    return D * (H + 2.0 * HK) * E + D * D + 3.0 * D * I;
}

/* Half of the keys' and values' projections, and of all on two devices half. */
static void gradients_unsharded(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    df_llm_case_split(&cfg, 2, 2, 1, 1);
    cfg.llm.batch_size = 2; /* the embedding's activations are smaller than a layer */
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_gradients_unsharded);
    const double all = 3.0 * D * D + D * D + 3.0 * D * I;
    df_assert_rel(r.time_s - c.time_s,
                  all_reduce_s(&cfg, A * all, 2) - all_reduce_s(&cfg, A * parameters() / 2, 2),
                  1e-9);
}

/* With a large vocabulary a step ends with the embedding's reduction. */
static void embedding_gradient_with_activations(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.llm.vocab_size = 100000;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_embedding_gradient_with_activations);
    const double table = 100000.0 * D;
    const double tokens = (double)B / 2 * S * D;
    df_assert_rel(r.time_s - c.time_s,
                  all_reduce_s(&cfg, A * (table + tokens), 2) - all_reduce_s(&cfg, A * table, 2),
                  1e-9);
}

/* One replica of two devices that share the sequences: they reduce their gradients. */
static void context_gradients_unreduced(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    df_rules rules = df_rules_reference();
    rules.llm_context_gradients_unreduced = false;
    rules.llm_embedding_gradient_with_activations = false;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double all = 4.0 * D * D + 3.0 * D * I;
    df_assert_rel(r.time_s, forward_s(&r) + backward_s(&r), 1e-12);
    df_assert_rel(c.time_s,
                  forward_s(&r) + backward_s(&r) -
                      row_of(&r, DF_ROW_EMBEDDING)->side[DF_BACKWARD].time_s +
                      all_reduce_s(&cfg, A * all, 2),
                  1e-12);
}

/* Energy of the link alone: two micro-batches reduce twice, or once. Two devices send half of
 * the bytes twice each. */
static void reductions_every_batch(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    df_llm_case_split(&cfg, 1, 2, 2, 2);
    cfg.tech.intra.nominal_energy_per_link_j = 1e-12;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_reductions_every_batch);
    const double table = A * 2 * D;
    const double tokens = A * S * D * (B / 2.0 / 2);
    const double layers = L * A * (4.0 * D * D + 3.0 * D * I);
    df_assert_rel(r.energy.network_j - c.energy.network_j,
                  8e-12 * 2 * 2 * 0.5 * (2 * table + tokens + layers), 1e-9);
    df_assert_rel(r.time_s, c.time_s, 1e-12); /* the last ones end last */
}

/* A link that is always busy, from the logits' backward pass on. */
static void reductions_at_once(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    df_rules rules = df_rules_reference();
    rules.llm_reductions_at_once = false;
    rules.llm_embedding_gradient_with_activations = false;
    cfg.llm.vocab_size = 5000;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double table_s = all_reduce_s(&cfg, A * 5000 * D, 2);
    const double layer_s = all_reduce_s(&cfg, A * (4.0 * D * D + 3.0 * D * I), 2);
    assert_true(layer_s > c.pass.block_s[DF_BACKWARD] && table_s > c.pass.block_s[DF_BACKWARD]);
    df_assert_rel(c.time_s,
                  forward_s(&c) + row_of(&c, DF_ROW_LOGITS)->side[DF_BACKWARD].time_s +
                      2 * table_s + L * layer_s,
                  1e-12);
}

static double all_gather_s(const df_cfg *cfg, double bytes)
{
    /* as the reference: two devices, one step with all bytes; the local copy runs in registers */
    const df_hw_device dev = df_llm_case_device(cfg);
    const df_rules rules = df_rules_reference();
    return bytes / dev.intra.throughput_bytes_ps + dev.intra.latency_s +
           df_case_stream_s(&dev, &rules, 0, bytes) + O;
}

static void first_gather_free(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.sw.dp_zero_stage = 3;
    cfg.llm.vocab_size = 5000;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_first_gather_free);
    const double gather_s = all_gather_s(&cfg, A * 5000 * D);
    /* the first layer's gather, which starts as the embedding does, is later than either */
    const double late_s = all_gather_s(&cfg, A * (4.0 * D * D + 3.0 * D * I));
    assert_true(late_s > gather_s);
    df_assert_rel(c.time_s - r.time_s, gather_s, 1e-9);
}

/* Layers that compute faster than they are gathered, forward and backward: the first layer's
 * gather is longer than the embedding beside it, and the last hides that of the logits or not. */
static void gathers_gate_reductions(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.sw.dp_zero_stage = 3;
    df_rules rules = df_rules_reference();
    rules.llm_gathers_gate_reductions = false;
    rules.llm_embedding_gradient_with_activations = false;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double gather_s = all_gather_s(&cfg, A * (4.0 * D * D + 3.0 * D * I));
    assert_true(gather_s > c.pass.block_s[DF_FORWARD] && gather_s > c.pass.block_s[DF_BACKWARD]);
    const df_row *const e = row_of(&c, DF_ROW_EMBEDDING);
    const df_row *const s = row_of(&c, DF_ROW_LOGITS);
    const double busy_s = L * gather_s +
                          fmax(c.pass.block_s[DF_FORWARD], all_gather_s(&cfg, A * 16 * D)) +
                          s->side[DF_FORWARD].time_s + s->side[DF_BACKWARD].time_s + L * gather_s +
                          e->side[DF_BACKWARD].time_s;
    assert_true(gather_s > e->side[DF_FORWARD].time_s);
    /* what is left is the last layer's reduction, less the embedding's backward pass */
    const df_hw_device dev = df_llm_case_device(&cfg);
    const df_op_collective what = {DF_COLL_REDUCE_SCATTER, 0, A * (4.0 * D * D + 3.0 * D * I)};
    const df_topo_group two = {.members = 2,
                               .link = {dev.intra.throughput_bytes_ps, dev.intra.latency_s}};
    const double last_s = df_case_ring_s(&dev, &rules, DF_MODE_LLM, &what, &two);
    df_assert_rel(c.time_s, busy_s - e->side[DF_BACKWARD].time_s + last_s, 1e-12);
}

/* The table's gather, as far as the layer before does not hide it. */
static void tied_logits_not_gathered(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.sw.dp_zero_stage = 3;
    cfg.llm.tied_embeddings = true;
    cfg.llm.vocab_size = 5000;
    df_rules rules = df_rules_reference();
    rules.llm_gathers_gate_reductions = false;
    const df_llm_result r = df_llm_case_predict(&cfg, &rules);
    rules.llm_tied_logits_not_gathered = false;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double gather_s = all_gather_s(&cfg, A * 5000 * D);
    assert_true(gather_s > r.pass.block_s[DF_FORWARD]);
    df_assert_rel(c.time_s - r.time_s, gather_s - r.pass.block_s[DF_FORWARD], 1e-9);
}

/* On one stage a step that ends with the table's reduction ends with one of them; of a pipeline
 * the ends then exchange theirs. */
static void tied_gradients_apart(void **state)
{
    (void)state;
    df_cfg cfg = replicas();
    cfg.llm.tied_embeddings = true;
    cfg.llm.vocab_size = 5000;
    df_rules rules = df_rules_reference();
    rules.llm_embedding_gradient_with_activations = false;
    rules.llm_reductions_at_once = false;
    const df_llm_result r = df_llm_case_predict(&cfg, &rules);
    rules.llm_tied_gradients_apart = false;
    const df_llm_result c = df_llm_case_predict(&cfg, &rules);
    const double table_s = all_reduce_s(&cfg, A * 5000 * D, 2);
    const double layer_s = all_reduce_s(&cfg, A * (4.0 * D * D + 3.0 * D * I), 2);
    assert_true(layer_s > c.pass.block_s[DF_BACKWARD] && table_s > c.pass.block_s[DF_BACKWARD]);
    /* the link is busy from the first layer's backward pass on, not from the logits' */
    df_assert_rel(c.time_s,
                  forward_s(&c) + row_of(&c, DF_ROW_LOGITS)->side[DF_BACKWARD].time_s +
                      c.pass.block_s[DF_BACKWARD] + L * layer_s + table_s,
                  1e-12);
    df_assert_rel(r.time_s - c.time_s, table_s - c.pass.block_s[DF_BACKWARD], 1e-9);
    df_llm_case_split(&cfg, 1, 1, 2, 2);
    const df_llm_result apart = df_llm_case_reference(&cfg);
    const df_llm_result together = CORRECTED(&cfg, llm_tied_gradients_apart);
    df_assert_rel(together.time_s - apart.time_s, table_s, 1e-9);
    cfg.llm.tied_embeddings = false;
    df_assert_rel(CORRECTED(&cfg, llm_tied_gradients_apart).time_s, apart.time_s, 0);
}

/* Of each parameter: gradients twice, both moments read and written, and itself. */
static void optimizer_free(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_optimizer_free);
    const double n = (L * parameters() + 2.0 * V * D) / 2;
    df_assert_rel(c.optimizer_s, stream_s(&cfg, 15 * n, (2 + 4 + 2) * A * n) + 2 * O, 1e-12);
    df_assert_rel(c.time_s - r.time_s, c.optimizer_s, 1e-9);
    cfg.sw.precision.mixed_precision = true;
    cfg.sw.precision.param_storage = DF_STORE_TENSOR_FP32_MASTER;
    const df_llm_result mixed = CORRECTED(&cfg, llm_optimizer_free);
    /* gradients 2 x 2, moments 4 x 4, master copy 2 x 4, and the 2 bytes that are used */
    df_assert_rel(mixed.optimizer_s, stream_s(&cfg, 15 * n, 30 * n) + 2 * O, 1e-12);
}

/* ---- Energy and output ---- */

/* A device whose energies are 0 but for one. */
static df_cfg without_energies(df_run_type run_type)
{
    df_cfg cfg = df_llm_case(run_type);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    cfg.tech.core.nominal_energy_per_flop_j = 0;
    cfg.tech.dram.dynamic_energy_per_bit_j = 0;
    cfg.tech.intra.nominal_energy_per_link_j = 0;
    for (int i = 0; i < DF_CFG_SRAMS; i++) {
        cfg.tech.sram[i].dynamic_energy_per_bit_j = 0;
    }
    return cfg;
}

/* All flops of a prefill: products, softmax 8, norms 7, residuals 2, SwiGLU 11, logits 7. */
static void energy_one_layer(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_INFERENCE);
    cfg.tech.core.nominal_energy_per_flop_j = 1e-12;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_energy_one_layer);
    const double s = S - 16;
    const double products = 2 * B * s * parameters() + 4.0 * B * s * s * D;
    const double pointwise = 8.0 * B * H * s * s + 2 * (7.0 + 2.0) * B * s * D + 11.0 * B * s * I;
    const double logits = 2.0 * B * s * D * V + 7.0 * B * s * V;
    df_assert_rel(r.prefill_energy_j, 1e-12 * products, 1e-12);
    /* a dot product of k takes k - 1 sums: one less for each element of each result */
    const double first = B * s * (2.0 * D + 2.0 * HK * E + 2.0 * I + D) + B * H * s * (s + E);
    df_assert_rel(c.prefill_energy_j,
                  1e-12 * (L * (products - first + pointwise) + logits - B * s * V), 1e-9);
}

static void energy_one_head(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_INFERENCE);
    cfg.tech.dram.dynamic_energy_per_bit_j = 1e-12;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_energy_one_head);
    const double s = S - 16;
    const double m = s * H / HK;
    const double head = gemm(&cfg, m, E, s).traffic_bytes[3] + gemm(&cfg, m, s, E).traffic_bytes[3];
    df_assert_rel(c.prefill_energy_j - r.prefill_energy_j, 8e-12 * B * HK * head, 1e-9);
}

static void energy_default_link(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    cfg.tech.intra.nominal_energy_per_link_j = DF_CFG_ABSENT_J;
    assert_true(df_llm_case_reference(&cfg).prefill_energy_j > 0);
    assert_true(CORRECTED(&cfg, llm_energy_default_link).prefill_energy_j == 0);
}

static void energy_prefill_whole_sequence(void **state)
{
    (void)state;
    df_cfg cfg = without_energies(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 2, 1);
    cfg.tech.intra.nominal_energy_per_link_j = 1e-12;
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, llm_energy_prefill_whole_sequence);
    df_assert_rel(r.prefill_energy_j, 8e-12 * A * B * S * D, 1e-12);
    df_assert_rel(c.prefill_energy_j, 8e-12 * A * B * (S - 16) * D, 1e-12);
}

/* Where there is no prompt, the first token is the first decode step's by any rules. */
static void ttft_with_decode_step(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const df_llm_result r = df_llm_case_reference(&cfg);
    const df_llm_result c = CORRECTED(&cfg, ttft_with_decode_step);
    df_assert_rel(r.first_token_s, r.prefill_s + 1 / r.tokens_ps.start, 1e-12);
    df_assert_rel(c.first_token_s, r.prefill_s, 0);
    cfg.llm.decode_len = cfg.llm.seq_len;
    const df_llm_result unprompted = CORRECTED(&cfg, ttft_with_decode_step);
    df_assert_rel(unprompted.first_token_s, 1 / unprompted.tokens_ps.start, 1e-12);
}

/* With the mask, n positions see n (n - 1) / 2 keys less; each costs two products of 2 D flops a
 * layer, and a decode step sees all. */
static void model_flops_unmasked(void **state)
{
    (void)state;
    static const double passes[] = {[DF_RUN_TRAINING] = 3, [DF_RUN_INFERENCE] = 1};
    static const double positions[] = {[DF_RUN_TRAINING] = S, [DF_RUN_INFERENCE] = S - 16};
    for (df_run_type type = DF_RUN_TRAINING; type <= DF_RUN_INFERENCE; type++) {
        df_cfg cfg = df_llm_case(type);
        df_llm_case_split(&cfg, 1, 1, 1, 1);
        const df_llm_result r = df_llm_case_reference(&cfg);
        const df_llm_result c = CORRECTED(&cfg, llm_model_flops_unmasked);
        const double n = positions[type];
        df_assert_rel(r.model_flops - c.model_flops,
                      passes[type] * B * L * 4.0 * D * n * (n - 1) / 2, 1e-9);
    }
}

/* Local copies of a collective: two matrices' parts at the DRAM's speed. */
static void collectives_copy_in_dram(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const df_hw_device dev = df_llm_case_device(&cfg);
    const df_llm_result c = CORRECTED(&cfg, pointwise_on_registers);
    const double n = (double)B * S * D; /* elements, over the two devices */
    const double step_s = A * n / 2 / dev.intra.throughput_bytes_ps + dev.intra.latency_s +
                          stream_s(&cfg, 0, 2 * A * n / 2);
    const double add_s = stream_s(&cfg, A * n / 2, 3 * A * n / 2) + O;
    df_assert_rel(row_of(&c, DF_ROW_OUT)->side[DF_FORWARD].comm_s, step_s + add_s + O, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_gather_whole_steps),
        cmocka_unit_test(all_gather_whole_steps_simulated),
        cmocka_unit_test(all_gather_whole_steps_in_graphs),
        cmocka_unit_test(algorithms_of_operators_own),
        cmocka_unit_test(algorithms_alike_for_two),
        cmocka_unit_test(algorithms_stale_in_graphs),
        cmocka_unit_test(single_gradient_as_forward),
        cmocka_unit_test(hybrid_launches_scaled),
        cmocka_unit_test(flash_launch_on_heads),
        cmocka_unit_test(flash_backward_double),
        cmocka_unit_test(flash_context_unreduced),
        cmocka_unit_test(flash_context_own_keys),
        cmocka_unit_test(flash_loads_waves),
        cmocka_unit_test(flash_unmasked),
        cmocka_unit_test(flash_softmax_as_products),
        cmocka_unit_test(context_norm_forward_whole),
        cmocka_unit_test(norms_at_statistics_width),
        cmocka_unit_test(pointwise_unsharded),
        cmocka_unit_test(embedding_whole_table),
        cmocka_unit_test(head_split_twice),
        cmocka_unit_test(head_split_twice_in_inference),
        cmocka_unit_test(decode_logits_one_row),
        cmocka_unit_test(kv_cache_free),
        cmocka_unit_test(cached_heads_are_whole),
        cmocka_unit_test(prefill_logits_whole),
        cmocka_unit_test(kv_heads_fraction),
        cmocka_unit_test(kv_heads_fraction_in_gradients),
        cmocka_unit_test(kv_heads_fraction_in_memory),
        cmocka_unit_test(casts_free),
        cmocka_unit_test(idle_experts_run),
        cmocka_unit_test(one_stage_one_batch),
        cmocka_unit_test(backward_index_wraps),
        cmocka_unit_test(hop_whole),
        cmocka_unit_test(gradients_unsharded),
        cmocka_unit_test(embedding_gradient_with_activations),
        cmocka_unit_test(context_gradients_unreduced),
        cmocka_unit_test(reductions_every_batch),
        cmocka_unit_test(reductions_at_once),
        cmocka_unit_test(first_gather_free),
        cmocka_unit_test(gathers_gate_reductions),
        cmocka_unit_test(tied_logits_not_gathered),
        cmocka_unit_test(tied_gradients_apart),
        cmocka_unit_test(optimizer_free),
        cmocka_unit_test(energy_one_layer),
        cmocka_unit_test(energy_one_head),
        cmocka_unit_test(energy_default_link),
        cmocka_unit_test(energy_prefill_whole_sequence),
        cmocka_unit_test(ttft_with_decode_step),
        cmocka_unit_test(model_flops_unmasked),
        cmocka_unit_test(collectives_copy_in_dram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
