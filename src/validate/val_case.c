#include <string.h>

#include "validate/val_impl.h"

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

/* ---- Models ---- */

/* Where the shape of the row's model is: in the row itself, or in a table of models. */
typedef struct {
    df_val_row row;
    const char *type; /* "swiglu ...", "gelu ...", ... */
} shape;

static bool find_model(const df_val_row *r, const df_csv *csv, shape *out)
{
    const char *const model = df_csv_text(r->csv, r->row, "model");
    const size_t rows = csv ? df_csv_rows(csv) : 0;
    for (size_t row = 0; row < rows; row++) {
        if (is(df_csv_text(csv, row, "model"), model)) {
            out->type = df_csv_text(csv, row, "ffn_type");
            out->row.csv = csv;
            out->row.row = row;
            return true;
        }
    }
    return false;
}

static df_status find_shape(df_val_row *r, shape *out)
{
    out->row = *r;
    const bool known =
        find_model(r, r->data->models, out) || find_model(r, r->data->more_models, out);
    if (df_csv_column(r->csv, "hidden") >= 0) { /* the row's own figures rule */
        out->type = known ? out->type : "";
        out->row.csv = r->csv;
        out->row.row = r->row;
        return DF_OK;
    }
    if (!known) {
        return df_fail(r->err, DF_INFEASIBLE, "the shape of model %s is not known",
                       df_csv_text(r->csv, r->row, "model"));
    }
    return DF_OK;
}

static df_status read_model(df_val_row *r, df_cfg_llm *m)
{
    shape s;
    int64_t kv_heads;
    int64_t tied;
    DF_TRY(find_shape(r, &s));
    DF_TRY(df_val_count(&s.row, "hidden", 1, 0, &m->hidden_dim));
    DF_TRY(df_val_count(&s.row, "layers", 1, 0, &m->num_layers));
    DF_TRY(df_val_count(&s.row, "heads", 1, 0, &m->attention.num_heads));
    DF_TRY(df_val_count(&s.row, "kv_heads", 1, m->attention.num_heads, &kv_heads));
    DF_TRY(df_val_count(&s.row, "ffn", 1, 4 * m->hidden_dim, &m->intermediate_size));
    DF_TRY(df_val_count(&s.row, "vocab", 1, 0, &m->vocab_size));
    DF_TRY(df_val_count(&s.row, "tied_embeddings", 0, 0, &tied));
    const bool gated = strstr(s.type, "swiglu") || strstr(s.type, "3 matrices");
    m->model_type = gated ? DF_LLM_LLAMA : DF_LLM_GPT;
    m->tied_embeddings = tied != 0;
    m->attention.kv_heads = kv_heads;
    m->attention.attention_type =
        kv_heads == m->attention.num_heads ? DF_ATTENTION_MHA : DF_ATTENTION_GQA;
    /* the software of gated models is younger than FlashAttention, that of the others older */
    m->attention.use_flashattention = gated;
    m->attention.attention_tile_size = 128;
    m->num_experts = 1;
    m->top_k = 1;
    m->sample_every = -1;
    return DF_OK;
}

/* ---- Runs ---- */

static df_status read_run(df_val_row *r, df_cfg_llm *m)
{
    const char *const type = df_csv_text(r->csv, r->row, "run_type");
    const bool training = is(type, "training") || is(type, ""); /* files of training alone */
    if (!training && !is(type, "inference")) {
        return df_csv_refuse(r->csv, r->row, "run_type", "training or inference", r->err);
    }
    const char *const length = df_csv_column(r->csv, "input_tokens") >= 0 ? "input_tokens" : "seq";
    int64_t output;
    DF_TRY(df_val_count(r, "batch", 1, 0, &m->batch_size));
    DF_TRY(df_val_count(r, length, 1, 0, &m->seq_len));
    DF_TRY(df_val_count(r, "output_tokens", 0, 0, &output));
    m->run_type = training ? DF_RUN_TRAINING : DF_RUN_INFERENCE;
    m->decode_len = training ? 0 : output;
    m->seq_len += m->decode_len;
    return DF_OK;
}

static df_status read_schedule(df_val_row *r, df_cfg *cfg)
{
    df_cfg_sched *const s = &cfg->sched;
    const char *const recompute = df_csv_text(r->csv, r->row, "recompute");
    int64_t split;
    DF_TRY(df_val_count(r, "num_microbatches", 1, 1, &s->mb));
    DF_TRY(df_val_count(r, "pp_interleave", 1, 1, &s->virtual_stages));
    DF_TRY(df_val_count(r, "seq_parallel", 0, 0, &split));
    DF_TRY(df_val_count(r, "zero_stage", 0, 0, &cfg->sw.dp_zero_stage));
    s->tp_sp = split != 0;
    s->recompute = is(recompute, "full")        ? DF_RECOMPUTE_FULL
                   : is(recompute, "selective") ? DF_RECOMPUTE_SELECTIVE
                                                : DF_RECOMPUTE_NONE;
    s->schedule = s->virtual_stages > 1 ? DF_ORDER_INTERLEAVED : DF_ORDER_1F1B;
    return DF_OK;
}

static df_status read_degrees(df_val_row *r, df_cfg *cfg, int64_t *num_gpus)
{
    df_cfg_sched *const s = &cfg->sched;
    int64_t experts;
    DF_TRY(df_val_count(r, "num_gpus", 1, 1, num_gpus));
    DF_TRY(df_val_count(r, "dp", 1, 1, &s->dp));
    DF_TRY(df_val_count(r, "tp", 1, 1, &s->tp));
    DF_TRY(df_val_count(r, "pp", 1, 1, &s->lp));
    DF_TRY(df_val_count(r, "cp", 1, 1, &s->cp));
    DF_TRY(df_val_count(r, "ep", 1, 1, &experts));
    if (experts > 1) {
        return df_fail(r->err, DF_INFEASIBLE, "expert parallelism is not modelled");
    }
    return DF_OK;
}

df_status df_val_read_case(df_val_row *r, df_cfg *cfg)
{
    const df_val_device *device;
    int64_t num_gpus;
    DF_TRY(df_val_find_device(r, &device));
    *cfg = device->cfg;
    cfg->mode = DF_MODE_LLM;
    cfg->has_model = true;
    DF_TRY(read_run(r, &cfg->llm));
    DF_TRY(read_model(r, &cfg->llm));
    DF_TRY(read_degrees(r, cfg, &num_gpus));
    DF_TRY(read_schedule(r, cfg));
    DF_TRY(df_val_set_format(device, df_csv_text(r->csv, r->row, "precision"), cfg, r->err));
    if (cfg->llm.run_type == DF_RUN_TRAINING) { /* fp32 master weights and moments */
        cfg->sw.precision.mixed_precision = true;
        cfg->sw.precision.param_storage = DF_STORE_TENSOR_FP32_MASTER;
    }
    df_val_place(device->node_gpus, num_gpus, cfg);
    const df_status status = df_cfg_check(cfg, r->err);
    return status == DF_EINVAL ? DF_INFEASIBLE : status; /* the reason stays */
}
