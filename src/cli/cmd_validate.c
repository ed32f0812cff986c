#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/data_dir.h"
#include "cli.h"
#include "commands.h"
#include "json_out.h"
#include "validate/validate.h"

enum { MOST_SCORES = 1024, RULES_TEXT = 4096, SET_TEXT = 256 };

/* What scores are split by beside set and metric. */
typedef struct {
    bool part, device, model;
} split;

typedef struct {
    df_words sets;
    const char *data, *hardware, *rules_text, *format, *by_text;
    split by;
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
    int set_width; /* of the column of sets */
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
        df_arg_text(
            "rules", &a->rules_text,
            "all, or reference, corrected or calibrated followed by exceptions (see `help rules`)"),
        df_arg_text("by", &a->by_text,
                    "part, device, model, or several with commas: scores of each by itself"),
        df_arg_choice("format", &a->format, "text|json|csv", "how the result is printed"),
        df_arg_bool("points", &a->points,
                    "print every row with its prediction, not only the scores"),
    };
    const df_command command = {
        "validate", "shows how far predictions are off from measured runs",
        "  deepflow validate                          all sets that DeepFlow includes\n"
        "  deepflow validate koyeb --points           one set, run by run\n"
        "  deepflow validate ops --by device,part     each card and kernel by itself\n"
        "  deepflow validate --data mine --format csv\n\n"
        "Errors are (predicted - measured) / measured: the mean, median and worst of their\n"
        "sizes, and their mean (bias). Runs that differ only in their strategy are ranked:\n"
        "the scores are Kendall's tau and the regret, which says how much slower the strategy\n"
        "that is predicted to be fastest is than the one that really is fastest.\n"
        "The part of a row is where it comes from, or what an operator was measured with.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Running ---- */

static df_status read_split(const char *text, split *by, df_err *err)
{
    const struct {
        const char *name;
        bool *chosen;
    } words[] = {{"part", &by->part}, {"device", &by->device}, {"model", &by->model}};
    while (*text != '\0') {
        const size_t length = strcspn(text, ",");
        size_t i = 0;
        while (i < 3 &&
               (strlen(words[i].name) != length || strncmp(words[i].name, text, length) != 0)) {
            i++;
        }
        if (i == 3) {
            return df_fail(err, DF_EINVAL, "--by: expected part, device or model, found %.*s",
                           (int)length, text);
        }
        *words[i].chosen = true;
        text += length + (text[length] == ',');
    }
    return DF_OK;
}

static df_status read_rules(const char *text, outcome *o, df_err *err)
{
    const bool all = strcmp(text, "all") == 0;
    if (all || strcmp(text, "both") == 0) { /* both: before there was a third */
        o->rules[0] = df_rules_reference();
        o->rules[1] = df_rules_corrected();
        o->rules[2] = df_rules_calibrated();
        o->num_rules = all ? 3 : 2;
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

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_scored(const outcome *o, const df_val_choice *c)
{
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_choice *const of = &o->score[i].of[0].of;
        if (same(of->set, c->set) && same(of->metric, c->metric) && same(of->part, c->part) &&
            same(of->device, c->device) && same(of->model, c->model)) {
            return true;
        }
    }
    return false;
}

/* Scores each set and metric, or what these are split by, in the order of the points. */
static df_status score_all(const split *by, outcome *o, df_err *err)
{
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        const df_val_choice c = {.set = p->set,
                                 .metric = p->metric,
                                 .part = by->part ? p->part : NULL,
                                 .device = by->device ? p->device : NULL,
                                 .model = by->model ? p->model : NULL};
        if (is_scored(o, &c)) {
            continue;
        }
        if (o->num_scores == MOST_SCORES) {
            return df_fail(err, DF_EINVAL, "--data: expected at most %d scores, found more",
                           (int)MOST_SCORES);
        }
        for (int rules = 0; rules < o->num_rules; rules++) {
            DF_TRY(df_val_score_points(&o->points, &c, rules, &o->score[o->num_scores].of[rules],
                                       err));
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

/* "ops_gemm", and what of it: "A100-SXM4-80GB, bf16". */
static const char *set_text(const df_val_choice *c, char text[SET_TEXT])
{
    const char *const words[] = {c->device, c->model, c->part};
    size_t used = (size_t)snprintf(text, SET_TEXT, "%.60s", c->set);
    for (int i = 0; i < 3 && used < SET_TEXT; i++) {
        if (words[i]) {
            used += (size_t)snprintf(text + used, SET_TEXT - used, " | %.60s", words[i]);
        }
    }
    return text;
}

static void print_errors(const outcome *o, int at, bool trusted)
{
    const df_val_choice *const of = &o->score[at].of[0].of;
    char text[SET_TEXT];
    printf("%-*s %-26s %-7s", o->set_width, set_text(of, text), of->metric,
           trusted ? "trusted" : "all");
    for (int rules = 0; rules < o->num_rules; rules++) {
        const df_val_score *const s = &o->score[at].of[rules];
        const df_val_errors *const e = trusted ? &s->trusted : &s->all;
        if (e->n == 0) {
            printf("  %40s", "not predicted");
        } else {
            printf("  %5zu %8.1f %8.1f %8.1f %+7.1f", e->n, 100 * e->mean, 100 * e->median,
                   100 * e->worst, 100 * e->bias);
        }
    }
    putchar('\n');
}

static bool any_trusted(const outcome *o, int at)
{
    for (int rules = 0; rules < o->num_rules; rules++) {
        const df_val_score *const s = &o->score[at].of[rules];
        if (s->trusted.n > 0 && s->trusted.n < s->all.n) {
            return true;
        }
    }
    return false;
}

static void print_error_table(const outcome *o)
{
    printf("%-*s %-26s %-7s", o->set_width, "errors in %", "", "");
    for (int rules = 0; rules < o->num_rules; rules++) {
        printf("  %-40.40s", o->name[rules]);
    }
    printf("\n%-*s %-26s %-7s", o->set_width, "set", "metric", "rows");
    for (int rules = 0; rules < o->num_rules; rules++) {
        printf("  %5s %8s %8s %8s %7s", "n", "mean", "median", "worst", "bias");
    }
    putchar('\n');
    for (int i = 0; i < o->num_scores; i++) {
        print_errors(o, i, false);
        if (any_trusted(o, i)) {
            print_errors(o, i, true);
        }
    }
}

static size_t ranked_groups(const outcome *o, int at)
{
    size_t most = 0;
    for (int rules = 0; rules < o->num_rules; rules++) {
        const size_t groups = o->score[at].of[rules].ranking.groups;
        most = groups > most ? groups : most;
    }
    return most;
}

static void print_rankings(const outcome *o)
{
    bool any = false;
    for (int i = 0; i < o->num_scores; i++) {
        const df_val_score *const s = o->score[i].of;
        char text[SET_TEXT];
        if (ranked_groups(o, i) == 0) {
            continue;
        }
        if (!any) {
            printf("\n%-*s %-26s %6s", o->set_width, "rankings", "metric", "groups");
            for (int rules = 0; rules < o->num_rules; rules++) {
                printf("  %8s %10s %10s    ", "tau", "regret (%)", "worst");
            }
            putchar('\n');
        }
        any = true;
        printf("%-*s %-26s %6zu", o->set_width, set_text(&s[0].of, text), s[0].of.metric,
               ranked_groups(o, i));
        for (int rules = 0; rules < o->num_rules; rules++) {
            const df_val_ranking *const r = &s[rules].ranking;
            if (r->groups == 0) {
                printf("  %30s    ", "not ranked");
            } else {
                printf("  %8.2f %10.1f %10.1f    ", r->tau, 100 * r->regret, 100 * r->worst_regret);
            }
        }
        putchar('\n');
    }
}

/* Rules under which a point is left out for the same reason as under `rules`: bits. */
static unsigned same_reason(const outcome *o, const df_val_point *p, int rules)
{
    unsigned mask = 0;
    for (int i = 0; i < o->num_rules; i++) {
        mask |= same(p->skipped[i], p->skipped[rules]) ? 1U << i : 0U;
    }
    return mask;
}

/* How many rows of the set are left out for this reason under these rules, 0 where an earlier point
 * says so already. */
static size_t count_skipped(const outcome *o, size_t at, int rules)
{
    const df_val_point *const p = &o->points.point[at];
    const unsigned mask = same_reason(o, p, rules);
    size_t count = 0;
    for (size_t j = 0; j < o->points.count; j++) {
        const df_val_point *const q = &o->points.point[j];
        const bool equal = q->set == p->set && same(q->skipped[rules], p->skipped[rules]) &&
                           same_reason(o, q, rules) == mask;
        if (equal && j < at) {
            return 0;
        }
        count += equal;
    }
    return count;
}

static void print_reason(const outcome *o, size_t at, int rules, size_t count)
{
    const df_val_point *const p = &o->points.point[at];
    const unsigned mask = same_reason(o, p, rules);
    printf("%s: %zu left out", p->set, count);
    if (mask != (1U << o->num_rules) - 1U) {
        for (int i = 0, seen = 0; i < o->num_rules; i++) {
            if (mask >> i & 1U) {
                printf("%s %s", seen++ == 0 ? " under" : ",", o->name[i]);
            }
        }
    }
    printf(": %s\n", p->skipped[rules]);
}

static void print_skipped(const outcome *o)
{
    bool any = false;
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        for (int rules = 0; rules < o->num_rules; rules++) {
            const bool first =
                p->skipped[rules] && (same_reason(o, p, rules) & ((1U << rules) - 1U)) == 0;
            const size_t count = first ? count_skipped(o, i, rules) : 0;
            if (count > 0) {
                printf("%s", any ? "" : "\n");
                print_reason(o, i, rules, count);
                any = true;
            }
        }
    }
}

/* The first reason for which a prediction is missing; NULL: none is. */
static const char *any_reason(const outcome *o, const df_val_point *p)
{
    const char *why = NULL;
    for (int i = 0; i < o->num_rules && !why; i++) {
        why = p->skipped[i];
    }
    return why;
}

static void print_point(const outcome *o, const df_val_point *p)
{
    printf("%-29s %-18s %-50s %-10s %12.6g", p->set, p->metric, p->id, p->quality, p->measured);
    const char *const why = any_reason(o, p);
    for (int rules = 0; rules < o->num_rules; rules++) {
        if (p->skipped[rules]) {
            printf(" %22s", "-");
        } else {
            printf(" %12.6g %+7.1f %%", p->predicted[rules],
                   100 * (p->predicted[rules] / p->measured - 1));
        }
    }
    printf("%s%s\n", why ? "  left out: " : "", why ? why : "");
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

static void add_choice(json_t *set, const df_val_choice *c)
{
    const char *const texts[][2] = {{"set", c->set},
                                    {"metric", c->metric},
                                    {"part", c->part},
                                    {"device", c->device},
                                    {"model", c->model}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i][1]) {
            df_json_text(set, texts[i][0], texts[i][1]);
        }
    }
}

static void add_score(json_t *list, const outcome *o, int at)
{
    const df_val_score *const first = &o->score[at].of[0];
    json_t *const set = json_object();
    json_array_append_new(list, set);
    add_choice(set, &first->of);
    json_object_set_new(set, "rows", json_integer((json_int_t)first->total));
    json_object_set_new(set, "skipped", json_integer((json_int_t)first->skipped));
    for (int rules = 0; rules < o->num_rules; rules++) {
        const df_val_score *const s = &o->score[at].of[rules];
        json_t *const under = df_json_object(set, o->name[rules]);
        json_object_set_new(under, "skipped", json_integer((json_int_t)s->skipped));
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
    df_json_text(point, "part", p->part);
    df_json_text(point, "device", p->device);
    df_json_text(point, "model", p->model);
    df_json_real(point, "measured", p->measured);
    for (int rules = 0; rules < o->num_rules; rules++) {
        df_json_real(point, o->name[rules], p->predicted[rules]);
    }
    const char *const why = any_reason(o, p);
    if (why) {
        df_json_text(point, "skipped", why);
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
    printf("set,metric,id,quality,group,part,device,model,measured");
    for (int rules = 0; rules < o->num_rules; rules++) {
        putchar(',');
        print_field(o->name[rules]);
    }
    puts(",skipped");
    for (size_t i = 0; i < o->points.count; i++) {
        const df_val_point *const p = &o->points.point[i];
        const char *const texts[] = {p->set,   p->metric, p->id,     p->quality,
                                     p->group, p->part,   p->device, p->model};
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
        const char *const why = any_reason(o, p);
        print_field(why ? why : "");
        putchar('\n');
    }
    return df_cli_finish(0);
}

static void print_csv_score(const char *rules, const df_val_score *s, bool trusted)
{
    const df_val_errors *const e = trusted ? &s->trusted : &s->all;
    const double numbers[] = {e->mean, e->median, e->worst, e->bias};
    const char *const texts[] = {s->of.set, s->of.metric, s->of.part, s->of.device, s->of.model};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        print_field(texts[i] ? texts[i] : "");
        putchar(',');
    }
    printf("%s,", trusted ? "trusted" : "all");
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
    puts("set,metric,part,device,model,rows,rules,n,skipped,mean,median,worst,bias,worst_id,groups,"
         "kendall_tau,regret,worst_regret");
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

static int find_width(const outcome *o)
{
    size_t width = 12;
    for (int i = 0; i < o->num_scores; i++) {
        char text[SET_TEXT];
        const size_t length = strlen(set_text(&o->score[i].of[0].of, text));
        width = length > width ? length : width;
    }
    return (int)width;
}

static df_status validate(validate_args *a, df_val_data **data, outcome *o, df_err *err)
{
    DF_TRY(read_rules(a->rules_text, o, err));
    DF_TRY(read_split(a->by_text, &a->by, err));
    DF_TRY(load(a, data, err));
    DF_TRY(run_sets(a, *data, o, err));
    DF_TRY(score_all(&a->by, o, err));
    o->set_width = find_width(o);
    return DF_OK;
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
    validate_args a = {.rules_text = "all", .format = "text", .by_text = ""};
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
