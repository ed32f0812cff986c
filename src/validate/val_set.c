/* With which software and on which network a set was measured, where the calibrated rules ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/val_impl.h"

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static const char *field(const df_val_row *r, const char *column)
{
    return df_csv_text(r->csv, r->row, column);
}

/* ---- Software that rows of a set differ in ---- */

/* 1: after a fault of the benchmark was mended; in the row, or in that of the same run. */
static const char *pipeline_fix(const df_val_row *r)
{
    static const char column[] = "pp_fix";
    const char *const own = field(r, column);
    for (size_t i = 0; *own == '\0' && i < r->data->num_sets; i++) {
        const df_csv *const csv = r->data->set[i].csv;
        const size_t rows = df_csv_column(csv, column) >= 0 ? df_csv_rows(csv) : 0;
        for (size_t row = 0; row < rows; row++) {
            if (strcmp(df_csv_text(csv, row, "id"), r->point.id) == 0) {
                return df_csv_text(csv, row, column);
            }
        }
    }
    return own;
}

/* Runs over several stages that were kept are of the later version. */
static df_framework_id nanotron(const df_val_row *r, int64_t lp)
{
    const char *const fix = pipeline_fix(r);
    const bool late = *fix != '\0' ? *fix == '1' : lp > 1;
    return late ? DF_FRAMEWORK_NANOTRON_LATE : DF_FRAMEWORK_NANOTRON_EARLY;
}

/* By the container, which the id begins with: mb-26.04.01-..., nemo-24.07-... */
static df_framework_id nemo(const df_val_row *r, int64_t lp)
{
    (void)lp;
    const char *const dash = strchr(r->point.id, '-');
    char name[16];
    snprintf(name, sizeof name, "nemo_%.5s", dash ? dash + 1 : "");
    for (int id = 0; id < DF_FRAMEWORK_COUNT; id++) {
        if (strcmp(name, df_framework_rows[id].name) == 0) {
            return (df_framework_id)id;
        }
    }
    return DF_FRAMEWORK_NEMO;
}

/* "PURE" reduces gradients in 16 bits, "DEFAULT" in 32. */
static df_framework_id foundry(const df_val_row *r, int64_t lp)
{
    (void)lp;
    return strstr(field(r, "notes"), "FSDP DEFAULT") ? DF_FRAMEWORK_LLM_FOUNDRY
                                                     : DF_FRAMEWORK_LLM_FOUNDRY_PURE;
}

static df_framework_id titan(const df_val_row *r, int64_t lp)
{
    (void)lp;
    if (strstr(r->point.id, "async")) {
        return DF_FRAMEWORK_TORCHTITAN_ASYNC;
    }
    return strstr(r->point.id, "eager") ? DF_FRAMEWORK_TORCHTITAN_EAGER : DF_FRAMEWORK_TORCHTITAN;
}

/* ---- Sets ---- */

/* By how the set's name begins. */
static const struct {
    const char *set;
    df_framework_id framework;
    const char *cluster;                                        /* NULL: that of the device */
    df_framework_id (*choose)(const df_val_row *r, int64_t lp); /* NULL: `framework` always */
} sets[] = {
    {"korthikanti", DF_FRAMEWORK_MEGATRON_2022, "dgx_hdr", NULL},
    {"selene", DF_FRAMEWORK_MEGATRON_2021, "dgx_hdr", NULL},
    {"vtrain", DF_FRAMEWORK_MEGATRON_2021, "vtrain", NULL},
    {"uci", DF_FRAMEWORK_FSDP_UCI, "uci_pcie", NULL},
    {"hf_nanotron", DF_FRAMEWORK_NANOTRON_LATE, "p5_efa", nanotron},
    {"nemo", DF_FRAMEWORK_NEMO, NULL, nemo},
    {"bridge_ab", DF_FRAMEWORK_NEMO, NULL, NULL},
    {"mlperf", DF_FRAMEWORK_MLPERF, NULL, NULL},
    {"megatron_golden", DF_FRAMEWORK_MEGATRON_CI, NULL, NULL},
    {"mpt", DF_FRAMEWORK_LLM_FOUNDRY, NULL, foundry},
    {"torchtitan", DF_FRAMEWORK_TORCHTITAN, NULL, titan},
    {"tpu", DF_FRAMEWORK_MAXTEXT, "torus", NULL},
};

df_status df_val_find_software(const df_val_row *r, int64_t lp, df_val_software *out)
{
    const char *const own = field(r, "set");
    const char *const name = *own != '\0' ? own : r->point.set;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (begins(name, sets[i].set)) {
            const bool tpu = sets[i].framework == DF_FRAMEWORK_MAXTEXT;
            const bool titan_set = sets[i].framework == DF_FRAMEWORK_TORCHTITAN;
            *out = (df_val_software){
                .framework = sets[i].choose ? sets[i].choose(r, lp) : sets[i].framework,
                .cluster = sets[i].cluster,
                .unknown_recompute = tpu ? DF_RECOMPUTE_FULL : DF_RECOMPUTE_NONE,
                .parts_of_one_layer = begins(name, "nemo"),
                .batch_in_one_piece = tpu || titan_set};
            return DF_OK;
        }
    }
    return df_fail(r->err, DF_INFEASIBLE,
                   "the software that set %.80s was measured with is not known", name);
}

/* ---- Engines ---- */

/* By how the set's name begins, and, where a set has several, by how the row's notes do; the first
 * that fits. Devices other than those of the fit have profiles of their own. */
static const struct {
    const char *set, *notes, *device;
    df_engine_id engine;
} engines[] = {
    {"koyeb", "", "", DF_ENGINE_SERVE},
    {"nim", "", "", DF_ENGINE_SERVE},
    {"llama2", "", "", DF_ENGINE_BATCH_2023},
    {"nemo_llama2", "", "", DF_ENGINE_BATCH_2023},
    {"uci", "", "", DF_ENGINE_EAGER},
    {"trtllm_static", "", "", DF_ENGINE_TENSORRT_LLM_2023},
    {"amd_vllm", "", "", DF_ENGINE_VLLM_2025_MI300X},
    {"argonne", "TensorRT-LLM", "", DF_ENGINE_TENSORRT_LLM_2024},
    {"argonne", "vLLM", "MI300X", DF_ENGINE_VLLM_2024_MI300X},
    {"argonne", "vLLM", "MI250", DF_ENGINE_VLLM_2024_MI250},
    {"argonne", "vLLM", "", DF_ENGINE_VLLM_2024},
    {"argonne", "Deepspeed", "Gaudi2", DF_ENGINE_DEEPSPEED_GAUDI2},
    {"argonne", "Deepspeed", "", DF_ENGINE_DEEPSPEED_MII},
};

df_status df_val_find_engine(const df_val_row *r, df_engine_id *out)
{
    const char *const own = field(r, "set");
    const char *const name = *own != '\0' ? own : r->point.set;
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        if (begins(name, engines[i].set) && begins(field(r, "notes"), engines[i].notes) &&
            begins(field(r, "device"), engines[i].device)) {
            *out = engines[i].engine;
            return DF_OK;
        }
    }
    return df_fail(r->err, DF_INFEASIBLE,
                   "the engine that set %.80s was measured with is not known", name);
}
