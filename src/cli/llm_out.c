#include "llm_out.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/units.h"
#include "compat/compat.h"

static const char *bound_name(const df_hw_device *dev, const df_row *row, int direction)
{
    return df_cost_names[df_usage_bound(dev, &row->side[direction])];
}

static double flops_use(const df_llm_report *report)
{
    const df_design design = {report->cfg, report->dev, report->rules};
    return df_llm_flops_use(&design, report->result);
}

double df_llm_memory_use(const df_llm_report *report)
{
    return report->memory->total_bytes / report->dev->mem[DF_HW_LEVELS - 1].size_bytes;
}

/* What serving and training are measured by; docs/models.md has the meaning of each. */
typedef struct {
    double token_s;          /* TPOT; 0: nothing is decoded */
    double user_tokens_ps;   /* rate of one sequence */
    double tokens_ps;        /* rate of all sequences, over the whole time */
    double device_tokens_ps; /* the same for one device */
} token_rates;

static token_rates rates_of(const df_llm_report *report)
{
    const df_cfg_llm *const m = &report->cfg->llm;
    const df_llm_result *const r = report->result;
    /* an engine's prefill gives the first of the tokens */
    const int64_t steps = m->decode_len - (report->rules->calibrated ? 1 : 0);
    const bool generates = r->run_type == DF_RUN_INFERENCE && m->decode_len > 0;
    const bool decodes = generates && steps > 0;
    const int64_t tokens = generates ? m->decode_len : m->seq_len;
    const double token_s = decodes ? r->decode_s / (double)steps : 0.0;
    const double tokens_ps = (double)m->batch_size * (double)tokens / r->time_s;
    return (token_rates){.token_s = token_s,
                         .user_tokens_ps = decodes ? 1 / token_s : 0.0,
                         .tokens_ps = tokens_ps,
                         .device_tokens_ps = tokens_ps / (double)df_cfg_workers(report->cfg)};
}

/* ---- JSON ---- */

static void add_row(json_t *operators, const df_hw_device *dev, df_row_name op, const df_row *row)
{
    json_t *const o = df_json_object(operators, df_row_names[op]);
    df_json_real(o, "forward_s", row->side[DF_FORWARD].time_s);
    df_json_real(o, "backward_s", row->side[DF_BACKWARD].time_s);
    df_json_real(o, "forward_comm_s", row->side[DF_FORWARD].comm_s);
    df_json_real(o, "backward_comm_s", row->side[DF_BACKWARD].comm_s);
    df_json_real(o, "comm_bytes_forward", row->side[DF_FORWARD].comm_bytes);
    df_json_real(o, "comm_bytes_backward", row->side[DF_BACKWARD].comm_bytes);
    df_json_real(o, "flops", row->counted_flops);
    json_t *const memory = df_json_object(o, "memory_bytes");
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        char key[8];
        snprintf(key, sizeof key, "L%d", level);
        df_json_real(memory, key, row->counted_bytes[level]);
    }
    df_json_text(o, "bound_forward", bound_name(dev, row, DF_FORWARD));
    df_json_text(o, "bound_backward", bound_name(dev, row, DF_BACKWARD));
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

static void add_nodes(json_t *root, const df_breakdown *pass)
{
    json_t *const o = df_json_object(root, "node_breakdown");
    df_json_real(o, "transformer_time_f", pass->block_s[DF_FORWARD]);
    df_json_real(o, "transformer_time_b", pass->block_s[DF_BACKWARD]);
    df_json_real(o, "embedding_f", pass->row[DF_ROW_EMBEDDING].side[DF_FORWARD].time_s);
    df_json_real(o, "embedding_b", pass->row[DF_ROW_EMBEDDING].side[DF_BACKWARD].time_s);
    df_json_real(o, "linear_softmax_f", pass->row[DF_ROW_LOGITS].side[DF_FORWARD].time_s);
    df_json_real(o, "linear_softmax_b", pass->row[DF_ROW_LOGITS].side[DF_BACKWARD].time_s);
}

static void add_memory(json_t *root, const df_llm_report *report)
{
    json_t *const o = df_json_object(root, "memory");
    for (int i = 0; i < DF_MEMORY_PARTS; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_bytes", df_memory_names[i]);
        df_json_real(o, key, report->memory->part_bytes[i]);
    }
    df_json_real(o, "total_bytes", report->memory->total_bytes);
    df_json_real(o, "capacity_bytes", report->dev->mem[DF_HW_LEVELS - 1].size_bytes);
    df_json_real(o, "stage", (double)report->memory->stage);
}

static void add_energy(json_t *root, const df_energy *energy)
{
    static const char *const levels[DF_HW_LEVELS] = {"registers_j", "L1_j", "L2_j", "DRAM_j"};
    json_t *const o = df_json_object(root, "energy");
    df_json_real(o, "compute_j", energy->compute_j);
    for (int i = 0; i < DF_HW_LEVELS; i++) {
        df_json_real(o, levels[i], energy->memory_j[i]);
    }
    df_json_real(o, "network_j", energy->network_j);
    df_json_real(o, "static_j", energy->static_j);
    df_json_real(o, "total_j", energy->total_j);
}

static void
add_operators(json_t *root, const char *key, const df_hw_device *dev, const df_breakdown *pass)
{
    json_t *const operators = df_json_object(root, key);
    for (int op = 0; op < DF_ROWS; op++) {
        if (pass->row[op].present) {
            add_row(operators, dev, (df_row_name)op, &pass->row[op]);
        }
    }
}

static void add_rates(json_t *root, const df_llm_report *report)
{
    const token_rates r = rates_of(report);
    if (r.token_s > 0) {
        df_json_real(root, "tpot_s", r.token_s);
        df_json_real(root, "tokens_per_s_per_user", r.user_tokens_ps);
    }
    df_json_real(root, "tokens_per_s", r.tokens_ps);
    df_json_real(root, "tokens_per_s_per_device", r.device_tokens_ps);
}

void df_llm_add_json(json_t *root, const df_llm_report *report)
{
    const df_llm_result *const result = report->result;
    const bool training = result->run_type == DF_RUN_TRAINING;
    df_json_text(root, "run_type", training ? "training" : "inference");
    df_json_text(root, "backend", df_backend_name(&report->cfg->backend));
    df_json_real(root, "time_s", result->time_s);
    if (training) {
        df_json_real(root, "optimizer_s", result->optimizer_s);
        df_json_real(root, "recompute_s", result->pass.recompute_s);
    } else {
        add_inference(root, result);
    }
    add_rates(root, report);
    df_json_real(root, "mfu", flops_use(report));
    add_nodes(root, &result->pass);
    add_operators(root, "operators", report->dev, &result->pass);
    if (!training) {
        add_operators(root, "decode_operators", report->dev, &result->decode);
    }
    if (report->cfg->sched.micro_batch != 0) {
        df_json_real(root, "micro_batch_size", result->micro_batch);
        df_json_real(root, "micro_batches", (double)report->cfg->sched.mb);
        df_json_bool(root, "micro_batch_best", report->cfg->sched.micro_batch == DF_BEST_BATCH);
    }
    add_memory(root, report);
    df_json_bool(root, "fits", df_llm_memory_use(report) <= 1);
    add_energy(root, &result->energy);
    if (result->board_w > 0) {
        df_json_real(root, "board_w", result->board_w);
    }
    if (result->turns > 0) {
        df_json_real(root, "turns", result->turns);
    }
}

/* ---- Text ---- */

static double runs_of(const df_llm_report *report, df_row_name op)
{
    return df_llm_runs(report->cfg, report->result, op);
}

/* Time of an operator in a step, on one device of an average stage. */
static double spent_s(const df_llm_report *report, const df_row *row, df_row_name op)
{
    const double backward_s =
        df_llm_runs_backward(report->result, op) ? row->side[DF_BACKWARD].time_s : 0.0;
    return runs_of(report, op) * (row->side[DF_FORWARD].time_s + backward_s);
}

static void print_share(const char *name, double seconds, double whole_s)
{
    printf("  %-44s %14.5g %8.1f\n", name, seconds, 100 * seconds / whole_s);
}

static void print_operator(const df_llm_report *report,
                           const df_breakdown *pass,
                           df_row_name op,
                           double whole_s)
{
    const df_row *const row = &pass->row[op];
    const bool training = report->result->run_type == DF_RUN_TRAINING;
    df_price sum = row->side[DF_FORWARD].sum;
    df_price_add(&sum, &row->side[DF_BACKWARD].sum, training ? 1.0 : 0.0);
    printf("  %-22s %8.5g", df_row_names[op], runs_of(report, op)); /* the mean over stages */
    printf(" %11.4g", row->side[DF_FORWARD].time_s);
    if (training) {
        printf(" %11.4g", row->side[DF_BACKWARD].time_s);
    }
    printf(" %7.1f %10.4g %10.4g %10.4g  %s", 100 * spent_s(report, row, op) / whole_s, sum.flops,
           sum.traffic_bytes[DF_HW_LEVELS - 1], sum.sent_bytes,
           bound_name(report->dev, row, DF_FORWARD));
    if (training) {
        printf(", %s", bound_name(report->dev, row, DF_BACKWARD));
    }
    putchar('\n');
}

static void print_columns(bool training)
{
    printf("  %-22s %8s %11s", "operator", "times", "forward s");
    if (training) {
        printf(" %11s", "backward s");
    }
    printf(" %7s %10s %10s %10s  %s\n", "share %", "flops", "DRAM bytes", "sent bytes", "bound by");
}

/* What is not an operator's: a framework or an engine may also do two things at once. */
static void print_rest(const df_llm_report *report, double rest_s, double whole_s)
{
    const double least_s = 1e-9 * whole_s; /* rounding */
    const bool training = report->result->run_type == DF_RUN_TRAINING;
    if (!report->rules->calibrated) {
        print_share("waiting for stages, hops, reductions", rest_s > least_s ? rest_s : 0.0,
                    whole_s);
    } else if (rest_s < -least_s) {
        print_share("beside other operators", rest_s, whole_s);
    } else if (training) {
        print_share("host, stages, hops, reductions", rest_s, whole_s);
    } else {
        print_share(report->result->turns > 1.0 ? "engine, and further turns" : "engine", rest_s,
                    whole_s);
    }
}

/* Prints one device of an average stage: each operator, and the rest of the time. */
static void print_breakdown(const df_llm_report *report,
                            const df_breakdown *pass,
                            const char *title,
                            double whole_s)
{
    const df_llm_result *const result = report->result;
    const bool training = result->run_type == DF_RUN_TRAINING;
    double sum_s = 0.0;
    printf("\n%s: %.5g s\n", title, whole_s);
    print_columns(training);
    for (int i = 0; i < DF_BREAKDOWN_LEAVES; i++) {
        const df_row *const row = &pass->row[df_breakdown_leaves[i]];
        if (row->present) {
            print_operator(report, pass, df_breakdown_leaves[i], whole_s);
            sum_s += spent_s(report, row, df_breakdown_leaves[i]);
        }
    }
    const double recompute_s =
        result->cut_short ? 0.0 : runs_of(report, DF_ROW_MHA) * pass->recompute_s;
    const double optimizer_s = training ? result->optimizer_s : 0.0;
    if (recompute_s > 0) {
        print_share("recomputed forward work", recompute_s, whole_s);
    }
    if (optimizer_s > 0) {
        print_share("optimizer", optimizer_s, whole_s);
    }
    print_rest(report, whole_s - sum_s - recompute_s - optimizer_s, whole_s);
}

/* Rates at the start, in the middle and at the end of the decode phase, of all sequences. */
static void print_rates(const df_llm_rates *r, double sequences)
{
    printf(": start=%.2f, mid(token %" PRId64 ")=%.2f, end=%.2f\n", sequences * r->start,
           r->midpoint_step, sequences * r->midpoint, sequences * r->end);
}

/* Includes the lines of the Python DeepFlow. */
static void print_inference(const df_llm_report *report)
{
    const df_llm_result *const r = report->result;
    const int64_t batch = report->cfg->llm.batch_size;
    const int64_t dp = report->cfg->sched.dp;
    printf("LLM inference time: %.2fs (mode=%s)\n", r->time_s,
           df_backend_name(&report->cfg->backend));
    printf("LLM time to first token: %.2fs\n", r->first_token_s);
    if (dp > 1) {
        printf("Data parallel replicas: %" PRId64 "\n", dp);
    }
    if (r->decode_s > 0) {
        printf("Decode sequences/s");
        print_rates(&r->tokens_ps, 1);
        printf("Aggregate decode throughput tok/s (batch=%" PRId64 ", dp=%" PRId64 ")", batch, dp);
        print_rates(&r->tokens_ps, r->at_once > 0.0
                                       ? r->at_once
                                       : df_compat_rated_sequences(report->rules, report->cfg));
    }
    printf("  prefill                        %13.6g s\n", r->prefill_s);
    printf("  decode                         %13.6g s\n", r->decode_s);
    printf("  TTFT, time to first token      %13.6g s\n", r->first_token_s);
}

/* Tokens that are generated; those of the prompt where none is, and those trained. */
static void print_served(const df_llm_report *report)
{
    const token_rates r = rates_of(report);
    if (r.token_s > 0) {
        printf("  TPOT, time per output token    %13.6g ms\n", 1e3 * r.token_s);
        printf("  tokens/s/user                  %13.6g\n", r.user_tokens_ps);
    }
    printf("  tokens/s                       %13.6g\n", r.tokens_ps);
    printf("  tokens/s/GPU                   %13.6g\n", r.device_tokens_ps);
}

/* Where the file has a size of micro-batches, not their number. */
static void print_batches(const df_llm_report *report)
{
    const df_cfg_sched *const s = &report->cfg->sched;
    if (s->micro_batch != 0) {
        printf("  micro-batches                  %13" PRId64 " of %g sequence(s)%s\n", s->mb,
               report->result->micro_batch,
               s->micro_batch == DF_BEST_BATCH ? ", the fastest of the powers of two up to 16"
                                               : "");
    }
}

static void print_memory(const df_llm_report *report)
{
    const df_memory *const memory = report->memory;
    const double capacity = report->dev->mem[DF_HW_LEVELS - 1].size_bytes;
    printf(
        "  memory of a device             %13.6g GiB of %.6g GiB%s:", memory->total_bytes / DF_GIB,
        capacity / DF_GIB, df_llm_memory_use(report) <= 1 ? "" : ", does not fit");
    const char *comma = "";
    for (int i = 0; i < DF_MEMORY_PARTS; i++) {
        if (memory->part_bytes[i] > 0) {
            printf("%s %s %.3g", comma, df_memory_names[i], memory->part_bytes[i] / DF_GIB);
            comma = ",";
        }
    }
    putchar('\n');
}

/* Of boards, where something is known of them; else by the energies of the hardware file. */
static void print_energy(const df_llm_report *report)
{
    const df_energy *const e = &report->result->energy;
    const double board_w = report->result->board_w;
    const double parts[] = {e->compute_j,   e->memory_j[0], e->memory_j[1], e->memory_j[2],
                            e->memory_j[3], e->network_j,   e->static_j};
    static const char *const names[] = {"compute", "registers", "L1",     "L2",
                                        "DRAM",    "network",   "leakage"};
    printf("  energy of all devices          %13.6g J", e->total_j);
    if (board_w > 0) {
        df_rests_on on;
        df_predict_rests_on(report->cfg, &on);
        printf(": boards of %.4g W, %s\n", board_w,
               on.power == DF_POWER_MEASURED ? "as measured" : "by rule");
        return;
    }
    putchar(':');
    const char *comma = "";
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] > 0) {
            printf("%s %s %.4g", comma, names[i], parts[i]);
            comma = ",";
        }
    }
    puts(comma[0] != '\0' ? "" : " the hardware file gives no energies");
}

void df_llm_print_text(const df_llm_report *report, bool breakdown)
{
    const df_llm_result *const result = report->result;
    const df_cfg_llm *const m = &report->cfg->llm;
    const bool training = result->run_type == DF_RUN_TRAINING;
    printf("LLM of %" PRId64 " layers of %" PRId64 ", batch %" PRId64 ", sequence %" PRId64
           ", on %" PRId64 " device(s)\n",
           m->num_layers, m->hidden_dim, m->batch_size, m->seq_len, df_cfg_workers(report->cfg));
    if (training) {
        printf("Training time for batch: %.2fs\n", result->time_s);
        printf("  time of a training step        %13.6g s\n", result->time_s);
    } else {
        print_inference(report);
    }
    print_served(report);
    printf("  model FLOPs utilization        %13.6g %%\n", 100 * flops_use(report));
    print_batches(report);
    print_memory(report);
    print_energy(report);
    if (!breakdown) {
        return;
    }
    if (training) {
        print_breakdown(report, &result->pass, "A training step on one device", result->time_s);
        return;
    }
    if (result->prefill_s > 0) {
        print_breakdown(report, &result->pass, "The prefill on one device", result->prefill_s);
    }
    if (result->decode_s > 0) {
        print_breakdown(report, &result->decode, "The last decode step on one device",
                        1 / result->tokens_ps.end);
    }
}
