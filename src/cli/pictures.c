#include "pictures.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/dir.h"
#include "draw/draw.h"
#include "lower/lower.h"

enum { PATH_ROOM = 4096 };

static df_status
path_of(const char *dir, const char *where, const char *name, char path[PATH_ROOM], df_err *err)
{
    if (snprintf(path, PATH_ROOM, "%s/%s", dir, where) >= PATH_ROOM) {
        return df_fail(err, DF_EINVAL, "%.200s...: expected a shorter path", dir);
    }
    DF_TRY(df_dir_make(path, err));
    const int length = snprintf(path, PATH_ROOM, "%s/%s%s", dir, where, name);
    return length < PATH_ROOM ? DF_OK
                              : df_fail(err, DF_EINVAL, "%.200s...: expected a shorter path", dir);
}

/* ---- Graphs ---- */

static void add_node(df_draw *draw, const df_dag *dag, int32_t element)
{
    static const df_draw_kind kinds[] = {[DF_DAG_COMPUTE] = DF_DRAW_COMPUTE,
                                         [DF_DAG_PIPELINE] = DF_DRAW_MESSAGE,
                                         [DF_DAG_COLLECTIVE] = DF_DRAW_COLLECTIVE};
    const df_dag_kind kind = df_dag_at(dag, element)->kind;
    const double us = 1e6 * df_dag_at(dag, element)->duration_s;
    char name[128];
    char label[192];
    df_lower_name_element(dag, element, name, sizeof name);
    if (kind == DF_DAG_COMPUTE) {
        const int device = (int)df_dag_at(dag, element)->device;
        snprintf(label, sizeof label, "%s\ndevice %d, %.6g us", name, device, us);
        df_draw_node(draw, (uint64_t)element, kinds[kind], device, label);
    } else {
        snprintf(label, sizeof label, "%s\n%.6g bytes", name, df_dag_at(dag, element)->bytes);
        df_draw_node(draw, (uint64_t)element, kinds[kind], -1, label);
    }
}

static df_status
draw_graph(void *context, const char *where, const char *name, const df_dag *dag, df_err *err)
{
    char path[PATH_ROOM];
    char file[64];
    snprintf(file, sizeof file, "%s.png", name);
    DF_TRY(path_of(*(const char **)context, where, file, path, err));
    df_draw *const draw = df_draw_new(name);
    if (!draw) {
        return df_fail(err, DF_ENOMEM, "out of memory for %s", path);
    }
    for (int32_t e = 0; e < df_dag_count(dag); e++) {
        add_node(draw, dag, e);
    }
    for (int32_t e = 0; e < df_dag_count(dag) && e < DF_DRAW_MAX; e++) {
        int32_t count;
        const int32_t *const children = df_dag_children(dag, e, &count);
        for (int32_t i = 0; i < count; i++) {
            df_draw_edge(draw, (uint64_t)e, (uint64_t)children[i]);
        }
    }
    const df_status status = df_draw_write(draw, path, err);
    df_draw_free(draw);
    return status;
}

/* ---- Operators ---- */

static void print_operators(FILE *out, const df_breakdown *pass)
{
    fprintf(out, "%-24s %13s %13s %13s %13s %15s %15s %13s\n", "operator", "forward s",
            "backward s", "its comm. s", "its comm. s", "comm. bytes fwd", "comm. bytes bwd",
            "flops");
    for (int op = 0; op < DF_ROWS; op++) {
        const df_row *const row = &pass->row[op];
        if (row->present) {
            fprintf(out, "%-24s %13.6g %13.6g %13.6g %13.6g %15.6g %15.6g %13.6g\n",
                    df_row_names[op], row->side[DF_FORWARD].time_s, row->side[DF_BACKWARD].time_s,
                    row->side[DF_FORWARD].comm_s, row->side[DF_BACKWARD].comm_s,
                    row->side[DF_FORWARD].comm_bytes, row->side[DF_BACKWARD].comm_bytes,
                    row->counted_flops);
        }
    }
    fprintf(out, "%-24s %13.6g %13.6g\n", "transformer block", pass->block_s[DF_FORWARD],
            pass->block_s[DF_BACKWARD]);
}

static df_status
write_operators(void *context, const char *where, const df_breakdown *pass, df_err *err)
{
    char path[PATH_ROOM];
    DF_TRY(path_of(*(const char **)context, where, "operators.txt", path, err));
    FILE *const out = fopen(path, "we");
    if (out) {
        print_operators(out, pass);
    }
    const bool failed = !out || ferror(out) != 0;
    if ((out && fclose(out) != 0) || failed) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    return DF_OK;
}

df_llm_watch df_cli_pictures(const char **dir)
{
    return (df_llm_watch){dir, draw_graph, write_operators};
}
