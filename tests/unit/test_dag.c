/* The event simulation of a graph, by hand and against a plain one. */
#include <stdlib.h>
#include <string.h>

#include "graph/dag.h"
#include "support/support.h"

static int32_t add(df_dag *dag, df_dag_kind kind, int32_t device, double duration_s)
{
    return df_dag_add(dag,
                      &(df_dag_element){.kind = kind, .device = device, .duration_s = duration_s});
}

static double run(df_dag *dag, int32_t root)
{
    double time_s;
    df_err err;
    assert_int_equal(df_dag_run(dag, root, 0, &time_s, &err), DF_OK);
    return time_s;
}

/* Two computations of 3 and 4 s on one device take 7 s, on two devices 4. */
static void devices_run_one_at_a_time(void **state)
{
    (void)state;
    for (int devices = 1; devices <= 2; devices++) {
        df_dag *dag = df_dag_new(devices);
        const int32_t root = add(dag, DF_DAG_COLLECTIVE, 0, 0);
        df_dag_link(dag, root, add(dag, DF_DAG_COMPUTE, 0, 3));
        df_dag_link(dag, root, add(dag, DF_DAG_COMPUTE, devices - 1, 4));
        df_assert_rel(run(dag, root), devices == 1 ? 7 : 4, 0);
        df_dag_free(dag);
    }
}

static void edges_run_at_once(void **state)
{
    (void)state;
    df_dag *dag = df_dag_new(1);
    const int32_t root = add(dag, DF_DAG_COMPUTE, 0, 1);
    for (int i = 0; i < 5; i++) {
        df_dag_link(dag, root, add(dag, DF_DAG_COLLECTIVE, 0, 2));
    }
    df_assert_rel(run(dag, root), 3, 0);
    df_dag_free(dag);
}

/* What nothing leads to is left out, and what waits for it. */
static void strangers_are_left_out(void **state)
{
    (void)state;
    df_dag *dag = df_dag_new(1);
    const int32_t root = add(dag, DF_DAG_COMPUTE, 0, 1);
    const int32_t child = add(dag, DF_DAG_COMPUTE, 0, 10);
    df_dag_link(dag, root, child);
    df_dag_link(dag, add(dag, DF_DAG_COMPUTE, 0, 1), child);
    df_assert_rel(run(dag, root), 1, 0);
    df_dag_free(dag);
}

/* a (1 s) - b (2 s) by a hop of 0.5 s; a gather of 5 s beside a holds b back. With the
 * filter it holds back the hop, or nothing. */
static void gathers_run_beside(void **state)
{
    (void)state;
    static const struct {
        df_dag_filter filter;
        double time_s;
    } cases[] = {{DF_DAG_ALL, 7.5}, {DF_DAG_ONLY_PIPELINE, 7.5}, {DF_DAG_NO_PIPELINE, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_dag *dag = df_dag_new(2);
        const int32_t root = add(dag, DF_DAG_COLLECTIVE, 0, 0);
        const int32_t a = add(dag, DF_DAG_COMPUTE, 0, 1);
        const int32_t hop = add(dag, DF_DAG_PIPELINE, 0, 0.5);
        const int32_t b = add(dag, DF_DAG_COMPUTE, 1, 2);
        df_dag_link(dag, root, a);
        df_dag_link(dag, a, hop);
        df_dag_link(dag, hop, b);
        df_dag_attach(dag, a, add(dag, DF_DAG_COLLECTIVE, 0, 5), cases[i].filter);
        df_assert_rel(run(dag, root), cases[i].time_s, 0);
        df_dag_free(dag);
    }
}

/* ---- A plain simulation: scan everything at every event ---- */

enum { MOST = 60 };

typedef struct {
    int count;
    bool edge[MOST];
    int device[MOST];
    double duration_s[MOST];
    bool linked[MOST][MOST];
} graph;

typedef struct {
    bool ready[MOST], started[MOST], done[MOST];
    double end_s[MOST];
    int order[MOST], ready_order[MOST]; /* of starting, of becoming ready */
    int starts, readies;
} progress;

static bool all_parents_done(const graph *g, const progress *p, int i)
{
    for (int j = 0; j < g->count; j++) {
        if (g->linked[j][i] && !p->done[j]) {
            return false;
        }
    }
    return true;
}

static bool device_is_busy(const graph *g, const progress *p, int device)
{
    for (int i = 1; i < g->count; i++) {
        if (!g->edge[i] && g->device[i] == device && p->started[i] && !p->done[i]) {
            return true;
        }
    }
    return false;
}

static void start_all(const graph *g, progress *p, double now_s)
{
    for (int r = 0; r < p->readies; r++) {
        const int i = p->ready_order[r];
        if (!p->started[i] && (g->edge[i] || !device_is_busy(g, p, g->device[i]))) {
            p->started[i] = true;
            p->end_s[i] = now_s + g->duration_s[i];
            p->order[i] = p->starts++;
        }
    }
}

static int earliest(const graph *g, const progress *p)
{
    int first = -1;
    for (int i = 0; i < g->count; i++) {
        if (p->started[i] && !p->done[i] &&
            (first < 0 || p->end_s[i] < p->end_s[first] ||
             (p->end_s[i] == p->end_s[first] && p->order[i] < p->order[first]))) {
            first = i;
        }
    }
    return first;
}

static double simulate_plainly(const graph *g)
{
    progress p;
    double last_s = 0;
    memset(&p, 0, sizeof p);
    p.ready[0] = true;
    p.started[0] = true;
    p.end_s[0] = g->duration_s[0];
    p.starts = 1;
    for (int at = 0; at >= 0; at = earliest(g, &p)) {
        last_s = p.end_s[at];
        p.done[at] = true;
        for (int i = 0; i < g->count; i++) {
            if (g->linked[at][i] && !p.ready[i] && all_parents_done(g, &p, i)) {
                p.ready[i] = true;
                p.ready_order[p.readies++] = i;
            }
        }
        start_all(g, &p, last_s);
    }
    return last_s;
}

/* Random graphs with many ties: durations are small whole numbers. */
static void random_graphs_agree(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    for (int trial = 0; trial < 300; trial++) {
        graph g;
        df_dag *dag = df_dag_new(4);
        memset(&g, 0, sizeof g);
        g.count = MOST;
        for (int i = 0; i < g.count; i++) {
            seed = seed * 1664525 + 1013904223;
            g.edge[i] = i == 0 || (seed >> 16) % 3 == 0;
            g.device[i] = (int)(seed >> 20) % 4;
            g.duration_s[i] = (seed >> 24) % 5;
            add(dag, g.edge[i] ? DF_DAG_COLLECTIVE : DF_DAG_COMPUTE, g.device[i], g.duration_s[i]);
        }
        for (int i = 0; i < g.count; i++) {
            for (int j = i + 1; j < g.count; j++) {
                seed = seed * 1664525 + 1013904223;
                g.linked[i][j] = (seed >> 16) % 12 == 0;
                if (g.linked[i][j]) {
                    df_dag_link(dag, i, j);
                }
            }
        }
        df_assert_rel(run(dag, 0), simulate_plainly(&g), 0);
        df_dag_free(dag);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_run_one_at_a_time), cmocka_unit_test(edges_run_at_once),
        cmocka_unit_test(strangers_are_left_out),    cmocka_unit_test(gathers_run_beside),
        cmocka_unit_test(random_graphs_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
