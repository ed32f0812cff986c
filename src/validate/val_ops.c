/* val_ops.c: single operators on one device, and collectives inside a node. Measured as captured
 * graphs or back to back, so that no launch overhead counts. */
#include <math.h>
#include <string.h>

#include "validate/val_impl.h"

/* What is measured of an operator, and how to predict it. */
typedef df_status (*predict_fn)(df_val_row *r,
                                const df_cfg *cfg,
                                const df_rules *rules,
                                double *time_s);

/* The operator of a row: its configuration, but for the number format that rules without kernels
 * need, and how to predict it. */
typedef struct {
    const df_val_device *device;
    df_cfg cfg;
    const char *format; /* "": it does not matter */
    predict_fn predict;
    df_val_kernel *kernel; /* the calibrated rules */
} operation;

static df_status read_device(df_val_row *r, operation *op)
{
    DF_TRY(df_val_find_device(r, &op->device));
    op->cfg = op->device->cfg;
    op->cfg.sw.kernel_launch_overhead_s = 0;
    return DF_OK;
}

static df_status predict_kernel(df_val_row *r, const operation *op, int rules, double *time_s)
{
    df_hw_device dev;
    df_card card;
    DF_TRY(df_hw_derive(&op->cfg, &r->rules[rules], &dev, r->err));
    df_card_of(&op->cfg, &dev, &card);
    return op->kernel(r, &card, time_s);
}

static df_status predict(df_val_row *r, const operation *op, int rules, double *time_s)
{
    df_cfg cfg = op->cfg;
    if (df_val_is_calibrated(r, rules)) {
        return predict_kernel(r, op, rules, time_s);
    }
    if (*op->format != '\0') {
        DF_TRY(df_val_set_format(op->device, op->format, &cfg, r->err));
    }
    return op->predict(r, &cfg, &r->rules[rules], time_s);
}

static df_status add_times(df_val_row *r, const operation *op)
{
    df_val_values values;
    double measured;
    DF_TRY(df_val_number(r, "time_s", NAN, &measured));
    for (int i = 0; i < r->num_rules; i++) {
        const df_status status = predict(r, op, i, &values.value[i]);
        DF_TRY(df_val_take(r, status, i, &values));
    }
    return df_val_add(r, "time_s", measured, &values);
}

static const char *format_of(const df_val_row *r)
{
    return df_csv_text(r->csv, r->row, "dtype");
}

/* ---- GEMMs ---- */

static df_status
solve_gemm(df_val_row *r, const df_cfg *cfg, const df_rules *rules, df_gemm_cost *cost)
{
    df_hw_device dev;
    df_gemm_shape shape;
    DF_TRY(df_val_number(r, "m", NAN, &shape.m));
    DF_TRY(df_val_number(r, "n", NAN, &shape.n));
    DF_TRY(df_val_number(r, "k", NAN, &shape.k));
    DF_TRY(df_hw_derive(cfg, rules, &dev, r->err));
    const df_gemm_traffic traffic = df_compat_gemm_traffic(rules);
    DF_TRY(df_gemm_search_use(r->data->gemm, &dev, &traffic, r->err));
    DF_TRY(df_gemm_search_solve(r->data->gemm, &shape, cost, r->err));
    cost->time_s += dev.launch_overhead_s;
    return DF_OK;
}

static df_status gemm_time(df_val_row *r, const df_cfg *cfg, const df_rules *rules, double *time_s)
{
    df_gemm_cost cost;
    DF_TRY(solve_gemm(r, cfg, rules, &cost));
    *time_s = cost.time_s;
    return DF_OK;
}

df_status df_val_run_gemm(df_val_row *r)
{
    operation op = {.format = format_of(r), .predict = gemm_time, .kernel = df_val_gemm_kernel};
    DF_TRY(read_device(r, &op));
    return add_times(r, &op);
}

/* Runs the chip at another clock. */
static void set_clock(df_cfg *cfg, double hz)
{
    const double slower = hz / cfg->tech.core.operating_frequency_hz;
    cfg->tech.core.operating_frequency_hz = hz;
    for (int i = 0; i < DF_CFG_SRAMS; i++) {
        cfg->tech.sram[i].bandwidth_bytes_ps *= slower;
    }
}

/* Time and traffic to the DRAM. */
static df_status
predict_profile(df_val_row *r, const operation *op, int rules, double *time_s, double *dram_bytes)
{
    df_gemm_cost cost;
    df_cfg cfg = op->cfg;
    if (df_val_is_calibrated(r, rules)) {
        *dram_bytes = 0.0;
        return predict_kernel(r, op, rules, time_s);
    }
    DF_TRY(df_val_set_format(op->device, op->format, &cfg, r->err));
    DF_TRY(solve_gemm(r, &cfg, &r->rules[rules], &cost));
    *time_s = cost.time_s;
    *dram_bytes = cost.traffic_bytes[DF_HW_LEVELS - 1];
    return DF_OK;
}

/* Kernels that were measured have a time, and no traffic. */
static df_status traffic_status(df_val_row *r, df_status status, int rules)
{
    return status == DF_OK && df_val_is_calibrated(r, rules)
               ? df_fail(r->err, DF_INFEASIBLE, "traffic is not predicted by the calibrated rules")
               : status;
}

df_status df_val_run_profile(df_val_row *r)
{
    operation op = {.format = df_csv_text(r->csv, r->row, "precision"),
                    .kernel = df_val_profiled_kernel};
    double clock_ghz;
    double measured_s;
    double read_bytes;
    double write_bytes;
    df_val_values time;
    df_val_values traffic;
    DF_TRY(read_device(r, &op));
    DF_TRY(df_val_number(r, "clock_ghz", NAN, &clock_ghz));
    DF_TRY(df_val_number(r, "gemm_s", NAN, &measured_s));
    DF_TRY(df_val_number(r, "dram_read_bytes", NAN, &read_bytes));
    DF_TRY(df_val_number(r, "dram_write_bytes", NAN, &write_bytes));
    if (clock_ghz > 0 && op.cfg.tech.core.operating_frequency_hz > 0) {
        set_clock(&op.cfg, clock_ghz * 1e9);
    }
    for (int i = 0; i < r->num_rules; i++) {
        const df_status status = predict_profile(r, &op, i, &time.value[i], &traffic.value[i]);
        DF_TRY(df_val_take(r, status, i, &time));
        DF_TRY(df_val_take(r, traffic_status(r, status, i), i, &traffic));
    }
    DF_TRY(df_val_add(r, "gemm_s", measured_s, &time));
    return df_val_add(r, "dram_bytes", read_bytes + write_bytes, &traffic);
}

/* ---- Attention and experts: parts of a model of one layer ---- */

static void one_layer(df_cfg *cfg)
{
    cfg->mode = DF_MODE_LLM;
    cfg->has_model = true;
    cfg->system.num_devices_per_node = 1;
    cfg->system.num_nodes = 1;
    cfg->sched.dp = 1;
    cfg->sched.tp = 1;
    cfg->sched.cp = 1;
    cfg->sched.lp = 1;
    cfg->sched.mb = 1;
    cfg->llm = (df_cfg_llm){
        .run_type = DF_RUN_INFERENCE,
        .model_type = DF_LLM_LLAMA,
        .num_layers = 1,
        .batch_size = 1,
        .intermediate_size = 1,
        .vocab_size = 1,
        .num_experts = 1,
        .top_k = 1,
        .attention = {.num_heads = 1, .use_flashattention = true, .attention_tile_size = 128},
        .sample_every = -1};
}

static df_status
run_layer(df_val_row *r, const df_cfg *cfg, const df_rules *rules, df_prediction *out)
{
    df_hw_device dev;
    const df_design design = {cfg, &dev, rules};
    DF_TRY(df_predict_check(cfg, rules, r->err));
    DF_TRY(df_hw_derive(cfg, rules, &dev, r->err));
    return df_predict(r->data->predictor, &design, DF_WANT_OPERATORS, out, r->err);
}

static df_status read_heads(df_val_row *r, df_cfg *cfg)
{
    df_cfg_attention *const a = &cfg->llm.attention;
    int64_t head_dim;
    one_layer(cfg);
    DF_TRY(df_val_count(r, "batch", 1, 0, &cfg->llm.batch_size));
    DF_TRY(df_val_count(r, "heads", 1, 0, &a->num_heads));
    DF_TRY(df_val_count(r, "kv_heads", 1, a->num_heads, &a->kv_heads));
    DF_TRY(df_val_count(r, "head_dim", 1, 0, &head_dim));
    a->attention_type = DF_ATTENTION_GQA;
    cfg->llm.hidden_dim = a->num_heads * head_dim;
    return DF_OK;
}

static df_status
prefill_time(df_val_row *r, const df_cfg *cfg, const df_rules *rules, double *time_s)
{
    df_prediction result;
    DF_TRY(run_layer(r, cfg, rules, &result));
    *time_s = result.llm.pass.row[DF_ROW_ATTENTION].side[DF_FORWARD].time_s;
    return DF_OK;
}

static df_status
decode_time(df_val_row *r, const df_cfg *cfg, const df_rules *rules, double *time_s)
{
    df_prediction result;
    DF_TRY(run_layer(r, cfg, rules, &result));
    *time_s = result.llm.decode.row[DF_ROW_ATTENTION].side[DF_FORWARD].time_s;
    return DF_OK;
}

df_status df_val_run_prefill(df_val_row *r)
{
    operation op = {
        .format = format_of(r), .predict = prefill_time, .kernel = df_val_prefill_kernel};
    int64_t keys;
    int64_t causal;
    DF_TRY(read_device(r, &op));
    DF_TRY(read_heads(r, &op.cfg));
    DF_TRY(df_val_count(r, "seq_q", 1, 0, &op.cfg.llm.seq_len));
    DF_TRY(df_val_count(r, "seq_kv", 1, op.cfg.llm.seq_len, &keys));
    DF_TRY(df_val_count(r, "causal", 0, 1, &causal));
    if (keys != op.cfg.llm.seq_len) {
        return df_fail(r->err, DF_INFEASIBLE, "prompts behind a cached prefix are not modelled");
    }
    if (causal == 0) {
        return df_fail(r->err, DF_INFEASIBLE, "attention without a causal mask is not modelled");
    }
    return add_times(r, &op);
}

df_status df_val_run_decode(df_val_row *r)
{
    operation op = {.format = format_of(r), .predict = decode_time, .kernel = df_val_decode_kernel};
    DF_TRY(read_device(r, &op));
    DF_TRY(read_heads(r, &op.cfg));
    DF_TRY(df_val_count(r, "context", 1, 0, &op.cfg.llm.seq_len));
    op.cfg.llm.decode_len = 1;
    return add_times(r, &op);
}

static df_status
experts_time(df_val_row *r, const df_cfg *cfg, const df_rules *rules, double *time_s)
{
    df_prediction result;
    DF_TRY(run_layer(r, cfg, rules, &result));
    const df_row *const rows = result.llm.pass.row;
    *time_s = rows[DF_ROW_FFN1].side[DF_FORWARD].time_s +
              rows[DF_ROW_ACTIVATION].side[DF_FORWARD].time_s +
              rows[DF_ROW_FFN2].side[DF_FORWARD].time_s;
    return DF_OK;
}

df_status df_val_run_experts(df_val_row *r)
{
    operation op = {
        .format = format_of(r), .predict = experts_time, .kernel = df_val_experts_kernel};
    df_cfg_llm *const m = &op.cfg.llm;
    int64_t tp;
    int64_t ep;
    DF_TRY(read_device(r, &op));
    one_layer(&op.cfg);
    DF_TRY(df_val_count(r, "tokens", 1, 0, &m->seq_len));
    DF_TRY(df_val_count(r, "hidden", 1, 0, &m->hidden_dim));
    DF_TRY(df_val_count(r, "inter", 1, 0, &m->intermediate_size));
    DF_TRY(df_val_count(r, "experts", 1, 0, &m->num_experts));
    DF_TRY(df_val_count(r, "topk", 1, 1, &m->top_k));
    DF_TRY(df_val_count(r, "tp", 1, 1, &tp));
    DF_TRY(df_val_count(r, "ep", 1, 1, &ep));
    if (ep > 1) {
        return df_fail(r->err, DF_INFEASIBLE, "expert parallelism is not modelled");
    }
    m->intermediate_size = (m->intermediate_size + tp - 1) / tp;
    return add_times(r, &op);
}

/* ---- Collectives ---- */

static df_status
collective_time(df_val_row *r, const df_cfg *cfg, const df_rules *rules, double *time_s)
{
    static const struct {
        const char *name;
        df_coll_kind kind;
    } kinds[] = {{"all_reduce", DF_COLL_ALL_REDUCE},
                 {"all_gather", DF_COLL_ALL_GATHER},
                 {"reduce_scatter", DF_COLL_REDUCE_SCATTER},
                 {"all_to_all", DF_COLL_ALL_TO_ALL}};
    const char *const op = df_csv_text(r->csv, r->row, "op");
    df_hw_device dev;
    df_op_collective what = {.axes = 0};
    df_topo_group group = {.members = 1.0};
    DF_TRY(df_val_number(r, "bytes", NAN, &what.bytes));
    DF_TRY(df_val_number(r, "num_gpus", NAN, &group.members));
    DF_TRY(df_hw_derive(cfg, rules, &dev, r->err));
    group.link = (df_hw_link){dev.intra.throughput_bytes_ps, dev.intra.latency_s};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, op) == 0) {
            what.kind = kinds[i].kind;
            *time_s = df_compat_collective_s(rules, DF_MODE_LLM, &dev, &what, &group);
            return DF_OK;
        }
    }
    return df_fail(r->err, DF_INFEASIBLE, "collective %s is not modelled", op);
}

df_status df_val_run_collective(df_val_row *r)
{
    operation op = {.format = "", .predict = collective_time, .kernel = df_val_collective_kernel};
    double num_gpus;
    DF_TRY(read_device(r, &op));
    DF_TRY(df_val_number(r, "num_gpus", NAN, &num_gpus));
    if (num_gpus > op.device->node_gpus) {
        return df_fail(r->err, DF_INFEASIBLE, "collectives beyond a node are not modelled");
    }
    return add_times(r, &op);
}

df_status df_val_run_nothing(df_val_row *r)
{
    return df_fail(r->err, DF_INFEASIBLE, "what this file measures is not modelled yet");
}
