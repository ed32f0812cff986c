#include "llm_out.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- JSON ---- */

static void add_row(json_t *operators, df_llm_op op, const df_llm_row *row)
{
    json_t *const o = df_json_object(operators, df_llm_op_names[op]);
    df_json_real(o, "forward_s", row->forward_s);
    df_json_real(o, "backward_s", row->backward_s);
    df_json_real(o, "forward_comm_s", row->forward_comm_s);
    df_json_real(o, "backward_comm_s", row->backward_comm_s);
    df_json_real(o, "comm_bytes_forward", row->forward_comm_bytes);
    df_json_real(o, "comm_bytes_backward", row->backward_comm_bytes);
    df_json_real(o, "flops", row->flops);
    json_t *const memory = df_json_object(o, "memory_bytes");
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        char key[8];
        snprintf(key, sizeof key, "L%d", level);
        df_json_real(memory, key, row->traffic_bytes[level]);
    }
}

static void add_inference(json_t *root, const df_llm_result *r)
{
    df_json_real(root, "prefill_s", r->prefill_s);
    df_json_real(root, "decode_s", r->decode_s);
    df_json_real(root, "ttft_s", r->first_token_s);
    json_t *const rates = df_json_object(root, "decode_tokens_per_s");
    df_json_real(rates, "start", r->tokens_ps.start);
    df_json_real(rates, "midpoint", r->tokens_ps.midpoint);
    df_json_real(rates, "end", r->tokens_ps.end);
    df_json_real(rates, "overall", r->tokens_ps.overall);
    df_json_real(rates, "midpoint_step", (double)r->tokens_ps.midpoint_step);
    df_json_real(root, "energy_prefill_j", r->prefill_energy_j);
    df_json_real(root, "energy_decode_j", r->decode_energy_j);
    json_t *const cache = df_json_object(root, "kv_cache");
    df_json_real(cache, "prefill_store_bytes", r->kv_prefill_store_bytes);
    df_json_real(cache, "decode_store_bytes", r->kv_decode_store_bytes);
    df_json_real(cache, "decode_fetch_bytes", r->kv_decode_fetch_bytes);
}

static void add_nodes(json_t *root, const df_llm_pass *pass)
{
    json_t *const o = df_json_object(root, "node_breakdown");
    df_json_real(o, "transformer_time_f", pass->block_forward_s);
    df_json_real(o, "transformer_time_b", pass->block_backward_s);
    df_json_real(o, "embedding_f", pass->row[DF_LLM_EMBEDDING].forward_s);
    df_json_real(o, "embedding_b", pass->row[DF_LLM_EMBEDDING].backward_s);
    df_json_real(o, "linear_softmax_f", pass->row[DF_LLM_LOGITS].forward_s);
    df_json_real(o, "linear_softmax_b", pass->row[DF_LLM_LOGITS].backward_s);
}

void df_llm_add_json(json_t *root, const df_llm_result *result)
{
    const bool training = result->run_type == DF_RUN_TRAINING;
    df_json_text(root, "run_type", training ? "training" : "inference");
    df_json_text(root, "backend", "analytical");
    df_json_real(root, "time_s", result->time_s);
    if (!training) {
        add_inference(root, result);
    }
    add_nodes(root, &result->pass);
    json_t *const operators = df_json_object(root, "operators");
    for (int op = 0; op < DF_LLM_ROWS; op++) {
        if (result->pass.row[op].present) {
            add_row(operators, (df_llm_op)op, &result->pass.row[op]);
        }
    }
}

/* ---- Text ---- */

static void print_operators(const df_llm_pass *pass, const char *title)
{
    printf("\n%-26s %12s %12s %12s %12s\n", title, "forward s", "backward s", "of it comm",
           "of it comm");
    for (int op = 0; op < DF_LLM_ROWS; op++) {
        const df_llm_row *const row = &pass->row[op];
        if (row->present) {
            printf("  %-24s %12.5g %12.5g %12.5g %12.5g\n", df_llm_op_names[op], row->forward_s,
                   row->backward_s, row->forward_comm_s, row->backward_comm_s);
        }
    }
}

static void print_inference(const df_llm_result *r)
{
    printf("  prefill                        %13.6g s\n", r->prefill_s);
    printf("  decode                         %13.6g s\n", r->decode_s);
    printf("  time to first token            %13.6g s\n", r->first_token_s);
    printf("  decode rate of a sequence      %13.6g tokens/s at its start, %.6g in the middle, "
           "%.6g at the end\n",
           r->tokens_ps.start, r->tokens_ps.midpoint, r->tokens_ps.end);
}

void df_llm_print_text(const df_cfg *cfg, const df_llm_result *result)
{
    const df_cfg_llm *const m = &cfg->llm;
    const bool training = result->run_type == DF_RUN_TRAINING;
    printf("LLM of %" PRId64 " layers of %" PRId64 ", batch %" PRId64 ", sequence %" PRId64
           ", on %" PRId64 " device(s)\n",
           m->num_layers, m->hidden_dim, m->batch_size, m->seq_len, df_cfg_workers(cfg));
    if (training) {
        printf("Training time for batch: %.2fs\n", result->time_s);
        printf("  %-30s %13.6g s\n", "time of a training step", result->time_s);
    } else {
        printf("LLM inference time: %.2fs (mode=analytical)\n", result->time_s);
        printf("LLM time to first token: %.2fs\n", result->first_token_s);
        print_inference(result);
    }
    print_operators(&result->pass, training ? "one layer, each device" : "one layer of prefill");
}
