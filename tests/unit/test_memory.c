/* Memory of a device, by component: sums over operators against closed forms. */
#include <math.h>

#include "model/dims.h"
#include "predict/predict.h"
#include "support/llm_case.h"

static const double GIB = 1073741824.0;

/* A GPT of the table in Korthikanti et al., MLSys 2023, in 16 bits with fp32 copies. */
static df_cfg gpt(int64_t layers, int64_t hidden, int64_t heads, int64_t batch)
{
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_cfg_llm *const m = &cfg.llm;
    m->model_type = DF_LLM_GPT;
    m->num_layers = layers;
    m->hidden_dim = hidden;
    m->intermediate_size = 4 * hidden;
    m->attention.num_heads = heads;
    m->attention.attention_type = DF_ATTENTION_MHA;
    m->seq_len = 2048;
    m->vocab_size = 51200;
    m->batch_size = batch;
    m->tied_embeddings = true;
    cfg.sched.tp_sp = false;
    cfg.sched.schedule = DF_ORDER_1F1B;
    cfg.sw.precision.mixed_precision = true;
    cfg.sw.precision.param_storage = DF_STORE_TENSOR_FP32_MASTER;
    return cfg;
}

static df_memory stage_of(const df_cfg *cfg, int64_t stage)
{
    const df_rules rules = df_rules_corrected();
    df_memory memory;
    df_err err;
    if (df_cfg_check(cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_predict_memory_of_stage(cfg, &rules, stage, &memory);
    return memory;
}

/* 22B on 8 devices: s b h (10 + 24 / t + 5 a s / (h t)) bytes a layer, and a mask of s b h
 * after the embedding; the paper's figure 1 says 59.25 GiB without the mask. */
static void activations_follow_the_paper(void **state)
{
    (void)state;
    df_cfg cfg = gpt(48, 6144, 64, 4);
    df_llm_case_split(&cfg, 8, 1, 1, 1);
    const double sbh = 2048.0 * 4 * 6144;
    const double core = 5.0 * 64 * 2048 / 6144 / 8;
    const df_memory none = stage_of(&cfg, 0);
    df_assert_rel(none.part_bytes[DF_MEMORY_ACTIVATIONS], sbh * (48 * (10 + 24.0 / 8 + core) + 1),
                  1e-12);
    df_assert_rel(none.part_bytes[DF_MEMORY_ACTIVATIONS], 59.25 * GIB, 0.001);
    assert_true(none.part_bytes[DF_MEMORY_RECOMPUTED] == 0);
    cfg.sched.tp_sp = true;
    cfg.sched.recompute = DF_RECOMPUTE_SELECTIVE;
    const df_memory selective = stage_of(&cfg, 0);
    df_assert_rel(selective.part_bytes[DF_MEMORY_ACTIVATIONS], sbh * (48 * 34.0 / 8 + 1.0 / 8),
                  1e-12);
    df_assert_rel(selective.part_bytes[DF_MEMORY_RECOMPUTED], sbh * core, 1e-12);
    cfg.sched.recompute = DF_RECOMPUTE_FULL;
    cfg.sched.tp_sp = false;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_ACTIVATIONS], sbh * (48 * 2 + 1), 1e-12);
}

/* Two devices share the sequence, and two the tensors of each half: context parallelism shards
 * what is outside of the GEMMs over tp too, so that all 34 bytes of the paper's equation 4 are
 * halved, with tp_sp or without. The queries of a half attend to the keys of the whole. */
static void context_parallel_devices_shard_the_sequence(void **state)
{
    (void)state;
    df_cfg cfg = gpt(4, 512, 8, 8);
    cfg.sched.cp = 2;
    df_llm_case_split(&cfg, 2, 1, 1, 1);
    const double sbh = 2048.0 / 2 * 8 * 512;
    const double core = 5.0 * 8 * 2048 / 512 / 2;
    for (int sequence = 0; sequence < 2; sequence++) {
        cfg.sched.tp_sp = sequence == 1;
        df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_ACTIVATIONS],
                      sbh * (4 * (34.0 / 2 + core) + 1.0 / 2), 1e-12);
    }
}

/* 175B on 8 x 8 devices, three parts a stage: L (1 + (p - 1) / (p v)) layers are in flight on
 * the first stage; figure 1 says 12.35 GiB with selective recomputation. */
static void schedules_bound_what_is_in_flight(void **state)
{
    (void)state;
    df_cfg cfg = gpt(96, 12288, 96, 64);
    df_llm_case_split(&cfg, 8, 1, 8, 64);
    cfg.sched.tp_sp = true;
    cfg.sched.recompute = DF_RECOMPUTE_SELECTIVE;
    const double layer = 2048.0 * 12288 * 34 / 8;
    const double mask = 2048.0 * 12288 / 8;
    cfg.sched.schedule = DF_ORDER_INTERLEAVED;
    cfg.sched.virtual_stages = 3;
    const double in_flight = 96 * (1 + 7.0 / (8 * 3));
    const df_memory interleaved = stage_of(&cfg, 0);
    df_assert_rel(interleaved.part_bytes[DF_MEMORY_ACTIVATIONS],
                  in_flight * layer + in_flight / 12 * mask, 1e-12);
    df_assert_rel(interleaved.part_bytes[DF_MEMORY_ACTIVATIONS], 12.352 * GIB, 0.005);
    cfg.sched.schedule = DF_ORDER_1F1B;
    cfg.sched.virtual_stages = 1;
    for (int64_t stage = 0; stage < 8; stage++) {
        df_assert_rel(stage_of(&cfg, stage).part_bytes[DF_MEMORY_ACTIVATIONS],
                      12.0 * (double)(8 - stage) * layer + (stage == 0 ? 8 * mask : 0), 1e-12);
    }
    cfg.sched.schedule = DF_ORDER_GPIPE;
    df_assert_rel(stage_of(&cfg, 3).part_bytes[DF_MEMORY_ACTIVATIONS], 12.0 * 64 * layer, 1e-12);
}

/* 2 + 4 + 4 + 8 bytes a parameter; ZeRO 1 splits 12 of them, 2 four more, 3 all. */
static void zero_splits_what_it_says(void **state)
{
    (void)state;
    df_cfg cfg = gpt(4, 512, 8, 8);
    df_llm_case_split(&cfg, 1, 4, 1, 1);
    const double n = 4 * 12.0 * 512 * 512 + 51200.0 * 512; /* one table */
    static const double bytes[4] = {2 + 4 + 4 + 8, 2 + 4 + 12 / 4.0, 2 + 16 / 4.0, 18 / 4.0};
    for (int zero = 0; zero <= 3; zero++) {
        cfg.sw.dp_zero_stage = zero;
        const df_memory memory = stage_of(&cfg, 0);
        df_assert_rel(memory.part_bytes[DF_MEMORY_WEIGHTS] + memory.part_bytes[DF_MEMORY_MASTER] +
                          memory.part_bytes[DF_MEMORY_GRADIENTS] +
                          memory.part_bytes[DF_MEMORY_OPTIMIZER],
                      bytes[zero] * n, 1e-12);
        /* two tables and the gradient of one: a table is the largest that is gathered */
        df_assert_rel(memory.part_bytes[DF_MEMORY_GATHERED],
                      zero == 3 ? (2 + 2 + 2) * 51200.0 * 512 : 0, 1e-12);
    }
}

/* The last stage has the logits: in 2 bytes, in 4, their softmax, and two inputs. */
static void logits_are_on_the_last_stage(void **state)
{
    (void)state;
    df_cfg cfg = gpt(4, 512, 8, 8);
    df_llm_case_split(&cfg, 2, 1, 2, 2);
    assert_true(stage_of(&cfg, 0).part_bytes[DF_MEMORY_LOGITS] == 0);
    const double tokens = 4.0 * 2048;
    df_assert_rel(stage_of(&cfg, 1).part_bytes[DF_MEMORY_LOGITS],
                  tokens * (2 * 2 * 512 + 10 * 51200.0 / 2), 1e-12);
    df_memory peak;
    const df_rules rules = df_rules_corrected();
    df_predict_memory_peak(&cfg, &rules, &peak);
    assert_int_equal(peak.stage, 1);
    df_assert_rel(peak.total_bytes, stage_of(&cfg, 1).total_bytes, 0);
}

/* Keys and values of 4 heads of 64, 2 bytes each, of 256 positions of 8 sequences, 4 layers. */
static void caches_hold_every_position(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    const double whole = 2.0 * 8 * 256 * 4 * 64 * 2 * 4;
    const df_memory one = stage_of(&cfg, 0);
    df_assert_rel(one.part_bytes[DF_MEMORY_KV_CACHE], whole, 1e-12);
    assert_true(one.part_bytes[DF_MEMORY_OPTIMIZER] == 0);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_KV_CACHE], whole / 4, 1e-12);
    df_llm_case_split(&cfg, 8, 1, 1, 1); /* two devices share a head, and both keep it */
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_KV_CACHE], whole / 4, 1e-12);
    cfg.sw.precision.kv_cache_bytes = 1;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_KV_CACHE], whole / 8, 1e-12);
}

/* ---- Any widths ---- */

/* Bytes of one layer and micro-batch: table 2 of the same paper. */
typedef struct {
    double outside, core, input, masks;
} closed_form;

static closed_form closed_form_of(const df_cfg *cfg)
{
    const df_cfg_llm *const m = &cfg->llm;
    const bool gpt = m->model_type == DF_LLM_GPT;
    const double a = cfg->sw.precision.tensor_bytes;
    const double d = (double)m->hidden_dim;
    const double heads = (double)m->attention.num_heads;
    const double kv = d / heads * (double)m->attention.kv_heads;
    const double inner = (double)m->intermediate_size * (gpt ? 2.0 : 3.0) * (double)m->top_k;
    const double t = (double)cfg->sched.tp;
    const double tokens = (double)(m->batch_size * m->seq_len) / (double)cfg->sched.cp;
    const double q = cfg->sched.tp_sp || cfg->sched.cp > 1 ? t : 1.0;
    const double scores = tokens * heads * (double)m->seq_len / t;
    return (closed_form){
        .outside = tokens * ((4 * a + (gpt ? 2 : 0)) * d / q + a * (2 * d + 2 * kv + inner) / t),
        .core = m->attention.use_flashattention ? 4 * tokens * heads / t
                                                : (gpt ? 2 * a + 1 : a) * scores,
        .input = tokens * a * d / q,
        .masks = gpt ? tokens * d / q : 0};
}

/* Each bit of `variant` is a choice. Three devices share widths that 3 does not divide. */
static df_cfg variant_of(unsigned variant)
{
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_cfg_llm *const m = &cfg.llm;
    const bool experts = (variant & 4) != 0;
    m->model_type = (variant & 1) != 0 ? DF_LLM_GPT : DF_LLM_LLAMA;
    m->attention.use_flashattention = (variant & 2) != 0;
    m->num_experts = experts ? 8 : 1;
    m->top_k = experts ? 2 : 1;
    cfg.sched.cp = (variant & 8) != 0 && !experts ? 2 : 1;
    cfg.sched.tp_sp = (variant & 16) != 0;
    df_llm_case_split(&cfg, experts ? 1 : 3, 1, 1, 1);
    return cfg;
}
enum { VARIANTS = 32 };

static void layers_keep_what_closed_forms_say(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        df_cfg cfg = variant_of(variant);
        const closed_form form = closed_form_of(&cfg);
        const double kept[] = {[DF_RECOMPUTE_NONE] = form.outside + form.core,
                               [DF_RECOMPUTE_SELECTIVE] = form.outside,
                               [DF_RECOMPUTE_FULL] = form.input};
        for (int again = DF_RECOMPUTE_NONE; again <= DF_RECOMPUTE_FULL; again++) {
            cfg.sched.recompute = (df_recompute)again;
            const df_memory memory = stage_of(&cfg, 0);
            df_assert_rel(memory.part_bytes[DF_MEMORY_ACTIVATIONS], 4 * kept[again] + form.masks,
                          1e-12);
            df_assert_rel(memory.part_bytes[DF_MEMORY_RECOMPUTED],
                          form.outside + form.core - kept[again], 1e-12);
        }
    }
}

/* The devices of all stages together hold each layer, and a table at each end of the pipeline; on
 * a single stage, tied embeddings are one table. */
static void devices_hold_every_weight(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        df_cfg cfg = variant_of(variant);
        df_dims dims;
        cfg.llm.tied_embeddings = (variant & 2) != 0;
        if (cfg.llm.num_experts == 1) { /* 4 layers; 2 and 2; 2, 2 and none */
            df_llm_case_split(&cfg, 3, 1, variant % 3 + 1, 1);
        }
        df_dims_read(&cfg, &dims);
        const double tables = cfg.sched.lp == 1 && dims.tied ? 1 : 2;
        const double n = 4 * df_dims_layer_params(&dims) + tables * df_dims_table_params(&dims);
        double held_bytes = 0;
        for (int64_t stage = 0; stage < cfg.sched.lp; stage++) {
            held_bytes +=
                (double)cfg.sched.tp * stage_of(&cfg, stage).part_bytes[DF_MEMORY_WEIGHTS];
        }
        df_assert_rel(held_bytes, 2 * n, 1e-12);
    }
}

/* A layer's input and output, and the widest between them: 512 + 2 * 256 or 3 * 1024 elements,
 * over 3 devices; scores of 8 heads and 240 positions of a prompt; the logits of its last. */
static void prompts_need_the_widest_operator(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_INFERENCE);
    cfg.sched.tp_sp = false;
    df_llm_case_split(&cfg, 3, 1, 1, 2);
    const double tokens = 4 * 240;
    const double scores = 2 * tokens * 8 * 240 / 3;
    const df_memory wide = stage_of(&cfg, 0);
    df_assert_rel(wide.part_bytes[DF_MEMORY_ACTIVATIONS],
                  2 * tokens * (2 * 512 + 3 * 1024 / 3.0) + scores, 1e-12);
    df_assert_rel(wide.part_bytes[DF_MEMORY_LOGITS], 4.0 * 4 * 1000 / 3, 1e-12);
    cfg.llm.intermediate_size = 16;
    cfg.llm.attention.use_flashattention = true;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_ACTIVATIONS],
                  2 * tokens * (2 * 512 + 1024 / 3.0), 1e-12);
}

/* ---- Any list ---- */

static void lists_need_no_configuration(void **state)
{
    (void)state;
    static const df_ops ops = {
        .op = {{.block = DF_BLOCK_LAYER, .row = DF_ROW_NORM1, .memory = {.saved_bytes = 1}},
               {.block = DF_BLOCK_LAYER,
                .row = DF_ROW_QKV,
                .memory = {.params = 7, .saved_bytes = 10}},
               {.block = DF_BLOCK_LAYER, .row = DF_ROW_SOFTMAX, .memory = {.saved_bytes = 100}},
               {.block = DF_BLOCK_EMBEDDING,
                .row = DF_ROW_EMBEDDING,
                .memory = {.params = 5, .saved_bytes = 1000}}},
        .count = 4};
    df_memory_use use = {.pipe = {.layers = 3, .stages = 2, .virtual_stages = 1, .batches = 4},
                         .training = true,
                         .order = &df_orders[DF_ORDER_1F1B],
                         .replicas = 1,
                         .weight_bytes = 2,
                         .moment_bytes = 8};
    df_memory memory;
    df_memory_of_stage(&ops, &use, 0, &memory); /* two layers of two micro-batches */
    df_assert_rel(memory.part_bytes[DF_MEMORY_WEIGHTS], 2 * (2 * 7 + 5), 0);
    df_assert_rel(memory.part_bytes[DF_MEMORY_OPTIMIZER], 2 * 8 * (2 * 7 + 5), 0);
    df_assert_rel(memory.part_bytes[DF_MEMORY_ACTIVATIONS], 4 * 111 + 2 * 1000, 0);
    use.attention_again = true;
    df_memory_of_stage(&ops, &use, 1, &memory); /* one layer, of one micro-batch */
    df_assert_rel(memory.part_bytes[DF_MEMORY_ACTIVATIONS], 11, 0);
    df_assert_rel(memory.part_bytes[DF_MEMORY_RECOMPUTED], 100, 0);
    use.layer_again = true;
    df_memory_of_stage(&ops, &use, 1, &memory);
    df_assert_rel(memory.part_bytes[DF_MEMORY_ACTIVATIONS], 1, 0);
    df_assert_rel(memory.part_bytes[DF_MEMORY_RECOMPUTED], 110, 0);
    df_memory_peak(&ops, &use, &memory);
    assert_int_equal(memory.stage, 0);
}

/* GPT-3 with 94 layers on 8 stages of 3 parts: of 24 parts with 4 layers the first and the last
 * have 3, so the first and the last stage 11 layers, the others 12. Four micro-batches a stage, so
 * stage 1 has 2 * 6 + 2 * 8 + 1 = 29 passes of 4 layers in flight, and the first 31: 8 of each of
 * its parts and 7 more of part 0, 24 + 32 + 32 + 21 = 109 layers. From then on a pass of at most 4
 * layers comes where one of 4 went backward. No stage has more than df_memory_peak says. */
static void uneven_parts_are_counted_as_they_are(void **state)
{
    (void)state;
    df_cfg cfg = gpt(96, 12288, 96, 64);
    df_llm_case_split(&cfg, 8, 1, 8, 32);
    cfg.llm.num_layers = 94;
    cfg.llm.batch_size = 32;
    cfg.sched.tp_sp = true;
    cfg.sched.schedule = DF_ORDER_INTERLEAVED;
    cfg.sched.virtual_stages = 3;
    cfg.sched.recompute = DF_RECOMPUTE_FULL; /* a layer keeps its input: 2 bytes, split by tp */
    const double input = 2048.0 * 12288 * 2 / 8;
    df_assert_rel(stage_of(&cfg, 1).part_bytes[DF_MEMORY_ACTIVATIONS], 29 * 4 * input, 1e-12);
    const double mask = 2048.0 * 12288 / 8;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_MEMORY_ACTIVATIONS],
                  109 * input + 109.0 / 11 * mask, 1e-12);
    const df_rules rules = df_rules_corrected();
    for (int64_t layers = 22; layers <= 96; layers++) {
        df_memory peak;
        cfg.llm.num_layers = layers;
        df_predict_memory_peak(&cfg, &rules, &peak);
        for (int64_t stage = 0; stage < 8; stage++) {
            assert_true(stage_of(&cfg, stage).total_bytes <= peak.total_bytes);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_follow_the_paper),
        cmocka_unit_test(context_parallel_devices_shard_the_sequence),
        cmocka_unit_test(schedules_bound_what_is_in_flight),
        cmocka_unit_test(uneven_parts_are_counted_as_they_are),
        cmocka_unit_test(zero_splits_what_it_says),
        cmocka_unit_test(logits_are_on_the_last_stage),
        cmocka_unit_test(caches_hold_every_position),
        cmocka_unit_test(layers_keep_what_closed_forms_say),
        cmocka_unit_test(devices_hold_every_weight),
        cmocka_unit_test(prompts_need_the_widest_operator),
        cmocka_unit_test(lists_need_no_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
