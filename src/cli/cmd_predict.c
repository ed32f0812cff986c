#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "astra_setup.h"
#include "base/dir.h"
#include "base/units.h"
#include "cli.h"
#include "commands.h"
#include "explain.h"
#include "json_out.h"
#include "llm_out.h"
#include "llm_warn.h"
#include "pictures.h"
#include "predict/predict.h"
#include "profiles.h"
#include "summary.h"

typedef struct {
    df_cli_files files;
    const char *exp_dir, *rules_text, *format;
    const char *run_type;                    /* NULL: the file's, as below */
    int64_t batch_size, seq_len, decode_len; /* 0, 0, -1: the file's */
    bool ignore_memory, breakdown, explain_rules;
    df_rules rules;
} predict_args;

/* One prediction with all that went into it. */
typedef struct {
    df_cfg cfg;
    df_hw_device dev;
    df_need need;
    df_prediction result;
    double memory_use; /* the bytes needed, by those of a device's DRAM */
    bool fits;
    df_rules rules;
    char summary[4096]; /* path of the summary file; empty: there is none */
} outcome;

static bool read_args(const char *name, int argc, char **argv, predict_args *a, int *exit_code)
{
    const bool stand_alone = strcmp(name, "stand_alone") == 0;
    df_arg args[] = {
        df_arg_text("exp_config", &a->files.exp_config, "one YAML file with hardware and model"),
        df_arg_text("hardware_config", &a->files.hardware_config, "or a hardware file ..."),
        df_arg_text("model_config", &a->files.model_config, "... together with a model file"),
        df_cli_hardware_arg(&a->files),
        df_cli_model_arg(&a->files),
        df_arg_text("run_type", &a->run_type,
                    "training or inference of an LLM, in place of what its file says"),
        df_arg_int("batch_size", &a->batch_size, 0, DF_ARG_INT_MAX,
                   "sequences of a batch of an LLM; 0: those of its file"),
        df_arg_int("seq_len", &a->seq_len, 0, DF_ARG_INT_MAX,
                   "tokens of a sequence, with those to decode; 0: as in the file"),
        df_arg_int("decode_len", &a->decode_len, -1, DF_ARG_INT_MAX,
                   "tokens to decode; -1: as in the file"),
        df_arg_text(
            "exp_dir", &a->exp_dir,
            "folder for the summary file, created if it does not exist (default output/MODE)"),
        df_arg_text(
            "rules", &a->rules_text,
            "calibrated (the default), corrected or reference, then exceptions (see `help rules`)"),
        df_arg_bool("ignore_memory", &a->ignore_memory,
                    "do not warn when the model does not fit in memory"),
        df_arg_bool("breakdown", &a->breakdown,
                    "for an LLM, show each operator and what bounds it"),
        df_arg_bool("explain_rules", &a->explain_rules,
                    "show what each rule changes here, instead of the prediction"),
        df_arg_choice("format", &a->format, "text|json", "how the result is printed"),
    };
    const df_command command = {
        name,
        stand_alone ? "makes one prediction from one combined file, and writes a summary file"
                    : "makes one prediction, in the mode that the model file names",
        stand_alone ? "  deepflow stand_alone --exp_config configs/search/lstm_4x4.yaml "
                      "--exp_dir output/lstm\n"
                    : "  deepflow predict --hardware_config configs/hardware/a100_80gb.yaml \\\n"
                      "    --model_config configs/model/lstm_2048.yaml\n"
                      "  deepflow predict --hardware h100_sxm --model llama3.1-8b\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* The other modes simulate graphs of an LLM. */
static df_cfg_backend backend_of(const df_cfg *cfg)
{
    df_cfg_backend backend = cfg->backend;
    if (cfg->mode != DF_MODE_LLM && df_backend_simulates(&backend)) {
        backend.mode = DF_ASTRA_HYBRID;
    }
    return backend;
}

static void warn_backend(const df_cfg *cfg)
{
    const df_cfg_backend used = backend_of(cfg);
    if (cfg->backend.mode != used.mode) {
        fprintf(stderr,
                "deepflow: warning: execution_backend.astra.mode: %s simulates graphs of LLMs; in "
                "mode %s, it is treated as %s\n",
                df_backend_name(&cfg->backend), df_mode_name(cfg->mode), df_backend_name(&used));
    }
}

/* The folder of files if --exp_dir does not name one. */
static const char *out_dir(const predict_args *a, df_mode mode)
{
    static const char *const dirs[] = {[DF_MODE_GEMM] = "output/GEMM",
                                       [DF_MODE_LSTM] = "output/LSTM",
                                       [DF_MODE_LLM] = "output/LLM"};
    return a->exp_dir ? a->exp_dir : dirs[mode];
}

static void fill_memory(outcome *o)
{
    const double room_bytes = o->dev.mem[DF_HW_LEVELS - 1].size_bytes;
    df_predict_need(&o->cfg, &o->rules, &o->need);
    o->memory_use = room_bytes > 0 ? o->need.total_bytes / room_bytes : HUGE_VAL;
    o->fits = !(o->memory_use > 1);
}

static df_status predict_with(
    df_predictor *predictor, const predict_args *a, df_runner *runner, outcome *o, df_err *err)
{
    const df_design design = {&o->cfg, &o->dev, &a->rules};
    if (o->cfg.sched.micro_batch == DF_BEST_BATCH && o->cfg.mode == DF_MODE_LLM) {
        DF_TRY(df_predict_best_batch(predictor, &o->dev, &a->rules, &o->cfg, err));
        fill_memory(o);
    }
    const char *dir = out_dir(a, o->cfg.mode);
    const df_llm_watch pictures = df_cli_pictures(&dir);
    if (df_cli_env_flag("DEEPFLOW_VISUALIZE_GRAPHS")) {
        df_predictor_show(predictor, &pictures);
    }
    df_predictor_use(predictor, runner);
    return df_predict(predictor, &design, DF_WANT_OPERATORS, &o->result, err);
}

/* runner: NULL where nothing is simulated. */
static df_status predict_loaded(const predict_args *a, df_runner *runner, outcome *o, df_err *err)
{
    DF_TRY(df_predict_check(&o->cfg, &a->rules, err));
    warn_backend(&o->cfg);
    DF_TRY(df_hw_derive(&o->cfg, &a->rules, &o->dev, err));
    fill_memory(o);
    if (o->cfg.mode == DF_MODE_LLM) {
        df_llm_warn_strategy(&o->cfg, &a->rules, stderr);
    }
    df_predictor *const predictor = df_predictor_new();
    if (!predictor) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    const df_status status = predict_with(predictor, a, runner, o, err);
    df_predictor_free(predictor);
    return status == DF_OK ? df_cli_check_finite(o->result.time_s, &o->dev, &a->rules, err)
                           : status;
}

/* What flags say of a run in place of the file. */
static df_status apply_run(const predict_args *a, df_cfg *cfg, df_err *err)
{
    df_cfg_llm *const m = &cfg->llm;
    if (!a->run_type && a->batch_size == 0 && a->seq_len == 0 && a->decode_len < 0) {
        return DF_OK;
    }
    if (cfg->mode != DF_MODE_LLM) {
        return df_fail(err, DF_EINVAL,
                       "--run_type, --batch_size, --seq_len, --decode_len: expected an LLM, found "
                       "a model of mode %s",
                       df_mode_name(cfg->mode));
    }
    if (a->run_type && strcmp(a->run_type, "training") != 0 &&
        strcmp(a->run_type, "inference") != 0) {
        return df_fail(err, DF_EINVAL, "--run_type: expected training or inference, found %.60s",
                       a->run_type);
    }
    if (a->run_type) {
        m->run_type = a->run_type[0] == 't' ? DF_RUN_TRAINING : DF_RUN_INFERENCE;
    }
    m->batch_size = a->batch_size > 0 ? a->batch_size : m->batch_size;
    m->seq_len = a->seq_len > 0 ? a->seq_len : m->seq_len;
    m->decode_len = a->decode_len >= 0 ? a->decode_len : m->decode_len;
    if (m->run_type == DF_RUN_INFERENCE && (m->decode_len < 0 || m->decode_len > m->seq_len)) {
        return df_fail(err, DF_EINVAL,
                       "--decode_len: expected 0 to seq_len %" PRId64 ", found %" PRId64,
                       m->seq_len, m->decode_len);
    }
    return df_cfg_check(cfg, err);
}

static df_status predict(predict_args *a, outcome *o, df_err *err)
{
    DF_TRY(df_rules_parse(a->rules_text, &a->rules, err));
    o->rules = a->rules;
    DF_TRY(df_cli_find_files(&a->files, err));
    DF_TRY(
        df_cli_load(&a->files, &a->rules, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &o->cfg, err));
    DF_TRY(apply_run(a, &o->cfg, err));
    df_runner *runner = NULL;
    if (df_backend_simulates(&o->cfg.backend)) {
        DF_TRY(df_cli_open_astra(&o->cfg, out_dir(a, o->cfg.mode), &runner, err));
    }
    const df_status status = predict_loaded(a, runner, o, err);
    df_cli_close_astra(runner);
    return status;
}

static df_llm_report report_of(const outcome *o)
{
    return (df_llm_report){&o->cfg, &o->dev, &o->result.llm, &o->need.llm, &o->rules};
}

/* ---- JSON ---- */

static void add_gemm(json_t *root, const df_gemm_times *t)
{
    df_json_real(root, "forward_compute_s", t->forward_compute_s);
    df_json_real(root, "forward_comm_s", t->forward_comm_s);
    df_json_real(root, "backward_compute_s", t->backward_compute_s);
    df_json_real(root, "backward_comm_s", t->backward_comm_s);
    df_json_real(root, "dp_comm_s", t->dp_comm_s);
}

static void add_lstm(json_t *root, const df_lstm_times *t)
{
    const df_pipeline_times *const c = &t->components;
    df_json_real(root, "forward_s", t->forward_s);
    df_json_real(root, "backward_s", t->backward_s);
    df_json_real(root, "params", t->params);
    json_t *const o = df_json_object(root, "components");
    df_json_real(o, "Cf", c->cf);
    df_json_real(o, "Cb", c->cb);
    df_json_real(o, "Sf", c->sf);
    df_json_real(o, "Sb", c->sb);
    df_json_real(o, "Ef", c->ef);
    df_json_real(o, "Eb", c->eb);
    df_json_real(o, "Tf", c->tf);
    df_json_real(o, "Tb", c->tb);
    df_json_real(o, "Rc", c->rc);
    df_json_real(o, "Rs", c->rs);
    df_json_real(o, "Re", c->re);
}

static void add_memory(json_t *root, const outcome *o)
{
    const df_footprint *const need = &o->need.lstm;
    json_t *const memory = df_json_object(root, "memory");
    df_json_real(memory, "total_bytes", need->total_bytes);
    df_json_real(memory, "hidden_bytes", need->part[DF_PART_HIDDEN].total_bytes);
    df_json_real(memory, "softmax_bytes", need->part[DF_PART_SOFTMAX].total_bytes);
    df_json_real(memory, "embedding_bytes", need->part[DF_PART_EMBEDDING].total_bytes);
    df_json_real(memory, "overflow", o->memory_use);
}

static int print_json(const outcome *o)
{
    json_t *const root = json_object();
    df_json_text(root, "mode", df_mode_name(o->cfg.mode));
    df_json_rules(root, &o->rules);
    if (o->rules.calibrated) {
        df_basis_add_json(root, &o->cfg);
    }
    if (o->cfg.mode == DF_MODE_LLM) {
        const df_llm_report report = report_of(o);
        df_llm_add_json(root, &report);
        return df_json_print(root);
    }
    const df_cfg_backend backend = backend_of(&o->cfg);
    df_json_text(root, "backend", df_backend_name(&backend));
    df_json_real(root, "time_s", o->result.time_s);
    if (o->cfg.mode == DF_MODE_GEMM) {
        add_gemm(root, &o->result.gemm);
    } else {
        add_lstm(root, &o->result.lstm);
        add_memory(root, o);
    }
    df_json_bool(root, "fits", o->fits);
    return df_json_print(root);
}

/* ---- Text ---- */

static void print_row(const char *name, double seconds, double whole_s)
{
    printf("  %-34s %13.6g s", name, seconds);
    if (whole_s > 0 && isfinite(whole_s)) {
        printf(" %6.1f %%", 100 * seconds / whole_s);
    }
    putchar('\n');
}

static void print_gemm(const outcome *o)
{
    const df_gemm_times *const t = &o->result.gemm;
    printf("GEMM %.0f x %.0f x %.0f (M x K x N) on %.0f device(s)\n", (double)o->cfg.gemm.m,
           (double)o->cfg.gemm.k, (double)o->cfg.gemm.n, (double)df_cfg_workers(&o->cfg));
    print_row("time", t->time_s, 0);
    print_row("forward compute", t->forward_compute_s, t->time_s);
    print_row("forward communication", t->forward_comm_s, t->time_s);
    print_row("backward compute", t->backward_compute_s, t->time_s);
    print_row("backward communication", t->backward_comm_s, t->time_s);
    print_row("data-parallel reduction", t->dp_comm_s, t->time_s);
}

static void print_lstm(const outcome *o)
{
    const df_lstm_times *const t = &o->result.lstm;
    const df_pipeline_times *const c = &t->components;
    const df_cfg_lstm *const m = &o->cfg.lstm;
    printf("LSTM of %.4g parameters, batch %.0f, on %.0f device(s)\n", t->params,
           (double)m->batch_size, (double)df_cfg_workers(&o->cfg));
    print_row("time of a training step", t->time_s, 0);
    print_row("forward", t->forward_s, t->time_s);
    print_row("backward", t->backward_s, t->time_s);
    puts("components, for each run");
    print_row("cell forward", c->cf, 0);
    print_row("cell backward", c->cb, 0);
    print_row("softmax forward", c->sf, 0);
    print_row("softmax backward", c->sb, 0);
    print_row("embedding forward", c->ef, 0);
    print_row("embedding backward", c->eb, 0);
    print_row("hop to the next stage", c->tf, 0);
    print_row("reduction of cell gradients", c->rc, 0);
    print_row("reduction of softmax gradients", c->rs, 0);
    print_row("reduction of embedding gradients", c->re, 0);
    printf("memory of a device: %.4g GiB needed, %.4g GiB available%s\n",
           o->need.total_bytes / DF_GIB, o->dev.mem[DF_HW_LEVELS - 1].size_bytes / DF_GIB,
           o->fits ? "" : ": it does not fit");
}

static void print_backend(const outcome *o)
{
    const df_cfg_backend backend = backend_of(&o->cfg);
    if (df_backend_simulates(&backend)) {
        printf("backend %s: the network simulator times collectives\n", df_backend_name(&backend));
    }
}

static int print_text(const outcome *o, bool breakdown)
{
    if (o->cfg.mode == DF_MODE_GEMM) {
        print_gemm(o);
        print_backend(o);
    } else if (o->cfg.mode == DF_MODE_LSTM) {
        print_lstm(o);
        print_backend(o);
    } else {
        const df_llm_report report = report_of(o);
        df_llm_print_text(&report, breakdown);
    }
    if (o->rules.calibrated) {
        df_basis_print(&o->cfg);
    }
    if (o->summary[0] != '\0') {
        const bool llm = o->cfg.mode == DF_MODE_LLM;
        const bool training = o->cfg.llm.run_type == DF_RUN_TRAINING;
        printf("%s%s results written to %s\n", df_mode_name(o->cfg.mode),
               !llm       ? ""
               : training ? " training"
                          : " inference",
               o->summary);
    }
    return df_cli_finish(0);
}

/* ---- Commands ---- */

/* Writes the summary and prints its path. If nobody asked for it, a folder that cannot be written
 * to is not a failure. */
static df_status write_summary(const predict_args *a, outcome *o, df_err *err)
{
    const df_summary summary = {&o->cfg, &o->dev, &a->rules, &o->result, &o->need};
    const char *const dir = out_dir(a, o->cfg.mode);
    df_status status = df_dir_make(dir, err);
    if (status == DF_OK) {
        status = df_summary_write(&summary, dir, o->summary, sizeof o->summary, err);
    }
    if (status != DF_OK && !a->exp_dir) {
        fprintf(stderr, "deepflow: warning: no summary file was written: %s\n", err->text);
        o->summary[0] = '\0';
        status = DF_OK;
    }
    return status;
}

static void warn_memory(const outcome *o)
{
    if (o->cfg.mode == DF_MODE_LLM) {
        const df_llm_report report = report_of(o);
        df_llm_warn_memory(&report, stderr);
        return;
    }
    fprintf(stderr,
            "deepflow: warning: the model does not fit: it needs %.3g times the memory of a "
            "device\n",
            o->memory_use);
}

static int run(const char *name, int argc, char **argv)
{
    predict_args a = {.rules_text = DF_RULES_DEFAULT, .format = "text", .decode_len = -1};
    outcome o;
    df_err err;
    int exit_code;
    memset(&o, 0, sizeof o);
    if (!read_args(name, argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_status status = predict(&a, &o, &err);
    if (status == DF_OK && a.explain_rules) {
        return df_cli_explain_rules(&o.cfg, &a.rules, a.format[0] == 'j');
    }
    if (status == DF_OK) {
        status = write_summary(&a, &o, &err);
    }
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    if (!o.fits && !a.ignore_memory) {
        warn_memory(&o);
    }
    return a.format[0] == 'j' ? print_json(&o) : print_text(&o, a.breakdown);
}

int df_cmd_predict(int argc, char **argv)
{
    return run("predict", argc, argv);
}

int df_cmd_stand_alone(int argc, char **argv)
{
    return run("stand_alone", argc, argv);
}
