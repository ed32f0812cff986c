#include <math.h>
#include <string.h>

#include "llm/llm_impl.h"

const char *const df_llm_op_names[DF_LLM_ROWS] = {
    [DF_LLM_QKV] = "qkv_proj",
    [DF_LLM_SCORE] = "attention_score",
    [DF_LLM_SOFTMAX] = "attention_scale_softmax",
    [DF_LLM_AV] = "attention_output",
    [DF_LLM_ATTENTION] = "attention",
    [DF_LLM_OUT] = "output_proj",
    [DF_LLM_FFN1] = "ffn1",
    [DF_LLM_FFN2] = "ffn2",
    [DF_LLM_EMBEDDING] = "embedding",
    [DF_LLM_NORM1] = "layernorm1",
    [DF_LLM_NORM2] = "layernorm2",
    [DF_LLM_ACTIVATION] = "gelu",
    [DF_LLM_LOGITS] = "linear_softmax",
    [DF_LLM_MHA] = "MHA",
    [DF_LLM_MLP] = "MLP",
};

/* ---- Building blocks ---- */

df_gemm_cost df_llm_gemm(df_llm *x, double m, double k, double n)
{
    const df_gemm_shape shape = {m, k, n};
    df_gemm_cost cost;
    memset(&cost, 0, sizeof cost);
    if (x->status == DF_OK) {
        x->status = df_gemm_cache_solve(x->memory->gemm, &shape, &cost, x->err);
    }
    return cost;
}

df_gemm_cost df_llm_gradient(df_llm *x, double m, double k, double n)
{
    df_gemm_cost none;
    if (!x->forward_only) {
        return df_llm_gemm(x, m, k, n);
    }
    memset(&none, 0, sizeof none);
    return none;
}

void df_llm_add_gemm(df_llm_work *work, const df_gemm_cost *cost, double times)
{
    work->flops += cost->flops * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        work->traffic_bytes[level] += cost->traffic_bytes[level] * times;
    }
}

double df_llm_stream_s(const df_llm *x, double flops, double bytes)
{
    df_rules rules = *x->rules;
    rules.pointwise_on_registers = false;
    return df_roof_stream(x->dev, &rules, flops, trunc(bytes));
}

double df_llm_stream(const df_llm *x, df_llm_work *work, double flops, double bytes)
{
    work->flops += flops;
    work->traffic_bytes[DF_HW_LEVELS - 1] += bytes;
    return df_llm_stream_s(x, flops, bytes);
}

double
df_llm_told_bytes(const df_rules *rules, df_coll_kind kind, double bytes, double participants)
{
    const bool shard = kind == DF_COLL_ALL_GATHER && !rules->llm_all_gather_whole_steps;
    return shard && participants > 1.0 ? bytes / participants : bytes;
}

double df_llm_collective_s(const df_hw_device *dev, const df_rules *rules, const df_coll_op *op)
{
    df_rules own = *rules;
    df_coll_op ring = *op;
    own.all_gather_staging_divided = own.llm_all_gather_whole_steps;
    ring.bytes = df_llm_told_bytes(rules, op->kind, op->bytes, op->participants);
    return df_coll_ring.time_s(&df_coll_ring, dev, &own, &ring);
}

double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link)
{
    const df_coll_op op = {kind, bytes, participants, *link};
    return df_llm_collective_s(x->dev, x->rules, &op);
}

double df_llm_sent_bytes(df_coll_kind kind, double bytes, double participants)
{
    if (!(participants > 1.0)) {
        return 0.0;
    }
    if (kind == DF_COLL_P2P) {
        return bytes;
    }
    const double one_way = bytes * (participants - 1.0) / participants;
    return kind == DF_COLL_ALL_REDUCE ? 2.0 * one_way : one_way;
}

/* The reference has the simulator's algorithms from what ran before: the backward reductions of
 * context parallelism come after those of tensor parallelism. Its gathers took their time
 * forward already: the same collective again takes the time that is kept. */
static double
coll_s(df_llm *x, int direction, df_coll_kind kind, double bytes, const df_topo_group *group)
{
    const double n = group->members;
    if (!x->simulated) {
        return df_llm_coll_s(x, kind, bytes, n, &group->link);
    }
    const bool after = x->mode == DF_LLM_HYBRID && n == x->cp && direction == DF_LLM_BACKWARD &&
                       kind == DF_COLL_REDUCE_SCATTER;
    return df_llm_simulated_s(x, kind, bytes, group, after ? x->tp : n);
}

void df_llm_add_coll(df_llm *x,
                     df_llm_row *row,
                     int direction,
                     df_coll_kind kind,
                     double bytes,
                     const df_topo_group *group)
{
    const double time_s = coll_s(x, direction, kind, bytes, group);
    row->sent_bytes[direction][group->dim] += df_llm_sent_bytes(kind, bytes, group->members);
    if (direction == DF_LLM_BACKWARD) {
        row->backward_comm_s += time_s;
        row->backward_comm_bytes += bytes;
        row->backward_s += time_s;
    } else {
        row->forward_comm_s += time_s;
        row->forward_comm_bytes += bytes;
        row->forward_s += time_s;
    }
}

double df_llm_row_sent_bytes(const df_llm_row *row, int direction)
{
    double sum_bytes = 0.0;
    for (int dim = 0; dim < DF_TOPO_DIMS; dim++) {
        sum_bytes += row->sent_bytes[direction][dim];
    }
    return sum_bytes;
}

void df_llm_add_row(df_llm_row *sum, const df_llm_row *row, bool traffic)
{
    sum->present = true;
    sum->forward_s += row->forward_s;
    sum->backward_s += row->backward_s;
    sum->forward_comm_s += row->forward_comm_s;
    sum->backward_comm_s += row->backward_comm_s;
    sum->forward_comm_bytes += row->forward_comm_bytes;
    sum->backward_comm_bytes += row->backward_comm_bytes;
    sum->flops += row->flops;
    for (int level = 0; traffic && level < DF_HW_LEVELS; level++) {
        sum->traffic_bytes[level] += row->traffic_bytes[level];
    }
    for (int i = 0; i < DF_LLM_DIRECTIONS; i++) {
        for (int dim = 0; dim < DF_TOPO_DIMS; dim++) {
            sum->sent_bytes[i][dim] += row->sent_bytes[i][dim];
        }
        sum->launch_s[i] += row->launch_s[i];
        sum->work[i].flops += row->work[i].flops;
        for (int level = 0; level < DF_HW_LEVELS; level++) {
            sum->work[i].traffic_bytes[level] += row->work[i].traffic_bytes[level];
        }
    }
}

bool df_llm_splits_context(const df_llm *x)
{
    return x->mode == DF_LLM_CONTEXT || x->mode == DF_LLM_HYBRID;
}

bool df_llm_splits_tensor(const df_llm *x)
{
    return x->mode != DF_LLM_SINGLE && x->mode != DF_LLM_CONTEXT;
}

double df_llm_launches(const df_llm *x, df_llm_row *row, int direction, double count)
{
    row->launch_s[direction] += count * x->launch_s;
    return count * x->launch_s;
}

/* ---- Projections ---- */

/* A GEMM with weights: by columns (n over tp) or by rows (k over tp). */
typedef struct {
    double m, k, n;
    bool by_rows;
    double repeats; /* experts */
} projection;

/* The shard of one device. */
static projection shard_of(const df_llm *x, const projection *p)
{
    projection shard = *p;
    if (df_llm_splits_context(x)) {
        shard.m = ceil(p->m / x->cp);
    }
    if (df_llm_splits_tensor(x)) {
        shard.k = p->by_rows ? ceil(p->k / x->tp) : p->k;
        shard.n = p->by_rows ? p->n : ceil(p->n / x->tp);
    }
    return shard;
}

/* Weights that are kept wider than they are used: read, and written as they are used. */
static void add_cast(const df_llm *x, const projection *shard, df_llm_row *row)
{
    const double bytes = x->bytes.parameter + x->bytes.activation;
    if (x->bytes.parameter > x->bytes.activation && !x->rules->llm_casts_free) {
        const double n = shard->repeats * shard->k * shard->n;
        row->forward_s += df_llm_stream(x, &row->work[DF_LLM_FORWARD], 0.0, bytes * n) +
                          df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
    }
}

static void time_projection(df_llm *x, const projection *p, df_llm_row *row)
{
    const projection s = shard_of(x, p);
    const df_gemm_cost forward = df_llm_gemm(x, s.m, s.k, s.n);
    const df_gemm_cost by_input = df_llm_gradient(x, s.m, s.n, s.k);
    const df_gemm_cost by_weight = df_llm_gradient(x, s.k, s.m, s.n);
    row->present = true;
    row->forward_s = p->repeats * (forward.time_s + x->launch_s);
    row->backward_s = p->repeats * (by_input.time_s + x->launch_s) +
                      p->repeats * (by_weight.time_s + x->launch_s);
    df_llm_launches(x, row, DF_LLM_FORWARD, p->repeats);
    df_llm_launches(x, row, DF_LLM_BACKWARD, 2.0 * p->repeats);
    df_llm_add_gemm(&row->work[DF_LLM_FORWARD], &forward, p->repeats);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_input, p->repeats);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_weight, p->repeats);
    if (!df_llm_splits_context(x)) {
        row->flops = 2.0 * p->m * p->k * p->n;
        memcpy(row->traffic_bytes, forward.traffic_bytes, sizeof row->traffic_bytes);
    }
    add_cast(x, &s, row);
}

/* Collectives of a projection by columns: its input's gradient is summed over tp. */
static void add_column_colls(df_llm *x, const projection *p, df_llm_row *row)
{
    const double m = df_llm_splits_context(x) ? ceil(p->m / x->cp) : p->m;
    if (df_llm_splits_tensor(x)) {
        const bool whole = !df_llm_splits_context(x) && x->sequence_degree == 1;
        df_llm_add_coll(x, row, DF_LLM_BACKWARD,
                        whole ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER,
                        ceil(x->bytes.gradient_comm * m * p->k), &x->topo.axis[DF_AXIS_TP]);
    }
}

/* Of one by rows: its output is summed over tp. */
static void add_row_colls(df_llm *x, const projection *p, df_llm_row *row)
{
    const double m = df_llm_splits_context(x) ? ceil(p->m / x->cp) : p->m;
    if (df_llm_splits_tensor(x)) {
        df_llm_add_coll(x, row, DF_LLM_FORWARD,
                        x->mode == DF_LLM_TENSOR ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER,
                        ceil(x->bytes.activation * m * p->n), &x->topo.axis[DF_AXIS_TP]);
    }
}

/* Keys and values of the whole sequence, which context-parallel devices gather. */
static void add_kv_gather(df_llm *x, df_llm_row *row, int direction)
{
    if (df_llm_splits_context(x)) {
        const double kv = 2.0 * x->s * x->batch * x->d / x->h * x->h_kv * x->bytes.kv;
        df_llm_add_coll(x, row, direction, DF_COLL_ALL_GATHER,
                        x->mode == DF_LLM_HYBRID ? kv / x->tp : kv, &x->topo.axis[DF_AXIS_CP]);
    }
}

/* The experts that work, and the rows of each in the feed-forward GEMMs. */
typedef struct {
    double count, rows;
} experts;

static experts experts_of(const df_llm *x, const df_llm_span *span)
{
    const double tokens = x->batch * span->tokens;
    if (x->experts == 1) {
        return (experts){1.0, tokens};
    }
    if (x->rules->llm_idle_experts_run) {
        return (experts){x->experts, span->decode
                                         ? ceil(x->batch * x->top_k / x->experts)
                                         : span->tokens * x->top_k / x->experts * x->batch};
    }
    /* a token misses an expert with probability 1 - top_k / experts */
    const double busy = x->experts * (1.0 - pow(1.0 - x->top_k / x->experts, tokens));
    return (experts){busy, ceil(tokens * x->top_k / busy)};
}

static void time_projections(df_llm *x, const df_llm_span *span, df_llm_row *rows)
{
    const double m = x->batch * span->tokens;
    const experts each = experts_of(x, span);
    const projection qkv = {m, x->d, (x->h + 2.0 * x->h_kv) * x->e, false, 1};
    const projection out = {m, x->d, x->d, true, 1};
    const projection ffn1 = {each.rows, x->d, x->ffn1, false, each.count};
    const projection ffn2 = {each.rows, x->ffn, x->d, true, each.count};
    time_projection(x, &qkv, &rows[DF_LLM_QKV]);
    time_projection(x, &out, &rows[DF_LLM_OUT]);
    time_projection(x, &ffn1, &rows[DF_LLM_FFN1]);
    time_projection(x, &ffn2, &rows[DF_LLM_FFN2]);
    add_kv_gather(x, &rows[DF_LLM_QKV], DF_LLM_FORWARD);
    add_kv_gather(x, &rows[DF_LLM_OUT], DF_LLM_BACKWARD);
    add_column_colls(x, &qkv, &rows[DF_LLM_QKV]);
    add_column_colls(x, &ffn1, &rows[DF_LLM_FFN1]);
    add_row_colls(x, &out, &rows[DF_LLM_OUT]);
    add_row_colls(x, &ffn2, &rows[DF_LLM_FFN2]);
}

/* ---- What streams ---- */

/* Adds streaming work of several kernels to a row. */
static void add_stream(
    const df_llm *x, df_llm_row *row, int direction, double flops, double bytes, double kernels)
{
    const double time_s = df_llm_stream(x, &row->work[direction], flops, bytes) +
                          df_llm_launches(x, row, direction, kernels);
    if (direction == DF_LLM_BACKWARD) {
        row->backward_s += time_s;
    } else {
        row->forward_s += time_s;
    }
}

/* Elements of a norm's input on a device. */
static void
norm_elements(const df_llm *x, const df_llm_span *span, double elements[DF_LLM_DIRECTIONS])
{
    const double shared = x->batch * ceil(span->tokens / x->sequence_degree) * x->d;
    const double whole = x->batch * span->tokens * x->d;
    const bool forward_whole =
        x->mode != DF_LLM_SEQUENCE &&
        (x->rules->llm_context_norm_forward_whole || x->mode != DF_LLM_CONTEXT);
    elements[DF_LLM_FORWARD] = forward_whole ? whole : shared;
    elements[DF_LLM_BACKWARD] = shared;
    if (x->mode == DF_LLM_HYBRID) {
        elements[DF_LLM_FORWARD] = shared / x->tp;
        elements[DF_LLM_BACKWARD] = shared / x->tp;
    }
}

/* A norm and the residual that is counted with it. */
static void time_norm(df_llm *x, const df_llm_span *span, double residual, df_llm_row *row)
{
    const double st = x->bytes.statistics;
    double n[DF_LLM_DIRECTIONS];
    norm_elements(x, span, n);
    const double forward = n[DF_LLM_FORWARD];
    const double backward = n[DF_LLM_BACKWARD];
    row->present = true;
    add_stream(x, row, DF_LLM_FORWARD, 7.0 * forward, 2.0 * st * forward, 3.0);
    add_stream(x, row, DF_LLM_BACKWARD, 14.0 * backward, 4.0 * st * backward, 4.0);
    const double added = x->rules->llm_pointwise_unsharded ? residual : backward;
    add_stream(x, row, DF_LLM_FORWARD, 2.0 * added, 3.0 * x->bytes.activation * added, 1.0);
    add_stream(x, row, DF_LLM_BACKWARD, added, 3.0 * x->bytes.gradient * added, 1.0);
    if (x->mode == DF_LLM_SEQUENCE || x->mode == DF_LLM_HYBRID) {
        df_llm_add_coll(x, row, DF_LLM_FORWARD, DF_COLL_ALL_GATHER, ceil(st * forward * x->tp),
                        &x->topo.axis[DF_AXIS_TP]);
        df_llm_add_coll(x, row, DF_LLM_BACKWARD, DF_COLL_ALL_GATHER,
                        ceil(x->bytes.gradient_comm * backward * x->tp), &x->topo.axis[DF_AXIS_TP]);
    }
}

/* GELU, or the SwiGLU of llama. */
static void time_activation(const df_llm *x, const experts *each, df_llm_row *row)
{
    const bool llama = x->m->model_type == DF_LLM_LLAMA;
    const double width = llama ? fmax(floor(x->ffn1 / 2.0), 1.0) : x->ffn1;
    const double a = x->bytes.activation;
    const double gr = x->bytes.gradient;
    double n = each->rows * width;
    if (!x->rules->llm_pointwise_unsharded) {
        const double m = df_llm_splits_context(x) ? ceil(each->rows / x->cp) : each->rows;
        n = each->count * m * (df_llm_splits_tensor(x) ? ceil(width / x->tp) : width);
    }
    row->present = true;
    add_stream(x, row, DF_LLM_FORWARD, (llama ? 11.0 : 10.0) * n, (llama ? 3.0 : 2.0) * a * n, 2.0);
    add_stream(x, row, DF_LLM_BACKWARD, (llama ? 22.0 : 20.0) * n, (llama ? 5.0 : 3.0) * gr * n,
               3.0);
}

static void time_embedding(const df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double id_bytes = 4.0;
    const double tokens = span->tokens * x->batch;
    const bool whole = x->rules->llm_embedding_whole_table;
    /* a row read and a row written for each token; the reference reads the whole table */
    const double n = (whole ? (double)x->m->vocab_size : tokens) * x->d + tokens * x->d;
    const double bytes = x->bytes.activation * n;
    row->present = true;
    add_stream(x, row, DF_LLM_FORWARD, 0.0, bytes, 1.0);
    add_stream(x, row, DF_LLM_BACKWARD, 0.0, x->bytes.gradient * n, 1.0);
    if (x->dev->h2d_bytes_ps > 0.0) {
        row->forward_s += (whole ? bytes : id_bytes * tokens) / x->dev->h2d_bytes_ps;
    }
    row->traffic_bytes[DF_HW_LEVELS - 1] = bytes;
}

/* The last projection, over all tensor and context devices, and its softmax. */
static void time_logits(df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double v = (double)x->m->vocab_size;
    const double participants = x->tp * x->cp;
    const bool one_row = span->decode && x->rules->llm_decode_logits_one_row;
    const projection p = {one_row ? 1.0 : x->batch * span->tokens, x->d, ceil(v / participants),
                          false, 1.0};
    const double n = x->batch * span->tokens * v / participants;
    const double a = x->bytes.activation;
    const df_gemm_cost forward = df_llm_gemm(x, p.m, p.k, p.n);
    const df_gemm_cost by_input = df_llm_gradient(x, p.m, p.n, p.k);
    const df_gemm_cost by_weight = df_llm_gradient(x, p.k, p.m, p.n);
    row->present = true;
    row->forward_s = forward.time_s + df_llm_launches(x, row, DF_LLM_FORWARD, 1.0);
    row->backward_s =
        by_input.time_s + by_weight.time_s + df_llm_launches(x, row, DF_LLM_BACKWARD, 2.0);
    df_llm_add_gemm(&row->work[DF_LLM_FORWARD], &forward, 1.0);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_input, 1.0);
    df_llm_add_gemm(&row->work[DF_LLM_BACKWARD], &by_weight, 1.0);
    df_llm_add_coll(x, row, DF_LLM_FORWARD, DF_COLL_ALL_GATHER, ceil(a * p.m * v), &x->layer);
    df_llm_add_coll(x, row, DF_LLM_BACKWARD, DF_COLL_ALL_REDUCE,
                    ceil(x->bytes.gradient_comm * p.m * x->d), &x->layer);
    add_stream(x, row, DF_LLM_FORWARD, 7.0 * n, 4.0 * a * n, 4.0);
    add_stream(x, row, DF_LLM_BACKWARD, 4.0 * n, 3.0 * a * n, 4.0);
    row->traffic_bytes[DF_HW_LEVELS - 1] = 4.0 * a * n;
    add_cast(x, &p, row);
}

/* ---- Sums ---- */

static void sum_rows(df_llm_pass *pass)
{
    df_llm_row *const rows = pass->row;
    static const df_llm_op block[] = {DF_LLM_MHA, DF_LLM_MLP, DF_LLM_NORM1, DF_LLM_NORM2};
    df_llm_add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_QKV], true);
    df_llm_add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_ATTENTION], true);
    df_llm_add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_OUT], true);
    df_llm_add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_FFN1], true);
    df_llm_add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_ACTIVATION], true);
    df_llm_add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_FFN2], true);
    for (size_t i = 0; i < sizeof block / sizeof block[0]; i++) {
        pass->block_forward_s += rows[block[i]].forward_s;
        pass->block_backward_s += rows[block[i]].backward_s;
    }
}

/* What the backward pass computes again: the whole layer, or the attention's products, which
 * FlashAttention does in any case. */
static double recompute_s(const df_llm *x, const df_llm_pass *pass)
{
    const df_llm_row *const rows = pass->row;
    switch (x->cfg->sched.recompute) {
    case DF_RECOMPUTE_FULL:
        return pass->block_forward_s;
    case DF_RECOMPUTE_SELECTIVE:
        return rows[DF_LLM_SCORE].forward_s + rows[DF_LLM_SOFTMAX].forward_s +
               rows[DF_LLM_AV].forward_s;
    case DF_RECOMPUTE_NONE:
        break;
    }
    return 0.0;
}

void df_llm_time_pass(df_llm *x, const df_llm_span *span, df_llm_pass *pass)
{
    df_llm_row *const rows = pass->row;
    const experts each = experts_of(x, span);
    memset(pass, 0, sizeof *pass);
    x->forward_only = span->decode;
    time_projections(x, span, rows);
    df_llm_attention(x, span, rows);
    time_norm(x, span, x->batch * span->tokens * x->d, &rows[DF_LLM_NORM1]);
    time_norm(x, span, (span->decode ? x->batch : each.rows) * x->d, &rows[DF_LLM_NORM2]);
    time_activation(x, &each, &rows[DF_LLM_ACTIVATION]);
    time_logits(x, span, &rows[DF_LLM_LOGITS]);
    if (!span->decode) { /* a token's row of the table costs nothing */
        time_embedding(x, span, &rows[DF_LLM_EMBEDDING]);
    }
    sum_rows(pass);
    if (x->m->run_type == DF_RUN_TRAINING) {
        pass->recompute_s = recompute_s(x, pass);
        pass->block_backward_s += pass->recompute_s;
    }
}
