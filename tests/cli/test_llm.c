/* predict for LLMs, as a user runs it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "support/program.h"

#define HARDWARE DF_TEST_DATA "/data/hardware.yaml"

static const char LLM[] = "model_param:\n"
                          "  mode: LLM\n"
                          "  run_type: %s\n"
                          "  model_type: llama\n"
                          "  tied_embeddings: false\n"
                          "  num_layers: 8\n"
                          "  hidden_dim: 1024\n"
                          "  batch_size: 16\n"
                          "  seq_len: 512\n"
                          "  decode_len: 64\n"
                          "  intermediate_size: 2816\n"
                          "  vocab_size: 32000\n"
                          "  num_experts: 1\n"
                          "  attention:\n"
                          "    attention_type: gqa\n"
                          "    num_heads: 16\n"
                          "    kv_heads: %d\n";

/* Writes the model of this run type into DIR/llm.yaml and the arguments that predict it. */
static void write_llm(const char *dir, const char *run_type, int kv_heads, char arguments[2048])
{
    char path[512];
    char text[2048];
    snprintf(path, sizeof path, "%s/llm.yaml", dir);
    snprintf(text, sizeof text, LLM, run_type, kv_heads);
    df_write_file(path, text);
    snprintf(arguments, 2048, "predict --hardware_config " HARDWARE " --model_config %s", path);
}

/* Adds to the arguments. */
static void append(char arguments[2048], const char *more)
{
    strncat(arguments, more, 2048 - strlen(arguments) - 1);
}

/* On four replicas: MHA is its parts, the block is MHA, MLP and both norms. */
static void llm_training_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    static const char *const block[] = {"MHA", "MLP", "layernorm1", "layernorm2"};
    char dir[256];
    char arguments[2048];
    char summary[600];
    df_make_dir(dir);
    write_llm(dir, "training", 4, arguments);
    snprintf(arguments + strlen(arguments), 512, " --format json --exp_dir %s", dir);
    json_t *root = df_program_json(arguments);
    const json_t *operators = json_object_get(root, "operators");
    double sum_s = 0;
    for (size_t i = 0; i < sizeof block / sizeof block[0]; i++) {
        sum_s += df_number(json_object_get(operators, block[i]), "forward_s");
    }
    df_assert_rel(sum_s, df_number(json_object_get(root, "node_breakdown"), "transformer_time_f"),
                  1e-15);
    df_assert_rel(df_number(json_object_get(operators, "MHA"), "forward_s"),
                  df_number(json_object_get(operators, "qkv_proj"), "forward_s") +
                      df_number(json_object_get(operators, "attention"), "forward_s") +
                      df_number(json_object_get(operators, "output_proj"), "forward_s"),
                  1e-15);
    snprintf(summary, sizeof summary, "%s/LLM_training_results.txt", dir);
    char *text = df_read_file(summary);
    assert_true(fabs(df_line_value(text, "Total Time") - df_number(root, "time_s")) <= 0.5e-8);
    free(text);
    json_decref(root);
    df_remove_dir(dir);
}

static void llm_inference_is_prefill_and_decode(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    df_make_dir(dir);
    write_llm(dir, "inference", 4, arguments);
    strncat(arguments, " --format json --rules corrected",
            sizeof arguments - strlen(arguments) - 1);
    json_t *root = df_program_json(arguments);
    const json_t *rates = json_object_get(root, "decode_tokens_per_s");
    df_assert_rel(df_number(root, "time_s"),
                  df_number(root, "prefill_s") + df_number(root, "decode_s"), 1e-15);
    df_assert_rel(df_number(root, "ttft_s"), df_number(root, "prefill_s"), 0);
    df_assert_rel(df_number(rates, "overall"), 64 / df_number(root, "decode_s"), 1e-12);
    /* 16 sequences of 64 tokens on 4 devices */
    df_assert_rel(df_number(root, "tpot_s"), df_number(root, "decode_s") / 64, 1e-12);
    df_assert_rel(df_number(root, "tokens_per_s_per_user"), 64 / df_number(root, "decode_s"),
                  1e-12);
    df_assert_rel(df_number(root, "tokens_per_s"), 16 * 64 / df_number(root, "time_s"), 1e-12);
    df_assert_rel(df_number(root, "tokens_per_s_per_device"), 4 * 64 / df_number(root, "time_s"),
                  1e-12);
    /* 4 sequences a replica, 4 heads of 64, 2 bytes, keys and values, 8 layers */
    df_assert_rel(df_number(json_object_get(root, "kv_cache"), "decode_store_bytes"),
                  2.0 * 4 * 4 * 64 * 2 * 64 * 8, 0);
    json_decref(root);
    df_remove_dir(dir);
}

/* An engine's prefill gives the first of the 64 tokens, 63 steps the others. */
static void engines_decode_one_token_less(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    df_make_dir(dir);
    write_llm(dir, "inference", 4, arguments);
    strncat(arguments, " --format json", sizeof arguments - strlen(arguments) - 1);
    json_t *root = df_program_json(arguments);
    const double decode_s = df_number(root, "decode_s");
    const json_t *const rates = json_object_get(root, "decode_tokens_per_s");
    df_assert_rel(df_number(rates, "overall"), 63 / decode_s, 1e-12);
    df_assert_rel(df_number(root, "tpot_s"), decode_s / 63, 1e-12);
    df_assert_rel(df_number(root, "tokens_per_s_per_user"), 63 / decode_s, 1e-12);
    df_assert_rel(df_number(root, "tokens_per_s"), 16 * 64 / df_number(root, "time_s"), 1e-12);
    df_assert_rel(df_number(root, "tokens_per_s_per_device"), 4 * 64 / df_number(root, "time_s"),
                  1e-12);
    assert_true(df_number(root, "prefill_s") + decode_s <= df_number(root, "time_s"));
    /* 4 sequences a replica, 4 heads of 64, 2 bytes, keys and values, 8 layers */
    df_assert_rel(df_number(json_object_get(root, "kv_cache"), "decode_store_bytes"),
                  2.0 * 4 * 4 * 64 * 2 * 63 * 8, 0);
    json_decref(root);
    /* with one token there is no step, and no time of one */
    char command[1024];
    int exit_code;
    snprintf(command, sizeof command, "sed -i 's/decode_len: 64/decode_len: 1/' %s/llm.yaml", dir);
    df_run(command, &exit_code, NULL, NULL);
    root = df_program_json(arguments);
    df_assert_rel(df_number(root, "decode_s"), 0, 0);
    assert_null(json_object_get(root, "tpot_s"));
    assert_null(json_object_get(root, "tokens_per_s_per_user"));
    json_decref(root);
    df_remove_dir(dir);
}

/* 157.8 W of an A100 were measured; of a B200 the limit, 1000 W, is known, of which a board takes
 * 0.377 at least. The test's device has no board. */
static void power_says_what_it_rests_on(void **state)
{
    (void)state;
    static const struct {
        const char *hardware, *line, *basis;
        double least_w;
    } cases[] = {{DF_CONFIGS "/hardware/a100_80gb.yaml", " W, as measured\n", "measured", 157.8},
                 {DF_CONFIGS "/hardware/b200_sxm.yaml", " W, by rule\n", "rule", 377},
                 {HARDWARE, " J: compute ", "unknown", 0}};
    static const char *const run_types[] = {"training", "inference"};
    char dir[256];
    char ignored[2048];
    char arguments[2048];
    df_make_dir(dir);
    for (size_t i = 0; i < 6; i++) {
        write_llm(dir, run_types[i % 2], 4, ignored);
        snprintf(arguments, sizeof arguments,
                 "predict --hardware_config %s --model_config %s/llm.yaml --exp_dir %s",
                 cases[i / 2].hardware, dir, dir);
        df_outcome o = df_program(arguments);
        assert_int_equal(o.exit_code, 0);
        assert_non_null(strstr(o.out, cases[i / 2].line));
        df_outcome_free(&o);
        append(arguments, " --format json");
        json_t *const root = df_program_json(arguments);
        const json_t *const basis = json_object_get(root, "basis");
        assert_string_equal(json_string_value(json_object_get(basis, "power")), cases[i / 2].basis);
        if (cases[i / 2].least_w > 0) {
            assert_true(df_number(root, "board_w") > cases[i / 2].least_w);
            assert_true(df_number(root, "board_w") <= 1000);
        } else {
            assert_null(json_object_get(root, "board_w"));
        }
        json_decref(root);
    }
    df_remove_dir(dir);
}

/* Without a board an engine's run takes what the technology does: 0.18 pJ for each flop of
 * docs/calibrated.md, and bytes from the DRAM. */
static void engines_take_energy_without_boards(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    df_make_dir(dir);
    write_llm(dir, "inference", 4, arguments);
    append(arguments, " --format json");
    json_t *const root = df_program_json(arguments);
    const json_t *const energy = json_object_get(root, "energy");
    /* 8 layers: h 1024, 4 of 16 heads of keys and values, FFN 2816 with a gate; V 32,000 */
    const double layer = 2.0 * 1024 * 1024 + 2.0 * 1024 * 256 + 3.0 * 1024 * 2816;
    const double table = 32000.0 * 1024;
    const double tokens = 16 * 512; /* of all sequences */
    const double pairs = 16 * (0.5 * 448 * 448 + 64 * (448 + 0.5 * 64));
    const double flops = 2 * 8 * layer * tokens + 2 * table * 16 * 64 + 4.0 * 8 * 1024 * pairs;
    df_assert_rel(df_number(energy, "compute_j"), 1.8e-13 * flops, 1e-9);
    assert_true(df_number(energy, "DRAM_j") > 0);
    df_assert_rel(df_number(energy, "total_j"),
                  df_number(energy, "compute_j") + df_number(energy, "DRAM_j") +
                      df_number(energy, "static_j"),
                  1e-12);
    const double share = df_number(root, "prefill_s") / df_number(root, "time_s");
    df_assert_rel(df_number(root, "energy_prefill_j"), share * df_number(energy, "total_j"), 1e-12);
    json_decref(root);
    df_remove_dir(dir);
}

static void llm_text_has_the_known_lines(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    df_make_dir(dir);
    write_llm(dir, "inference", 4, arguments);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "LLM inference time: "));
    assert_non_null(strstr(o.out, "LLM time to first token: "));
    static const char *const names[] = {"\n  TTFT, ", "\n  TPOT, ", "\n  tokens/s/user ",
                                        "\n  tokens/s ", "\n  tokens/s/GPU "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_non_null(strstr(o.out, names[i]));
    }
    df_outcome_free(&o);
    write_llm(dir, "training", 4, arguments);
    o = df_program(arguments);
    assert_non_null(strstr(o.out, "Training time for batch: "));
    df_outcome_free(&o);
    write_llm(dir, "training", 3, arguments);
    df_refuse(arguments, 2,
              "llm.yaml:17: model_param.attention.kv_heads: expected a divisor of num_heads 16, "
              "found 3; kv_heads 4 would fit");
    df_remove_dir(dir);
}

/* The number in the n-th column, from 1 on, of those that a text begins with. */
static double column(const char *text, int n)
{
    double value = 0;
    for (int i = 0; i < n; i++) {
        char *end;
        value = strtod(text, &end);
        assert_true(end > text);
        text = end;
    }
    return value;
}

/* The sum of a table's shares: the operators' and what is behind them. */
static double sum_shares(const char *table)
{
    static const char *const rows[] = {"embedding",   "layernorm1",    "qkv_proj", "attention",
                                       "output_proj", "layernorm2",    "ffn1",     "gelu",
                                       "ffn2",        "linear_softmax"};
    static const char *const rest[] = {"\n  recomputed forward work", "\n  optimizer",
                                       "\n  waiting for stages, hops, reductions"};
    double share = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "\n  %s ", rows[i]);
        const char *const line = strstr(table, name);
        assert_non_null(line);
        share += column(line + strlen(name), 4); /* after times, forward s, backward s */
    }
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        const char *const line = strstr(table, rest[i]);
        share += line ? column(line + strlen(rest[i]), 2) : 0.0;
    }
    return share;
}

/* Each line of the table that has an operator's name has its share, and the shares with what
 * is waited for are the whole: for every kind of split, also where the reference rules leave
 * micro-batches out. */
static void breakdown_adds_up(void **state)
{
    (void)state;
    static const char *const splits[] = {
        "s/dp: 4/dp: 4\\n  mb: 4/", "s/dp: 4/dp: 1\\n  mb: 4/; s/lp: 1/lp: 4/",
        "s/dp: 4/dp: 1\\n  tp: 2\\n  mb: 8\\n  recompute: full/; s/lp: 1/lp: 2/",
        "s/dp: 4/dp: 2\\n  cp: 2/; s/dp_zero_stage: 0/dp_zero_stage: 3/"};
    char dir[256];
    char command[1024];
    char arguments[2048];
    int exit_code;
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
        for (int corrected = 0; corrected < 2; corrected++) {
            snprintf(command, sizeof command, "sed '%s' " HARDWARE " >%s/hw.yaml", splits[i], dir);
            df_run(command, &exit_code, NULL, NULL);
            assert_int_equal(exit_code, 0);
            write_llm(dir, "training", 4, arguments);
            snprintf(command, sizeof command,
                     "predict --hardware_config %s/hw.yaml --model_config %s/llm.yaml --breakdown "
                     "--rules %s",
                     dir, dir, corrected ? "corrected" : "reference");
            df_outcome o = df_program(command);
            assert_int_equal(o.exit_code, 0);
            const char *const table = strstr(o.out, "A training step on one device");
            assert_non_null(table);
            const double share = sum_shares(table);
            if (!(fabs(share - 100) < 0.7)) { /* thirteen shares of one decimal */
                fail_msg("%s: %g %%", splits[i], share);
            }
            df_outcome_free(&o);
        }
    }
    write_llm(dir, "inference", 4, arguments);
    append(arguments, " --breakdown");
    df_outcome o = df_program(arguments);
    assert_non_null(strstr(o.out, "model FLOPs utilization"));
    assert_non_null(strstr(o.out, "The prefill on one device"));
    assert_non_null(strstr(o.out, "The last decode step on one device"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* Two stages and one micro-batch: of 8 layers each stage runs 4, and one of the two the embedding,
 * the other the logits. */
static void parts_of_a_run_are_no_zeros(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        double times;
    } rows[] = {{"\n  embedding ", 0.5}, {"\n  qkv_proj ", 4}, {"\n  linear_softmax ", 0.5}};
    char dir[256];
    char command[1024];
    char arguments[2048];
    int exit_code;
    df_make_dir(dir);
    write_llm(dir, "training", 4, arguments);
    snprintf(command, sizeof command,
             "sed 's/dp: 4/dp: 1\\n  tp: 2/; s/lp: 1/lp: 2/' " HARDWARE " >%s/hw.yaml", dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(command, sizeof command,
             "predict --hardware_config %s/hw.yaml --model_config %s/llm.yaml --breakdown", dir,
             dir);
    df_outcome o = df_program(command);
    assert_int_equal(o.exit_code, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const line = strstr(o.out, rows[i].row);
        assert_non_null(line);
        df_assert_rel(column(line + strlen(rows[i].row), 1), rows[i].times, 0);
    }
    df_outcome_free(&o);
    df_remove_dir(dir);
}

static void json_tells_memory_and_energy(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "weights_bytes",    "master_weights_bytes", "gradients_bytes",
        "optimizer_bytes",  "gathered_bytes",       "activations_bytes",
        "recomputed_bytes", "logits_bytes",         "kv_cache_bytes"};
    static const char *const energies[] = {"compute_j", "registers_j", "L1_j",    "L2_j",
                                           "DRAM_j",    "network_j",   "static_j"};
    char dir[256];
    char arguments[2048];
    double sum = 0;
    df_make_dir(dir);
    write_llm(dir, "training", 4, arguments);
    append(arguments, " --format json");
    json_t *root = df_program_json(arguments);
    const json_t *const memory = json_object_get(root, "memory");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        sum += df_number(memory, parts[i]);
    }
    df_assert_rel(sum, df_number(memory, "total_bytes"), 1e-12);
    df_assert_rel(df_number(memory, "capacity_bytes"), 40 * 1073741824.0, 0);
    assert_true(json_is_true(json_object_get(root, "fits")));
    const json_t *const energy = json_object_get(root, "energy");
    sum = 0;
    for (size_t i = 0; i < sizeof energies / sizeof energies[0]; i++) {
        sum += df_number(energy, energies[i]);
    }
    df_assert_rel(sum, df_number(energy, "total_j"), 1e-12);
    assert_true(df_number(root, "mfu") > 0 && df_number(root, "mfu") < 1);
    const json_t *const qkv = json_object_get(json_object_get(root, "operators"), "qkv_proj");
    assert_non_null(json_string_value(json_object_get(qkv, "bound_forward")));
    json_decref(root);
    df_remove_dir(dir);
}

/* Of a model of 8 billion parameters: attention, most of a long sequence's work, is masked in its
 * flops as in its time. */
static void no_more_than_the_peak_is_used(void **state)
{
    (void)state;
    static const struct {
        const char *run_type, *lengths;
        double unmasked; /* what it is without the mask: above this */
    } cases[] = {
        {"training", "seq_len: 32768", 1},
        {"training", "seq_len: 131072", 1},
        {"inference", "seq_len: 8192, decode_len: 0", 1},
        {"inference", "seq_len: 131072, decode_len: 0", 1},
        {"inference", "seq_len: 131072, decode_len: 16", 1},
        {"inference", "seq_len: 8192, decode_len: 8192", 0},
    };
    char dir[256];
    char path[512];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/model.yaml", dir);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        char arguments[2048];
        snprintf(
            text, sizeof text,
            "model_param: {mode: LLM, run_type: %s, model_type: llama, tied_embeddings: false, "
            "num_layers: 32, hidden_dim: 4096, batch_size: 1, %s, intermediate_size: 14336, "
            "vocab_size: 128256, num_experts: 1, top_k: 1, attention: {attention_type: gqa, "
            "num_heads: 32, kv_heads: 8, use_flashattention: true, "
            "attention_tile_size: 128}}\n",
            cases[i].run_type, cases[i].lengths);
        df_write_file(path, text);
        snprintf(arguments, sizeof arguments,
                 "predict --hardware_config " DF_CONFIGS "/hardware/a100_80gb.yaml "
                 "--model_config %s --exp_dir %s --format json",
                 path, dir);
        json_t *root = df_program_json(arguments);
        assert_true(df_number(root, "mfu") > 0 && df_number(root, "mfu") <= 1);
        json_decref(root);
        append(arguments, " --rules corrected,llm_model_flops_unmasked=reference");
        root = df_program_json(arguments);
        assert_true(df_number(root, "mfu") > cases[i].unmasked);
        json_decref(root);
    }
    df_remove_dir(dir);
}

/* The change that the warning names makes the model fit. */
static void the_warning_names_a_way_out(void **state)
{
    (void)state;
    char dir[256];
    char path[512];
    char arguments[2048];
    int exit_code;
    df_make_dir(dir);
    write_llm(dir, "training", 4, arguments);
    snprintf(path, sizeof path,
             "sed -i 's/batch_size: 16/batch_size: 32/; s/seq_len: 512/seq_len: 4096/' %s/llm.yaml",
             dir);
    df_run(path, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "deepflow: warning: the model does not fit: stage 0 needs"));
    assert_non_null(strstr(o.err, "it would with model_param.attention.use_flashattention: "
                                  "true"));
    df_outcome_free(&o);
    snprintf(path, sizeof path,
             "sed -i 's/num_heads: 16/num_heads: 16\\n    use_flashattention: true\\n    "
             "attention_tile_size: 128/' %s/llm.yaml",
             dir);
    df_run(path, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    o = df_program(arguments);
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
    snprintf(path, sizeof path,
             "sed -i 's/use_flashattention: true/use_flashattention: false/' %s/llm.yaml", dir);
    df_run(path, &exit_code, NULL, NULL);
    append(arguments, " --ignore_memory");
    o = df_program(arguments);
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* Every rule that the list says changes the time does, to what it says. */
static void explained_rules_have_their_effect(void **state)
{
    (void)state;
    char dir[256];
    char arguments[2048];
    char single[4096];
    int changed = 0;
    df_make_dir(dir);
    write_llm(dir, "training", 4, arguments);
    append(arguments, " --format json");
    snprintf(single, sizeof single, "%s --rules reference --explain_rules", arguments);
    json_t *const root = df_program_json(single);
    json_t *const rules = json_object_get(root, "rules");
    const char *name;
    json_t *rule;
    json_object_foreach(rules, name, rule)
    {
        const json_t *const time_s =
            json_object_get(json_object_get(rule, "with_the_other"), "time_s");
        if (time_s && strncmp(name, "llm_", 4) == 0) {
            snprintf(single, sizeof single, "%s --rules reference,%s=corrected", arguments, name);
            json_t *const other = df_program_json(single);
            df_assert_rel(df_number(other, "time_s"), json_number_value(time_s), 1e-15);
            json_decref(other);
            changed++;
        }
    }
    assert_true(changed >= 4);
    json_decref(root);
    write_llm(dir, "training", 4, arguments);
    append(arguments, " --rules reference --explain_rules");
    df_outcome o = df_program(arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.out, "\nllm_optimizer_free\n  now reference: the optimizer's step"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* dp = 4: the rate of all sequences is not four times that of the batch. */
static void replicas_are_counted_once(void **state)
{
    (void)state;
    char dir[256];
    char path[512];
    char arguments[2048];
    double rate[2];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/LLM_inference_results.txt", dir);
    for (int corrected = 0; corrected < 2; corrected++) {
        write_llm(dir, "inference", 4, arguments);
        append(arguments, corrected ? " --rules reference,llm_replicas_counted_twice=corrected"
                                    : " --rules reference");
        append(arguments, " --exp_dir ");
        append(arguments, dir);
        df_outcome o = df_program(arguments);
        assert_int_equal(o.exit_code, 0);
        df_outcome_free(&o);
        char *const text = df_read_file(path);
        const char *const line = strstr(text, "Aggregate Decode Throughput");
        assert_non_null(line);
        rate[corrected] = column(strstr(line, "start=") + strlen("start="), 1);
        free(text);
    }
    df_assert_rel(rate[0], 4 * rate[1], 1e-3); /* two decimals */
    df_remove_dir(dir);
}

/* Runs the program in a folder; the arguments are those of write_llm. */
static df_outcome run_in(const char *dir, const char *arguments)
{
    df_outcome o;
    char command[4096];
    snprintf(command, sizeof command, "cd %s && " DF_BIN " %s", dir, arguments);
    df_run(command, &o.exit_code, &o.out, &o.err);
    return o;
}

/* Nobody has to ask for the files of the Python DeepFlow; where they cannot be written it is
 * said. */
static void results_are_left_where_users_expect_them(void **state)
{
    (void)state;
    static const char *const files[2][2] = {{"training", "Total Time"},
                                            {"inference", "Inference Time for batch"}};
    char dir[256];
    char path[512];
    char arguments[2048];
    df_make_dir(dir);
    for (int i = 0; i < 2; i++) {
        write_llm(dir, files[i][0], 4, arguments);
        df_outcome o = run_in(dir, arguments);
        assert_int_equal(o.exit_code, 0);
        assert_string_equal(o.err, "");
        snprintf(path, sizeof path, "LLM %s results written to output/LLM/LLM_%s_results.txt\n",
                 files[i][0], files[i][0]);
        assert_non_null(strstr(o.out, path));
        snprintf(path, sizeof path, "%s/output/LLM/LLM_%s_results.txt", dir, files[i][0]);
        char *const text = df_read_file(path);
        assert_non_null(strstr(text, "\nExecution Mode: analytical\n"));
        assert_true(df_line_value(text, files[i][1]) > 0);
        free(text);
        df_outcome_free(&o);
    }
    snprintf(path, sizeof path, "%s/output/LLM", dir);
    df_remove_dir(path);
    df_write_file(path, "in the way");
    df_outcome o = run_in(dir, arguments);
    assert_int_equal(o.exit_code, 0);
    assert_non_null(strstr(o.err, "deepflow: warning: no summary file was written: output/LLM: "));
    assert_non_null(strstr(o.out, "LLM inference time: "));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* What the command prints on stderr, and whether it is an error, under these rules, after `sed
 * SCRIPT` on the hardware file. */
static void assert_message(const char *rules, const char *script, int expected, const char *message)
{
    char dir[256];
    char command[1024];
    char ignored[2048];
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command, "sed '%s' " HARDWARE " >%s/hw.yaml", script, dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    write_llm(dir, "training", 4, ignored);
    snprintf(command, sizeof command,
             "predict --hardware_config %s/hw.yaml --model_config %s/llm.yaml --rules %s", dir, dir,
             rules);
    df_outcome o = df_program(command);
    assert_int_equal(o.exit_code, expected);
    if (!strstr(o.err, message)) {
        fail_msg("expected %s in: %s", message, o.err);
    }
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* What searches leave out, predictions refuse; by the reference rules the models take it. The model
 * has 16 heads, 8 layers and 512 tokens. */
static void odd_strategies_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *script, *message;
    } odd[] = {
        {"s/num_devices_per_node: 4/num_devices_per_node: 3/; s/dp: 4/dp: 1\\n  tp: 3/",
         "scheduling_param.tp: expected a divisor of num_heads 16, found 3; tp 4 with "
         "num_devices_per_node 4 would fit\n"},
        {"s/num_devices_per_node: 4/num_devices_per_node: 32/; s/dp: 4/dp: 1\\n  tp: 32/",
         "scheduling_param.tp: expected a divisor of num_heads 16, found 32; tp 16 with dp 2 would "
         "fit\n"},
        {"s/num_devices_per_node: 4/num_devices_per_node: 6/; s/dp: 4/dp: 2\\n  cp: 3/",
         "scheduling_param.cp: expected a divisor of seq_len 512, found 3; cp 4 with "
         "num_devices_per_node 8 would fit\n"},
        {"s/num_devices_per_node: 4/num_devices_per_node: 9/; s/dp: 4/dp: 1/; s/lp: 1/lp: 9/",
         "scheduling_param.lp: expected at most num_layers 8, found 9; lp 8 with "
         "num_devices_per_node 8 would fit\n"}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_message("corrected", odd[i].script, 2, odd[i].message);
        assert_message("corrected", odd[i].script, 2, "hw.yaml:");
        assert_message("reference", odd[i].script, 0, odd[i].message);
        assert_message("reference", odd[i].script, 0, "warning: ");
    }
}

/* So does a search of one strategy; nothing is written. */
static void odd_strategies_are_not_searched(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    char ignored[2048];
    df_make_dir(dir);
    write_llm(dir, "training", 4, ignored);
    snprintf(command, sizeof command,
             "GD_search --hardware_config " HARDWARE " --model_config %s/llm.yaml --exp_dir %s/out "
             "--index 0 --dp 1 --tp 3 --wafer_dim 2 --inter_derate 0",
             dir, dir);
    df_outcome o = df_program(command);
    assert_int_equal(o.exit_code, 2);
    assert_non_null(strstr(o.err, "scheduling_param.tp: tp does not divide num_heads\n"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

static void replaced_words_are_warned_about(void **state)
{
    (void)state;
    assert_message("reference",
                   "s/scheduling_param:/execution_backend: {model: astra, astra: {mode: "
                   "hybryd}}\\nscheduling_param:/; s/num_devices_per_node: "
                   "4/num_devices_per_node: 1/; s/dp: 4/dp: 1/",
                   0, "(did you mean hybrid?), found hybryd; hybrid is used\n");
}

#define SIMULATED(mode)                                                                            \
    "s/scheduling_param:/execution_backend: {model: astra, astra: {mode: " mode                    \
    "}}\\nscheduling_param:/; "
#define REPLICAS(n) "s/num_devices_per_node: 4/num_devices_per_node: " #n "/; s/dp: 4/dp: " #n "/; "

/* What is printed on stderr for this run after `sed SCRIPT` on the hardware file. */
static void assert_told_by(
    const char *rules, const char *dir, const char *run_type, const char *script, const char *told)
{
    char command[1024];
    char ignored[2048];
    int exit_code;
    snprintf(command, sizeof command, "sed '%s' " HARDWARE " >%s/hw.yaml", script, dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    write_llm(dir, run_type, 4, ignored);
    snprintf(command, sizeof command, "sed -i 's/batch_size: 16/batch_size: 640/' %s/llm.yaml",
             dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(command, sizeof command,
             "predict --hardware_config %s/hw.yaml --model_config %s/llm.yaml --ignore_memory "
             "--exp_dir %s --rules %s",
             dir, dir, dir, rules);
    df_outcome o = df_program(command);
    assert_int_equal(o.exit_code, 0);
    if (!(told[0] != '\0' ? strstr(o.err, told) != NULL : o.err[0] == '\0')) {
        fail_msg("%s: expected %s in: %s", script, told, o.err);
    }
    df_outcome_free(&o);
}

static void assert_told(const char *dir, const char *run_type, const char *script, const char *told)
{
    assert_told_by("calibrated", dir, run_type, script, told);
    assert_told_by("corrected", dir, run_type, script, told);
}

/* A ring of n: n - 1 steps gather, 2 (n - 1) reduce. Replicas in inference have nothing to say to
 * each other. On one ring of 40 replicas of 2 stages, these are 2 hops apart, and the far side is
 * 40 away. */
static void long_rings_are_warned_about(void **state)
{
    (void)state;
    static const char steps[] = "warning: scheduling_param.dp: a ring of 128 devices takes 127 "
                                "steps, one after another, for an all-gather and 254 for an "
                                "all-reduce; it would be faster with fewer devices on this axis, ";
    char dir[256];
    df_make_dir(dir);
    assert_told(dir, "training", REPLICAS(64), "");
    assert_told(dir, "training", REPLICAS(128), steps);
    assert_told(dir, "inference", REPLICAS(128), "");
    assert_told(dir, "training", REPLICAS(128) SIMULATED("hybrid"), steps);
    assert_told(dir, "training",
                REPLICAS(128) SIMULATED("hybrid") "s/intra_node: ring/intra_node: switch/", "");
    assert_told_by(
        "corrected", dir, "training",
        SIMULATED("full_astrasim_hierarchical") "s/num_devices_per_node: "
                                                "4/num_devices_per_node: 80/; s/dp: 4/dp: "
                                                "40/; s/lp: 1/lp: 2/",
        "warning: network_topology.intra_node: the simulated ring has 80 devices, and a "
        "message may pass 40 of them; along dp neighbours are 2 hops apart; it would be "
        "faster with a switch, ");
    df_remove_dir(dir);
}

static void left_out_micro_batches_are_warned_about(void **state)
{
    (void)state;
    char dir[256];
    char command[1024];
    char ignored[2048];
    int exit_code;
    df_make_dir(dir);
    snprintf(command, sizeof command, "sed 's/dp: 4/dp: 4\\n  mb: 2/' " HARDWARE " >%s/hw.yaml",
             dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    write_llm(dir, "training", 4, ignored);
    snprintf(command, sizeof command,
             "predict --hardware_config %s/hw.yaml --model_config %s/llm.yaml", dir, dir);
    df_outcome o = df_program(command); /* corrected */
    assert_string_equal(o.err, "");
    df_outcome_free(&o);
    strncat(command, " --rules reference", sizeof command - strlen(command) - 1);
    o = df_program(command);
    assert_non_null(strstr(o.err, "warning: scheduling_param.mb: with one stage"));
    df_outcome_free(&o);
    df_remove_dir(dir);
}

/* Families that are built as llama is. */
static void families_reduce_to_llama(void **state)
{
    (void)state;
    static const char *const families[] = {"llama", "qwen2", "phi3"};
    char dir[256];
    char path[512];
    char arguments[2048];
    double time_s[3];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/llm.yaml", dir);
    for (int i = 0; i < 3; i++) {
        write_llm(dir, "training", 4, arguments);
        append(arguments, " --format json");
        char *const text = df_read_file(path);
        char changed[4096];
        char *const at = strstr(text, "llama");
        *at = '\0';
        snprintf(changed, sizeof changed, "%s%s%s", text, families[i], at + strlen("llama"));
        df_write_file(path, changed);
        free(text);
        json_t *const root = df_program_json(arguments);
        time_s[i] = df_number(root, "time_s");
        json_decref(root);
    }
    df_assert_rel(time_s[1], time_s[0], 0);
    df_assert_rel(time_s[2], time_s[0], 0);
    df_remove_dir(dir);
}

#ifndef __SANITIZE_ADDRESS__ /* which takes memory of its own */
/* What is the most memory that the children which have been waited for took, in bytes. */
static double children_bytes(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return 1024.0 * (double)usage.ru_maxrss;
}

/* 100 layers and 1,024 micro-batches in eight stages with ZeRO 3 by the reference's rules: a
 * graph of 700,000 elements, 170 bytes each, that is not held. */
static void large_steps_take_little_memory(void **state)
{
    (void)state;
    char dir[256];
    char command[2048];
    char text[2048];
    int exit_code;
    df_make_dir(dir);
    snprintf(
        command, sizeof command,
        "sed 's/lp: 1/lp: 8\\n  mb: 1024/; s/dp: 4/dp: 2/; s/dp_zero_stage: 0/dp_zero_stage: 3/; "
        "s/num_devices_per_node: 4/num_devices_per_node: 16/' " HARDWARE " >%s/hw.yaml",
        dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    write_llm(dir, "training", 4, text);
    snprintf(
        command, sizeof command,
        "sed -i 's/num_layers: 8/num_layers: 100/; s/batch_size: 16/batch_size: 2048/' %s/llm.yaml",
        dir);
    df_run(command, &exit_code, NULL, NULL);
    assert_int_equal(exit_code, 0);
    snprintf(command, sizeof command,
             "predict --rules reference --hardware_config %s/hw.yaml --model_config %s/llm.yaml "
             "--format json --exp_dir %s",
             dir, dir, dir);
    json_t *const root = df_program_json(command);
    assert_true(df_number(root, "time_s") > 0);
    json_decref(root);
    assert_true(children_bytes() < 20e6);
    df_remove_dir(dir);
}
#endif

/* The size of micro-batches is told where the file asks for it: a replica's batch of 16, cut. */
static void the_best_micro_batch_is_told(void **state)
{
    (void)state;
    static const char run[] = "scheduling_param: {dp: 1, lp: 1, micro_batch_size: %s}\n"
                              "device: h100_sxm\n";
    char dir[256];
    char path[512];
    char text[4096];
    char model[2048];
    char line[128];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/run.yaml", dir);
    snprintf(model, sizeof model, LLM, "training", 4);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, run, i == 0 ? "best" : "4");
        strncat(text, model, sizeof text - strlen(text) - 1);
        df_write_file(path, text);
        snprintf(text, sizeof text,
                 "predict --exp_config %s --exp_dir %s --rules calibrated --format json", path,
                 dir);
        json_t *const root = df_program_json(text);
        const double size = df_number(root, "micro_batch_size");
        df_assert_rel(size * df_number(root, "micro_batches"), 16, 1e-12);
        assert_int_equal(json_is_true(json_object_get(root, "micro_batch_best")), i == 0);
        assert_true(i == 0 || size == 4);
        json_decref(root);
        *strstr(text, " --format") = '\0';
        df_outcome o = df_program(text);
        snprintf(line, sizeof line, " of %g sequence(s)%s\n", size,
                 i == 0 ? ", the fastest of the powers of two up to 16" : "");
        assert_non_null(strstr(o.out, line));
        df_outcome_free(&o);
    }
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_micro_batch_is_told),
        cmocka_unit_test(llm_training_is_the_sum_of_its_parts),
        cmocka_unit_test(llm_inference_is_prefill_and_decode),
        cmocka_unit_test(engines_decode_one_token_less),
        cmocka_unit_test(power_says_what_it_rests_on),
        cmocka_unit_test(engines_take_energy_without_boards),
        cmocka_unit_test(llm_text_has_the_known_lines),
        cmocka_unit_test(breakdown_adds_up),
        cmocka_unit_test(parts_of_a_run_are_no_zeros),
        cmocka_unit_test(json_tells_memory_and_energy),
        cmocka_unit_test(no_more_than_the_peak_is_used),
        cmocka_unit_test(the_warning_names_a_way_out),
        cmocka_unit_test(explained_rules_have_their_effect),
        cmocka_unit_test(replicas_are_counted_once),
        cmocka_unit_test(results_are_left_where_users_expect_them),
        cmocka_unit_test(long_rings_are_warned_about),
        cmocka_unit_test(odd_strategies_are_refused),
        cmocka_unit_test(odd_strategies_are_not_searched),
        cmocka_unit_test(replaced_words_are_warned_about),
        cmocka_unit_test(left_out_micro_batches_are_warned_about),
        cmocka_unit_test(families_reduce_to_llama),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(large_steps_take_little_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
