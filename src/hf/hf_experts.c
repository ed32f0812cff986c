/* Experts, and which layers have them. */
#include "hf/hf_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- What experts there are ---- */

/* One expert to which all tokens go, of a width of its own; several count as one that is wider. */
static void read_shared(df_hf_reader *r)
{
    df_cfg_shape *const s = &r->model->llm.shape;
    const int64_t expert = s->expert_size;
    const int64_t count = df_hf_count_or(r, "n_shared_experts", 0, 0);
    const int64_t together =
        df_hf_count_of(r,
                       DF_HF_KEYS("shared_expert_intermediate_size", "shared_intermediate_size",
                                  "share_expert_dim"),
                       0, 0);
    const int64_t each = df_hf_count_or(r, "moe_shared_expert_intermediate_size", 0, 0);
    s->shared_experts = together > 0 ? 1 : count;
    s->shared_size = together > 0 ? together : each;
    s->shared_gate = together > 0 && (r->family.is & DF_HF_SHARED_GATE) != 0;
    if (s->shared_size == expert || s->shared_experts == 0) {
        s->shared_size = 0;
    }
}

static void read_groups(df_hf_reader *r)
{
    df_cfg_shape *const s = &r->model->llm.shape;
    const int64_t groups = df_hf_count_or(r, "n_group", 0, 1);
    const int64_t limit = df_hf_count_or(r, "topk_group", 0, 0);
    s->groups = groups > 1 ? groups : 1;
    s->group_limit = groups > 1 && limit < groups ? limit : 0;
}

/* Gemma 4 has its usual network beside the experts of the same layer. */
static void read_beside(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    if (df_hf_flag(r, "enable_moe_block", false)) {
        m->shape.shared_experts = 1;
        m->shape.shared_size = m->intermediate_size;
    }
}

void df_hf_read_experts(df_hf_reader *r)
{
    df_cfg_llm *const m = &r->model->llm;
    m->num_experts = df_hf_count_or(r, "num_experts", 0, 1);
    m->top_k = df_hf_count_or(r, "num_experts_per_tok", 0, 1);
    const int64_t usual = m->intermediate_size;
    if (m->num_experts <= 1) {
        m->num_experts = 1;
        m->top_k = 1;
        df_hf_ignore(r, "n_shared_experts");
        df_hf_ignore(r, "moe_intermediate_size");
        return;
    }
    m->top_k = m->top_k < 1 ? 1 : m->top_k;
    m->shape.expert_size = df_hf_count_or(r, "moe_intermediate_size", 1, usual);
    if (m->shape.expert_size == 0) {
        df_hf_fail(r, "moe_intermediate_size", "a whole number >= 1", NULL);
    }
    if (m->top_k > m->num_experts) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most num_experts %lld", (long long)m->num_experts);
        df_hf_fail(r, "num_experts_per_tok", expected, df_hf_value(r, "num_experts_per_tok"));
    }
    m->shape.latent_dim = df_hf_count_or(r, "moe_latent_size", 0, 0);
    read_shared(r);
    read_beside(r);
    read_groups(r);
}

/* ---- Which layers have them ---- */

typedef struct {
    df_hf_reader *r;
    df_hf_layers *layers;
} placing;

static void make_dense(const placing *p, int64_t layer)
{
    if (layer >= 0 && layer < p->layers->count) {
        p->layers->at[layer].ffn = DF_FFN_DENSE;
    }
}

/* Layer i has experts where i + shift is a multiple of step. */
static void place_every(const placing *p, int64_t step, int64_t shift)
{
    for (int32_t i = 0; i < p->layers->count; i++) {
        if ((i + shift) % step != 0) {
            make_dense(p, i);
        }
    }
}

/* The first layers are dense, and behind them every moe_layer_freq-th; or a list of 0 and 1. */
static void place_first(const placing *p)
{
    const int64_t first =
        df_hf_count_of(p->r, DF_HF_KEYS("first_k_dense_replace", "num_dense_layers"), 0, 0);
    const json_t *const each = df_hf_value(p->r, "moe_layer_freq");
    for (int64_t i = 0; i < first; i++) {
        make_dense(p, i < p->layers->count ? i : 0);
        if (i >= p->layers->count) {
            break;
        }
    }
    if (json_is_array(each)) {
        for (int32_t i = 0; i < p->layers->count; i++) {
            if (df_hf_at(p->r, "moe_layer_freq", each, (size_t)i) == 0) {
                make_dense(p, i);
            }
        }
    } else if (each) {
        place_every(p, df_hf_count_or(p->r, "moe_layer_freq", 1, 1), 0);
    }
}

static void place_listed_dense(const placing *p, const char *key)
{
    const json_t *const list = df_hf_list(p->r, key);
    for (size_t i = 0; i < json_array_size(list) && p->r->status == DF_OK; i++) {
        make_dense(p, df_hf_at(p->r, key, list, i));
    }
}

/* Llama 4: a list, or every so many layers. */
static void place_interleaved(const placing *p)
{
    const json_t *const list = df_hf_list(p->r, "moe_layers");
    const int64_t step = df_hf_count_or(p->r, "interleave_moe_layer_step", 1, 1);
    if (!list) {
        place_every(p, step, 1);
        return;
    }
    for (int32_t i = 0; i < p->layers->count; i++) {
        make_dense(p, i);
    }
    for (size_t i = 0; i < json_array_size(list) && p->r->status == DF_OK; i++) {
        const int64_t at = df_hf_at(p->r, "moe_layers", list, i);
        if (at >= 0 && at < p->layers->count) {
            p->layers->at[at].ffn = DF_FFN_EXPERTS;
        }
    }
}

/* Step: "4,5,6". */
static void place_enum(const placing *p)
{
    const char *text = df_hf_text(p->r, "moe_layers_enum");
    if (!text) {
        return;
    }
    for (int32_t i = 0; i < p->layers->count; i++) {
        make_dense(p, i);
    }
    while (*text != '\0') {
        char *end;
        const long at = strtol(text, &end, 10);
        if (end == text || (*end != ',' && *end != '\0')) {
            df_hf_fail(p->r, "moe_layers_enum", "layers such as \"4,5,6\"",
                       df_hf_value(p->r, "moe_layers_enum"));
            return;
        }
        if (at >= 0 && at < p->layers->count) {
            p->layers->at[at].ffn = DF_FFN_EXPERTS;
        }
        text = *end == ',' ? end + 1 : end;
    }
}

/* ERNIE: from one layer to another, every so many. */
static void place_range(const placing *p)
{
    const json_t *const end = df_hf_value(p->r, "moe_layer_end_index");
    const int64_t first = df_hf_count_or(p->r, "moe_layer_start_index", 0, 0);
    const int64_t step = df_hf_count_or(p->r, "moe_layer_interval", 1, 1);
    const int64_t given = json_is_integer(end) ? json_integer_value(end) : -1;
    const int64_t last = given < 0 ? p->layers->count - 1 : given;
    place_every(p, step, 1);
    for (int32_t i = 0; i < p->layers->count; i++) {
        if (i < first || i > last) {
            make_dense(p, i);
        }
    }
}

static void place_words(const placing *p)
{
    const json_t *const words = df_hf_list(p->r, "mlp_layer_types");
    for (int32_t i = 0; words && i < p->layers->count; i++) {
        const char *const word = json_string_value(json_array_get(words, (size_t)i));
        if (word && strcmp(word, "dense") == 0) {
            make_dense(p, i);
        }
    }
}

void df_hf_read_ffns(df_hf_reader *r, df_hf_layers *layers)
{
    const placing p = {r, layers};
    if (r->model->llm.num_experts == 1) {
        return;
    }
    for (int32_t i = 0; i < layers->count; i++) {
        layers->at[i].ffn = DF_FFN_EXPERTS;
    }
    place_first(&p);
    place_listed_dense(&p, "mlp_only_layers");
    place_every(&p, df_hf_count_or(r, "decoder_sparse_step", 1, 1), 1);
    const int64_t period = df_hf_count_or(r, "expert_layer_period", 1, 1);
    const int64_t offset = df_hf_count_or(r, "expert_layer_offset", 0, 0);
    place_every(&p, period, period - offset % period);
    place_interleaved(&p);
    place_enum(&p);
    place_range(&p);
    place_words(&p);
}
