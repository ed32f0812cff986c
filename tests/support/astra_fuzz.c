#include "support/astra_fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "astra_files.h"
#include "chakra/et_program.h"
#include "chakra/et_text.h"
#include "support/net_case.h"

enum { RANKS = 4, PATH_ROOM = 512 };

struct df_fuzz {
    char dir[256];
    char path[DF_FUZZ_FILES][PATH_ROOM];
    df_net_case c; /* what the good files say */
    unsigned char *good[DF_FUZZ_FILES];
    size_t good_size[DF_FUZZ_FILES];
    df_net_sim *sim;
    FILE *nowhere;
};

_Noreturn static void stop(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

/* ---- Good files ---- */

/* Everything that a trace may have, on all ranks but where it says otherwise. */
static df_net_case good_case(void)
{
    df_net_case c = df_net_case_new(DF_NET_SWITCH, RANKS, DF_NET_ALG_DIRECT);
    c.system.splits = 3;
    c.system.active_chunks = 2;
    c.system.algorithm[DF_NET_ALL_REDUCE].kind = DF_NET_ALG_HALVING_DOUBLING;
    c.system.algorithm[DF_NET_REDUCE_SCATTER].kind = DF_NET_ALG_RING;
    df_net_case_add_group(&c, 1, (int32_t[]){2, 0}, 2);
    df_net_case_add_group(&c, 1002, (int32_t[]){3, 2, 1, 0}, 4);
    for (int32_t rank = 0; rank < RANKS; rank++) {
        df_net_node cpu = {
            .id = 1, .type = DF_NET_COMPUTE, .on_cpu = true, .duration_ns = 5000, .num_deps = 1};
        df_net_node comm = {.type = DF_NET_COMM, .num_deps = 1, .group = 1002};
        df_net_case_compute(&c, rank, 0, NO_DEP, 3000);
        cpu.deps = (uint64_t[]){0};
        df_net_case_add(&c, rank, &cpu);
        for (uint64_t i = 0; i < DF_NET_IMPLEMENTED; i++) {
            comm.id = 10 + i;
            comm.deps = (uint64_t[]){i == 0 ? 1 : 9 + i};
            comm.collective = (df_net_collective)i;
            comm.bytes = 100000 + i;
            df_net_case_add(&c, rank, &comm);
        }
        if (rank % 2 == 0) {
            comm.id = 20;
            comm.group = 1;
            comm.deps = (uint64_t[]){13};
            df_net_case_add(&c, rank, &comm);
            df_net_case_send(&c, rank, 21, 20, rank + 1);
        } else {
            df_net_case_receive(&c, rank, 21, NO_DEP, rank - 1);
        }
    }
    return c;
}

static void keep_good(df_fuzz *f, df_fuzz_file file, const char *name)
{
    snprintf(f->path[file], PATH_ROOM, "%s/%s", f->dir, name);
    FILE *const in = fopen(f->path[file], "rb");
    f->good[file] = malloc(1 << 16);
    if (!in || !f->good[file]) {
        stop(name);
    }
    f->good_size[file] = fread(f->good[file], 1, 1 << 16, in);
    fclose(in);
}

df_fuzz *df_fuzz_new(void)
{
    df_fuzz *const f = calloc(1, sizeof *f);
    if (!f) {
        stop("out of memory");
    }
    f->c = good_case();
    df_make_dir(f->dir);
    df_net_case_write(&f->c, f->dir);
    keep_good(f, DF_FUZZ_TRACE, "workload.0.et");
    keep_good(f, DF_FUZZ_SYSTEM, "system.json");
    keep_good(f, DF_FUZZ_NETWORK, "network.yml");
    keep_good(f, DF_FUZZ_GROUPS, "comm_group.json");
    f->sim = df_net_sim_new();
    f->nowhere = fopen("/dev/null", "w");
    if (!f->sim || !f->nowhere) {
        stop("out of memory");
    }
    df_net_sim_limit(f->sim, 64 << 20, 1000000);
    return f;
}

void df_fuzz_free(df_fuzz *f)
{
    for (int i = 0; i < DF_FUZZ_FILES; i++) {
        free(f->good[i]);
    }
    df_net_case_free(&f->c);
    df_net_sim_free(f->sim);
    fclose(f->nowhere);
    df_remove_dir(f->dir);
    free(f);
}

const unsigned char *df_fuzz_good(const df_fuzz *f, df_fuzz_file file, size_t *size)
{
    *size = f->good_size[file];
    return f->good[file];
}

/* ---- A run ---- */

static void put_content(const df_fuzz *f, df_fuzz_file file, const void *content, size_t size)
{
    FILE *const out = fopen(f->path[file], "wb");
    if (!out || fwrite(content, 1, size, out) != size || fclose(out) != 0) {
        stop("a file cannot be written");
    }
}

static df_status
add_groups(const df_fuzz *f, df_fuzz_file file, df_net_program *program, df_err *err)
{
    if (file == DF_FUZZ_GROUPS) {
        return df_astra_read_groups(f->path[file], program, err);
    }
    for (size_t i = 0; i < f->c.num_groups; i++) {
        const df_net_case_group *const g = &f->c.groups[i];
        DF_TRY(df_net_program_add_group(program, g->id, g->ranks, g->count, err));
    }
    return DF_OK;
}

static df_status build(const df_fuzz *f, df_fuzz_file file, df_net_program *program, df_err *err)
{
    DF_TRY(add_groups(f, file, program, err));
    if (file == DF_FUZZ_TRACE) {
        DF_TRY(df_et_add_rank(program, 0, f->path[file], NULL, NULL, err));
    }
    for (size_t i = 0; i < f->c.num_nodes; i++) {
        const df_net_case_node *const n = &f->c.nodes[i];
        if (n->rank > 0 || file != DF_FUZZ_TRACE) {
            DF_TRY(df_net_program_add(program, n->rank, &n->node, err));
        }
    }
    return df_net_program_seal(program, err);
}

/* Only the file with the content is read; what the others say is there already. */
static df_status run_file(const df_fuzz *f, df_fuzz_file file, df_err *err)
{
    df_net_network network = f->c.network;
    df_net_system system = f->c.system;
    df_et_options traces = {.replay = false};
    df_net_result result;
    if (file == DF_FUZZ_NETWORK) {
        DF_TRY(df_astra_read_network(f->path[file], &network, err));
    } else if (file == DF_FUZZ_SYSTEM) {
        DF_TRY(df_astra_read_system(f->path[file], &system, &traces, err));
    }
    df_net_program *program;
    DF_TRY(df_net_program_new(network.ranks, &program, err));
    df_status status = build(f, file, program, err);
    if (status == DF_OK) {
        status = df_net_run(f->sim, program, &network, &system, &result, err);
    }
    df_net_program_free(program);
    return status;
}

static void check_failure(df_status status, const df_err *err)
{
    if (status != DF_EINVAL && status != DF_ERUNTIME && status != DF_ESTUCK &&
        status != DF_ENOMEM && status != DF_EIO) {
        stop("another status");
    }
    if (err->text[0] == '\0') {
        stop("no text");
    }
    for (const char *c = err->text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            stop("a text that is not one line");
        }
    }
}

/* Reads the trace in the other ways there are; it is not run. */
static df_status read_otherwise(const df_fuzz *f, df_err *err)
{
    const df_et_options ways[] = {
        {.data_deps_only = true},
        {.replay = true},
        {.roofline = true, .peak_flops_ps = 1e12, .local_mem_bytes_ps = 1e9}};
    df_status status = DF_OK;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0] && status == DF_OK; i++) {
        df_net_program *program;
        DF_TRY(df_net_program_new(RANKS, &program, err));
        status = df_et_add_rank(program, 0, f->path[DF_FUZZ_TRACE], &ways[i], NULL, err);
        df_net_program_free(program);
    }
    return status;
}

df_status df_fuzz_run(df_fuzz *f, df_fuzz_file file, const void *content, size_t size)
{
    df_err err = {""};
    put_content(f, file, content, size);
    const df_status status = run_file(f, file, &err);
    if (status != DF_OK) {
        check_failure(status, &err);
    }
    if (file == DF_FUZZ_TRACE) {
        const df_status read = read_otherwise(f, &err);
        if (read != DF_OK) {
            check_failure(read, &err);
        }
        rewind(f->nowhere);
        const df_status printed = df_et_print_file(f->nowhere, f->path[file], &err);
        if (printed != DF_OK) {
            check_failure(printed, &err);
        }
    }
    return status;
}
