#include "summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "cli.h"
#include "compat/compat.h"

static void print_line(FILE *out, int length)
{
    for (int i = 0; i < length; i++) {
        fputc('=', out);
    }
    fputc('\n', out);
}

/* A title between lines as long as the Python DeepFlow's. */
static void print_title(FILE *out, const char *title, int length)
{
    print_line(out, length);
    fprintf(out, "%s\n", title);
    print_line(out, length);
}

static void print_level(FILE *out, int level, const df_hw_mem *mem)
{
    const double rate = mem->dynamic_throughput_bytes_ps;
    const double size = mem->size_bytes;
    const bool slow = rate < 1e3 * DF_GIB;
    fprintf(out, "L%d Bandwidth: %.1f %s\n", level, rate / (slow ? DF_GIB : DF_TIB),
            slow ? "GB/s" : "TB/s");
    if (size < 1e3 * DF_MIB) {
        fprintf(out, "L%d Size: %.10f MB\n", level, size / DF_MIB);
    } else {
        const bool small = size < 1e3 * DF_GIB;
        fprintf(out, "L%d Size: %.1f %s\n", level, size / (small ? DF_GIB : DF_TIB),
                small ? "GB" : "TB");
    }
}

static void print_device(FILE *out, const df_hw_device *dev)
{
    print_title(out, "Hardware Configuration", 26);
    fprintf(out, "Throughput: %.5f Tflops\n", dev->core.operating_throughput_flops_ps / 1e12);
    for (int level = DF_HW_LEVELS - 1; level >= 0; level--) {
        print_level(out, level, &dev->mem[level]);
    }
    fprintf(out, "Intra-node Bandwidth: %.1f GB/s\n", dev->intra.throughput_bytes_ps / DF_GIB);
    fprintf(out, "Inter-node Bandwidth: %.1f GB/s\n", dev->inter.throughput_bytes_ps / DF_GIB);
}

/* Memory by part of the model. The projection layer is not modelled. */
static void print_parts(FILE *out, const df_footprint *need)
{
    fprintf(out,
            "Total Memory: %.1f GB\nEmbedding Memory: %.1f GB\nHidden Memory: %.1f GB\n"
            "Softmax Memory: %.1f GB\nProjection Memory: %.1f GB\n",
            need->total_bytes / DF_GIB, need->part[DF_PART_EMBEDDING].total_bytes / DF_GIB,
            need->part[DF_PART_HIDDEN].total_bytes / DF_GIB,
            need->part[DF_PART_SOFTMAX].total_bytes / DF_GIB, 0.0);
}

static void print_kinds(FILE *out, const df_footprint *need)
{
    df_footprint_part sum = {0, 0, 0, 0};
    for (int i = 0; i < DF_LSTM_PARTS; i++) {
        sum.weight_bytes += need->part[i].weight_bytes;
        sum.activation_bytes += need->part[i].activation_bytes;
        sum.pointwise_bytes += need->part[i].pointwise_bytes;
    }
    fprintf(out,
            "\nTotal Memory: %.1f GB\nWeight Memory: %.1f GB\nActivation Memory: %.1f GB\n"
            "Pointwise Memory: %.1f GB\n",
            need->total_bytes / DF_GIB, sum.weight_bytes / DF_GIB, sum.activation_bytes / DF_GIB,
            sum.pointwise_bytes / DF_GIB);
}

/* The memory of a replica of the whole model, not split over devices. */
static df_footprint whole_model(const df_summary *s)
{
    df_cfg cfg = *s->cfg;
    df_lstm model;
    df_footprint need;
    cfg.sched.lp = 1;
    cfg.sched.t = DF_T_NONE;
    cfg.sched.kp1 = 1;
    cfg.sched.kp2 = 1;
    for (int part = 0; part < DF_PARTS; part++) {
        cfg.sched.kp_type[part] = DF_KP_NONE;
    }
    df_lstm_read(&cfg, &model);
    df_footprint_lstm(&model, &need);
    return need;
}

static void print_memory(FILE *out, const df_summary *s)
{
    const df_footprint whole = whole_model(s);
    const double capacity = s->dev->mem[DF_HW_LEVELS - 1].size_bytes;
    fputs("\n\n", out);
    print_title(out, "Memory Requirement Breakdown per Data Shard", 43);
    print_parts(out, &whole);
    print_kinds(out, &whole);
    fprintf(out,
            "\nMemory Overflow Rate (Total Memory Required per Data Shard / Memory capacity per "
            "node): %.1f\n",
            capacity > 0 ? whole.total_bytes / capacity : HUGE_VAL);
    fputs("\n\n", out);
    print_title(out, "Memory Requirement Breakdown per Data Shard Per Model Shard", 59);
    print_parts(out, &s->need->lstm);
    fprintf(out,
            "Memory Overflow Rate (Total Memory Required per Data Shard Per Model Shard/ Memory "
            "capacity per node): %.5f\n",
            capacity > 0 ? s->need->total_bytes / capacity : HUGE_VAL);
    print_kinds(out, &s->need->lstm);
}

static void print_lstm(FILE *out, const df_summary *s)
{
    print_device(out, s->dev);
    print_memory(out, s);
    fputs("\n\n", out);
    print_title(out, "Performance Results", 46);
    fprintf(out, "Time: %.8f\nParams (Billion): %.8f\n", s->prediction->time_s,
            s->prediction->lstm.params / 1e9);
}

static void print_gemm(FILE *out, const df_summary *s)
{
    const df_gemm_times *const t = &s->prediction->gemm;
    const double backward_s =
        df_compat_summary_backward_s(s->rules, t->backward_compute_s, t->dp_comm_s);
    fprintf(out, "Forward Compute Time: %.17g\nForward Reduction Time: %.17g\n",
            t->forward_compute_s, t->forward_comm_s);
    if (s->cfg->gemm.backward) {
        fprintf(out, "Backward Compute Time: %.17g\nBackward Reduction Time: %.17g\n", backward_s,
                t->backward_comm_s + t->dp_comm_s);
        if (t->dp_comm_s > 0) {
            fprintf(out, "DP Reduction Time: %.17g\n", t->dp_comm_s);
        }
    }
    fprintf(out, "Total Time: %.17g\n", t->time_s);
}

static void print_training(FILE *out, const df_summary *s)
{
    fputs("\n\n", out);
    print_title(out, "Performance Results", 46);
    fprintf(out, "Execution Mode: %s\nTotal Time: %.8f\n", df_backend_name(&s->cfg->backend),
            s->prediction->time_s);
}

/* Prints the rates of one sequence, multiplied by a number of sequences. */
static void print_rates(FILE *out, const char *title, const df_llm_rates *r, double sequences)
{
    fprintf(out, "%s: start=%.2f, mid(token %" PRId64 ")=%.2f, end=%.2f\n", title,
            sequences * r->start, r->midpoint_step, sequences * r->midpoint, sequences * r->end);
}

static void print_inference(FILE *out, const df_summary *s)
{
    const df_llm_result *const r = &s->prediction->llm;
    const int64_t batch = s->cfg->llm.batch_size;
    const int64_t dp = s->cfg->sched.dp;
    char title[128];
    fputs("\n\n", out);
    print_title(out, "LLM Inference Results", 46);
    fprintf(out,
            "Execution Mode: %s\nInference Time for batch: %.2fs\n"
            "Prefill Time: %.3fs\nDecode Time: %.3fs\n",
            df_backend_name(&s->cfg->backend), r->time_s, r->prefill_s, r->decode_s);
    if (dp > 1) {
        fprintf(out, "Data Parallel Replicas: %" PRId64 "\n", dp);
    }
    fprintf(out, "Time to First Token: %.3fs\n", r->first_token_s);
    snprintf(title, sizeof title,
             "Aggregate Decode Throughput Tok/s (batch=%" PRId64 ", dp=%" PRId64 ")", batch, dp);
    print_rates(out, "Decode Generations per Second", &r->tokens_ps, 1);
    print_rates(out, title, &r->tokens_ps,
                r->at_once > 0.0 ? r->at_once : df_compat_rated_sequences(s->rules, s->cfg));
}

static void print_mode(FILE *out, const df_summary *s)
{
    switch (s->cfg->mode) {
    case DF_MODE_GEMM:
        print_gemm(out, s);
        return;
    case DF_MODE_LSTM:
        print_lstm(out, s);
        return;
    case DF_MODE_LLM:
        break;
    }
    if (s->cfg->llm.run_type == DF_RUN_TRAINING) {
        print_training(out, s);
    } else {
        print_inference(out, s);
    }
}

static void print_all(FILE *out, const void *summary)
{
    print_mode(out, summary);
}

df_status
df_summary_write(const df_summary *summary, const char *dir, char *path, size_t room, df_err *err)
{
    const df_cfg_gemm *const gemm = &summary->cfg->gemm;
    char name[128] = "summary_LSTM.txt";
    if (summary->cfg->mode == DF_MODE_GEMM) {
        snprintf(name, sizeof name, "summary_modeGEMM_M%" PRId64 "_K%" PRId64 "_N%" PRId64 ".txt",
                 gemm->m, gemm->k, gemm->n);
    } else if (summary->cfg->mode == DF_MODE_LLM) {
        snprintf(name, sizeof name, "LLM_%s_results.txt",
                 summary->cfg->llm.run_type == DF_RUN_TRAINING ? "training" : "inference");
    }
    if ((size_t)snprintf(path, room, "%s/%s", dir, name) >= room) {
        return df_fail(err, DF_EIO, "%s: the path is too long", dir);
    }
    return df_cli_write_file(path, print_all, summary, err);
}
