/* Measured runs: files, predictions, scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/support.h"
#include "validate/csv.h"
#include "validate/validate.h"

#define DEVICES                                                                                    \
    "device,hardware,node_gpus,peak_bf16_tflops,peak_fp8_tflops,cluster\n"                         \
    "X-one,a100_80gb.yaml,8,312,,roce_a100\n"                                                      \
    "Y,,8,1,1,\n"

/* A folder with devices.csv and one set. */
typedef struct {
    char dir[256];
    df_val_points points;
    df_val_data *data;
} bench;

static void write_in(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    df_write_file(path, text);
}

static void begin(bench *b)
{
    memset(b, 0, sizeof *b);
    df_make_dir(b->dir);
    write_in(b->dir, "devices.csv", DEVICES);
}

static df_status load(bench *b, df_err *err)
{
    const df_val_folders folders = {b->dir, NULL, DF_CONFIGS "/hardware"};
    return df_val_load(&folders, &b->data, err);
}

/* Runs the set `text` under the corrected rules. */
static df_status run(bench *b, const char *text, df_err *err)
{
    const df_rules rules = df_rules_corrected();
    write_in(b->dir, "set.csv", text);
    const df_status status = load(b, err);
    return status == DF_OK ? df_val_run(b->data, 0, &rules, 1, &b->points, err) : status;
}

static void end(bench *b)
{
    df_val_points_free(&b->points);
    df_val_free(b->data);
    df_remove_dir(b->dir);
}

/* ---- Files ---- */

static void csv_fields_may_be_quoted(void **state)
{
    (void)state;
    char dir[256];
    char path[512];
    df_csv *csv;
    df_err err;
    double value;
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/a.csv", dir);
    df_write_file(path, "id,note,n\r\n\r\na,\"x, \"\"y\"\"\nz\",2.5\nb,,\n");
    assert_int_equal(df_csv_load(path, &csv, &err), DF_OK);
    assert_int_equal(df_csv_rows(csv), 2);
    assert_string_equal(df_csv_text(csv, 0, "note"), "x, \"y\"\nz");
    assert_string_equal(df_csv_text(csv, 1, "note"), "");
    assert_string_equal(df_csv_text(csv, 1, "none"), "");
    assert_int_equal(df_csv_real(csv, 0, "n", -1, &value, &err), DF_OK);
    df_assert_rel(value, 2.5, 0);
    assert_int_equal(df_csv_real(csv, 1, "n", -1, &value, &err), DF_OK);
    df_assert_rel(value, -1, 0);
    assert_int_equal(df_csv_real(csv, 1, "id", -1, &value, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "a.csv:5: id: expected a number, found b"));
    df_csv_free(csv);
    df_remove_dir(dir);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"id,metric,value,run_type\na,b,c\n",
         "set.csv:2: expected 4 fields as in the header, found 3"},
        {"id,metric,value,run_type\na,\"b,c,d\n",
         "set.csv:2: expected a quoted field to end, found no end"},
        {"", "set.csv:1: expected a line of column names, found nothing"},
        {"id,device,model,run_type,batch,input_tokens,metric,value\n"
         "a,X-one,tiny,training,1,128,step_s,1\nb,X-one,tiny,inferense,1,128,decode_s,1\n",
         "set.csv:3: run_type: expected training or inference, found inferense"},
        {"id,x\n", "set.csv:1: expected the columns of a set of measured runs, found others"},
        {"id,device,op,bytes,num_gpus,time_s\na,X-one,all_reduce,many,8,1\n",
         "set.csv:2: bytes: expected a number, found many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench b;
        df_err err;
        begin(&b);
        assert_int_equal(run(&b, cases[i].text, &err), DF_EINVAL);
        assert_non_null(strstr(err.text, cases[i].message));
        end(&b);
    }
}

static void empty_folders_are_refused(void **state)
{
    (void)state;
    bench b;
    df_err err;
    begin(&b);
    assert_int_equal(load(&b, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "--data: expected CSV files of measured runs in"));
    df_remove_dir(b.dir);
    assert_int_equal(load(&b, &err), DF_EINVAL);
    assert_non_null(strstr(err.text, "--data: expected a folder, found"));
}

/* ---- Predictions ---- */

/* On the A100: 300e9 bytes/s and 5e-6 s a hop. 8 MB to all of 8: 7 steps of 1 MB. */
static void collectives_follow_the_formula(void **state)
{
    (void)state;
    bench b;
    df_err err;
    begin(&b);
    assert_int_equal(run(&b,
                         "id,device,op,num_gpus,bytes,time_s,quality\n"
                         "a,X-one,all_to_all,8,8000000,1e-4,trusted\n",
                         &err),
                     DF_OK);
    assert_int_equal(b.points.count, 1);
    assert_null(b.points.point[0].skipped[0]);
    df_assert_rel(b.points.point[0].predicted[0], 7 * (1e6 / 300e9 + 5e-6), 1e-12);
    df_assert_rel(b.points.point[0].measured, 1e-4, 0);
    end(&b);
}

/* Bound by the core: 2 k - 1 flops for each of m n outputs, 512 flops a cycle and core. */
static void gemms_take_no_launch(void **state)
{
    (void)state;
    bench b;
    df_err err;
    begin(&b);
    assert_int_equal(run(&b,
                         "id,device,dtype,m,n,k,time_s,quality\n"
                         "a,X-one,bf16,8192,8192,8192,5e-3,trusted\n",
                         &err),
                     DF_OK);
    df_assert_rel(b.points.point[0].predicted[0],
                  8192.0 * 8192 * (2.0 * 8192 - 1) / (512 * 432 * 1.41e9), 1e-12);
    end(&b);
}

/* Runs the set under the calibrated rules; its only row is predicted. */
static double calibrated(const char *text)
{
    const df_rules rules = df_rules_calibrated();
    bench b;
    df_err err;
    begin(&b);
    write_in(b.dir, "set.csv", text);
    assert_int_equal(load(&b, &err), DF_OK);
    assert_int_equal(df_val_run(b.data, 0, &rules, 1, &b.points, &err), DF_OK);
    assert_int_equal(b.points.count, 1);
    assert_null(b.points.point[0].skipped[0]);
    const double time_s = b.points.point[0].predicted[0];
    end(&b);
    return time_s;
}

/* Worked cases of the calibrated operator model, on the A100. */
static void calibrated_kernels_are_those_that_were_measured(void **state)
{
    (void)state;
    const double digits = 5e-4; /* the file has 311.9 Tflop/s, the case 312 */
    df_assert_rel(calibrated("id,device,dtype,m,n,k,time_s,ws_over_l2,quality\n"
                             "a,X-one,bf16,1,4096,4096,1,1000,trusted\n"),
                  26.8912e-6, digits);
    df_assert_rel(calibrated("id,device,dtype,m,n,k,time_s,ws_over_l2,quality\n"
                             "a,X-one,fp16,16,256,7168,1,0.58,trusted\n"),
                  8.25432e-6, digits);
    df_assert_rel(calibrated("id,device,dtype,batch,seq_q,heads,kv_heads,head_dim,time_s,seq_kv\n"
                             "a,X-one,bf16,4,2048,32,8,128,1,2048\n"),
                  834.696e-6, digits);
    df_assert_rel(calibrated("id,device,dtype,batch,context,heads,kv_heads,head_dim,time_s,"
                             "ws_over_l2\na,X-one,bf16,1,2048,32,32,128,1,10\n"),
                  54.7657e-6, digits);
    df_assert_rel(calibrated("id,device,dtype,tokens,hidden,inter,experts,topk,tp,distribution,"
                             "time_s\na,X-one,bf16,1,4096,14336,8,2,1,balanced,1\n"),
                  459.664e-6, digits);
    df_assert_rel(calibrated("id,device,op,implementation,num_gpus,bytes,time_s\n"
                             "a,X-one,all_reduce,nccl,8,268435456,1\n"),
                  2257.06e-6, digits);
}

/* A row that only some rules can predict has a reason under the others. */
static void each_set_of_rules_has_its_reasons(void **state)
{
    (void)state;
    const df_rules rules[] = {df_rules_corrected(), df_rules_calibrated()};
    bench b;
    df_err err;
    begin(&b);
    write_in(b.dir, "models.csv",
             "model,hidden,layers,heads,kv_heads,ffn,vocab,ffn_type,tied_embeddings,experts\n"
             "tiny,1024,2,8,8,4096,1000,gelu (2 matrices),1,\n"
             "many,1024,2,8,8,4096,1000,gelu (2 matrices),1,8\n");
    write_in(b.dir, "set.csv",
             "id,set,device,num_gpus,model,run_type,batch,input_tokens,precision,metric,value\n"
             "a,mlperf_lora,X-one,1,tiny,training,1,128,bf16,step_s,1\n"
             "b,elsewhere,X-one,1,tiny,training,1,128,bf16,step_s,1\n"
             "c,mlperf_lora,X-one,1,many,training,1,128,bf16,step_s,1\n");
    assert_int_equal(load(&b, &err), DF_OK);
    assert_int_equal(df_val_run(b.data, 0, rules, 2, &b.points, &err), DF_OK);
    assert_int_equal(b.points.count, 3);
    const df_val_point *const p = b.points.point;
    assert_string_equal(p[0].skipped[0], "frozen weights need the calibrated rules");
    assert_null(p[0].skipped[1]);
    assert_null(p[1].skipped[0]);
    assert_string_equal(p[1].skipped[1],
                        "the software that set elsewhere was measured with is not known");
    assert_string_equal(p[2].skipped[0], "a model with experts is not described yet");
    assert_null(p[2].skipped[1]);
    end(&b);
}

/* The first row says nothing of its micro-batches; the others have 1, 2, 4, ... sequences, the last
 * one 32, which is not tried. In the interleaved order a stage may have any number of them. */
static void unknown_batches_take_the_least_time(void **state)
{
    (void)state;
    const df_rules rules = df_rules_calibrated();
    char rows[2048] = "id,set,device,num_gpus,model,run_type,dp,pp,pp_interleave,micro_batch,batch,"
                      "input_tokens,precision,metric,value\n"
                      "a,selene,X-one,16,tiny,training,4,4,2,,128,256,bf16,step_s,1\n";
    bench b;
    df_err err;
    begin(&b);
    write_in(b.dir, "models.csv",
             "model,hidden,layers,heads,kv_heads,ffn,vocab,ffn_type,tied_embeddings\n"
             "tiny,1024,16,8,8,4096,1000,gelu (2 matrices),1\n");
    for (int size = 1; size <= 32; size *= 2) {
        const size_t used = strlen(rows);
        snprintf(rows + used, sizeof rows - used,
                 "b%d,selene,X-one,16,tiny,training,4,4,2,%d,128,256,bf16,step_s,1\n", size, size);
    }
    write_in(b.dir, "set.csv", rows);
    assert_int_equal(load(&b, &err), DF_OK);
    assert_int_equal(df_val_run(b.data, 0, &rules, 1, &b.points, &err), DF_OK);
    assert_int_equal(b.points.count, 7);
    double least = HUGE_VAL;
    for (int i = 1; i <= 5; i++) {
        assert_null(b.points.point[i].skipped[0]);
        least = fmin(least, b.points.point[i].predicted[0]);
    }
    df_assert_rel(b.points.point[0].predicted[0], least, 0);
    end(&b);
}

/* Weights of the first stage: 2 bytes, and 4 + 4 + 8 for master copy, gradient and both moments.
 * Parameters of a gpt layer of width d = 64, ffn 256: qkv 3 d d, projection d d, two of d 256;
 * and the table of 1000 d. */
static void stage_memory_is_counted(void **state)
{
    (void)state;
    bench b;
    df_err err;
    begin(&b);
    write_in(b.dir, "models.csv",
             "model,hidden,layers,heads,kv_heads,ffn,vocab,ffn_type,tied_embeddings\n"
             "tiny,64,2,4,4,256,1000,gelu (2 matrices),1\n");
    assert_int_equal(
        run(&b,
            "id,device,num_gpus,model,run_type,batch,input_tokens,precision,metric,value,quality\n"
            "a,X,1,tiny,training,1,128,bf16,param_opt_mem_gib,1,trusted\n",
            &err),
        DF_OK);
    assert_null(b.points.point[0].skipped[0]);
    const double params = 2 * (4.0 * 64 * 64 + 2 * 64 * 256) + 1000.0 * 64;
    df_assert_rel(b.points.point[0].predicted[0] * 0x1p30, 18 * params, 0.01); /* norms, biases */
    end(&b);
}

static void what_is_not_modelled_says_so(void **state)
{
    (void)state;
    static const char *const reasons[] = {
        "no hardware file is known for device Y",
        "no hardware file is known for device Z",
        "number format fp4 is not modelled on X-one",
        "number format fp8 is not modelled on X-one",
        "expert parallelism is not modelled",
        "the shape of model none is not known",
        "metric noise_db is not modelled",
        "set.csv:9: metric: expected a metric that is modelled (did you mean step_s?), found stp_s",
        "decode_tok_per_s has no value for this run", /* of no output tokens */
        "scheduling_param.dp: expected tp * cp * dp * lp = 2",
        "model_param.attention.num_heads: expected a divisor of hidden_dim 64",
    };
    bench b;
    df_err err;
    begin(&b);
    write_in(b.dir, "models.csv",
             "model,hidden,layers,heads,kv_heads,ffn,vocab,ffn_type,tied_embeddings\n"
             "tiny,64,2,4,4,256,1000,gelu (2 matrices),1\nodd,64,2,5,5,256,1000,gelu,1\n");
    assert_int_equal(run(&b,
                         "id,device,num_gpus,ep,model,run_type,batch,input_tokens,precision,"
                         "metric,value,quality\n"
                         "a,Y,1,1,tiny,training,1,128,bf16,step_s,1,trusted\n"
                         "b,Z,1,1,tiny,training,1,128,bf16,step_s,1,trusted\n"
                         "c,X-one,1,1,tiny,training,1,128,fp4,step_s,1,trusted\n"
                         "d,X-one,1,1,tiny,training,1,128,fp8,step_s,1,trusted\n"
                         "e,X-one,2,2,tiny,training,1,128,bf16,step_s,1,trusted\n"
                         "f,X-one,1,1,none,training,1,128,bf16,step_s,1,trusted\n"
                         "g,X-one,1,1,tiny,training,1,128,bf16,noise_db,1,trusted\n"
                         "g2,X-one,1,1,tiny,training,1,128,bf16,stp_s,1,trusted\n"
                         "g3,X-one,1,1,tiny,inference,1,128,bf16,decode_tok_per_s,1,trusted\n"
                         "h,X-one,2,1,tiny,training,1,128,bf16,step_s,1,trusted\n"
                         "i,X-one,1,1,odd,training,1,128,bf16,step_s,1,trusted\n",
                         &err),
                     DF_OK);
    assert_int_equal(b.points.count, sizeof reasons / sizeof reasons[0]);
    for (size_t i = 0; i < b.points.count; i++) {
        assert_non_null(b.points.point[i].skipped[0]);
        assert_non_null(strstr(b.points.point[i].skipped[0], reasons[i]));
    }
    end(&b);
}

/* The second row has no mask; a row of a file without the column has one. */
static void attention_without_a_mask_is_left_out(void **state)
{
    (void)state;
    bench b;
    df_err err;
    begin(&b);
    assert_int_equal(run(&b,
                         "id,device,dtype,batch,seq_q,seq_kv,heads,kv_heads,head_dim,causal,"
                         "time_s,quality\n"
                         "a,X-one,bf16,1,1024,1024,8,8,128,1,1e-3,trusted\n"
                         "b,X-one,bf16,1,1024,1024,8,8,128,0,1e-3,trusted\n",
                         &err),
                     DF_OK);
    assert_int_equal(b.points.count, 2);
    assert_null(b.points.point[0].skipped[0]);
    assert_string_equal(b.points.point[1].skipped[0],
                        "attention without a causal mask is not modelled");
    end(&b);
}

/* ---- Placement ---- */

static df_cfg_system place(double node_gpus, int64_t tp, int64_t cp, int64_t dp, int64_t lp)
{
    df_cfg cfg;
    memset(&cfg, 0, sizeof cfg);
    cfg.sched.tp = tp;
    cfg.sched.cp = cp;
    cfg.sched.dp = dp;
    cfg.sched.lp = lp;
    df_val_place(node_gpus, tp * cp * dp * lp, &cfg);
    return cfg.system;
}

static void axes_leave_nodes(void **state)
{
    (void)state;
    df_cfg_system s = place(8, 4, 1, 2, 1); /* one node */
    assert_true(s.num_nodes == 1 && s.num_devices_per_node == 8);
    assert_true(!s.tp_inter && !s.dp_inter && !s.lp_inter);
    df_assert_rel(s.inter_derate, 1, 0);
    s = place(8, 1, 1, 32, 1); /* 8 replicas in each of 4 nodes: 8 ports */
    assert_true(s.num_nodes == 4 && s.dp_inter && !s.tp_inter && !s.lp_inter);
    df_assert_rel(s.inter_derate, 1.0 / 8, 0);
    s = place(8, 4, 1, 4, 2); /* 2 replicas in a node share 4 ways */
    assert_true(s.dp_inter && s.lp_inter && !s.tp_inter);
    df_assert_rel(s.inter_derate, 1.0 / 2, 0);
    s = place(8, 8, 1, 4, 1); /* one member a node: one port */
    assert_true(s.dp_inter && !s.tp_inter);
    df_assert_rel(s.inter_derate, 1, 0);
    s = place(8, 16, 1, 2, 1); /* the innermost decides */
    assert_true(s.tp_inter && s.dp_inter);
    df_assert_rel(s.inter_derate, 1.0 / 8, 0);
    s = place(8, 2, 8, 1, 1); /* context parallelism has the links of tensor parallelism */
    assert_true(s.tp_inter && s.cp_inter && !s.dp_inter);
    df_assert_rel(s.inter_derate, 1.0 / 4, 0);
    s = place(2, 1, 1, 4, 1); /* pairs of cards share one way */
    assert_true(s.num_nodes == 2 && s.dp_inter);
    df_assert_rel(s.inter_derate, 1, 0);
}

/* ---- Scores ---- */

static df_val_point point(const char *id, double measured, double predicted, const char *group)
{
    return (df_val_point){.set = "s",
                          .metric = "step_s",
                          .id = id,
                          .quality = "noisy",
                          .part = *group == 'h' ? "p" : "",
                          .device = "",
                          .model = "",
                          .group = group,
                          .measured = measured,
                          .predicted = {predicted}};
}

static df_val_score score_of(df_val_point *list, size_t count, const char *metric)
{
    const df_val_points points = {list, count, count};
    df_val_score score;
    const df_val_choice choice = {.set = "s", .metric = metric};
    assert_int_equal(df_val_score_points(&points, &choice, 0, &score, NULL), DF_OK);
    return score;
}

/* Errors +50 %, -20 %, 0 and +10 %; one row without a prediction. */
static void errors_are_summed_up(void **state)
{
    (void)state;
    df_val_point list[] = {point("a", 2, 3, ""), point("b", 10, 8, ""), point("c", 1, 1, ""),
                           point("d", 10, 11, ""), point("e", 1, 0, "")};
    list[2].quality = "trusted";
    list[3].quality = "trusted";
    list[4].skipped[0] = "not modelled";
    const df_val_score s = score_of(list, 5, "step_s");
    assert_int_equal(s.total, 5);
    assert_int_equal(s.skipped, 1);
    assert_int_equal(s.all.n, 4);
    df_assert_rel(s.all.bias, (0.5 - 0.2 + 0 + 0.1) / 4, 1e-14);
    df_assert_rel(s.all.mean, (0.5 + 0.2 + 0 + 0.1) / 4, 1e-14);
    df_assert_rel(s.all.median, (0.1 + 0.2) / 2, 1e-14);
    df_assert_rel(s.all.worst, 0.5, 1e-14);
    assert_string_equal(s.all.worst_id, "a");
    assert_int_equal(s.trusted.n, 2);
    df_assert_rel(s.trusted.mean, 0.05, 1e-13);
    assert_int_equal(s.ranking.groups, 0);
}

/* Yes or no: one of four answers is wrong. */
static void wrong_answers_are_counted(void **state)
{
    (void)state;
    df_val_point list[] = {point("a", 1, 1, ""), point("b", 0, 0, ""), point("c", 0, 1, ""),
                           point("d", 1, 1, "")};
    for (size_t i = 0; i < 4; i++) {
        list[i].metric = "fits";
    }
    df_assert_rel(score_of(list, 4, "fits").all.mean, 0.25, 0);
}

/* Group g, measured 1 2 3 4, predicted 2 1 3 3: of 6 pairs 4 agree, 1 differs, 1 is tied in the
 * prediction, so tau-b = (4 - 1) / sqrt((5 + 0) (5 + 1)). The second is picked: regret 2/1 - 1.
 * Group h, measured 5 6 7, predicted alike: tau 1, regret 0. Group i is too small. */
static void groups_are_ranked(void **state)
{
    (void)state;
    df_val_point list[] = {point("a", 1, 2, "g"), point("h1", 5, 50, "h"), point("b", 2, 1, "g"),
                           point("c", 3, 3, "g"), point("i1", 1, 2, "i"),  point("h2", 6, 60, "h"),
                           point("d", 4, 3, "g"), point("h3", 7, 70, "h"), point("i2", 2, 1, "i")};
    const df_val_score s = score_of(list, 9, "step_s");
    const df_val_points points = {list, 9, 9};
    const df_val_choice choice = {.set = "s", .part = "p"}; /* group h alone */
    df_val_score of_part;
    assert_int_equal(df_val_score_points(&points, &choice, 0, &of_part, NULL), DF_OK);
    assert_int_equal(of_part.total, 3);
    df_assert_rel(of_part.all.mean, 9, 1e-14);
    assert_int_equal(s.ranking.groups, 2);
    df_assert_rel(s.ranking.tau, 0.5 * (3 / sqrt(30.0) + 1), 1e-14);
    df_assert_rel(s.ranking.regret, 0.5, 1e-14);
    df_assert_rel(s.ranking.worst_regret, 1, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_fields_may_be_quoted),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(empty_folders_are_refused),
        cmocka_unit_test(collectives_follow_the_formula),
        cmocka_unit_test(gemms_take_no_launch),
        cmocka_unit_test(calibrated_kernels_are_those_that_were_measured),
        cmocka_unit_test(each_set_of_rules_has_its_reasons),
        cmocka_unit_test(unknown_batches_take_the_least_time),
        cmocka_unit_test(stage_memory_is_counted),
        cmocka_unit_test(what_is_not_modelled_says_so),
        cmocka_unit_test(attention_without_a_mask_is_left_out),
        cmocka_unit_test(axes_leave_nodes),
        cmocka_unit_test(errors_are_summed_up),
        cmocka_unit_test(wrong_answers_are_counted),
        cmocka_unit_test(groups_are_ranked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
