#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/data_dir.h"
#include "cli.h"
#include "commands.h"
#include "json_out.h"
#include "validate/validate.h"

enum { MOST_SCORES = 256, RULES_TEXT = 4096 };

typedef struct {
    df_words sets;
    const char *data, *hardware, *rules_text, *format;
    bool points;
} validate_args;

/* One set and metric under each set of rules. */
typedef struct {
    df_val_score of[DF_VAL_RULE_SETS];
} scores;

/* All that is printed. */
typedef struct {
    df_rules rules[DF_VAL_RULE_SETS];
    char name[DF_VAL_RULE_SETS][RULES_TEXT];
    int num_rules;
    df_val_points points;
    scores score[MOST_SCORES];
    int num_scores;
} outcome;

static bool read_args(int argc, char **argv, validate_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("SET", &a->sets, 0, DF_ARG_WORDS_MAX,
                     "sets to run: file names without .csv, or the beginnings of such names; all "
                     "if none is given"),
        df_arg_text("data", &a->data,
                    "folder of measured runs; by default the one that DeepFlow includes"),
        df_arg_text(
            "hardware_dir", &a->hardware,
            "folder of the hardware files that devices.csv names; by default configs/hardware"),
        df_arg_text("rules", &a->rules_text,
                    "both, or reference or corrected followed by exceptions (see `help rules`)"),
        df_arg_choice("format", &a->format, "text|json|csv", "how the result is printed"),
        df_arg_bool("points", &a->points,
                    "print every row with its prediction, not only the scores"),
    };
    const df_command command = {
        "validate", "shows how far predictions are off from measured runs",
        "  deepflow validate                          all sets that DeepFlow includes\n"
        "  deepflow validate koyeb --points           one set, run by run\n"
        "  deepflow validate --data mine --format csv\n\n"
        "Errors are (predicted - measured) / measured: the mean, median and worst of their\n"
        "sizes, and their mean (bias). Runs that differ only in their strategy are ranked:\n"
        "the scores are Kendall's tau and the regret, which says how much slower the strategy\n"
        "that is predicted to be fastest is than the one that really is fastest.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Running ---- */

static df_status read_rules(const char *text, outcome *o, df_err *err)
{
    if (strcmp(text, "both") == 0) {
        o->rules[0] = df_rules_reference();
        o->rules[1] = df_rules_corrected();
        o->num_rules = 2;
    } else {
        DF_TRY(df_rules_parse(text, &o->rules[0], err));
        o->num_rules = 1;
    }
    for (int i = 0; i < o->num_rules; i++) {
        df_rules_format(&o->rules[i], o->name[i], sizeof o->name[i]);
    }
    return DF_OK;
}

static bool is_wanted(const df_words *sets, const char *name, bool used[DF_ARG_WORDS_MAX])
{
    bool wanted = sets->count == 0;
    for (int i = 0; i < sets->count; i++) {
        if (strncmp(name, sets->word[i], strlen(sets->word[i])) == 0) {
            wanted = true;
            used[i] = true;
        }
    }
    return wanted;
}

static df_status run_sets(const validate_args *a, df_val_data *data, outcome *o, df_err *err)
{
    bool used[DF_ARG_WORDS_MAX] = {false};
    for (size_t i = 0; i < df_val_sets(data); i++) {
        if (is_wanted(&a->sets, df_val_set_name(data, i), used)) {
            DF_TRY(df_val_run(data, i, o->rules, o->num_rules, &o->points, err));
        }
    }
    for (int i = 0; i < a->sets.count; i++) {
        if (!used[i]) {
            return df_fail(err, DF_EINVAL, "SET: expected an existing set (such as %s), found %s",
                           df_val_set_name(data, 0), a->sets.word[i]);
        }
    }
    return DF_OK;
}

static bool is_scored(const outcome *o, const df_val_point *p)
{
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_score *const s = &o->score[i].of[0];
        if (strcmp(s->set, p->set) == 0 && strcmp(s->metric, p->metric) == 0) {
            return true;
        }
    }
    return false;
}

/* Scores each set and metric, in the order of the points. */
static df_status score_all(outcome *o, df_err *err)
{
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        if (is_scored(o, p)) {
            continue;
        }
        if (o->num_scores == MOST_SCORES) {
            return df_fail(err, DF_EINVAL,
                           "--data: expected at most %d sets and metrics, found more",
                           (int)MOST_SCORES);
        }
        for (int rules = 0; rules < o->num_rules; rules++) {
            DF_TRY(df_val_score_points(&o->points, p->set, p->metric, rules,
                                       &o->score[o->num_scores].of[rules], err));
        }
        o->num_scores++;
    }
    return DF_OK;
}

/* ---- Over all sets ---- */

/* Mean over all sets and metrics of their mean and of their median errors. */
typedef struct {
    double mean, median;
    int count;
} overall;

static overall over_all(const outcome *o, int rules)
{
    overall sum = {0, 0, 0};
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_errors *const e = &o->score[i].of[rules].all;
        if (e->n > 0) {
            sum.mean += e->mean;
            sum.median += e->median;
            sum.count++;
        }
    }
    if (sum.count > 0) {
        sum.mean /= sum.count;
        sum.median /= sum.count;
    }
    return sum;
}

/* ---- Text ---- */

static void print_errors(const outcome *o, int at, bool trusted)
{
    const df_val_score *const first = &o->score[at].of[0];
    const size_t n = trusted ? first->trusted.n : first->all.n;
    printf("%-29s %-26s %-7s %5zu", first->set, first->metric, trusted ? "trusted" : "all", n);
    for (int rules = 0; rules < o->num_rules; rules++) {
        const df_val_score *const s = &o->score[at].of[rules];
        const df_val_errors *const e = trusted ? &s->trusted : &s->all;
        if (n == 0) {
            printf("  %34s", "not predicted");
        } else {
            printf("  %8.1f %8.1f %8.1f %+7.1f", 100 * e->mean, 100 * e->median, 100 * e->worst,
                   100 * e->bias);
        }
    }
    putchar('\n');
}

static void print_error_table(const outcome *o)
{
    printf("%-29s %-26s %-7s %5s", "errors in %", "", "", "");
    for (int rules = 0; rules < o->num_rules; rules++) {
        printf("  %-34.34s", o->name[rules]);
    }
    printf("\n%-29s %-26s %-7s %5s", "set", "metric", "rows", "n");
    for (int rules = 0; rules < o->num_rules; rules++) {
        printf("  %8s %8s %8s %7s", "mean", "median", "worst", "bias");
    }
    putchar('\n');
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_score *const s = &o->score[i].of[0];
        print_errors(o, i, false);
        if (s->trusted.n > 0 && s->trusted.n < s->all.n) {
            print_errors(o, i, true);
        }
    }
}

static void print_rankings(const outcome *o)
{
    bool any = false;
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_score *const s = o->score[i].of;
        if (s[0].ranking.groups == 0) {
            continue;
        }
        if (!any) {
            printf("\n%-29s %-26s %13s", "rankings", "metric", "groups");
            for (int rules = 0; rules < o->num_rules; rules++) {
                printf("  %8s %10s %10s    ", "tau", "regret (%)", "worst");
            }
            putchar('\n');
        }
        any = true;
        printf("%-29s %-26s %13zu", s[0].set, s[0].metric, s[0].ranking.groups);
        for (int rules = 0; rules < o->num_rules; rules++) {
            const df_val_ranking *const r = &s[rules].ranking;
            printf("  %8.2f %10.1f %10.1f    ", r->tau, 100 * r->regret, 100 * r->worst_regret);
        }
        putchar('\n');
    }
}

/* How many rows of a set were skipped for each reason. */
static void print_skipped(const outcome *o)
{
    bool any = false;
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        size_t same = 0;
        bool first = p->skipped != NULL;
        for (size_t j = 0; p->skipped && j < o->points.count; j++) {
            const df_val_point *const q = &o->points.point[j];
            const bool equal = q->skipped == p->skipped && q->set == p->set;
            first = first && !(equal && j < i);
            same += equal;
        }
        if (first) {
            printf("%s%s: %zu left out: %s\n", any ? "" : "\n", p->set, same, p->skipped);
            any = true;
        }
    }
}

static void print_point(const outcome *o, const df_val_point *p)
{
    printf("%-29s %-18s %-50s %-10s %12.6g", p->set, p->metric, p->id, p->quality, p->measured);
    for (int rules = 0; rules < o->num_rules && !p->skipped; rules++) {
        printf(" %12.6g %+7.1f %%", p->predicted[rules],
               100 * (p->predicted[rules] / p->measured - 1));
    }
    printf("%s%s\n", p->skipped ? "  left out: " : "", p->skipped ? p->skipped : "");
}

static int print_text(const outcome *o, bool points)
{
    for (size_t i = 0; points && i < o->points.count; i++) {
        print_point(o, &o->points.point[i]);
    }
    printf("%s", points ? "\n" : "");
    print_error_table(o);
    print_rankings(o);
    print_skipped(o);
    for (int rules = 0; rules < o->num_rules; rules++) {
        const overall sum = over_all(o, rules);
        printf(
            "%s%s rules, mean over %d sets and metrics: mean error %.1f %%, median error %.1f %%\n",
            rules == 0 ? "\n" : "", o->name[rules], sum.count, 100 * sum.mean, 100 * sum.median);
    }
    return df_cli_finish(0);
}

/* ---- JSON ---- */

static void add_errors(json_t *parent, const char *key, const df_val_errors *e)
{
    json_t *const o = df_json_object(parent, key);
    json_object_set_new(o, "n", json_integer((json_int_t)e->n));
    if (e->n > 0) {
        df_json_real(o, "mean", e->mean);
        df_json_real(o, "median", e->median);
        df_json_real(o, "worst", e->worst);
        df_json_text(o, "worst_id", e->worst_id);
        df_json_real(o, "bias", e->bias);
    }
}

static void add_score(json_t *list, const outcome *o, int at)
{
    const df_val_score *const first = &o->score[at].of[0];
    json_t *const set = json_object();
    json_array_append_new(list, set);
    df_json_text(set, "set", first->set);
    df_json_text(set, "metric", first->metric);
    json_object_set_new(set, "rows", json_integer((json_int_t)first->total));
    json_object_set_new(set, "skipped", json_integer((json_int_t)first->skipped));
    for (int rules = 0; rules < o->num_rules; rules++) {
        const df_val_score *const s = &o->score[at].of[rules];
        json_t *const under = df_json_object(set, o->name[rules]);
        add_errors(under, "all", &s->all);
        add_errors(under, "trusted", &s->trusted);
        if (s->ranking.groups > 0) {
            json_t *const ranking = df_json_object(under, "ranking");
            json_object_set_new(ranking, "groups", json_integer((json_int_t)s->ranking.groups));
            df_json_real(ranking, "kendall_tau", s->ranking.tau);
            df_json_real(ranking, "regret", s->ranking.regret);
            df_json_real(ranking, "worst_regret", s->ranking.worst_regret);
        }
    }
}

static void add_point(json_t *list, const outcome *o, const df_val_point *p)
{
    json_t *const point = json_object();
    json_array_append_new(list, point);
    df_json_text(point, "set", p->set);
    df_json_text(point, "metric", p->metric);
    df_json_text(point, "id", p->id);
    df_json_text(point, "quality", p->quality);
    df_json_text(point, "group", p->group);
    df_json_real(point, "measured", p->measured);
    for (int rules = 0; rules < o->num_rules; rules++) {
        df_json_real(point, o->name[rules], p->predicted[rules]);
    }
    if (p->skipped) {
        df_json_text(point, "skipped", p->skipped);
    }
}

static int print_json(const outcome *o, bool points)
{
    json_t *const root = json_object();
    json_t *const overalls = df_json_object(root, "overall");
    json_t *const sets = json_array();
    for (int rules = 0; rules < o->num_rules; rules++) {
        const overall sum = over_all(o, rules);
        json_t *const under = df_json_object(overalls, o->name[rules]);
        df_json_real(under, "mean_of_means", sum.mean);
        df_json_real(under, "mean_of_medians", sum.median);
    }
    for (int i = 0; i < o->num_scores; i++) {
        add_score(sets, o, i);
    }
    json_object_set_new(root, "sets", sets);
    if (points) {
        json_t *const list = json_array();
        for (size_t i = 0; i < o->points.count; i++) {
            add_point(list, o, &o->points.point[i]);
        }
        json_object_set_new(root, "points", list);
    }
    return df_json_print(root);
}

/* ---- CSV ---- */

/* Prints a text, quoted if necessary. */
static void print_field(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *c = text; *c != '\0'; c++) {
        printf(*c == '"' ? "\"%c" : "%c", *c);
    }
    putchar('"');
}

/* Empty where there is none. */
static void print_number(double value)
{
    if (!isnan(value)) {
        printf("%.17g", value);
    }
}

static int print_csv_points(const outcome *o)
{
    printf("set,metric,id,quality,group,measured");
    for (int rules = 0; rules < o->num_rules; rules++) {
        putchar(',');
        print_field(o->name[rules]);
    }
    puts(",skipped");
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        const char *const texts[] = {p->set, p->metric, p->id, p->quality, p->group};
        for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
            print_field(texts[t]);
            putchar(',');
        }
        print_number(p->measured);
        for (int rules = 0; rules < o->num_rules; rules++) {
            putchar(',');
            print_number(p->predicted[rules]);
        }
        putchar(',');
        print_field(p->skipped ? p->skipped : "");
        putchar('\n');
    }
    return df_cli_finish(0);
}

static void print_csv_score(const char *rules, const df_val_score *s, bool trusted)
{
    const df_val_errors *const e = trusted ? &s->trusted : &s->all;
    const double numbers[] = {e->mean, e->median, e->worst, e->bias};
    print_field(s->set);
    putchar(',');
    print_field(s->metric);
    printf(",%s,", trusted ? "trusted" : "all");
    print_field(rules);
    printf(",%zu,%zu", e->n, s->skipped);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        putchar(',');
        print_number(numbers[i]);
    }
    putchar(',');
    print_field(e->n > 0 ? e->worst_id : "");
    if (trusted || s->ranking.groups == 0) {
        puts(",0,,,");
        return;
    }
    printf(",%zu,%.17g,%.17g,%.17g\n", s->ranking.groups, s->ranking.tau, s->ranking.regret,
           s->ranking.worst_regret);
}

static int print_csv(const outcome *o, bool points)
{
    if (points) {
        return print_csv_points(o);
    }
    puts(
        "set,metric,rows,rules,n,skipped,mean,median,worst,bias,worst_id,groups,kendall_tau,regret,"
        "worst_regret");
    for (int i = 0; i < o->num_scores; i++) {
        for (int rules = 0; rules < o->num_rules; rules++) {
            print_csv_score(o->name[rules], &o->score[i].of[rules], false);
            print_csv_score(o->name[rules], &o->score[i].of[rules], true);
        }
    }
    return df_cli_finish(0);
}

/* ---- Command ---- */

static df_status load(const validate_args *a, df_val_data **data, df_err *err)
{
    char runs[DF_DATA_PATH];
    char hardware[DF_DATA_PATH];
    DF_TRY(df_data_find("configs/validation", runs, err));
    DF_TRY(df_data_find("configs/hardware", hardware, err));
    const df_val_folders folders = {a->data ? a->data : runs, a->data ? runs : NULL,
                                    a->hardware ? a->hardware : hardware};
    return df_val_load(&folders, data, err);
}

static df_status validate(const validate_args *a, df_val_data **data, outcome *o, df_err *err)
{
    DF_TRY(read_rules(a->rules_text, o, err));
    DF_TRY(load(a, data, err));
    DF_TRY(run_sets(a, *data, o, err));
    return score_all(o, err);
}

static int print(const validate_args *a, const outcome *o)
{
    switch (a->format[0]) {
    case 'j':
        return print_json(o, a->points);
    case 'c':
        return print_csv(o, a->points);
    default:
        return print_text(o, a->points);
    }
}

int df_cmd_validate(int argc, char **argv)
{
    validate_args a = {.rules_text = "both", .format = "text"};
    df_val_data *data = NULL;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    outcome *const o = calloc(1, sizeof *o);
    if (!o) {
        return df_cli_fail(df_fail(&err, DF_ENOMEM, "out of memory"), &err);
    }
    const df_status status = validate(&a, &data, o, &err);
    exit_code = status == DF_OK ? print(&a, o) : df_cli_fail(status, &err);
    df_val_points_free(&o->points);
    free(o);
    df_val_free(data);
    return exit_code;
}
