/* The table of a strategy's fields, and what it drives: columns, names, configurations. Expected
 * values are written down field by field. */
#include <string.h>

#include "store/rows.h"
#include "support/support.h"

/* A different value in each field; kp1 and kp2 are 1, as in every strategy of an LLM. */
static df_strategy llm(void)
{
    df_strategy s;
    memset(&s, 0, sizeof s);
    s.kp_type = DF_KP_NONE;
    s.kp1 = 1;
    s.kp2 = 1;
    s.dp = 8;
    s.lp = 16;
    s.tp = 4;
    s.cp = 2;
    s.mb = 32;
    s.ep = 4;
    s.tp_sp = true;
    s.zero_stage = 3;
    s.recompute = DF_RECOMPUTE_SELECTIVE;
    s.schedule = DF_ORDER_INTERLEAVED;
    s.virtual_stages = 5;
    return s;
}

static df_strategy kernels(void)
{
    df_strategy s;
    memset(&s, 0, sizeof s);
    s.kp_type = DF_KP_RC;
    s.kp1 = 2;
    s.kp2 = 4;
    s.dp = 8;
    s.lp = 3;
    return s;
}

static void assert_order(const df_strategy_field fields[DF_STRATEGY_FIELDS],
                         const char *const names[DF_STRATEGY_FIELDS])
{
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        assert_string_equal(fields[i].name, names[i]);
    }
}

static void fields_have_two_orders(void **state)
{
    (void)state;
    static const char *const columns[] = {"kp_type",
                                          "dp",
                                          "lp",
                                          "kp1",
                                          "kp2",
                                          "tp",
                                          "cp",
                                          "mb",
                                          "tp_sp",
                                          "zero_stage",
                                          "recompute",
                                          "schedule",
                                          "virtual_stages",
                                          "ep"};
    static const char *const terms[] = {"kp_type",
                                        "kp1",
                                        "kp2",
                                        "tp",
                                        "cp",
                                        "dp",
                                        "lp",
                                        "mb",
                                        "tp_sp",
                                        "zero_stage",
                                        "recompute",
                                        "schedule",
                                        "virtual_stages",
                                        "ep"};
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_columns(fields);
    assert_order(fields, columns);
    df_strategy_terms(fields);
    assert_order(fields, terms);
}

static void values_are_set_and_got(void **state)
{
    (void)state;
    const df_strategy wanted = llm();
    /* kp_type, dp, lp, kp1, kp2, tp, cp, mb, tp_sp, zero_stage, recompute, schedule, parts, ep */
    static const int64_t values[DF_STRATEGY_FIELDS] = {-1, 8, 16, 1, 1, 4, 2, 32, 1, 3, 1, 2, 5, 4};
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy s;
    df_strategy_columns(fields);
    df_strategy_init(&s, DF_STRATEGY_KERNELS);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        assert_int_equal(df_strategy_get(&wanted, &fields[i]), values[i]);
        df_strategy_set(&s, &fields[i], values[i]);
    }
    assert_memory_equal(&s, &wanted, sizeof s);
}

static void presets_and_absent_values(void **state)
{
    (void)state;
    static const struct {
        df_strategy_kind kind;
        int64_t values[DF_STRATEGY_FIELDS]; /* as above */
    } cases[] = {{DF_STRATEGY_KERNELS, {-1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
                 {DF_STRATEGY_LLM, {-1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1}}};
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    df_strategy_columns(fields);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        df_strategy s;
        df_strategy_init(&s, cases[c].kind);
        assert_int_equal(df_strategy_kind_of(&s), cases[c].kind);
        for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
            assert_int_equal(df_strategy_get(&s, &fields[i]), cases[c].values[i]);
        }
    }
}

static void settling_drops_what_has_no_use(void **state)
{
    (void)state;
    df_strategy s = llm();
    s.kp_type = DF_KP_CR;
    s.kp1 = 6;
    s.kp2 = 7;
    df_strategy other = s;
    df_strategy_settle(&s, DF_STRATEGY_LLM);
    assert_true(s.kp_type == DF_KP_NONE && s.kp1 == 1 && s.kp2 == 1);
    assert_true(s.tp == 4 && s.cp == 2 && s.virtual_stages == 5);
    df_strategy_settle(&other, DF_STRATEGY_KERNELS);
    assert_true(other.kp_type == DF_KP_CR && other.kp1 == 6 && other.kp2 == 1);
    assert_true(other.dp == 8 && other.lp == 16);
    assert_true(other.tp == 0 && other.cp == 0 && other.mb == 0 && !other.tp_sp);
    assert_true(other.zero_stage == 0 && other.recompute == 0 && other.schedule == 0);
    assert_int_equal(other.virtual_stages, 0);
}

static void layouts_place_four_axes(void **state)
{
    (void)state;
    static const char *const expected[2][DF_LAYOUT_AXES] = {{"kp1", "kp2", "dp", "lp"},
                                                            {"tp", "cp", "dp", "lp"}};
    static const int64_t sizes[2][DF_LAYOUT_AXES] = {{2, 4, 8, 3}, {4, 2, 8, 16}};
    const df_strategy strategies[] = {kernels(), llm()};
    for (int i = 0; i < 2; i++) {
        int64_t axes[DF_LAYOUT_AXES];
        const df_axis *const placed = df_strategy_placed(df_strategy_kind_of(&strategies[i]));
        df_strategy_axes(&strategies[i], axes);
        for (int k = 0; k < DF_LAYOUT_AXES; k++) {
            assert_string_equal(df_axis_table[placed[k]].name, expected[i][k]);
            assert_int_equal(axes[k], sizes[i][k]);
        }
    }
}

/* ---- Columns ---- */

/* Up to virtual_stages as files of version 0.1.0 have them: name, place, bytes, class. */
static void columns_are_those_of_the_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at, size;
        H5T_class_t class;
    } columns[] = {{"strategy_id", 0, 4, H5T_INTEGER},
                   {"kp_type", 4, 4, H5T_INTEGER},
                   {"dp", 8, 8, H5T_INTEGER},
                   {"lp", 16, 8, H5T_INTEGER},
                   {"kp1", 24, 8, H5T_INTEGER},
                   {"kp2", 32, 8, H5T_INTEGER},
                   {"tp", 40, 8, H5T_INTEGER},
                   {"cp", 48, 8, H5T_INTEGER},
                   {"mb", 56, 8, H5T_INTEGER},
                   {"tp_sp", 64, 1, H5T_INTEGER},
                   {"zero_stage", 72, 8, H5T_INTEGER},
                   {"recompute", 80, 12, H5T_STRING},
                   {"schedule", 92, 12, H5T_STRING},
                   {"virtual_stages", 104, 8, H5T_INTEGER},
                   {"ep", 112, 8, H5T_INTEGER},
                   {"layout", 120, 4, H5T_STRING},
                   {"inter_derate", 128, 8, H5T_INTEGER},
                   {"intra_derate", 136, 8, H5T_INTEGER},
                   {"kp1_inter", 144, 1, H5T_INTEGER},
                   {"kp2_inter", 145, 1, H5T_INTEGER},
                   {"dp_inter", 146, 1, H5T_INTEGER},
                   {"lp_inter", 147, 1, H5T_INTEGER},
                   {"wafer_dim", 152, 8, H5T_INTEGER},
                   {"num_wafer", 160, 8, H5T_INTEGER},
                   {"devices_per_node", 168, 8, H5T_INTEGER},
                   {"num_worker", 176, 8, H5T_INTEGER},
                   {"feasible", 184, 1, H5T_INTEGER},
                   {"reason", 185, 256, H5T_STRING}};
    enum { COLUMNS = sizeof columns / sizeof columns[0] };
    const hid_t type = df_strategy_row_type();
    assert_int_equal(H5Tget_nmembers(type), COLUMNS);
    assert_int_equal(H5Tget_size(type), 448);
    for (unsigned i = 0; i < COLUMNS; i++) {
        char *const name = H5Tget_member_name(type, i);
        const hid_t member = H5Tget_member_type(type, i);
        assert_string_equal(name, columns[i].name);
        assert_int_equal(H5Tget_member_offset(type, i), columns[i].at);
        assert_int_equal(H5Tget_size(member), columns[i].size);
        assert_int_equal(H5Tget_class(member), columns[i].class);
        H5Tclose(member);
        H5free_memory(name);
    }
    H5Tclose(type);
}

static df_strategy_row row_of(const df_strategy *s)
{
    const df_store_strategy store = {
        .strategy = *s, .size = {1, 4, 0, 16}, .layout = {.order = {0, 1, 2, 3}}};
    df_strategy_row row;
    df_strategy_to_row(&store, &row);
    return row;
}

static int64_t whole_at(const df_strategy_row *row, size_t at)
{
    int64_t value;
    memcpy(&value, (const char *)row + at, sizeof value);
    return value;
}

static int32_t code_of(const df_strategy_row *row)
{
    int32_t value;
    memcpy(&value, (const char *)row + 4, sizeof value);
    return value;
}

static void an_llm_becomes_a_row_and_back(void **state)
{
    (void)state;
    const df_strategy s = llm();
    const df_strategy_row row = row_of(&s);
    const char *const bytes = (const char *)&row;
    static const int64_t whole[][2] = {{8, 8},  {16, 16}, {24, 1}, {32, 1},  {40, 4},
                                       {48, 2}, {56, 32}, {72, 3}, {104, 5}, {112, 4}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        assert_int_equal(whole_at(&row, (size_t)whole[i][0]), whole[i][1]);
    }
    assert_int_equal(code_of(&row), -1);
    assert_int_equal(bytes[64], 1);
    assert_string_equal(bytes + 80, "selective");
    assert_string_equal(bytes + 92, "interleaved");
    df_store_strategy back;
    assert_true(df_strategy_from_row(&row, &back));
    assert_memory_equal(&back.strategy, &s, sizeof s);
}

/* What LLMs alone have is 0 there, and words are empty. */
static void kernels_become_a_row_and_back(void **state)
{
    (void)state;
    const df_strategy s = kernels();
    const df_strategy_row row = row_of(&s);
    const unsigned char *const bytes = (const unsigned char *)&row;
    static const int64_t whole[][2] = {{8, 8}, {16, 3}, {24, 2}, {32, 4}};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        assert_int_equal(whole_at(&row, (size_t)whole[i][0]), whole[i][1]);
    }
    assert_int_equal(code_of(&row), 2);
    for (size_t at = 40; at < 120; at++) {
        assert_int_equal(bytes[at], 0);
    }
    df_store_strategy back;
    assert_true(df_strategy_from_row(&row, &back));
    assert_memory_equal(&back.strategy, &s, sizeof s);
}

static void unknown_words_are_refused(void **state)
{
    (void)state;
    const df_strategy s = llm();
    df_store_strategy back;
    df_strategy_row row = row_of(&s);
    ((char *)&row)[92] = 'x'; /* "xnterleaved" */
    assert_false(df_strategy_from_row(&row, &back));
    row = row_of(&s);
    memset((char *)&row + 80, 0, 12); /* recompute of an LLM */
    assert_false(df_strategy_from_row(&row, &back));
    row = row_of(&s);
    memset((char *)&row + 4, 0, 4); /* a kp_type of 0 */
    assert_false(df_strategy_from_row(&row, &back));
}

/* A column that the file lacks is 0 in the row. */
static void a_missing_degree_is_1(void **state)
{
    (void)state;
    df_strategy s = llm();
    df_store_strategy back;
    df_strategy_row row = row_of(&s);
    memset((char *)&row + 48, 0, 8);
    assert_true(df_strategy_from_row(&row, &back));
    s.cp = 1;
    assert_memory_equal(&back.strategy, &s, sizeof s);
    memset((char *)&row + 112, 0, 8); /* files of version 0.1.0 have no ep */
    assert_true(df_strategy_from_row(&row, &back));
    s.ep = 1;
    assert_memory_equal(&back.strategy, &s, sizeof s);
}

/* ---- Names and configurations ---- */

static void names_are_made_of_terms(void **state)
{
    (void)state;
    char name[DF_STRATEGY_NAME];
    df_strategy s = llm();
    assert_int_equal(df_strategy_name(&s, name, sizeof name), 38);
    assert_string_equal(name, "t4-c2-d8-l16-m32-sp-z3-selective-v5-e4");
    s.schedule = DF_ORDER_1F1B;
    s.tp_sp = false;
    s.recompute = DF_RECOMPUTE_FULL;
    df_strategy_name(&s, name, sizeof name);
    assert_string_equal(name, "t4-c2-d8-l16-m32-z3-full-1f1b-e4");
    df_strategy_init(&s, DF_STRATEGY_LLM);
    df_strategy_name(&s, name, sizeof name);
    assert_string_equal(name, "t1-c1-d1-l1-m1");
    s = kernels();
    df_strategy_name(&s, name, sizeof name);
    assert_string_equal(name, "RC-k2-k4-d8-l3");
    s.kp_type = DF_KP_NONE;
    assert_int_equal(df_strategy_name(&s, name, 8), 16);
    assert_string_equal(name, "none-k2");
}

static void an_llm_is_written_into_a_configuration(void **state)
{
    (void)state;
    const df_strategy s = llm();
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.sched.kp1 = 77; /* not an LLM's */
    df_strategy_apply(&s, &cfg);
    assert_true(cfg.sched.dp == 8 && cfg.sched.lp == 16 && cfg.sched.tp == 4 && cfg.sched.cp == 2);
    assert_true(cfg.sched.mb == 32 && cfg.sched.tp_sp && cfg.sched.virtual_stages == 5);
    assert_int_equal(cfg.sched.recompute, DF_RECOMPUTE_SELECTIVE);
    assert_int_equal(cfg.sched.schedule, DF_ORDER_INTERLEAVED);
    assert_int_equal(cfg.sw.dp_zero_stage, 3);
    assert_true(cfg.sched.kp1 == 77 && cfg.sched.kp2 == 0 && cfg.sched.t == DF_T_NONE);
}

static void kernels_are_written_into_a_configuration(void **state)
{
    (void)state;
    const df_strategy s = kernels();
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.sched.tp = 77; /* not a kernel's */
    df_strategy_apply(&s, &cfg);
    assert_true(cfg.sched.dp == 8 && cfg.sched.lp == 3 && cfg.sched.kp1 == 2 && cfg.sched.kp2 == 4);
    assert_true(cfg.sched.tp == 77 && cfg.sched.cp == 0 && cfg.sched.mb == 0);
    assert_int_equal(cfg.sched.t, DF_T_RC);
    for (int part = 0; part < DF_PARTS; part++) {
        assert_int_equal(cfg.sched.kp_type[part], DF_KP_RC);
        assert_int_equal(cfg.sched.kp_dim1[part], 2);
        assert_int_equal(cfg.sched.kp_dim2[part], 4);
    }
}

static void words_stand_for_axes(void **state)
{
    (void)state;
    assert_string_equal(df_axis_name_of("pp"), "lp");
    assert_string_equal(df_axis_name_of("pp_inter"), "lp_inter");
    assert_string_equal(df_axis_name_of("lp"), "lp");
    assert_string_equal(df_axis_name_of("ppp"), "ppp");
    assert_string_equal(df_axis_name_of("p"), "p");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_have_two_orders),
        cmocka_unit_test(values_are_set_and_got),
        cmocka_unit_test(presets_and_absent_values),
        cmocka_unit_test(settling_drops_what_has_no_use),
        cmocka_unit_test(layouts_place_four_axes),
        cmocka_unit_test(columns_are_those_of_the_files),
        cmocka_unit_test(an_llm_becomes_a_row_and_back),
        cmocka_unit_test(kernels_become_a_row_and_back),
        cmocka_unit_test(unknown_words_are_refused),
        cmocka_unit_test(a_missing_degree_is_1),
        cmocka_unit_test(names_are_made_of_terms),
        cmocka_unit_test(an_llm_is_written_into_a_configuration),
        cmocka_unit_test(kernels_are_written_into_a_configuration),
        cmocka_unit_test(words_stand_for_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
