/* Models with layers of several kinds, as users predict them. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

#define PLAIN                                                                                      \
    "model_param:\n  mode: LLM\n  run_type: %s\n  model_type: llama\n  tied_embeddings: false\n"   \
    "  num_layers: 8\n  hidden_dim: 1024\n  batch_size: 8\n  seq_len: 512\n  decode_len: 16\n"     \
    "  intermediate_size: 4096\n  vocab_size: 32000\n  num_experts: 1\n%s"                         \
    "  attention: {attention_type: gqa, num_heads: 8, kv_heads: 4, use_flashattention: true, "     \
    "attention_tile_size: 128%s}\n"

typedef struct {
    const char *run, *more, *attention;
} shape;

static void write_model(const char *dir, const char *name, const shape *s, char path[512])
{
    char text[2048];
    snprintf(path, 512, "%s/%s.yaml", dir, name);
    snprintf(text, sizeof text, PLAIN, s->run, s->more, s->attention);
    df_write_file(path, text);
}

static json_t *predict(const char *dir, const shape *s, const char *flags)
{
    char path[512];
    char arguments[2048];
    write_model(dir, "model", s, path);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config " DF_CONFIGS "/hardware/h100_x8.yaml --model_config %s "
             "--exp_dir %s %s --format json",
             path, dir, flags);
    return df_program_json(arguments);
}

/* Layers that are listed and all alike are the layers that are not listed, to the last digit. */
static void a_list_of_equal_layers_changes_nothing(void **state)
{
    (void)state;
    static const char *const rules[] = {"corrected", "calibrated"};
    static const char *const runs[] = {"training", "inference"};
    char dir[256];
    df_make_dir(dir);
    for (int r = 0; r < 2; r++) {
        for (int i = 0; i < 2; i++) {
            char flags[64];
            snprintf(flags, sizeof flags, "--rules %s --breakdown", rules[r]);
            const shape plain = {runs[i], "", ""};
            const shape listed = {runs[i], "  layers: 2 x (3 full, dense)\n", ", head_dim: 128"};
            json_t *const a = predict(dir, &plain, flags);
            json_t *const b = predict(dir, &listed, flags);
            char *const first = json_dumps(a, JSON_SORT_KEYS);
            char *const second = json_dumps(b, JSON_SORT_KEYS);
            assert_string_equal(first, second);
            free(first);
            free(second);
            json_decref(a);
            json_decref(b);
        }
    }
    df_remove_dir(dir);
}

static double time_of(const char *dir, const shape *s, const char *flags)
{
    json_t *const root = predict(dir, s, flags);
    const double time_s = df_number(root, "time_s");
    json_decref(root);
    return time_s;
}

/* Layers cost what they do in a model of their own: the model of both kinds lies between those of
 * one kind each, in both rules and both runs, and half of either is its mean within what embedding,
 * logits and host add. */
static void kinds_cost_what_they_do_alone(void **state)
{
    (void)state;
    static const char *const rules[] = {"--rules corrected", "--rules calibrated"};
    static const char *const runs[] = {"training", "inference"};
    char dir[256];
    df_make_dir(dir);
    for (int i = 0; i < 4; i++) {
        const shape wide = {runs[i % 2], "  layers: 8 full\n", ""};
        const shape narrow = {runs[i % 2], "  layers: 8 window width=1024\n", ", window: 64"};
        const shape both = {runs[i % 2], "  layers: 4 x (full, window width=1024)\n",
                            ", window: 64"};
        const double a = time_of(dir, &wide, rules[i / 2]);
        const double b = time_of(dir, &narrow, rules[i / 2]);
        const double mean = time_of(dir, &both, rules[i / 2]);
        assert_true(b < a);
        df_assert_rel(mean, 0.5 * (a + b), 0.02);
    }
    df_remove_dir(dir);
}

/* The models that people ask for are predicted by name, and what they keep fits their kind. */
static void models_of_all_kinds_are_predicted(void **state)
{
    (void)state;
    static const char *const names[] = {"deepseek-v3", "gpt-oss-20b", "qwen3-30b-a3b",
                                        "llama4-scout"};
    char arguments[512];
    char dir[256];
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (int r = 0; r < 2; r++) {
            snprintf(arguments, sizeof arguments,
                     "predict --hardware h200_x8 --model %s --rules %s --exp_dir %s --format json",
                     names[i], r == 0 ? "corrected" : "calibrated", dir);
            json_t *const root = df_program_json(arguments);
            json_t *const memory = json_object_get(root, "memory");
            snprintf(arguments, sizeof arguments, "model --model %s --format json", names[i]);
            json_t *const model = df_program_json(arguments);
            const double weights = df_number(memory, "weights_bytes") * 8;
            assert_true(df_number(root, "time_s") > 0);
            /* two bytes each, but for norms, routers and what every device has whole */
            df_assert_rel(weights, 2 * df_number(model, "parameters"), 0.05);
            json_decref(root);
            json_decref(model);
        }
    }
    df_remove_dir(dir);
}

/* The rules of the Python DeepFlow know none of this. */
static void the_reference_refuses_them(void **state)
{
    (void)state;
    char path[512];
    char arguments[1024];
    char dir[256];
    df_make_dir(dir);
    write_model(dir, "model", &(shape){"training", "  layers: 8 full\n", ""}, path);
    snprintf(arguments, sizeof arguments,
             "predict --hardware_config " DF_CONFIGS
             "/hardware/a100_80gb.yaml --model_config %s --rules reference",
             path);
    df_refuse(arguments, 2, "model_param.layers: expected a model without it");
    df_remove_dir(dir);
}

/* Weights that are frozen have no gradients, moments and copies: 8 layers of 1024 x (8 + 2 x 8) x
 * 128
 * + 1024 x 1024 + 3 x 1024 x 4096, and two tables of 32000 x 1024, over 8 devices, 2 bytes each.
 * Each device has a key/value head, so that there are 8 of the 4. */
static void frozen_weights_are_kept_alone(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    const shape frozen = {"training", "  frozen: true\n", ""};
    json_t *const root = predict(dir, &frozen, "");
    json_t *const memory = json_object_get(root, "memory");
    df_assert_rel(df_number(memory, "optimizer_bytes"), 199753728.0 / 8 * 2, 1e-12);
    json_decref(root);
    df_remove_dir(dir);
}

/* The network simulator has neither layers of several kinds nor exchanges of experts. */
static void the_simulator_refuses_them(void **state)
{
    (void)state;
    static const char hardware[] =
        "device: h100_sxm\nsystem_hierarchy: {num_devices_per_node: 8, num_nodes: 1}\n"
        "scheduling_param: {dp: 8, ep: %d}\n"
        "execution_backend: {model: astra, astra: {mode: full_astrasim_flattened}}\n";
    char path[512];
    char machine[512];
    char text[2048];
    char dir[256];
    df_make_dir(dir);
    snprintf(machine, sizeof machine, "%s/machine.yaml", dir);
    for (int i = 0; i < 2; i++) {
        const shape model = {"training", i == 0 ? "  layers: 4 x (dense, experts)\n" : "", ""};
        char plain[2048];
        write_model(dir, "model", &model, path);
        char *const given = df_read_file(path);
        char *const one = strstr(given, "num_experts: 1\n");
        assert_non_null(one);
        *one = '\0';
        snprintf(plain, sizeof plain, "%snum_experts: 8\n%s", given,
                 one + strlen("num_experts: 1\n"));
        free(given);
        df_write_file(path, plain);
        snprintf(text, sizeof text, hardware, i == 0 ? 1 : 8);
        df_write_file(machine, text);
        snprintf(text, sizeof text,
                 "predict --hardware_config %s --model_config %s --rules corrected", machine, path);
        df_refuse(text, i == 0 ? 2 : 3, "execution_backend.model: expected analytical");
    }
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_equal_layers_changes_nothing),
        cmocka_unit_test(kinds_cost_what_they_do_alone),
        cmocka_unit_test(models_of_all_kinds_are_predicted),
        cmocka_unit_test(the_reference_refuses_them),
        cmocka_unit_test(the_simulator_refuses_them),
        cmocka_unit_test(frozen_weights_are_kept_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
