#include "astra_files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <yaml.h>

/* ---- JSON ---- */

static df_status load_json(const char *path, json_t **root, df_err *err)
{
    json_error_t error;
    *root = NULL;
    FILE *const file = fopen(path, "rb");
    if (!file) {
        return df_fail(err, DF_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    *root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    (void)fclose(file); /* only read */
    if (!*root) {
        return df_fail(err, DF_EINVAL, "%s:%d: expected JSON, found: %s", path, error.line,
                       error.text);
    }
    if (json_typeof(*root) != JSON_OBJECT) {
        json_decref(*root);
        return df_fail(err, DF_EINVAL, "%s:1: expected {...}, found something else", path);
    }
    return DF_OK;
}

typedef struct {
    const char *path;
    const json_t *root;
    df_err *err;
} json_file;

/* Reads a number within bounds; keeps *value where the key is absent. */
static df_status
read_real(const json_file *f, const char *key, double low, double high, double *value)
{
    const json_t *const item = json_object_get(f->root, key);
    if (!item) {
        return DF_OK;
    }
    const double number = json_number_value(item);
    if (!json_is_number(item) || !(number >= low && number <= high)) {
        return df_fail(f->err, DF_EINVAL, "%s: %s: expected a number from %g to %g, found %s",
                       f->path, key, low, high,
                       json_is_number(item) ? "another" : "something else");
    }
    *value = number;
    return DF_OK;
}

/* Reads a whole number as read_real does; fractions are cut, as AstraSim does. */
static df_status read_count(const json_file *f, const char *key, int32_t low, int32_t *value)
{
    double number = *value;
    DF_TRY(read_real(f, key, low, INT32_MAX, &number));
    *value = (int32_t)number;
    return DF_OK;
}

/* "direct" or "direct4", with or without "one" in front, which means nothing here. */
static bool parse_algorithm(const char *name, df_net_algorithm *algorithm)
{
    const char *rest = name;
    *algorithm = (df_net_algorithm){DF_NET_ALG_NONE, 0};
    if (strcmp(name, "ring") == 0 || strcmp(name, "oneRing") == 0) {
        algorithm->kind = DF_NET_ALG_RING;
    } else if (strcmp(name, "halvingDoubling") == 0 || strcmp(name, "oneHalvingDoubling") == 0) {
        algorithm->kind = DF_NET_ALG_HALVING_DOUBLING;
    } else if (strcmp(name, "doubleBinaryTree") == 0) {
        algorithm->kind = DF_NET_ALG_BINARY_TREE;
    } else if (strncmp(name, "direct", 6) == 0 || strncmp(name, "oneDirect", 9) == 0) {
        algorithm->kind = DF_NET_ALG_DIRECT;
        rest += name[0] == 'd' ? 6 : 9;
        char *end = NULL;
        const long window = strtol(rest, &end, 10);
        algorithm->window = (int32_t)window;
        return *rest == '\0' || (*end == '\0' && window >= 1 && window <= INT32_MAX);
    }
    return algorithm->kind != DF_NET_ALG_NONE;
}

static df_status read_algorithm(const json_file *f, const char *key, df_net_algorithm *algorithm)
{
    const json_t *const list = json_object_get(f->root, key);
    *algorithm = (df_net_algorithm){DF_NET_ALG_NONE, 0};
    if (!list) {
        return DF_OK;
    }
    const char *const name =
        json_array_size(list) == 1 ? json_string_value(json_array_get(list, 0)) : NULL;
    if (!name || !parse_algorithm(name, algorithm)) {
        return df_fail(f->err, DF_EINVAL,
                       "%s: %s: expected a list of one of ring, direct, directN, halvingDoubling "
                       "and doubleBinaryTree, found %s",
                       f->path, key, name ? name : "something else");
    }
    return DF_OK;
}

/* 1 or 0; AstraSim takes any number but 0 as 1. */
static df_status read_flag(const json_file *f, const char *key, bool *flag)
{
    const json_t *const item = json_object_get(f->root, key);
    if (item && !json_is_number(item)) {
        return df_fail(f->err, DF_EINVAL, "%s: %s: expected 0 or 1, found something else", f->path,
                       key);
    }
    *flag = json_number_value(item) != 0;
    return DF_OK;
}

/* Algorithms that AstraSim reads from traces of their own come before those with a name, so a run
 * without them would be another. */
static df_status refuse_custom(const json_file *f)
{
    static const char *const keys[] = {
        "all-reduce-implementation-custom",     "all-gather-implementation-custom",
        "reduce-scatter-implementation-custom", "all-to-all-implementation-custom",
        "per-node-custom-implementation",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (json_object_get(f->root, keys[i])) {
            return df_fail(
                f->err, DF_EINVAL,
                "%s: %s: expected no collective with a trace of its own, found one (an "
                "algorithm with a name can be simulated, such as "
                "\"all-reduce-implementation\": [\"ring\"]; or sends and receives in the "
                "workload itself)",
                f->path, keys[i]);
        }
    }
    return DF_OK;
}

/* Models of AstraSim that are not in this simulator must be off. */
static df_status read_switched_off(const json_file *f, const char *key)
{
    double value = 0;
    DF_TRY(read_real(f, key, -1e300, 1e300, &value));
    if (value != 0) {
        return df_fail(f->err, DF_EINVAL, "%s: %s: expected 0, found %g", f->path, key, value);
    }
    return DF_OK;
}

static df_status read_policy(const json_file *f)
{
    const json_t *const policy = json_object_get(f->root, "scheduling-policy");
    const char *const name = policy ? json_string_value(policy) : "LIFO";
    /* A rank has one collective at a time, so the order of several does not matter. */
    if (name &&
        (strcmp(name, "LIFO") == 0 || strcmp(name, "FIFO") == 0 || strcmp(name, "EXPLICIT") == 0)) {
        return DF_OK;
    }
    return df_fail(f->err, DF_EINVAL,
                   "%s: scheduling-policy: expected LIFO, FIFO or EXPLICIT, found %s", f->path,
                   name ? name : "something else");
}

/* Whether these numbers are present matters only to nodes that need them. */
static df_status
read_roofline(const json_file *f, const df_net_system *system, df_et_options *traces)
{
    double peak_tflops_ps = 0;
    DF_TRY(read_flag(f, "roofline-enabled", &traces->roofline));
    if (!traces->roofline) {
        return DF_OK;
    }
    DF_TRY(read_real(f, "peak-perf", 0, 1e15, &peak_tflops_ps));
    traces->peak_flops_ps = peak_tflops_ps * 1e12;
    traces->local_mem_bytes_ps = system->local_mem_gb_ps * 1e9;
    return DF_OK;
}

static df_status read_system(const json_file *f, df_net_system *system, df_et_options *traces)
{
    static const char *const keys[DF_NET_IMPLEMENTED] = {
        [DF_NET_ALL_REDUCE] = "all-reduce-implementation",
        [DF_NET_ALL_GATHER] = "all-gather-implementation",
        [DF_NET_REDUCE_SCATTER] = "reduce-scatter-implementation",
        [DF_NET_ALL_TO_ALL] = "all-to-all-implementation",
    };
    double delay_ns = 10; /* AstraSim's default */
    *system = (df_net_system){.active_chunks = 1};
    DF_TRY(read_policy(f));
    DF_TRY(refuse_custom(f));
    DF_TRY(read_real(f, "endpoint-delay", 0, 1e15, &delay_ns));
    system->endpoint_delay_ns = (int64_t)delay_ns;
    DF_TRY(read_count(f, "active-chunks-per-dimension", 1, &system->active_chunks));
    DF_TRY(read_count(f, "preferred-dataset-splits", 1, &system->splits));
    if (system->splits == 0) {
        return df_fail(f->err, DF_EINVAL,
                       "%s: preferred-dataset-splits: expected a number >= 1, found nothing",
                       f->path);
    }
    DF_TRY(read_real(f, "local-mem-bw", 0, 1e15, &system->local_mem_gb_ps));
    DF_TRY(read_flag(f, "replay-only", &traces->replay));
    DF_TRY(read_roofline(f, system, traces));
    DF_TRY(read_switched_off(f, "model-shared-bus"));
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        DF_TRY(read_algorithm(f, keys[i], &system->algorithm[i]));
    }
    return DF_OK;
}

df_status
df_astra_read_system(const char *path, df_net_system *system, df_et_options *traces, df_err *err)
{
    json_t *root = NULL;
    DF_TRY(load_json(path, &root, err));
    const json_file f = {path, root, err};
    const df_status status = read_system(&f, system, traces);
    json_decref(root);
    return status;
}

/* ---- Groups ---- */

static int by_rank(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a;
    const int32_t y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Group 0 contains all ranks without being listed. If it is listed, as for PyTorch's traces, it
 * must say the same; the ranks come back sorted. */
static df_status
check_default_group(int32_t *ranks, size_t count, const df_net_program *program, df_err *err)
{
    const size_t all = (size_t)df_net_program_ranks(program);
    size_t same = 0;
    qsort(ranks, count, sizeof *ranks, by_rank);
    while (same < count && ranks[same] == (int32_t)same) {
        same++;
    }
    return same == all && count == all
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "0: expected each of the %zu ranks once, as 0 is the default group, found "
                         "others (a group of some ranks needs an ID > 0)",
                         all);
}

static df_status
add_group(const json_file *f, const char *key, const json_t *list, df_net_program *program)
{
    char *end;
    errno = 0;
    const long id = strtol(key, &end, 10);
    const size_t count = json_array_size(list);
    if (errno != 0 || end == key || *end != '\0' || id < 0 || id > INT32_MAX || count == 0) {
        return df_fail(f->err, DF_EINVAL, "%s: %s: expected \"ID\": [RANK, ...] with an ID > 0",
                       f->path, key);
    }
    int32_t *const ranks = malloc(count * sizeof *ranks);
    df_err cause = {"out of memory"};
    df_status status = ranks ? DF_OK : DF_ENOMEM;
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        const json_t *const item = json_array_get(list, i);
        const json_int_t rank = json_is_integer(item) ? json_integer_value(item) : -1;
        ranks[i] = rank >= 0 && rank <= INT32_MAX ? (int32_t)rank : -1;
    }
    if (status == DF_OK) {
        status =
            id == 0 ? check_default_group(ranks, count, program, &cause)
                    : df_net_program_add_group(program, (int32_t)id, ranks, (int32_t)count, &cause);
    }
    free(ranks);
    return status == DF_OK ? DF_OK : df_fail(f->err, status, "%s: %.900s", f->path, cause.text);
}

df_status df_astra_read_groups(const char *path, df_net_program *program, df_err *err)
{
    json_t *root = NULL;
    const char *key;
    json_t *list;
    if (!path || strstr(path, "empty")) {
        return DF_OK;
    }
    DF_TRY(load_json(path, &root, err));
    const json_file f = {path, root, err};
    df_status status = DF_OK;
    json_object_foreach(root, key, list)
    {
        if (status == DF_OK) {
            status = add_group(&f, key, list, program);
        }
    }
    json_decref(root);
    return status;
}

/* ---- Network ---- */

typedef struct {
    const char *path;
    yaml_document_t *document;
    df_err *err;
} yaml_file;

/* A value, and its line. */
typedef struct {
    const char *key, *text;
    int line;
} scalar;

static df_status fail_scalar(const yaml_file *f, const scalar *s, const char *expected)
{
    return df_fail(f->err, DF_EINVAL, "%s:%d: %s: expected %s, found %.40s", f->path, s->line,
                   s->key, expected, s->text);
}

/* Reads the text in `KEY: [ TEXT ]`. */
static df_status read_scalar(const yaml_file *f, const char *key, scalar *s)
{
    const yaml_node_t *const root = yaml_document_get_root_node(f->document);
    const yaml_node_t *value = NULL;
    if (!root || root->type != YAML_MAPPING_NODE) {
        return df_fail(f->err, DF_EINVAL, "%s:1: expected KEY: [ VALUE ], found something else",
                       f->path);
    }
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *const name = yaml_document_get_node(f->document, pair->key);
        if (name->type == YAML_SCALAR_NODE &&
            strcmp((const char *)name->data.scalar.value, key) == 0) {
            value = yaml_document_get_node(f->document, pair->value);
        }
    }
    if (!value) {
        return df_fail(f->err, DF_EINVAL, "%s: %s: expected a list of one, found nothing", f->path,
                       key);
    }
    *s = (scalar){key, "another", (int)value->start_mark.line + 1};
    if (value->type == YAML_SEQUENCE_NODE &&
        value->data.sequence.items.top - value->data.sequence.items.start == 1) {
        value = yaml_document_get_node(f->document, *value->data.sequence.items.start);
        if (value->type == YAML_SCALAR_NODE) {
            s->text = (const char *)value->data.scalar.value;
            return DF_OK;
        }
    }
    return fail_scalar(f, s, "a list of one value (one dimension)");
}

static df_status read_number(const yaml_file *f, scalar *s, const char *expected, double *value)
{
    char *end;
    *value = strtod(s->text, &end);
    return end == s->text || *end != '\0' || !isfinite(*value) || *value < 0
               ? fail_scalar(f, s, expected)
               : DF_OK;
}

static df_status read_topology(const yaml_file *f, df_net_topology *topology)
{
    static const df_net_topology all[] = {DF_NET_RING, DF_NET_FULLY_CONNECTED, DF_NET_SWITCH};
    scalar s = {.text = ""};
    DF_TRY(read_scalar(f, "topology", &s));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(s.text, df_net_topology_name(all[i])) == 0) {
            *topology = all[i];
            return DF_OK;
        }
    }
    return fail_scalar(f, &s, "Ring, FullyConnected or Switch, as no other topology is simulated");
}

static df_status read_ranks(const yaml_file *f, df_net_topology topology, int32_t *ranks)
{
    char expected[96];
    double value = 0;
    scalar s = {.text = ""};
    snprintf(expected, sizeof expected, "a whole number from 2 to %d", (int)DF_NET_RANKS_MAX);
    DF_TRY(read_scalar(f, "npus_count", &s));
    DF_TRY(read_number(f, &s, expected, &value));
    if (value < 2 || value > DF_NET_RANKS_MAX || value != floor(value)) {
        return fail_scalar(f, &s, expected);
    }
    if (topology == DF_NET_RING && value < 3) {
        return fail_scalar(f, &s, "at least 3 on a Ring (FullyConnected has the links of two)");
    }
    *ranks = (int32_t)value;
    return DF_OK;
}

static df_status read_network(const yaml_file *f, df_net_network *network)
{
    static const char above_0[] = "a number > 0";
    static const char from_0[] = "a number >= 0";
    scalar s = {.text = ""};
    DF_TRY(read_topology(f, &network->topology));
    DF_TRY(read_ranks(f, network->topology, &network->ranks));
    DF_TRY(read_scalar(f, "bandwidth", &s));
    DF_TRY(read_number(f, &s, above_0, &network->bandwidth_gib_ps));
    if (network->bandwidth_gib_ps == 0) {
        return fail_scalar(f, &s, above_0);
    }
    DF_TRY(read_scalar(f, "latency", &s));
    return read_number(f, &s, from_0, &network->latency_ns);
}

static df_status load_network(yaml_parser_t *parser, yaml_file *f, df_net_network *network)
{
    if (!yaml_parser_load(parser, f->document)) {
        return df_fail(f->err, DF_EINVAL, "%s:%d: expected YAML, found: %s", f->path,
                       (int)parser->problem_mark.line + 1,
                       parser->problem ? parser->problem : "something else");
    }
    const df_status status = read_network(f, network);
    yaml_document_delete(f->document);
    return status;
}

df_status df_astra_read_network(const char *path, df_net_network *network, df_err *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    yaml_file f = {path, &document, err};
    FILE *const file = fopen(path, "rb");
    if (!file) {
        return df_fail(err, DF_EIO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (!yaml_parser_initialize(&parser)) {
        (void)fclose(file); /* only read */
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    yaml_parser_set_input_file(&parser, file);
    const df_status status = load_network(&parser, &f, network);
    yaml_parser_delete(&parser);
    (void)fclose(file); /* only read */
    return status;
}
