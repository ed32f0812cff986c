#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "config/cfg_impl.h"

typedef struct {
    yaml_document_t *document;
    df_cfg_reader *reader;
    const char *name;
    df_err *err;
} walk;

typedef struct {
    const yaml_node_t *key, *value;
} entry;

static int line_of(const yaml_node_t *node)
{
    return (int)node->start_mark.line + 1;
}

/* ---- Texts of failures ---- */

/* What stands there, in one short line. */
static void found_text(const yaml_node_t *node, char text[DF_OPT_SCALAR])
{
    if (node->type == YAML_MAPPING_NODE) {
        snprintf(text, DF_OPT_SCALAR, "a mapping");
        return;
    }
    if (node->type == YAML_SEQUENCE_NODE) {
        snprintf(text, DF_OPT_SCALAR, "a list");
        return;
    }
    const char *const value = (const char *)node->data.scalar.value;
    snprintf(text, DF_OPT_SCALAR, "%.40s%s", value[0] == '\0' ? "nothing" : value,
             strlen(value) > 40 ? "..." : "");
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
}

static df_status fail_at(const walk *w, int line, const char *path, const char *text)
{
    return df_fail(w->err, DF_EINVAL, "%s:%d: %s: %s", w->name, line, path, text);
}

/* About the value under a key; the line is the key's. */
static df_status
fail_expected(const walk *w, const entry *at, const char *path, const char *expected)
{
    char found[DF_OPT_SCALAR];
    found_text(at->value, found);
    return df_fail(w->err, DF_EINVAL, "%s:%d: %s: expected %s, found %s", w->name, line_of(at->key),
                   path, expected, found);
}

/* Two words for one key may both be given, with the same value. */
static df_status check_same(const walk *w, int index, const entry *at, const char *path)
{
    const df_opt *const opt = &df_opts[index];
    const df_cfg_mark *const before = &w->reader->option[index];
    char found[DF_OPT_SCALAR];
    double value;
    found_text(at->value, found);
    if (at->value->type == YAML_SCALAR_NODE &&
        df_opt_parse(opt, (const char *)at->value->data.scalar.value, &value) == DF_VALUE_OK &&
        value == df_opt_load(opt, &w->reader->cfg)) {
        return DF_OK;
    }
    return df_fail(w->err, DF_EINVAL, "%s:%d: %s: expected the same as %s in %s:%d, found %s",
                   w->name, line_of(at->key), path, before->key, before->file, before->line, found);
}

/* Another word than those expected stands for the preset. */
static void warn_replaced(const walk *w, const entry *at, const df_opt *opt, const char *expected)
{
    char found[DF_OPT_SCALAR];
    found_text(at->value, found);
    (void)df_fail(&w->reader->warning, DF_OK, "%s:%d: %s: expected %s, found %s; %s is used",
                  w->name, line_of(at->key), opt->path, expected, found,
                  df_opt_word_of(opt->words, opt->absent.preset));
}

/* Sizes are counted in powers of 1024 everywhere; rates are only here. */
static void warn_rate(const walk *w, const entry *at, const df_opt *opt, const char *path)
{
    char note[DF_OPT_EXPECTED];
    const char *const text = (const char *)at->value->data.scalar.value;
    if (w->reader->rate.text[0] == '\0' && df_opt_binary_rate(opt, text, note)) {
        (void)df_fail(&w->reader->rate, DF_OK, "%s:%d: %s: %s", w->name, line_of(at->key), path,
                      note);
    }
}

static df_status
fail_twice(const walk *w, const yaml_node_t *node, const char *path, const df_cfg_mark *before)
{
    return df_fail(w->err, DF_EINVAL, "%s:%d: %s: expected once, found in %s:%d too", w->name,
                   line_of(node), path, before->file, before->line);
}

/* ---- Values ---- */

/* Whether a document before the device's has the option's field, by whatever word. */
static bool is_given_before(const walk *w, int index)
{
    const df_cfg_reader *const reader = w->reader;
    const size_t offset = df_opts[index].offset;
    for (int i = 0; reader->of_device && i < df_num_opts; i++) {
        const bool same = i == index || (offset != DF_OPT_NOT_KEPT && df_opts[i].offset == offset);
        const df_cfg_mark *const mark = &reader->option[i];
        const char *const none = reader->left_out[i];
        if (same && ((mark->line != 0 && mark->file != w->name) || (none && none != w->name))) {
            return true;
        }
    }
    return false;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp((const char *)node->data.scalar.value, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The texts of a list, or one text, as one with commas. False: it is neither, or too long. */
static bool join_texts(const walk *w, const yaml_node_t *node, char text[DF_LAYERS_TEXT])
{
    size_t length = 0;
    text[0] = '\0';
    if (node->type == YAML_SCALAR_NODE) {
        return snprintf(text, DF_LAYERS_TEXT, "%s", (const char *)node->data.scalar.value) <
               DF_LAYERS_TEXT;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        return false;
    }
    for (const yaml_node_item_t *i = node->data.sequence.items.start;
         i < node->data.sequence.items.top; i++) {
        const yaml_node_t *const item = yaml_document_get_node(w->document, *i);
        if (item->type != YAML_SCALAR_NODE) {
            return false;
        }
        length += (size_t)snprintf(text + length, DF_LAYERS_TEXT - length, "%s%s",
                                   length > 0 ? ", " : "", (const char *)item->data.scalar.value);
        if (length >= DF_LAYERS_TEXT) {
            return false;
        }
    }
    return length > 0;
}

static df_status read_set(const walk *w, const df_opt *opt, const entry *at, const char *path)
{
    char text[DF_LAYERS_TEXT];
    char expected[DF_OPT_EXPECTED];
    double value;
    df_opt_expected(opt, expected);
    if (!join_texts(w, at->value, text) || df_opt_parse(opt, text, &value) != DF_VALUE_OK) {
        return fail_expected(w, at, path, expected);
    }
    df_opt_store(opt, value, &w->reader->cfg);
    return DF_OK;
}

static df_status read_layers(const walk *w, const df_opt *opt, const entry *at, const char *path)
{
    char text[DF_LAYERS_TEXT];
    char expected[DF_OPT_EXPECTED];
    df_err why;
    df_opt_expected(opt, expected);
    if (!join_texts(w, at->value, text)) {
        return fail_expected(w, at, path, expected);
    }
    df_cfg_layers *const out = (df_cfg_layers *)(void *)((char *)&w->reader->cfg + opt->offset);
    if (df_cfg_layers_parse(text, out, &why) != DF_OK) {
        return fail_at(w, line_of(at->key), path, why.text);
    }
    return DF_OK;
}

/* An option that was given before. Keys of a list stand in place of others, not beside them. */
static df_status read_again(const walk *w, int index, const entry *at, const char *path)
{
    const df_cfg_mark *const mark = &w->reader->option[index];
    if (strchr(path, '[') || strchr(mark->key, '[')) {
        return df_fail(w->err, DF_EINVAL,
                       "%s:%d: %s: expected this or %s, found both, in %s:%d too", w->name,
                       line_of(at->key), path, mark->key, mark->file, mark->line);
    }
    return strcmp(mark->key, path) == 0 ? fail_twice(w, at->key, path, mark)
                                        : check_same(w, index, at, path);
}

/* `path` may be an alias. */
static df_status read_option(const walk *w, int index, const entry *at, const char *path)
{
    const yaml_node_t *const node = at->value;
    const df_opt *const opt = &df_opts[index];
    df_cfg_reader *const reader = w->reader;
    df_cfg_mark *const mark = &reader->option[index];
    char expected[DF_OPT_EXPECTED];
    df_opt_expected(opt, expected);
    if (is_given_before(w, index)) {
        return DF_OK;
    }
    if (mark->line != 0) {
        return read_again(w, index, at, path);
    }
    if (is_null(node) && !opt->absent.required) {
        reader->left_out[index] = w->name;
        return DF_OK;
    }
    if (opt->kind == DF_OPT_SET || opt->kind == DF_OPT_LAYERS) {
        DF_TRY(opt->kind == DF_OPT_SET ? read_set(w, opt, at, path)
                                       : read_layers(w, opt, at, path));
        *mark = (df_cfg_mark){w->name, line_of(at->key), opt->path};
        return DF_OK;
    }
    if (node->type != YAML_SCALAR_NODE || is_null(node) ||
        (opt->kind != DF_OPT_TEXT && node->data.scalar.length >= DF_OPT_SCALAR)) {
        return fail_expected(w, at, path, expected);
    }
    double value;
    const char *const text = (const char *)node->data.scalar.value;
    switch (df_opt_parse(opt, text, &value)) {
    case DF_VALUE_OK:
        warn_rate(w, at, opt, path);
        break;
    case DF_VALUE_BAD_UNIT:
        return fail_expected(w, at, path,
                             "a unit of K, M, G or T and B (bytes) or b (bits), as in \"80 GB\"");
    case DF_VALUE_BAD:
        df_opt_mean(opt, text, expected);
        if (opt->kind != DF_OPT_HABIT) {
            return fail_expected(w, at, path, expected);
        }
        value = opt->absent.preset;
        warn_replaced(w, at, opt, expected);
        break;
    }
    if (opt->kind == DF_OPT_TEXT) {
        df_opt_store_text(opt, (const char *)node->data.scalar.value, &reader->cfg);
    } else {
        df_opt_store(opt, value, &reader->cfg);
    }
    *mark = (df_cfg_mark){w->name, line_of(at->key), df_opt_path(path, reader->modes)};
    return DF_OK;
}

/* ---- Mappings ---- */

static const char *key_text(yaml_document_t *document, const yaml_node_pair_t *pair)
{
    const yaml_node_t *const key = yaml_document_get_node(document, pair->key);
    return key->type == YAML_SCALAR_NODE ? (const char *)key->data.scalar.value : NULL;
}

/* Fails if the key of pair stands in the mapping before it. */
static df_status check_once(const walk *w,
                            const yaml_node_t *mapping,
                            const yaml_node_pair_t *pair,
                            const char *path)
{
    const char *const key = key_text(w->document, pair);
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
        const char *const other = key_text(w->document, p);
        if (other && strcmp(other, key) == 0) {
            const df_cfg_mark before = {w->name,
                                        line_of(yaml_document_get_node(w->document, p->key)), NULL};
            return fail_twice(w, yaml_document_get_node(w->document, pair->key), path, &before);
        }
    }
    return DF_OK;
}

static df_status enter_section(const walk *w, const yaml_node_t *key, const char *path)
{
    const int index = df_opt_section_index(path);
    if (index < 0) { /* not a top-level one */
        return DF_OK;
    }
    df_cfg_mark *const mark = &w->reader->section[index];
    if (w->reader->of_device && strcmp(path, "model_param") == 0) {
        return fail_at(w, line_of(key), path, "expected no model in a device's file, found one");
    }
    if (w->reader->of_device && mark->line != 0 && mark->file != w->name) {
        return DF_OK;
    }
    if (mark->line != 0) {
        return fail_twice(w, key, path, mark);
    }
    *mark = (df_cfg_mark){w->name, line_of(key), NULL};
    return DF_OK;
}

static df_status read_mapping(const walk *w, const yaml_node_t *mapping, const char *section);

/* Dimensions of a network: each key of theirs stands for an option. */
static df_status read_dimensions(const walk *w, const entry *at, const char *path)
{
    df_cfg_reader *const reader = w->reader;
    const df_cfg_mark from = {w->name, line_of(at->key), "network.dimensions"};
    int count = 0;
    if (at->value->type != YAML_SEQUENCE_NODE ||
        at->value->data.sequence.items.start == at->value->data.sequence.items.top) {
        return fail_expected(w, at, path, "a list such as [{kind: switch, size: 8}]");
    }
    const ptrdiff_t given =
        at->value->data.sequence.items.top - at->value->data.sequence.items.start;
    if (given > DF_NETWORK_DIMS) {
        return df_fail(w->err, DF_EINVAL,
                       "%s:%d: %s: expected at most %d dimensions, which is how many are "
                       "understood, found %d",
                       w->name, from.line, path, (int)DF_NETWORK_DIMS, (int)given);
    }
    if (reader->dimensions.line != 0) { /* a file before the device's has some */
        return DF_OK;
    }
    for (; count < (int)given; count++) {
        const yaml_node_t *const item =
            yaml_document_get_node(w->document, at->value->data.sequence.items.start[count]);
        char name[DF_OPT_PATH];
        snprintf(name, sizeof name, "%.64s[%d]", path, count);
        if (item->type != YAML_MAPPING_NODE) {
            const entry itself = {item, item};
            return fail_expected(w, &itself, name, "a mapping of keys to values");
        }
        DF_TRY(read_mapping(w, item, name));
    }
    reader->dimensions = from;
    reader->num_dimensions = count;
    return DF_OK;
}

/* Reads what stands under a key: an option, or the mapping of a section. Sections nest
 * no deeper than the paths of the table, so neither do the calls. */
static df_status read_value(const walk *w, const entry *at, const char *path)
{
    const yaml_node_t *const value = at->value;
    const unsigned modes = w->reader->modes;
    const int option = df_opt_find(path, modes);
    const bool is_section = df_opt_find_section(path, modes) >= 0;
    if (option >= 0 && df_opts[option].kind == DF_OPT_DIMS) {
        return read_dimensions(w, at, path);
    }
    if (option >= 0 && !(is_section && value->type == YAML_MAPPING_NODE)) {
        return read_option(w, option, at, path);
    }
    if (!is_section) {
        char text[DF_OPT_EXPECTED];
        const char *const dot = strrchr(path, '.');
        char section[DF_OPT_PATH];
        snprintf(section, sizeof section, "%.*s", dot ? (int)(dot - path) : 0, path);
        df_opt_unknown(section, dot ? dot + 1 : path, modes, text, sizeof text);
        return fail_at(w, line_of(at->key), path, text);
    }
    if (is_null(value) && !df_opt_section_needed(path, modes)) {
        return DF_OK;
    }
    if (value->type != YAML_MAPPING_NODE) {
        return fail_expected(w, at, path, "a mapping of keys to values");
    }
    DF_TRY(enter_section(w, at->key, path));
    return read_mapping(w, value, path);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the table's paths */
static df_status read_mapping(const walk *w, const yaml_node_t *mapping, const char *section)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const entry at = {yaml_document_get_node(w->document, pair->key),
                          yaml_document_get_node(w->document, pair->value)};
        if (at.key->type != YAML_SCALAR_NODE) {
            const entry key_itself = {at.key, at.key};
            return fail_expected(w, &key_itself, section[0] != '\0' ? section : "document",
                                 "keys that are words");
        }
        char shown[DF_OPT_SCALAR];
        found_text(at.key, shown);
        char path[DF_OPT_PATH];
        snprintf(path, sizeof path, "%s%s%s", section, section[0] != '\0' ? "." : "", shown);
        DF_TRY(check_once(w, mapping, pair, path));
        DF_TRY(read_value(w, &at, path));
    }
    return DF_OK;
}

/* The entry of a mapping with this key; its key is NULL if there is none. */
static entry find_entry(const walk *w, const yaml_node_t *mapping, const char *word)
{
    const entry none = {NULL, NULL};
    if (mapping->type != YAML_MAPPING_NODE) {
        return none;
    }
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const char *const key = key_text(w->document, pair);
        if (key && strcmp(key, word) == 0) {
            return (entry){yaml_document_get_node(w->document, pair->key),
                           yaml_document_get_node(w->document, pair->value)};
        }
    }
    return none;
}

/* The mode decides which keys the model has, wherever it stands among them. */
static df_status find_mode(const walk *w, const yaml_node_t *root)
{
    const df_opt *const opt = &df_opts[df_opt_find("model_param.mode", 0)];
    char expected[DF_OPT_EXPECTED];
    df_opt_expected(opt, expected);
    const entry section = find_entry(w, root, "model_param");
    if (!section.key || section.value->type != YAML_MAPPING_NODE) {
        return DF_OK; /* the walk will say so */
    }
    const entry at = find_entry(w, section.value, "mode");
    if (!at.key) {
        return df_fail(w->err, DF_EINVAL, "%s:%d: %s: expected %s, found nothing", w->name,
                       line_of(section.key), opt->path, expected);
    }
    double mode;
    if (at.value->type != YAML_SCALAR_NODE ||
        df_opt_parse(opt, (const char *)at.value->data.scalar.value, &mode) != DF_VALUE_OK) {
        return fail_expected(w, &at, opt->path, expected);
    }
    w->reader->modes = DF_OPT_IN((int)mode);
    return DF_OK;
}

/* ---- Documents ---- */

static df_status fail_syntax(const yaml_parser_t *parser, const char *name, df_err *err)
{
    char context[128] = "";
    if (parser->context) {
        snprintf(context, sizeof context, " %s from line %zu", parser->context,
                 parser->context_mark.line + 1);
    }
    const size_t line =
        parser->error == YAML_READER_ERROR ? 0 : parser->problem_mark.line; /* it has none */
    return df_fail(err, DF_EINVAL, "%s:%zu: syntax: expected well-formed YAML, found: %s%s", name,
                   line + 1, parser->problem ? parser->problem : "no memory left", context);
}

static df_status read_root(const walk *w)
{
    const yaml_node_t *const root = yaml_document_get_root_node(w->document);
    if (!root) {
        return fail_at(w, 1, "document", "expected a mapping of sections, found nothing");
    }
    if (root->type != YAML_MAPPING_NODE) {
        const entry at = {root, root};
        return fail_expected(w, &at, "document", "a mapping of sections");
    }
    if (!w->reader->of_device) {
        DF_TRY(find_mode(w, root));
    }
    DF_TRY(read_mapping(w, root, ""));
    return df_cfg_apply_dimensions(w->reader, w->name, w->err);
}

static df_status check_end(yaml_parser_t *parser, const char *name, df_err *err)
{
    yaml_document_t document;
    if (!yaml_parser_load(parser, &document)) {
        return fail_syntax(parser, name, err);
    }
    const yaml_node_t *const root = yaml_document_get_root_node(&document);
    const int line = root ? line_of(root) : 0;
    yaml_document_delete(&document);
    return root ? df_fail(err, DF_EINVAL, "%s:%d: document: expected one document, found a second",
                          name, line)
                : DF_OK;
}

df_status
df_cfg_read_document(df_cfg_reader *reader, const char *text, const char *name, df_err *err)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        return df_fail(err, DF_ENOMEM, "%s: out of memory", name);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    yaml_document_t document;
    df_status status;
    if (yaml_parser_load(&parser, &document)) {
        const walk w = {&document, reader, name, err};
        status = read_root(&w);
        yaml_document_delete(&document);
        if (status == DF_OK) {
            status = check_end(&parser, name, err);
        }
    } else {
        status = fail_syntax(&parser, name, err);
    }
    yaml_parser_delete(&parser);
    return status;
}
