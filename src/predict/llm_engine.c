/* Inference by the calibrated rules, as an engine runs a batch, and the power of boards. */
#include <math.h>
#include <string.h>

#include "engine/engine.h"
#include "predict/predict_impl.h"

/* ---- Inference ---- */

static df_status check_run(const df_job *x)
{
    if (x->coster.simulated) {
        return df_fail(x->err, DF_EINVAL,
                       "execution_backend.model: expected analytical for inference under the "
                       "calibrated rules, found astra; --rules corrected simulates it");
    }
    if (fmod(x->split.tp, df_split_ep(&x->split)) != 0.0) {
        return df_fail(x->err, DF_INFEASIBLE,
                       "scheduling_param.ep: expected a divisor of tp %g for inference under the "
                       "calibrated rules, found %g",
                       x->split.tp, x->split.ep);
    }
    if (x->split.cp > 1.0) {
        return df_fail(x->err, DF_INFEASIBLE,
                       "scheduling_param.cp: expected 1 for inference under the calibrated rules, "
                       "found %g",
                       x->split.cp);
    }
    return DF_OK;
}

/* Adds a kind of layer of a pass, as the share of all layers that it is. */
static void
add_kind(const df_server *s, int kind, const df_engine_pass *pass, double tokens, df_ops *ops)
{
    df_ops more;
    df_server of = df_engine_of_kind(s, kind);
    const double share = s->stack->kinds > 1 ? of.dims->layers / s->stack->layers : 1.0;
    of.absorbed = df_engine_absorbs(of.dims, pass);
    df_engine_layer_ops(&of, tokens, &more);
    for (int i = 0; i < more.count; i++) {
        more.op[i].share = share;
        *df_ops_append(ops) = more.op[i];
    }
    df_engine_attention_ops(&of, pass, &more);
    for (int i = 0; i < more.count; i++) {
        more.op[i].share = share;
        *df_ops_append(ops) = more.op[i];
    }
}

/* The mean layer of a pass, and the choice of tokens. */
static df_status fill_table(
    const df_server *s, const df_engine_pass *pass, double tokens, double rows, df_breakdown *table)
{
    df_ops ops = {.count = 0};
    df_ops more;
    df_price price[DF_OPS_MAX];
    for (int k = 0; k < s->stack->kinds; k++) {
        add_kind(s, k, pass, tokens, &ops);
    }
    df_engine_head_ops(s, rows, &more);
    for (int i = 0; i < more.count; i++) {
        *df_ops_append(&ops) = more.op[i];
    }
    DF_TRY(df_engine_price_ops(s, &ops, price));
    df_breakdown_fill(&ops, price, 0.0, table);
    return DF_OK;
}

static df_status fill_tables(const df_job *x,
                             const df_server *s,
                             const df_static_batch *b,
                             double sequences,
                             df_llm_result *out)
{
    const df_chunks prompts = {sequences, b->input, 0.0};
    const df_engine_pass prefill = {.chunks = &prompts, .kinds = 1, .ends = sequences};
    const df_engine_pass decode = {.sequences = sequences, .context = b->input + b->output};
    if (!x->usages && !x->memory->watch) {
        return DF_OK;
    }
    DF_TRY(fill_table(s, &prefill, sequences * b->input, sequences, &out->pass));
    return fill_table(s, &decode, sequences, sequences, &out->decode);
}

static double per_second(double rate, double sequences)
{
    return rate > 0.0 ? rate / sequences : 0.0;
}

/* A decoded token comes out of the prefill; without one to decode there is the prefill alone. */
static df_static_batch batch_of(const df_job *x)
{
    const df_cfg_llm *const m = &x->cfg->llm;
    return (df_static_batch){.sequences = fmax(1.0, (double)m->batch_size / x->split.dp),
                             .input = fmax(1.0, (double)(m->seq_len - m->decode_len)),
                             .output = fmax(1.0, (double)m->decode_len)};
}

static double forward_flops(const df_job *x, const df_static_batch *b)
{
    const double sequences = (double)x->cfg->llm.batch_size;
    const double steps = b->output - 1.0;
    df_span span = df_span_of(&x->dims, &x->split, b->input, b->input, false);
    span.sampled = true;
    const double prefill = df_transformer_flops(&x->stack, &span, sequences, false);
    span = df_span_of(&x->dims, &x->split, 1.0, b->input + 0.5 * (steps + 1.0), true);
    return prefill + steps * df_transformer_flops(&x->stack, &span, sequences, false);
}

/* What the technology takes for the work of all devices, where nothing is known of boards. */
static void add_energy(
    const df_job *x, const df_server *s, const df_static_batch *b, double slots, df_energy *e)
{
    df_board_work work;
    const double devices = x->split.tp * x->split.pp * x->split.dp;
    df_engine_work(s, b, slots, &work);
    e->compute_j = x->tariff.flop_j * work.flops * devices;
    e->memory_j[DF_HW_LEVELS - 1] =
        x->tariff.byte_j[DF_HW_LEVELS - 1] * (work.bytes + work.cache_bytes) * devices;
}

df_status df_llm_infer_calibrated(df_job *x, df_llm_result *out)
{
    df_engine engine;
    df_deployment what;
    df_server server;
    df_static_times t;
    const df_card card = x->calibrated.card;
    const df_fabric fabric = x->calibrated.fabric;
    const df_static_batch batch = batch_of(x);
    DF_TRY(check_run(x));
    df_engine_of(x->cfg, &engine);
    df_engine_deployment_of(x->cfg, x->coster.dev, &what);
    what.stack = &x->stack;
    what.split = &x->split;
    what.card = &card;
    what.fabric = &fabric;
    what.board = df_board_of(&x->cfg->board);
    df_engine_server(&engine, &what, &server);
    server.prices.load.sustained = !df_predict_is_short(x->cfg);
    df_kernel_memo_use(x->memory->kernels, &card, &server.prices.load);
    server.prices.memo = x->memory->kernels;
    df_engine_static(&server, &batch, &t);
    const double sequences = fmin(t.slots, batch.sequences);
    DF_TRY(fill_tables(x, &server, &batch, sequences, out));
    const double token_bytes = t.memory.token_bytes * x->split.pp * x->split.tp;
    out->prefill_s = t.prefill_s;
    out->decode_s = t.decode_s;
    out->time_s = t.total_s;
    out->first_token_s = t.first_token_s;
    out->turns = t.turns;
    out->at_once = sequences * x->split.dp;
    out->model_flops = forward_flops(x, &batch);
    out->tokens_ps = (df_llm_rates){
        per_second(t.first_ps, sequences), per_second(t.middle_ps, sequences),
        per_second(t.last_ps, sequences),
        t.decode_s > 0.0 ? (batch.output - 1.0) / t.decode_s : 0.0, (int64_t)(batch.output / 2.0)};
    out->kv_prefill_store_bytes = token_bytes * batch.sequences * batch.input;
    out->kv_decode_store_bytes = token_bytes * batch.sequences * (batch.output - 1.0);
    out->kv_decode_fetch_bytes =
        token_bytes * batch.sequences * (batch.output - 1.0) * (batch.input + 0.5 * batch.output);
    out->board_w = t.power_w;
    add_energy(x, &server, &batch, t.slots, &out->energy);
    return DF_OK;
}

void df_llm_engine_memory(const df_cfg *cfg, df_memory *out)
{
    const df_card card = {.bundles = 1.0, .flops_ps = 1.0}; /* memory needs no rates */
    const df_fabric fabric = {.node = 1.0};
    const df_hw_device dev = {
        .mem = {[DF_HW_LEVELS - 1] = {.size_bytes = cfg->tech.dram.size_bytes}}};
    df_stack stack;
    df_split split;
    df_engine engine;
    df_deployment what;
    df_server server;
    df_engine_memory m;
    df_stack_read(cfg, &stack);
    df_split_read(cfg, &split);
    df_engine_of(cfg, &engine);
    df_engine_deployment_of(cfg, &dev, &what);
    what.stack = &stack;
    what.split = &split;
    what.card = &card;
    what.fabric = &fabric;
    df_engine_server(&engine, &what, &server);
    df_engine_memory_of(&server, &m);
    const double tokens = (double)cfg->llm.seq_len;
    const double sequences = fmax(1.0, (double)cfg->llm.batch_size / split.dp);
    const bool sized = cfg->tech.dram.size_bytes > 0.0;
    const double at_once =
        sized ? fmin(sequences, df_engine_slots(&server, &m, tokens)) : sequences;
    *out = (df_memory){.stage = 0};
    out->part_bytes[DF_MEMORY_WEIGHTS] = m.weight_bytes;
    out->part_bytes[DF_MEMORY_ACTIVATIONS] = engine.kv_reserve_bytes;
    out->part_bytes[DF_MEMORY_KV_CACHE] = df_engine_sequence_bytes(&server, tokens) * at_once;
    out->total_bytes =
        m.weight_bytes + engine.kv_reserve_bytes + out->part_bytes[DF_MEMORY_KV_CACHE];
}

/* ---- Power ---- */

/* What a byte of a cache takes more: the mean of A100 and H100, 221.6 and 126.6 pJ. */
static const double cache_byte_j = 174.1e-12;

df_cfg_board df_board_of(const df_cfg_board *given)
{
    df_cfg_board board = *given;
    if (!(board.base_w > 0.0) && board.limit_w > 0.0) {
        board.base_w = DF_BOARD_BASE_SHARE * board.limit_w;
        board.cache_byte_j = board.cache_byte_j > 0.0 ? board.cache_byte_j : cache_byte_j;
    }
    return board;
}

void df_llm_board_power(df_job *x, df_llm_result *out)
{
    const df_cfg_board board = df_board_of(&x->cfg->board);
    const double devices = x->split.tp * x->split.cp * x->split.dp * x->split.pp;
    if (x->training && board.base_w > 0.0) {
        /* flops and bytes of all devices are the energies of a device that takes a joule for each
         */
        const df_tariff technology = x->tariff;
        df_energy counted;
        memset(&x->tariff, 0, sizeof x->tariff);
        x->tariff.flop_j = 1.0;
        x->tariff.byte_j[DF_HW_LEVELS - 1] = 1.0;
        df_llm_pass_energy(x, &counted);
        x->tariff = technology;
        const df_board_work work = {.flops = counted.compute_j / devices,
                                    .bytes = counted.memory_j[DF_HW_LEVELS - 1] / devices};
        out->board_w = df_board_power_w(&board, &work, out->time_s);
    }
    if (out->board_w > 0.0) {
        memset(&out->energy, 0, sizeof out->energy);
        out->energy.total_j = out->board_w * out->time_s * devices;
    }
    if (!x->training) { /* at the same power */
        out->prefill_energy_j = out->energy.total_j * out->prefill_s / out->time_s;
        out->decode_energy_j = out->energy.total_j * out->decode_s / out->time_s;
    }
}
