#include "hf/hf.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

int64_t df_hf_seq_len(const df_hf_model *model, const df_hf_run *run)
{
    const int64_t usual = 2048;
    if (run->seq_len > 0) {
        return run->seq_len;
    }
    return model->context > 0 ? model->context : usual;
}

/* A key, unless it is what a model file has without it. */
static void put(FILE *out, const char *indent, const char *key, int64_t value, int64_t usual)
{
    if (value != usual) {
        fprintf(out, "%s%s: %" PRId64 "\n", indent, key, value);
    }
}

/* ---- Layers ---- */

/* How often the next `length` layers come in a row from there. */
static int32_t times(const df_cfg_layers *l, int32_t from, int32_t length)
{
    int32_t n = 1;
    while (from + (n + 1) * length <= l->count &&
           memcmp(&l->of[from], &l->of[from + n * length], (size_t)length) == 0) {
        n++;
    }
    return n;
}

/* The text of one kind, as the parser of layers writes it, without its count. */
static void put_kind(FILE *out, const df_cfg_layers *l, uint8_t kind, int32_t count)
{
    df_cfg_layers one = {.count = 1, .kinds = 1};
    char text[256];
    one.kind[0] = l->kind[kind];
    (void)df_cfg_layers_text(&one, text, sizeof text);
    if (count == 1) {
        fputs(text + strlen("1 "), out);
    } else {
        fprintf(out, "%d %s", (int)count, text + strlen("1 "));
    }
}

static void put_run(FILE *out, const df_cfg_layers *l, int32_t from, int32_t length)
{
    for (int32_t i = 0, same; i < length; i += same) {
        for (same = 1; i + same < length && l->of[from + i + same] == l->of[from + i]; same++) {
        }
        fputs(i > 0 ? ", " : "", out);
        put_kind(out, l, l->of[from + i], same);
    }
}

/* At each place the pattern of up to 16 layers that repeats over the most. */
static void write_layers(FILE *out, const df_cfg_layers *l)
{
    enum { LONGEST = 16 };
    fprintf(out, "  layers: ");
    for (int32_t i = 0; i < l->count;) {
        int32_t length = 1;
        for (int32_t p = 2; p <= LONGEST && i + p <= l->count; p++) {
            const int32_t n = times(l, i, p);
            length = n > 1 && n * p > times(l, i, length) * length ? p : length;
        }
        const int32_t n = times(l, i, length);
        fputs(i > 0 ? ", " : "", out);
        if (length == 1) {
            put_kind(out, l, l->of[i], n);
        } else {
            fprintf(out, "%d x (", (int)n);
            put_run(out, l, i, length);
            fputs(")", out);
        }
        i += n * length;
    }
    fputs("\n", out);
}

/* ---- Sections ---- */

static void write_latent(FILE *out, const df_cfg_attention *a)
{
    static const char in[] = "    ";
    put(out, in, "q_rank", a->q_rank, 0);
    put(out, in, "kv_rank", a->kv_rank, 0);
    put(out, in, "nope_dim", a->nope_dim, 0);
    put(out, in, "rope_dim", a->rope_dim, 0);
    put(out, in, "value_dim", a->value_dim, 0);
    put(out, in, "index_heads", a->index_heads, 0);
    put(out, in, "index_dim", a->index_dim, 0);
    put(out, in, "index_top_k", a->index_top_k, 0);
    put(out, in, "out_rank", a->out_rank, 0);
    put(out, in, "out_groups", a->out_groups, 1);
}

static bool has_mixer(const df_cfg_llm *m, df_mixer mixer)
{
    for (int k = 0; k < m->layers.kinds; k++) {
        if (m->layers.kind[k].mixer == mixer) {
            return true;
        }
    }
    return false;
}

static void write_attention(FILE *out, const df_cfg_llm *m, const df_hf_run *run)
{
    static const char *const types[] = {"mha", "gqa", "mla"};
    static const char *const norms[] = {"none", "head", "all"};
    static const char *const biases[] = {"none", "qkv", "all"};
    static const char in[] = "    ";
    const df_cfg_attention *const a = &m->attention;
    const bool windows = has_mixer(m, DF_MIX_WINDOW) || has_mixer(m, DF_MIX_COMPRESSED);
    fprintf(out, "  attention:\n    attention_type: %s\n    num_heads: %" PRId64 "\n",
            types[a->attention_type], a->num_heads);
    put(out, in, "kv_heads", a->kv_heads, 0);
    if (a->head_dim * a->num_heads != m->hidden_dim) {
        put(out, in, "head_dim", a->head_dim, 0);
    }
    put(out, in, "window", windows ? a->window : 0, 0);
    put(out, in, "chunk", has_mixer(m, DF_MIX_CHUNKED) ? a->chunk : 0, 0);
    write_latent(out, a);
    if (a->qk_norm != DF_QK_NORM_NONE) {
        fprintf(out, "    qk_norm: %s\n", norms[a->qk_norm]);
    }
    if (a->bias != DF_ATTENTION_BIAS_NONE) {
        fprintf(out, "    bias: %s\n", biases[a->bias]);
    }
    fputs(a->gate ? "    gate: true\n" : "", out);
    fputs(a->sinks ? "    sinks: true\n" : "", out);
    fputs(a->keys_are_values ? "    keys_are_values: true\n" : "", out);
    fprintf(out, "    use_flashattention: %s\n", run->flash ? "true" : "false");
    put(out, in, "attention_tile_size", run->tile_size, 0);
}

static void write_experts(FILE *out, const df_cfg_shape *s)
{
    static const char in[] = "    ";
    if (s->expert_size == 0 && s->shared_experts == 0 && s->groups == 1 && s->latent_dim == 0) {
        return;
    }
    fputs("  moe:\n", out);
    put(out, in, "expert_size", s->expert_size, 0);
    put(out, in, "shared_experts", s->shared_experts, 0);
    put(out, in, "shared_size", s->shared_size, 0);
    fputs(s->shared_gate ? "    shared_gate: true\n" : "", out);
    put(out, in, "groups", s->groups, 1);
    put(out, in, "group_limit", s->group_limit, 0);
    put(out, in, "latent_dim", s->latent_dim, 0);
}

static void write_state(FILE *out, const df_cfg_shape *s)
{
    static const char in[] = "    ";
    const int64_t chunk = 128; /* as a file has them without the key */
    const int64_t conv = 4;
    if (s->linear_heads == 0 && s->linear_inner == 0) {
        return;
    }
    fputs("  linear:\n", out);
    put(out, in, "heads", s->linear_heads, 0);
    put(out, in, "head_dim", s->linear_head_dim, 0);
    put(out, in, "key_heads", s->linear_key_heads, 0);
    put(out, in, "key_dim", s->linear_key_dim, 0);
    put(out, in, "state", s->linear_state, 0);
    put(out, in, "groups", s->linear_groups, 1);
    put(out, in, "inner", s->linear_inner, 0);
    put(out, in, "dt_rank", s->linear_dt_rank, 0);
    put(out, in, "gate_rank", s->linear_gate_rank, 0);
    put(out, in, "conv", s->linear_conv, conv);
    put(out, in, "chunk", s->linear_chunk, chunk);
    if (s->linear_state_bytes != 4.0) {
        fprintf(out, "    state_bytes: %g\n", s->linear_state_bytes);
    }
}

static void write_shape(FILE *out, const df_cfg_llm *m)
{
    static const char *const norms[] = {"as_type", "rms", "layer", "plain"};
    static const char in[] = "  ";
    const df_cfg_shape *const s = &m->shape;
    const int64_t usual_norms = 2;
    const df_norm_kind by_type = m->model_type == DF_LLM_GPT ? DF_NORM_LAYER : DF_NORM_RMS;
    if (s->norm != by_type) {
        fprintf(out, "  norm: %s\n", norms[s->norm]);
    }
    put(out, in, "norms", s->norms, usual_norms);
    fputs(s->dropout == DF_IS_NOT_THERE ? "  dropout: false\n" : "", out);
    fputs(s->ffn_bias ? "  ffn_bias: true\n" : "", out);
    put(out, in, "positions", s->positions, 0);
    put(out, in, "embedding_dim", s->embedding_dim, 0);
    if (s->layer_embedding_dim > 0) {
        fputs("  layer_embedding:\n", out);
        put(out, "    ", "dim", s->layer_embedding_dim, 0);
        put(out, "    ", "vocab", s->layer_embedding_vocab, 0);
    }
    put(out, in, "prediction_layers", s->prediction_layers, 0);
    put(out, in, "other_params", s->other_params, 0);
    write_experts(out, s);
    write_state(out, s);
}

/* ---- Comments ---- */

/* Prints a text on one line, whatever it contains. */
static void write_comment(FILE *out, const char *text)
{
    fputs("# ", out);
    for (const char *c = text; *c != '\0'; c++) {
        fputc(iscntrl((unsigned char)*c) ? '?' : *c, out);
    }
    fputc('\n', out);
}

static void write_head(FILE *out, const char *title, const df_hf_model *model)
{
    write_comment(out, title);
    for (int i = 0; i < model->num_notes; i++) {
        write_comment(out, model->note[i]);
    }
    for (int i = 0; i < model->num_warnings; i++) {
        write_comment(out, model->warning[i]);
    }
    if (model->quantized[0] != '\0') {
        char text[sizeof model->quantized + 64];
        snprintf(text, sizeof text, "weights are quantized: %s", model->quantized);
        write_comment(out, text);
    }
    if (model->formats[0] != '\0') { /* a key of the hardware file */
        fprintf(out, "# sw_param: {precision: {%s}}\n", model->formats);
    }
}

void df_hf_write(FILE *out, const char *title, const df_hf_model *model, const df_hf_run *run)
{
    const df_cfg_llm *const m = &model->llm;
    write_head(out, title, model);
    fprintf(out, "model_param:\n  mode: LLM\n  run_type: %s\n",
            run->inference ? "inference" : "training");
    fprintf(out, "  model_type: %s\n  tied_embeddings: %s\n",
            m->model_type == DF_LLM_LLAMA ? "llama # SwiGLU" : "gpt # GELU",
            m->tied_embeddings ? "true" : "false");
    fprintf(out,
            "  batch_size: %" PRId64 "\n  seq_len: %" PRId64 "\n  decode_len: %" PRId64
            "\n  num_layers: %" PRId64 "\n",
            run->batch_size, df_hf_seq_len(model, run), run->decode_len, m->num_layers);
    if (m->layers.count > 0) {
        write_layers(out, &m->layers);
    }
    fprintf(out, "  hidden_dim: %" PRId64 "\n", m->hidden_dim);
    write_attention(out, m, run);
    fprintf(out,
            "  intermediate_size: %" PRId64 "\n  num_experts: %" PRId64 "\n  top_k: %" PRId64
            "\n  vocab_size: %" PRId64 "\n",
            m->intermediate_size, m->num_experts, m->top_k, m->vocab_size);
    write_shape(out, m);
}
