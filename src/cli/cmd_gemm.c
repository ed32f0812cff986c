#include <math.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "compat/compat.h"
#include "json_out.h"
#include "kernels/kernels.h"
#include "predict/predict.h"
#include "profiles.h"

typedef struct {
    const char *hardware_config, *rules_text, *format;
    int64_t m, k, n;
    df_rules rules;
} gemm_args;

static bool read_args(int argc, char **argv, gemm_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_required(df_arg_text("hardware_config", &a->hardware_config,
                                    "a hardware file or a combined file (YAML)")),
        df_arg_required(
            df_arg_int("m", &a->m, 1, DF_ARG_INT_MAX, "rows of the output C[m,n] = A[m,k] B[k,n]")),
        df_arg_required(
            df_arg_int("k", &a->k, 1, DF_ARG_INT_MAX, "the inner dimension of the product")),
        df_arg_required(df_arg_int("n", &a->n, 1, DF_ARG_INT_MAX, "columns of the output")),
        df_arg_text(
            "rules", &a->rules_text,
            "calibrated (the default), corrected or reference, then exceptions (see `help rules`)"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
    };
    const df_command command = {
        "gemm", "shows time, chosen tiles and traffic of one GEMM on one device",
        "  deepflow gemm --hardware_config configs/hardware/a100_80gb.yaml --m 4096 --k 4096 "
        "--n 4096\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

static df_status solve(gemm_args *a, df_hw_device *dev, df_gemm_cost *cost, df_err *err)
{
    df_cfg cfg;
    const df_gemm_shape shape = {(double)a->m, (double)a->k, (double)a->n};
    const df_cli_files files = {.hardware_config = a->hardware_config};
    DF_TRY(df_cli_load(&files, &a->rules, DF_CFG_NEED_HARDWARE, &cfg, err));
    DF_TRY(df_hw_derive(&cfg, &a->rules, dev, err));
    const df_gemm_traffic traffic = df_compat_gemm_traffic(&a->rules);
    df_gemm_search *const gemm = df_gemm_search_new();
    if (!gemm) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = df_gemm_search_use(gemm, dev, &traffic, err);
    if (status == DF_OK) {
        status = df_gemm_search_solve(gemm, &shape, cost, err);
        cost->time_s += dev->launch_overhead_s;
    }
    df_gemm_search_free(gemm);
    return status == DF_OK ? df_cli_check_finite(cost->time_s, dev, &a->rules, err) : status;
}

/* ---- As it was measured ---- */

/* Repeated alone, in a graph; see docs/calibrated.md. */
static df_status
solve_measured(const gemm_args *a, df_cfg *cfg, df_tiling *out, double *peak, df_err *err)
{
    const df_cli_files files = {.hardware_config = a->hardware_config};
    const df_matmul product = {(double)a->m, (double)a->n, (double)a->k, 1.0, 1.0};
    df_hw_device dev;
    df_card card;
    DF_TRY(df_cli_load(&files, &a->rules, DF_CFG_NEED_HARDWARE, cfg, err));
    DF_TRY(df_hw_derive(cfg, &a->rules, &dev, err));
    df_card_of(cfg, &dev, &card);
    const df_matmul_bytes bytes = {df_predict_weight_bytes(cfg), 0.0};
    const df_gemm_kernel *const kernel = df_predict_products(cfg);
    DF_TRY(df_predict_check_card(&card, &dev, kernel->format, err));
    const df_load *const load =
        df_predict_is_short(cfg) ? &df_predict_short_load : &df_load_sustained;
    *out = df_kernel_gemm_in(&card, kernel, load, &product, &bytes);
    if (cfg->sw.launch == DF_LAUNCH_EAGER) {
        out->time_s = fmax(out->time_s, df_kernel_gemm_launches(kernel, &product) *
                                            cfg->sw.kernel_launch_overhead_s);
    }
    *peak = card.flops_ps * card.format_rate[kernel->format];
    return DF_OK;
}

static int print_measured(const gemm_args *a, const df_cfg *cfg, const df_tiling *t, double peak)
{
    const double flops = 2.0 * (double)a->m * (double)a->n * (double)a->k;
    if (a->format[0] == 'j') {
        json_t *const root = json_object();
        df_json_rules(root, &a->rules);
        df_json_real(root, "M", (double)a->m);
        df_json_real(root, "K", (double)a->k);
        df_json_real(root, "N", (double)a->n);
        df_json_real(root, "time_s", t->time_s);
        df_json_real(root, "flops", flops);
        df_json_real(root, "tile_m", t->rows);
        df_json_real(root, "tile_n", t->columns);
        df_json_real(root, "split_k", t->split);
        df_json_real(root, "acc_dram", t->dram_bytes);
        df_basis_add_json(root, cfg);
        return df_json_print(root);
    }
    printf("C[%.0f,%.0f] = A[%.0f,%.0f] B[%.0f,%.0f]\n", (double)a->m, (double)a->n, (double)a->m,
           (double)a->k, (double)a->k, (double)a->n);
    printf("time        %.6g s, %.4g Tflop/s, %.1f %% of the device's peak\n", t->time_s,
           flops / t->time_s / 1e12, 100.0 * flops / t->time_s / peak);
    printf("tile        %.0f x %.0f, k split in %.0f; %.5g B to and from memory\n", t->rows,
           t->columns, t->split, t->dram_bytes);
    df_basis_print(cfg);
    return df_cli_finish(0);
}

static int run_measured(const gemm_args *a)
{
    df_cfg cfg;
    df_tiling tiling;
    double peak;
    df_err err;
    const df_status status = solve_measured(a, &cfg, &tiling, &peak, &err);
    return status == DF_OK ? print_measured(a, &cfg, &tiling, peak) : df_cli_fail(status, &err);
}

/* ---- As an ideal device would do it ---- */

static const char *loop_name(df_gemm_loop loop)
{
    static const char *const names[] = {[DF_LOOP_M] = "m", [DF_LOOP_K] = "k", [DF_LOOP_N] = "n"};
    return names[loop];
}

/* Tiles that are larger than the shape are cut to it, level 1 to level 2 as well. */
static df_gemm_tile clip(df_gemm_tile tile, df_gemm_tile to)
{
    return (df_gemm_tile){fmin(tile.m, to.m), fmin(tile.k, to.k), fmin(tile.n, to.n)};
}

static void add_tile(json_t *root, int level, df_gemm_tile tile)
{
    const double edges[] = {tile.m, tile.k, tile.n};
    for (int i = 0; i < 3; i++) {
        char key[8];
        snprintf(key, sizeof key, "l%d_%c", level, "mkn"[i]);
        df_json_real(root, key, edges[i]);
    }
}

static int print_json(const gemm_args *a, const df_gemm_cost *cost, const df_gemm_tile tiles[3])
{
    static const char *const traffic[] = {"acc_sys", "acc_l1", "acc_l2", "acc_dram"};
    json_t *const root = json_object();
    df_json_rules(root, &a->rules);
    df_json_real(root, "M", (double)a->m);
    df_json_real(root, "K", (double)a->k);
    df_json_real(root, "N", (double)a->n);
    df_json_real(root, "time_s", cost->time_s);
    df_json_real(root, "flops", cost->flops);
    df_json_text(root, "inner", loop_name(cost->inner));
    for (int level = 0; level < 3; level++) {
        add_tile(root, level, tiles[level]);
    }
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        df_json_real(root, traffic[level], cost->traffic_bytes[level]);
    }
    return df_json_print(root);
}

static int print_text(const gemm_args *a,
                      const df_hw_device *dev,
                      const df_gemm_cost *cost,
                      const df_gemm_tile tiles[3])
{
    const double peak = dev->core.throughput_flops_ps;
    const double rate = cost->flops / cost->time_s;
    printf("C[%.0f,%.0f] = A[%.0f,%.0f] B[%.0f,%.0f]\n", (double)a->m, (double)a->n, (double)a->m,
           (double)a->k, (double)a->k, (double)a->n);
    printf("time        %.6g s, %.4g Tflop/s, %.1f %% of the device's peak\n", cost->time_s,
           rate / 1e12, peak > 0 ? 100 * rate / peak : 0.0);
    printf("inner loop  along %s\n\n", loop_name(cost->inner));
    printf("%-8s %14s   %s\n", "level", "traffic", "tile m x k x n");
    for (int level = DF_HW_LEVELS - 1; level >= 0; level--) {
        printf("%-8s %12.5g B", df_mem_type_name(dev->mem[level].type), cost->traffic_bytes[level]);
        if (level == 1 || level == 2) {
            printf("   %.0f x %.0f x %.0f", tiles[level].m, tiles[level].k, tiles[level].n);
        }
        putchar('\n');
    }
    return df_cli_finish(0);
}

int df_cmd_gemm(int argc, char **argv)
{
    gemm_args a = {.rules_text = DF_RULES_DEFAULT, .format = "text"};
    df_hw_device dev;
    df_gemm_cost cost;
    df_err err;
    int exit_code;
    memset(&dev, 0, sizeof dev);
    memset(&cost, 0, sizeof cost);
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_status status = df_rules_parse(a.rules_text, &a.rules, &err);
    if (status == DF_OK && a.rules.calibrated) {
        return run_measured(&a);
    }
    status = status == DF_OK ? solve(&a, &dev, &cost, &err) : status;
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    const df_gemm_tile whole = {(double)a.m, (double)a.k, (double)a.n};
    const df_gemm_tile l2 = clip(cost.l2, whole);
    const df_gemm_tile tiles[] = {clip(cost.l0, whole), clip(cost.l1, l2), l2};
    return a.format[0] == 'j' ? print_json(&a, &cost, tiles) : print_text(&a, &dev, &cost, tiles);
}
