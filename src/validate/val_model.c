/* Models whose layers are not all alike, and the published settings of a run: models.csv and
 * recipes.csv. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/val_impl.h"

static bool is(const char *text, const char *word)
{
    return strcmp(text, word) == 0;
}

/* ---- Models ---- */

/* Layers that a letter of a pattern stands for: halves of Mamba hybrids, and whole ones with
 * experts. */
static const struct {
    char letter;
    const char *layer;
} letters[] = {{'M', "mamba2 no_ffn"},
               {'*', "full no_ffn"},
               {'E', "no_attention experts"},
               {'W', "window experts"},
               {'F', "full experts"}};

static const char *layer_of(char letter)
{
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].letter == letter) {
            return letters[i].layer;
        }
    }
    return NULL;
}

/* A pattern as a list of layers. False: a letter is not known, or there is no room. */
static bool write_layers(const char *pattern, char text[DF_LAYERS_TEXT])
{
    size_t length = 0;
    text[0] = '\0';
    for (const char *at = pattern; *at != '\0'; at++) {
        const char *const layer = layer_of(*at);
        if (!layer || length + strlen(layer) + 3 > DF_LAYERS_TEXT) {
            return false;
        }
        length += (size_t)snprintf(text + length, DF_LAYERS_TEXT - length, "%s%s",
                                   length > 0 ? ", " : "", layer);
    }
    return true;
}

static df_status read_layers(df_val_row *r, df_cfg_llm *m)
{
    char text[DF_LAYERS_TEXT];
    df_err why;
    int64_t dense;
    const char *const pattern = df_csv_text(r->csv, r->row, "pattern");
    DF_TRY(df_val_count(r, "dense_layers", 0, 0, &dense));
    if (*pattern == '\0' && dense == 0) {
        return DF_OK;
    }
    if (*pattern == '\0') {
        snprintf(text, sizeof text, "%lld dense, %lld experts", (long long)dense,
                 (long long)(m->num_layers - dense));
    } else if (!write_layers(pattern, text)) {
        return df_csv_refuse(r->csv, r->row, "pattern", "letters of M, *, E, W, F", r->err);
    }
    return df_cfg_layers_parse(text, &m->layers, &why) == DF_OK
               ? DF_OK
               : df_fail(r->err, DF_INFEASIBLE, "layers: %s", why.text);
}

df_status df_val_read_experts(df_val_row *r, df_cfg_llm *m)
{
    const struct {
        const char *column;
        int64_t *to;
    } counts[] = {{"moe_ffn", &m->shape.expert_size},
                  {"shared_width", &m->shape.shared_size},
                  {"groups", &m->shape.groups},
                  {"group_limit", &m->shape.group_limit},
                  {"latent", &m->shape.latent_dim},
                  {"q_lora_rank", &m->attention.q_rank},
                  {"kv_lora_rank", &m->attention.kv_rank},
                  {"qk_nope_dim", &m->attention.nope_dim},
                  {"qk_rope_dim", &m->attention.rope_dim},
                  {"v_dim", &m->attention.value_dim},
                  {"state_heads", &m->shape.linear_heads},
                  {"state_head_dim", &m->shape.linear_head_dim},
                  {"state_groups", &m->shape.linear_groups},
                  {"state", &m->shape.linear_state},
                  {"sliding_window", &m->attention.window},
                  {"head_dim", &m->attention.head_dim}};
    int64_t experts;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        int64_t found;
        DF_TRY(df_val_count(r, counts[i].column, 0, 0, &found));
        *counts[i].to = found > 0 ? found : *counts[i].to;
    }
    DF_TRY(df_val_count(r, "experts", 0, 1, &experts));
    DF_TRY(df_val_count(r, "topk", 0, 1, &m->top_k));
    m->num_experts = experts;
    m->shape.shared_experts = *df_csv_text(r->csv, r->row, "shared_width") != '\0' ? 1 : 0;
    if (is(df_csv_text(r->csv, r->row, "attention"), "mla")) {
        m->attention.attention_type = DF_ATTENTION_MLA;
        m->attention.head_dim = 0; /* it follows from the latent widths */
    }
    return read_layers(r, m);
}

/* ---- Settings ---- */

static bool find_recipe(const df_val_row *r, df_val_row *out)
{
    const df_csv *const csv = r->data->recipes;
    const size_t rows = csv ? df_csv_rows(csv) : 0;
    for (size_t row = 0; row < rows; row++) {
        if (is(df_csv_text(csv, row, "id"), r->point.id)) {
            *out = *r;
            out->csv = csv;
            out->row = row;
            return true;
        }
    }
    return false;
}

/* The number of a column's word in a list. */
static df_status
read_word(df_val_row *r, const char *column, const char *const words[], int count, double *out)
{
    const char *const found = df_csv_text(r->csv, r->row, column);
    for (int i = 0; i < count; i++) {
        if (is(words[i], found)) {
            *out = i;
            return DF_OK;
        }
    }
    return df_csv_refuse(r->csv, r->row, column, "a word that moe_param or sw_param knows", r->err);
}

static double modules_of(const char *text)
{
    static const struct {
        const char *word;
        df_again part;
    } words[] = {{"core_attn", DF_AGAIN_CORE_ATTENTION}, {"mlp", DF_AGAIN_MLP},
                 {"layernorm", DF_AGAIN_LAYERNORM},      {"mla_up_proj", DF_AGAIN_LATENT_UP},
                 {"moe_act", DF_AGAIN_MOE_ACTIVATION},   {"moe", DF_AGAIN_MOE}};
    unsigned sum = 0;
    while (*text != '\0') {
        const size_t length = strcspn(text, " ");
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            const bool same =
                strlen(words[i].word) == length && strncmp(words[i].word, text, length) == 0;
            sum |= same ? (unsigned)words[i].part : 0U;
        }
        text += length + (text[length] == ' ');
    }
    return sum;
}

static df_status read_switches(df_val_row *r, df_framework *own, df_cfg *cfg)
{
    static const char *const graphs[] = {"none", "router", "attention", "iteration"};
    static const char *const dispatchers[] = {"alltoall", "deepep", "hybridep"};
    static const char *const grouped[] = {"loop", "fused"};
    double beside;
    double ends;
    const struct {
        const char *column;
        double *to;
    } numbers[] = {{"dispatcher_sms", &own->dispatcher_sms},
                   {"overlap_exchange", &own->exchange_overlaps},
                   {"shared_overlap", &own->shared_overlaps},
                   {"pad_in_router", &own->router_pads},
                   {"pad_to_capacity", &own->capacity_pads},
                   {"paged_stash", &own->paged_stash},
                   {"fp8_attention", &own->fp8_attention},
                   {"expert_bias", &own->expert_bias},
                   {"overlap_tensor", &beside},
                   {"ends_as_layers", &ends}};
    DF_TRY(read_word(r, "graph", graphs, 4, &own->graph));
    DF_TRY(read_word(r, "dispatcher", dispatchers, 3, &own->dispatcher));
    DF_TRY(read_word(r, "grouped_kernel", grouped, 2, &own->grouped));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        DF_TRY(df_val_number(r, numbers[i].column, 0.0, numbers[i].to));
    }
    own->overlap_tensor = beside > 0.0 ? DF_OVERLAP_CHUNKED : DF_OVERLAP_NONE;
    own->stage_split = ends > 0.0 ? DF_STAGES_ENDS_AS_LAYERS : DF_STAGES_EVEN;
    return df_val_count(r, "prediction_layers", 0, 0, &cfg->llm.shape.prediction_layers);
}

df_status df_val_read_recipe(df_val_row *r, df_cfg *cfg)
{
    df_val_row recipe;
    if (cfg->llm.num_experts <= 1 || !find_recipe(r, &recipe)) {
        return DF_OK;
    }
    DF_TRY(read_switches(&recipe, &cfg->sw.framework.own, cfg));
    cfg->sched.recompute_modules =
        cfg->sched.recompute == DF_RECOMPUTE_NONE
            ? modules_of(df_csv_text(recipe.csv, recipe.row, "recompute_modules"))
            : 0.0;
    snprintf(cfg->sched.layout, sizeof cfg->sched.layout, "%s",
             df_csv_text(recipe.csv, recipe.row, "layout"));
    return DF_OK;
}
