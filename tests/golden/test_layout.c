/* Derates, flags and failures of every layout, against recorded ones. */
#include <stdlib.h>
#include <string.h>

#include "golden/cases.h"
#include "layout/layout.h"

enum { ROWS = 1533 };

static int64_t integer(const df_csv *row, const char *column)
{
    return (int64_t)df_csv_number(row, column);
}

static const df_layout *find_order(const df_layout *layouts, int count, const char *order)
{
    for (int i = 0; i < count; i++) {
        char name[DF_LAYOUT_AXES + 1];
        df_layout_name(&layouts[i], name);
        if (strcmp(name, order) == 0) {
            return &layouts[i];
        }
    }
    return NULL;
}

static bool row_holds(const df_csv *row, const df_layout *layout)
{
    const char *const inter = df_csv_text(row, "inter");
    if (!layout) {
        return false;
    }
    if (integer(row, "feasible") == 0) { /* it has a reason instead */
        return !layout->feasible && layout->reason[0] != '\0';
    }
    bool same = layout->feasible && layout->inter_derate == integer(row, "inter_derate") &&
                layout->intra_derate == integer(row, "intra_derate");
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        same = same && layout->inter[axis] == (inter[axis] == '1');
    }
    return same;
}

static void recorded_layouts_are_met(void **state)
{
    (void)state;
    const df_rules rules = df_rules_reference();
    df_csv *row = df_csv_open("layouts.csv");
    int rows = 0;
    int failed = 0;
    while (df_csv_next(row)) {
        const df_system_size size = {integer(row, "num_wafer"), integer(row, "wafer_dim"), 0,
                                     integer(row, "num_worker")};
        const df_strategy s = {.kp_type = (df_kp_type)integer(row, "kp_type"),
                               .kp1 = integer(row, "kp1"),
                               .kp2 = integer(row, "kp2"),
                               .dp = integer(row, "dp"),
                               .lp = integer(row, "lp")};
        const char *const order = df_csv_text(row, "order");
        df_layout layouts[DF_MAX_LAYOUTS];
        int count;
        df_err err;
        assert_int_equal(df_layout_list(&size, &s, &rules, layouts, &count, &err), DF_OK);
        /* "-": the strategy fails in whatever order */
        const df_layout *const layout =
            order[0] == '-' ? &layouts[0] : find_order(layouts, count, order);
        if (!row_holds(row, layout)) {
            char name[64];
            df_strategy_name(&s, name, sizeof name);
            print_error("%s in order %s differs\n", name, order);
            failed++;
        }
        rows++;
    }
    df_csv_close(row);
    assert_int_equal(failed, 0);
    assert_int_equal(rows, ROWS);
}

/* Every strategy and layout that is listed was recorded, and the other way round. */
static void recorded_strategies_are_met(void **state)
{
    (void)state;
    static const struct {
        df_system_size size;
        int64_t batch_size;
        size_t strategies, pairs;
    } systems[] = {
        /* from the Python DeepFlow: strategies, and pairs of strategy and layout */
        {{1, 2, 0, -1}, 0, 11, 11},      {{1, 4, 0, -1}, 0, 29, 51},   {{1, 8, 0, -1}, 0, 55, 167},
        {{4, 4, 0, -1}, 0, 55, 167},     {{1, 16, 0, -1}, 0, 89, 359}, {{1, 3, 0, -1}, 0, 19, 32},
        {{1, 32, 0, -1}, 256, 129, 674}, {{2, 5, 0, -1}, 0, 41, 122},  {{1, 6, 0, -1}, 0, 41, 93},
    };
    const df_rules rules = df_rules_reference();
    for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
        df_strategy *list;
        size_t count;
        size_t pairs = 0;
        df_err err;
        assert_int_equal(
            df_strategy_list(&systems[i].size, systems[i].batch_size, &rules, &list, &count, &err),
            DF_OK);
        for (size_t s = 0; s < count; s++) {
            df_layout layouts[DF_MAX_LAYOUTS];
            int some;
            assert_int_equal(
                df_layout_list(&systems[i].size, &list[s], &rules, layouts, &some, &err), DF_OK);
            pairs += (size_t)some;
        }
        free(list);
        assert_int_equal(count, systems[i].strategies);
        assert_int_equal(pairs, systems[i].pairs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_layouts_are_met),
        cmocka_unit_test(recorded_strategies_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
