/* Memory of a device, by component. */
#include <math.h>

#include "llm/llm_memory.h"
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
    cfg.sched.schedule = DF_SCHEDULE_1F1B;
    cfg.sw.precision.mixed_precision = true;
    cfg.sw.precision.param_storage = DF_STORE_TENSOR_FP32_MASTER;
    return cfg;
}

static df_llm_memory stage_of(const df_cfg *cfg, int64_t stage)
{
    df_llm_memory memory;
    df_err err;
    if (df_cfg_check(cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_llm_memory_of_stage(cfg, stage, &memory);
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
    const df_llm_memory none = stage_of(&cfg, 0);
    df_assert_rel(none.part_bytes[DF_LLM_MEM_ACTIVATIONS], sbh * (48 * (10 + 24.0 / 8 + core) + 1),
                  1e-12);
    df_assert_rel(none.part_bytes[DF_LLM_MEM_ACTIVATIONS], 59.25 * GIB, 0.001);
    assert_true(none.part_bytes[DF_LLM_MEM_RECOMPUTED] == 0);
    cfg.sched.tp_sp = true;
    cfg.sched.recompute = DF_RECOMPUTE_SELECTIVE;
    const df_llm_memory selective = stage_of(&cfg, 0);
    df_assert_rel(selective.part_bytes[DF_LLM_MEM_ACTIVATIONS], sbh * (48 * 34.0 / 8 + 1.0 / 8),
                  1e-12);
    df_assert_rel(selective.part_bytes[DF_LLM_MEM_RECOMPUTED], sbh * core, 1e-12);
    cfg.sched.recompute = DF_RECOMPUTE_FULL;
    cfg.sched.tp_sp = false;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_ACTIVATIONS], sbh * (48 * 2 + 1), 1e-12);
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
        df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_ACTIVATIONS],
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
    cfg.sched.schedule = DF_SCHEDULE_INTERLEAVED;
    cfg.sched.virtual_stages = 3;
    const double in_flight = 96 * (1 + 7.0 / (8 * 3));
    const df_llm_memory interleaved = stage_of(&cfg, 0);
    df_assert_rel(interleaved.part_bytes[DF_LLM_MEM_ACTIVATIONS],
                  in_flight * layer + in_flight / 12 * mask, 1e-12);
    df_assert_rel(interleaved.part_bytes[DF_LLM_MEM_ACTIVATIONS], 12.352 * GIB, 0.005);
    cfg.sched.schedule = DF_SCHEDULE_1F1B;
    cfg.sched.virtual_stages = 1;
    for (int64_t stage = 0; stage < 8; stage++) {
        df_assert_rel(stage_of(&cfg, stage).part_bytes[DF_LLM_MEM_ACTIVATIONS],
                      12.0 * (double)(8 - stage) * layer + (stage == 0 ? 8 * mask : 0), 1e-12);
    }
    cfg.sched.schedule = DF_SCHEDULE_GPIPE;
    df_assert_rel(stage_of(&cfg, 3).part_bytes[DF_LLM_MEM_ACTIVATIONS], 12.0 * 64 * layer, 1e-12);
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
        const df_llm_memory memory = stage_of(&cfg, 0);
        df_assert_rel(memory.part_bytes[DF_LLM_MEM_WEIGHTS] + memory.part_bytes[DF_LLM_MEM_MASTER] +
                          memory.part_bytes[DF_LLM_MEM_GRADIENTS] +
                          memory.part_bytes[DF_LLM_MEM_OPTIMIZER],
                      bytes[zero] * n, 1e-12);
        /* two tables and the gradient of one: a table is the largest that is gathered */
        df_assert_rel(memory.part_bytes[DF_LLM_MEM_GATHERED],
                      zero == 3 ? (2 + 2 + 2) * 51200.0 * 512 : 0, 1e-12);
    }
}

/* The last stage has the logits: in 2 bytes, in 4, their softmax, and two inputs. */
static void logits_are_on_the_last_stage(void **state)
{
    (void)state;
    df_cfg cfg = gpt(4, 512, 8, 8);
    df_llm_case_split(&cfg, 2, 1, 2, 2);
    assert_true(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_LOGITS] == 0);
    const double tokens = 4.0 * 2048;
    df_assert_rel(stage_of(&cfg, 1).part_bytes[DF_LLM_MEM_LOGITS],
                  tokens * (2 * 2 * 512 + 10 * 51200.0 / 2), 1e-12);
    df_llm_memory peak;
    df_llm_memory_peak(&cfg, &peak);
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
    const df_llm_memory one = stage_of(&cfg, 0);
    df_assert_rel(one.part_bytes[DF_LLM_MEM_KV_CACHE], whole, 1e-12);
    assert_true(one.part_bytes[DF_LLM_MEM_OPTIMIZER] == 0);
    df_llm_case_split(&cfg, 4, 1, 1, 1);
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_KV_CACHE], whole / 4, 1e-12);
    df_llm_case_split(&cfg, 8, 1, 1, 1); /* two devices share a head, and both keep it */
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_KV_CACHE], whole / 4, 1e-12);
    cfg.sw.precision.kv_cache_bytes = 1;
    df_assert_rel(stage_of(&cfg, 0).part_bytes[DF_LLM_MEM_KV_CACHE], whole / 8, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_follow_the_paper),
        cmocka_unit_test(context_parallel_devices_shard_the_sequence),
        cmocka_unit_test(schedules_bound_what_is_in_flight),
        cmocka_unit_test(zero_splits_what_it_says),
        cmocka_unit_test(logits_are_on_the_last_stage),
        cmocka_unit_test(caches_hold_every_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
