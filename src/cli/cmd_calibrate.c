#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "fit/fit.h"
#include "predict/predict.h"

typedef struct {
    const char *hardware_config, *device, *quality, *out;
    df_words files;
} calibrate_args;

static const char EXAMPLES[] =
    "  deepflow calibrate --hardware_config mine.yaml gemm.csv decode.csv -o calibration.yaml\n"
    "  deepflow calibrate --hardware_config configs/hardware/b200_sxm.yaml \\\n"
    "      configs/validation/ops_gemm_b200.csv\n\n"
    "Each file has the rows of one operator: products (m, n, k), attention of prompts\n"
    "(seq_q) or of single tokens (context), experts (tokens, experts) or collectives\n"
    "(op, num_gpus, bytes), with dtype and time_s; configs/validation/README.md has the\n"
    "columns. 20 to 40 rows for each operator, spread over short and long times, are\n"
    "enough (docs/calibrated.md). What comes out is a section `calibration` for the file\n"
    "of the device. Operators without rows keep what the file has.\n";

static bool read_args(int argc, char **argv, calibrate_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("FILES", &a->files, 1, DF_ARG_WORDS_MAX, "CSV files of measured kernels"),
        df_arg_required(df_arg_text("hardware_config", &a->hardware_config,
                                    "the device, with its data sheet (YAML)")),
        df_arg_text("device", &a->device, "rows of this device only, of the column `device`"),
        df_arg_text("quality", &a->quality,
                    "rows of this quality only, of the column `quality` (such as trusted)"),
        df_arg_letter(df_arg_text("output", &a->out, "the file to write; by default the terminal"),
                      'o'),
    };
    const df_command command = {"calibrate", "fits constants of a device to measured kernels",
                                EXAMPLES, args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Rows ---- */

/* Files in the order in which they are fitted. */
typedef struct {
    df_csv *csv;
    size_t *row;
    size_t count;
    const char *name; /* of the file; NULL: none has this operator */
} operator_rows;

static bool is_wanted(const df_csv *csv, size_t row, const char *column, const char *word)
{
    return word[0] == '\0' || df_csv_column(csv, column) < 0 ||
           strcmp(df_csv_text(csv, row, column), word) == 0;
}

/* The rows of a file that are wanted, which the caller frees; NULL when out of memory. */
static size_t *wanted_rows(const calibrate_args *a, const df_csv *csv, size_t *count)
{
    const size_t rows = df_csv_rows(csv);
    size_t *const row = calloc(rows + 1, sizeof *row);
    *count = 0;
    for (size_t i = 0; row && i < rows; i++) {
        if (is_wanted(csv, i, "device", a->device) && is_wanted(csv, i, "quality", a->quality)) {
            row[(*count)++] = i;
        }
    }
    return row;
}

static df_status check_device(const operator_rows *o, df_err *err)
{
    for (size_t i = 1; i < o->count; i++) {
        const char *const first = df_csv_text(o->csv, o->row[0], "device");
        const char *const other = df_csv_text(o->csv, o->row[i], "device");
        if (strcmp(first, other) != 0) {
            return df_fail(err, DF_EINVAL,
                           "%s: expected rows of one device, found %.60s and %.60s (see --device)",
                           o->name, first, other);
        }
    }
    return DF_OK;
}

static df_status
read_file(const calibrate_args *a, const char *path, operator_rows all[], df_err *err)
{
    df_csv *csv;
    df_val_operator op;
    DF_TRY(df_csv_load(path, &csv, err));
    if (!df_val_operator_of(csv, &op)) {
        df_csv_free(csv);
        return df_fail(err, DF_EINVAL,
                       "%s: expected the columns of a measured operator and time_s (see "
                       "`deepflow calibrate --help`), found others",
                       path);
    }
    if (all[op].name) {
        df_csv_free(csv);
        return df_fail(err, DF_EINVAL, "%s: expected one file of %s, found %s too", path,
                       df_val_operator_name(op), all[op].name);
    }
    all[op].csv = csv;
    all[op].name = path;
    all[op].row = wanted_rows(a, csv, &all[op].count);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): all[] owns them */
    return all[op].row ? check_device(&all[op], err) : df_fail(err, DF_ENOMEM, "out of memory");
}

static void free_rows(operator_rows all[])
{
    for (int op = 0; op < DF_VAL_OPERATORS; op++) {
        df_csv_free(all[op].csv);
        free(all[op].row);
    }
}

/* ---- The section ---- */

/* What is written: the constants that belong to an operator. */
#define KEY(section, field, key, unit, range, a100, h100, l40s, meaning)                           \
    {#section, key, offsetof(df_calibration, section##_##field) / sizeof(double)},
static const struct {
    const char *section, *key;
    size_t at;
} keys[] = {DF_CALIBRATION_KEYS(KEY)};
#undef KEY
enum { KEYS = sizeof keys / sizeof keys[0] };

static void print_section(FILE *out, const df_card *card, const char *section)
{
    double value[sizeof card->is / sizeof(double)];
    memcpy(value, &card->is, sizeof card->is);
    const char *comma = "";
    fprintf(out, "  %s: {", section);
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) == 0) {
            fprintf(out, "%s%s: %.4g", comma, strchr(keys[i].key, '.') + 1, value[keys[i].at]);
            comma = ", ";
        }
    }
    fputs("}\n", out);
}

static void print_comment(FILE *out, const char *name, const df_fit_result *r, const char *file)
{
    fprintf(
        out,
        "  # %s: %zu rows of %s; median and 90th percentile of errors in %%: before %.1f, %.1f; "
        "after %.1f, %.1f; of rows that the fit has not seen %.1f, %.1f\n",
        name, r->rows, file, 100 * r->before.median, 100 * r->before.p90, 100 * r->after.median,
        100 * r->after.p90, 100 * r->crossed.median, 100 * r->crossed.p90);
}

/* Measured is a card whose products and both kinds of attention were fitted or measured before. */
static void print_all(FILE *out,
                      const df_cfg *cfg,
                      const df_card *card,
                      const operator_rows all[],
                      const df_fit_result results[])
{
    const bool measured =
        df_cfg_basis(cfg) == DF_BASIS_MEASURED ||
        (all[DF_VAL_GEMM].name && all[DF_VAL_PREFILL].name && all[DF_VAL_DECODE].name);
    fprintf(out, "calibration:\n  like: %s\n  basis: %s\n", df_arch_name(cfg->calibration.like),
            measured ? "measured" : "sister");
    for (int op = 0; op < DF_VAL_OPERATORS; op++) {
        const char *const name = df_val_operator_name((df_val_operator)op);
        if (all[op].name) {
            print_comment(out, name, &results[op], all[op].name);
            print_section(out, card, name);
        }
    }
}

/* ---- All of it ---- */

static df_status read_card(const calibrate_args *a, df_cfg *cfg, df_card *card, df_err *err)
{
    const df_rules rules = df_rules_calibrated();
    const df_cli_files files = {.hardware_config = a->hardware_config};
    df_hw_device dev;
    DF_TRY(df_cli_load(&files, &rules, DF_CFG_NEED_HARDWARE, cfg, err));
    DF_TRY(df_hw_derive(cfg, &rules, &dev, err));
    df_card_of(cfg, &dev, card);
    return df_predict_check_card(card, &dev, DF_FORMAT_BF16, err);
}

static df_status fit(const operator_rows all[], df_card *card, df_fit_result results[], df_err *err)
{
    for (int op = 0; op < DF_VAL_OPERATORS; op++) {
        const operator_rows *const o = &all[op];
        if (o->name) {
            const df_fit_rows rows = {o->csv, o->row, o->count, (df_val_operator)op};
            DF_TRY(df_fit_operator(&rows, card, &results[op], err));
        }
    }
    return DF_OK;
}

static df_status write_section(const calibrate_args *a,
                               const df_cfg *cfg,
                               const df_card *card,
                               const operator_rows all[],
                               const df_fit_result results[],
                               df_err *err)
{
    if (a->out[0] == '\0') {
        print_all(stdout, cfg, card, all, results);
        return DF_OK;
    }
    FILE *const out = fopen(a->out, "w");
    if (!out) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", a->out, strerror(errno));
    }
    print_all(out, cfg, card, all, results);
    const bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", a->out, strerror(errno));
    }
    return DF_OK;
}

static df_status calibrate(const calibrate_args *a, operator_rows all[], df_err *err)
{
    df_cfg cfg;
    df_card card;
    df_fit_result results[DF_VAL_OPERATORS];
    memset(results, 0, sizeof results);
    DF_TRY(read_card(a, &cfg, &card, err));
    for (int i = 0; i < a->files.count; i++) {
        DF_TRY(read_file(a, a->files.word[i], all, err));
    }
    DF_TRY(fit(all, &card, results, err));
    return write_section(a, &cfg, &card, all, results, err);
}

int df_cmd_calibrate(int argc, char **argv)
{
    calibrate_args a = {.device = "", .quality = "", .out = ""};
    operator_rows all[DF_VAL_OPERATORS];
    df_err err;
    int exit_code;
    memset(all, 0, sizeof all);
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    const df_status status = calibrate(&a, all, &err);
    free_rows(all);
    return status == DF_OK ? df_cli_finish(0) : df_cli_fail(status, &err);
}
