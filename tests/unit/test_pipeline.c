/* The pipeline graph and its simulation, against hand-derived schedules and
 * against a simulator that follows the definition word by word. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mt19937.h"
#include "graph/pipeline.h"
#include "support/support.h"

/* ---- The oracle: objects, one ready list, a linear search for the next event ---- */

enum { MAX_OPS = 4000, MAX_EDGES_OF_OP = 4, MEMORY = -1 };

typedef struct {
    bool is_edge;
    int resource; /* device of a node, link or MEMORY of an edge */
    double takes_s;
    int children[MAX_EDGES_OF_OP];
    int num_children;
    int parents_left;
    double finish_s;
    long seq; /* of the start; -1: not started */
    bool done;
} slow_op;

typedef struct {
    slow_op op[MAX_OPS];
    int num_ops;
    int ready[MAX_OPS];
    int num_ready;
    bool device_busy[64], link_busy[64];
    long starts;
} slow_graph;

static int slow_add(slow_graph *slow, bool is_edge, int resource, double takes_s)
{
    assert_in_range(slow->num_ops, 0, MAX_OPS - 1);
    slow->op[slow->num_ops] =
        (slow_op){.is_edge = is_edge, .resource = resource, .takes_s = takes_s, .seq = -1};
    return slow->num_ops++;
}

static void slow_attach(slow_graph *slow, int parent, int child)
{
    slow_op *p = &slow->op[parent];
    assert_in_range(p->num_children, 0, MAX_EDGES_OF_OP - 1);
    p->children[p->num_children++] = child;
    slow->op[child].parents_left++;
}

static void slow_join(slow_graph *slow, int from, int to, int link, double takes_s)
{
    const int edge = slow_add(slow, true, link, takes_s);
    slow_attach(slow, from, edge);
    if (to >= 0) {
        slow_attach(slow, edge, to);
    }
}

static void slow_launch(slow_graph *slow, int op, double now_s)
{
    slow->op[op].seq = slow->starts++;
    slow->op[op].finish_s = now_s + slow->op[op].takes_s;
}

static bool slow_try(slow_graph *slow, int op, double now_s)
{
    const slow_op *o = &slow->op[op];
    if (o->is_edge && o->resource == MEMORY) {
        slow_launch(slow, op, now_s);
        return true;
    }
    bool *busy = o->is_edge ? &slow->link_busy[o->resource] : &slow->device_busy[o->resource];
    if (*busy) {
        return false;
    }
    *busy = true;
    slow_launch(slow, op, now_s);
    return true;
}

static int slow_next(slow_graph *slow)
{
    int next = -1;
    for (int i = 0; i < slow->num_ops; i++) {
        const slow_op *o = &slow->op[i];
        if (o->seq < 0 || o->done) {
            continue;
        }
        const slow_op *best = next < 0 ? NULL : &slow->op[next];
        if (!best || o->finish_s < best->finish_s ||
            (o->finish_s == best->finish_s && o->seq < best->seq)) {
            next = i;
        }
    }
    return next;
}

static void slow_release(slow_graph *slow, const slow_op *op, int lp, bool frees_last_link)
{
    if (!op->is_edge) {
        slow->device_busy[op->resource] = false;
    } else if (op->resource != MEMORY) {
        slow->link_busy[op->resource] = false;
    } else if (frees_last_link) {
        slow->link_busy[2 * lp - 2] = false;
    }
}

static double slow_simulate(slow_graph *slow, int root, int lp, bool frees_last_link)
{
    double now_s = 0.0;
    slow->ready[slow->num_ready++] = root;
    assert_true(slow_try(slow, root, now_s));
    slow->num_ready = 0;
    for (int at; (at = slow_next(slow)) >= 0;) {
        slow_op *event = &slow->op[at];
        event->done = true;
        now_s = event->finish_s;
        for (int c = 0; c < event->num_children; c++) {
            if (--slow->op[event->children[c]].parents_left == 0) {
                slow->ready[slow->num_ready++] = event->children[c];
            }
        }
        slow_release(slow, event, lp, frees_last_link);
        int kept = 0;
        for (int r = 0; r < slow->num_ready; r++) {
            if (!slow_try(slow, slow->ready[r], now_s)) {
                slow->ready[kept++] = slow->ready[r];
            }
        }
        slow->num_ready = kept;
    }
    for (int i = 0; i < slow->num_ops; i++) {
        assert_true(slow->op[i].done);
    }
    return now_s;
}

typedef struct {
    int steps, layers, lp, per_device;
    bool two_stages;
} slow_shape;

static int slow_e(int j)
{
    return j;
}

static int slow_x(const slow_shape *s, int j)
{
    return s->steps + j;
}

static int slow_c(const slow_shape *s, int i, int j)
{
    return 2 * s->steps + i * s->steps + j;
}

static slow_shape
slow_begin(slow_graph *slow, const df_pipeline_shape *shape, double e_s, double c_s, double x_s)
{
    memset(slow, 0, sizeof *slow);
    slow_shape s = {.steps = (int)shape->seq_len, .layers = (int)shape->num_layers};
    s.lp = (int)shape->lp;
    const int holders = s.lp > 2 ? s.lp - 2 : s.lp;
    s.per_device = (s.layers + holders - 1) / holders;
    s.two_stages = s.lp == 2 && s.layers > 1;
    for (int j = 0; j < s.steps; j++) {
        slow_add(slow, false, 0, e_s);
    }
    for (int j = 0; j < s.steps; j++) {
        slow_add(slow, false, s.lp - 1, x_s);
    }
    for (int i = 0; i < s.layers; i++) {
        for (int j = 0; j < s.steps; j++) {
            const int device = i / s.per_device + (s.lp == 1 || s.two_stages ? 0 : 1);
            slow_add(slow, false, device, c_s);
        }
    }
    return s;
}

/* Two stages: embedding and softmax share the device of the cells next to them,
 * and the one link between the stages is link 0. */
static int slow_outer_link(const slow_shape *s, int link)
{
    return s->lp == 1 || s->two_stages ? MEMORY : link;
}

static int slow_cross_link(const slow_shape *s, int i)
{
    if (s->lp == 1 || (i + 1) % s->per_device != 0) {
        return MEMORY;
    }
    return s->two_stages ? 0 : (i + 1) / s->per_device;
}

static double slow_forward(slow_graph *slow,
                           const df_pipeline_shape *shape,
                           const df_pipeline_times *t,
                           bool frees)
{
    const slow_shape s = slow_begin(slow, shape, t->ef, t->cf, t->sf);
    const double hop_s = s.two_stages ? 0.0 : t->tf;
    for (int i = 0; i < s.layers; i++) {
        for (int j = 0; j + 1 < s.steps; j++) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i, j + 1), MEMORY, 0.0);
        }
    }
    for (int j = 0; j < s.steps; j++) {
        slow_join(slow, slow_e(j), slow_c(&s, 0, j), slow_outer_link(&s, 0), hop_s);
        slow_join(slow, slow_c(&s, s.layers - 1, j), slow_x(&s, j), slow_outer_link(&s, s.lp - 2),
                  hop_s);
    }
    for (int i = 0; i + 1 < s.layers; i++) {
        const int link = slow_cross_link(&s, i);
        for (int j = 0; j < s.steps; j++) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i + 1, j), link,
                      link == MEMORY ? 0.0 : t->tf);
        }
    }
    for (int i = 1; i < s.layers; i++) {
        for (int j = 0; j + 1 < s.steps && i % s.per_device != 0; j++) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i - 1, j + 1), MEMORY, 0.0);
        }
    }
    for (int j = 0; j + 1 < s.steps; j++) {
        slow_join(slow, slow_e(j), slow_e(j + 1), MEMORY, 0.0);
    }
    return slow_simulate(slow, slow_e(0), s.lp, frees);
}

static void slow_reductions(slow_graph *slow, const slow_shape *s, const df_pipeline_times *t)
{
    slow_join(slow, slow_x(s, 0), -1, 2 * s->lp - 2, t->rs);
    slow_join(slow, slow_e(0), -1, s->lp - 1, t->re);
    for (int i = 0; i < s->layers; i++) {
        const int behind = s->two_stages ? s->lp - 1 : s->lp;
        const int link = s->lp == 1 ? 0 : i / s->per_device + behind;
        slow_join(slow, slow_c(s, i, 0), -1, link, t->rc);
    }
}

static double slow_backward(slow_graph *slow,
                            const df_pipeline_shape *shape,
                            const df_pipeline_times *t,
                            bool frees)
{
    const slow_shape s = slow_begin(slow, shape, t->eb, t->cb, t->sb);
    const double hop_s = s.two_stages ? 0.0 : t->tf;
    for (int i = s.layers - 1; i >= 0; i--) {
        for (int j = s.steps - 1; j > 0; j--) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i, j - 1), MEMORY, 0.0);
        }
    }
    for (int j = 0; j < s.steps; j++) {
        slow_join(slow, slow_c(&s, 0, j), slow_e(j), slow_outer_link(&s, 0), hop_s);
        slow_join(slow, slow_x(&s, j), slow_c(&s, s.layers - 1, j), slow_outer_link(&s, s.lp - 2),
                  hop_s);
    }
    for (int i = s.layers - 1; i > 0; i--) {
        const int link = slow_cross_link(&s, i - 1);
        for (int j = 0; j < s.steps; j++) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i - 1, j), link,
                      link == MEMORY ? 0.0 : t->tb);
        }
    }
    for (int i = 0; i + 1 < s.layers; i++) {
        for (int j = 1; j < s.steps && (i + 1) % s.per_device != 0; j++) {
            slow_join(slow, slow_c(&s, i, j), slow_c(&s, i + 1, j - 1), MEMORY, 0.0);
        }
    }
    for (int j = 1; j < s.steps; j++) {
        slow_join(slow, slow_x(&s, j), slow_x(&s, j - 1), MEMORY, 0.0);
    }
    slow_reductions(slow, &s, t);
    return slow_simulate(slow, slow_x(&s, s.steps - 1), s.lp, frees);
}

/* ---- Helpers ---- */

typedef struct {
    double forward_s, backward_s;
} passes;

static passes
run(int64_t steps, int64_t layers, int64_t lp, const df_pipeline_times *times, bool frees_last_link)
{
    df_pipeline *pipe = df_pipeline_new();
    assert_non_null(pipe);
    df_err err = {""};
    const df_pipeline_shape shape = {steps, layers, lp};
    if (df_pipeline_build(pipe, &shape, false, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    passes got = {-1.0, -1.0};
    df_pipeline_run(pipe, times, frees_last_link, &got.forward_s, &got.backward_s);
    df_pipeline_free(pipe);
    return got;
}

static int below(df_mt19937 *rng, uint32_t n)
{
    return (int)(df_mt_next(rng) % n);
}

/* Small integers (many ties, often 0), or fractions of one sixteenth and more. */
static double random_duration(df_mt19937 *rng, int style)
{
    switch (style) {
    case 0:
        return below(rng, 4);
    case 1:
        return 1 + below(rng, 2);
    case 2:
        return below(rng, 3) == 0 ? 0.0 : below(rng, 100000) / 16384.0;
    default:
        return (1 + below(rng, 1000)) / 7.0;
    }
}

static df_pipeline_times random_times(df_mt19937 *rng)
{
    const int style = below(rng, 4);
    df_pipeline_times t = {0};
    double *const all[] = {&t.ef, &t.cf, &t.sf, &t.tf, &t.eb, &t.cb,
                           &t.sb, &t.tb, &t.re, &t.rc, &t.rs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i] = random_duration(rng, style);
    }
    if (below(rng, 2) == 0) {
        t.tf = 0.0; /* as in the Python DeepFlow */
        t.tb = 0.0;
    }
    if (below(rng, 20) == 0) {
        *all[below(rng, 11)] = INFINITY;
    }
    return t;
}

/* ---- Tests ---- */

static void agrees_with_slow_simulator(void **state)
{
    (void)state;
    df_mt19937 rng;
    df_mt_init(&rng, 20230817u);
    df_pipeline *pipe = df_pipeline_new();
    slow_graph *slow = malloc(sizeof *slow);
    assert_non_null(pipe);
    assert_non_null(slow);
    for (int n = 0; n < 6000; n++) {
        const df_pipeline_shape shape = {1 + below(&rng, 9), 1 + below(&rng, 9),
                                         1 + (below(&rng, 3) == 0 ? 0 : below(&rng, 12))};
        df_err err = {""};
        if (df_pipeline_build(pipe, &shape, false, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
        for (int m = 0; m < 3; m++) {
            const df_pipeline_times times = random_times(&rng);
            const bool frees = below(&rng, 2) == 0;
            double forward_s;
            double backward_s;
            df_pipeline_run(pipe, &times, frees, &forward_s, &backward_s);
            df_assert_rel(forward_s, slow_forward(slow, &shape, &times, frees), 1e-13);
            df_assert_rel(backward_s, slow_backward(slow, &shape, &times, frees), 1e-13);
        }
    }
    free(slow);
    df_pipeline_free(pipe);
}

/* One of everything: the durations follow each other. */
static void single_cell_adds_up(void **state)
{
    (void)state;
    const df_pipeline_times t = {
        .ef = 1.5, .cf = 2.25, .sf = 4.0, .eb = 8.5, .cb = 16.0, .sb = 32.0};
    const passes got = run(1, 1, 1, &t, true);
    df_assert_rel(got.forward_s, 1.5 + 2.25 + 4.0, 0.0);
    df_assert_rel(got.backward_s, 8.5 + 16.0 + 32.0, 0.0);
}

/* The two hops of one device take tf each although nothing leaves the device. */
static void one_device_hops_take_time(void **state)
{
    (void)state;
    const df_pipeline_times t = {.ef = 1.0,
                                 .cf = 2.0,
                                 .sf = 4.0,
                                 .tf = 0.25,
                                 .eb = 8.0,
                                 .cb = 16.0,
                                 .sb = 32.0,
                                 .tb = 100.0};
    const passes got = run(1, 1, 1, &t, true);
    df_assert_rel(got.forward_s, 7.5, 0.0);
    df_assert_rel(got.backward_s, 56.5, 0.0);
}

/* Embedding, cells and softmax on a device each, one layer: the slowest stage
 * sets the pace. Forward: 1 + 4 * 3 (cells) + 2 (last softmax); backward:
 * 2 + 4 * 5 + 1, then the embedding's reduction, 7. */
static void three_stages_overlap(void **state)
{
    (void)state;
    const df_pipeline_times t = {
        .ef = 1.0, .cf = 3.0, .sf = 2.0, .eb = 1.0, .cb = 5.0, .sb = 2.0, .re = 7.0};
    const passes got = run(4, 1, 3, &t, true);
    df_assert_rel(got.forward_s, 15.0, 0.0);
    df_assert_rel(got.backward_s, 30.0, 0.0);
}

/* Links carry one transfer at a time: with tf = 5 the first link is the slowest
 * stage. Forward, 3 steps: 1 + 3 * 5, then cell 3, link 5, softmax 2. */
static void transfers_queue_on_link(void **state)
{
    (void)state;
    const df_pipeline_times t = {.ef = 1.0, .cf = 3.0, .sf = 2.0, .tf = 5.0};
    df_assert_rel(run(3, 1, 3, &t, true).forward_s, 26.0, 0.0);
}

/* Layers on different devices: step j of layer i ends at ef + (i + j + 1) cf. */
static void layers_overlap_on_own_devices(void **state)
{
    (void)state;
    const df_pipeline_times t = {.ef = 1.0, .cf = 10.0, .sf = 2.0};
    df_assert_rel(run(6, 3, 5, &t, true).forward_s, 1.0 + (2 + 5 + 1) * 10.0 + 2.0, 0.0);
}

/* One step, two layers, one device, no time but for the reductions: with the
 * rule each starts at once (3), without it they queue on the one link. */
static void memory_edge_frees_link(void **state)
{
    (void)state;
    const df_pipeline_times t = {
        .eb = 1.0, .cb = 1.0, .sb = 1.0, .re = 100.0, .rc = 300.0, .rs = 200.0};
    /* Ends: softmax 1, cells 2 and 3, embedding 4. */
    df_assert_rel(run(1, 2, 1, &t, true).backward_s, 3.0 + 300.0, 0.0);
    df_assert_rel(run(1, 2, 1, &t, false).backward_s, 1.0 + 200.0 + 300.0 + 300.0 + 100.0, 0.0);
}

/* Corrected lp = 2: stage 0 is the embedding (1) and layer 0 (10), stage 1 is
 * layer 1 (10) and the softmax (2), 3 steps, transfer 4 between them.
 * Stage 0: E0 until 1, C00 until 11, then the second embedding, which waited, 12,
 * C01 22, E2 23, C02 33. Arrivals at 15, 26, 37 on stage 1: cell until 25, softmax
 * 27, cell 37, softmax 39, cell 49, softmax 51. */
static void two_stages_share_devices(void **state)
{
    (void)state;
    const df_pipeline_times t = {.ef = 1.0, .cf = 10.0, .sf = 2.0, .tf = 4.0};
    df_assert_rel(run(3, 2, 2, &t, true).forward_s, 51.0, 0.0);
}

/* Backward of the same, one step, three layers (0, 1 | 2): X 2, C2 5, hop 4, C1
 * 5, C0 5, E 1 = 22. Reductions: device 0's link takes Rc from 16 and 21 (7
 * each, so until 23 and 30), then Re (20) until 50; device 1's takes Rs at 2. */
static void two_stages_reduce_per_device(void **state)
{
    (void)state;
    const df_pipeline_times t = {
        .eb = 1.0, .cb = 5.0, .sb = 2.0, .tb = 4.0, .re = 20.0, .rc = 7.0, .rs = 3.0};
    df_assert_rel(run(1, 3, 2, &t, false).backward_s, 50.0, 0.0);
}

static void two_stages_are_rejected(void **state)
{
    (void)state;
    df_pipeline *pipe = df_pipeline_new();
    df_err err = {""};
    const df_pipeline_shape two_layers = {5, 2, 2};
    assert_int_equal(df_pipeline_build(pipe, &two_layers, true, &err), DF_INFEASIBLE);
    assert_non_null(strstr(err.text, "scheduling_param.lp"));
    assert_int_equal(df_pipeline_build(pipe, &two_layers, false, &err), DF_OK);
    /* ... also when it is the shape at hand. */
    assert_int_equal(df_pipeline_build(pipe, &two_layers, true, &err), DF_INFEASIBLE);
    const df_pipeline_shape one_layer = {5, 1, 2};
    assert_int_equal(df_pipeline_build(pipe, &one_layer, true, &err), DF_OK);
    df_pipeline_free(pipe);
}

static void bad_shapes_are_named(void **state)
{
    (void)state;
    df_pipeline *pipe = df_pipeline_new();
    const struct {
        df_pipeline_shape shape;
        df_status status;
        const char *text;
    } bad[] = {
        {{0, 2, 1}, DF_EINVAL, "seq_len"},
        {{2, 0, 1}, DF_EINVAL, "num_layers"},
        {{2, 2, 0}, DF_EINVAL, "scheduling_param.lp"},
        {{100000, 100000, 1}, DF_INFEASIBLE, "seq_len * num_layers"},
        {{INT64_MAX, INT64_MAX, 1}, DF_INFEASIBLE, "seq_len * num_layers"},
        {{2, 2, INT64_MAX}, DF_INFEASIBLE, "scheduling_param.lp"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        df_err err = {""};
        assert_int_equal(df_pipeline_build(pipe, &bad[i].shape, true, &err), bad[i].status);
        assert_non_null(strstr(err.text, bad[i].text));
    }
    df_pipeline_free(pipe);
    df_pipeline_free(NULL);
}

static void infinite_durations_stay_infinite(void **state)
{
    (void)state;
    const df_pipeline_times finite = {.ef = 1.0,
                                      .cf = 1.0,
                                      .sf = 1.0,
                                      .eb = 1.0,
                                      .cb = 1.0,
                                      .sb = 1.0,
                                      .re = 1.0,
                                      .rc = 1.0,
                                      .rs = 1.0};
    for (int64_t lp = 1; lp <= 5; lp++) {
        df_pipeline_times slow_cell = finite;
        slow_cell.cf = INFINITY;
        slow_cell.eb = INFINITY;
        const passes got = run(4, 4, lp, &slow_cell, true);
        assert_true(isinf(got.forward_s));
        assert_true(isinf(got.backward_s));
        df_pipeline_times slow_link = finite;
        slow_link.rc = INFINITY;
        assert_true(isinf(run(4, 4, lp, &slow_link, false).backward_s));
        assert_true(isfinite(run(4, 4, lp, &slow_link, false).forward_s));
    }
}

/* A million cells, on one device and on four; one device's closed form and the
 * simulation (tf > 0 that no double notices) agree. */
static void large_shapes_work(void **state)
{
    (void)state;
    df_pipeline_times t = {.ef = 1.0, .cf = 2.0, .sf = 3.0, .eb = 1.0, .cb = 2.0, .sb = 3.0};
    const passes one = run(1000, 1000, 1, &t, true);
    df_assert_rel(one.forward_s, 1000.0 * 4.0 + 2e6, 1e-12);
    t.tf = 1e-30;
    const passes same = run(1000, 1000, 1, &t, true);
    df_assert_rel(same.forward_s, one.forward_s, 1e-12);
    df_assert_rel(same.backward_s, one.backward_s, 1e-12);
    t.tf = 0.0;
    /* Two groups of 500 layers: the second begins when the first has finished
     * its first column, so the time lies between one and two device loads. */
    const passes two = run(1000, 1000, 4, &t, true);
    assert_true(two.forward_s > 1e6 && two.forward_s < 2.1e6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_slow_simulator),
        cmocka_unit_test(single_cell_adds_up),
        cmocka_unit_test(one_device_hops_take_time),
        cmocka_unit_test(three_stages_overlap),
        cmocka_unit_test(transfers_queue_on_link),
        cmocka_unit_test(layers_overlap_on_own_devices),
        cmocka_unit_test(memory_edge_frees_link),
        cmocka_unit_test(two_stages_share_devices),
        cmocka_unit_test(two_stages_reduce_per_device),
        cmocka_unit_test(two_stages_are_rejected),
        cmocka_unit_test(bad_shapes_are_named),
        cmocka_unit_test(infinite_durations_stay_infinite),
        cmocka_unit_test(large_shapes_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
