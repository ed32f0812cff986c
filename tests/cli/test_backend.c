/* The network simulator as a backend, as a user runs it: three modes, results on disk, traces
 * and pictures, and another program in the simulator's place. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "support/support.h"

enum { ROOM = 32768 };

static const char MODEL[] = "model_param:\n"
                            "  mode: LLM\n"
                            "  run_type: %s\n"
                            "  model_type: llama\n"
                            "  tied_embeddings: false\n"
                            "  num_layers: 4\n"
                            "  hidden_dim: 512\n"
                            "  batch_size: 8\n"
                            "  seq_len: 128\n"
                            "  decode_len: 8\n"
                            "  intermediate_size: 1024\n"
                            "  vocab_size: 1000\n"
                            "  num_experts: 1\n"
                            "  attention:\n"
                            "    attention_type: mha\n"
                            "    num_heads: 8\n";

/* Says what AstraSim says, as deepflow's own simulator finds it. */
static const char STAND_IN[] =
    "#!/bin/sh\n"
    "for word in \"$@\"; do\n"
    "    case $word in\n"
    "    --workload-configuration=*) set -- \"$@\" --workload \"${word#*=}\" ;;\n"
    "    --system-configuration=*) set -- \"$@\" --system \"${word#*=}\" ;;\n"
    "    --network-configuration=*) set -- \"$@\" --network \"${word#*=}\" ;;\n"
    "    --comm-group-configuration=*) set -- \"$@\" --comm_group \"${word#*=}\" ;;\n"
    "    esac\n"
    "    shift\n"
    "done\n"
    "echo \"$@\" >>%s/calls\n"
    "'" DF_BIN "' astra run \"$@\" |\n"
    "    awk 'NF == 0 { exit } $1 ~ /^[0-9]+$/ { print \"[info] sys[\" $1 \"], Wall time: \" $2 "
    "}'\n";

typedef struct {
    char dir[256];
    char *out, *err;
    int exit_code;
    const char *rules; /* by the reference's, a step is what is simulated and no more */
} workplace;

/* Two pipeline stages of two tensor-parallel devices, two replicas. `more` goes below astra. */
static void
write_files(const workplace *w, const char *mode, const char *run_type, const char *more)
{
    char path[ROOM];
    char text[ROOM];
    char command[2 * ROOM];
    int exit_code;
    snprintf(path, sizeof path, "%s/model.yaml", w->dir);
    snprintf(text, sizeof text, MODEL, run_type);
    df_write_file(path, text);
    snprintf(
        command, sizeof command,
        "{ sed -e 's/num_devices_per_node: .*/num_devices_per_node: 8/' -e 's/ dp: .*/ dp: 2/' "
        "-e 's/ lp: .*/ lp: 2\\n  mb: 2\\n  tp: 2/' '" DF_TEST_DATA "/data/hardware.yaml'; "
        "printf 'execution_backend:\\n  model: astra\\n  astra:\\n    mode: %s\\n%s'; } "
        ">'%s/hw.yaml'",
        mode, more, w->dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

/* Runs a prediction in the folder. */
static void predict(workplace *w, const char *environment)
{
    char command[2 * ROOM];
    free(w->out);
    free(w->err);
    snprintf(command, sizeof command,
             "cd '%s' && %s '" DF_BIN "' predict --hardware_config hw.yaml --model_config "
             "model.yaml --format json --rules %s",
             w->dir, environment, w->rules);
    df_run(command, &w->exit_code, &w->out, &w->err);
}

static json_t *result_of(const workplace *w)
{
    if (w->exit_code != 0) {
        fail_msg("%s", w->err);
    }
    json_t *const root = json_loads(w->out, 0, NULL);
    assert_non_null(root);
    return root;
}

static double time_of(const workplace *w)
{
    json_t *const root = result_of(w);
    const double time_s = json_number_value(json_object_get(root, "time_s"));
    json_decref(root);
    assert_true(time_s > 0);
    return time_s;
}

/* What a shell prints in the folder. */
static void look(const workplace *w, const char *command, char text[ROOM])
{
    char whole[4 * ROOM];
    char *out;
    int exit_code;
    snprintf(whole, sizeof whole, "cd '%s' && %s", w->dir, command);
    df_run(whole, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(text, ROOM, "%s", out);
    free(out);
}

/* The number that it prints. */
static int number(const workplace *w, const char *command)
{
    char text[ROOM];
    char *end;
    look(w, command, text);
    const long value = strtol(text, &end, 10);
    assert_true(end > text);
    return (int)value;
}

static int count(const workplace *w, const char *files)
{
    char command[2 * ROOM];
    snprintf(command, sizeof command, "ls -d %s 2>/dev/null | wc -l", files);
    return number(w, command);
}

static int set_up(void **state)
{
    workplace *const w = calloc(1, sizeof *w);
    assert_non_null(w);
    df_make_dir(w->dir);
    w->rules = "reference";
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    workplace *const w = *state;
    df_remove_dir(w->dir);
    free(w->out);
    free(w->err);
    free(w);
    return 0;
}

/* ---- Modes ---- */

static void each_mode_says_its_name(void **state)
{
    static const char *const modes[] = {"hybrid", "full_astrasim_hierarchical",
                                        "full_astrasim_flattened"};
    static const char *const runs[] = {"training", "inference"};
    workplace *const w = *state;
    for (size_t i = 0; i < 12; i++) {
        const size_t mode = i % 6 / 2;
        w->rules = i < 6 ? "reference" : "corrected";
        write_files(w, modes[mode], runs[i % 2], "");
        predict(w, "");
        json_t *const root = result_of(w);
        assert_string_equal(json_string_value(json_object_get(root, "backend")), modes[mode]);
        assert_true(json_number_value(json_object_get(root, "time_s")) > 0);
        json_decref(root);
    }
}

/* Kernels as they were measured need no simulator for a whole step, and an engine none at all. */
static void measured_kernels_are_simulated_in_hybrid_training_alone(void **state)
{
    static const struct {
        const char *mode, *run_type, *message;
    } cases[] = {
        {"full_astrasim_hierarchical", "training",
         "execution_backend.astra.mode: expected hybrid with the calibrated rules, found "
         "full_astrasim_hierarchical; --rules corrected simulates whole steps"},
        {"full_astrasim_flattened", "training",
         "execution_backend.astra.mode: expected hybrid with the calibrated rules, found "
         "full_astrasim_flattened; --rules corrected simulates whole steps"},
        {"hybrid", "inference",
         "execution_backend.model: expected analytical for inference under the calibrated rules, "
         "found astra; --rules corrected simulates it"},
        {"hybrid", "training", NULL},
    };
    workplace *const w = *state;
    w->rules = "calibrated";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_files(w, cases[i].mode, cases[i].run_type, "");
        predict(w, "");
        assert_int_equal(w->exit_code, cases[i].message ? 2 : 0);
        if (cases[i].message && !strstr(w->err, cases[i].message)) {
            fail_msg("expected '%s', found '%s'", cases[i].message, w->err);
        }
    }
    assert_true(time_of(w) > 0);
}

/* Two of the eight devices share a layer, so the tree over all of them is not theirs. What would
 * work does. */
static void an_algorithm_that_does_not_run_is_named_by_its_key(void **state)
{
    workplace *const w = *state;
    w->rules = "corrected";
    write_files(w, "full_astrasim_flattened", "training",
                "    collectives:\\n      all_reduce: doubleBinaryTree\\n");
    predict(w, "");
    assert_int_equal(w->exit_code, 2);
    assert_non_null(strstr(w->err,
                           "deepflow: error: execution_backend.astra.collectives.all_reduce: "
                           "expected all ranks with doubleBinaryTree, found a group of 2; "
                           "auto or ring would work\n"));
    write_files(w, "full_astrasim_flattened", "training",
                "    collectives:\\n      all_reduce: ring\\n");
    predict(w, "");
    assert_true(time_of(w) > 0);
}

/* A collective of a few KiB cannot be cut into a million messages. */
static void a_run_that_is_refused_says_what_would_work(void **state)
{
    workplace *const w = *state;
    w->rules = "corrected";
    write_files(w, "hybrid", "training",
                "    sys_options:\\n      preferred_dataset_splits: 1000000\\n");
    predict(w, "");
    assert_int_equal(w->exit_code, 2);
    assert_non_null(strstr(w->err, "deepflow: error: execution_backend.model: expected what the "
                                   "network simulator can run, found that it cannot: "));
    assert_non_null(strstr(w->err, "; analytical would work\n"));
}

/* ---- Results on disk ---- */

static void results_are_kept(void **state)
{
    workplace *const w = *state;
    write_files(w, "full_astrasim_hierarchical", "training", "");
    predict(w, "");
    const double time_s = time_of(w);
    const int kept = count(w, "astra_cache/*");
    assert_true(kept > 3); /* both directions of a block, the pipeline, collectives */
    /* with other times on disk, those are what comes out: the cache is read */
    char ignored[ROOM];
    look(w, "sed -i 's/\"max_ns\": /&1/' astra_cache/*.json", ignored);
    predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=CACHE_READONLY");
    assert_true(time_of(w) > 1.05 * time_s);
    predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=NO_CACHE");
    df_assert_rel(time_of(w), time_s, 1e-15);
    predict(w, "ASTRA_CACHE_DIR=elsewhere DEEPFLOW_ASTRA_CACHE_MODE=CACHE_READONLY");
    df_assert_rel(time_of(w), time_s, 1e-15);
    assert_int_equal(count(w, "elsewhere"), 0);
    predict(w, "ASTRA_CACHE_DIR=else/where");
    df_assert_rel(time_of(w), time_s, 1e-15);
    assert_int_equal(count(w, "else/where/*"), kept);
    predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=sometimes");
    assert_int_equal(w->exit_code, 2);
    assert_string_equal(w->out, "");
    assert_non_null(strstr(w->err, "DEEPFLOW_ASTRA_CACHE_MODE: expected NO_CACHE, CACHE_READONLY "
                                   "or CACHE_READWRITE, found sometimes"));
}

/* ---- Traces and pictures ---- */

/* The files that are left, simulated again, give the time that was predicted. */
static void assert_traces_are_kept(workplace *w)
{
    char text[ROOM];
    predict(w, "DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS=1");
    const double time_s = time_of(w);
    assert_int_equal(count(w, "output/LLM/astra_flat/llm_graph.*.et"), 8);
    assert_int_equal(count(w, "output/LLM/astra_flat/*.png"), 0);
    look(w,
         "cd output/LLM/astra_flat && '" DF_BIN "' astra run --workload llm_graph --system "
         "system_native_collectives.json --network network_analytical_8.yml --comm_group "
         "comm_groups.json --format json",
         text);
    json_t *const root = json_loads(text, 0, NULL);
    df_assert_rel((double)json_integer_value(json_object_get(root, "max_cycles")) * 1e-9, time_s,
                  1e-15);
    json_decref(root);
    look(w, "cat output/LLM/astra_flat/manifest.json", text);
    json_t *const manifest = json_loads(text, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(manifest, "npus")), 8);
    assert_int_equal(json_object_size(json_object_get(manifest, "ranks")), 8);
    json_decref(manifest);
}

static void traces_are_kept(void **state)
{
    workplace *const w = *state;
    write_files(w, "full_astrasim_flattened", "training", "");
    predict(w, "DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS=0");
    assert_int_equal(count(w, "output/LLM/astra*"), 0);
    assert_traces_are_kept(w);
}

/* Operators last whole microseconds where they are written, and only there. */
static void traces_round_what_is_predicted(void **state)
{
    workplace *const w = *state;
    w->rules = "reference,astra_whole_microseconds=corrected";
    write_files(w, "full_astrasim_flattened", "training", "");
    predict(w, "");
    const double exact_s = time_of(w);
    assert_traces_are_kept(w);
    const double rounded_s = time_of(w);
    assert_true(rounded_s != exact_s);
    w->rules = "reference";
    predict(w, "");
    df_assert_rel(time_of(w), rounded_s, 0);
}

/* Reductions in exported files run at the rate that the prediction has: 900 GiB/s of the DRAM. */
static void exported_memory_is_that_of_the_prediction(void **state)
{
    workplace *const w = *state;
    static const char *const rules[] = {"reference", "corrected"};
    static const double local_mem_bw[] = {1600, 0.9 * 1000 * 1.073741824};
    for (int i = 0; i < 2; i++) {
        char text[ROOM];
        w->rules = rules[i];
        write_files(w, "full_astrasim_flattened", "training", "");
        predict(w, "DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS=1");
        assert_int_equal(w->exit_code, 0);
        look(w, "cat output/LLM/astra_flat/system_native_collectives.json", text);
        json_t *const system = json_loads(text, 0, NULL);
        df_assert_rel(json_number_value(json_object_get(system, "local-mem-bw")), local_mem_bw[i],
                      1e-15);
        json_decref(system);
    }
}

static void a_decode_step_has_its_own_folder(void **state)
{
    workplace *const w = *state;
    write_files(w, "full_astrasim_hierarchical", "inference", "");
    predict(w, "DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS=1");
    assert_int_equal(w->exit_code, 0);
    assert_int_equal(count(w, "output/LLM/astra_hier/fwd/llm_graph.*.et"), 2);
    assert_int_equal(count(w, "output/LLM/astra_hier/llm_graph.*.et"), 2);
    /* steps 0 and 7 are sampled */
    assert_int_equal(count(w, "output/LLM/decode_samples/*"), 2);
    assert_int_equal(count(w, "output/LLM/decode_samples/step_0007/astra_hier/llm_graph.*.et"), 2);
}

static void assert_picture(const workplace *w, const char *path)
{
    char command[2 * ROOM];
    char text[ROOM];
    snprintf(command, sizeof command, "head -c 8 %s | od -An -tx1 | tr -d ' \\n'", path);
    look(w, command, text);
    assert_string_equal(text, "89504e470d0a1a0a"); /* PNG */
}

static void pictures_are_drawn(void **state)
{
    workplace *const w = *state;
    write_files(w, "hybrid", "training", "");
    predict(w, "DEEPFLOW_VISUALIZE_GRAPHS=1 DEEPFLOW_PERSIST_ARTIFACT_VIZ=1");
    assert_int_equal(w->exit_code, 0);
    assert_picture(w, "output/LLM/pipeline.png");
    assert_picture(w, "output/LLM/block_backward.png");
    assert_picture(w, "output/LLM/astra_hier/fwd/llm_graph.0.png");
    assert_int_equal(number(w, "grep -c MHA_forward output/LLM/astra_hier/fwd/llm_graph.1.txt"),
                     2); /* the operator and its collective */
    assert_int_equal(number(w, "grep -c qkv_proj output/LLM/operators.txt"), 1);
}

/* Runs at the same time leave the whole files of one, and nothing else. */
static void runs_at_once_leave_whole_folders(void **state)
{
    workplace *const w = *state;
    char text[ROOM];
    write_files(w, "full_astrasim_flattened", "training", "");
    look(w,
         "for i in 1 2 3 4; do DEEPFLOW_PERSIST_ASTRASIM_ARTIFACTS=1 '" DF_BIN
         "' predict --hardware_config hw.yaml --model_config model.yaml --rules corrected >$i.out "
         "& done; wait; "
         "cmp 1.out 2.out && cmp 1.out 3.out && cmp 1.out 4.out",
         text);
    assert_int_equal(count(w, "output/LLM/astra_flat/*"), 8 + 4);
    assert_int_equal(count(w, "output/LLM/.astra*"), 0);
}

/* ---- AstraSim ---- */

static void write_program(const workplace *w, const char *text)
{
    char path[ROOM];
    char ignored[ROOM];
    snprintf(path, sizeof path, "%s/astra", w->dir);
    df_write_file(path, text);
    look(w, "chmod +x astra", ignored);
}

static void another_program_may_simulate(void **state)
{
    workplace *const w = *state;
    char script[ROOM];
    write_files(w, "full_astrasim_hierarchical", "training", "");
    predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=NO_CACHE");
    const double time_s = time_of(w);
    snprintf(script, sizeof script, STAND_IN, w->dir);
    write_program(w, script);
    write_files(w, "full_astrasim_hierarchical", "training", "    binary: ./astra\\n");
    predict(w, "");
    df_assert_rel(time_of(w), time_s, 1e-15);
    const int calls = number(w, "wc -l <calls");
    assert_true(calls > 3);
    predict(w, ""); /* all of it is on disk */
    df_assert_rel(time_of(w), time_s, 1e-15);
    assert_int_equal(number(w, "wc -l <calls"), calls);
    char changed[ROOM + 64];
    snprintf(changed, sizeof changed, "%s# another program\n", script);
    write_program(w, changed);
    predict(w, "");
    assert_int_equal(number(w, "wc -l <calls"), 2 * calls);
    /* its files have whole microseconds */
    w->rules = "reference,astra_whole_microseconds=corrected";
    predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=NO_CACHE");
    df_assert_rel(time_of(w), time_s, 1e-15);
    assert_int_equal(number(w, "ls -d \"${TMPDIR:-/tmp}\"/deepflow-astra-* 2>/dev/null | wc -l"),
                     0);
}

/* Equality with AstraSim itself, where it is there. */
static void astrasim_agrees(void **state)
{
    workplace *const w = *state;
    const char *const binary = getenv("DEEPFLOW_TEST_ASTRASIM");
    char more[ROOM];
    static const char *const modes[] = {"hybrid", "full_astrasim_hierarchical",
                                        "full_astrasim_flattened"};
    if (!binary) {
        print_message("DEEPFLOW_TEST_ASTRASIM names no program: not compared with it\n");
        skip();
    }
    snprintf(more, sizeof more, "    binary: %s\\n", binary);
    for (size_t i = 0; i < 6; i++) {
        write_files(w, modes[i / 2], i % 2 == 0 ? "training" : "inference", "");
        predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=NO_CACHE");
        const double time_s = time_of(w);
        write_files(w, modes[i / 2], i % 2 == 0 ? "training" : "inference", more);
        predict(w, "DEEPFLOW_ASTRA_CACHE_MODE=NO_CACHE");
        df_assert_rel(time_of(w), time_s, 1e-15);
    }
}

static void programs_that_fail_are_told(void **state)
{
    static const struct {
        const char *program, *more, *message;
        int exit_code;
    } cases[] = {
        {"#!/bin/sh\necho the reason; exit 3\n", "    binary: ./astra\\n",
         "exit code 3; its last line: the reason", 1},
        {"#!/bin/sh\nkill -9 $$\n", "    binary: ./astra\\n", "ended by signal 9", 1},
        {"#!/bin/sh\necho 'sys[0], Wall time: 5'\n", "    binary: ./astra\\n",
         "expected a wall time > 0 of each of 2 ranks, found 1", 1},
        {"#!/bin/sh\necho 'sys[0], Wall time: 5'; echo 'sys[1], Wall time: 0'\n",
         "    binary: ./astra\\n", "found 2, one of them 0", 1},
        {"#!/bin/sh\nsleep 60 & sleep 60\n", "    binary: ./astra\\n    time_limit: 0.2\\n",
         "not done after 0.2 s (execution_backend.astra.time_limit)", 1},
        {"", "    binary: ./nowhere\\n",
         "execution_backend.astra.binary: expected a program that can be run, found ./nowhere", 2},
        {"", "    time_limit: 0\\n", "hw.yaml:", 2},
    };
    workplace *const w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_program(w, cases[i].program);
        write_files(w, "hybrid", "training", cases[i].more);
        predict(w, "");
        assert_int_equal(w->exit_code, cases[i].exit_code);
        assert_string_equal(w->out, "");
        if (!strstr(w->err, cases[i].message)) {
            fail_msg("expected '%s', found '%s'", cases[i].message, w->err);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_mode_says_its_name),
        TEST(measured_kernels_are_simulated_in_hybrid_training_alone),
        TEST(an_algorithm_that_does_not_run_is_named_by_its_key),
        TEST(a_run_that_is_refused_says_what_would_work),
        TEST(results_are_kept),
        TEST(traces_are_kept),
        TEST(traces_round_what_is_predicted),
        TEST(exported_memory_is_that_of_the_prediction),
        TEST(a_decode_step_has_its_own_folder),
        TEST(pictures_are_drawn),
        TEST(runs_at_once_leave_whole_folders),
        TEST(another_program_may_simulate),
        TEST(astrasim_agrees),
        TEST(programs_that_fail_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
