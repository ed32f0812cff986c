#include "spec/spec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/nearest.h"
#include "config/opt.h"

/* ---- The table ---- */

/* How an option stands in the file. */
typedef enum {
    SCALAR, /* a value of the option's kind, kept in a field of its type */
    PATH,   /* the name of a file, relative to the folder of the description */
    RULES,
    GOALS, /* one word, or a list of them */
    INTS,  /* a number, or a list: df_int_list */
    SET,   /* a word, or a list: unsigned, bit v for value v */
    RANGE, /* a number, or [low, high]: df_param_range */
} form;

typedef struct {
    form form;
    df_opt opt; /* the option of one value */
} spec_row;

static const df_word words_optimizer[] = {{"cma", DF_OPT_CMA, false},
                                          {"reference", DF_OPT_REFERENCE, false},
                                          {"vector_bfgs2", DF_OPT_BFGS2, false},
                                          {"conjugate_fr", DF_OPT_CONJUGATE_FR, false},
                                          {"steepest_descent", DF_OPT_STEEPEST, false},
                                          {"nmsimplex2", DF_OPT_NMSIMPLEX2, false},
                                          {NULL, 0, false}};
static const df_word words_starts[] = {{"auto", DF_START_AUTO, false},
                                       {"random", DF_START_RANDOM, false},
                                       {"sobol", DF_START_SOBOL, false},
                                       {NULL, 0, false}};
static const df_word words_goal[] = {{"time", DF_GOAL_TIME, false},
                                     {"energy", DF_GOAL_ENERGY, false},
                                     {"edp", DF_GOAL_EDP, false},
                                     {"time_per_area", DF_GOAL_TIME_PER_AREA, false},
                                     {"tokens_per_s_per_w", DF_GOAL_TOKENS_PER_S_PER_W, false},
                                     {NULL, 0, false}};

/* NOLINTBEGIN(bugprone-macro-parentheses): names of fields, and texts */
#define AT(field) offsetof(df_spec, field)
#define TEXT(key, how, field, what)                                                                \
    {                                                                                              \
        how,                                                                                       \
        {                                                                                          \
            .path = key, .kind = DF_OPT_TEXT, .offset = AT(field), .meaning = what                 \
        }                                                                                          \
    }
#define WHOLE(key, how, field, least, most, what)                                                  \
    {                                                                                              \
        how,                                                                                       \
        {                                                                                          \
            .path = key, .kind = DF_OPT_INT, .unit = "", .range = {least, most, false, false},     \
            .offset = AT(field), .meaning = what                                                   \
        }                                                                                          \
    }
#define CHOICE(key, how, list, field, what)                                                        \
    {                                                                                              \
        how,                                                                                       \
        {                                                                                          \
            .path = key, .kind = DF_OPT_ENUM, .words = list, .offset = AT(field), .meaning = what  \
        }                                                                                          \
    }
#define TRUTH(key, field, what)                                                                    \
    {                                                                                              \
        SCALAR,                                                                                    \
        {                                                                                          \
            .path = key, .kind = DF_OPT_BOOL, .words = df_words_bool, .offset = AT(field),         \
            .meaning = what                                                                        \
        }                                                                                          \
    }
#define LIMIT(key, type, in, field, what)                                                          \
    {                                                                                              \
        SCALAR,                                                                                    \
        {                                                                                          \
            .path = "constraints." key, .kind = type, .unit = in,                                  \
            .range = {0, HUGE_VAL, true, false}, .offset = AT(limits.field), .meaning = what       \
        }                                                                                          \
    }
#define SHARE(key, param, what)                                                                    \
    {                                                                                              \
        RANGE,                                                                                     \
        {                                                                                          \
            .path = "parameters." key, .kind = DF_OPT_REAL, .unit = "",                            \
            .range = {0, 1, false, false}, .offset = AT(range[param]), .meaning = what             \
        }                                                                                          \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
#define HUGE_WHOLE 1099511627776.0

static const spec_row searched[] = {
    TEXT("exp_config", PATH, exp_config, "one file with hardware and model"),
    TEXT("hardware_config", PATH, hardware_config, "or a hardware file ..."),
    TEXT("model_config", PATH, model_config, "... together with a model file"),
    TEXT("rules", RULES, rules, "as --rules: calibrated, corrected or reference, then exceptions"),
    CHOICE("objective",
           GOALS,
           words_goal,
           objective,
           "what to optimize; several objectives also give a Pareto set"),
    CHOICE("optimizer", SCALAR, words_optimizer, optimizer, "the optimizer of each descent"),
    CHOICE("starts",
           SCALAR,
           words_starts,
           starts,
           "where descents begin: Python's random numbers or Sobol's points; auto: what suits the "
           "optimizer"),
    WHOLE("num_search", SCALAR, num_search, 1, 1000000, "descents of each strategy and layout"),
    WHOLE("iterations", SCALAR, iterations, 0, 1000000, "most iterations of a descent; 0: 100"),
    TRUTH("trajectory", trajectory, "keep every iterate in /trajectories"),
    TRUTH("fix_hardware",
          fix_hardware,
          "search only strategies, on the device that the file describes"),
    TRUTH("ignore_memory", ignore_memory, "accept devices on which the model does not fit"),
    WHOLE("batch_size", SCALAR, batch_size, 1, HUGE_WHOLE, "batch size in place of the model's"),
    WHOLE("hidden_dim", SCALAR, hidden_dim, 1, HUGE_WHOLE, "size of a layer of an LSTM"),
    LIMIT("time", DF_OPT_REAL, "s", time_s, "longest time of a step"),
    LIMIT("energy", DF_OPT_REAL, "J", energy_j, "most energy of a step, on all devices (LLM)"),
    LIMIT("power", DF_OPT_REAL, "W", power_w, "most power, which is energy divided by time (LLM)"),
    LIMIT("area",
          DF_OPT_REAL,
          "mm2",
          area_mm2,
          "largest area of all devices, including chips and stacks"),
    LIMIT(
        "chip_area",
        DF_OPT_REAL,
        "mm2",
        chip_mm2,
        "largest area of a chip without its stacks, in place of the file's proc_chip_area_budget"),
    LIMIT("memory",
          DF_OPT_BYTES,
          "bytes",
          memory_bytes,
          "most memory that the fullest device may need"),
    SHARE("area_core", DF_P_AREA_CORE, "share of the chip area"),
    SHARE("area_DRAM", DF_P_AREA_DRAM, "share of the chip area for memory controllers"),
    SHARE("area_L2", DF_P_AREA_L2, "share of the chip area"),
    SHARE("area_L1", DF_P_AREA_L1, "share of the chip area"),
    SHARE("area_reg_mem", DF_P_AREA_REG, "share of the chip area"),
    SHARE("area_intra_node", DF_P_AREA_INTRA, "share of the chip area"),
    SHARE("area_inter_node", DF_P_AREA_INTER, "share of the chip area"),
    SHARE("power_core", DF_P_POWER_CORE, "share of the power"),
    SHARE("power_DRAM", DF_P_POWER_DRAM, "share of the power"),
    SHARE("power_L2", DF_P_POWER_L2, "share of the power"),
    SHARE("power_L1", DF_P_POWER_L1, "share of the power"),
    SHARE("power_reg_mem", DF_P_POWER_REG, "share of the power"),
    SHARE("power_intra_node", DF_P_POWER_INTRA, "share of the power"),
    SHARE("power_inter_node", DF_P_POWER_INTER, "share of the power"),
    SHARE("perimeter_DRAM", DF_P_PERIM_DRAM, "share of the perimeter of the chip"),
    SHARE("perimeter_inter_node", DF_P_PERIM_INTER, "share of the perimeter of the chip"),
    SHARE("perimeter_intra_node", DF_P_PERIM_INTRA, "share of the perimeter of the chip"),
};

/* The keys of strategies stand between these. */
static const spec_row systems[] = {
    WHOLE("system.num_wafer", INTS, num_wafer, 1, DF_SYSTEM_DEVICES_MAX, "numbers of wafers"),
    WHOLE("system.wafer_dim", INTS, wafer_dim, 1, 1024, "devices along a wafer's edge"),
    WHOLE("system.num_nodes",
          INTS,
          num_nodes,
          1,
          DF_SYSTEM_DEVICES_MAX,
          "numbers of nodes with switches, in place of wafers"),
    WHOLE("system.devices_per_node",
          INTS,
          devices_per_node,
          1,
          DF_SYSTEM_DEVICES_MAX,
          "numbers of devices in a node"),
    WHOLE("system.num_worker",
          SCALAR,
          num_worker,
          -1,
          DF_SYSTEM_DEVICES_MAX,
          "number of devices that work; -1: all"),
};
enum {
    SEARCHED = sizeof searched / sizeof searched[0],
    SYSTEMS = sizeof systems / sizeof systems[0],
    ROWS_MAX = SEARCHED + DF_STRATEGY_FIELDS + SYSTEMS,
};

typedef struct {
    spec_row row[ROWS_MAX];
    int count;
    char path[DF_STRATEGY_FIELDS][DF_OPT_SCALAR]; /* "strategies.tp" */
} spec_table;

static void add_rows(spec_table *t, const spec_row *rows, int count)
{
    memcpy(t->row + t->count, rows, (size_t)count * sizeof *rows);
    t->count += count;
}

/* A key for each field of an LLM's strategies: those of lists, or those of sets. */
static void add_fields(spec_table *t, const df_strategy_field *fields, form how)
{
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const df_strategy_field *const f = &fields[i];
        if ((f->of & DF_STRATEGY_LLM) == 0 || (how == SET) != (f->words != NULL)) {
            continue;
        }
        snprintf(t->path[i], sizeof t->path[i], "strategies.%s", f->name);
        t->row[t->count++] = (spec_row){how,
                                        {.path = t->path[i],
                                         .kind = how == SET ? DF_OPT_ENUM : DF_OPT_INT,
                                         .unit = "",
                                         .range = {(double)f->low, HUGE_WHOLE, false, false},
                                         .words = f->words,
                                         .offset = AT(space) + f->space,
                                         .meaning = f->key}};
    }
}

static void make_table(spec_table *t)
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    t->count = 0;
    df_strategy_terms(fields);
    add_rows(t, searched, SEARCHED);
    add_fields(t, fields, INTS);
    add_fields(t, fields, SET);
    add_rows(t, systems, SYSTEMS);
}

static bool is_section(const spec_table *t, const char *path)
{
    const size_t length = strlen(path);
    for (int i = 0; i < t->count; i++) {
        if (strncmp(t->row[i].opt.path, path, length) == 0 && t->row[i].opt.path[length] == '.') {
            return true;
        }
    }
    return false;
}

static const spec_row *find_row(const spec_table *t, const char *path)
{
    for (int i = 0; i < t->count; i++) {
        if (strcmp(t->row[i].opt.path, path) == 0) {
            return &t->row[i];
        }
    }
    return NULL;
}

/* ---- Failures ---- */

typedef struct {
    const spec_table *table;
    yaml_document_t *document;
    const char *name;
    df_spec *spec;
    bool seen[ROWS_MAX];
    df_err *err;
} reader;

static void found_text(const yaml_node_t *node, char text[DF_OPT_SCALAR])
{
    if (node->type != YAML_SCALAR_NODE) {
        snprintf(text, DF_OPT_SCALAR, "%s",
                 node->type == YAML_MAPPING_NODE ? "a mapping" : "a list");
        return;
    }
    const char *const value = (const char *)node->data.scalar.value;
    snprintf(text, DF_OPT_SCALAR, "%.50s", value[0] == '\0' ? "nothing" : value);
}

static df_status fail_at(const reader *r,
                         const yaml_node_t *node,
                         const char *path,
                         const char *expected,
                         const char *found)
{
    char there[DF_OPT_SCALAR];
    found_text(node, there);
    return df_fail(r->err, DF_EINVAL, "%s:%zu: %s: expected %s, found %s", r->name,
                   node->start_mark.line + 1, path, expected, found ? found : there);
}

static df_status fail_unknown(const reader *r, const yaml_node_t *key, const char *path)
{
    const char *paths[ROWS_MAX];
    char expected[DF_OPT_EXPECTED];
    for (int i = 0; i < r->table->count; i++) {
        paths[i] = r->table->row[i].opt.path;
    }
    const int near = df_nearest(path, paths, (size_t)r->table->count, sizeof paths[0]);
    snprintf(expected, sizeof expected, "a key of `deepflow help search`%s%s%s",
             near >= 0 ? " (did you mean " : "", near >= 0 ? paths[near] : "",
             near >= 0 ? "?)" : "");
    return fail_at(r, key, path, expected, "another");
}

/* ---- Values ---- */

static df_status
parse_one(const reader *r, const spec_row *row, const yaml_node_t *node, double *value)
{
    char expected[DF_OPT_EXPECTED];
    const bool scalar = node->type == YAML_SCALAR_NODE;
    const char *const text = scalar ? (const char *)node->data.scalar.value : "";
    if (scalar && node->data.scalar.length < DF_OPT_SCALAR &&
        df_opt_parse(&row->opt, text, value) == DF_VALUE_OK) {
        return DF_OK;
    }
    df_opt_expected(&row->opt, expected);
    df_opt_mean(&row->opt, text, expected);
    return fail_at(r, node, row->opt.path, expected, NULL);
}

/* The index-th item of a list, or of what stands alone; NULL: there is none. */
static const yaml_node_t *item_of(const reader *r, const yaml_node_t *node, int index)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return index == 0 ? node : NULL;
    }
    const yaml_node_item_t *const at = node->data.sequence.items.start + index;
    return at < node->data.sequence.items.top ? yaml_document_get_node(r->document, *at) : NULL;
}

static df_status
read_list(const reader *r, const spec_row *row, const yaml_node_t *node, void *field)
{
    df_int_list list = {.count = 0};
    unsigned set = 0;
    const yaml_node_t *item = item_of(r, node, 0);
    if (!item) {
        return fail_at(r, node, row->opt.path, "at least one value", "none");
    }
    for (int i = 0; item; item = item_of(r, node, ++i)) {
        double value = 0;
        DF_TRY(parse_one(r, row, item, &value));
        if (i == DF_INT_LIST_MAX) {
            return fail_at(r, item, row->opt.path, "at most 64 values", "more");
        }
        list.value[list.count++] = (int64_t)value;
        set |= row->form == SET ? 1U << (unsigned)value : 0;
    }
    if (row->form == SET) {
        memcpy(field, &set, sizeof set);
    } else {
        memcpy(field, &list, sizeof list);
    }
    return DF_OK;
}

static df_status
read_range(const reader *r, const spec_row *row, const yaml_node_t *node, void *field)
{
    df_param_range range = {.given = true};
    const yaml_node_t *const low = item_of(r, node, 0);
    const yaml_node_t *const high = item_of(r, node, 1);
    if (!low || (high && item_of(r, node, 2)) || (!high && node->type == YAML_SEQUENCE_NODE)) {
        return fail_at(r, node, row->opt.path, "a share, or [lowest, highest]", "another list");
    }
    DF_TRY(parse_one(r, row, low, &range.low));
    range.high = range.low;
    if (high) {
        DF_TRY(parse_one(r, row, high, &range.high));
        if (range.high < range.low) {
            return fail_at(r, high, row->opt.path, "the highest share >= the lowest", NULL);
        }
    }
    memcpy(field, &range, sizeof range);
    return DF_OK;
}

static df_status
read_goals(const reader *r, const spec_row *row, const yaml_node_t *node, char *field)
{
    df_goals goals;
    df_err why;
    size_t used = 0;
    char text[DF_SPEC_TEXT] = "";
    const yaml_node_t *item = item_of(r, node, 0);
    for (int i = 0; item; item = item_of(r, node, ++i)) {
        if (item->type != YAML_SCALAR_NODE || item->data.scalar.length > DF_OPT_SCALAR ||
            i > DF_GOALS) {
            return fail_at(r, item, row->opt.path, "an objective, or a list of them", NULL);
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? "," : "",
                                 (const char *)item->data.scalar.value);
    }
    if (df_goals_parse(text, &goals, &why) != DF_OK) {
        return df_fail(r->err, DF_EINVAL, "%s:%zu: %s: %.300s", r->name, node->start_mark.line + 1,
                       row->opt.path, why.text);
    }
    memcpy(field, text, sizeof text);
    return DF_OK;
}

static df_status
read_text(const reader *r, const spec_row *row, const yaml_node_t *node, char *field)
{
    const bool scalar = node->type == YAML_SCALAR_NODE;
    const char *const text = scalar ? (const char *)node->data.scalar.value : "";
    const char *const slash = strrchr(r->name, '/');
    const int folder =
        row->form == PATH && text[0] != '/' && slash ? (int)(slash - r->name) + 1 : 0;
    df_rules rules;
    df_err why;
    if (text[0] == '\0' || strlen(text) + (size_t)folder >= DF_SPEC_TEXT) {
        return fail_at(r, node, row->opt.path, "a text of fewer than 1024 bytes", NULL);
    }
    if (row->form == RULES && df_rules_parse(text, &rules, &why) != DF_OK) {
        return df_fail(r->err, DF_EINVAL, "%s:%zu: %s: %.300s", r->name, node->start_mark.line + 1,
                       row->opt.path, why.text);
    }
    snprintf(field, DF_SPEC_TEXT, "%.*s%s", folder, r->name, text);
    return DF_OK;
}

static df_status
read_scalar(const reader *r, const spec_row *row, const yaml_node_t *node, void *field)
{
    double value = 0;
    DF_TRY(parse_one(r, row, node, &value));
    const int64_t whole =
        row->opt.kind == DF_OPT_REAL || row->opt.kind == DF_OPT_BYTES ? 0 : (int64_t)value;
    const int number = (int)whole;
    const bool truth = whole != 0;
    switch (row->opt.kind) {
    case DF_OPT_INT:
        memcpy(field, &whole, sizeof whole);
        break;
    case DF_OPT_BOOL:
        memcpy(field, &truth, sizeof truth);
        break;
    case DF_OPT_ENUM:
        memcpy(field, &number, sizeof number);
        break;
    default:
        memcpy(field, &value, sizeof value);
        break;
    }
    return DF_OK;
}

static df_status
read_row(reader *r, const spec_row *row, const yaml_node_t *key, const yaml_node_t *node)
{
    void *const field = (char *)r->spec + row->opt.offset;
    bool *const seen = &r->seen[row - r->table->row];
    if (*seen) {
        return fail_at(r, key, row->opt.path, "once", "twice");
    }
    *seen = true;
    switch (row->form) {
    case INTS:
    case SET:
        return read_list(r, row, node, field);
    case RANGE:
        return read_range(r, row, node, field);
    case GOALS:
        return read_goals(r, row, node, field);
    case PATH:
    case RULES:
        return read_text(r, row, node, field);
    case SCALAR:
        break;
    }
    return read_scalar(r, row, node, field);
}

/* ---- Documents ---- */

/* NOLINTNEXTLINE(misc-no-recursion): sections hold options alone */
static df_status read_mapping(reader *r, const yaml_node_t *mapping, const char *section)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *const key = yaml_document_get_node(r->document, pair->key);
        const yaml_node_t *const value = yaml_document_get_node(r->document, pair->value);
        char shown[DF_OPT_SCALAR];
        char path[2 * DF_OPT_SCALAR];
        found_text(key, shown);
        snprintf(path, sizeof path, "%s%s%s", section, section[0] != '\0' ? "." : "",
                 strcmp(section, "strategies") == 0 ? df_axis_name_of(shown) : shown);
        const spec_row *const row = find_row(r->table, path);
        if (row) {
            DF_TRY(read_row(r, row, key, value));
        } else if (section[0] == '\0' && is_section(r->table, path)) {
            if (value->type != YAML_MAPPING_NODE) {
                return fail_at(r, value, path, "a mapping of keys to values", NULL);
            }
            DF_TRY(read_mapping(r, value, path));
        } else {
            return fail_unknown(r, key, path);
        }
    }
    return DF_OK;
}

static df_status read_root(reader *r)
{
    const yaml_node_t *const root = yaml_document_get_root_node(r->document);
    if (!root) {
        return df_fail(r->err, DF_EINVAL, "%s:1: document: expected a mapping, found nothing",
                       r->name);
    }
    if (root->type != YAML_MAPPING_NODE) {
        return fail_at(r, root, "document", "a mapping of keys to values", NULL);
    }
    return read_mapping(r, root, "");
}

static df_status read_document(yaml_parser_t *parser, const char *path, df_spec *spec, df_err *err)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) {
        return df_fail(err, DF_EINVAL, "%s:%zu: syntax: expected well-formed YAML, found: %s", path,
                       parser->problem_mark.line + 1,
                       parser->problem ? parser->problem : "no memory left");
    }
    spec_table table;
    reader r = {.table = &table, .document = &document, .name = path, .spec = spec, .err = err};
    make_table(&table);
    const df_status status = read_root(&r);
    yaml_document_delete(&document);
    return status;
}

df_status df_spec_load(const char *path, df_spec *spec, df_err *err)
{
    char *text;
    yaml_parser_t parser;
    DF_TRY(df_cfg_read_text(path, &text, err));
    if (!yaml_parser_initialize(&parser)) {
        free(text);
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    const df_status status = read_document(&parser, path, spec, err);
    yaml_parser_delete(&parser);
    free(text);
    return status;
}

/* ---- Help ---- */

void df_spec_print_help(FILE *out)
{
    static const char *const several[] = {[SCALAR] = "",
                                          [PATH] =
                                              "a file, relative to the folder of the description",
                                          [RULES] = "a text",
                                          [GOALS] = " (or a list)",
                                          [INTS] = " (or a list)",
                                          [SET] = " (or a list)",
                                          [RANGE] = " (fixed), or [lowest, highest]"};
    fputs("One YAML file describes a search: deepflow arch_search --search FILE.yaml. Flags\n"
          "override the file, and keys that it leaves out have the defaults of the flags;\n"
          "parameters are then searched from 0 to 1. Examples are in configs/search/.\n\n",
          out);
    spec_table table;
    make_table(&table);
    for (int i = 0; i < table.count; i++) {
        const spec_row *const row = &table.row[i];
        char expected[DF_OPT_EXPECTED] = "";
        if (row->form != PATH && row->form != RULES) {
            df_opt_expected(&row->opt, expected);
        }
        fprintf(out, "  %s\n      %s\n      %s%s\n", row->opt.path, row->opt.meaning, expected,
                several[row->form]);
    }
}
