#include "hf/hf.h"

#include <ctype.h>
#include <inttypes.h>

int64_t df_hf_seq_len(const df_hf_model *model, const df_hf_run *run)
{
    const int64_t usual = 2048;
    if (run->seq_len > 0) {
        return run->seq_len;
    }
    return model->context > 0 ? model->context : usual;
}

static void write_attention(FILE *out, const df_hf_model *model, const df_hf_run *run)
{
    const bool grouped = model->kv_heads != model->heads;
    fprintf(out, "  attention:\n    attention_type: %s\n    num_heads: %" PRId64 "\n",
            grouped ? "gqa" : "mha", model->heads);
    if (grouped) {
        fprintf(out, "    kv_heads: %" PRId64 "\n", model->kv_heads);
    }
    fprintf(out, "    use_flashattention: %s\n", run->flash ? "true" : "false");
    if (run->tile_size > 0) {
        fprintf(out, "    attention_tile_size: %" PRId64 "\n", run->tile_size);
    }
}

/* Prints a text on one line, whatever it contains. */
static void write_title(FILE *out, const char *title)
{
    fputs("# ", out);
    for (const char *c = title; *c != '\0'; c++) {
        fputc(iscntrl((unsigned char)*c) ? '?' : *c, out);
    }
    fputc('\n', out);
}

void df_hf_write(FILE *out, const char *title, const df_hf_model *model, const df_hf_run *run)
{
    write_title(out, title);
    fprintf(out, "model_param:\n  mode: LLM\n  run_type: %s\n",
            run->inference ? "inference" : "training");
    fprintf(out, "  model_type: %s\n  tied_embeddings: %s\n",
            model->gated ? "llama # SwiGLU" : "gpt # GELU", model->tied ? "true" : "false");
    fprintf(out,
            "  batch_size: %" PRId64 "\n  seq_len: %" PRId64 "\n  decode_len: %" PRId64
            "\n  num_layers: %" PRId64 "\n  hidden_dim: %" PRId64 "\n",
            run->batch_size, df_hf_seq_len(model, run), run->decode_len, model->layers,
            model->hidden);
    write_attention(out, model, run);
    fprintf(out,
            "  intermediate_size: %" PRId64 "\n  num_experts: %" PRId64 "\n  top_k: %" PRId64
            "\n  vocab_size: %" PRId64 "\n",
            model->intermediate, model->experts, model->top_k, model->vocab);
}
