#include "llm/llm_memory.h"

#include <math.h>
#include <string.h>

#include "predict/pipe.h"

const char *const df_llm_mem_names[DF_LLM_MEM_PARTS] = {
    [DF_LLM_MEM_WEIGHTS] = "weights",       [DF_LLM_MEM_MASTER] = "master_weights",
    [DF_LLM_MEM_GRADIENTS] = "gradients",   [DF_LLM_MEM_OPTIMIZER] = "optimizer",
    [DF_LLM_MEM_GATHERED] = "gathered",     [DF_LLM_MEM_ACTIVATIONS] = "activations",
    [DF_LLM_MEM_RECOMPUTED] = "recomputed", [DF_LLM_MEM_LOGITS] = "logits",
    [DF_LLM_MEM_KV_CACHE] = "kv_cache",
};

static const double fp32_bytes = 4.0;

/* What the parts are counted from. */
typedef struct {
    const df_cfg *cfg;
    const df_cfg_llm *m;
    double tp, cp, dp;
    double d, kv_width, heads, ffn, ffn1, vocab;
    double batch;           /* sequences of a micro-batch */
    double tokens;          /* of a micro-batch on a device that shares sequences by cp */
    double element;         /* bytes */
    double sequence_shards; /* tensor-parallel devices that share what is not in a GEMM */
    df_pipe pipe;
    int64_t stage, last;
    double layers;           /* of the stage */
    double layer_parameters; /* on a device */
} view;

static double at_least_1(int64_t degree)
{
    return degree > 0 ? (double)degree : 1.0;
}

static view view_of(const df_cfg *cfg, int64_t stage)
{
    const df_cfg_llm *const m = &cfg->llm;
    const df_cfg_sched *const s = &cfg->sched;
    const bool grouped = m->attention.attention_type == DF_ATTENTION_GQA;
    const double head = (double)m->hidden_dim / (double)m->attention.num_heads;
    const df_pipe pipe = df_pipe_read(cfg);
    view v = {.cfg = cfg,
              .m = m,
              .tp = at_least_1(s->tp),
              .cp = at_least_1(s->cp),
              .dp = (double)s->dp,
              .d = (double)m->hidden_dim,
              .heads = (double)m->attention.num_heads,
              .ffn = (double)m->intermediate_size,
              .vocab = (double)m->vocab_size,
              .element = cfg->sw.precision.tensor_bytes,
              .pipe = pipe,
              .stage = stage,
              .last = s->lp - 1,
              .layers = (double)df_sched_stage_layers(&pipe, stage)};
    const bool training = m->run_type == DF_RUN_TRAINING;
    const double context = (double)(training ? m->seq_len : m->seq_len - m->decode_len);
    v.kv_width = head * (grouped ? (double)m->attention.kv_heads : v.heads);
    v.ffn1 = m->model_type == DF_LLM_LLAMA ? 2.0 * v.ffn : v.ffn;
    v.batch = (double)m->batch_size / v.dp / (double)s->mb;
    v.tokens = v.batch * ceil(context / v.cp);
    v.sequence_shards = s->tp_sp || v.cp > 1 ? v.tp : 1.0;
    const double experts = (double)m->num_experts;
    v.layer_parameters =
        (v.d * (v.d + 2.0 * v.kv_width) + v.d * v.d + experts * v.d * (v.ffn1 + v.ffn)) / v.tp;
    return v;
}

/* ---- Parameters ---- */

/* Of the stage, on one device. A table shared by both ends of a pipeline is on both. */
static double stage_parameters(const view *v)
{
    const double table = v->vocab * v->d / v->tp;
    const bool shared = v->m->tied_embeddings && v->last == 0;
    double tables = v->stage == 0 ? 1.0 : 0.0;
    if (v->stage == v->last && !shared) {
        tables += 1.0;
    }
    return v->layers * v->layer_parameters + tables * table;
}

/* Rajbhandari et al., SC 2020: which stage of ZeRO splits what. */
static void count_parameters(const view *v, df_llm_memory *out)
{
    const df_cfg_precision *const p = &v->cfg->sw.precision;
    const bool mixed = p->mixed_precision;
    const bool wide = mixed && p->param_storage == DF_STORE_FP32;
    const bool master = mixed && p->param_storage == DF_STORE_TENSOR_FP32_MASTER;
    const bool training = v->m->run_type == DF_RUN_TRAINING;
    const int64_t zero = training ? v->cfg->sw.dp_zero_stage : 0;
    const double replicas = v->dp * v->cp;
    const double n = stage_parameters(v);
    const double weight_bytes = wide ? fp32_bytes : v->element;
    const double sum_bytes = mixed ? fp32_bytes : v->element;
    double *const bytes = out->part_bytes;
    bytes[DF_LLM_MEM_WEIGHTS] = weight_bytes * n / (zero >= 3 ? replicas : 1.0);
    if (!training) {
        return;
    }
    bytes[DF_LLM_MEM_MASTER] = (master ? fp32_bytes : 0.0) * n / (zero >= 1 ? replicas : 1.0);
    bytes[DF_LLM_MEM_GRADIENTS] = sum_bytes * n / (zero >= 2 ? replicas : 1.0);
    bytes[DF_LLM_MEM_OPTIMIZER] = 2.0 * sum_bytes * n / (zero >= 1 ? replicas : 1.0);
    if (zero >= 3 && replicas > 1) {
        /* one layer in use and the next on its way; the gradient of one */
        const double largest = fmax(v->layer_parameters, v->vocab * v->d / v->tp);
        bytes[DF_LLM_MEM_GATHERED] = (2.0 * weight_bytes + v->element) * largest;
    }
}

/* ---- Activations: Korthikanti et al., MLSys 2023, table 2, for any widths ---- */

/* Scores of the attention and what follows from them, of one layer and micro-batch. With
 * dropout (gpt): its mask of a byte, and its output. FlashAttention keeps a figure of each row. */
static double core_bytes(const view *v)
{
    const double scores = v->tokens * v->heads * (double)v->m->seq_len / v->tp;
    const double kept = v->m->model_type == DF_LLM_GPT ? 2.0 * v->element + 1.0 : v->element;
    if (v->m->attention.use_flashattention) {
        return fp32_bytes * v->tokens * v->heads / v->tp;
    }
    return kept * scores;
}

/* All but the core, of one layer and micro-batch. */
static double outside_core_bytes(const view *v)
{
    const double a = v->element;
    const double masks = v->m->model_type == DF_LLM_GPT ? 2.0 : 0.0; /* after both GEMMs */
    /* inputs of the norms, of qkv, of the feed-forward network */
    const double whole = (4.0 * a + masks) * v->d;
    const double attention = a * (2.0 * v->d + 2.0 * v->kv_width); /* q, k, v, and their result */
    const double active = (double)v->m->top_k;
    const double ffn = a * active * (v->ffn1 + v->ffn); /* before and after the activation */
    return v->tokens * (whole / v->sequence_shards + (attention + ffn) / v->tp);
}

static double input_bytes(const view *v)
{
    return v->tokens * v->element * v->d / v->sequence_shards;
}

/* What one layer keeps of one micro-batch until its backward pass. */
static double kept_bytes(const view *v)
{
    switch (v->cfg->sched.recompute) {
    case DF_RECOMPUTE_FULL:
        return input_bytes(v);
    case DF_RECOMPUTE_SELECTIVE:
        return outside_core_bytes(v);
    case DF_RECOMPUTE_NONE:
        break;
    }
    return outside_core_bytes(v) + core_bytes(v);
}

static void count_training(const view *v, df_llm_memory *out)
{
    double *const bytes = out->part_bytes;
    const double layers = df_sched_kept(df_pipe_order(v->cfg), &v->pipe, v->stage);
    bytes[DF_LLM_MEM_ACTIVATIONS] = layers * kept_bytes(v);
    if (v->stage == 0 && v->m->model_type == DF_LLM_GPT) { /* dropout after the embedding */
        bytes[DF_LLM_MEM_ACTIVATIONS] +=
            v->tokens * v->d / v->sequence_shards * (v->layers > 0 ? layers / v->layers : 1.0);
    }
    if (v->layers > 0) {
        bytes[DF_LLM_MEM_RECOMPUTED] = outside_core_bytes(v) + core_bytes(v) - kept_bytes(v);
    }
    if (v->stage == v->last) {
        /* inputs of the last norm and of the logits; the logits as they come, in fp32, and
         * their softmax, which becomes the gradient */
        bytes[DF_LLM_MEM_LOGITS] =
            2.0 * input_bytes(v) + (v->element + 2.0 * fp32_bytes) * v->tokens * v->vocab / v->tp;
    }
}

/* ---- Inference ---- */

static void count_inference(const view *v, df_llm_memory *out)
{
    const df_cfg_precision *const p = &v->cfg->sw.precision;
    const double kv_bytes = p->kv_cache_bytes > 0 ? p->kv_cache_bytes : v->element;
    const double head = v->d / v->heads;
    const double width = fmax(v->kv_width / v->tp, head); /* at least one head a device */
    const double sequences = v->batch * (double)v->cfg->sched.mb;
    const double qkv = v->d + 2.0 * v->kv_width;
    double *const bytes = out->part_bytes;
    bytes[DF_LLM_MEM_KV_CACHE] =
        2.0 * sequences * (double)v->m->seq_len * width * kv_bytes * v->layers;
    /* a layer's input and output, and the widest that is between them */
    bytes[DF_LLM_MEM_ACTIVATIONS] =
        v->tokens * v->element *
        (2.0 * v->d / v->sequence_shards + fmax(qkv, v->ffn1 + v->ffn) / v->tp);
    if (!v->m->attention.use_flashattention && v->layers > 0) {
        bytes[DF_LLM_MEM_ACTIVATIONS] +=
            v->element * v->tokens * v->heads * (double)(v->m->seq_len - v->m->decode_len) / v->tp;
    }
    if (v->stage == v->last) { /* of the last token alone */
        bytes[DF_LLM_MEM_LOGITS] = fp32_bytes * v->batch * v->vocab / v->tp;
    }
}

void df_llm_memory_of_stage(const df_cfg *cfg, int64_t stage, df_llm_memory *out)
{
    const view v = view_of(cfg, stage);
    memset(out, 0, sizeof *out);
    out->stage = stage;
    count_parameters(&v, out);
    if (cfg->llm.run_type == DF_RUN_TRAINING) {
        count_training(&v, out);
    } else {
        count_inference(&v, out);
    }
    for (int i = 0; i < DF_LLM_MEM_PARTS; i++) {
        out->total_bytes += out->part_bytes[i];
    }
}

void df_llm_memory_peak(const df_cfg *cfg, df_llm_memory *out)
{
    /* between the ends every stage holds no more than the one before */
    const int64_t candidates[] = {0, 1, cfg->sched.lp - 2, cfg->sched.lp - 1};
    df_llm_memory_of_stage(cfg, 0, out);
    for (size_t i = 1; i < sizeof candidates / sizeof candidates[0]; i++) {
        df_llm_memory stage;
        if (candidates[i] > 0) {
            df_llm_memory_of_stage(cfg, candidates[i], &stage);
            if (stage.total_bytes > out->total_bytes) {
                *out = stage;
            }
        }
    }
}
