/* Properties that every prediction of an LLM has, tried on random models and strategies. */
#include <stdlib.h>

#include "base/mt19937.h"
#include "support/llm_case.h"

enum { CASES = 120 };

/* ---- Allocations, counted: the linker sends all here ---- */

/* the linker's names:
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static int64_t *allocations(void)
{
    static int64_t count;
    return &count;
}

void *__wrap_malloc(size_t size)
{
    ++*allocations();
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    ++*allocations();
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    ++*allocations();
    return __real_realloc(memory, size);
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming) */

/* ---- Random cases ---- */

static int64_t pick(df_mt19937 *rng, int64_t below)
{
    return (int64_t)(df_mt_next(rng) % (uint32_t)below);
}

/* 1, 2, ... 2^most */
static int64_t power(df_mt19937 *rng, int64_t most)
{
    return (int64_t)1 << pick(rng, most + 1);
}

static df_cfg random_case(df_mt19937 *rng)
{
    df_cfg cfg = df_llm_case(pick(rng, 2) ? DF_RUN_TRAINING : DF_RUN_INFERENCE);
    df_cfg_llm *const m = &cfg.llm;
    const int64_t heads = 8 * power(rng, 3);
    m->attention.num_heads = heads;
    m->attention.kv_heads = heads / power(rng, 3);
    m->attention.use_flashattention = pick(rng, 2);
    m->hidden_dim = heads * 32 * power(rng, 2);
    m->intermediate_size = m->hidden_dim * (2 + pick(rng, 3));
    m->num_layers = 4 * (1 + pick(rng, 8));
    m->seq_len = 128 * power(rng, 4);
    m->decode_len = 8 * power(rng, 3);
    m->vocab_size = 1000 * (1 + pick(rng, 100));
    m->tied_embeddings = pick(rng, 2);
    m->model_type = pick(rng, 2) ? DF_LLM_LLAMA : DF_LLM_GPT;
    const int64_t dp = power(rng, 2);
    const int64_t mb = m->run_type == DF_RUN_TRAINING ? power(rng, 3) : 1;
    m->batch_size = dp * mb * power(rng, 3);
    df_llm_case_split(&cfg, power(rng, 3), dp, power(rng, 2), mb);
    cfg.sched.tp_sp = pick(rng, 2);
    cfg.sw.dp_zero_stage = (int)pick(rng, 4);
    if (m->run_type == DF_RUN_TRAINING) {
        cfg.sched.recompute = (df_recompute)pick(rng, 3);
        cfg.sched.schedule = pick(rng, 2) ? DF_ORDER_1F1B : DF_ORDER_GPIPE;
    }
    return cfg;
}

/* Runs a check on all cases under both sets of rules. */
static void for_all(void (*check)(const df_cfg *cfg, const df_rules *rules))
{
    const df_rules rules[] = {df_rules_reference(), df_rules_corrected()};
    df_mt19937 rng;
    df_mt_init(&rng, 11);
    for (int i = 0; i < CASES; i++) {
        const df_cfg cfg = random_case(&rng);
        check(&cfg, &rules[i % 2]);
    }
}

static double time_s(const df_cfg *cfg, const df_rules *rules)
{
    return df_llm_case_predict(cfg, rules).time_s;
}

/* `faster` is no slower than `slower`, but for rounding. */
static void
assert_no_slower(const df_cfg *faster, const df_cfg *slower, double rounding, const df_rules *rules)
{
    const double fast_s = time_s(faster, rules);
    const double slow_s = time_s(slower, rules);
    if (!(fast_s <= slow_s * (1 + rounding))) {
        const df_cfg *const c = slower;

        fail_msg(
            "%.17g s became %.17g s: hidden %d heads %d/%d layers %d seq %d batch %d, tp %d dp "
            "%d lp %d mb %d, flash %d, training %d, ZeRO %d",
            slow_s, fast_s, (int)c->llm.hidden_dim, (int)c->llm.attention.num_heads,
            (int)c->llm.attention.kv_heads, (int)c->llm.num_layers, (int)c->llm.seq_len,
            (int)c->llm.batch_size, (int)c->sched.tp, (int)c->sched.dp, (int)c->sched.lp,
            (int)c->sched.mb, c->llm.attention.use_flashattention,
            c->llm.run_type == DF_RUN_TRAINING, c->sw.dp_zero_stage);
    }
}

static void check_bandwidths(const df_cfg *cfg, const df_rules *rules)
{
    df_cfg faster[5] = {*cfg, *cfg, *cfg, *cfg, *cfg};
    faster[0].tech.dram.bandwidth_bytes_ps *= 1.7;
    faster[1].tech.intra.bandwidth_bytes_ps *= 1.7;
    faster[2].tech.intra.latency_s /= 1.7;
    faster[3].tech.sram[2].bandwidth_bytes_ps *= 1.7;
    faster[4].tech.sram[1].bandwidth_bytes_ps *= 1.7;
    for (int i = 0; i < 5; i++) {
        assert_no_slower(&faster[i], cfg, 1e-12, rules);
    }
    /* tiles are chosen by the time of their traffic, so that a faster core may take such as
     * last a little longer */
    df_cfg core = *cfg;
    core.tech.core.nominal_flop_rate_per_mcu *= 2;
    assert_no_slower(&core, cfg, 2e-3, rules);
}

static void time_falls_with_every_rate(void **state)
{
    (void)state;
    for_all(check_bandwidths);
}

/* What one device computes in a layer. */
static double compute_s(const df_cfg *cfg, const df_rules *rules)
{
    const df_breakdown pass = df_llm_case_predict(cfg, rules).pass;
    const df_row *const mha = &pass.row[DF_ROW_MHA];
    const df_row *const mlp = &pass.row[DF_ROW_MLP];
    return mha->side[DF_FORWARD].time_s - mha->side[DF_FORWARD].comm_s +
           mlp->side[DF_FORWARD].time_s - mlp->side[DF_FORWARD].comm_s;
}

static void check_shards(const df_cfg *cfg, const df_rules *rules)
{
    df_cfg more = *cfg;
    if (cfg->sched.tp > 1 && cfg->llm.attention.num_heads % (2 * cfg->sched.tp) == 0) {
        df_llm_case_split(&more, 2 * cfg->sched.tp, cfg->sched.dp, cfg->sched.lp, cfg->sched.mb);
        assert_true(compute_s(&more, rules) <= compute_s(cfg, rules) * (1 + 1e-12));
    }
}

static void shards_compute_no_longer(void **state)
{
    (void)state;
    for_all(check_shards);
}

static void check_zero(const df_cfg *cfg, const df_rules *rules)
{
    df_cfg one = *cfg;
    one.llm.batch_size /= cfg->sched.dp;
    df_llm_case_split(&one, cfg->sched.tp, 1, cfg->sched.lp, cfg->sched.mb);
    df_cfg none = one;
    none.sw.dp_zero_stage = 0;
    df_assert_rel(time_s(&one, rules), time_s(&none, rules), 0);
}

static void one_replica_has_no_zero(void **state)
{
    (void)state;
    for_all(check_zero);
}

static void check_phases(const df_cfg *cfg, const df_rules *rules)
{
    if (cfg->llm.run_type == DF_RUN_INFERENCE) {
        df_cfg prompt = *cfg;
        prompt.llm.seq_len -= cfg->llm.decode_len; /* the rest of it is the prompt */
        prompt.llm.decode_len = 0;
        const df_llm_result whole = df_llm_case_predict(cfg, rules);
        df_assert_rel(whole.time_s, whole.prefill_s + whole.decode_s, 0);
        df_assert_rel(whole.prefill_s, time_s(&prompt, rules), 0);
        assert_true(whole.decode_s > 0);
    }
}

static void phases_add_up(void **state)
{
    (void)state;
    for_all(check_phases);
}

/* A predictor that has seen all shapes allocates nothing, and predicts the same. */
static void predictions_allocate_nothing(void **state)
{
    (void)state;
    const df_rules rules = df_rules_corrected();
    df_mt19937 rng;
    df_err err;
    df_mt_init(&rng, 12);
    df_predictor *const predictor = df_predictor_new();
    for (int i = 0; i < CASES; i++) {
        const df_cfg cfg = random_case(&rng);
        const df_hw_device dev = df_llm_case_device(&cfg);
        df_prediction first;
        df_prediction second;
        assert_int_equal(df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS,
                                    &first, &err),
                         DF_OK);
        const int64_t before = *allocations();
        assert_int_equal(df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS,
                                    &second, &err),
                         DF_OK);
        assert_int_equal(*allocations(), before);
        df_assert_rel(second.time_s, first.time_s, 0);
        df_assert_rel(second.time_s, time_s(&cfg, &rules), 0);
    }
    df_predictor_free(predictor);
    assert_true(*allocations() > 0); /* they are counted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_falls_with_every_rate),   cmocka_unit_test(shards_compute_no_longer),
        cmocka_unit_test(one_replica_has_no_zero),      cmocka_unit_test(phases_add_up),
        cmocka_unit_test(predictions_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
