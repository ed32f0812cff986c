/* Every message about a bad configuration, word by word, with its line. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mt19937.h"
#include "config/cfg.h"
#include "support/support.h"

typedef struct {
    const char *from, *to; /* the first `from` of the file becomes `to` */
    const char *bad;       /* the line that has this is reported; NULL: the first of `to` */
    const char *message;   /* behind FILE:LINE: */
} mistake;

static const mistake in_hardware[] = {
    /* unknown keys */
    {"num_bundles: 64", "num_bundle: 64", NULL,
     "tech_param.core.num_bundle: expected a known key (did you mean num_bundles?), found an "
     "unknown one"},
    {"sw_param:", "sw_params:", NULL,
     "sw_params: expected a known key (did you mean sw_param?), found an unknown one"},
    {"util: 0.8", "zzz: 1", NULL,
     "tech_param.core.zzz: expected a known key, found an unknown one"},
    {"num_nodes: 1", "num_wafers: 1", NULL,
     "system_hierarchy.num_wafers: expected num_nodes, found a key that is no longer used"},
    {"    util: 0.8", "    util:\n      x: 1",
     "util:", "tech_param.core.util: expected a number > 0 and <= 1, found a mapping"},
    /* wrong types */
    {"num_bundles: 64", "num_bundles: many", NULL,
     "tech_param.core.num_bundles: expected a whole number >= 0, found many"},
    {"num_bundles: 64", "num_bundles: 6.5", NULL,
     "tech_param.core.num_bundles: expected a whole number >= 0, found 6.5"},
    {"num_bundles: 64", "num_bundles: [64]", NULL,
     "tech_param.core.num_bundles: expected a whole number >= 0, found a list"},
    {"latency: 100e-9", "latency: 100 ns", NULL,
     "tech_param.DRAM.latency: expected a number >= 0 (s), found 100 ns"},
    {"latency: 100e-9", "latency: .nan", NULL,
     "tech_param.DRAM.latency: expected a number >= 0 (s), found .nan"},
    {"latency: 100e-9", "latency: 1e999", NULL,
     "tech_param.DRAM.latency: expected a number >= 0 (s), found 1e999"},
    {"latency: 100e-9", "latency: 0x10", NULL,
     "tech_param.DRAM.latency: expected a number >= 0 (s), found 0x10"},
    {"latency: 100e-9", "latency:", NULL,
     "tech_param.DRAM.latency: expected a number >= 0 (s), found nothing"},
    {"dataflow: best", "dataflow: worst", NULL,
     "tech_param.core.dataflow: expected wst, ast, ost, best or none, found worst"},
    {"kp1_inter: false", "kp1_inter: maybe", NULL,
     "system_hierarchy.kp1_inter: expected true or false, found maybe"},
    {"tensor_format: fp16", "tensor_format: fp12", NULL,
     "sw_param.precision.tensor_format: expected fp8, fp16, half, bf16, fp32 or single, or a "
     "number of bytes > 0 (did you mean fp16?), found fp12"},
    {"type: SRAM-L1", "type: DRAM", NULL, "memory_hierarchy.l1.type: expected SRAM-L1, found DRAM"},
    {"  core:\n", "  core: 5\n  DRAM:\n    util: 1\n  cores:\n", "core: 5",
     "tech_param.core: expected a mapping of keys to values, found 5"},
    /* units */
    {"size: 40 GB", "size: 40 XB", NULL,
     "tech_param.DRAM.size: expected a unit of K, M, G or T and B (bytes) or b (bits), as in "
     "\"80 GB\", found 40 XB"},
    {"size: 40 GB", "size: 40 gb", NULL,
     "tech_param.DRAM.size: expected a unit of K, M, G or T and B (bytes) or b (bits), as in "
     "\"80 GB\", found 40 gb"},
    {"size: 40 GB", "size: 40 GB/s", NULL,
     "tech_param.DRAM.size: expected a unit of K, M, G or T and B (bytes) or b (bits), as in "
     "\"80 GB\", found 40 GB/s"},
    {"size: 40 GB", "size: lots", NULL,
     "tech_param.DRAM.size: expected a number >= 0 (bytes, or with K, M, G or T and B or b), "
     "found lots"},
    /* out of range */
    {"util: 0.8", "util: 1.5", NULL,
     "tech_param.core.util: expected a number > 0 and <= 1, found 1.5"},
    {"size: 40 GB", "size: -1 GB", NULL,
     "tech_param.DRAM.size: expected a number >= 0 (bytes, or with K, M, G or T and B or b), "
     "found -1 GB"},
    {"dp: 4", "dp: 0", NULL, "scheduling_param.dp: expected a whole number >= 1, found 0"},
    {"dp_zero_stage: 0", "dp_zero_stage: -1", NULL,
     "sw_param.dp_zero_stage: expected a whole number >= 0, found -1"},
    {"num_nodes: 1", "num_nodes: 99999999999999999999", NULL,
     "system_hierarchy.num_nodes: expected a whole number >= 1, found 99999999999999999999"},
    {"num_devices_per_node: 4\n  num_nodes: 1",
     "num_devices_per_node: 4000000\n  num_nodes: 4000000", "num_nodes: 4000000",
     "system_hierarchy.num_nodes: expected num_nodes * num_devices_per_node <= 2^40, found "
     "16000000000000"},
    /* missing */
    {"network_topology:\n  inter_node: ring\n  intra_node: ring\n", "", "# A small device",
     "network_topology: expected this section, found none"},
    {"    FMA_d1: 8\n", "",
     "operating_frequency:", "tech_param.core.FMA_d1: expected a whole number >= 1, found nothing"},
    {"network_topology:\n", "network_topology:\nignored:\n",
     "network_topology:", "network_topology: expected a mapping of keys to values, found nothing"},
    /* twice */
    {"num_bundles: 64", "num_bundles: 64\n    num_bundles: 32", "num_bundles: 32",
     "tech_param.core.num_bundles: expected once, found in hardware:14 too"},
    {"network_topology:", "sw_param:\n  h2d_bandwidth: 0\nnetwork_topology:", NULL,
     "sw_param: expected once, found in hardware:2 too"},
    /* links of axes */
    {"lp_inter: false", "lp_inter: false\n  cp_inter: maybe", "cp_inter: maybe",
     "system_hierarchy.cp_inter: expected true or false, found maybe"},
    {"lp_inter: false", "lp_inter: false\n  ep_inter: maybe", "ep_inter: maybe",
     "system_hierarchy.ep_inter: expected true or false, found maybe"},
    {"lp: 1", "lp: 1\n  ep: 0", "ep: 0",
     "scheduling_param.ep: expected a whole number >= 1, found 0"},
    /* two words for one key */
    {"lp: 1", "pp: 0", NULL, "scheduling_param.pp: expected a whole number >= 1, found 0"},
    {"lp: 1", "pp: [1]", NULL, "scheduling_param.pp: expected a whole number >= 1, found a list"},
    {"  lp: 1\n", "",
     "scheduling_param:", "scheduling_param.lp: expected a whole number >= 1, found nothing"},
    {"lp: 1", "lp: 1\n  pp: 2", "pp: 2",
     "scheduling_param.pp: expected the same as scheduling_param.lp in hardware:80, found 2"},
    {"lp: 1", "pp: 2\n  lp: 1", "lp: 1",
     "scheduling_param.lp: expected the same as scheduling_param.pp in hardware:80, found 1"},
    {"lp: 1", "lp: 1\n  pp: [1]", "pp: [1]",
     "scheduling_param.pp: expected the same as scheduling_param.lp in hardware:80, found a list"},
    {"lp: 1", "pp: 1\n  pp: 1\n", "pp: 1\n\n",
     "scheduling_param.pp: expected once, found in hardware:80 too"},
    {"  lp_inter: false\n", "",
     "system_hierarchy:", "system_hierarchy.lp_inter: expected true or false, found nothing"},
    {"lp_inter: false", "pp_inter: 2", NULL,
     "system_hierarchy.pp_inter: expected true or false, found 2"},
    {"lp_inter: false", "lp_inter: false\n  pp_inter: true", "pp_inter: true",
     "system_hierarchy.pp_inter: expected the same as system_hierarchy.lp_inter in hardware:61, "
     "found true"},
    {"dp: 4", "pp_inter: true\n  dp: 4", NULL,
     "scheduling_param.pp_inter: expected a known key, found an unknown one"},
    /* several options at once */
    {"kp1: 1", "kp1: 3", "dp: 4",
     "scheduling_param.dp: expected dp * lp * kp1 * kp2 = 4 (num_nodes * num_devices_per_node), "
     "found 12; num_devices_per_node 12 would fit"},
    {"inter_node: ring", "inter_node: switch", NULL,
     "network_topology.inter_node: expected ring with the analytical backend, found switch"},
    /* syntax */
    {"  num_nodes: 1", "  num_nodes: 1: 2", NULL,
     "syntax: expected well-formed YAML, found: mapping values are not allowed in this context"},
    {"  num_nodes: 1", "\tnum_nodes: 1", NULL,
     "syntax: expected well-formed YAML, found: found a tab character "
     "that violates indentation while scanning a plain scalar from line 56"},
    {"  kp2: 1\n", "  kp2: \"1", NULL,
     "syntax: expected well-formed YAML, found: found unexpected end of stream "
     "while scanning a quoted scalar from line 83"},
    {"  num_nodes: 1", "  num_nodes: *one", NULL,
     "syntax: expected well-formed YAML, found: found undefined alias"},
    {"scheduling_param:", "---\nscheduling_param:", "scheduling_param:",
     "document: expected one document, found a second"},
    {"  num_nodes: 1", "  [a]: 1", NULL,
     "system_hierarchy: expected keys that are words, found a list"},
};

static const mistake in_model[] = {
    {"mode: LSTM", "mode: RNN", NULL, "model_param.mode: expected GEMM, LSTM or LLM, found RNN"},
    {"  mode: LSTM\n", "",
     "model_param:", "model_param.mode: expected GEMM, LSTM or LLM, found nothing"},
    {"  seq_len: 10", "  seq_len: 10\n  M: 1", "M: 1",
     "model_param.M: expected a key of this mode, found one of another mode"},
    {"  seq_len: 10\n", "",
     "model_param:", "model_param.seq_len: expected a whole number >= 1, found nothing"},
    {"model_param:", "model_param: 7\nother:", NULL,
     "model_param: expected a mapping of keys to values, found 7"},
    {"model_param:", "- model_param:", NULL,
     "document: expected a mapping of sections, found a list"},
};

static const mistake in_llm[] = {
    {"model_type: llama", "model_type: mamba", NULL,
     "model_param.model_type: expected gpt, llama, qwen2 or phi3, found mamba"},
    {"model_type: llama", "model_type: lama", NULL,
     "model_param.model_type: expected gpt, llama, qwen2 or phi3 (did you mean llama?), found "
     "lama"},
    {"attention_type: gqa", "attention_type: mqa", NULL,
     "model_param.attention.attention_type: expected mha, gqa or mla, found mqa"},
    {"run_type: inference", "run_type: infer", NULL,
     "model_param.run_type: expected training or inference (did you mean inference?), found infer"},
    {"    kv_heads: 4\n", "", "attention_type:",
     "model_param.attention.kv_heads: expected a whole number >= 1 for gqa, found nothing"},
    {"kv_heads: 4", "kv_heads: 3", NULL,
     "model_param.attention.kv_heads: expected a divisor of num_heads 8, found 3; kv_heads 4 "
     "would fit"},
    {"num_heads: 8", "num_heads: 12", NULL,
     "model_param.attention.num_heads: expected a divisor of hidden_dim 512 without "
     "head_dim, found 12; num_heads "
     "16 would fit"},
    {"    attention_tile_size: 64\n", "", "attention_type:",
     "model_param.attention.attention_tile_size: expected a whole number >= 1 with "
     "use_flashattention, found nothing"},
    {"batch_size: 8", "batch_size: 6", NULL,
     "model_param.batch_size: expected a multiple of dp 4, found 6; batch_size 8 would fit"},
    {"num_experts: 1", "num_experts: 8", NULL,
     "model_param.num_experts: expected 1 on several devices under the rules of the reference, "
     "found 8; --rules calibrated and corrected know more"},
    {"num_experts: 1", "num_experts: 1\n  top_k: 2", "top_k: 2",
     "model_param.top_k: expected at most num_experts 1, found 2; top_k 1 would fit"},
    {"  decode_len: 16\n", "", "model_param:",
     "model_param.decode_len: expected tokens to decode, 0 to seq_len 256, found nothing"},
    {"decode_len: 16", "decode_len: 300", NULL,
     "model_param.decode_len: expected at most seq_len 256, found 300; decode_len 256 would fit"},
    {"sample_every: 4", "sample_every: 0", NULL,
     "inference_param.sample_every: expected a number of steps >= 1, or < 0, found 0"},
    {"  seq_len: 256", "  layer_size: 7", NULL,
     "model_param.layer_size: expected a key of this mode, found one of another mode"},
};

/* With the LLM; the mistake is in the hardware file. */
static const mistake in_llm_hardware[] = {
    {"dp: 4", "dp: 4\n  tp: 2", "dp: 4",
     "scheduling_param.dp: expected tp * cp * dp * lp = 4 (num_nodes * num_devices_per_node), "
     "found 2 * 1 * 4 * 1 = 8; dp 2 would fit"},
    {"dp: 4", "dp: 2\n  cp: 2", "cp: 2",
     "scheduling_param.cp: expected 1 for inference, found 2; cp 1 with tp 2 would fit"},
    {"dp: 4", "dp: 4\n  mb: 3", "mb: 3",
     "scheduling_param.mb: expected a divisor of the batch of a replica, 2, found 3; mb 2 would "
     "fit"},
    {"dp: 4", "dp: 4\n  virtual_stages: 2", "virtual_stages",
     "scheduling_param.virtual_stages: expected 1 without schedule interleaved, found 2; "
     "virtual_stages 1 would fit"},
    {"dp: 4\n  lp: 1", "dp: 2\n  lp: 2\n  schedule: interleaved", "scheduling_param:",
     "scheduling_param.mb: expected a multiple of lp 2 with schedule interleaved, found 1; mb 2 "
     "would fit"},
    {"dp: 4", "dp: 4\n  schedule: interleaved\n  virtual_stages: 7", "virtual_stages",
     "scheduling_param.virtual_stages: expected at most 6 (lp * virtual_stages <= num_layers + 2, "
     "found 1 * 7 and 4), found 7; virtual_stages 6 would fit"},
    {"dp: 4", "dp: 4\n  auto: true", "auto: true",
     "scheduling_param.auto: expected false for an LLM, found true"},
    {"dp: 4", "dp: 4\n  tp: 3", "dp: 4",
     "scheduling_param.dp: expected tp * cp * dp * lp = 4 (num_nodes * num_devices_per_node), "
     "found 3 * 1 * 4 * 1 = 12; tp 1 would fit"},
    {"dp: 4\n  lp: 1", "dp: 1\n  lp: 4\n  mb: 2\n  schedule: interleaved", "mb: 2",
     "scheduling_param.mb: expected a multiple of lp 4 with schedule interleaved, found 2; mb 4 "
     "would fit"},
    {"as_tensor_format", "tensor_plus_fp32_master", NULL,
     "sw_param.precision.param_storage_mode: expected mixed_precision to be true with "
     "tensor_plus_fp32_master, found false"},
};

/* Number of the line that has `what`. */
static int line_of(const char *text, const char *what)
{
    const char *at = strstr(text, what);
    assert_non_null(at);
    int line = 1;
    for (const char *c = text; c < at; c++) {
        line += *c == '\n';
    }
    return line;
}

static char *changed(const char *text, const mistake *m)
{
    const char *at = strstr(text, m->from);
    assert_non_null(at);
    const size_t room = strlen(text) + strlen(m->to) + 1;
    char *result = malloc(room);
    assert_non_null(result);
    snprintf(result, room, "%.*s%s%s", (int)(at - text), text, m->to, at + strlen(m->from));
    return result;
}

/* The message that the texts are refused with. */
static void refuse(const char *hardware, const char *model, df_err *err)
{
    df_cfg cfg;
    df_cfg before;
    memset(&cfg, 0x5a, sizeof cfg);
    memcpy(&before, &cfg, sizeof cfg);
    const df_cfg_text hw = {hardware, "hardware"};
    const df_cfg_text mdl = {model, "model"};
    assert_int_equal(
        df_cfg_parse(&hw, model ? &mdl : NULL, DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, err),
        DF_EINVAL);
    assert_memory_equal(&cfg, &before, sizeof cfg); /* untouched */
}

/* Prints both texts where they differ; returns whether they are equal. */
static bool check(const mistake *m, bool of_hardware, const char *model_file)
{
    char *hardware = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    char *model = df_read_file(model_file);
    char **const text = of_hardware ? &hardware : &model;
    char *const bad = changed(*text, m);
    free(*text);
    *text = bad;
    char expected[DF_ERR_TEXT];
    snprintf(expected, sizeof expected, "%s:%d: %s", of_hardware ? "hardware" : "model",
             line_of(bad, m->bad ? m->bad : m->to), m->message);
    df_err err;
    refuse(hardware, model, &err);
    const bool equal = strcmp(err.text, expected) == 0;
    if (!equal) {
        print_error("expected %s\nfound    %s\n", expected, err.text);
    }
    free(hardware);
    free(model);
    return equal;
}

#define LSTM DF_TEST_DATA "/data/lstm.yaml"
#define LLM DF_TEST_DATA "/data/llm.yaml"

/* Checks all of a table. */
#define CHECK_ALL(table, of_hardware, model_file)                                                  \
    check_all((table), sizeof(table) / sizeof(table)[0], (of_hardware), (model_file))

static void check_all(const mistake *all, size_t count, bool of_hardware, const char *model_file)
{
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        failed += !check(&all[i], of_hardware, model_file);
    }
    assert_int_equal(failed, 0);
}

static void hardware_mistakes_are_named(void **state)
{
    (void)state;
    CHECK_ALL(in_hardware, true, LSTM);
}

static void model_mistakes_are_named(void **state)
{
    (void)state;
    CHECK_ALL(in_model, false, LSTM);
}

static void llm_mistakes_are_named(void **state)
{
    (void)state;
    CHECK_ALL(in_llm, false, LLM);
    CHECK_ALL(in_llm_hardware, true, LLM);
}

/* Checks of several options name the word that stands in the file too. */
static void checks_name_the_word_of_the_file(void **state)
{
    (void)state;
    static const mistake system = {"num_devices_per_node: 4", "num_devices_per_node: 8", NULL,
                                   NULL};
    static const mistake split = {"dp: 4\n  lp: 1",
                                  "dp: 1\n  mb: 8\n  schedule: interleaved\n  pp: 8", NULL, NULL};
    char *const whole = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    char *const larger = changed(whole, &system);
    char *const hardware = changed(larger, &split);
    char *const model = df_read_file(LLM);
    char expected[DF_ERR_TEXT];
    df_err err;
    refuse(hardware, model, &err);
    snprintf(expected, sizeof expected,
             "hardware:%d: scheduling_param.pp: expected at most num_layers 4 with schedule "
             "interleaved, found 8; num_layers 8 would fit",
             line_of(hardware, "pp: 8"));
    assert_string_equal(err.text, expected);
    free(whole);
    free(larger);
    free(hardware);
    free(model);
}

/* Degrees and sizes that users get wrong. */
typedef struct {
    int64_t tp, dp, lp, mb, batch, heads, kv_heads, layers, devices;
} shape;

/* The answer to the files with these values. */
static df_status parse_shape(const shape *s, const char *hardware, df_err *err)
{
    char degrees[256];
    char devices[64];
    char model[1024];
    df_cfg cfg;
    snprintf(degrees, sizeof degrees,
             "dp: %" PRId64 "\n  tp: %" PRId64 "\n  mb: %" PRId64 "\n  lp: %" PRId64, s->dp, s->tp,
             s->mb, s->lp);
    snprintf(devices, sizeof devices, "num_devices_per_node: %" PRId64, s->devices);
    snprintf(model, sizeof model,
             "model_param: {mode: LLM, run_type: training, model_type: gpt, tied_embeddings: no, "
             "num_layers: %" PRId64 ", hidden_dim: 960, batch_size: %" PRId64
             ", seq_len: 8, intermediate_size: 8, vocab_size: 8, num_experts: 1, "
             "attention: {attention_type: gqa, num_heads: %" PRId64 ", kv_heads: %" PRId64 "}}\n",
             s->layers, s->batch, s->heads, s->kv_heads);
    const mistake split = {"dp: 4\n  lp: 1", degrees, NULL, NULL};
    const mistake system = {"num_devices_per_node: 4", devices, NULL, NULL};
    char *const half = changed(hardware, &split);
    char *const whole = changed(half, &system);
    const df_status status =
        df_cfg_parse(&(df_cfg_text){whole, "hardware"}, &(df_cfg_text){model, "model"},
                     DF_CFG_NEED_HARDWARE | DF_CFG_NEED_MODEL, &cfg, err);
    free(half);
    free(whole);
    return status;
}

/* Does what "; NAME VALUE would fit" says. */
static void follow(shape *s, const char *message)
{
    const struct {
        const char *name;
        int64_t *field;
    } fields[] = {{"tp", &s->tp},
                  {"dp", &s->dp},
                  {"lp", &s->lp},
                  {"mb", &s->mb},
                  {"batch_size", &s->batch},
                  {"num_heads", &s->heads},
                  {"kv_heads", &s->kv_heads},
                  {"num_layers", &s->layers},
                  {"num_devices_per_node", &s->devices}};
    const char *const hint = strrchr(message, ';');
    if (!hint || !strstr(hint, " would fit")) {
        fail_msg("no suggestion: %s", message);
        return;
    }
    const char *const name = hint + 2;
    const size_t length = strcspn(name, " ");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].name) == length && strncmp(fields[i].name, name, length) == 0) {
            *fields[i].field = strtoll(name + length, NULL, 10);
            return;
        }
    }
    fail_msg("unknown: %s", message);
}

/* Where one value is wrong, the one that is suggested makes all right. */
static void suggestions_work(void **state)
{
    (void)state;
    enum { SHAPES = 320, FIELDS = 8, MOST = 40 };
    char *hardware = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    df_mt19937 random;
    int refused = 0;
    df_mt_init(&random, 3);
    for (int i = 0; i < SHAPES; i++) {
        shape s = {4, 2, 2, 4, 16, 16, 8, 12, 16};
        int64_t *const fields[FIELDS] = {&s.tp,    &s.dp,    &s.lp,       &s.mb,
                                         &s.batch, &s.heads, &s.kv_heads, &s.devices};
        df_err err;
        *fields[i % FIELDS] = 1 + df_mt_next(&random) % MOST;
        if (parse_shape(&s, hardware, &err) != DF_OK) {
            refused++;
            follow(&s, err.text);
            if (parse_shape(&s, hardware, &err) != DF_OK) {
                fail_msg("still refused: %s", err.text);
            }
        }
    }
    assert_true(refused > SHAPES / 4);
    free(hardware);
}

static void empty_documents_are_refused(void **state)
{
    (void)state;
    df_err err;
    refuse("", NULL, &err);
    assert_string_equal(err.text,
                        "hardware:1: document: expected a mapping of sections, found nothing");
    refuse("sw_param: {", NULL, &err);
    assert_string_equal(err.text,
                        "hardware:2: syntax: expected well-formed YAML, found: did not find "
                        "expected node content while parsing a flow node from line 2");
}

static void a_section_stands_in_one_file(void **state)
{
    (void)state;
    char *hardware = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    df_err err;
    refuse(hardware, "sw_param:\n  h2d_bandwidth: 1\nmodel_param:\n  mode: GEMM\n", &err);
    assert_string_equal(err.text, "hardware:2: sw_param: expected once, found in model:1 too");
    refuse(hardware, NULL, &err);
    assert_string_equal(err.text, "hardware:1: model_param: expected this section, found none");
    free(hardware);
}

static void files_are_refused(void **state)
{
    (void)state;
    char dir[256];
    df_make_dir(dir);
    df_cfg cfg;
    df_err err;
    assert_int_equal(df_cfg_load("/nowhere/x.yaml", NULL, DF_CFG_NEED_HARDWARE, &cfg, &err),
                     DF_EINVAL);
    assert_string_equal(err.text,
                        "/nowhere/x.yaml: expected a file, found: No such file or directory");
    char expected[DF_ERR_TEXT];
    assert_int_equal(df_cfg_load(dir, NULL, DF_CFG_NEED_HARDWARE, &cfg, &err), DF_EINVAL);
    snprintf(expected, sizeof expected, "%s: expected a file, found a directory", dir);
    assert_string_equal(err.text, expected);
    df_remove_dir(dir);
}

/* Whatever is cut off at the end, the answer is a message or a configuration. */
static void cut_files_never_crash(void **state)
{
    (void)state;
    char *hardware = df_read_file(DF_TEST_DATA "/data/hardware.yaml");
    for (size_t length = strlen(hardware); length > 0; length--) {
        hardware[length] = '\0';
        df_cfg cfg;
        df_err err;
        const df_status status = df_cfg_parse(&(df_cfg_text){hardware, "hardware"}, NULL,
                                              DF_CFG_NEED_HARDWARE, &cfg, &err);
        assert_true(status == DF_OK || status == DF_EINVAL);
    }
    free(hardware);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hardware_mistakes_are_named),
        cmocka_unit_test(model_mistakes_are_named),
        cmocka_unit_test(llm_mistakes_are_named),
        cmocka_unit_test(checks_name_the_word_of_the_file),
        cmocka_unit_test(suggestions_work),
        cmocka_unit_test(empty_documents_are_refused),
        cmocka_unit_test(a_section_stands_in_one_file),
        cmocka_unit_test(files_are_refused),
        cmocka_unit_test(cut_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
