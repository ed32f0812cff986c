/* What the YAML files say arrives in df_cfg: units, defaults, short forms. */
#include <stdlib.h>
#include <string.h>

#include "config/cfg.h"
#include "support/support.h"

#define GIB 1073741824.0

typedef struct {
    char *hardware, *model;
} texts;

static int setup(void **state)
{
    texts *t = malloc(sizeof *t);
    assert_non_null(t);
    t->hardware = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    t->model = df_read_file(DF_TEST_DATA "/data/lstm.yaml");
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    texts *t = *state;
    free(t->hardware);
    free(t->model);
    free(t);
    return 0;
}

/* text with the first `from` replaced; the caller frees it. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    const size_t room = strlen(text) + strlen(to) + 1;
    char *result = malloc(room);
    assert_non_null(result);
    snprintf(result, room, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return result;
}

static df_cfg parse(const char *hardware, const char *model)
{
    const df_cfg_text hw = {hardware, "hw"};
    const df_cfg_text mdl = {model, "model"};
    const unsigned need = model ? DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL : DF_CFG_NEED_HARDWARE;
    df_cfg cfg;
    df_err err;
    if (df_cfg_parse(&hw, model ? &mdl : NULL, need, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static df_cfg parse_changed(const texts *t, const char *from, const char *to)
{
    char *hardware = replaced(t->hardware, from, to);
    const df_cfg cfg = parse(hardware, t->model);
    free(hardware);
    return cfg;
}

static void assert_same(const df_cfg *a, const df_cfg *b)
{
    /* read into zeroed memory, padding and all
     * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
    assert_int_equal(memcmp(a, b, sizeof *a), 0);
}

static void values_arrive(void **state)
{
    const texts *t = *state;
    const df_cfg cfg = parse(t->hardware, t->model);
    df_assert_rel(cfg.sw.kernel_launch_overhead_s, 9e-6, 0);
    df_assert_rel(cfg.sw.precision.tensor_bytes, 2, 0);
    assert_int_equal(cfg.tech.core.num_bundles, 64);
    assert_int_equal(cfg.tech.core.dataflow, DF_FLOW_BEST);
    df_assert_rel(cfg.tech.core.util, 0.8, 0);
    assert_int_equal(cfg.level[1].type, DF_MEM_SRAM_L1);
    assert_int_equal(cfg.level[1].scope, DF_SCOPE_MCU_BUNDLE);
    assert_int_equal(df_cfg_workers(&cfg), 4);
    assert_int_equal(cfg.sched.dp, 4);
    assert_int_equal(cfg.mode, DF_MODE_LSTM);
    assert_int_equal(cfg.lstm.layer_size, 1024);
    assert_true(cfg.has_model);
    assert_false(cfg.has_breakdown);
}

static void units_are_powers_of_1024(void **state)
{
    const texts *t = *state;
    const df_cfg cfg = parse(t->hardware, t->model);
    df_assert_rel(cfg.tech.dram.size_bytes, 40 * GIB, 0);
    df_assert_rel(cfg.tech.dram.bandwidth_bytes_ps, 1000 * GIB, 0);
    df_assert_rel(cfg.tech.sram[DF_MEM_SRAM_L1].size_bytes, 12288 * 1024.0, 0);
    df_assert_rel(cfg.tech.sram[DF_MEM_SRAM_R].bandwidth_bytes_ps, 80 * 1024 * GIB, 0);
    df_assert_rel(cfg.tech.intra.bandwidth_bytes_ps, 400 * GIB / 8, 0); /* bits */
}

static void units_have_many_spellings(void **state)
{
    static const struct {
        const char *text;
        double bytes;
    } cases[] = {
        {"size: 40GB", 40 * GIB},
        {"size: 40 GiB", 40 * GIB},
        {"size: 0.5 TB", 512 * GIB},
        {"size: 8000 Mb", 8000.0 / 8 * 1048576},
        {"size: 4096", 4096},
        {"size: 4096 B", 4096},
        {"size: 2e3 KB", 2000 * 1024.0},
        {"size: \"3 GB\"", 3 * GIB},
        {"size: 1.5 TB", 1536 * GIB},
        {"size: 40 G", 40 * GIB},
        {"size: 64 kB", 65536},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const df_cfg cfg = parse_changed(*state, "size: 40 GB", cases[i].text);
        df_assert_rel(cfg.tech.dram.size_bytes, cases[i].bytes, 0);
    }
    const df_cfg cfg = parse_changed(*state, "bandwidth: 1000 GiB", "bandwidth: 7 GB/s");
    df_assert_rel(cfg.tech.dram.bandwidth_bytes_ps, 7 * GIB, 0);
}

static void words_have_many_spellings(void **state)
{
    static const struct {
        const char *text;
        df_dataflow flow;
    } flows[] = {{"dataflow: WST", DF_FLOW_WST},
                 {"dataflow: ws", DF_FLOW_WST},
                 {"dataflow: As", DF_FLOW_AST},
                 {"dataflow: os", DF_FLOW_OST}};
    for (size_t i = 0; i < sizeof flows / sizeof flows[0]; i++) {
        assert_int_equal(parse_changed(*state, "dataflow: best", flows[i].text).tech.core.dataflow,
                         flows[i].flow);
    }
    const df_cfg cfg = parse_changed(*state, "scheduling_param:",
                                     "execution_backend:\n  astra:\n    collectives:\n"
                                     "      all_reduce: oneHalvingDoubling\n"
                                     "      all_gather: oneRing\n"
                                     "      all_to_all: oneDirect\n"
                                     "      reduce_scatter: direct4\n"
                                     "scheduling_param:");
    assert_int_equal(cfg.backend.all_reduce, DF_ALGO_HALVING_DOUBLING);
    assert_int_equal(cfg.backend.all_gather, DF_ALGO_RING);
    assert_int_equal(cfg.backend.all_to_all, DF_ALGO_DIRECT);
    assert_int_equal(cfg.backend.reduce_scatter, DF_ALGO_DIRECT_OF + 4);
}

/* The simulator's mode may be that of no simulation; one that nobody knows counts as hybrid,
 * with a warning where it matters. */
static void unknown_simulator_modes_are_hybrid(void **state)
{
    static const struct {
        const char *model, *mode, *name;
        const char *warning; /* after FILE:LINE */
    } cases[] = {
        {"astra", "hybrid", "hybrid", NULL},
        {"astra", "FULL_astrasim_Flattened", "full_astrasim_flattened", NULL},
        {"astra", "analytical", "analytical", NULL},
        {"analytical", "hybrid", "analytical", NULL},
        {"analytical", "hybryd", "analytical", NULL},
        {"astra", "hybryd", "hybrid",
         ": execution_backend.astra.mode: expected hybrid, full_astrasim_hierarchical, "
         "full_astrasim_flattened or analytical (did you mean hybrid?), found hybryd; hybrid is "
         "used"},
    };
    const texts *t = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char backend[256];
        df_cfg cfg;
        df_err err;
        snprintf(backend, sizeof backend,
                 "execution_backend:\n  model: %s\n  astra:\n    mode: %s\nscheduling_param:",
                 cases[i].model, cases[i].mode);
        char *hardware = replaced(t->hardware, "scheduling_param:", backend);
        assert_int_equal(df_cfg_parse(&(df_cfg_text){hardware, "hardware"},
                                      &(df_cfg_text){t->model, "model"},
                                      DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, &err),
                         DF_OK);
        assert_string_equal(df_backend_name(&cfg.backend), cases[i].name);
        assert_int_equal(df_backend_simulates(&cfg.backend),
                         strcmp(cases[i].name, "analytical") != 0);
        assert_string_equal(cases[i].warning ? strstr(err.text, ": execution") : err.text,
                            cases[i].warning ? cases[i].warning : "");
        free(hardware);
    }
}

/* The value of a rate stays in powers of 1024; who did not write Gi is told, of the first rate. */
static void rates_in_powers_of_1024_are_remarked(void **state)
{
    static const struct {
        const char *text;
        double bytes_ps;
        const char *remark; /* after "FILE:LINE: KEY: " */
    } cases[] = {
        {"3350 GB", 3350 * GIB,
         "\"3350 GB\" is 3350 * 2^30 bytes/s; write 3350e9 for the GB of a data sheet"},
        {"3.35TB/s", 3.35 * 1024 * GIB,
         "\"3.35TB/s\" is 3.35 * 2^40 bytes/s; write 3.35e12 for the TB/s of a data sheet"},
        {"400 Gb", 50 * GIB,
         "\"400 Gb\" is 400 * 2^30 / 8 bytes/s; write 50e9 for the Gb of a data sheet"},
        {"3350 GiB", 3350 * GIB, ""},
        {"3350e9", 3350e9, ""},
        {"3350e9 B/s", 3350e9, ""},
    };
    const texts *t = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const char place[] = "hardware:24: tech_param.DRAM.bandwidth: ";
        char line[64];
        char expected[256] = "";
        df_cfg cfg;
        df_err err;
        snprintf(line, sizeof line, "bandwidth: %s", cases[i].text);
        char *hardware = replaced(t->hardware, "bandwidth: 1000 GiB", line);
        assert_int_equal(df_cfg_parse(&(df_cfg_text){hardware, "hardware"}, NULL,
                                      DF_CFG_NEED_HARDWARE, &cfg, &err),
                         DF_OK);
        if (cases[i].remark[0] != '\0') {
            snprintf(expected, sizeof expected, "%s%s", place, cases[i].remark);
        }
        assert_string_equal(err.text, expected);
        df_assert_rel(cfg.tech.dram.bandwidth_bytes_ps, cases[i].bytes_ps, 1e-15);
        free(hardware);
    }
}

/* Without breakdowns and technology the Python DeepFlow takes these values. */
static void absent_values_have_defaults(void **state)
{
    const texts *t = *state;
    const df_cfg cfg = parse(t->hardware, t->model);
    df_assert_rel(cfg.area.chip_mm2, 1, 0);
    df_assert_rel(cfg.area.of.intra, 1, 0);
    df_assert_rel(cfg.power.tdp_w, 1, 0);
    df_assert_rel(cfg.perimeter.dram, 0.1, 0);
    df_assert_rel(cfg.tech.dram.stack_capacity_bytes, 0.1, 0);
    df_assert_rel(cfg.tech.inter.num_links_per_mm, 1, 0);
    df_assert_rel(cfg.tech.dram.nominal_frequency_hz, 0, 0);
    df_assert_rel(cfg.system.intra_derate, 1, 0);
    assert_int_equal(cfg.sched.kp_type[DF_PART_HIDDEN], DF_KP_NONE);
    assert_int_equal(cfg.lstm.num_add, 8);
    df_assert_rel(cfg.lstm.data_scale, 1, 0);
}

/* Without a key of its own, context parallelism has the network of tensor parallelism. */
static void context_follows_tensor(void **state)
{
    static const struct {
        const char *keys;
        bool tensor, context;
    } cases[] = {
        {"lp_inter: false", false, false},
        {"lp_inter: false\n  tp_inter: true", true, true},
        {"lp_inter: false\n  tp_inter: true\n  cp_inter: null", true, true},
        {"lp_inter: false\n  tp_inter: true\n  cp_inter: false", true, false},
        {"lp_inter: false\n  cp_inter: true", false, true},
        {"cp_inter: false\n  lp_inter: false\n  tp_inter: true", true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const df_cfg cfg = parse_changed(*state, "lp_inter: false", cases[i].keys);
        assert_int_equal(cfg.system.tp_inter, cases[i].tensor);
        assert_int_equal(cfg.system.cp_inter, cases[i].context);
    }
}

/* Each alias in the table of axes is a word for the axis's two keys, and both words may stand. */
static void axes_have_aliases(void **state)
{
    for (int axis = 0; axis < DF_AXES; axis++) {
        const df_axis_row *const row = &df_axis_table[axis];
        char from[64];
        char to[128];
        if (!row->alias) {
            continue;
        }
        snprintf(from, sizeof from, "%s_inter: false", row->name);
        snprintf(to, sizeof to, "%s_inter: true", row->alias);
        assert_true(parse_changed(*state, from, to).system.inter[axis]);
        snprintf(from, sizeof from, "  dp: 4\n  %s: 1", row->name);
        snprintf(to, sizeof to, "  dp: 1\n  %s: 4", row->alias);
        const df_cfg alone = parse_changed(*state, from, to);
        assert_int_equal(alone.sched.degree[axis], 4);
        snprintf(to, sizeof to, "  dp: 1\n  %s: 4\n  %s: 4", row->alias, row->name);
        const df_cfg both = parse_changed(*state, from, to);
        assert_int_equal(both.sched.degree[axis], 4);
    }
}

/* Checked, and not kept: nothing differs. */
static void experts_may_have_a_degree_of_1(void **state)
{
    const texts *t = *state;
    const df_cfg without = parse(t->hardware, t->model);
    const df_cfg degree = parse_changed(t, "lp: 1", "lp: 1\n  ep: 1");
    const df_cfg link = parse_changed(t, "lp_inter: false", "lp_inter: false\n  ep_inter: true");
    assert_same(&without, &degree);
    assert_same(&without, &link);
}

static void precision_may_be_short(void **state)
{
    const df_cfg cfg = parse_changed(*state,
                                     "  precision:\n"
                                     "    tensor_format: fp16\n"
                                     "    mixed_precision: false\n"
                                     "    param_storage_mode: as_tensor_format\n"
                                     "    kv_cache: as_tensor_format\n",
                                     "  precision: FP32\n");
    df_assert_rel(cfg.sw.precision.tensor_bytes, 4, 0);
    const df_cfg number = parse_changed(*state, "tensor_format: fp16", "tensor_format: 1.5");
    df_assert_rel(number.sw.precision.tensor_bytes, 1.5, 0);
}

static void null_is_not_given(void **state)
{
    const df_cfg cfg = parse_changed(*state, "kp1: 1", "kp1: null");
    assert_int_equal(cfg.sched.kp1, 0);
    const df_cfg none = parse_changed(*state, "t: none", "t: ~");
    assert_int_equal(none.sched.t, DF_T_NONE);
}

static void one_combined_file_is_enough(void **state)
{
    const texts *t = *state;
    const size_t room = strlen(t->hardware) + strlen(t->model) + 1;
    char *both = malloc(room);
    assert_non_null(both);
    snprintf(both, room, "%s%s", t->model, t->hardware);
    const df_cfg cfg = parse(both, NULL);
    assert_true(cfg.has_model);
    assert_int_equal(cfg.lstm.vocab_size, 20000);
    assert_int_equal(cfg.tech.core.num_bundles, 64);
    free(both);
}

/* A device is derived without a model, whatever the degrees. */
static void hardware_alone_is_enough(void **state)
{
    const texts *t = *state;
    char *hardware = replaced(t->hardware, "dp: 4", "dp: 3");
    const df_cfg cfg = parse(hardware, NULL);
    assert_false(cfg.has_model);
    free(hardware);
}

static void examples_load(void **state)
{
    (void)state;
    static const char *const hardware[] = {
        DF_CONFIGS "/hardware/a100_80gb.yaml",           DF_CONFIGS "/hardware/h100_sxm.yaml",
        DF_CONFIGS "/hardware/v100_16gb.yaml",           DF_CONFIGS "/hardware/p4.yaml",
        DF_CONFIGS "/hardware/wafer_20v100.yaml",        DF_CONFIGS "/hardware/detailed_2023.yaml",
        DF_CONFIGS "/hardware/variants/interposer.yaml", DF_CONFIGS "/hardware/variants/mcm.yaml",
        DF_CONFIGS "/hardware/variants/hbm_next.yaml",   DF_CONFIGS "/search/lstm_4x4.yaml",
    };
    for (size_t i = 0; i < sizeof hardware / sizeof hardware[0]; i++) {
        df_cfg cfg;
        df_err err;
        if (df_cfg_load(hardware[i], NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
    }
}

/* A file, written from what was read of it. */
static char *written(const df_cfg *cfg)
{
    char *text = NULL;
    size_t length = 0;
    FILE *const out = open_memstream(&text, &length);
    assert_non_null(out);
    df_cfg_write(cfg, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Every number of every example, and of changed ones, survives. */
static void written_files_read_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"/hardware/a100_80gb.yaml", "/model/lstm_2048.yaml"},
        {"/hardware/h100_sxm.yaml", "/model/llama2_7b.yaml"},
        {"/hardware/detailed_2023.yaml", "/model/gemm_4096.yaml"},
        {"/hardware/wafer_20v100.yaml", NULL},
        {"/hardware/variants/mcm.yaml", NULL},
        {"/search/lstm_4x4.yaml", NULL},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char hardware[512];
        char model[512];
        df_cfg cfg;
        snprintf(hardware, sizeof hardware, DF_CONFIGS "%s", pairs[i][0]);
        snprintf(model, sizeof model, DF_CONFIGS "%s", pairs[i][1] ? pairs[i][1] : "");
        df_err err;
        if (df_cfg_load(hardware, pairs[i][1] ? model : NULL,
                        DF_CFG_NEED_HARDWARE | DF_CFG_ANY_DEGREES, &cfg, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
        for (int changed = 0; changed < 3; changed++) {
            char *const text = written(&cfg);
            const df_cfg_text file = {text, "written"};
            df_cfg again;
            if (df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE | DF_CFG_ANY_DEGREES, &again,
                             &err) != DF_OK) {
                fail_msg("%s: %s", pairs[i][0], err.text);
            }
            assert_same(&cfg, &again);
            free(text);
            cfg.tech.core.util = 1.0 / 3;
            cfg.sched.kp_type[DF_PART_SOFTMAX] = DF_KP_RC;
            cfg.backend.all_gather = (df_coll_algo)(DF_ALGO_DIRECT_OF + 12);
            cfg.system.inter_derate = 0.1 + 0.2;
            cfg.system.tp_inter = changed == 0; /* one of both, then the other */
            cfg.system.cp_inter = !cfg.system.tp_inter;
            cfg.system.lp_inter = true;
            cfg.sw.precision.kv_cache_bytes = 1;
            snprintf(cfg.backend.binary, sizeof cfg.backend.binary, "/it's: #here");
        }
    }
}

/* What the device is derived from is written even where it is as large as what is not given. */
static void written_files_hold_what_is_derived_from(void **state)
{
    (void)state;
    const unsigned need = DF_CFG_NEED_HARDWARE | DF_CFG_NEED_FIGURES;
    df_cfg cfg;
    df_cfg again;
    df_err err;
    assert_int_equal(df_cfg_load(DF_CONFIGS "/hardware/detailed_2023.yaml", NULL, need, &cfg, &err),
                     DF_OK);
    cfg.tech.sram[DF_MEM_SRAM_L2].overhead = DF_CFG_ABSENT_J;
    cfg.tech.dram.num_links_per_stack = 1;
    char *const text = written(&cfg);
    const df_cfg_text file = {text, "written"};
    if (df_cfg_parse(&file, NULL, need, &again, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    assert_same(&cfg, &again);
    free(text);
}

static void degrees_are_checked_after_changes(void **state)
{
    const texts *t = *state;
    df_cfg cfg = parse(t->hardware, t->model);
    df_err err;
    assert_int_equal(df_cfg_check(&cfg, &err), DF_OK);
    cfg.sched.kp1 = 2;
    assert_int_equal(df_cfg_check(&cfg, &err), DF_EINVAL);
    assert_string_equal(err.text,
                        "scheduling_param.dp: expected dp * lp * kp1 * kp2 = 4 (num_nodes * "
                        "num_devices_per_node), found 8");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_arrive),
        cmocka_unit_test(units_are_powers_of_1024),
        cmocka_unit_test(units_have_many_spellings),
        cmocka_unit_test(words_have_many_spellings),
        cmocka_unit_test(unknown_simulator_modes_are_hybrid),
        cmocka_unit_test(rates_in_powers_of_1024_are_remarked),
        cmocka_unit_test(absent_values_have_defaults),
        cmocka_unit_test(context_follows_tensor),
        cmocka_unit_test(axes_have_aliases),
        cmocka_unit_test(experts_may_have_a_degree_of_1),
        cmocka_unit_test(precision_may_be_short),
        cmocka_unit_test(null_is_not_given),
        cmocka_unit_test(one_combined_file_is_enough),
        cmocka_unit_test(hardware_alone_is_enough),
        cmocka_unit_test(examples_load),
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(written_files_hold_what_is_derived_from),
        cmocka_unit_test(degrees_are_checked_after_changes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
