#include <stdlib.h>
#include <string.h>

#include "predict/predict.h"
#include "report/report_impl.h"

enum { MOST_ROWS = 100000 };

struct df_report {
    json_t *root;
};

/* These come from page.S: the files of page/, and the library, which is empty if it was not found.
 */
extern const char df_page_html[];
extern const uint64_t df_page_html_bytes;
extern const char df_page_css[];
extern const uint64_t df_page_css_bytes;
extern const char df_page_js[];
extern const uint64_t df_page_js_bytes;
extern const char df_page_library[];
extern const uint64_t df_page_library_bytes;

bool df_report_possible(void)
{
    return df_page_library_bytes > 0;
}

/* ---- The numbers ---- */

static void add_text(json_t *object, const char *key, const char *text)
{
    json_t *const json = json_string(text);
    json_object_set_new(object, key, json ? json : json_string("(not UTF-8)"));
}

static json_t *goals_json(const df_results *r)
{
    char text[256] = "time";
    json_t *const goals = json_array();
    df_results_setting(r, "objective", text, sizeof text);
    for (const char *at = text; *at != '\0'; at += *at == ',') {
        const size_t length = strcspn(at, ",");
        json_array_append_new(goals, json_stringn(at, length));
        at += length;
    }
    return goals;
}

/* What predictions of kernels as they were measured rest on, in the words of `predict`. */
static void add_basis(json_t *asked, const df_report_source *source)
{
    df_rests_on on;
    char text[256];
    if (!df_report_is_measured(source)) {
        return;
    }
    df_predict_rests_on(&source->cfg, &on);
    df_predict_rests_on_text(&on, text, sizeof text);
    add_text(asked, "rests_on", text);
    add_text(asked, "power_basis", df_power_basis_words[on.power]);
}

static void add_asked(json_t *root, const df_report_source *source)
{
    const df_results *const r = source->results;
    json_t *const asked = json_object();
    json_object_set_new(root, "asked", asked);
    add_text(asked, "command", r->command);
    add_text(asked, "start", r->start);
    add_text(asked, "host", r->host);
    add_text(asked, "version", r->version);
    add_text(asked, "settings", r->settings);
    add_text(asked, "hardware_yaml", r->hardware_yaml);
    add_text(asked, "model_yaml", r->model_yaml);
    add_text(asked, "rules", source->rules);
    add_basis(asked, source);
    add_text(asked, "mode", df_mode_name(source->cfg.mode));
    json_object_set_new(asked, "training",
                        json_boolean(source->cfg.mode != DF_MODE_LLM ||
                                     source->cfg.llm.run_type == DF_RUN_TRAINING));
    json_object_set_new(asked, "fix_hardware", json_boolean(source->options.fix_hardware));
    json_object_set_new(asked, "goals", goals_json(r));
    json_object_set_new(asked, "ranks", json_integer(r->ranks));
    json_object_set_new(asked, "evaluations", json_integer(r->evaluations));
    df_report_real(asked, "wall_s", r->wall_s);
}

static void add_made(json_t *root, const df_report_options *options, const df_report_picked *picked)
{
    json_t *const made = json_object();
    json_t *const count = json_object();
    json_object_set_new(root, "made", made);
    add_text(made, "path", options->path);
    add_text(made, "version", options->version);
    add_text(made, "model_version", options->model_version);
    add_text(made, "when", options->made);
    json_object_set_new(made, "stride", json_integer(picked->stride));
    json_object_set_new(root, "count", count);
    for (int i = 0; i <= DF_SEARCH_INFEASIBLE; i++) {
        json_object_set_new(count, df_search_status_names[i], json_integer(picked->count[i]));
    }
}

static void add_ranked(json_t *root, const df_report_picked *picked)
{
    enum { RANKED = 100 };
    json_t *const ranked = json_array();
    json_object_set_new(root, "ranked", ranked);
    json_object_set_new(root, "front", json_integer(picked->num_front));
    json_object_set_new(root, "front_of_file", json_boolean(picked->front_of_file));
    for (int64_t i = 0; i < RANKED && i < picked->num_ranked; i++) {
        json_array_append_new(ranked, json_integer(picked->best[picked->ranked[i]]));
    }
}

static df_status
add_all(json_t *root, df_report_source *source, const df_report_options *options, df_err *err)
{
    const int64_t most = options->most_rows > 0 ? options->most_rows : MOST_ROWS;
    df_report_picked picked;
    df_status status = df_report_pick(source->results, most, &picked, err);
    if (status == DF_OK) {
        add_asked(root, source);
        add_ranked(root, &picked);
        status = df_report_add_searches(root, source, &picked, err);
    }
    if (status == DF_OK) {
        add_made(root, options, &picked);
        status = df_report_add_strategies(root, source, &picked, most, err);
    }
    if (status == DF_OK) {
        status = df_report_add_trajectories(root, source->results, &picked, err);
    }
    if (status == DF_OK) {
        status = df_report_add_designs(root, source, &picked, err);
    }
    df_report_picked_fini(&picked);
    return status;
}

/* ---- The page ---- */

/* "<" stands in texts alone; there it must not begin a tag. */
static int write_escaped(const char *text, size_t size, void *file)
{
    FILE *const out = file;
    while (size > 0) {
        const char *const tag = memchr(text, '<', size);
        const size_t plain = tag ? (size_t)(tag - text) : size;
        fwrite(text, 1, plain, out);
        if (tag) {
            fputs("\\u003c", out);
        }
        text += plain + (tag != NULL);
        size -= plain + (tag != NULL);
    }
    return ferror(out) ? -1 : 0;
}

/* The numbers as JSON. */
static void write_data(FILE *out, const json_t *root)
{
    json_dump_callback(root, write_escaped, out, JSON_COMPACT | JSON_REAL_PRECISION(12));
}

/* What stands in the place of a "<!--NAME-->". */
static void write_part(FILE *out, const char *name, size_t length, const json_t *root)
{
    if (length == 4 && memcmp(name, "DATA", 4) == 0) {
        write_data(out, root);
    } else if (length == 5 && memcmp(name, "STYLE", 5) == 0) {
        fwrite(df_page_css, 1, df_page_css_bytes, out);
    } else if (length == 7 && memcmp(name, "LIBRARY", 7) == 0) {
        fwrite(df_page_library, 1, df_page_library_bytes, out);
    } else if (length == 6 && memcmp(name, "SCRIPT", 6) == 0) {
        fwrite(df_page_js, 1, df_page_js_bytes, out);
    }
}

/* The end where it is not there. */
static const char *find(const char *from, const char *end, const char *what)
{
    const size_t length = strlen(what);
    while (from < end && ((size_t)(end - from) < length || memcmp(from, what, length) != 0)) {
        from++;
    }
    return from;
}

void df_report_print(const df_report *report, FILE *out)
{
    static const char open[] = "<!--";
    static const char close[] = "-->";
    const char *const end = df_page_html + df_page_html_bytes;
    const char *at = df_page_html;
    while (at < end) {
        const char *const mark = find(at, end, open);
        fwrite(at, 1, (size_t)(mark - at), out);
        at = mark;
        if (mark < end) {
            const char *const name = mark + strlen(open);
            const char *const name_end = find(name, end, close);
            write_part(out, name, (size_t)(name_end - name), report->root);
            at = name_end < end ? name_end + strlen(close) : end;
        }
    }
}

void df_report_print_json(const df_report *report, FILE *out)
{
    write_data(out, report->root);
    fputc('\n', out);
}

df_status df_report_new(const df_results *results,
                        const df_report_options *options,
                        df_report **out,
                        df_err *err)
{
    df_report_source source;
    df_report *const report = calloc(1, sizeof *report);
    if (!report || !(report->root = json_object())) {
        df_report_free(report);
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    df_status status = df_report_source_init(&source, results, err);
    if (status == DF_OK) {
        status = add_all(report->root, &source, options, err);
    }
    df_report_source_fini(&source);
    if (status != DF_OK) {
        df_report_free(report);
        return status;
    }
    *out = report;
    return DF_OK;
}

void df_report_free(df_report *report)
{
    if (report) {
        json_decref(report->root);
        free(report);
    }
}
