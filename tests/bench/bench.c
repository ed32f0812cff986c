/* bench.c: how fast the inner paths are, on one core, as ratios to what is asked for.
 * Prints a table; fails only when something cannot be measured at all. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_errno.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "compat/compat.h"
#include "golden/cases.h"
#include "grad/grad.h"
#include "kernels/kernels.h"
#include "layout/layout.h"
#include "predict/predict.h"

enum { MAX_SHAPES = 1024, SHAPE_REPEATS = 2000, EVALUATIONS = 50000, DESCENTS = 5 };

/* What the Python DeepFlow needs for one evaluation of a search, roughly. */
static const double PYTHON_EVALUATION_S = 1.0;
static const double TARGET_SOLVE_S = 1e-6;
static const double TARGET_EVALUATIONS_PS = 50000;
static const double TARGET_DESCENT_S = 0.060;

_Noreturn void df_bench_stop(const df_err *err)
{
    fprintf(stderr, "bench: %s\n", err->text);
    exit(1);
}

int df_bench_by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

void df_bench_print(const char *what, double value, const char *unit, double ratio)
{
    printf("%-58s %12.4g %-12s %8.2f x the target\n", what, value, unit, ratio);
}

/* ---- One GEMM ---- */

typedef struct {
    df_gemm_search *gemm;
    df_rules rules;
    df_csv *shapes;
    double solve_s[MAX_SHAPES];
    int count;
} gemm_bench;

static double time_solve(df_gemm_search *gemm, const df_gemm_shape *shape)
{
    df_gemm_cost cost;
    df_err err;
    const double start = df_clock_s();
    for (int i = 0; i < SHAPE_REPEATS; i++) {
        if (df_gemm_search_solve(gemm, shape, &cost, &err) != DF_OK) {
            df_bench_stop(&err);
        }
    }
    return (df_clock_s() - start) / SHAPE_REPEATS;
}

/* Times the shapes that are recorded for the device of this case. */
static bool time_device(const df_case *c, void *context)
{
    gemm_bench *b = context;
    df_cfg cfg;
    df_hw_device dev;
    df_err err;
    const df_gemm_traffic traffic = df_compat_gemm_traffic(&b->rules);
    if (df_cfg_parse(&(df_cfg_text){c->hardware, c->name}, NULL, DF_CFG_NEED_HARDWARE, &cfg,
                     &err) != DF_OK ||
        df_hw_derive(&cfg, &b->rules, &dev, &err) != DF_OK ||
        df_gemm_search_use(b->gemm, &dev, &traffic, &err) != DF_OK) {
        df_bench_stop(&err);
    }
    df_csv *csv = df_csv_open("gemm_tiles.csv");
    while (df_csv_next(csv) && b->count < MAX_SHAPES) {
        if (strcmp(df_csv_text(csv, "hardware"), c->name) == 0) {
            const df_gemm_shape shape = {df_csv_number(csv, "M"), df_csv_number(csv, "K"),
                                         df_csv_number(csv, "N")};
            b->solve_s[b->count++] = time_solve(b->gemm, &shape);
        }
    }
    df_csv_close(csv);
    return true;
}

static void bench_gemm(void)
{
    static gemm_bench b; /* large */
    b.gemm = df_gemm_search_new();
    b.rules = df_rules_reference();
    if (!b.gemm) {
        df_bench_stop(&(df_err){"out of memory"});
    }
    df_cases_check("gemm_tiles.txt", time_device, &b);
    qsort(b.solve_s, (size_t)b.count, sizeof b.solve_s[0], df_bench_by_value);
    const double median_s = b.solve_s[b.count / 2];
    printf("GEMM: %d shapes of tests/golden/gemm_tiles.csv on their devices\n", b.count);
    df_bench_print("  one solve, median", 1e6 * median_s, "us", TARGET_SOLVE_S / median_s);
    df_bench_print("  one solve, slowest", 1e6 * b.solve_s[b.count - 1], "us",
                   TARGET_SOLVE_S / b.solve_s[b.count - 1]);
    df_gemm_search_free(b.gemm);
}

/* ---- LSTM evaluations and descents ---- */

static df_cfg load_search(void)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_CONFIGS "/search/lstm_4x4.yaml", NULL,
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        df_bench_stop(&err);
    }
    return cfg;
}

/* The search of one strategy in its first feasible layout on a 4 x 4 wafer. */
static df_eval *search_of(const df_strategy *strategy, const df_rules *rules)
{
    const df_system_size size = {1, 4, 0, -1};
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    df_err err;
    if (df_layout_list(&size, strategy, rules, layouts, &count, &err) != DF_OK) {
        df_bench_stop(&err);
    }
    df_cfg cfg = load_search();
    df_strategy_apply(strategy, &cfg);
    for (int i = 0; i < count; i++) {
        if (layouts[i].feasible) {
            df_eval *eval;
            df_layout_apply(&layouts[i], &size, strategy, rules, &cfg);
            if (df_eval_new(&cfg, &(df_eval_options){.rules = *rules, .ignore_memory = false},
                            &eval, &err) != DF_OK) {
                df_bench_stop(&err);
            }
            return eval;
        }
    }
    df_bench_stop(&(df_err){"no feasible layout"});
}

/* Evaluations a second when every one has another device. */
static double evaluations_ps(df_eval *eval)
{
    df_point point;
    df_eval_result result;
    df_grad_start_random(eval, 1, &point);
    const double core = point.p[DF_P_AREA_CORE];
    const double start = df_clock_s();
    for (int i = 0; i < EVALUATIONS; i++) {
        point.p[DF_P_AREA_CORE] = core * (1 + 1e-6 * i);
        point.p[DF_P_POWER_CORE] *= 1 + 1e-9;
        df_eval_point(eval, &point, &result);
    }
    return EVALUATIONS / (df_clock_s() - start);
}

static double descent_s(df_eval *eval, int64_t *evaluations)
{
    const df_grad_options options = {DF_OPT_REFERENCE, 100, DF_START_RANDOM};
    double sum_s = 0;
    *evaluations = 0;
    for (uint32_t index = 0; index < DESCENTS; index++) {
        df_point start;
        df_descent descent;
        df_err err;
        df_grad_start_random(eval, index, &start);
        const double begin = df_clock_s();
        if (df_grad_descend(eval, &options, &start, NULL, &descent, &err) != DF_OK) {
            df_bench_stop(&err);
        }
        sum_s += df_clock_s() - begin;
        *evaluations += descent.evaluations;
    }
    return sum_s;
}

static void bench_search(void)
{
    static const struct {
        const char *name;
        df_strategy strategy;
    } cases[] = {
        {"data parallel", {.kp_type = DF_KP_CR, .kp1 = 1, .kp2 = 1, .dp = 16, .lp = 1}},
        {"column-row over 4", {.kp_type = DF_KP_CR, .kp1 = 4, .kp2 = 1, .dp = 4, .lp = 1}},
        {"row-column over 2 x 2", {.kp_type = DF_KP_RC, .kp1 = 2, .kp2 = 2, .dp = 4, .lp = 1}},
        {"pipeline of 4 stages", {.kp_type = DF_KP_CR, .kp1 = 1, .kp2 = 1, .dp = 4, .lp = 4}},
    };
    const df_rules rules = df_rules_reference();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_eval *eval = search_of(&cases[i].strategy, &rules);
        const double rate = evaluations_ps(eval);
        int64_t evaluations;
        const double total_s = descent_s(eval, &evaluations);
        const double per_descent_s = total_s / (double)evaluations * 1901;
        printf("LSTM on 16 devices, %s\n", cases[i].name);
        df_bench_print("  evaluations with a new device each, one core", rate, "1/s",
                       rate / TARGET_EVALUATIONS_PS);
        df_bench_print("  a descent of 1,901 evaluations", 1e3 * per_descent_s, "ms",
                       TARGET_DESCENT_S / per_descent_s);
        printf("  %.0f times the Python DeepFlow's %g evaluations a second\n",
               rate * PYTHON_EVALUATION_S, 1 / PYTHON_EVALUATION_S);
        df_eval_free(eval);
    }
}

/* ---- A calibrated product ---- */

/* Over shapes of a transformer, on H100, none of which is known before. */
static void bench_kernel(void)
{
    enum { ROUNDS = 200, SHAPES = 500 };
    const double target_s = 1e-6;
    df_card card = {.bundles = 132,
                    .clock_hz = 1.83e9,
                    .flops_ps = 989.4e12,
                    .dram_bytes_ps = 3350e9,
                    .l2_bytes = 50e6,
                    .l2_bytes_ps = 9370e9,
                    .like = DF_ARCH_H100};
    double sum_s = 0;
    card.format_rate[DF_FORMAT_BF16] = 1;
    df_calibration_of(card.like, &card.is);
    df_calibration_shared_preset(&card.shared);
    const double start = df_clock_s();
    for (int i = 0; i < ROUNDS * SHAPES; i++) {
        const double m = 1 + 37.0 * (i % SHAPES);
        const df_matmul p = {
            .m = m, .n = 1024.0 * (1 + i % 28), .k = 4096, .count = 1, .quantise = 1};
        sum_s += df_kernel_gemm_s(&card, &df_gemm_kernels[DF_GEMM_CUBLAS], &df_load_sustained, &p);
    }
    const double each_s = (df_clock_s() - start) / (ROUNDS * SHAPES);
    df_bench_print("a calibrated product in bf16", sum_s > 0 ? 1e6 * each_s : 0, "us",
                   target_s / each_s);
}

/* ---- LLM ---- */

/* A case of the LLM benchmark: the model of a file, changed. */
typedef struct {
    const char *name;
    int64_t tp, dp, lp, mb, layers, hidden, batch;
    bool inference, warm, flattened;
    double target_s;
    bool calibrated; /* rules */
} llm_case;

static df_cfg llm_config(const llm_case *c)
{
    df_cfg cfg;
    df_err err;
    if (df_cfg_load(DF_CONFIGS "/hardware/a100_80gb.yaml", DF_CONFIGS "/model/llama2_7b.yaml",
                    DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err) != DF_OK) {
        df_bench_stop(&err);
    }
    cfg.sched.tp = c->tp;
    cfg.sched.dp = c->dp;
    cfg.sched.lp = c->lp;
    cfg.sched.mb = c->mb;
    cfg.system.num_devices_per_node = c->tp * c->dp * c->lp;
    cfg.llm.num_layers = c->layers;
    cfg.llm.batch_size = c->batch;
    if (c->hidden != cfg.llm.hidden_dim) {
        cfg.llm.hidden_dim = c->hidden;
        cfg.llm.intermediate_size = 4 * c->hidden;
        cfg.llm.attention.num_heads = c->hidden / 128;
    }
    if (c->inference) {
        cfg.llm.run_type = DF_RUN_INFERENCE;
        cfg.llm.decode_len = 1024;
    }
    if (c->flattened) {
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = DF_ASTRA_FLATTENED;
    }
    return cfg;
}

/* Seconds of one prediction, with a GEMM cache that is empty or full. */
static double llm_prediction_s(const llm_case *c)
{
    const int predictions = c->flattened ? 20 : 200;
    const df_rules rules = c->calibrated ? df_rules_calibrated() : df_rules_reference();
    const df_cfg cfg = llm_config(c);
    df_predictor *const predictor = df_predictor_new();
    df_hw_device dev;
    const df_design design = {&cfg, &dev, &rules};
    df_prediction result;
    df_err err;
    double sum_s = 0;
    for (int i = -1; i < predictions; i++) {
        if (!c->warm) {
            df_predictor_clear(predictor);
        }
        const double start = df_clock_s();
        if (df_hw_derive(&cfg, &rules, &dev, &err) != DF_OK ||
            df_predict(predictor, &design, DF_WANT_TIMES, &result, &err) != DF_OK) {
            df_bench_stop(&err);
        }
        sum_s += i < 0 ? 0 : df_clock_s() - start;
    }
    df_predictor_free(predictor);
    return sum_s / predictions;
}

static void bench_llm(void)
{
    static const llm_case cases[] = {
        {"7B, tp = dp = lp = 2, training step", 2, 2, 2, 2, 32, 4096, 4, false, false, false,
         200e-6, false},
        {"  with GEMMs solved before", 2, 2, 2, 2, 32, 4096, 4, false, true, false, 20e-6, false},
        {"7B, 1,024 tokens decoded", 2, 1, 1, 1, 32, 4096, 4, true, false, false, 1e-3, false},
        {"1T, lp = 64, mb = 512, training step", 8, 1, 64, 512, 128, 25600, 512, false, false,
         false, 20e-3, false},
        {"7B, tp = 8, lp = 8, mb = 8, flattened training step", 8, 1, 8, 8, 32, 4096, 8, false,
         false, true, 50e-3, false},
        {"calibrated: 7B, tp = dp = lp = 2, training step", 2, 2, 2, 2, 32, 4096, 4, false, false,
         false, 100e-6, true},
        {"  with kernels known", 2, 2, 2, 2, 32, 4096, 4, false, true, false, 5e-6, true},
    };
    puts("LLM predictions, device included");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double each_s = llm_prediction_s(&cases[i]);
        df_bench_print(cases[i].name, 1e6 * each_s, "us", cases[i].target_s / each_s);
    }
}

int main(void)
{
    gsl_set_error_handler_off();
    df_bench_net(); /* while this process is small */
    bench_gemm();
    bench_search();
    bench_kernel();
    bench_llm();
    df_bench_sweep();
    return 0;
}
