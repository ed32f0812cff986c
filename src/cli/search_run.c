#include "search_run.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/units.h"
#include "model_version.h"
#include "progress.h"
#include "search_dir.h"
#include "search_table.h"

enum { PATH_ROOM = 4096, COMMAND_ROOM = 4096, MAX_TOP = 1000 };

/* ---- Flags ---- */

df_search_args df_search_args_init(const char *command, const char *exp_dir)
{
    return (df_search_args){.command = command,
                            .exp_dir = exp_dir,
                            .rules = DF_RULES_DEFAULT,
                            .optimizer = "cma",
                            .starts = "auto",
                            .spec = {.optimizer = DF_OPT_CMA, .num_search = 100, .num_worker = -1},
                            .flush_s = 10,
                            .objective = "time",
                            .top = 10};
}

int df_search_common_args(df_search_args *a, df_arg args[DF_SEARCH_COMMON_ARGS])
{
    const df_arg rows[] = {
        df_arg_text("search", &a->search,
                    "a YAML file that describes the search (see `help search`); flags override its "
                    "settings"),
        df_arg_text("exp_config", &a->files.exp_config, "one YAML file with hardware and model"),
        df_arg_text("hardware_config", &a->files.hardware_config, "or a hardware file ..."),
        df_arg_text("model_config", &a->files.model_config, "... together with a model file"),
        df_cli_hardware_arg(&a->files),
        df_cli_model_arg(&a->files),
        df_arg_text("exp_dir", &a->exp_dir, "folder for results.h5; it must not exist yet"),
        df_arg_bool("overwrite", &a->overwrite, "replace the results of an existing folder"),
        df_arg_bool("resume", &a->resume, "continue with the results of an existing folder"),
        df_arg_real("flush_s", &a->flush_s, 0, 1e6,
                    "longest time until a result is on the disk, in seconds"),
        df_arg_real("wait_s", &a->wait_s, 0, 1e6,
                    "seconds to wait for another search in the folder to end"),
        df_arg_bool("no_lock", &a->no_lock,
                    "do not lock the folder, for a file system without locks"),
        df_arg_bool("fix_hardware", &a->fix_hardware,
                    "search only strategies, on the device that the file describes"),
        df_arg_text("objective", &a->objective,
                    "what to optimize: time, energy, edp, time_per_area or tokens_per_s_per_w"),
        df_arg_text("optimizer", &a->optimizer,
                    "cma, reference (as in the Python DeepFlow), or one of GSL's: vector_bfgs2, "
                    "conjugate_fr, steepest_descent, nmsimplex2"),
        df_arg_choice("starts", &a->starts, "auto|random|sobol",
                      "starting points: Python's random numbers or Sobol's sequence; auto: what "
                      "suits the optimizer"),
        df_arg_real("max_power_w", &a->max_power_w, 0, HUGE_VAL,
                    "limit of the power of all devices (LLM); 0: none"),
        df_arg_real("max_area_mm2", &a->max_area_mm2, 0, HUGE_VAL,
                    "limit of the area of all devices; 0: none"),
        df_arg_real("max_chip_mm2", &a->max_chip_mm2, 0, HUGE_VAL,
                    "limit of the area of a chip; 0: the file's proc_chip_area_budget"),
        df_arg_real("max_memory_gb", &a->max_memory_gb, 0, HUGE_VAL,
                    "limit of the memory that a device needs, in 2^30 bytes; 0: none"),
        df_arg_int("iterations", &a->iterations, 0, 1000000,
                   "most iterations of a descent; 0: 100"),
        df_arg_bool("trajectory", &a->trajectory, "keep every iterate in /trajectories"),
        df_arg_text(
            "rules", &a->rules,
            "calibrated (the default), corrected or reference, then exceptions (see `help rules`)"),
        df_arg_bool("ignore_memory", &a->ignore_memory,
                    "accept devices on which the model does not fit"),
        df_arg_int("batch_size", &a->batch_size, 0, DF_ARG_INT_MAX,
                   "batch size in place of the file's; 0: the file's"),
        df_arg_int("hidden_dim", &a->hidden_dim, 0, DF_ARG_INT_MAX,
                   "size of a layer in place of the file's; 0: the file's"),
        df_arg_int("top", &a->top, 0, MAX_TOP, "how many of the best results to print at the end"),
        df_arg_bool("debug", &a->debug, "accepted for the sake of scripts; has no effect"),
    };
    const int count = sizeof rows / sizeof rows[0];
    _Static_assert(sizeof rows / sizeof rows[0] <= DF_SEARCH_COMMON_ARGS, "room for all");
    memcpy(args, rows, sizeof rows);
    return count;
}

/* ---- The description ---- */

/* The value of --search among the words; NULL: it is not there. */
static const char *find_search(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--search") == 0 && i + 1 < argc) {
            return argv[i + 1];
        }
        if (strncmp(argv[i], "--search=", 9) == 0) {
            return argv[i] + 9;
        }
    }
    return NULL;
}

static const char *given(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

df_status df_search_read_spec(df_search_args *a, int argc, char **argv, df_err *err)
{
    df_spec *const spec = &a->spec;
    const char *const path = find_search(argc, argv);
    if (!path || path[0] == '\0') {
        return DF_OK; /* the parser of flags reports what is wrong */
    }
    DF_TRY(df_spec_load(path, spec, err));
    a->files.exp_config = given(spec->exp_config, NULL);
    a->files.hardware_config = given(spec->hardware_config, NULL);
    a->files.model_config = given(spec->model_config, NULL);
    a->rules = given(spec->rules, a->rules);
    a->objective = given(spec->objective, a->objective);
    a->optimizer = df_optimizer_names[spec->optimizer];
    a->starts = df_start_names[spec->starts];
    a->iterations = spec->iterations;
    a->batch_size = spec->batch_size;
    a->hidden_dim = spec->hidden_dim;
    a->fix_hardware = spec->fix_hardware;
    a->ignore_memory = spec->ignore_memory;
    a->trajectory = spec->trajectory;
    return DF_OK;
}

/* Files of flags replace those of the description altogether. */
static df_status settle_files(const df_search_args *a, df_cli_files *files, df_err *err)
{
    const df_spec *const spec = &a->spec;
    const bool named = files->hardware || files->model;
    const bool one = files->exp_config && files->exp_config != spec->exp_config;
    const bool two = named ||
                     (files->hardware_config && files->hardware_config != spec->hardware_config) ||
                     (files->model_config && files->model_config != spec->model_config);
    if (one) {
        files->hardware_config = NULL;
        files->model_config = NULL;
    } else if (two && files->exp_config == spec->exp_config) {
        files->exp_config = NULL;
    }
    if (files->hardware && files->hardware_config == spec->hardware_config) {
        files->hardware_config = NULL;
    }
    if (files->model && files->model_config == spec->model_config) {
        files->model_config = NULL;
    }
    return df_cli_find_files(files, err);
}

static df_eval_limits limits_of(const df_search_args *a)
{
    df_eval_limits limits = a->spec.limits;
    limits.power_w = a->max_power_w > 0 ? a->max_power_w : limits.power_w;
    limits.area_mm2 = a->max_area_mm2 > 0 ? a->max_area_mm2 : limits.area_mm2;
    limits.chip_mm2 = a->max_chip_mm2 > 0 ? a->max_chip_mm2 : limits.chip_mm2;
    limits.memory_bytes = a->max_memory_gb > 0 ? a->max_memory_gb * DF_GIB : limits.memory_bytes;
    return limits;
}

static df_start_kind starts_of(const df_search_args *a)
{
    int kind = DF_START_AUTO;
    while (strcmp(df_start_names[kind], a->starts) != 0) { /* one of the choices */
        kind++;
    }
    return (df_start_kind)kind;
}

/* ---- Inputs ---- */

static df_status read_texts(const df_cli_files *files, df_search_texts *texts, df_err *err)
{
    DF_TRY(df_cfg_read_text(files->exp_config ? files->exp_config : files->hardware_config,
                            &texts->hardware, err));
    return files->model_config ? df_cfg_read_text(files->model_config, &texts->model, err) : DF_OK;
}

/* The file of a device may change: what a search read of it is kept. */
static df_status write_text(const df_cfg *cfg, df_search_texts *texts, df_err *err)
{
    size_t length = 0;
    FILE *const out = open_memstream(&texts->hardware, &length);
    if (!out) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_cfg_write(cfg, out);
    return fclose(out) == 0 ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
}

static df_status apply_flags(const df_search_args *a, df_cfg *cfg, df_err *err)
{
    if (a->batch_size != 0 && cfg->mode == DF_MODE_GEMM) {
        return df_fail(err, DF_EINVAL,
                       "--batch_size: expected a model of mode LSTM or LLM, found GEMM");
    }
    if (a->hidden_dim != 0 && cfg->mode != DF_MODE_LSTM) {
        return df_fail(err, DF_EINVAL, "--hidden_dim: expected a model of mode LSTM, found %s",
                       df_mode_name(cfg->mode));
    }
    if (a->batch_size > 0) {
        *(cfg->mode == DF_MODE_LLM ? &cfg->llm.batch_size : &cfg->lstm.batch_size) = a->batch_size;
    }
    if (a->hidden_dim > 0) {
        cfg->lstm.layer_size = a->hidden_dim;
    }
    if (a->data_scale > 0) {
        cfg->lstm.data_scale = a->data_scale;
    }
    return DF_OK;
}

/* The strategies decide degrees and nodes, so the file's need not agree. */
static df_status load(const df_search_args *a, const df_rules *rules, df_cfg *cfg, df_err *err)
{
    df_cli_files files = a->files;
    DF_TRY(settle_files(a, &files, err));
    const unsigned shares = a->fix_hardware ? 0 : (unsigned)DF_CFG_ANY_SHARES;
    DF_TRY(df_cli_load(&files, rules,
                       shares | DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL | DF_CFG_ANY_DEGREES, cfg,
                       err));
    if (df_backend_simulates(&cfg->backend)) {
        return df_fail(err, DF_EINVAL,
                       "execution_backend.model: expected analytical for a search, found astra");
    }
    return apply_flags(a, cfg, err);
}

static void note_goals(df_search *search)
{
    const df_goals *const goals = &search->options.eval.goals;
    char text[128] = "";
    size_t used = 0;
    for (int i = 0; i < goals->count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
                                 df_goal_names[goals->of[i]]);
    }
    df_search_note(search, "objective=%s", text);
}

static void note_ints(df_search *search, const char *name, const df_int_list *list)
{
    char text[1024] = "";
    size_t used = 0;
    for (int i = 0; i < list->count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i > 0 ? "," : "",
                                 list->value[i]);
    }
    if (list->count > 0) {
        df_search_note(search, "%s=%s", name, text);
    }
}

/* Lists of values each have a line where they are given, sets share one. */
static void note_strategies(df_search *search)
{
    const char *const space = (const char *)&search->options.space;
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    char sets[128] = "";
    size_t used = 0;
    df_strategy_terms(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const void *const values = space + fields[i].space;
        if ((fields[i].of & DF_STRATEGY_LLM) == 0) {
            continue;
        }
        if (!fields[i].words) {
            note_ints(search, fields[i].name, values);
            continue;
        }
        used += (size_t)snprintf(sets + used, sizeof sets - used, "%s%x", used > 0 ? "," : "",
                                 *(const unsigned *)values);
    }
    df_search_note(search, "sets=%s", sets);
}

/* Whatever is left out is searched as without a description. */
static void note_space(df_search *search)
{
    const df_eval_limits *const limits = &search->options.eval.limits;
    df_search_note(search, "limits=%.17g,%.17g,%.17g,%.17g,%.17g", limits->time_s, limits->energy_j,
                   limits->power_w, limits->area_mm2, limits->memory_bytes);
    if (limits->chip_mm2 > 0) {
        df_search_note(search, "chip_area=%.17g", limits->chip_mm2);
    }
    for (int i = 0; i < DF_PARAMS; i++) {
        const df_param_range *const range = &search->options.eval.range[i];
        if (range->given) {
            df_search_note(search, "%s=%.17g,%.17g", df_param_names[i], range->low, range->high);
        }
    }
    note_strategies(search);
}

static void note_options(df_search *search)
{
    const df_sweep_options *const o = &search->options;
    char rules[2048];
    df_rules_format(&o->eval.rules, rules, sizeof rules);
    df_search_note(search, "model=%s", DF_MODEL_VERSION);
    df_search_note(search, "rules=%s", rules);
    df_search_note(search, "optimizer=%s", df_optimizer_names[o->descent.optimizer]);
    df_search_note(search, "starts=%s", df_start_names[o->descent.starts]);
    df_search_note(search, "iterations=%d", o->descent.max_iterations);
    df_search_note(search, "num_search=%d", o->num_search);
    df_search_note(search, "first_index=%d", o->first_index);
    df_search_note(search, "batch_size=%" PRId64,
                   o->cfg.mode == DF_MODE_LLM ? o->cfg.llm.batch_size : o->cfg.lstm.batch_size);
    df_search_note(search, "hidden_dim=%" PRId64, o->cfg.lstm.layer_size);
    df_search_note(search, "data_scale=%.17g", o->cfg.lstm.data_scale);
    df_search_note(search, "ignore_memory=%d", o->eval.ignore_memory);
    df_search_note(search, "fix_hardware=%d", o->eval.fix_hardware);
    note_goals(search);
    note_space(search);
    df_search_note(search, "trajectory=%d", o->trajectory);
}

static df_status parse_goals(const char *text, df_goals *goals, df_err *err)
{
    df_err cause;
    const df_status status = df_goals_parse(text, goals, &cause);
    return status == DF_OK ? DF_OK
                           : df_fail(err, status, "--objective: %.*s", DF_ERR_TEXT / 2, cause.text);
}

df_status df_search_init(df_search *search,
                         const df_search_args *a,
                         int64_t num_search,
                         int64_t first_index,
                         df_err *err)
{
    df_sweep_options *const options = &search->options;
    if (a->overwrite && a->resume) {
        return df_fail(err, DF_EINVAL, "--resume: expected it without --overwrite, found both");
    }
    DF_TRY(df_rules_parse(a->rules, &options->eval.rules, err));
    DF_TRY(parse_goals(a->objective, &options->eval.goals, err));
    DF_TRY(df_optimizer_parse(a->optimizer, &options->descent.optimizer, err));
    DF_TRY(load(a, &options->eval.rules, &options->cfg, err));
    options->descent.max_iterations = (int)a->iterations;
    options->descent.starts = starts_of(a);
    options->eval.limits = limits_of(a);
    memcpy(options->eval.range, a->spec.range, sizeof a->spec.range);
    options->space = a->spec.space;
    options->eval.ignore_memory = a->ignore_memory;
    options->eval.fix_hardware = a->fix_hardware;
    options->trajectory = a->trajectory;
    options->num_search = (int32_t)num_search;
    options->first_index = (int32_t)first_index;
    df_sweep_plan_init(&search->plan, options);
    *options = search->plan.options;
    note_options(search);
    df_cli_files files = a->files;
    DF_TRY(settle_files(a, &files, err));
    return options->cfg.device[0] == '\0' ? read_texts(&files, &search->texts, err)
                                          : write_text(&options->cfg, &search->texts, err);
}

void df_search_fini(df_search *search)
{
    df_sweep_plan_fini(&search->plan);
    free(search->texts.hardware);
    free(search->texts.model);
}

void df_search_note(df_search *search, const char *format, ...)
{
    char *const settings = search->settings;
    size_t used = strlen(settings);
    va_list args;
    va_start(args, format);
    vsnprintf(settings + used, DF_SEARCH_SETTINGS - used, format, args);
    va_end(args);
    used = strlen(settings);
    snprintf(settings + used, DF_SEARCH_SETTINGS - used, "\n");
}

/* ---- Signals ---- */

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1); /* which mpirun passes on; at SIGTERM it kills */
}

void df_search_catch_signals(void)
{
    sigset_t set;
    stop_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large is a failed write */
}

/* A blocked signal waits until it is looked for: no handler, no global variable. */
static bool signal_came(void *ctx)
{
    sigset_t pending;
    (void)ctx;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
            sigismember(&pending, SIGUSR1) == 1);
}

/* ---- The output folder ---- */

/* A search, and what it was called with. */
typedef struct {
    const df_search *search;
    const df_search_args *args;
    int argc;
    char **argv;
} call;

/* The results and the lock that keeps a second writer away. */
typedef struct {
    df_store *store;
    int lock;
    char path[PATH_ROOM];
} output;

static df_status refuse_existing(const df_search_args *a, const char *path, df_err *err)
{
    if (a->overwrite || a->resume || access(path, F_OK) != 0) {
        return DF_OK;
    }
    return df_fail(err, DF_EINVAL,
                   "--exp_dir: expected a folder that does not exist (or --overwrite, --resume), "
                   "found %s",
                   a->exp_dir);
}

static void command_text(const call *run, char text[COMMAND_ROOM])
{
    size_t used = (size_t)snprintf(text, COMMAND_ROOM, "deepflow %s", run->args->command);
    for (int i = 0; i < run->argc && used < COMMAND_ROOM; i++) {
        used += (size_t)snprintf(text + used, COMMAND_ROOM - used, " %s", run->argv[i]);
    }
}

/* Opens or makes the file. A run that was to be resumed, and had not begun, begins. */
static df_status open_file(const call *run, int ranks, output *to, df_err *err)
{
    char command[COMMAND_ROOM];
    char host[256] = "";
    char start[64];
    struct tm utc;
    const time_t now = time(NULL);
    df_store_plan plan;
    strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    gethostname(host, sizeof host - 1);
    command_text(run, command);
    df_sweep_store_plan(&run->search->plan, &plan);
    plan.hardware_yaml = run->search->texts.hardware;
    plan.model_yaml = run->search->texts.model;
    plan.settings = run->search->settings;
    plan.version = DF_VERSION;
    plan.command = command;
    plan.start = start;
    plan.host = host;
    plan.ranks = ranks;
    if (run->args->resume && access(to->path, F_OK) == 0) {
        return df_store_resume(to->path, &plan, &to->store, err);
    }
    return df_store_create(to->path, &plan, &to->store, err);
}

static df_status open_output(const call *run, int ranks, output *to, df_err *err)
{
    const char *const dir = run->args->exp_dir;
    to->store = NULL;
    to->lock = -1;
    DF_TRY(refuse_existing(run->args, dir, err));
    DF_TRY(df_dir_make(dir, err));
    const df_search_lock how = {run->args->wait_s, run->args->no_lock, signal_came, NULL};
    DF_TRY(df_search_lock_dir(dir, &how, &to->lock, err));
    snprintf(to->path, sizeof to->path, "%s/results.h5", dir);
    /* again: another search may have begun and ended meanwhile */
    DF_TRY(refuse_existing(run->args, to->path, err));
    return open_file(run, ranks, to, err);
}

static void close_output(output *to)
{
    df_store_free(to->store);
    df_search_unlock_dir(to->lock);
}

/* ---- What is not feasible ---- */

void df_search_print_reasons(FILE *out, const df_sweep_plan *plan)
{
    enum { SHOWN = 12 };
    const char *reason[SHOWN];
    int64_t times[SHOWN];
    int shown = 0;
    for (int64_t i = 0; i < plan->num_strategies; i++) {
        int at = 0;
        if (plan->strategies[i].feasible) {
            continue;
        }
        while (at < shown && !df_strategy_same_reason(reason[at], plan->strategies[i].reason)) {
            at++;
        }
        if (at == shown && shown < SHOWN) {
            reason[shown] = plan->strategies[i].reason;
            times[shown++] = 0;
        }
        times[at < SHOWN ? at : SHOWN - 1] += at < SHOWN;
    }
    for (int i = 0; i < shown; i++) {
        const bool several = times[i] > 1 && strpbrk(reason[i], "0123456789");
        fprintf(out, "  %6" PRId64 " x %s%s\n", times[i], reason[i],
                several ? " (or other numbers)" : "");
    }
}

int df_search_fail_infeasible(const df_sweep_plan *plan)
{
    df_err err;
    const df_status status =
        df_fail(&err, DF_INFEASIBLE, "expected a feasible strategy, found none of %" PRId64,
                plan->num_strategies);
    const int exit_code = df_cli_fail(status, &err);
    df_search_print_reasons(stderr, plan);
    return exit_code;
}

/* ---- The run ---- */

typedef struct {
    df_progress shown;
    df_sweep_progress last;
} watcher;

static void on_progress(void *ctx, const df_sweep_progress *progress)
{
    watcher *const w = ctx;
    w->last = *progress;
    df_progress_show(&w->shown, progress);
}

static int report(const call *run, output *to, const watcher *w, df_err *err)
{
    int32_t found = 0;
    const df_status status =
        df_search_print_best(&run->search->plan, to->store, (int32_t)run->args->top, &found, err);
    if (status != DF_OK) {
        return df_cli_fail(status, err);
    }
    fprintf(stderr, "deepflow: %" PRId64 " descents, %" PRId64 " evaluations in %.1f s: %s\n",
            w->last.done - w->last.done_before, w->last.evaluations,
            df_progress_elapsed_s(&w->shown), to->path);
    if (found == 0 && run->args->parts == 0) {
        const df_status none =
            df_fail(err, DF_INFEASIBLE, "expected a device that works, found none in any descent");
        return df_cli_fail(none, err);
    }
    return df_cli_finish(0);
}

static int finish(const call *run, output *to, watcher *w, df_status status, df_err *err)
{
    int exit_code;
    df_progress_end(&w->shown, &w->last);
    if (status == DF_OK) {
        exit_code = report(run, to, w, err);
    } else if (status == DF_EINTERRUPTED) {
        df_fail(err, status, "interrupted; --resume continues with %s", to->path);
        exit_code = df_cli_fail(status, err);
    } else {
        exit_code = df_cli_fail(status, err);
    }
    close_output(to);
    return exit_code;
}

int df_search_execute(
    const df_search *search, const df_search_args *a, int argc, char **argv, df_dist *dist)
{
    const call run = {search, a, argc, argv};
    const bool first = df_dist_rank(dist) == 0;
    output to = {.lock = -1};
    watcher w = {.last = {.descents = df_sweep_descents(&search->plan)}};
    const df_sweep_watch watch = {first ? on_progress : NULL, signal_came,      &w, a->flush_s,
                                  (int32_t)a->part,           (int32_t)a->parts};
    df_err err;
    df_status status = first ? open_output(&run, df_dist_size(dist), &to, &err) : DF_OK;
    if (df_dist_agree(dist, (int)status) != DF_OK) {
        const int exit_code = first ? df_cli_fail(status, &err) : 0;
        close_output(&to);
        return df_dist_agree(dist, exit_code);
    }
    df_progress_begin(&w.shown);
    status = df_sweep_run(&search->plan, dist, to.store, &watch, &err);
    const int exit_code = first ? finish(&run, &to, &w, status, &err) : df_status_exit_code(status);
    return df_dist_agree(dist, exit_code);
}
