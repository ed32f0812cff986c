/* import-hf as a user runs it: from files, from HuggingFace's cache, over HTTPS. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

#define CONFIGS DF_TEST_DATA "/data/hf/"
#define QWEN CONFIGS "qwen2_5_3b.json"

/* Runs `ENVIRONMENT deepflow import-hf ARGUMENTS`. */
static df_outcome import(const char *environment, const char *arguments)
{
    char command[4096];
    df_outcome o;
    snprintf(command, sizeof command, "%s %s import-hf %s", environment, DF_BIN, arguments);
    df_run(command, &o.exit_code, &o.out, &o.err);
    return o;
}

static void assert_imports(const char *environment, const char *arguments, const char *line)
{
    df_outcome o = import(environment, arguments);
    if (o.exit_code != 0 || !strstr(o.out, line)) {
        fail_msg("%s: exit code %d, \"%s\" not in: %s%s", arguments, o.exit_code, line, o.out,
                 o.err);
    }
    df_outcome_free(&o);
}

static void
assert_refuses(const char *environment, const char *arguments, int exit_code, const char *message)
{
    df_outcome o = import(environment, arguments);
    if (o.exit_code != exit_code || !strstr(o.err, message) || o.out[0] != '\0') {
        fail_msg("%s: exit code %d, \"%s\" not in: %s%s", arguments, o.exit_code, message, o.err,
                 o.out);
    }
    df_outcome_free(&o);
}

/* ---- The model file ---- */

/* One device of the test's hardware. */
static void write_device(const char *dir)
{
    char command[1024];
    int exit_code;
    snprintf(
        command, sizeof command,
        "sed 's/dp: 4/dp: 1/; s/num_devices_per_node: 4/num_devices_per_node: 1/' " DF_TEST_DATA
        "/data/hardware.yaml >%s/hw.yaml",
        dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void import_to(const char *dir, const char *model, const char *flags)
{
    char arguments[1024];
    snprintf(arguments, sizeof arguments, CONFIGS "%s.json %s -o %s/model.yaml", model, flags, dir);
    df_outcome o = import("", arguments);
    if (o.exit_code != 0) {
        fail_msg("%s", o.err);
    }
    assert_string_equal(o.out, "");
    df_outcome_free(&o);
}

static json_t *import_and_describe(const char *dir, const char *model)
{
    char arguments[1024];
    import_to(dir, model, "");
    snprintf(arguments, sizeof arguments, "model --model_config %s/model.yaml --format json", dir);
    return df_program_json(arguments);
}

static json_t *import_and_predict(const char *dir, const char *model, const char *flags)
{
    char arguments[1024];
    import_to(dir, model, flags);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config %s/hw.yaml --model_config %s/model.yaml --format json", dir,
             dir);
    return df_program_json(arguments);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double parameters;
    } models[] = {
        {"llama2_7b", 6738415616},     {"llama3_1_405b", 405853388800},
        {"mistral_7b", 7241732096},    {"mixtral_8x7b", 46702792704},
        {"qwen2_5_3b", 3085938688},    {"qwen2_5_7b", 7615616512},
        {"phi3_mini_4k", 3821079552},  {"qwen1_5_moe_a2_7b", 14315784192},
        {"gpt2", 124439808},           {"opt_6_7b", 6658473984},
        {"gpt_neox_20b", 20554567680}, {"falcon_7b", 6921720704},
    };
    char dir[256];
    df_make_dir(dir);
    write_device(dir);
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        json_t *const described = import_and_describe(dir, models[i].name);
        assert_true(df_number(described, "parameters") == models[i].parameters);
        json_decref(described);
        json_t *const training =
            import_and_predict(dir, models[i].name, "--batch-size 2 --use-flashattention");
        assert_string_equal(json_string_value(json_object_get(training, "run_type")), "training");
        assert_true(df_number(training, "time_s") > 0);
        json_decref(training);
        json_t *const inference = import_and_predict(
            dir, models[i].name, "--run_type=inference --seq_len=96 --decode_len=32");
        assert_string_equal(json_string_value(json_object_get(inference, "run_type")), "inference");
        assert_true(df_number(inference, "decode_s") > 0);
        json_decref(inference);
    }
    df_remove_dir(dir);
}

/* What comes from the flags, and what from the model. */
static void flags_are_written(void **state)
{
    (void)state;
    assert_imports("", QWEN, "\n  seq_len: 32768\n  decode_len: 0\n");
    assert_imports("", QWEN, "\n  run_type: training\n  model_type: llama # SwiGLU\n");
    assert_imports("", QWEN, "\n  tied_embeddings: true\n  batch_size: 1\n");
    assert_imports("", QWEN, "\n    use_flashattention: false\n  intermediate_size: 11008\n");
    assert_imports("", QWEN " --run_type inference --seq-len 640 --decode-len 12",
                   "\n  seq_len: 640\n  decode_len: 12\n");
    assert_imports("", QWEN " --use-flashattention true",
                   "\n    attention_type: gqa\n    num_heads: 16\n    kv_heads: 2\n    bias: qkv\n"
                   "    use_flashattention: true\n    attention_tile_size: 128\n");
    assert_imports("", QWEN " --use-flashattention --flash-tile-size 64",
                   "\n    attention_tile_size: 64\n");
    assert_imports("", CONFIGS "gpt2.json --batch-size 7",
                   "\n  model_type: gpt # GELU\n  tied_embeddings: true\n  batch_size: 7\n"
                   "  seq_len: 1024\n");
    assert_imports("", CONFIGS "falcon_7b.json", "\n  seq_len: 2048\n");
    assert_refuses("", QWEN " --decode-len 32769", 2,
                   "--decode_len: expected at most the sequence's 32768 tokens, found 32769");
}

/* What the keys of a model file can say is written, not warned of. */
static void structures_are_written(void **state)
{
    (void)state;
    assert_imports("", CONFIGS "mistral_7b.json", "\n  layers: 32 window\n");
    assert_imports("", CONFIGS "mistral_7b.json", "\n    window: 4096\n");
    assert_imports("", CONFIGS "qwen1_5_moe_a2_7b.json",
                   "\n  moe:\n    shared_experts: 1\n    shared_size: 5632\n"
                   "    shared_gate: true\n");
    df_outcome o = import("", CONFIGS "qwen1_5_moe_a2_7b.json");
    assert_null(strstr(o.err, "warning"));
    df_outcome_free(&o);
}

/* The same file with one more key. */
static void what_is_left_out_is_said(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command,
             "sed 's/{/{\"num_memory_slots\": 4,/' " QWEN " >%s/config.json", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_refuses("", dir, 2, "num_memory_slots: expected a key that is known");
    snprintf(command, sizeof command, "%s --allow_unknown", dir);
    df_outcome o = import("", command);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "deepflow: warning: num_memory_slots is not known: what it "
                                  "stands for is left out"));
    assert_non_null(strstr(o.out, "# num_memory_slots is not known"));
    df_outcome_free(&o);
    assert_refuses("", QWEN " --model_type gpt", 2,
                   "--model_type: expected none, since the model_type qwen2 is known");
    df_remove_dir(dir);
}

static void output_is_whole_or_not_there(void **state)
{
    (void)state;
    char dir[256];
    char arguments[1024];
    df_make_dir(dir);
    snprintf(arguments, sizeof arguments, QWEN " -o %s/none/model.yaml", dir);
    assert_refuses("", arguments, 1, "model.yaml: cannot be written");
    df_outcome o = import("", QWEN " >/dev/full");
    assert_int_equal(o.exit_code, 1);
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* ---- Places ---- */

static void folders_are_read(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    int exit_code;
    df_make_dir(dir);
    assert_refuses("", dir, 2, "config.json: cannot be read");
    snprintf(command, sizeof command, "cp " QWEN " %s/config.json", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_imports("", dir, "\n  hidden_dim: 2048\n");
    df_remove_dir(dir);
}

static void what_is_no_model_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"./none.json", "/none", "a/b/c", "a//b", "../a",
                                        "a/..",        "'a b'", "a/",    ".a",   "'a?b'"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_refuses("", names[i], 2, "expected a config.json, its folder, or a model such as");
    }
    assert_refuses("", "a/b --revision ../x", 2, "--revision: expected a branch, tag or commit");
    assert_refuses("", "", 2, "MODEL_OR_PATH: expected at least 1");
    assert_refuses("", "a b", 2, "MODEL_OR_PATH: expected at most 1");
}

/* As HuggingFace lays it out: a branch names a commit, whose snapshot has the files. */
static void write_cache(const char *hub)
{
    char command[2048];
    int exit_code;
    snprintf(command, sizeof command,
             "m=%s/models--org--model; mkdir -p $m/refs $m/snapshots/0abc $m/snapshots/1def && "
             "printf 0abc >$m/refs/main && cp " QWEN " $m/snapshots/0abc/config.json && "
             "cp " CONFIGS "gpt2.json $m/snapshots/1def/config.json",
             hub);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void cache_is_read_first(void **state)
{
    (void)state;
    char dir[256];
    char environment[2048];
    char hub[512];
    df_make_dir(dir);
    snprintf(hub, sizeof hub, "%s/huggingface/hub", dir);
    write_cache(hub);
    snprintf(environment, sizeof environment, "HF_HUB_OFFLINE=1 HF_HUB_CACHE=%s", hub);
    assert_imports(environment, "org/model", "\n  hidden_dim: 2048\n");
    assert_imports(environment, "org/model --revision 1def", "\n  hidden_dim: 768\n");
    assert_refuses(environment, "org/model --revision v2", 2,
                   "org/model: expected a model in HuggingFace's cache (");
    assert_refuses(environment, "org/other", 2, "since it is offline (HF_HUB_OFFLINE), found none");
    snprintf(environment, sizeof environment, "HF_HUB_OFFLINE=1 HF_HOME=%s/huggingface", dir);
    assert_imports(environment, "org/model", "\n  hidden_dim: 2048\n");
    snprintf(environment, sizeof environment, "HF_HUB_OFFLINE=1 XDG_CACHE_HOME=%s", dir);
    assert_imports(environment, "org/model", "\n  hidden_dim: 2048\n");
    snprintf(environment, sizeof environment,
             "mkdir %s/.cache && mv %s/huggingface %s/.cache; "
             "env -u XDG_CACHE_HOME HF_HUB_OFFLINE=1 HOME=%s",
             dir, dir, dir, dir);
    assert_imports(environment, "org/model", "\n  hidden_dim: 2048\n");
    df_remove_dir(dir);
}

/* ---- The server ---- */

/* Starts it with a certificate of its own, and writes the environment that leads to it. */
static void start_server(const char *dir, char environment[1024])
{
    char command[4096];
    char *port;
    int exit_code;
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
             "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>openssl.txt && "
             "{ /usr/bin/python3 " DF_TEST_DATA "/support/https_server.py cert.pem key.pem " QWEN
             " port >server.txt 2>&1 & echo $! >pid; } && "
             "for i in $(seq 300); do [ -e port ] && break; sleep 0.1; done; cat port",
             dir);
    df_run(command, &exit_code, &port, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(environment, 1024,
             "HF_HUB_OFFLINE=0 HF_HUB_CACHE=%s/hub HF_ENDPOINT=https://127.0.0.1:%s/ "
             "REQUESTS_CA_BUNDLE=%s/cert.pem no_proxy=127.0.0.1",
             dir, port, dir);
    free(port);
}

static void stop_server(const char *dir)
{
    char command[512];
    int exit_code;
    snprintf(command, sizeof command, "kill \"$(cat %s/pid)\"", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
}

static void models_come_over_https(void **state)
{
    (void)state;
    char dir[256];
    char environment[1024];
    char with_token[1100];
    char untrusted[1200];
    df_make_dir(dir);
    start_server(dir, environment);
    snprintf(with_token, sizeof with_token, "%s HF_TOKEN=secret", environment);
    snprintf(untrusted, sizeof untrusted, "%s REQUESTS_CA_BUNDLE=", environment);
    assert_imports(environment, "org/model", "\n  hidden_dim: 2048\n");
    assert_imports(with_token, "private/model", "\n  hidden_dim: 2048\n");
    assert_refuses(environment, "private/model", 2,
                   "there is no such model, or it is not open to all (set HF_TOKEN)");
    assert_refuses(environment, "org/model --revision v2", 2,
                   "/org/model/resolve/v2/config.json: expected a model with a config.json");
    assert_refuses(environment, "broken/model", 1, "the server answers 503");
    assert_refuses(environment, "huge/model", 2, "expected at most 4194304 bytes, found more");
    assert_refuses(environment, "empty/model", 2, "expected a config.json, found nothing");
    assert_refuses(environment, "plain/model", 1, "cannot be reached");
    assert_refuses(environment, "slow/model --timeout 0.5", 1,
                   "no answer within 0.5 s (--timeout)");
    assert_refuses(untrusted, "org/model", 1, "cannot be reached: SSL certificate problem");
    stop_server(dir);
    assert_refuses(environment, "org/model", 1,
                   "offline, give a config.json, its folder, or a model in HuggingFace's cache");
    df_remove_dir(dir);
}

static void server_must_speak_https(void **state)
{
    (void)state;
    assert_refuses("HF_HUB_OFFLINE= HF_HOME=/none HF_ENDPOINT=http://127.0.0.1", "a/b", 2,
                   "HF_ENDPOINT: expected https://..., found http://127.0.0.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),      cmocka_unit_test(flags_are_written),
        cmocka_unit_test(structures_are_written),       cmocka_unit_test(what_is_left_out_is_said),
        cmocka_unit_test(output_is_whole_or_not_there), cmocka_unit_test(folders_are_read),
        cmocka_unit_test(what_is_no_model_is_refused),  cmocka_unit_test(cache_is_read_first),
        cmocka_unit_test(models_come_over_https),       cmocka_unit_test(server_must_speak_https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
