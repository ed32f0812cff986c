/* Number formats: what a file says of each kind of number, and what stands for it where the file
 * says nothing. */
#include "config/cfg_impl.h"

/* Bits of an element with its share of scales: OCP Microscaling Formats 1.0 (a byte for 32
 * elements), NVIDIA's nvfp4 (a byte for 16), fp8 in blocks of 128 x 128, int4 in groups of 128 with
 * a scale in fp16. */
static const struct {
    double bits;
    const char *rate; /* of format_rate */
} formats[DF_FORMATS] = {
    [DF_FORMAT_BF16] = {16.0, NULL},      [DF_FORMAT_FP8] = {8.0, "fp8"},
    [DF_FORMAT_FP8_BLOCK] = {8.0, "fp8"}, [DF_FORMAT_MXFP8] = {8.25, "fp8"},
    [DF_FORMAT_NVFP4] = {4.5, "nvfp4"},   [DF_FORMAT_MXFP4] = {4.25, "mxfp4"},
    [DF_FORMAT_INT8] = {8.0, "int8"},     [DF_FORMAT_INT4] = {4.125, "int4"},
    [DF_FORMAT_TF32] = {32.0, "tf32"},    [DF_FORMAT_FP32] = {32.0, "fp32"},
};

double df_format_bytes(df_format format)
{
    return formats[format].bits / 8.0;
}

const char *df_format_name(df_format format)
{
    return df_opt_word_of(df_words_number, format);
}

const char *df_format_rate_key(df_format format)
{
    return formats[format].rate;
}

double df_format_rate(const df_cfg_core *core, df_format format)
{
    switch (format) {
    case DF_FORMAT_BF16:
        return 1.0;
    case DF_FORMAT_FP8_BLOCK:
    case DF_FORMAT_MXFP8:
        return core->format_rate[DF_FORMAT_FP8];
    default:
        return core->format_rate[format];
    }
}

static df_format given(int format, df_format otherwise)
{
    return format >= 0 ? (df_format)format : otherwise;
}

/* Matrix units multiply tensors of 32 bits as tf32. */
static df_format tensors_of(const df_cfg_precision *p)
{
    if (p->tensor_bytes >= 4.0) {
        return DF_FORMAT_TF32;
    }
    return p->tensor_bytes >= 2.0 ? DF_FORMAT_BF16 : DF_FORMAT_FP8;
}

void df_cfg_formats_of(const df_cfg *cfg, df_cfg_formats *out)
{
    const df_cfg_precision *const p = &cfg->sw.precision;
    const df_format tensors = tensors_of(p);
    const df_format wide = tensors == DF_FORMAT_FP8 ? DF_FORMAT_BF16 : tensors;
    const df_format products = given(p->products, tensors);
    *out = (df_cfg_formats){.weights = given(p->weights, products),
                            .products = products,
                            .activations = given(p->activations, wide),
                            .logits = given(p->logits, wide),
                            .attention = given(p->attention, wide)};
}
