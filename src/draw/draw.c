#include "draw/draw.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The graph as text in Graphviz's language. Ids of drawn nodes are kept sorted by coming,
 * to look edges up. */
struct df_draw {
    FILE *out;
    char *text;
    size_t length;
    uint64_t ids[DF_DRAW_MAX];
    int count;
    uint64_t left_out;
};

static void print_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            fputs("\\n", out);
        } else {
            if (*text == '"' || *text == '\\') {
                fputc('\\', out);
            }
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

df_draw *df_draw_new(const char *title)
{
    df_draw *const draw = calloc(1, sizeof *draw);
    if (draw) {
        draw->out = open_memstream(&draw->text, &draw->length);
    }
    if (!draw || !draw->out) {
        free(draw);
        return NULL;
    }
    fputs("digraph {\n  label=", draw->out);
    print_quoted(draw->out, title);
    fputs("; labelloc=t; fontname=\"sans-serif\"; fontsize=18;\n"
          "  node [fontname=\"sans-serif\", fontsize=11, style=filled];\n",
          draw->out);
    return draw;
}

void df_draw_free(df_draw *draw)
{
    if (draw) {
        if (draw->out) {
            (void)fclose(draw->out); /* in memory */
        }
        free(draw->text);
        free(draw);
    }
}

/* Okabe and Ito's colours, which colour-blind people can tell apart, lightened. */
static const char *colour_of(int32_t lane)
{
    static const char *const colours[] = {"#a6d5f2", "#f5d58a", "#8fdcc3", "#f3eda0",
                                          "#9cc3e6", "#f0b48c", "#e3bcd2", "#d9d9d9"};
    return lane < 0 ? "#ffffff" : colours[lane % (int32_t)(sizeof colours / sizeof colours[0])];
}

void df_draw_node(df_draw *draw, uint64_t id, df_draw_kind kind, int32_t lane, const char *label)
{
    static const char *const shapes[] = {[DF_DRAW_COMPUTE] = "box",
                                         [DF_DRAW_MESSAGE] = "box, style=\"filled,rounded\"",
                                         [DF_DRAW_COLLECTIVE] = "ellipse",
                                         [DF_DRAW_MARK] = "circle"};
    if (draw->count == DF_DRAW_MAX) {
        draw->left_out++;
        return;
    }
    draw->ids[draw->count++] = id;
    fprintf(draw->out, "  n%" PRIu64 " [shape=%s, fillcolor=\"%s\", label=", id, shapes[kind],
            colour_of(lane));
    print_quoted(draw->out, label);
    fputs("];\n", draw->out);
}

static bool is_drawn(const df_draw *draw, uint64_t id)
{
    for (int i = 0; i < draw->count; i++) {
        if (draw->ids[i] == id) {
            return true;
        }
    }
    return false;
}

void df_draw_edge(df_draw *draw, uint64_t from, uint64_t to)
{
    if (is_drawn(draw, from) && is_drawn(draw, to)) {
        fprintf(draw->out, "  n%" PRIu64 " -> n%" PRIu64 ";\n", from, to);
    }
}

/* ---- Graphviz ---- */

/* The functions of libgvc and libcgraph that are used. */
typedef struct {
    void *(*context)(void);
    int (*layout)(void *context, void *graph, const char *engine);
    int (*render)(void *context, void *graph, const char *format, const char *path);
    void *(*read)(const char *text);
} graphviz;

/* *function: a pointer to a function, which ISO C has no cast to. */
static void find(void *library, const char *name, void *function)
{
    void *const found = library ? dlsym(library, name) : NULL;
    memcpy(function, &found, sizeof found);
}

static bool load(graphviz *g)
{
    void *const gvc = dlopen("libgvc.so.6", RTLD_NOW);
    void *const cgraph = gvc ? dlopen("libcgraph.so.6", RTLD_NOW) : NULL;
    find(gvc, "gvContext", &g->context);
    find(gvc, "gvLayout", &g->layout);
    find(gvc, "gvRenderFilename", &g->render);
    find(cgraph, "agmemread", &g->read);
    return g->context && g->layout && g->render && g->read;
}

typedef enum { DRAWN, NO_GRAPHVIZ, NO_GRAPH, NO_LAYOUT, NO_FILE } outcome;

static outcome render(const char *text, const char *path)
{
    graphviz g = {0};
    if (!load(&g)) {
        return NO_GRAPHVIZ;
    }
    void *const context = g.context();
    void *const graph = context ? g.read(text) : NULL;
    if (!graph) {
        return NO_GRAPH;
    }
    if (g.layout(context, graph, "dot") != 0) {
        return NO_LAYOUT;
    }
    return g.render(context, graph, "png", path) == 0 ? DRAWN : NO_FILE;
}

/* This draws in a process of its own: Graphviz leaks, and draws one picture a process without
 * reading memory that it has freed. */
static df_status render_apart(const char *text, const char *path, df_err *err)
{
    static const char *const causes[] = {
        [NO_GRAPHVIZ] = "Graphviz cannot be loaded (Debian's package graphviz)",
        [NO_GRAPH] = "Graphviz cannot make the graph",
        [NO_LAYOUT] = "Graphviz cannot lay the graph out",
        [NO_FILE] = "Graphviz cannot write it"};
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        /* Graphviz reports there that it scales large pictures down; failures are reported below.
         */
        const FILE *const nowhere = freopen("/dev/null", "w", stderr);
        _exit(nowhere ? (int)render(text, path) : (int)NO_FILE);
    }
    if (child < 0) {
        return df_fail(err, DF_ERUNTIME, "%s: no process can be started to draw it: %s", path,
                       strerror(errno));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) > NO_FILE) {
        return df_fail(err, DF_ERUNTIME, "%s: Graphviz failed", path);
    }
    const int code = WEXITSTATUS(status);
    return code == DRAWN
               ? DF_OK
               : df_fail(err, code == NO_FILE ? DF_EIO : DF_ERUNTIME, "%s: %s", path, causes[code]);
}

df_status df_draw_write(df_draw *draw, const char *path, df_err *err)
{
    if (draw->left_out > 0) {
        fprintf(draw->out, "  rest [shape=plaintext, label=\"... and %" PRIu64 " more\"];\n",
                draw->left_out);
    }
    fputs("}\n", draw->out);
    const bool failed = ferror(draw->out) != 0;
    const bool closed = fclose(draw->out) == 0;
    draw->out = NULL;
    return failed || !closed ? df_fail(err, DF_ENOMEM, "out of memory for %s", path)
                             : render_apart(draw->text, path, err);
}
