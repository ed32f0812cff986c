/* Single operators as their kernels were measured: alone, back to back. */
#include <math.h>
#include <string.h>

#include "validate/val_impl.h"

static const char *field(const df_val_row *r, const char *column)
{
    return df_csv_text(r->csv, r->row, column);
}

/* The bytes that a measurement cycles through are a column; where they are not, a product's own. */
static df_status load_of(df_val_row *r, df_load *out)
{
    *out = (df_load){.throttle = -1.0};
    return df_val_number(r, "ws_over_l2", -1.0, &out->ws_over_l2);
}

static df_status timed(df_val_row *r, double time_s, double *out)
{
    *out = time_s;
    return time_s < HUGE_VAL ? DF_OK
                             : df_fail(r->err, DF_INFEASIBLE, "%.80s has no rate for %.40s",
                                       field(r, "device"), field(r, "dtype"));
}

/* ---- Products ---- */

static const df_gemm_kernel *gemm_kernel(const char *format)
{
    static const struct {
        const char *format;
        df_gemm_kernel_id id;
    } kernels[] = {{"bf16", DF_GEMM_CUBLAS},
                   {"fp16", DF_GEMM_CUBLAS},
                   {"fp8", DF_GEMM_FP8_MEASURED},
                   {"fp8_block", DF_GEMM_FP8_BLOCK},
                   {"nvfp4", DF_GEMM_NVFP4_MEASURED}};
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (strcmp(kernels[i].format, format) == 0) {
            return &df_gemm_kernels[kernels[i].id];
        }
    }
    return NULL;
}

static df_status product(df_val_row *r, const df_card *card, const char *format, double *time_s)
{
    const df_gemm_kernel *const kernel = gemm_kernel(format);
    df_matmul p = {.count = 1.0, .quantise = 1.0};
    df_load load;
    if (!kernel) {
        return df_fail(r->err, DF_INFEASIBLE, "no kernel was measured for products in %.40s",
                       format);
    }
    DF_TRY(load_of(r, &load));
    DF_TRY(df_val_number(r, "m", NAN, &p.m));
    DF_TRY(df_val_number(r, "n", NAN, &p.n));
    DF_TRY(df_val_number(r, "k", NAN, &p.k));
    return timed(r, df_kernel_gemm_s(card, kernel, &load, &p), time_s);
}

df_status df_val_gemm_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    return product(r, card, field(r, "dtype"), time_s);
}

df_status df_val_profiled_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    return product(r, card, field(r, "precision"), time_s);
}

/* ---- Attention ---- */

df_status df_val_prefill_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    df_prompt p = {.fp8 = strcmp(field(r, "dtype"), "fp8") == 0};
    df_load load;
    DF_TRY(load_of(r, &load));
    DF_TRY(df_val_number(r, "batch", NAN, &p.sequences));
    DF_TRY(df_val_number(r, "seq_q", NAN, &p.fresh));
    DF_TRY(df_val_number(r, "heads", NAN, &p.heads));
    DF_TRY(df_val_number(r, "kv_heads", p.heads, &p.kv_heads));
    DF_TRY(df_val_number(r, "head_dim", NAN, &p.head_dim));
    const df_prompt_time t = df_kernel_prompt(card, &load, &p);
    return timed(r, t.fixed_s + t.body_s + t.write_s, time_s);
}

df_status df_val_decode_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    const df_decode_kernel kernel = df_decode_measured(card);
    df_token t = {.fp8_cache = strcmp(field(r, "dtype"), "fp8_kv") == 0};
    df_load load;
    DF_TRY(load_of(r, &load));
    load.ws_over_l2 = load.ws_over_l2 < 0.0 ? HUGE_VAL : load.ws_over_l2;
    DF_TRY(df_val_number(r, "batch", NAN, &t.sequences));
    DF_TRY(df_val_number(r, "context", NAN, &t.context));
    DF_TRY(df_val_number(r, "heads", NAN, &t.heads));
    DF_TRY(df_val_number(r, "kv_heads", t.heads, &t.kv_heads));
    DF_TRY(df_val_number(r, "head_dim", NAN, &t.head_dim));
    return timed(r, df_kernel_decode_s(card, &kernel, &load, &t), time_s);
}

/* ---- Experts, collectives ---- */

df_status df_val_experts_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    df_experts x = {.skewed = strncmp(field(r, "distribution"), "power_law", 9) == 0,
                    .block_fp8 = strcmp(field(r, "dtype"), "fp8_block") == 0};
    double inter;
    double tp;
    df_load load;
    DF_TRY(load_of(r, &load));
    DF_TRY(df_val_number(r, "tokens", NAN, &x.tokens));
    DF_TRY(df_val_number(r, "hidden", NAN, &x.hidden));
    DF_TRY(df_val_number(r, "inter", NAN, &inter));
    DF_TRY(df_val_number(r, "tp", 1.0, &tp));
    DF_TRY(df_val_number(r, "experts", NAN, &x.experts));
    DF_TRY(df_val_number(r, "topk", 1.0, &x.top_k));
    x.width = fmax(1.0, inter / tp);
    return timed(r, df_kernel_experts_s(card, &load, &x), time_s);
}

df_status df_val_collective_kernel(df_val_row *r, const df_card *card, double *time_s)
{
    static const struct {
        const char *name;
        df_comm_kind kind;
    } kinds[] = {{"all_reduce", DF_COMM_ALL_REDUCE},
                 {"all_gather", DF_COMM_ALL_GATHER},
                 {"reduce_scatter", DF_COMM_REDUCE_SCATTER},
                 {"all_to_all", DF_COMM_ALL_TO_ALL}};
    static const struct {
        const char *name;
        df_comm_library library;
    } libraries[] = {{"", DF_COMM_NCCL},
                     {"nccl", DF_COMM_NCCL},
                     {"custom_sglang", DF_COMM_SGLANG},
                     {"custom_trtllm", DF_COMM_TRTLLM}};
    double members;
    double bytes;
    size_t kind = 0;
    size_t library = 0;
    DF_TRY(df_val_number(r, "num_gpus", NAN, &members));
    DF_TRY(df_val_number(r, "bytes", NAN, &bytes));
    while (kind < 4 && strcmp(kinds[kind].name, field(r, "op")) != 0) {
        kind++;
    }
    while (library < 4 && strcmp(libraries[library].name, field(r, "implementation")) != 0) {
        library++;
    }
    if (kind == 4 || library == 4) {
        return df_fail(r->err, DF_INFEASIBLE, "no kernel was measured for %.40s by %.40s",
                       field(r, "op"), field(r, "implementation"));
    }
    return timed(
        r, df_kernel_comm_s(card, libraries[library].library, kinds[kind].kind, members, bytes),
        time_s);
}
