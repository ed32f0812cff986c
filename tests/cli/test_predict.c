/* predict, stand_alone, gemm and device as a user runs them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

#define HARDWARE DF_TEST_DATA "/data/hardware.yaml"
#define LSTM DF_TEST_DATA "/data/lstm.yaml"

/* Adds a word to a command line. */
static void append(char *arguments, size_t bytes, const char *more)
{
    const size_t length = strlen(arguments);
    assert_in_range(snprintf(arguments + length, bytes - length, "%s", more), 1,
                    bytes - length - 1);
}

/* A GEMM model beside the data. */
static void write_gemm(const char *dir, char path[512])
{
    snprintf(path, 512, "%s/gemm.yaml", dir);
    df_write_file(path, "model_param:\n  mode: GEMM\n  M: 512\n  K: 256\n  N: 128\n"
                        "  backward: true\n");
}

static void lstm_json_is_whole(void **state)
{
    (void)state;
    static const char *const parts[] = {"Cf", "Cb", "Sf", "Sb", "Ef", "Eb", "Tf", "Rc", "Rs", "Re"};
    json_t *root = df_program_json("predict --hardware_config " HARDWARE " --model_config " LSTM
                                   " --format json");
    assert_string_equal(json_string_value(json_object_get(root, "mode")), "LSTM");
    assert_string_equal(json_string_value(json_object_get(root, "backend")), "analytical");
    df_assert_rel(df_number(root, "time_s"),
                  df_number(root, "forward_s") + df_number(root, "backward_s"), 1e-15);
    /* V D + (2 D + 1) G D L + (D + 1) V of V = 20000, D = 1024, G = 4, L = 2 */
    df_assert_rel(df_number(root, "params"),
                  20000.0 * 1024 + 2049.0 * 4 * 1024 * 2 + 1025.0 * 20000, 0);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        df_number(json_object_get(root, "components"), parts[i]);
    }
    assert_true(json_is_true(json_object_get(root, "fits")));
    json_decref(root);
}

static void gemm_json_is_whole(void **state)
{
    (void)state;
    char dir[256];
    char model[512];
    char arguments[2048];
    df_make_dir(dir);
    write_gemm(dir, model);
    snprintf(arguments, sizeof arguments,
             "predict --hardware-config=" HARDWARE " --model-config=%s --format=json", model);
    json_t *root = df_program_json(arguments);
    df_assert_rel(df_number(root, "time_s"),
                  df_number(root, "forward_compute_s") + df_number(root, "forward_comm_s") +
                      df_number(root, "backward_compute_s") + df_number(root, "backward_comm_s") +
                      df_number(root, "dp_comm_s"),
                  1e-15);
    assert_true(df_number(root, "dp_comm_s") > 0); /* four replicas */
    assert_true(json_is_true(json_object_get(root, "fits")));
    json_decref(root);
    df_remove_dir(dir);
}

static void text_says_the_same(void **state)
{
    (void)state;
    df_outcome o = df_program("predict --hardware_config " HARDWARE " --model_config " LSTM);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "time of a training step"));
    assert_non_null(strstr(o.out, "memory of a device"));
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
}

static char *summary_of(const char *arguments, const char *path)
{
    df_outcome o = df_program(arguments);
    if (o.exit_code != 0) {
        fail_msg("%s", o.err);
    }
    df_outcome_free(&o);
    return df_read_file(path);
}

static void stand_alone_leaves_a_summary(void **state)
{
    (void)state;
    char dir[256];
    char path[512];
    char arguments[2048];
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "stand_alone --hardware_config " HARDWARE " --model_config " LSTM
             " --exp_dir %s/new/folder",
             dir);
    snprintf(path, sizeof path, "%s/new/folder/summary_LSTM.txt", dir);
    char *text = summary_of(arguments, path);
    json_t *root = df_program_json("predict --hardware_config " HARDWARE " --model_config " LSTM
                                   " --format json");
    /* eight decimals, as the Python DeepFlow prints it */
    assert_true(fabs(df_line_value(text, "Time") - df_number(root, "time_s")) <= 0.5e-8);
    assert_true(fabs(df_line_value(text, "Params (Billion)") - df_number(root, "params") / 1e9) <=
                0.5e-8);
    df_assert_rel(df_line_value(text, "L3 Size"), 40, 0);
    /* the rate follows the parts of the model, the kinds of memory come last */
    const char *rate = strstr(text, "Per Model Shard/ Memory capacity per node): 0.");
    assert_non_null(rate);
    assert_non_null(strstr(rate, "Weight Memory: "));
    json_decref(root);
    free(text);
    df_remove_dir(dir);
}

/* The reference takes the reduction off a backward time that does not have it. */
static void gemm_summary_subtracts_dp(void **state)
{
    (void)state;
    char dir[256];
    char model[512];
    char path[512];
    char arguments[2048];
    double compute_s[2];
    double reduction_s = 0;
    df_make_dir(dir);
    write_gemm(dir, model);
    snprintf(path, sizeof path, "%s/summary_modeGEMM_M512_K256_N128.txt", dir);
    for (int corrected = 0; corrected < 2; corrected++) {
        snprintf(arguments, sizeof arguments,
                 "predict --hardware_config " HARDWARE " --model_config %s --exp_dir %s --rules "
                 "reference,gemm_summary_subtracts_dp=%s",
                 model, dir, corrected ? "corrected" : "reference");
        char *text = summary_of(arguments, path);
        compute_s[corrected] = df_line_value(text, "Backward Compute Time");
        reduction_s = df_line_value(text, "DP Reduction Time");
        free(text);
    }
    df_assert_rel(compute_s[1] - compute_s[0], reduction_s, 1e-12);
    df_remove_dir(dir);
}

/* ---- Warnings and errors ---- */

/* A layer of 65,536 needs more than the 40 GB of a device. */
static void a_model_that_does_not_fit_is_warned_about(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments, "%s/large.yaml", dir);
    df_write_file(arguments, "model_param:\n  mode: LSTM\n  batch_size: 64\n  vocab_size: 20000\n"
                             "  num_layers: 2\n  layer_size: 65536\n  projection: 0\n"
                             "  seq_len: 10\n  num_gates: 4\n");
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config " HARDWARE " --model_config %s/large.yaml --format json",
             dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "deepflow: warning: the model does not fit"));
    assert_non_null(strstr(o.out, "\"fits\": false"));
    df_outcome_free(&o);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config " HARDWARE
             " --model_config %s/large.yaml --format json --ignore_memory",
             dir);
    o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
    df_remove_dir(dir);
}

static void device_tells_its_limits(void **state)
{
    (void)state;
    const char *const detailed = DF_CONFIGS "/hardware/detailed_2023.yaml";
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "device --hardware_config %s --format json", detailed);
    json_t *root = df_program_json(arguments);
    const json_t *core = json_object_get(root, "core");
    const json_t *memory = json_object_get(root, "memory");
    assert_int_equal(json_array_size(memory), 4);
    assert_string_equal(json_string_value(json_object_get(core, "count_limit")), "area");
    assert_true(df_number(core, "throughput") > 0);
    assert_true(df_number(json_array_get(memory, 3), "num_stacks") > 0);
    df_number(json_object_get(json_object_get(root, "network"), "intra"), "num_links");
    json_decref(root);
    snprintf(arguments, sizeof arguments, "device --hardware_config %s", detailed);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "SRAM-L2"));
    assert_non_null(strstr(o.out, "limit: power"));
    /* 4 stacks of 4 GB, which a file counts in powers of 1024, and a rate in powers of 1000 */
    assert_non_null(strstr(o.out, " 16 GiB  area "));
    assert_non_null(strstr(o.out, " 992.9 GB/s  capacity "));
    df_outcome_free(&o);
}

/* What stands on stderr when `deepflow COMMAND` ends well, with FILE as the hardware file. */
static void assert_remarks(const char *command, const char *remark)
{
    df_outcome o = df_program(command);
    assert_int_equal(o.exit_code, 0);
    assert_string_equal(o.err, remark);
    df_outcome_free(&o);
}

/* The file of the test with 1000 GB instead of 1000 GiB; and no file that comes along has such. */
static void bandwidths_in_powers_of_1024_are_remarked(void **state)
{
    (void)state;
    static const char remark[] =
        "deepflow: warning: %s/hw.yaml:24: tech_param.DRAM.bandwidth: \"1000 GB\" is 1000 * 2^30 "
        "bytes/s; write 1000e9 for the GB of a data sheet\n";
    char dir[256];
    char command[1024];
    char expected[512];
    char *err;
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command, "sed 's/1000 GiB/1000 GB/' " HARDWARE " >%s/hw.yaml", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(expected, sizeof expected, remark, dir);
    snprintf(command, sizeof command, "device --hardware_config %s/hw.yaml", dir);
    assert_remarks(command, expected);
    snprintf(command, sizeof command, "gemm --hardware_config %s/hw.yaml --m 8 --k 8 --n 8", dir);
    assert_remarks(command, expected);
    df_remove_dir(dir);
    df_run("for file in " DF_CONFIGS "/hardware/*.yaml " DF_CONFIGS "/hardware/variants/*.yaml; do "
           "'" DF_BIN "' device --hardware_config $file || exit; done",
           &exit_code, NULL, &err);
    assert_int_equal(exit_code, 0);
    assert_string_equal(err, "");
    free(err);
}

/* What users wrote in other units than those of the file: the time is that of the value all the
 * same. The Python DeepFlow says nothing. */
static void values_that_no_hardware_has_are_remarked(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *remark;
    } cases[] = {
        {"tech_param: {core: {operating_frequency: 1830}}",
         ":2: tech_param.core.operating_frequency: no hardware has so little: usual is 1e+07 Hz or "
         "more, found 1830\n"},
        {"tech_param: {DRAM: {bandwidth: 3350}, network: {intra_node: {bandwidth: 1e6}}}",
         ":2: tech_param.DRAM.bandwidth: no hardware has so little: usual is 1e+09 bytes/s or "
         "more, "
         "found 3350\n"},
        {"tech_param: {network: {intra_node: {bandwidth: 450e12}}}",
         ":2: tech_param.network.intra_node.bandwidth: usual is no more than the device's memory "
         "has, 3.35e+12 bytes/s, found 4.5e+14\n"},
        {"tech_param: {network: {inter_node: {bandwidth: 3.4e12, latency: 5}}}",
         ":2: tech_param.network.inter_node.latency: no hardware has so much: usual is 0.01 s or "
         "less, found 5\n"},
        {"tech_param: {DRAM: {size: 80}}",
         ":2: tech_param.DRAM.size: no hardware has so little: usual is 1000 bytes or more, found "
         "80\n"},
    };
    static const char *const rules[] = {"corrected", "calibrated", "reference"};
    char dir[256];
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] * 3; i++) {
        const bool silent = i % 3 == 2;
        char path[512];
        char text[1024];
        snprintf(path, sizeof path, "%s/hw.yaml", dir);
        snprintf(text, sizeof text, "device: h100_sxm\n%s\n", cases[i / 3].lines);
        df_write_file(path, text);
        snprintf(text, sizeof text, "gemm --hardware_config %s --m 8 --k 8 --n 8 --rules %s", path,
                 rules[i % 3]);
        df_outcome o = df_program(text);
        assert_int_equal(o.exit_code, 0);
        snprintf(text, sizeof text, "deepflow: warning: %s%s", path, cases[i / 3].remark);
        const char *const found = strstr(o.err, text);
        assert_true(silent ? o.err[0] == '\0' : found && !strstr(found + 1, text));
        df_outcome_free(&o);
    }
    df_remove_dir(dir);
}

static void assert_null_at(const json_t *object, const char *key)
{
    if (!json_is_null(json_object_get(object, key))) {
        fail_msg("expected null for %s", key);
    }
}

/* A data sheet gives no capacity of a bank or a stack, no voltages and no perimeter. */
static void what_a_data_sheet_leaves_out_is_not_made_up(void **state)
{
    (void)state;
#define B200 "device --hardware_config " DF_CONFIGS "/hardware/b200_sxm.yaml"
    json_t *const root = df_program_json(B200 " --format json");
    const json_t *const memory = json_object_get(root, "memory");
    const json_t *const intra = json_object_get(json_object_get(root, "network"), "intra");
    assert_null_at(json_object_get(root, "core"), "operating_voltage");
    df_assert_rel(df_number(json_object_get(root, "core"), "operating_freq"), 1.856e9, 0);
    for (size_t level = 0; level < 4; level++) {
        const json_t *const mem = json_array_get(memory, level);
        assert_null_at(mem, level == 3 ? "num_stacks" : "num_banks");
        assert_null_at(mem, level == 3 ? "stack_bw" : "bank_bw");
    }
    assert_null_at(json_array_get(memory, 3), "num_links");
    assert_null_at(json_array_get(memory, 3), "operating_voltage");
    assert_null_at(intra, "num_links");
    assert_null_at(intra, "operating_voltage");
    df_assert_rel(df_number(intra, "throughput"), 900e9, 0);
    json_decref(root);
    df_outcome o = df_program(B200);
    assert_null(strstr(o.out, " V (limit"));
    assert_null(strstr(o.out, "1932735283199"));
    assert_non_null(strstr(o.out, "intra      -  "));
    df_outcome_free(&o);
#undef B200
}

static void gemm_tells_tiles_and_traffic(void **state)
{
    (void)state;
#define GEMM "gemm --hardware_config " HARDWARE " --m 100 --k 200 --n 300 --rules corrected"
    json_t *root = df_program_json(GEMM " --format json");
    df_assert_rel(df_number(root, "flops"), 100.0 * 300 * (2 * 200 - 1), 0);
    assert_true(df_number(root, "time_s") > 9e-6); /* the launch alone */
    assert_true(df_number(root, "l2_m") <= 100 &&
                df_number(root, "l1_m") <= df_number(root, "l2_m"));
    assert_true(df_number(root, "acc_sys") >= df_number(root, "acc_dram"));
    json_decref(root);
    df_outcome o = df_program(GEMM);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "inner loop  along "));
    df_outcome_free(&o);
#undef GEMM
}

/* A line of tests/golden/kernels.csv, which another implementation wrote: 28.994 ms with nothing in
 * the L2, where the peak alone, which the corrected rules reach, takes 23.2. The file has 311.9
 * Tflop/s, the line 312. */
static void measured_gemms_are_the_default(void **state)
{
    (void)state;
#define GEMM                                                                                       \
    "gemm --hardware_config " DF_CONFIGS "/hardware/a100_80gb.yaml --m 9457 --k 22778 --n 16803"
    json_t *const root = df_program_json(GEMM " --format json");
    df_assert_rel(df_number(root, "time_s"), 0.02899434893555915, 5e-4);
    assert_string_equal(json_string_value(json_object_get(root, "rules")), "calibrated");
    json_decref(root);
    df_outcome o = df_program(GEMM);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "kernels measured on this card (a100)\n"));
    df_outcome_free(&o);
#undef GEMM
}

/* Without --rules, byte for byte what --rules calibrated prints; and JSON says so. */
static void the_default_is_calibrated(void **state)
{
    (void)state;
#define DEVICE " --hardware_config " DF_CONFIGS "/hardware/a100_80gb.yaml"
#define MODELS " --model_config " DF_CONFIGS "/model"
    static const char *const commands[] = {
        "predict" DEVICE MODELS "/gemm_4096.yaml",
        "predict" DEVICE MODELS "/lstm_2048.yaml",
        "predict" DEVICE MODELS "/llama2_7b.yaml --ignore_memory",
        "predict" DEVICE MODELS "/qwen2.5_3b_long.yaml",
        "stand_alone --exp_config " DF_CONFIGS "/search/lstm_4x4.yaml",
        "gemm" DEVICE " --m 64 --k 4096 --n 512",
        "device" DEVICE,
        "strategies --wafer_dim 2",
    };
#undef DEVICE
#undef MODELS
    static const char *const formats[] = {"text", "json"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        for (size_t k = 0; k < 2; k++) {
            char arguments[1024];
            snprintf(arguments, sizeof arguments, "%s --format %s", commands[i], formats[k]);
            df_outcome by_default = df_program(arguments);
            append(arguments, sizeof arguments, " --rules calibrated");
            df_outcome calibrated = df_program(arguments);
            assert_int_equal(by_default.exit_code, 0);
            assert_string_equal(by_default.out, calibrated.out);
            assert_string_equal(by_default.err, calibrated.err);
            assert_true(k == 0 || strstr(by_default.out, "\"rules\": \"calibrated\"") != NULL);
            df_outcome_free(&by_default);
            df_outcome_free(&calibrated);
        }
    }
}

/* The exact rules are in JSON, in the form that --rules takes. */
static void json_says_its_rules(void **state)
{
    (void)state;
    static const char *const commands[] = {
        "predict --hardware_config " HARDWARE " --model_config " LSTM,
        "gemm --hardware_config " HARDWARE " --m 8 --k 8 --n 8",
        "device --hardware_config " HARDWARE,
        "strategies --wafer_dim 2",
    };
    static const char *const rules[] = {"corrected", "reference",
                                        "corrected,pipeline_hop_free=reference"};
    for (size_t i = 0; i < 12; i++) {
        char arguments[1024];
        snprintf(arguments, sizeof arguments, "%s --format json --rules %s", commands[i % 4],
                 rules[i / 4]);
        json_t *const root = df_program_json(arguments);
        const json_t *const of = json_is_array(root) ? json_array_get(root, 0) : root;
        assert_string_equal(json_string_value(json_object_get(of, "rules")), rules[i / 4]);
        json_decref(root);
    }
}

static void assert_keys(const json_t *object, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!json_object_get(object, keys[i])) {
            fail_msg("no key %s", keys[i]);
        }
    }
}

#define ASSERT_KEYS(object, ...)                                                                   \
    assert_keys((object), (const char *const[]){__VA_ARGS__},                                      \
                sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* The keys that scripts may rely on. */
static void device_and_gemm_have_all_keys(void **state)
{
    (void)state;
    json_t *root = df_program_json("device --hardware_config " HARDWARE " --format json");
    const json_t *memory = json_object_get(root, "memory");
    const json_t *network = json_object_get(root, "network");
    ASSERT_KEYS(json_object_get(root, "core"), "num_mcu", "num_bundle", "operating_voltage",
                "operating_freq", "operating_throughput", "throughput");
    for (size_t level = 0; level < 4; level++) {
        ASSERT_KEYS(json_array_get(memory, level), "type", "size", "dynamic_throughput",
                    "throughput", "tile_dim", "size_per_bundle", "latency",
                    level == 3 ? "num_stacks" : "num_banks", level == 3 ? "stack_bw" : "bank_bw");
    }
    ASSERT_KEYS(json_array_get(memory, 3), "num_links", "operating_freq", "operating_voltage");
    ASSERT_KEYS(json_object_get(network, "intra"), "num_links", "operating_freq",
                "operating_voltage", "throughput", "latency");
    ASSERT_KEYS(json_object_get(network, "inter"), "num_links", "throughput", "latency");
    json_decref(root);
    root = df_program_json("gemm --hardware_config " HARDWARE " --m 8 --k 8 --n 8 --format json "
                           "--rules corrected");
    ASSERT_KEYS(root, "M", "K", "N", "time_s", "inner", "l0_m", "l0_k", "l0_n", "l1_m", "l1_k",
                "l1_n", "l2_m", "l2_k", "l2_n", "acc_sys", "acc_l1", "acc_l2", "acc_dram");
    json_decref(root);
    root = df_program_json("gemm --hardware_config " HARDWARE " --m 8 --k 8 --n 8 --format json");
    ASSERT_KEYS(root, "rules", "M", "K", "N", "time_s", "flops", "tile_m", "tile_n", "split_k",
                "acc_dram", "basis");
    json_decref(root);
}

/* Writes DIR/hw.yaml: the detailed device, edited by a sed program. */
static void edit_detailed(const char *dir, const char *program)
{
    char command[1024];
    int exit_code;
    snprintf(command, sizeof command, "sed '%s' " DF_CONFIGS "/hardware/detailed_2023.yaml >%s/%s",
             program, dir, "hw.yaml");
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void assert_dram_limit(const char *dir, const char *expected)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml --format json", dir);
    json_t *root = df_program_json(arguments);
    const json_t *dram = json_array_get(json_object_get(root, "memory"), 3);
    assert_string_equal(json_string_value(json_object_get(dram, "bandwidth_limit")), expected);
    json_decref(root);
}

/* Half of the perimeter has room for the links of all stacks, a twentieth has not; in a
 * thousandth so few links share the power that the highest voltage bounds them. */
static void the_dram_names_its_limit(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    edit_detailed(dir, "");
    assert_dram_limit(dir, "capacity");
    edit_detailed(dir, "/^perimeter/,/^system/ s/^  DRAM: .*/  DRAM: 0.05/");
    assert_dram_limit(dir, "perimeter");
    edit_detailed(dir, "/^perimeter/,/^system/ s/^  DRAM: .*/  DRAM: 0.001/");
    assert_dram_limit(dir, "voltage");
    df_remove_dir(dir);
}

/* A core without power never ends: an error that names it; by the reference rules a warning, and
 * "inf" in JSON, which has no such number. */
static void infinite_times_are_readable(void **state)
{
    (void)state;
    static const char *const formats[] = {"json", "text"};
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    edit_detailed(dir, "/^power/,/^perimeter/ s/^  core: .*/  core: 0/");
    for (size_t i = 0; i < 2; i++) {
        snprintf(arguments, sizeof arguments,
                 "gemm --hardware_config %s/hw.yaml --m 64 --k 64 --n 64 --format %s", dir,
                 formats[i]);
        df_refuse(arguments, 3, "core: expected a rate above 0, found none with 643 MCUs");
        const size_t length = strlen(arguments);
        append(arguments, sizeof arguments, " --rules corrected");
        df_refuse(arguments, 3, "core: expected a rate above 0, found none with 643 MCUs");
        arguments[length] = '\0';
        append(arguments, sizeof arguments, " --rules reference");
        df_outcome o = df_program(arguments);
        assert_int_equal(o.exit_code, 0);
        assert_non_null(strstr(o.err, "warning: the time is not finite: core: "));
        assert_non_null(strstr(o.out, i == 0 ? "\"time_s\": \"inf\"" : "inf s"));
        assert_null(strstr(o.out, "nan"));
        df_outcome_free(&o);
    }
    df_remove_dir(dir);
}

static void refuse_device(const char *dir, const char *edit, int exit_code, const char *text)
{
    char arguments[1024];
    edit_detailed(dir, edit);
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml", dir);
    df_refuse(arguments, exit_code, text);
}

/* 215 W are for other parts than the core: with 112 W 298.2 of 300 in all. */
static void shares_are_within_their_budget(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    refuse_device(dir, "/^power/,/^perimeter/ s/^  core: .*/  core: 115/", 2,
                  "power_breakdown.TDP: expected the powers of core, DRAM, L2, L1, reg_mem and "
                  "network (W) to add up to at most 300, found 301.2");
    refuse_device(dir, "/^area/,/^power/ s/^  core: .*/  core: 700/", 2,
                  "area_breakdown.proc_chip_area_budget: expected the areas");
    refuse_device(dir, "/^perimeter/,/^system/ s/^  DRAM: .*/  DRAM: 0.6/", 2,
                  "perimeter_breakdown.DRAM: expected the shares of DRAM, intra_node and "
                  "inter_node to add up to at most 1, found 1.1");
    refuse_device(dir, "s/device_area_budget: .*/device_area_budget: 500/", 2,
                  "area_breakdown.device_area_budget: expected proc_chip_area_budget");
    /* rounded figures */
    edit_detailed(dir, "/^power/,/^perimeter/ s/^  core: .*/  core: 114/");
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml", dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    edit_detailed(dir, "/^power/,/^perimeter/ s/^  core: .*/  core: 1120/");
    append(arguments, sizeof arguments, " --rules reference");
    o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "warning: "));
    assert_non_null(strstr(o.err, "found 1306.2"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* The JSON of a device without its rules, which come first; the caller frees it. */
static char *device_of(const char *dir, const char *rules)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml --format json%s",
             dir, rules);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    const char *const core = strstr(o.out, "\"core\"");
    assert_non_null(core);
    char *const text = strdup(core);
    df_outcome_free(&o);
    return text;
}

/* A file without a size or a rate, nor what it would follow from. */
static void devices_are_derived_from_what_is_given(void **state)
{
    (void)state;
    static const struct {
        const char *edit, *message;
    } cases[] = {
        {"s/^    overhead: 0.25//", "tech_param.SRAM-R.overhead: expected this key, or "
                                    "tech_param.SRAM-R.size in its place, to derive the device "
                                    "from, found nothing"},
        {"s/^    max_voltage: .*//",
         "hw.yaml:30: tech_param.DRAM.max_voltage: expected this key, or "
         "tech_param.DRAM.bandwidth in its place"},
        {"s/^    nominal_frequency: 1.38e9.*//",
         "tech_param.DRAM.nominal_frequency: expected this key, or tech_param.DRAM.bandwidth"},
        {"s/^    operating_area_per_mcu: .*//", "tech_param.core.operating_area_per_mcu: expected "
                                                "this key, or tech_param.core.num_bundles"},
        {"s/^    nominal_power_per_mcu: .*//", "tech_param.core.nominal_power_per_mcu: expected "
                                               "this key, or tech_param.core.operating_frequency"},
        {"/^power/,/^perimeter/ d; s/^  DRAM: 0.5/perimeter_breakdown:\\n  DRAM: 0.5/",
         "power_breakdown.core: expected this key, or tech_param.core.operating_frequency"},
        {"s/^  num_nodes: 1/  num_nodes: 2/; s/^      nominal_frequency: 20e9.*//",
         "tech_param.network.inter_node.nominal_frequency: expected this key, or "
         "tech_param.network.inter_node.bandwidth in its place"},
    };
    char dir[256];
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuse_device(dir, cases[i].edit, 2, cases[i].message);
    }
    edit_detailed(dir, "s/^      nominal_frequency: 20e9.*//"); /* one node */
    free(device_of(dir, ""));
    df_remove_dir(dir);
}

/* What is 0.1 in a file is given; the reference rules take it for what is not. */
static void a_tenth_is_a_figure(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    edit_detailed(dir, "s/^    max_voltage: .*//; s/^    overhead: 0.25//");
    char *const absent = device_of(dir, " --rules corrected,absent_technology_tenth=reference");
    edit_detailed(dir, "s/^    max_voltage: .*/    max_voltage: 0.1/; "
                       "s/^    overhead: 0.25/    overhead: 0.1/");
    char *const tenth = device_of(dir, "");
    assert_string_equal(absent, tenth);
    edit_detailed(dir, "");
    char *const whole = device_of(dir, "");
    assert_string_not_equal(whole, tenth);
    free(absent);
    free(tenth);
    free(whole);
    df_remove_dir(dir);
}

/* 643 MCUs own a bank of 16 KB each: 10,534,912 bytes. Registers that are given need no banks, but
 * the operands of 4 x 4 x 4 steps in fp16, 96 bytes each. */
static void owners_have_their_memory(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    refuse_device(dir, "s/^  reg_mem: 17.9.*/  reg_mem: 8.9/", 3,
                  "SRAM-R: expected at least 1.053e+07 bytes for 643 MCUs in 80 bundles");
    refuse_device(dir, "s/^  L1: 8.4.*/  L1: 2/", 3, "SRAM-L1: expected at least 2.621e+06 bytes");
    refuse_device(dir, "/SRAM-R:/a\\    size: 61727", 3, "SRAM-R: expected at least 6.173e+04");
    edit_detailed(dir, "/SRAM-R:/a\\    size: 61728");
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml", dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* Two devices whose network has no power never end what they reduce. */
static void a_network_without_power_is_named(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    edit_detailed(dir, "/^power/,/^perimeter/ s/^    intra_node: .*/    intra_node: 0/; "
                       "s/num_devices_per_node: 1/num_devices_per_node: 2/; s/^  dp: 1/  dp: 2/");
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config " LSTM " --exp_dir %s/out", dir,
             dir);
    df_refuse(arguments, 3, "the time is not finite: network intra_node: expected bandwidth");
    df_remove_dir(dir);
}

/* The A100's 432 MCUs do 512 flops a cycle at 1.41 GHz, in steps of 8 x 4 x 8: for each of 8
 * columns 7 flops a row read 8 operands of 2 bytes. */
static void starved_cores_are_named(void **state)
{
    (void)state;
    const double needed = 432 * 512 * 1.41e9 * (8 * 2) / (8 * 7.0);
    char text[128];
    char dir[256];
    char arguments[1024];
    int exit_code;
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "sed '/SRAM-R:/,/latency/ s/bandwidth: .*/bandwidth: 50e12/' " DF_CONFIGS
             "/hardware/a100_80gb.yaml >%s/hw.yaml",
             dir);
    df_run(arguments, &exit_code, NULL, NULL);
    snprintf(arguments, sizeof arguments, "device --hardware_config %s/hw.yaml", dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    snprintf(text, sizeof text, "SRAM-R feeds %.3g %% of the cores' peak", 100 * 50e12 / needed);
    assert_non_null(strstr(o.out, text));
    df_outcome_free(&o);
    o = df_program("device --hardware_config " HARDWARE);
    assert_null(strstr(o.out, "feeds"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

static void refuse_predict(const char *edit, const char *text)
{
    int exit_code;
    char dir[256];
    char command[1024];
    char arguments[1024];
    df_make_dir(dir);
    snprintf(command, sizeof command,
             "sed -e '%s' " DF_CONFIGS "/hardware/a100_x8_nvswitch.yaml >%s/hw.yaml", edit, dir);
    df_run(command, &exit_code, NULL, NULL);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config " DF_CONFIGS
             "/model/llama2_7b.yaml --exp_dir %s/out",
             dir, dir);
    df_refuse(arguments, 2, text);
    df_remove_dir(dir);
}

/* What a file says of networks is what there is, and what is simulated. */
static void networks_are_those_that_there_are(void **state)
{
    (void)state;
    static const char *const kinds[] = {"mesh", "torus", "hic", "none"};
    refuse_predict("s/^  dp_inter: false/  dp_inter: true/",
                   "system_hierarchy.num_nodes: expected several nodes with "
                   "system_hierarchy.dp_inter");
    refuse_predict("s/^  intra_derate: 1/  intra_derate: 0/",
                   "system_hierarchy.intra_derate: expected a number above 0");
    for (size_t i = 0; i < 4; i++) {
        char edit[64];
        char text[128];
        snprintf(edit, sizeof edit, "s/intra_node: switch.*/intra_node: %s/", kinds[i]);
        snprintf(text, sizeof text,
                 "network_topology.intra_node: expected ring, fc or switch with the astra "
                 "backend, found %s",
                 kinds[i]);
        refuse_predict(edit, text);
    }
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    df_refuse("predict --hardware_config " HARDWARE, 2, "model_param: expected this section");
    df_refuse("predict --model_config " LSTM, 2,
              "--hardware_config: expected a file, found nothing");
    df_refuse("predict --exp_config " HARDWARE " --model_config " LSTM, 2,
              "--exp_config: expected it "
              "alone");
    df_refuse("predict --hardware_config /nowhere.yaml --model_config " LSTM, 2,
              "/nowhere.yaml: expected a file");
    df_refuse("predict --hardware_config " HARDWARE " --model_config " LSTM " --rules wrong", 2,
              "--rules: expected reference, corrected or calibrated, found wrong");
    df_refuse("gemm --hardware_config " HARDWARE " --m 0 --k 1 --n 1", 2,
              "--m: expected a whole number from 1 to 1099511627776, found 0");
    df_refuse("device", 2, "--hardware_config: expected a file");
    df_refuse("predict", 2,
              "--hardware_config, --model_config: expected a file each (or one with both, "
              "--exp_config), found nothing; for example --hardware_config "
              "configs/hardware/a100_80gb.yaml --model_config configs/model/lstm_2048.yaml\n");
    df_refuse("gemm --k 8", 2, "--hardware_config, --m, --n: expected a value each, found nothing");
    df_refuse("predict --hardware_confg x", 2, "(did you mean --hardware_config?)");
    df_refuse("prdict", 2, "prdict: expected a command (did you mean predict?)");
    df_refuse("val", 2, "val: expected a command (did you mean validate?)");
    df_refuse("zzz", 2, "zzz: expected a command that `deepflow help` lists, found an unknown one");
}

/* What a file leaves out, the file of the device that it names has: the same, key by key, as one
 * file with all of it. */
static void a_device_stands_for_its_file(void **state)
{
    (void)state;
    static const char edit[] =
        "sed 's/size: 80 GB/size: 96 GB/; s/^  tp: .*//; s/^  dp: 1/  dp: 2/; "
        "s/num_devices_per_node: 1/num_devices_per_node: 2/' " DF_CONFIGS
        "/hardware/h100_sxm.yaml >%s/whole.yaml";
    static const char *const rules[] = {"reference", "corrected"};
    char dir[256];
    char text[1024];
    int exit_code;
    df_make_dir(dir);
    snprintf(text, sizeof text, edit, dir);
    df_run(text, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(text, sizeof text, "%s/named.yaml", dir);
    df_write_file(text, "device: h100_sxm\n"
                        "tech_param: {DRAM: {size: 96 GB}}\n"
                        "system_hierarchy: {num_devices_per_node: 2}\n"
                        "scheduling_param: {dp: 2}\n");
    for (int i = 0; i < 2; i++) {
        df_outcome o[2];
        for (int named = 0; named < 2; named++) {
            snprintf(text, sizeof text,
                     "predict --hardware_config %s/%s.yaml --model_config " DF_CONFIGS
                     "/model/llama2_7b.yaml --format json --rules %s",
                     dir, named ? "named" : "whole", rules[i]);
            o[named] = df_program(text);
            assert_int_equal(o[named].exit_code, 0);
        }
        assert_string_equal(o[0].out, o[1].out);
        assert_string_equal(o[0].err, o[1].err);
        df_outcome_free(&o[0]);
        df_outcome_free(&o[1]);
    }
    df_remove_dir(dir);
}

/* The hardware file with the simulator's backend; `edit` is a sed script for the rest. */
static void write_astra(const char *dir, const char *edit, const char *backend)
{
    char command[1024];
    int exit_code;
    snprintf(command, sizeof command,
             "{ sed '%s' " HARDWARE
             "; printf 'execution_backend:\n  model: astra\n%s'; } >%s/hw.yaml",
             edit, backend, dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static json_t *predict_astra(const char *dir, const char *model)
{
    char arguments[1024];
    snprintf(
        arguments, sizeof arguments,
        "predict --hardware_config %s/hw.yaml --model_config %s --rules reference --format json",
        dir, model);
    return df_program_json(arguments);
}

static double time_of_file(const char *hardware, const char *model)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s --model_config %s --rules reference --format json",
             hardware, model);
    json_t *const root = df_program_json(arguments);
    const double time_s = df_number(root, "time_s");
    json_decref(root);
    return time_s;
}

/* The weights' gradients, 256 x 128 elements of 2 bytes, are reduced over four replicas on a
 * ring of 53.6870912 bytes a ns and 5000 ns: messages of 16384 bytes take 5305 ns; there are six
 * of them with 10 ns each, three reductions of 3 * 10 ns, and 10 ns at the end. */
static void hybrid_simulates_collectives(void **state)
{
    (void)state;
    char dir[256];
    char model[512];
    df_make_dir(dir);
    write_gemm(dir, model);
    write_astra(dir, "", "");
    json_t *const closed =
        df_program_json("predict --hardware_config " HARDWARE " --model_config " LSTM
                        " --rules reference --format json");
    json_t *const lstm = predict_astra(dir, LSTM);
    json_t *const gemm = predict_astra(dir, model);
    assert_string_equal(json_string_value(json_object_get(lstm, "backend")), "hybrid");
    assert_string_equal(json_string_value(json_object_get(gemm, "backend")), "hybrid");
    const double launch_s = 9e-6;
    const double least_s = 6 * 5315e-9 + 3 * 30e-9 + 10e-9 + launch_s;
    const double reduced_s = df_number(gemm, "dp_comm_s");
    assert_true(reduced_s > least_s && reduced_s < least_s + 1e-7); /* and the update */
    json_t *const parts = json_object_get(closed, "components");
    json_t *const simulated = json_object_get(lstm, "components");
    df_assert_rel(df_number(simulated, "Cf"), df_number(parts, "Cf"), 0);
    assert_true(df_number(simulated, "Rc") != df_number(parts, "Rc"));
    json_decref(closed);
    json_decref(lstm);
    json_decref(gemm);
    df_remove_dir(dir);
}

/* Without communication there is nothing to simulate. */
static void one_device_is_the_same_in_hybrid(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    char one[512];
    int exit_code;
    df_make_dir(dir);
    write_astra(dir, "s/dp: 4/dp: 1/; s/num_devices_per_node: 4/num_devices_per_node: 1/", "");
    snprintf(one, sizeof one, "%s/one.yaml", dir);
    snprintf(command, sizeof command, "grep -v -e execution_backend -e astra %s/hw.yaml >%s", dir,
             one);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    json_t *const root = predict_astra(dir, LSTM);
    assert_string_equal(json_string_value(json_object_get(root, "backend")), "hybrid");
    df_assert_rel(df_number(root, "time_s"), time_of_file(one, LSTM), 0);
    json_decref(root);
    df_remove_dir(dir);
}

/* As in the reference: graphs are an LLM's. */
static void other_modes_are_taken_as_hybrid(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    write_astra(dir, "", "");
    json_t *const hybrid = predict_astra(dir, LSTM);
    write_astra(dir, "", "  astra:\n    mode: full_astrasim_flattened\n");
    json_t *const flat = predict_astra(dir, LSTM);
    assert_true(json_equal(hybrid, flat));
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config " LSTM, dir);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err,
                           "execution_backend.astra.mode: full_astrasim_flattened "
                           "simulates graphs of LLMs; in mode LSTM, it is treated as hybrid"));
    assert_non_null(strstr(o.out, "backend hybrid"));
    df_outcome_free(&o);
    json_decref(hybrid);
    json_decref(flat);
    df_remove_dir(dir);
}

/* Halving and doubling, which a switch gets, needs a power of two. */
static void what_cannot_be_simulated_is_refused(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    write_astra(dir,
                "s/dp: 4/dp: 3/; s/num_devices_per_node: 4/num_devices_per_node: 3/; "
                "s/intra_node: ring/intra_node: switch/",
                "");
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config " LSTM, dir);
    df_refuse(arguments, 2, "collectives.all_reduce: expected a power of two of ranks");
    write_astra(dir, "s/bandwidth: 400 Gib/bandwidth: 0/", "");
    df_refuse(arguments, 2, "tech_param.network.intra_node.nominal_area_per_link: expected this");
    append(arguments, sizeof arguments, " --rules corrected,absent_technology_tenth=reference");
    df_refuse(arguments, 2,
              "tech_param.network: expected links with a bandwidth between 4 devices");
    df_remove_dir(dir);
}

/* Nothing is left behind, not even the folder. */
static void bad_input_writes_nothing(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    char command[1024];
    int exit_code;
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config " HARDWARE " --model_config " HARDWARE " --exp_dir %s/new",
             dir);
    df_refuse(arguments, 2, "sw_param: expected once");
    snprintf(command, sizeof command, "test -e %s/new", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 1);
    df_remove_dir(dir);
}

static void what_cannot_be_split_is_infeasible(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    /* four devices along kp2, for a split by column and row that needs kp1 */
    snprintf(arguments, sizeof arguments,
             "sed 's/dp: 4/dp: 1/; s/t: none/t: CR/; s/kp2: 1/kp2: 4/' " HARDWARE " > %s/hw.yaml",
             dir);
    int exit_code;
    df_run(arguments, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config " LSTM, dir);
    df_refuse(arguments, 3, "scheduling_param.kp_hidden_dim1: expected more than 1, found 1");
    df_remove_dir(dir);
}

/* A folder below a file cannot be made. */
static void unwritable_folders_are_refused(void **state)
{
    (void)state;
    df_refuse("predict --hardware_config " HARDWARE " --model_config " LSTM " --exp_dir " HARDWARE
              "/folder",
              1, "cannot be created");
}

/* No file may grow, as on a full disk. The messages go through a pipe. */
static void a_summary_is_written_whole_or_not_at_all(void **state)
{
    (void)state;
    char dir[256];
    char command[2048];
    char *out;
    char *left;
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command,
             "{ trap '' XFSZ; ulimit -f 0; " DF_BIN " predict --hardware_config " HARDWARE
             " --model_config " LSTM " --exp_dir %s; echo code $?; } 2>&1 | cat; ls -A %s >&2",
             dir, dir);
    df_run(command, &exit_code, &out, &left);
    assert_non_null(strstr(out, "summary_LSTM.txt: cannot be written: "));
    assert_non_null(strstr(out, "code 1\n"));
    assert_string_equal(left, "");
    free(out);
    free(left);
    df_remove_dir(dir);
}

static void a_full_stdout_is_noticed(void **state)
{
    (void)state;
    df_outcome o = df_program("gemm --hardware_config " HARDWARE " --m 1 --k 1 --n 1 > /dev/full");
    assert_int_equal(o.exit_code, 1);
    assert_non_null(strstr(o.err, "stdout"));
    df_outcome_free(&o);
}

/* What only searches need takes longer to load than a prediction takes. */
static void predictions_load_few_libraries(void **state)
{
    (void)state;
    static const char *const heavy[] = {"libmpi", "libhdf5", "libgsl", "libcurl"};
    char *out;
    int exit_code;
    df_run("ldd " DF_BIN, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "libc.so"));
    for (size_t i = 0; i < sizeof heavy / sizeof heavy[0]; i++) {
        assert_null(strstr(out, heavy[i]));
    }
    free(out);
}

/* Searches are in another program beside this one. */
static void a_missing_search_program_is_named(void **state)
{
    (void)state;
    char dir[256];
    char command[2048];
    char *out;
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command, "cp " DF_BIN " %s; %s/deepflow arch_search --help 2>&1", dir,
             dir);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 1);
    assert_non_null(strstr(out, "/deepflow-search: cannot be run: No such file"));
    free(out);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lstm_json_is_whole),
        cmocka_unit_test(gemm_json_is_whole),
        cmocka_unit_test(text_says_the_same),
        cmocka_unit_test(stand_alone_leaves_a_summary),
        cmocka_unit_test(gemm_summary_subtracts_dp),
        cmocka_unit_test(a_model_that_does_not_fit_is_warned_about),
        cmocka_unit_test(device_tells_its_limits),
        cmocka_unit_test(bandwidths_in_powers_of_1024_are_remarked),
        cmocka_unit_test(values_that_no_hardware_has_are_remarked),
        cmocka_unit_test(what_a_data_sheet_leaves_out_is_not_made_up),
        cmocka_unit_test(gemm_tells_tiles_and_traffic),
        cmocka_unit_test(measured_gemms_are_the_default),
        cmocka_unit_test(the_default_is_calibrated),
        cmocka_unit_test(json_says_its_rules),
        cmocka_unit_test(device_and_gemm_have_all_keys),
        cmocka_unit_test(the_dram_names_its_limit),
        cmocka_unit_test(infinite_times_are_readable),
        cmocka_unit_test(shares_are_within_their_budget),
        cmocka_unit_test(devices_are_derived_from_what_is_given),
        cmocka_unit_test(a_tenth_is_a_figure),
        cmocka_unit_test(owners_have_their_memory),
        cmocka_unit_test(a_network_without_power_is_named),
        cmocka_unit_test(starved_cores_are_named),
        cmocka_unit_test(networks_are_those_that_there_are),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(a_device_stands_for_its_file),
        cmocka_unit_test(hybrid_simulates_collectives),
        cmocka_unit_test(one_device_is_the_same_in_hybrid),
        cmocka_unit_test(other_modes_are_taken_as_hybrid),
        cmocka_unit_test(what_cannot_be_simulated_is_refused),
        cmocka_unit_test(bad_input_writes_nothing),
        cmocka_unit_test(what_cannot_be_split_is_infeasible),
        cmocka_unit_test(unwritable_folders_are_refused),
        cmocka_unit_test(a_summary_is_written_whole_or_not_at_all),
        cmocka_unit_test(a_full_stdout_is_noticed),
        cmocka_unit_test(predictions_load_few_libraries),
        cmocka_unit_test(a_missing_search_program_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
