/* Kernels against the prototype of the calibrated model, which is another implementation, in
 * another language: golden/kernels.csv. Where ours deviates from it on purpose, it is asked for the
 * prototype's form here (df_load: as_fitted, throttle_after). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "support/support.h"

enum { WORDS = 12, KINDS = 7 };

static const double tolerance = 1e-9;

/* Data sheets, as the prototype has them. */
typedef struct {
    const char *name;
    df_arch like;
    df_basis basis;
    double bundles, clock_hz, flops_ps, fp8, fp4, dram, l2, l2_ps, link;
    bool in_switch;
} sheet;

static const sheet sheets[] = {{"A100-SXM4-80GB", DF_ARCH_A100, DF_BASIS_MEASURED, 108, 1.41e9,
                                312e12, 0, 0, 2039e9, 40e6, 7219e9, 300e9, false},
                               {"A100-PCIe-80GB", DF_ARCH_A100, DF_BASIS_SISTER, 108, 1.41e9,
                                312e12, 0, 0, 1935e9, 40e6, 7219e9, 300e9, false},
                               {"H100-SXM5-80GB", DF_ARCH_H100, DF_BASIS_MEASURED, 132, 1.83e9,
                                989.4e12, 1978.9e12, 0, 3350e9, 50e6, 9370e9, 450e9, true},
                               {"H200-SXM5-141GB", DF_ARCH_H100, DF_BASIS_SISTER, 132, 1.83e9,
                                989.4e12, 1978.9e12, 0, 4800e9, 50e6, 9370e9, 450e9, true},
                               {"B200-SXM-180GB", DF_ARCH_H100, DF_BASIS_RULE, 148, 1.856e9,
                                2250e12, 4500e12, 9000e12, 7700e9, 126e6, 19e12, 900e9, true},
                               {"L40S", DF_ARCH_L40S, DF_BASIS_MEASURED, 142, 2.52e9, 362.05e12,
                                733e12, 0, 864e9, 96e6, 5.1e12, 32e9, false}};

static df_card card_of(const char *name)
{
    const int count = sizeof sheets / sizeof sheets[0];
    int at = 0;
    while (at < count - 1 && strcmp(sheets[at].name, name) != 0) {
        at++;
    }
    const sheet *const s = &sheets[at];
    assert_string_equal(s->name, name);
    df_card card = {.bundles = s->bundles,
                    .clock_hz = s->clock_hz,
                    .flops_ps = s->flops_ps,
                    .dram_bytes_ps = s->dram,
                    .l2_bytes = s->l2,
                    .l2_bytes_ps = s->l2_ps,
                    .link_bytes_ps = s->link,
                    .in_switch = s->in_switch,
                    .like = s->like,
                    .basis = s->basis};
    card.format_rate[DF_FORMAT_BF16] = 1;
    card.format_rate[DF_FORMAT_FP8] = card.format_rate[DF_FORMAT_FP8_BLOCK] = s->fp8 / s->flops_ps;
    card.format_rate[DF_FORMAT_NVFP4] = s->fp4 / s->flops_ps;
    df_calibration_of(s->like, &card.is);
    df_calibration_shared_preset(&card.shared);
    df_calibration_complete(&card, NULL);
    return card;
}

/* A line of the file. */
typedef struct {
    char *word[WORDS];
    int count;
    df_card card;
} row;

static double number(const row *r, int word)
{
    assert_true(word < r->count);
    return strtod(r->word[word], NULL);
}

static bool is(const row *r, int word, const char *text)
{
    return strcmp(r->word[word], text) == 0;
}

static const df_gemm_kernel *gemm_kernel(const row *r, bool training)
{
    if (is(r, 2, "fp8")) {
        return &df_gemm_kernels[training ? DF_GEMM_FP8_TRAINING : DF_GEMM_FP8_MEASURED];
    }
    if (is(r, 2, "nvfp4")) {
        return &df_gemm_kernels[training ? DF_GEMM_NVFP4_TRAINING : DF_GEMM_NVFP4_MEASURED];
    }
    return &df_gemm_kernels[is(r, 2, "fp8_block") ? DF_GEMM_FP8_BLOCK : DF_GEMM_CUBLAS];
}

static double gemm_s(const row *r)
{
    const df_load load = {.throttle = -1, .ws_over_l2 = number(r, 6), .as_fitted = true};
    const df_matmul p = {number(r, 3), number(r, 4), number(r, 5), 1, 1};
    return df_kernel_gemm_s(&r->card, gemm_kernel(r, false), &load, &p);
}

static double training_gemm_s(const row *r)
{
    const df_load load = {.sustained = number(r, 8) > 0,
                          .throttle_after = true,
                          .throttle = number(r, 9),
                          .ws_over_l2 = HUGE_VAL};
    const df_matmul p = {number(r, 3), number(r, 4), number(r, 5), number(r, 6), number(r, 7)};
    return df_kernel_gemm_s(&r->card, gemm_kernel(r, number(r, 10) > 0), &load, &p);
}

static df_prompt_time prompt_of(const row *r, bool sustained)
{
    const df_load load = {.sustained = sustained, .throttle = -1, .ws_over_l2 = HUGE_VAL};
    const df_prompt p = {.sequences = number(r, 3),
                         .fresh = number(r, 4),
                         .heads = number(r, 5),
                         .kv_heads = number(r, 6),
                         .head_dim = number(r, 7),
                         .fp8 = is(r, 2, "fp8")};
    return df_kernel_prompt(&r->card, &load, &p);
}

static double prompt_s(const row *r)
{
    const df_prompt_time t = prompt_of(r, false);
    return t.fixed_s + t.body_s + t.write_s;
}

static double core_s(const row *r)
{
    const df_prompt_time t = prompt_of(r, true);
    df_assert_rel(t.fixed_s, number(r, 8), tolerance);
    return t.body_s;
}

static double decode_s(const row *r)
{
    const df_load load = {.throttle = -1, .ws_over_l2 = number(r, 8), .as_fitted = true};
    const df_decode_kernel kernel = df_decode_measured(&r->card);
    const df_token t = {number(r, 3), number(r, 4), number(r, 5),
                        number(r, 6), number(r, 7), is(r, 2, "fp8_kv")};
    return df_kernel_decode_s(&r->card, &kernel, &load, &t);
}

static double experts_s(const row *r)
{
    const df_load load = {.throttle = -1, .as_fitted = true};
    const df_experts x = {.tokens = number(r, 3),
                          .hidden = number(r, 4),
                          .width = number(r, 5),
                          .experts = number(r, 6),
                          .top_k = number(r, 7),
                          .skewed = number(r, 8) > 0,
                          .block_fp8 = is(r, 2, "fp8_block")};
    return df_kernel_experts_s(&r->card, &load, &x);
}

static double comm_s(const row *r)
{
    static const char *const kinds[] = {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"};
    static const char *const libraries[] = {"nccl", "custom_sglang", "custom_trtllm"};
    int kind = 0;
    int library = 0;
    while (kind < 3 && !is(r, 2, kinds[kind])) {
        kind++;
    }
    while (library < 2 && !is(r, 3, libraries[library])) {
        library++;
    }
    return df_kernel_comm_s(&r->card, (df_comm_library)library, (df_comm_kind)kind, number(r, 4),
                            number(r, 5));
}

static const struct {
    const char *name;
    double (*time_s)(const row *r);
} kinds[KINDS] = {{"gemm", gemm_s}, {"train", training_gemm_s}, {"prompt", prompt_s},
                  {"core", core_s}, {"decode", decode_s},       {"experts", experts_s},
                  {"comm", comm_s}};

static row read_row(char *line)
{
    row r;
    char *rest;
    memset(&r, 0, sizeof r);
    for (int i = 0; i < WORDS; i++) {
        r.word[i] = line + strlen(line); /* "" */
    }
    for (char *word = strtok_r(line, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        assert_true(r.count < WORDS);
        r.word[r.count++] = word;
    }
    assert_true(r.count > 3);
    r.card = card_of(r.word[1]);
    return r;
}

static void kernels_take_what_the_prototype_says(void **state)
{
    (void)state;
    int seen[KINDS] = {0};
    char *const text = df_read_file(DF_TEST_DATA "/golden/kernels.csv");
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char what[256];
        if (line[0] == '#') {
            continue;
        }
        snprintf(what, sizeof what, "%s", line);
        const row r = read_row(line);
        int kind = 0;
        while (!is(&r, 0, kinds[kind].name)) {
            kind++;
            assert_true(kind < KINDS);
        }
        seen[kind]++;
        df_assert_rel_at(kinds[kind].time_s(&r), number(&r, r.count - 1), tolerance, what, __FILE__,
                         __LINE__);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        assert_in_range(seen[kind], 60, 400);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_take_what_the_prototype_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
