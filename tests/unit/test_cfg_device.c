/* What a file takes from the file of a device, and from a cluster by its name. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mt19937.h"
#include "config/cfg.h"
#include "support/support.h"

#define MODEL                                                                                      \
    "model_param: {mode: LLM, run_type: training, model_type: gpt, tied_embeddings: no, "          \
    "num_layers: 12, hidden_dim: 1152, batch_size: 360, seq_len: 72, intermediate_size: 72, "      \
    "vocab_size: 72, num_experts: 1, attention: {attention_type: mha, num_heads: 72}}\n"

static int setup(void **state)
{
    (void)state;
    return setenv("DEEPFLOW_DATA_DIR", DF_CONFIGS "/..", 1);
}

static df_status try_text(const char *text, df_cfg *cfg, df_err *err)
{
    const df_cfg_text file = {text, "file"};
    const unsigned model = strstr(text, "model_param") ? DF_CFG_NEED_MODEL : 0;
    return df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE | model, cfg, err);
}

static df_cfg parse(const char *text)
{
    df_cfg cfg;
    df_err err;
    if (try_text(text, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static void refuse(const char *text, const char *message)
{
    df_cfg cfg;
    df_err err;
    assert_int_equal(try_text(text, &cfg, &err), DF_EINVAL);
    assert_string_equal(err.text, message);
}

/* Whether all numbers are the same, wherever they come from. */
static void assert_same(const df_cfg *a, const df_cfg *b)
{
    df_cfg left;
    df_cfg right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    memset(left.device, 0, sizeof left.device);
    memset(right.device, 0, sizeof right.device);
    left.cluster = right.cluster;
    /* read into zeroed memory, padding and all
     * NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
    assert_int_equal(memcmp(&left, &right, sizeof left), 0);
}

static df_cfg load_shipped(const char *name)
{
    char path[512];
    df_cfg cfg;
    df_err err;
    snprintf(path, sizeof path, DF_CONFIGS "/hardware/%s.yaml", name);
    if (df_cfg_load(path, NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return cfg;
}

static void a_name_stands_for_the_file(void **state)
{
    (void)state;
    const df_cfg named = parse("device: h100_sxm\n");
    const df_cfg shipped = load_shipped("h100_sxm");
    assert_string_equal(named.device, "h100_sxm");
    assert_string_equal(shipped.device, "");
    assert_same(&named, &shipped);
}

static void keys_of_the_file_win(void **state)
{
    (void)state;
    df_cfg expected = load_shipped("h100_sxm");
    const df_cfg cfg = parse("tech_param:\n"
                             "  DRAM: {size: 100 GB}\n"
                             "  network: {inter_node: {latency: 7e-6}}\n"
                             "sw_param: {precision: fp8}\n" /* short for its tensor_format */
                             "scheduling_param: {pp: 2, kp1: null}\n"
                             "system_hierarchy: {num_devices_per_node: 2, pp_inter: true}\n"
                             "power: {base: null}\n"
                             "device: h100_sxm\n");
    expected.tech.dram.size_bytes = 100 * 1024.0 * 1024 * 1024;
    expected.tech.inter.latency_s = 7e-6;
    expected.tech.inter.message_latency_s = 7e-6;
    expected.sw.precision.tensor_bytes = 1;
    expected.sched.lp = 2;
    expected.sched.kp1 = 0; /* null: not given, whatever the device's file says */
    expected.system.num_devices_per_node = 2;
    expected.system.lp_inter = true;
    expected.board.base_w = 0;
    assert_same(&cfg, &expected);
}

static void a_model_file_is_no_matter(void **state)
{
    (void)state;
    const df_cfg_text hardware = {"device: h100_sxm\n", "hardware"};
    const df_cfg_text model = {MODEL, "model"};
    df_cfg two;
    df_err err;
    assert_int_equal(
        df_cfg_parse(&hardware, &model, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &two, &err),
        DF_OK);
    const df_cfg one = parse("device: h100_sxm\n" MODEL);
    assert_same(&one, &two);
    assert_int_equal(one.llm.num_layers, 12);
}

/* A node names its card; files lie beside the one that names them. */
static void files_name_files(void **state)
{
    (void)state;
    char dir[256];
    char path[2][512];
    df_cfg cfg;
    df_err err;
    df_make_dir(dir);
    snprintf(path[0], sizeof path[0], "%s/card.yaml", dir);
    snprintf(path[1], sizeof path[1], "%s/run.yaml", dir);
    df_write_file(path[0], "device: a100_80gb\ntech_param: {DRAM: {size: 60 GB}}\n");
    df_write_file(path[1], "device: ./card.yaml\ntech_param: {core: {util: 0.5}}\n");
    if (df_cfg_load(path[1], NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    df_cfg expected = load_shipped("a100_80gb");
    expected.tech.dram.size_bytes = 60 * 1024.0 * 1024 * 1024;
    expected.tech.core.util = 0.5;
    assert_same(&cfg, &expected);
    df_remove_dir(dir);
}

static void circles_end(void **state)
{
    (void)state;
    char dir[256];
    char path[512];
    char expected[DF_ERR_TEXT];
    df_cfg cfg;
    df_err err;
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/a.yaml", dir);
    df_write_file(path, "\ndevice: ./a.yaml\n");
    assert_int_equal(df_cfg_load(path, NULL, DF_CFG_NEED_HARDWARE, &cfg, &err), DF_EINVAL);
    snprintf(expected, sizeof expected,
             "%s/./a.yaml:2: device: expected at most 3 files of devices that name one another, "
             "found ./a.yaml, too",
             dir);
    assert_string_equal(strstr(err.text, "/./a.yaml:2"), expected + strlen(dir));
    df_remove_dir(dir);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    refuse("\ndevice: h100\n",
           "file:2: device: expected one that `deepflow help devices` lists, or a file such as "
           "./FILE.yaml (did you mean h800, h100_96gb, h100_nvl, h100_pcie, h100_sxm or h100_x8?), "
           "found h100");
    refuse("device: unheard-of\n", "file:1: device: expected one that `deepflow help devices` "
                                   "lists, or a file such as ./FILE.yaml, found unheard-of");
    refuse("device: {}\n",
           "file:1: device: expected a text of fewer than 256 bytes, found a mapping");
    refuse("device: ./none.yaml\n",
           "file:1: device: expected a file, found ./none.yaml: No such file or directory");
    refuse("device: ''\n", "file:1: device: expected one that `deepflow help devices` lists, or a "
                           "file such as ./FILE.yaml, found nothing");
    refuse("device: h100_sxm\ndevice: h200_sxm\n",
           "file:2: device: expected once, found in file:1 too");
    refuse("device: h100_sxm\nscheduling_param: {tp: 2}\n" MODEL,
           "file:2: scheduling_param.dp: expected tp * cp * dp * lp = 1 (num_nodes * "
           "num_devices_per_node), found 2 * 1 * 1 * 1 = 2; tp 1 would fit");
}

/* A device is no model. */
static void devices_have_no_model(void **state)
{
    (void)state;
    char text[600];
    char message[1024];
    snprintf(text, sizeof text, "device: %s/search/lstm_4x4.yaml\n", DF_CONFIGS);
    snprintf(message, sizeof message,
             "model_param: expected no model in a device's file, found one");
    df_cfg cfg;
    df_err err;
    assert_int_equal(try_text(text, &cfg, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, message));
}

static void data_folders_are_missed(void **state)
{
    df_cfg cfg;
    df_err err;
    setenv("DEEPFLOW_DATA_DIR", "/nowhere", 1);
    assert_int_equal(try_text("device: h100_sxm\n", &cfg, &err), DF_EIO);
    assert_string_equal(err.text, "file:1: device: DEEPFLOW_DATA_DIR: expected a folder with "
                                  "configs/hardware, found /nowhere");
    assert_int_equal(setup(state), 0);
}

/* ---- Shipped devices ---- */

typedef struct {
    const char *name;
    double peak_tflops, fp8, fp4, dram_gb_ps, l2_mb, l2_gb_ps, link_gb_ps, dram_gb;
    int like, basis; /* df_arch, df_basis */
    double throttle; /* -1: that of like */
} sheet;

/* Peaks are those of whole flops a cycle, within 0.1 % of the sheet's. */
static void devices_are_as_their_sheets(void **state)
{
    (void)state;
    enum { A = DF_ARCH_A100, H = DF_ARCH_H100, L = DF_ARCH_L40S };
    enum { M = DF_BASIS_MEASURED, S = DF_BASIS_SISTER, R = DF_BASIS_RULE };
    static const sheet sheets[] = {
        {"a100_80gb", 312, 0, 0, 2039, 40, 7219, 300, 80, A, M, 0.05764},
        {"a100_40gb", 312, 0, 0, 1555, 40, 7219, 300, 40, A, S, 0.05764},
        {"a100_pcie", 312, 0, 0, 1935, 40, 7219, 300, 80, A, S, 0.35},
        {"h100_sxm", 989.4, 2.0001, 0, 3350, 50, 9370, 450, 80, H, M, 0.2829},
        {"h100_96gb", 989.4, 2.0001, 0, 2400, 50, 9370, 450, 96, H, S, 0.64},
        {"h100_pcie", 756, 2.0001, 0, 2039, 50, 8294, 300, 80, H, S, 0.2829},
        {"h100_nvl", 835.5, 2.0001, 0, 3938, 50, 9370, 300, 94, H, S, 0.2829},
        {"h200_sxm", 989.4, 2.0001, 0, 4800, 50, 9370, 450, 141, H, S, -1},
        {"h200_nvl", 835.5, 2.0001, 0, 4800, 50, 9370, 450, 141, H, S, 0.2829},
        {"gh200", 989.4, 2.0001, 0, 4000, 50, 9370, 450, 96, H, S, 0.2829},
        {"h800", 989.4, 2.0001, 0, 3350, 50, 9370, 200, 80, H, S, 0.2829},
        {"l40s", 362.05, 2.0246, 0, 864, 96, 5100, 32, 48, L, M, 0.605},
        {"b200_sxm", 2250, 2, 4, 7700, 126, 19000, 900, 180, H, R, -1},
        {"b300_sxm", 2250, 2, 6, 7750, 126, 19000, 900, 288, H, R, 0.1},
        {"gb200", 2450, 2, 4, 8000, 126, 19000, 900, 192, H, R, 0.33},
        {"gb300", 2450, 2, 6, 8000, 126, 19000, 900, 288, H, R, 0.1},
        {"mi300x", 1307.4, 2.0001, 0, 5325, 256, 17200, 448, 192, H, R, 1.2},
        {"mi325x", 1307.4, 2.0001, 0, 6000, 256, 17200, 448, 256, H, R, 0.8},
        {"mi250_gcd", 181, 0, 0, 1638, 8, 3700, 100, 64, H, R, -1},
        {"gaudi2", 432, 2.0023, 0, 2460, 48, 6400, 262, 96, H, R, -1},
        {"tpu_v5p", 459, 2, 0, 2765, 128, 20000, 300, 95, H, R, -1},
        {"tpu_v6e", 918, 2, 0, 1640, 128, 20000, 224, 32, H, R, -1},
        {"tpu_v7", 2307, 2, 0, 7380, 128, 40000, 600, 192, H, R, 0.12},
        {"h100_x8", 989.4, 2.0001, 0, 3350, 50, 9370, 450, 80, H, M, 0.2829},
    };
    for (size_t i = 0; i < sizeof sheets / sizeof sheets[0]; i++) {
        const sheet *const s = &sheets[i];
        const df_cfg cfg = load_shipped(s->name);
        const df_cfg_tech *const t = &cfg.tech;
        df_assert_rel((double)t->core.num_bundles * (double)t->core.num_mcu_per_bundle *
                          t->core.nominal_flop_rate_per_mcu * t->core.operating_frequency_hz,
                      s->peak_tflops * 1e12, 1e-3);
        df_assert_rel(t->core.format_rate[DF_FORMAT_FP8], s->fp8, 0);
        df_assert_rel(t->core.format_rate[DF_FORMAT_NVFP4], s->fp4, 0);
        df_assert_rel(t->dram.bandwidth_bytes_ps, s->dram_gb_ps * 1e9, 0);
        df_assert_rel(t->dram.size_bytes, s->dram_gb * 0x1p30, 0);
        df_assert_rel(t->sram[DF_MEM_SRAM_L2].size_bytes / 1.048576, s->l2_mb * 1e6, 1e-15);
        df_assert_rel(t->sram[DF_MEM_SRAM_L2].bandwidth_bytes_ps, s->l2_gb_ps * 1e9, 0);
        df_assert_rel(t->intra.bandwidth_bytes_ps, s->link_gb_ps * 1e9, 0);
        assert_int_equal(cfg.calibration.like, s->like);
        assert_int_equal(df_cfg_basis(&cfg), s->basis);
        df_assert_rel(cfg.calibration.own.gemm_throttle, s->throttle, 0);
    }
}

/* The constants of the measured cards' files are those of the table of options. */
static void measured_cards_have_the_constants(void **state)
{
    (void)state;
    static const char *const names[DF_ARCHS] = {"a100_80gb", "h100_sxm", "l40s"};
#define VALUE(section, field, key, unit, range, a100, h100, l40s, meaning)                         \
    df_assert_rel(own->section##_##field,                                                          \
                  arch == DF_ARCH_A100   ? (a100)                                                  \
                  : arch == DF_ARCH_H100 ? (h100)                                                  \
                                         : (l40s),                                                 \
                  0);
    for (int arch = 0; arch < DF_ARCHS; arch++) {
        const df_cfg cfg = load_shipped(names[arch]);
        const df_calibration *const own = &cfg.calibration.own;
        DF_CALIBRATION_KEYS(VALUE)
    }
#undef VALUE
}

/* Every shipped file is read, and what is written of it says the same without a device. */
static void shipped_files_read_back(void **state)
{
    (void)state;
    df_cfg_devices list;
    df_err err;
    assert_int_equal(df_cfg_list_devices(&list, &err), DF_OK);
    assert_in_range(list.count, 30, DF_CFG_DEVICES - 1);
    for (int i = 0; i < list.count; i++) {
        const df_cfg cfg = load_shipped(list.name[i]);
        char *text = NULL;
        size_t length = 0;
        FILE *const out = open_memstream(&text, &length);
        assert_non_null(out);
        df_cfg_write(&cfg, out);
        assert_int_equal(fclose(out), 0);
        const df_cfg again = parse(text);
        assert_string_equal(again.device, "");
        assert_same(&cfg, &again);
        free(text);
        assert_true(i == 0 || strcmp(list.name[i - 1], list.name[i]) < 0);
    }
}

/* ---- Clusters ---- */

static void clusters_are_networks(void **state)
{
    (void)state;
    const df_cfg cfg = parse("device: h100_sxm\n"
                             "network: {like: p5_efa}\n"
                             "tech_param: {network: {inter_node: {util: 0.7}}}\n"
                             "scheduling_param: {tp: 8, dp: 6}\n" MODEL);
    assert_int_equal(cfg.system.num_devices_per_node, 8);
    assert_int_equal(cfg.system.num_nodes, 6);
    df_assert_rel(cfg.tech.inter.bandwidth_bytes_ps, 50e9, 0);
    df_assert_rel(cfg.tech.inter.util, 0.7, 0); /* the file's */
    df_assert_rel(cfg.tech.inter.latency_s, 42e-6, 0);
    df_assert_rel(cfg.tech.inter.message_latency_s, 60e-6, 0);
    assert_int_equal(cfg.tech.inter.ports, DF_PORTS_PER_DEVICE);
    assert_true(cfg.tech.inter.shared);
    assert_true(cfg.tech.intra.in_switch); /* the device's */
    df_assert_rel(cfg.tech.intra.bandwidth_bytes_ps, 450e9, 0);
    const df_cfg pairs = parse("device: a100_pcie\nnetwork: {like: uci_pcie}\n"
                               "scheduling_param: {dp: 4}\n" MODEL);
    assert_int_equal(pairs.system.num_devices_per_node, 2);
    assert_int_equal(pairs.system.num_nodes, 2);
    assert_int_equal(pairs.tech.inter.ports, DF_PORTS_POOLED);
}

/* Few devices are one small node; a file's own sizes stay. */
static void nodes_follow_degrees(void **state)
{
    (void)state;
    const df_cfg few = parse("device: h100_x8\nscheduling_param: {tp: 2}\n" MODEL);
    assert_int_equal(few.system.num_devices_per_node, 2);
    assert_int_equal(few.system.num_nodes, 1);
    const df_cfg many = parse("device: h100_x8\nscheduling_param: {dp: 3}\n" MODEL);
    assert_int_equal(many.system.num_devices_per_node, 8);
    assert_int_equal(many.system.num_nodes, 3);
    df_assert_rel(many.tech.inter.latency_s, 10e-6, 0); /* of ib_ndr, not of the card's file */
    const df_cfg own = parse("device: h100_x8\nscheduling_param: {dp: 3}\n"
                             "system_hierarchy: {num_devices_per_node: 4}\n" MODEL);
    assert_int_equal(own.system.num_devices_per_node, 4);
    assert_int_equal(own.system.num_nodes, 6);
    const df_cfg rack = parse("device: gb200_x72\n" MODEL);
    assert_int_equal(rack.system.num_devices_per_node, 72);
    assert_int_equal(rack.system.num_nodes, 1);
    refuse("network: {like: ib}\n", "file:1: network.like: expected dgx_hdr, roce_a100, vtrain, "
                                    "p5_efa, uci_pcie, ib_ndr, ib_xdr, nvl72, nvl72_xdr, torus or "
                                    "pcie4, found ib");
    refuse("device: h100_sxm\nnetwork: {like: ib_ndr}\nscheduling_param: {tp: 6, dp: 2}\n" MODEL,
           "file:3: scheduling_param.dp: expected tp * cp * dp * lp = 16 (num_nodes * "
           "num_devices_per_node), found 6 * 1 * 2 * 1 = 12; tp 8 would fit");
}

/* ---- Whatever else ---- */

/* The answer to files with a byte changed, or cut off, is a message or a configuration. */
static void changed_files_never_crash(void **state)
{
    (void)state;
    enum { TRIES = 2000 };
    static const char good[] = "device: h100_x8 # card\n"
                               "network: {like: ib_xdr}\n"
                               "tech_param: {network: {inter_node: {ports: pooled, util: 0.5}}}\n"
                               "scheduling_param: {tp: 2, kp1: null}\n";
    df_mt19937 random;
    int accepted = 0;
    df_mt_init(&random, 7);
    for (int i = 0; i < TRIES; i++) {
        char text[sizeof good];
        df_cfg cfg;
        df_err err;
        memcpy(text, good, sizeof good);
        const size_t at = df_mt_next(&random) % (sizeof good - 1);
        text[at] = (char)(i % 2 == 0 ? 0 : df_mt_next(&random) & 0x7f);
        const df_status status = try_text(text, &cfg, &err);
        assert_true(status == DF_OK || (status == DF_EINVAL && !strchr(err.text, '\n')));
        accepted += status == DF_OK;
    }
    assert_in_range(accepted, TRIES / 20, TRIES);
}

/* ---- Dimensions ---- */

static void dimensions_stand_for_keys_of_today(void **state)
{
    (void)state;
    const df_cfg list = parse(
        "device: h100_sxm\n"
        "network: {dimensions: [{kind: switch, size: 8},\n"
        "  {kind: ring, size: 4, bandwidth: 12.5e9, util: 0.8, latency: 1e-5, ports: pooled,\n"
        "   message_latency: 2e-5, shared: true, energy_per_bit: 3e-12, in_switch: true}]}\n");
    const df_cfg keys =
        parse("device: h100_sxm\n"
              "system_hierarchy: {num_devices_per_node: 8, num_nodes: 4}\n"
              "network_topology: {intra_node: switch, inter_node: ring}\n"
              "tech_param: {network: {\n"
              "  intra_node: {util: 1, latency: 5e-6},\n"
              "  inter_node: {bandwidth: 12.5e9, util: 0.8, latency: 1e-5, ports: pooled,\n"
              "    message_latency: 2e-5, shared: true, nominal_energy_per_link: 3e-12,\n"
              "    in_switch: true}}}\n");
    assert_same(&list, &keys);
    df_assert_rel(list.tech.intra.bandwidth_bytes_ps, 450e9, 0); /* the device's */
}

/* A list replaces the network of the device's file, which has latencies of its own. */
static void dimensions_replace_the_network_of_a_device(void **state)
{
    (void)state;
    char dir[256];
    char path[2][512];
    df_cfg cfg;
    df_err err;
    df_make_dir(dir);
    snprintf(path[0], sizeof path[0], "%s/card.yaml", dir);
    snprintf(path[1], sizeof path[1], "%s/run.yaml", dir);
    df_write_file(path[0],
                  "device: h100_sxm\ntech_param: {network: {intra_node: {latency: 7e-6, util: 0.5, "
                  "message_latency: 9e-6}, inter_node: {util: 0.25}}}\n"
                  "system_hierarchy: {num_nodes: 3}\n");
    df_write_file(path[1], "device: ./card.yaml\nnetwork: {dimensions: [{size: 2}]}\n");
    if (df_cfg_load(path[1], NULL, DF_CFG_NEED_HARDWARE, &cfg, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(cfg.system.num_devices_per_node == 2 && cfg.system.num_nodes == 1);
    assert_int_equal(cfg.intra_topology, DF_TOPO_SWITCH);
    df_assert_rel(cfg.tech.intra.latency_s, 5e-6, 0);
    df_assert_rel(cfg.tech.intra.message_latency_s, 5e-6, 0);
    df_assert_rel(cfg.tech.intra.util, 1, 0);
    df_assert_rel(cfg.tech.inter.util, 0.25, 0); /* between nodes, of which there is one */
    df_remove_dir(dir);
}

static void odd_dimensions_are_refused(void **state)
{
    (void)state;
    refuse("device: h100_sxm\nnetwork: {dimensions: [{size: 2}, {size: 2}, {size: 2}]}\n",
           "file:2: network.dimensions: expected at most 2 dimensions, which is how many are "
           "understood, found 3");
    refuse("device: h100_sxm\nnetwork: {dimensions: []}\n",
           "file:2: network.dimensions: expected a list such as [{kind: switch, size: 8}], found a "
           "list");
    refuse("device: h100_sxm\nnetwork: {dimensions: [{kind: switch}]}\n",
           "file:2: network.dimensions[0].size: expected a whole number >= 1, found nothing");
    refuse("device: h100_sxm\nnetwork: {dimensions: [{size: 2}, 3]}\n",
           "file:2: network.dimensions[1]: expected a mapping of keys to values, found 3");
    refuse("device: h100_sxm\nnetwork: {dimensions: [{size: 2, util: 2}]}\n",
           "file:2: network.dimensions[0].util: expected a number > 0 and <= 1, found 2");
    refuse("device: h100_sxm\nnetwork: {dimensions: [{size: 2}]}\n"
           "tech_param: {network: {intra_node: {bandwidth: 1e11}}}\n",
           "file:2: network.dimensions: expected them in place of "
           "tech_param.network.intra_node.bandwidth, found both, in line 3 too");
    refuse("system_hierarchy: {num_nodes: 2}\ndevice: h100_sxm\n"
           "network: {dimensions: [{size: 2}, {size: 2}]}\n",
           "file:3: network.dimensions[1].size: expected this or system_hierarchy.num_nodes, found "
           "both, in file:1 too");
    refuse("device: h100_sxm\nnetwork: {like: ib_ndr, dimensions: [{size: 2}]}\n",
           "file:2: network.dimensions: expected them in place of network.like, found both, in "
           "line 2 too");
}

/* A card's switch adds up, unless a user of the card says that there is none; files of cards say
 * ring for the formulas of other rules, which does not count. */
static void a_switch_adds_up_where_there_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        bool adds;
    } cases[] = {{"", true},
                 {"network_topology: {intra_node: switch}\n", true},
                 {"network: {dimensions: [{size: 8}]}\n", true},
                 {"network_topology: {intra_node: ring}\n", false},
                 {"network: {dimensions: [{size: 8, kind: full}]}\n", false},
                 {"network: {dimensions: [{size: 8, in_switch: false}]}\n", false},
                 {"network_topology: {intra_node: ring}\n"
                  "tech_param: {network: {intra_node: {in_switch: true}}}\n",
                  true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "device: h100_sxm\n%s", cases[i].lines);
        const df_cfg cfg = parse(text);
        assert_int_equal(cfg.tech.intra.in_switch, cases[i].adds);
    }
    const df_cfg shipped = load_shipped("h100_sxm");
    assert_true(shipped.tech.intra.in_switch && shipped.intra_topology == DF_TOPO_RING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimensions_stand_for_keys_of_today),
        cmocka_unit_test(dimensions_replace_the_network_of_a_device),
        cmocka_unit_test(odd_dimensions_are_refused),
        cmocka_unit_test(a_switch_adds_up_where_there_is_one),
        cmocka_unit_test(a_name_stands_for_the_file),
        cmocka_unit_test(keys_of_the_file_win),
        cmocka_unit_test(a_model_file_is_no_matter),
        cmocka_unit_test(files_name_files),
        cmocka_unit_test(circles_end),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(devices_have_no_model),
        cmocka_unit_test(data_folders_are_missed),
        cmocka_unit_test(devices_are_as_their_sheets),
        cmocka_unit_test(measured_cards_have_the_constants),
        cmocka_unit_test(shipped_files_read_back),
        cmocka_unit_test(clusters_are_networks),
        cmocka_unit_test(nodes_follow_degrees),
        cmocka_unit_test(changed_files_never_crash),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
