/* A job as the files that AstraSim reads, with the names that users of the Python DeepFlow know. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/runner_impl.h"

static df_status open_file(const char *dir, const char *name, FILE **file, df_err *err)
{
    char path[DF_RUNNER_PATH];
    DF_TRY(df_runner_path(path, err, "%s/%s", dir, name));
    *file = fopen(path, "wbe");
    return *file ? DF_OK : df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

static df_status close_file(FILE *file, const char *dir, const char *name, df_err *err)
{
    const bool failed = ferror(file) != 0;
    return fclose(file) == 0 && !failed
               ? DF_OK
               : df_fail(err, DF_EIO, "%s/%s: cannot be written: %s", dir, name, strerror(errno));
}

/* ---- The machine ---- */

static void print_algorithm(FILE *out, const char *key, df_net_algorithm algorithm)
{
    static const char *const names[] = {[DF_NET_ALG_RING] = "ring",
                                        [DF_NET_ALG_DIRECT] = "direct",
                                        [DF_NET_ALG_HALVING_DOUBLING] = "halvingDoubling",
                                        [DF_NET_ALG_BINARY_TREE] = "doubleBinaryTree",
                                        [DF_NET_ALG_NONE] = "ring"};
    fprintf(out, "  \"%s-implementation\": [\"%s", key, names[algorithm.kind]);
    if (algorithm.window > 0) {
        fprintf(out, "%d", (int)algorithm.window);
    }
    fputs("\"],\n", out);
}

static df_status write_system(const char *dir, const df_net_system *s, df_err *err)
{
    FILE *out;
    DF_TRY(open_file(dir, DF_ASTRA_SYSTEM, &out, err));
    fprintf(out,
            "{\n  \"scheduling-policy\": \"LIFO\",\n  \"endpoint-delay\": %" PRId64
            ",\n  \"active-chunks-per-dimension\": %" PRId32
            ",\n  \"preferred-dataset-splits\": %" PRId32 ",\n",
            s->endpoint_delay_ns, s->active_chunks, s->splits);
    print_algorithm(out, "all-reduce", s->algorithm[DF_NET_ALL_REDUCE]);
    print_algorithm(out, "all-gather", s->algorithm[DF_NET_ALL_GATHER]);
    print_algorithm(out, "reduce-scatter", s->algorithm[DF_NET_REDUCE_SCATTER]);
    print_algorithm(out, "all-to-all", s->algorithm[DF_NET_ALL_TO_ALL]);
    fprintf(out,
            "  \"collective-optimization\": \"localBWAware\",\n  \"local-mem-bw\": %.17g,\n"
            "  \"boost-mode\": 0,\n  \"roofline-enabled\": 0,\n  \"peak-perf\": 900\n}\n",
            s->local_mem_gb_ps);
    return close_file(out, dir, DF_ASTRA_SYSTEM, err);
}

static df_status write_network(const char *dir, const df_net_network *n, df_err *err)
{
    static const char *const topologies[] = {[DF_NET_RING] = "Ring",
                                             [DF_NET_FULLY_CONNECTED] = "FullyConnected",
                                             [DF_NET_SWITCH] = "Switch"};
    char name[64];
    FILE *out;
    snprintf(name, sizeof name, "network_analytical_%d.yml", (int)n->ranks);
    DF_TRY(open_file(dir, name, &out, err));
    fprintf(out,
            "topology: [ %s ]\nnpus_count: [ %d ]\nbandwidth: [ %.17g ]  # GB/s, GB = 2^30 bytes\n"
            "latency: [ %.17g ]  # ns\n",
            topologies[n->topology], (int)n->ranks, n->bandwidth_gib_ps, n->latency_ns);
    return close_file(out, dir, name, err);
}

static df_status write_groups(const char *dir, const df_net_program *program, df_err *err)
{
    int32_t id;
    int32_t count;
    const int32_t *ranks = df_net_program_group(program, 0, &id, &count);
    FILE *out;
    if (!ranks) {
        return DF_OK;
    }
    DF_TRY(open_file(dir, DF_ASTRA_GROUPS, &out, err));
    for (int32_t g = 0; ranks; ranks = df_net_program_group(program, ++g, &id, &count)) {
        fprintf(out, "%s\n  \"%" PRId32 "\": [", g == 0 ? "{" : ",", id);
        for (int32_t i = 0; i < count; i++) {
            fprintf(out, "%s%" PRId32, i == 0 ? "" : ", ", ranks[i]);
        }
        fputc(']', out);
    }
    fputs("\n}\n", out);
    return close_file(out, dir, DF_ASTRA_GROUPS, err);
}

/* ---- The manifest: what each rank does, sorted ---- */

/* An operation; they sort by kind, then number, then type. */
typedef struct {
    int32_t kind; /* place in the names below */
    int32_t type;
    uint64_t number; /* microseconds or bytes */
} operation;

typedef struct {
    operation *all;
    size_t count, room;
} operations;

static df_status list_operation(void *context, int32_t rank, const df_net_node *node, df_err *err)
{
    (void)rank;
    operations *const list = context;
    if (list->count == list->room) {
        const size_t more = list->room > 0 ? 2 * list->room : 256;
        operation *const grown = realloc(list->all, more * sizeof *grown);
        if (!grown) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        list->all = grown;
        list->room = more;
    }
    static const int32_t kinds[] = {[DF_NET_MARK] = 0,
                                    [DF_NET_COMPUTE] = 0,
                                    [DF_NET_COMM] = 1,
                                    [DF_NET_RECEIVE] = 2,
                                    [DF_NET_SEND] = 3};
    const int32_t type = df_et_collective_number(node->collective);
    list->all[list->count++] =
        (operation){.kind = kinds[node->type],
                    .type = node->type != DF_NET_COMM ? 0
                            : type == 0               ? -1
                                                      : type,
                    .number = kinds[node->type] == 0 ? node->duration_ns / 1000 : node->bytes};
    return DF_OK;
}

static int by_operation(const void *a, const void *b)
{
    const operation *const x = a;
    const operation *const y = b;
    if (x->kind != y->kind) {
        return x->kind < y->kind ? -1 : 1;
    }
    return x->number != y->number ? (x->number > y->number) - (x->number < y->number)
                                  : (x->type > y->type) - (x->type < y->type);
}

static void print_operations(FILE *out, const operations *list)
{
    static const char *const names[] = {"COMP", "COMM", "RECV", "SEND"};
    for (size_t i = 0; i < list->count; i++) {
        const operation *const o = &list->all[i];
        fprintf(out, "%s[\"%s\",", i == 0 ? "" : ",", names[o->kind]);
        if (o->kind == 1) {
            fprintf(out, "%" PRId32 ",%" PRIu64 ",null]", o->type, o->number);
        } else {
            fprintf(out, "%" PRIu64 "]", o->number);
        }
    }
}

static df_status print_ranks(FILE *out, const df_net_program *program, df_err *err)
{
    operations list = {NULL, 0, 0};
    df_status status = DF_OK;
    const int32_t ranks = df_net_program_ranks(program);
    fprintf(out, "{\"npus\":%" PRId32 ",\"ranks\":{", ranks);
    for (int32_t r = 0; r < ranks && status == DF_OK; r++) {
        list.count = 0;
        status = df_net_program_visit(program, r, list_operation, &list, err);
        if (status == DF_OK && list.count > 0) {
            qsort(list.all, list.count, sizeof *list.all, by_operation);
        }
        fprintf(out, "%s\"%" PRId32 "\":[", r == 0 ? "" : ",", r);
        print_operations(out, &list);
        fputc(']', out);
    }
    fputs("},\"version\":\"df-astra-manifest/1\"}\n", out);
    free(list.all);
    return status;
}

static df_status write_manifest(const char *dir, const df_net_program *program, df_err *err)
{
    FILE *out;
    DF_TRY(open_file(dir, "manifest.json", &out, err));
    const df_status status = print_ranks(out, program, err);
    const df_status closed = close_file(out, dir, "manifest.json", status == DF_OK ? err : NULL);
    return status == DF_OK ? closed : status;
}

/* ---- All ---- */

df_status df_runner_write_files(const char *dir, const df_runner_job *job, df_err *err)
{
    char path[DF_RUNNER_PATH];
    for (int32_t r = 0; r < df_net_program_ranks(job->program); r++) {
        DF_TRY(df_runner_path(path, err, "%s/" DF_ASTRA_PREFIX ".%" PRId32 ".et", dir, r));
        DF_TRY(df_et_write_rank(job->program, r, job->name_node, job->name_context, path, err));
    }
    DF_TRY(write_groups(dir, job->program, err));
    DF_TRY(write_manifest(dir, job->program, err));
    DF_TRY(write_system(dir, job->system, err));
    return write_network(dir, job->network, err);
}
