#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "validate/val_impl.h"

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

static bool begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
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

/* What rows of models cannot say, and what only the calibrated rules have, for training. */
static df_status check_shape(shape *s, const df_cfg_llm *m, const char **training_only)
{
    df_val_row *const r = &s->row;
    double experts;
    double window;
    double head_dim;
    double latent;
    DF_TRY(df_val_number(r, "experts", 0, &experts));
    DF_TRY(df_val_number(r, "sliding_window", 0, &window));
    DF_TRY(df_val_number(r, "head_dim", 0, &head_dim));
    DF_TRY(df_val_number(r, "q_lora_rank", 0, &latent));
    const char *const attention = df_csv_text(r->csv, r->row, "attention");
    const bool mla = begins(attention, "mla");
    const bool hybrid = begins(attention, "hybrid") || strstr(attention, "pattern");
    const bool listed = *df_csv_text(r->csv, r->row, "pattern") != '\0';
    const bool other =
        head_dim > 0 && head_dim * (double)m->attention.num_heads != (double)m->hidden_dim;
    *training_only = mla           ? "latent attention is not described yet"
                     : hybrid      ? "a hybrid with Mamba layers is not described yet"
                     : experts > 1 ? "a model with experts is not described yet"
                     : window > 0  ? "attention in a window is not described yet"
                     : other       ? "heads that are wider or narrower than their share are not "
                                     "described yet"
                                   : NULL;
    if (latent > 0 && !mla) {
        return df_fail(r->err, DF_INFEASIBLE, "compressed attention is not described yet");
    }
    if ((window > 0 || hybrid) && !listed) { /* which layers have it is not known */
        return df_fail(r->err, DF_INFEASIBLE, "%s", *training_only);
    }
    return DF_OK;
}

static df_status read_model(df_val_row *r, df_cfg_llm *m, const char **training_only)
{
    shape s;
    int64_t kv_heads;
    int64_t tied;
    DF_TRY(find_shape(r, &s));
    DF_TRY(df_val_count(&s.row, "hidden", 1, 0, &m->hidden_dim));
    DF_TRY(df_val_count(&s.row, "layers", 1, 0, &m->num_layers));
    DF_TRY(df_val_count(&s.row, "heads", 1, 0, &m->attention.num_heads));
    DF_TRY(check_shape(&s, m, training_only));
    DF_TRY(df_val_count(&s.row, "kv_heads", 1, m->attention.num_heads, &kv_heads));
    DF_TRY(df_val_count(&s.row, "ffn", 1, 4 * m->hidden_dim, &m->intermediate_size));
    DF_TRY(df_val_count(&s.row, "vocab", 1, 0, &m->vocab_size));
    DF_TRY(df_val_count(&s.row, "tied_embeddings", 0, 0, &tied));
    const bool gated =
        strstr(s.type, "swiglu") || strstr(s.type, "3 matrices") || strstr(s.type, "gated");
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
    return *training_only ? df_val_read_experts(&s.row, m) : DF_OK;
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

/* "... in 21 of 80 layers", of what is computed again; 1 where nobody says so. */
static double layers_again(const char *notes)
{
    static const char before[] = "recompute in ";
    const char *const at = strstr(notes, before);
    if (!at) {
        return 1.0;
    }
    char *end;
    const double some = strtod(at + strlen(before), &end);
    const double all = begins(end, " of ") ? strtod(end + strlen(" of "), NULL) : 0.0;
    return some > 0.0 && some <= all ? some / all : 1.0;
}

static df_status read_recompute(df_val_row *r, df_cfg_sched *s)
{
    static const struct {
        const char *word;
        df_recompute what;
    } words[] = {{"", DF_RECOMPUTE_NONE},
                 {"none", DF_RECOMPUTE_NONE},
                 {"unknown", DF_RECOMPUTE_NONE},
                 {"selective", DF_RECOMPUTE_SELECTIVE},
                 {"selective-op", DF_RECOMPUTE_OPERATORS},
                 {"full", DF_RECOMPUTE_FULL}};
    const char *const found = df_csv_text(r->csv, r->row, "recompute");
    size_t at = 0;
    while (at < sizeof words / sizeof words[0] && !is(words[at].word, found)) {
        at++;
    }
    if (at == sizeof words / sizeof words[0]) {
        return df_csv_refuse(r->csv, r->row, "recompute",
                             "none, selective, selective-op, full or unknown", r->err);
    }
    s->recompute = words[at].what;
    s->recompute_layers = layers_again(df_csv_text(r->csv, r->row, "notes"));
    if (s->recompute_layers < 1.0) {
        s->recompute = DF_RECOMPUTE_FULL;
    }
    return DF_OK;
}

static df_status read_schedule(df_val_row *r, df_val_case *c)
{
    df_cfg *const cfg = &c->cfg;
    df_cfg_sched *const s = &cfg->sched;
    int64_t split;
    double micro_batch;
    double count;
    DF_TRY(df_val_number(r, "micro_batch", 0, &micro_batch));
    DF_TRY(df_val_number(r, "num_microbatches", 0, &count));
    c->batches_known = count > 0 || micro_batch > 0;
    const double replica = (double)cfg->llm.batch_size / (double)s->dp;
    if (!(count > 0) && micro_batch > 0) {
        s->mb = (int64_t)fmax(1.0, replica / micro_batch);
    } else {
        DF_TRY(df_val_count(r, "num_microbatches", 1, 1, &s->mb));
    }
    DF_TRY(df_val_count(r, "pp_interleave", 1, 1, &s->virtual_stages));
    DF_TRY(df_val_count(r, "seq_parallel", 0, 0, &split));
    DF_TRY(df_val_count(r, "zero_stage", 0, 0, &cfg->sw.dp_zero_stage));
    DF_TRY(read_recompute(r, s));
    s->tp_sp = split != 0;
    s->schedule = s->virtual_stages > 1 ? DF_ORDER_INTERLEAVED : DF_ORDER_1F1B;
    return DF_OK;
}

static df_status read_degrees(df_val_row *r, df_val_case *c)
{
    df_cfg_sched *const s = &c->cfg.sched;
    DF_TRY(df_val_count(r, "num_gpus", 1, 1, &c->num_gpus));
    DF_TRY(df_val_count(r, "dp", 1, 1, &s->dp));
    DF_TRY(df_val_count(r, "tp", 1, 1, &s->tp));
    DF_TRY(df_val_count(r, "pp", 1, 1, &s->lp));
    DF_TRY(df_val_count(r, "cp", 1, 1, &s->cp));
    DF_TRY(df_val_count(r, "ep", 1, 1, &s->ep));
    if (s->ep > 1 && !c->training_only) {
        return df_fail(r->err, DF_INFEASIBLE, "expert parallelism is not modelled");
    }
    return DF_OK;
}

/* Weights that do not change: adapters beside them are trained. */
static bool is_frozen(const df_val_row *r)
{
    return strstr(df_csv_text(r->csv, r->row, "set"), "lora") || strstr(r->point.id, "-lora-") ||
           strstr(r->point.set, "lora");
}

df_status df_val_read_case(df_val_row *r, df_val_case *c)
{
    df_cfg *const cfg = &c->cfg;
    DF_TRY(df_val_find_device(r, &c->device));
    *cfg = c->device->cfg;
    cfg->mode = DF_MODE_LLM;
    cfg->has_model = true;
    DF_TRY(read_run(r, &cfg->llm));
    c->training_only = NULL;
    DF_TRY(read_model(r, &cfg->llm, &c->training_only));
    DF_TRY(read_degrees(r, c));
    DF_TRY(read_schedule(r, c));
    cfg->llm.frozen = is_frozen(r);
    if (cfg->llm.run_type == DF_RUN_TRAINING) { /* fp32 master weights and moments */
        cfg->sw.precision.mixed_precision = true;
        cfg->sw.precision.param_storage = DF_STORE_TENSOR_FP32_MASTER;
    }
    df_val_place(c->device->node_gpus, c->num_gpus, cfg);
    return DF_OK;
}

/* ---- Under a set of rules ---- */

bool df_val_is_calibrated(const df_val_row *r, int rules)
{
    const df_compat_options options = df_compat_read(&r->rules[rules]);
    return options.calibrated;
}

typedef struct {
    const char *word;
    df_format format;
} format_word;

static const format_word formats[] = {
    {"bf16", DF_FORMAT_BF16},   {"fp16", DF_FORMAT_BF16},           {"fp8", DF_FORMAT_FP8},
    {"mxfp8", DF_FORMAT_MXFP8}, {"fp8_block", DF_FORMAT_FP8_BLOCK}, {"nvfp4", DF_FORMAT_NVFP4}};
enum { FORMATS = sizeof formats / sizeof formats[0] };

/* Tensors are in 16 bits, products in the row's format, where the device has a rate for it. */
static df_status set_products(df_val_row *r, const df_val_case *c, df_cfg *cfg)
{
    const char *const word = df_csv_text(r->csv, r->row, "precision");
    size_t at = 0;
    while (at < FORMATS && !is(formats[at].word, word)) {
        at++;
    }
    if (at == FORMATS) {
        return df_fail(r->err, DF_INFEASIBLE, "number format %s is not modelled on %s", word,
                       c->device->name);
    }
    cfg->sw.precision.tensor_bytes = 2;
    cfg->sw.precision.products = (int)formats[at].format;
    return DF_OK;
}

/* The nodes and the network that the run was on. */
static void stand_in(const df_val_cluster *cluster, int64_t num_gpus, df_cfg *cfg)
{
    const int64_t node = (int64_t)fmin(cluster->node_gpus, (double)num_gpus);
    cfg->tech.inter = cluster->inter;
    cfg->system.num_devices_per_node = node;
    cfg->system.num_nodes = (num_gpus + node - 1) / node;
}

static df_status configure_training(df_val_row *r, const df_val_case *c, df_cfg *cfg)
{
    df_val_software w;
    const df_val_cluster *cluster;
    const bool parts_known = *df_csv_text(r->csv, r->row, "pp_interleave") != '\0';
    DF_TRY(df_val_find_software(r, cfg->sched.lp, &w));
    DF_TRY(set_products(r, c, cfg));
    if (is(df_csv_text(r->csv, r->row, "recompute"), "unknown") &&
        cfg->sched.recompute == DF_RECOMPUTE_NONE) {
        cfg->sched.recompute = w.unknown_recompute;
    }
    if (w.parts_of_one_layer && !parts_known && cfg->sched.lp > 1) {
        cfg->sched.virtual_stages =
            (int64_t)fmax(1.0, floor((double)cfg->llm.num_layers / (double)cfg->sched.lp));
        cfg->sched.schedule = cfg->sched.virtual_stages > 1 ? DF_ORDER_INTERLEAVED : DF_ORDER_1F1B;
    }
    cfg->sw.framework.like = (int)w.framework;
    DF_TRY(df_val_read_recipe(r, cfg));
    cfg->llm.attention.use_flashattention = true; /* the framework says which kernel */
    DF_TRY(df_val_find_cluster(r, c->device, w.cluster ? w.cluster : c->device->cluster, &cluster));
    cfg->any_rounds = true; /* as the reader of files has it under these rules */
    DF_TRY(df_cfg_check(cfg, r->err));
    stand_in(cluster, c->num_gpus, cfg);
    if (!c->batches_known && w.batch_in_one_piece) {
        cfg->sched.mb = cfg->sched.lp > 1 ? cfg->llm.batch_size / cfg->sched.dp : 1;
    } else if (!c->batches_known) {
        cfg->sched.mb = 0;
    }
    return DF_OK;
}

/* What is in fp8 has its cache in fp8, too. */
static df_status configure_inference(df_val_row *r, const df_val_case *c, df_cfg *cfg)
{
    const bool fp8 = is(df_csv_text(r->csv, r->row, "precision"), "fp8");
    df_engine_id engine;
    const df_val_cluster *cluster;
    DF_TRY(df_val_find_engine(r, &engine));
    DF_TRY(set_products(r, c, cfg));
    cfg->sw.precision.kv_cache_bytes = fp8 ? 1 : 2;
    cfg->sw.engine.like = (int)engine;
    DF_TRY(df_val_find_cluster(r, c->device, c->device->cluster, &cluster));
    DF_TRY(df_cfg_check(cfg, r->err));
    stand_in(cluster, c->num_gpus, cfg);
    return DF_OK;
}

static df_status configure(df_val_row *r, const df_val_case *c, bool calibrated, df_cfg *cfg)
{
    const bool training = cfg->llm.run_type == DF_RUN_TRAINING;
    if (calibrated && training) {
        return configure_training(r, c, cfg);
    }
    if (c->training_only) {
        return df_fail(r->err, DF_INFEASIBLE, "%s", c->training_only);
    }
    if (calibrated) {
        return configure_inference(r, c, cfg);
    }
    if (cfg->llm.frozen) {
        return df_fail(r->err, DF_INFEASIBLE, "frozen weights need the calibrated rules");
    }
    cfg->sched.recompute_layers = 1.0;
    if (cfg->sched.recompute == DF_RECOMPUTE_OPERATORS) {
        cfg->sched.recompute = DF_RECOMPUTE_SELECTIVE;
    }
    DF_TRY(df_val_set_format(c->device, df_csv_text(r->csv, r->row, "precision"), cfg, r->err));
    DF_TRY(df_cfg_check(cfg, r->err));
    cfg->sched.mb = c->batches_known || !training ? cfg->sched.mb : 0;
    return DF_OK;
}

df_status df_val_configure(df_val_row *r, const df_val_case *c, int rules, df_cfg *out)
{
    *out = c->cfg;
    const df_status status = configure(r, c, df_val_is_calibrated(r, rules), out);
    return status == DF_EINVAL ? DF_INFEASIBLE : status; /* the reason stays */
}
