/* Models and hardware by their names, as a user asks for them. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

static void assert_says(const char *arguments, int exit_code, const char *text)
{
    char command[2048];
    df_outcome o;
    snprintf(command, sizeof command, "%s %s", DF_BIN, arguments);
    df_run(command, &o.exit_code, &o.out, &o.err);
    const char *const where = exit_code == 0 ? o.out : o.err;
    if (o.exit_code != exit_code || !strstr(where, text)) {
        fail_msg("%s: exit code %d, \"%s\" not in: %s%s", arguments, o.exit_code, text, o.out,
                 o.err);
    }
    df_outcome_free(&o);
}

static double of_model(const char *name, const char *key)
{
    char arguments[256];
    snprintf(arguments, sizeof arguments, "model --model %s --format json", name);
    json_t *const root = df_program_json(arguments);
    const double value = df_number(root, key);
    json_decref(root);
    return value;
}

/* Published numbers of parameters, to the digits that are published; the cache of a token is 2
 * bytes by layers, key and value, heads and width: 32 * 2 * 8 * 128; or, latent, 61 * (512 + 64).
 */
static void models_have_their_published_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double billions;
    } models[] = {
        {"llama3.1-8b", 8.03},
        {"llama3.1-70b", 70.55},
        {"llama3.1-405b", 405.85},
        {"llama3.3-70b", 70.55},
        {"llama3.2-1b", 1.236},
        {"llama4-scout", 107.77},
        {"llama4-maverick", 400.7},
        {"qwen2.5-7b", 7.616},
        {"qwen3-8b", 8.191},
        {"qwen3-32b", 32.76},
        {"qwen3-30b-a3b", 30.53},
        {"qwen3-235b-a22b", 235.1},
        {"qwen3-next-80b-a3b", 79.7},
        {"deepseek-v3", 671.0},
        {"deepseek-r1", 671.0},
        {"kimi-k2", 1026.4},
        {"mixtral-8x7b", 46.70},
        {"mistral-7b", 7.248},
        {"gemma3-27b", 27.01},
        {"gpt-oss-20b", 20.91},
        {"gpt-oss-120b", 116.8},
        {"phi-4", 14.66},
        {"nemotron-3-nano-30b", 31.58},
        {"glm-4.5-air", 106.9},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        df_assert_rel(of_model(models[i].name, "parameters"), models[i].billions * 1e9, 1e-3);
    }
    assert_true(of_model("llama3.1-8b", "kv_bytes_per_token") == 32 * 2 * 8 * 128 * 2);
    assert_true(of_model("deepseek-v3", "kv_bytes_per_token") == 61 * 576 * 2);
}

static void lists_show_what_there_is(void **state)
{
    (void)state;
    assert_says("list models", 0, "\nllama3.1-8b               LLM      8.03B");
    assert_says("list models", 0, "DeepSeek-V3, 37 of 671 billion parameters active.");
    assert_says("list hardware", 0, "\nh100_sxm ");
    assert_says("list", 2, "WHAT: expected at least 1");
    assert_says("list files", 2, "list: expected models or hardware, found files");
}

static void wrong_names_are_told_the_nearest(void **state)
{
    (void)state;
    assert_says("model --model llama3.1-8", 2,
                "--model: expected a name that `deepflow list models` lists (did you mean "
                "llama3.1-8b");
    assert_says("model --model ../model/phi-4", 2, "--model: expected a name");
    assert_says("predict --hardware h100_sxn --model phi-4", 2,
                "--hardware: expected a name that `deepflow list hardware` lists (did you mean "
                "h100_sxm");
    assert_says("model --model phi-4 --model_config x.yaml", 2,
                "--model: expected it or --model_config, found both");
    assert_says("model", 2, "--model_config: expected a file, or --model and a name");
}

/* A batch of two, over sequences of 96 tokens of which 32 are decoded. */
static void runs_may_have_sizes_of_their_own(void **state)
{
    (void)state;
    json_t *const root = df_program_json(
        "predict --hardware h100_sxm --model llama3.2-1b --rules corrected --batch_size 2 "
        "--seq_len 96 --decode_len 32 --format json");
    assert_string_equal(json_string_value(json_object_get(root, "run_type")), "inference");
    assert_true(df_number(root, "decode_s") > 0);
    json_decref(root);
    assert_says("predict --hardware h100_sxm --model llama3.2-1b --batch_size 2 --seq_len 96 "
                "--run_type training",
                0, "batch 2, sequence 96");
    assert_says("predict --hardware h100_sxm --model llama3.2-1b --decode_len 5000", 2,
                "--decode_len: expected 0 to seq_len 4096, found 5000");
    assert_says("predict --hardware h100_sxm --model llama3.2-1b --run_type sleep", 2,
                "--run_type: expected training or inference, found sleep");
    assert_says("predict --hardware h100_sxm --model lstm_2048 --seq_len 5", 2,
                "expected an LLM, found a model of mode LSTM");
}

/* Where the program's files are is a folder's name. */
static void names_are_found_where_the_files_are(void **state)
{
    (void)state;
    char dir[256];
    char command[2048];
    int exit_code;
    char *out;
    df_make_dir(dir);
    snprintf(command, sizeof command,
             "mkdir -p %s/configs/model && cp " DF_CONFIGS "/model/phi-4.yaml %s/configs/model/"
             "mine.yaml && DEEPFLOW_DATA_DIR=%s " DF_BIN " model --model mine",
             dir, dir, dir);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_non_null(strstr(out, "14.66 G"));
    free(out);
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_have_their_published_sizes),
        cmocka_unit_test(lists_show_what_there_is),
        cmocka_unit_test(wrong_names_are_told_the_nearest),
        cmocka_unit_test(runs_may_have_sizes_of_their_own),
        cmocka_unit_test(names_are_found_where_the_files_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
