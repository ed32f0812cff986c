/* Strategies and layouts at their edges: odd sizes, rules, what is written into cfg. */
#include <stdlib.h>
#include <string.h>

#include "layout/layout.h"
#include "support/support.h"

/* The layout of the strategy in this order; fails the test if there is none. */
static df_layout layout_of(const df_system_size *size,
                           const df_strategy *s,
                           const df_rules *rules,
                           const char *order)
{
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    df_err err;
    assert_int_equal(df_layout_list(size, s, rules, layouts, &count, &err), DF_OK);
    for (int i = 0; i < count; i++) {
        char name[DF_LAYOUT_AXES + 1];
        df_layout_name(&layouts[i], name);
        if (strcmp(name, order) == 0) {
            return layouts[i];
        }
    }
    fail_msg("no order %s", order);
    return layouts[0];
}

static size_t count_strategies(const df_system_size *size, int64_t batch, const df_rules *rules)
{
    df_strategy *list;
    size_t count;
    df_err err;
    assert_int_equal(df_strategy_list(size, batch, rules, &list, &count, &err), DF_OK);
    free(list);
    return count;
}

/* Whatever the size: an answer with a reason, never a crash. */
static void any_size_is_answered(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    for (int64_t wafers = 1; wafers <= 5; wafers++) {
        for (int64_t dim = 1; dim <= 7; dim++) {
            for (int64_t workers = -1; workers <= 40; workers += workers < 0 ? 2 : 3) {
                const df_system_size size = {wafers, dim, 0, workers};
                df_strategy *list;
                size_t count;
                df_err err;
                assert_int_equal(df_strategy_list(&size, 0, &rules, &list, &count, &err), DF_OK);
                for (size_t i = 0; i < count; i++) {
                    df_layout layouts[DF_MAX_LAYOUTS];
                    int some;
                    assert_int_equal(df_layout_list(&size, &list[i], &rules, layouts, &some, &err),
                                     DF_OK);
                    assert_in_range(some, 1, DF_MAX_LAYOUTS);
                    for (int j = 0; j < some; j++) {
                        assert_true(layouts[j].feasible == (layouts[j].reason[0] == '\0'));
                    }
                }
                free(list);
            }
        }
    }
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    static const df_system_size bad[] = {{0, 4, 0, -1},     {1, 0, 0, -1},
                                         {1, 4, 0, 0},      {1, 4, 0, -2},
                                         {1, 2000, 0, -1},  {4000000000000, 3000000, 0, -1},
                                         {1, 4, 0, 5000000}};
    const df_rules rules = df_rules_reference();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        df_strategy *list;
        size_t count;
        df_err err;
        assert_int_equal(df_strategy_list(&bad[i], 0, &rules, &list, &count, &err), DF_EINVAL);
    }
}

/* 16 devices and a batch of 4: of the 5 column-row splits with lp = 1, dp is 16 and 8 in
 * two; of the 3 with lp = 4 none has more than 4. The row-column ones: 15 and 6, of which
 * dp is 16 or 8 in 1 + 2 and none. */
static void batches_bound_replicas(void **state)
{
    (void)state;
    const df_system_size size = {1, 4, 0, -1};
    df_rules rules = df_rules_reference();
    assert_int_equal(count_strategies(&size, 0, &rules), 29);
    assert_int_equal(count_strategies(&size, 4, &rules), 29 - 2);
    rules.rc_batch_unchecked = false;
    assert_int_equal(count_strategies(&size, 4, &rules), 29 - 2 - 3);
}

/* kp1 = 2 up, dp = 8 forth along the lower half and back along the upper. Column 0 has the
 * kp1 hops on links 0 and 2 and the ends of the two dp rings, from y = 2 to 0 and from 3 to
 * 1. These take links 1, 0 and 2, 1: two streams on each link. Counted one too high they
 * take 2, 1 and 3, 2: three on link 2. Column 3 has two on each either way. */
static void downward_hops_shift_by_rule(void **state)
{
    (void)state;
    const df_system_size size = {1, 4, 0, -1};
    const df_strategy s = {.kp_type = DF_KP_CR, .kp1 = 2, .kp2 = 1, .dp = 8, .lp = 1};
    df_rules rules = df_rules_reference();
    assert_int_equal(layout_of(&size, &s, &rules, "0213").intra_derate, 3);
    rules.downward_hops_shifted = false;
    assert_int_equal(layout_of(&size, &s, &rules, "0213").intra_derate, 2);
}

/* dp = 18 snakes over two wafers of 3 x 3, each from (0, 0) to (2, 2). Column 2 of the first
 * has the snake on links 0 and 1 and the hop to the second wafer, which goes down and is
 * counted on links 2 and 1. The hop that closes the ring runs up there too, over links 0 and
 * 1: three streams on link 1. Counted where it starts, on the second wafer, it meets the
 * snake alone: two. */
static void cross_wafer_hops_count_by_rule(void **state)
{
    (void)state;
    const df_system_size size = {2, 3, 0, -1};
    const df_strategy s = {.kp_type = DF_KP_CR, .kp1 = 1, .kp2 = 1, .dp = 18, .lp = 1};
    df_rules rules = df_rules_reference();
    assert_int_equal(layout_of(&size, &s, &rules, "2013").intra_derate, 2);
    rules.cross_wafer_traffic_on_start = false;
    const df_layout layout = layout_of(&size, &s, &rules, "2013");
    assert_int_equal(layout.intra_derate, 3);
    assert_int_equal(layout.inter_derate, 1);
    assert_true(layout.inter[2]);
}

static void strategies_are_written_into_cfg(void **state)
{
    (void)state;
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    const df_strategy s = {.kp_type = DF_KP_RC, .kp1 = 2, .kp2 = 4, .dp = 8, .lp = 1};
    df_strategy_apply(&s, &cfg);
    assert_int_equal(cfg.sched.t, DF_T_RC);
    assert_int_equal(cfg.sched.kp1, 2);
    assert_int_equal(cfg.sched.kp2, 4);
    assert_int_equal(cfg.sched.dp, 8);
    assert_int_equal(cfg.sched.kp_type[DF_PART_SOFTMAX], DF_KP_RC);
    const df_strategy none = {.kp_type = DF_KP_NONE, .kp1 = 1, .kp2 = 1, .dp = 64, .lp = 1};
    df_strategy_apply(&none, &cfg);
    assert_int_equal(cfg.sched.t, DF_T_NONE);
    assert_int_equal(cfg.sched.kp2, 1);
}

/* 64 workers on four wafers of 16. */
static void layouts_are_written_into_cfg(void **state)
{
    (void)state;
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    const df_system_size size = {4, 4, 0, -1};
    const df_strategy s = {.kp_type = DF_KP_CR, .kp1 = 1, .kp2 = 1, .dp = 64, .lp = 1};
    const df_rules rules = df_rules_reference();
    const df_layout layout = layout_of(&size, &s, &rules, "2013");
    df_layout_apply(&layout, &size, &s, &rules, &cfg);
    assert_int_equal(cfg.system.num_nodes, 4);
    assert_int_equal(cfg.system.num_devices_per_node, 16);
    assert_true(cfg.system.dp_inter);
    assert_false(cfg.system.kp1_inter);
    df_assert_rel(cfg.system.inter_derate, (double)layout.inter_derate, 0);
    assert_true(layout.inter_derate > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_size_is_answered),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(batches_bound_replicas),
        cmocka_unit_test(downward_hops_shift_by_rule),
        cmocka_unit_test(cross_wafer_hops_count_by_rule),
        cmocka_unit_test(strategies_are_written_into_cfg),
        cmocka_unit_test(layouts_are_written_into_cfg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
