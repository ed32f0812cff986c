/* Formats of weights: quantization_config. */
#include "hf/hf_impl.h"

#include <stdlib.h>
#include <string.h>

/* What a file says, and what sw_param says for it: bytes of a weight (4 bits have a byte of scale
 * for 32 of them in mxfp4, for 16 in nvfp4: OCP Microscaling Formats 1.0; NVIDIA, 2025), and the
 * format of products where there is one. tensor_format is that of the cache, too, unless told
 * apart. */
static const struct {
    const char *method, *format;
} formats[] = {
    {"mxfp4", "tensor_format: 0.53125, kv_cache: bf16"},
    {"nvfp4", "tensor_format: 0.5625, products: nvfp4, kv_cache: bf16"},
    {"fp8_block", "tensor_format: fp8, products: fp8_block, kv_cache: bf16"},
    {"fp8", "tensor_format: fp8, products: fp8, kv_cache: bf16"},
};

static const char *text_in(const json_t *object, const char *key)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* compressed-tensors: the first group's weights. */
static const json_t *first_weights(const json_t *config)
{
    json_t *const groups = json_object_get(config, "config_groups");
    void *const first = json_object_iter(groups);
    return first ? json_object_get(json_object_iter_value(first), "weights") : NULL;
}

static const char *by_bits(const json_t *weights, int64_t bits)
{
    const bool real = strcmp(text_in(weights, "type"), "float") == 0;
    if (bits == 8) {
        return !real                                                ? "int8"
               : strcmp(text_in(weights, "strategy"), "block") == 0 ? "fp8_block"
                                                                    : "fp8";
    }
    return bits == 4 ? (real ? "nvfp4" : "int4") : "";
}

/* One of the methods above, or "". */
static const char *method_of(const json_t *config)
{
    const char *const method = text_in(config, "quant_method");
    const char *const algorithm = text_in(config, "quant_algo"); /* modelopt */
    const json_t *const weights = first_weights(config);
    if (strcmp(method, "mxfp4") == 0) {
        return "mxfp4";
    }
    if (strcmp(algorithm, "NVFP4") == 0 || strcmp(method, "nvfp4") == 0 ||
        strstr(text_in(config, "format"), "nvfp4")) {
        return "nvfp4";
    }
    if (strcmp(algorithm, "FP8") == 0 || strcmp(method, "fbgemm_fp8") == 0) {
        return "fp8";
    }
    if (strcmp(method, "fp8") == 0) {
        return json_is_array(json_object_get(config, "weight_block_size")) ? "fp8_block" : "fp8";
    }
    if (strcmp(method, "bitsandbytes") == 0) {
        return json_is_true(json_object_get(config, "load_in_8bit")) ? "int8" : "int4";
    }
    if (weights) {
        return by_bits(weights, json_integer_value(json_object_get(weights, "num_bits")));
    }
    return by_bits(NULL, json_integer_value(json_object_get(config, "bits"))); /* gptq, awq */
}

/* A group of integers has a scale of 16 bits. */
static double integer_bytes(const json_t *config, const char *method)
{
    const json_t *const weights = first_weights(config);
    const json_t *const given = json_object_get(weights ? weights : config, "group_size");
    const double group = json_number_value(given);
    const double scale_bytes = 2.0;
    return (strcmp(method, "int8") == 0 ? 1.0 : 0.5) + (group > 0.0 ? scale_bytes / group : 0.0);
}

void df_hf_read_quantization(df_hf_reader *r)
{
    df_hf_model *const m = r->model;
    const json_t *const config = df_hf_value(r, "quantization_config");
    if (!json_is_object(config)) {
        return;
    }
    const char *const method = method_of(config);
    const char *const name = text_in(config, "quant_method");
    const char *const producer = text_in(json_object_get(config, "producer"), "name");
    snprintf(m->quantized, sizeof m->quantized, "%.40s%s%.20s", name[0] != '\0' ? name : producer,
             method[0] != '\0' && strcmp(method, name) != 0 ? ", " : "",
             strcmp(method, name) != 0 ? method : "");
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].method, method) == 0) {
            snprintf(m->formats, sizeof m->formats, "%s", formats[i].format);
        }
    }
    if (strncmp(method, "int", 3) == 0) {
        snprintf(m->formats, sizeof m->formats, "tensor_format: %g, kv_cache: bf16",
                 integer_bytes(config, method));
    }
}
