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

df_gemm_cost df_llm_gemm_cost(df_llm *x, double m, double k, double n)
{
    const df_gemm_shape shape = {m, k, n};
    df_gemm_cost cost;
    memset(&cost, 0, sizeof cost);
    if (x->status == DF_OK) {
        x->status = x->gemm->solve(x->gemm, &shape, &cost, x->err);
    }
    return cost;
}

double df_llm_bare_s(df_llm *x, double m, double k, double n)
{
    return df_llm_gemm_cost(x, m, k, n).time_s;
}

double df_llm_gemm_s(df_llm *x, double m, double k, double n)
{
    return df_llm_bare_s(x, m, k, n) + x->launch_s;
}

double df_llm_stream_s(const df_llm *x, double flops, double bytes)
{
    df_rules rules = *x->rules;
    rules.pointwise_on_registers = false;
    return df_roof_stream(x->dev, &rules, flops, trunc(bytes));
}

double df_llm_coll_s(
    const df_llm *x, df_coll_kind kind, double bytes, double participants, const df_hw_link *link)
{
    const df_coll_op op = {kind, bytes, participants, *link};
    return df_coll_ring.time_s(&df_coll_ring, x->dev, x->rules, &op);
}

/* Adds a collective to a row, forward or backward. */
static void
add_coll(const df_llm *x, df_llm_row *row, bool backward, df_coll_kind kind, double bytes, double n)
{
    const double time_s = df_llm_coll_s(x, kind, bytes, n, &x->tensor);
    if (backward) {
        row->backward_comm_s += time_s;
        row->backward_comm_bytes += bytes;
        row->backward_s += time_s;
    } else {
        row->forward_comm_s += time_s;
        row->forward_comm_bytes += bytes;
        row->forward_s += time_s;
    }
}

static bool tensor_mode(const df_llm *x)
{
    return x->mode == DF_LLM_TENSOR || x->mode == DF_LLM_SEQUENCE;
}

static bool context_mode(const df_llm *x)
{
    return x->mode == DF_LLM_CONTEXT || x->mode == DF_LLM_HYBRID;
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
    if (context_mode(x)) {
        shard.m = ceil(p->m / x->cp);
    }
    if (x->mode != DF_LLM_SINGLE && x->mode != DF_LLM_CONTEXT) {
        shard.k = p->by_rows ? ceil(p->k / x->tp) : p->k;
        shard.n = p->by_rows ? p->n : ceil(p->n / x->tp);
    }
    return shard;
}

static void time_projection(df_llm *x, const projection *p, df_llm_row *row)
{
    const projection s = shard_of(x, p);
    const df_gemm_cost forward = df_llm_gemm_cost(x, s.m, s.k, s.n);
    row->present = true;
    row->forward_s = p->repeats * (forward.time_s + x->launch_s);
    row->backward_s = p->repeats * (df_llm_gemm_s(x, s.m, s.n, s.k)) +
                      p->repeats * (df_llm_gemm_s(x, s.k, s.m, s.n));
    if (!context_mode(x)) {
        row->flops = 2.0 * p->m * p->k * p->n;
        memcpy(row->traffic_bytes, forward.traffic_bytes, sizeof row->traffic_bytes);
    }
}

/* Collectives of a projection by columns: its input's gradient is summed over tp. */
static void add_column_colls(const df_llm *x, const projection *p, df_llm_row *row)
{
    const double m = context_mode(x) ? ceil(p->m / x->cp) : p->m;
    if (x->mode != DF_LLM_SINGLE && x->mode != DF_LLM_CONTEXT) {
        const bool whole = tensor_mode(x) && x->sequence_degree == 1;
        add_coll(x, row, true, whole ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER,
                 ceil(x->bytes.gradient_comm * m * p->k), x->tp);
    }
}

/* Of one by rows: its output is summed over tp. */
static void add_row_colls(const df_llm *x, const projection *p, df_llm_row *row)
{
    const double m = context_mode(x) ? ceil(p->m / x->cp) : p->m;
    if (x->mode != DF_LLM_SINGLE && x->mode != DF_LLM_CONTEXT) {
        add_coll(x, row, false,
                 x->mode == DF_LLM_TENSOR ? DF_COLL_ALL_REDUCE : DF_COLL_REDUCE_SCATTER,
                 ceil(x->bytes.activation * m * p->n), x->tp);
    }
}

/* Keys and values of the whole sequence, which context-parallel devices gather. */
static void add_kv_gather(const df_llm *x, df_llm_row *row, bool backward)
{
    if (context_mode(x)) {
        const double kv = 2.0 * x->s * x->batch * x->d / x->h * x->h_kv * x->bytes.kv;
        add_coll(x, row, backward, DF_COLL_ALL_GATHER, x->mode == DF_LLM_HYBRID ? kv / x->tp : kv,
                 x->cp);
    }
}

/* Rows of the feed-forward GEMMs: those of one expert. */
static double ffn_rows(const df_llm *x, const df_llm_span *span)
{
    if (x->experts == 1) {
        return x->batch * span->tokens;
    }
    return span->decode ? ceil(x->batch * x->top_k / x->experts)
                        : span->tokens * x->top_k / x->experts * x->batch;
}

static void time_projections(df_llm *x, const df_llm_span *span, df_llm_row *rows)
{
    const double m = x->batch * span->tokens;
    const double ffn_m = ffn_rows(x, span);
    const projection qkv = {m, x->d, (x->h + 2.0 * x->h_kv) * x->e, false, 1};
    const projection out = {m, x->d, x->d, true, 1};
    const projection ffn1 = {ffn_m, x->d, x->ffn1, false, x->experts};
    const projection ffn2 = {ffn_m, x->ffn, x->d, true, x->experts};
    time_projection(x, &qkv, &rows[DF_LLM_QKV]);
    time_projection(x, &out, &rows[DF_LLM_OUT]);
    time_projection(x, &ffn1, &rows[DF_LLM_FFN1]);
    time_projection(x, &ffn2, &rows[DF_LLM_FFN2]);
    add_kv_gather(x, &rows[DF_LLM_QKV], false);
    add_kv_gather(x, &rows[DF_LLM_OUT], true);
    add_column_colls(x, &qkv, &rows[DF_LLM_QKV]);
    add_column_colls(x, &ffn1, &rows[DF_LLM_FFN1]);
    add_row_colls(x, &out, &rows[DF_LLM_OUT]);
    add_row_colls(x, &ffn2, &rows[DF_LLM_FFN2]);
}

/* ---- What streams ---- */

static double residual_forward_s(const df_llm *x, double n)
{
    return df_llm_stream_s(x, 2.0 * n, 3.0 * x->bytes.activation * n) + x->launch_s;
}

static double residual_backward_s(const df_llm *x, double n)
{
    return df_llm_stream_s(x, n, 3.0 * x->bytes.gradient * n) + x->launch_s;
}

/* A norm and the residual that is counted with it. */
static void time_norm(const df_llm *x, const df_llm_span *span, double residual, df_llm_row *row)
{
    const double st = x->bytes.statistics;
    const double shared = x->batch * ceil(span->tokens / x->sequence_degree) * x->d;
    double forward = x->batch * span->tokens * x->d;
    double backward = shared;
    if (x->mode == DF_LLM_HYBRID) {
        forward = shared / x->tp;
        backward = forward;
    } else if (x->mode == DF_LLM_SEQUENCE) {
        forward = shared;
    }
    row->present = true;
    row->forward_s = df_llm_stream_s(x, 7.0 * forward, 2.0 * st * forward) + 3.0 * x->launch_s +
                     residual_forward_s(x, residual);
    row->backward_s = df_llm_stream_s(x, 14.0 * backward, 4.0 * st * backward) + 4.0 * x->launch_s +
                      residual_backward_s(x, residual);
    if (x->mode == DF_LLM_SEQUENCE || x->mode == DF_LLM_HYBRID) {
        add_coll(x, row, false, DF_COLL_ALL_GATHER, ceil(st * forward * x->tp), x->tp);
        add_coll(x, row, true, DF_COLL_ALL_GATHER, ceil(x->bytes.gradient_comm * backward * x->tp),
                 x->tp);
    }
}

/* GELU, or the SwiGLU of llama, on one expert's rows. */
static void time_activation(const df_llm *x, double rows, df_llm_row *row)
{
    const bool llama = x->m->model_type == DF_LLM_LLAMA;
    const double width = llama ? fmax(floor(x->ffn1 / 2.0), 1.0) : x->ffn1;
    const double n = rows * width;
    const double a = x->bytes.activation;
    const double gr = x->bytes.gradient;
    row->present = true;
    row->forward_s = df_llm_stream_s(x, (llama ? 11.0 : 10.0) * n, (llama ? 3.0 : 2.0) * a * n) +
                     2.0 * x->launch_s;
    row->backward_s = df_llm_stream_s(x, (llama ? 22.0 : 20.0) * n, (llama ? 5.0 : 3.0) * gr * n) +
                      3.0 * x->launch_s;
}

static void time_embedding(const df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double n = (double)x->m->vocab_size * x->d + span->tokens * x->batch * x->d;
    const double bytes = x->bytes.activation * n;
    row->present = true;
    row->forward_s = df_llm_stream_s(x, 0.0, bytes) + x->launch_s;
    if (x->dev->h2d_bytes_ps > 0.0) {
        row->forward_s += bytes / x->dev->h2d_bytes_ps;
    }
    row->backward_s = df_llm_stream_s(x, 0.0, x->bytes.gradient * n) + x->launch_s;
    row->traffic_bytes[DF_HW_LEVELS - 1] = bytes;
}

/* The last projection, over all tensor and context devices, and its softmax. */
static void time_logits(df_llm *x, const df_llm_span *span, df_llm_row *row)
{
    const double v = (double)x->m->vocab_size;
    const double participants = x->tp * x->cp;
    const double columns = ceil(v / participants);
    const double m = span->decode ? 1.0 : x->batch * span->tokens;
    const double n = (span->decode ? x->batch : m) * v / participants;
    const double a = x->bytes.activation;
    row->present = true;
    row->forward_s =
        df_llm_gemm_s(x, m, x->d, columns) +
        df_llm_coll_s(x, DF_COLL_ALL_GATHER, ceil(a * m * v), participants, &x->tensor) +
        df_llm_stream_s(x, 7.0 * n, 4.0 * a * n) + 4.0 * x->launch_s;
    row->backward_s = df_llm_gemm_s(x, m, columns, x->d) + df_llm_gemm_s(x, x->d, m, columns) +
                      df_llm_coll_s(x, DF_COLL_ALL_REDUCE, ceil(x->bytes.gradient_comm * m * x->d),
                                    participants, &x->tensor) +
                      df_llm_stream_s(x, 4.0 * n, 3.0 * a * n) + 4.0 * x->launch_s;
    row->traffic_bytes[DF_HW_LEVELS - 1] = 4.0 * a * n;
}

/* ---- Sums ---- */

static void add_row(df_llm_row *sum, const df_llm_row *row)
{
    sum->present = true;
    sum->forward_s += row->forward_s;
    sum->backward_s += row->backward_s;
    sum->forward_comm_s += row->forward_comm_s;
    sum->backward_comm_s += row->backward_comm_s;
    sum->forward_comm_bytes += row->forward_comm_bytes;
    sum->backward_comm_bytes += row->backward_comm_bytes;
    sum->flops += row->flops;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum->traffic_bytes[level] += row->traffic_bytes[level];
    }
}

static void sum_rows(df_llm_pass *pass)
{
    df_llm_row *const rows = pass->row;
    static const df_llm_op block[] = {DF_LLM_MHA, DF_LLM_MLP, DF_LLM_NORM1, DF_LLM_NORM2};
    add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_QKV]);
    add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_ATTENTION]);
    add_row(&rows[DF_LLM_MHA], &rows[DF_LLM_OUT]);
    add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_FFN1]);
    add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_ACTIVATION]);
    add_row(&rows[DF_LLM_MLP], &rows[DF_LLM_FFN2]);
    for (size_t i = 0; i < sizeof block / sizeof block[0]; i++) {
        pass->block_forward_s += rows[block[i]].forward_s;
        pass->block_backward_s += rows[block[i]].backward_s;
    }
}

void df_llm_time_pass(df_llm *x, const df_llm_span *span, df_llm_pass *pass)
{
    df_llm_row *const rows = pass->row;
    const double ffn_m = ffn_rows(x, span);
    memset(pass, 0, sizeof *pass);
    time_projections(x, span, rows);
    df_llm_attention(x, span, rows);
    time_norm(x, span, x->batch * span->tokens * x->d, &rows[DF_LLM_NORM1]);
    time_norm(x, span, (span->decode ? x->batch : ffn_m) * x->d, &rows[DF_LLM_NORM2]);
    time_activation(x, ffn_m, &rows[DF_LLM_ACTIVATION]);
    time_logits(x, span, &rows[DF_LLM_LOGITS]);
    if (!span->decode) { /* a token's row of the table costs nothing */
        time_embedding(x, span, &rows[DF_LLM_EMBEDDING]);
    }
    sum_rows(pass);
}
