#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sys/stat.h>

#include "cli.h"
#include "commands.h"
#include "model_version.h"
#include "report/report.h"

enum { PATH_ROOM = 4096 };

typedef struct {
    df_words from;
    const char *out, *format;
    int64_t design, rows;
} report_args;

static bool read_args(int argc, char **argv, report_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("DIR|FILE", &a->from, 1, 1, "a folder with results.h5, or such a file itself"),
        df_arg_letter(
            df_arg_text("output", &a->out,
                        "the file to write (default report.html, report.json or design.yaml)"),
            'o'),
        df_arg_int("design", &a->design, -1, DF_ARG_INT_MAX,
                   "write the design of the search with this work_id as a YAML file instead"),
        df_arg_choice("format", &a->format, "html|json", "write the page, or only its numbers"),
        df_arg_int(
            "rows", &a->rows, 1, 10000000,
            "most searches on the page; if there are more, it has the best ones and a sample"),
    };
    const df_command command = {
        "report", "makes a page for the browser from results.h5, even while a search runs",
        "  deepflow report output/quickstart -o report.html\n"
        "  deepflow report output/quickstart --design 4711 -o design.yaml\n"
        "  deepflow predict --exp_config design.yaml\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* A folder stands for the results in it. */
static df_status find_file(const char *from, char path[PATH_ROOM], df_err *err)
{
    struct stat what;
    const bool folder = stat(from, &what) == 0 && S_ISDIR(what.st_mode);
    const size_t length = strlen(from);
    const char *const slash = length > 0 && from[length - 1] == '/' ? "" : "/";
    snprintf(path, PATH_ROOM, "%s%s%s", from, folder ? slash : "", folder ? "results.h5" : "");
    return stat(path, &what) == 0
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "%s: expected results.h5 of a search or its folder, found: %s", path,
                         strerror(errno));
}

/* ---- A page ---- */

static void write_page(FILE *out, const void *what)
{
    df_report_print(what, out);
}

static void write_json(FILE *out, const void *what)
{
    df_report_print_json(what, out);
}

static df_status
make_page(const report_args *a, const char *path, const df_results *results, df_err *err)
{
    char made[64];
    struct tm utc;
    const time_t now = time(NULL);
    df_report *report;
    const bool json = strcmp(a->format, "json") == 0;
    if (!json && !df_report_possible()) {
        return df_fail(err, DF_ERUNTIME,
                       "this program was built without the plotting library of the page: run `npm "
                       "ci` in search/report/page of the sources, then configure and build again");
    }
    strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    const df_report_options options = {.path = path,
                                       .version = DF_VERSION,
                                       .model_version = DF_MODEL_VERSION,
                                       .made = made,
                                       .most_rows = a->rows};
    DF_TRY(df_report_new(results, &options, &report, err));
    const char *const out = a->out ? a->out : json ? "report.json" : "report.html";
    const df_status status = df_cli_write_file(out, json ? write_json : write_page, report, err);
    df_report_free(report);
    if (status == DF_OK) {
        fprintf(stderr, "deepflow: %s\n", out);
    }
    return status;
}

/* ---- A design ---- */

static void write_design(FILE *out, const void *what)
{
    df_cfg_write(what, out);
}

static df_status make_design(const report_args *a, const df_results *results, df_err *err)
{
    df_cfg cfg;
    DF_TRY(df_report_design(results, a->design, &cfg, err));
    return df_cli_write_file(a->out ? a->out : "design.yaml", write_design, &cfg, err);
}

int df_cmd_report(int argc, char **argv)
{
    report_args a = {.format = "html", .design = -1, .rows = 100000};
    char path[PATH_ROOM];
    df_results results;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_status status = find_file(a.from.word[0], path, &err);
    if (status == DF_OK) {
        status = df_results_open(path, &results, &err);
    }
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    status = a.design >= 0 ? make_design(&a, &results, &err) : make_page(&a, path, &results, &err);
    df_results_close(&results);
    return status == DF_OK ? df_cli_finish(0) : df_cli_fail(status, &err);
}
