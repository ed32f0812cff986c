/* The three ways to simulate a step time the same model, so they must nearly agree where they
 * should: one replica, and a network on which nobody is in another's way. */
#include <math.h>
#include <stdio.h>

#include "support/llm_case.h"

static const df_astra_mode modes[] = {DF_ASTRA_HYBRID, DF_ASTRA_HIERARCHICAL, DF_ASTRA_FLATTENED};

enum { MODES = sizeof modes / sizeof modes[0] };

static void check(df_cfg *cfg)
{
    const df_rules rules = df_rules_corrected();
    double time_s[MODES];
    cfg->backend.model = DF_BACKEND_ASTRA;
    cfg->intra_topology = DF_TOPO_SWITCH;
    for (int i = 0; i < MODES; i++) {
        cfg->backend.mode = modes[i];
        time_s[i] = df_llm_case_predict(cfg, &rules).time_s;
    }
    for (int i = 1; i < MODES; i++) {
        if (time_s[i] < 0.97 * time_s[0] || time_s[i] > 1.1 * time_s[0]) {
            fail_msg("hybrid %g s, hierarchical %g s, flattened %g s: tp %d lp %d mb %d, sequence "
                     "parallel %d, schedule %d",
                     time_s[0], time_s[1], time_s[2], (int)cfg->sched.tp, (int)cfg->sched.lp,
                     (int)cfg->sched.mb, cfg->sched.tp_sp, (int)cfg->sched.schedule);
        }
    }
}

static void pipelines_take_their_turns_in_every_mode(void **state)
{
    static const df_order_id schedules[] = {DF_ORDER_GPIPE, DF_ORDER_1F1B};
    (void)state;
    for (int64_t tp = 1; tp <= 4; tp *= 2) {
        for (int64_t lp = 1; lp <= 4; lp *= 2) {
            for (int64_t mb = 1; mb <= 8; mb *= 2) {
                for (int i = 0; i < 4; i++) {
                    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
                    cfg.llm.num_layers = 8;
                    cfg.llm.batch_size = 8 * mb;
                    cfg.llm.hidden_dim = 2048;
                    cfg.llm.intermediate_size = 8192;
                    cfg.llm.seq_len = 1024;
                    df_llm_case_split(&cfg, tp, 1, lp, mb);
                    cfg.sched.schedule = schedules[i % 2];
                    cfg.sched.tp_sp = i / 2;
                    if (tp * lp > 1) {
                        check(&cfg);
                    }
                }
            }
        }
    }
}

/* One device alone has nothing to wait for: the simulated layers last as long as their operators,
 * four of them in each direction of four layers, each within half a nanosecond. By the reference
 * rules it is within half a microsecond, which shows. */
static void operators_last_as_long_as_they_do_in_closed_form(void **state)
{
    (void)state;
    df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
    df_llm_case_split(&cfg, 1, 1, 1, 1);
    df_rules rules = df_rules_corrected();
    const double closed_s = df_llm_case_predict(&cfg, &rules).time_s;
    cfg.backend.model = DF_BACKEND_ASTRA;
    cfg.intra_topology = DF_TOPO_SWITCH;
    for (int i = 0; i < MODES; i++) {
        cfg.backend.mode = modes[i];
        rules.astra_whole_microseconds = false;
        const double exact_s = df_llm_case_predict(&cfg, &rules).time_s;
        rules.astra_whole_microseconds = true;
        const double rounded_s = df_llm_case_predict(&cfg, &rules).time_s;
        assert_true(fabs(exact_s - closed_s) < 4 * (2 * 4 + 4) * 0.5e-9);
        assert_true(fabs(rounded_s - closed_s) > 100 * 0.5e-9);
    }
}

/* Two stages of a layer over links so slow that half of a hop is some percent of the step: in every
 * mode each device sends what it has. */
static void hops_are_alike_in_every_mode(void **state)
{
    (void)state;
    static const struct {
        int64_t tp, cp;
        bool tp_sp;
    } cases[] = {{2, 1, false}, {2, 1, true}, {1, 2, false}, {2, 2, false}};
    df_rules rules = df_rules_corrected();
    rules.llm_context_gradients_unreduced = true; /* they would be in the way */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        double time_s[MODES];
        cfg.llm.num_layers = 2;
        cfg.llm.tied_embeddings = false; /* nor do the ends of the pipeline exchange gradients */
        cfg.sched.tp_sp = cases[i].tp_sp;
        cfg.sched.cp = cases[i].cp;
        df_llm_case_split(&cfg, cases[i].tp, 1, 2, 1);
        cfg.tech.intra.bandwidth_bytes_ps /= 256;
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.intra_topology = DF_TOPO_FC;
        for (int mode = 0; mode < MODES; mode++) {
            cfg.backend.mode = modes[mode];
            time_s[mode] = df_llm_case_predict(&cfg, &rules).time_s;
        }
        df_assert_rel(time_s[1], time_s[0], 1e-3);
        df_assert_rel(time_s[2], time_s[0], 1e-3);
    }
}

/* Devices that split a context see other tokens, so that they exchange gradients. */
static void gradients_are_reduced_over_the_context_in_every_mode(void **state)
{
    (void)state;
    const df_rules all = df_rules_corrected();
    df_rules unreduced = all;
    unreduced.llm_context_gradients_unreduced = true;
    for (int zero = 0; zero <= 3; zero++) {
        for (int i = 0; i < MODES; i++) {
            df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
            cfg.llm.num_layers = 4;
            cfg.llm.batch_size = 2;
            cfg.sched.cp = 2;
            cfg.sched.schedule = DF_ORDER_1F1B;
            cfg.sw.dp_zero_stage = zero;
            df_llm_case_split(&cfg, 2, 1, 2, 2);
            cfg.intra_topology = DF_TOPO_FC;
            cfg.backend.model = DF_BACKEND_ASTRA;
            cfg.backend.mode = modes[i];
            const double time_s = df_llm_case_predict(&cfg, &all).time_s;
            const double without_s = df_llm_case_predict(&cfg, &unreduced).time_s;
            if (!(time_s > 1.005 * without_s)) {
                fail_msg("mode %d, ZeRO %d: %g s with reductions, %g s without", (int)modes[i],
                         zero, time_s, without_s);
            }
        }
    }
}

/* Devices whose collectives and messages wait for each other keep to one order then. */
static void steps_that_would_be_stuck_end(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    for (int zero = 0; zero <= 2; zero++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_prediction result;
        df_err err;
        cfg.llm.num_layers = 1;
        cfg.llm.batch_size = 2;
        cfg.sched.cp = 2;
        cfg.sched.tp_sp = false;
        cfg.sw.dp_zero_stage = zero;
        cfg.intra_topology = DF_TOPO_SWITCH;
        df_llm_case_split(&cfg, 1, 1, 1, 2);
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = DF_ASTRA_FLATTENED;
        const df_hw_device dev = df_llm_case_device(&cfg);
        df_predictor *const predictor = df_predictor_new();
        assert_non_null(predictor);
        rules.astra_order_open = true;
        assert_int_equal(df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS,
                                    &result, &err),
                         DF_ESTUCK);
        rules.astra_order_open = false;
        assert_int_equal(df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_OPERATORS,
                                    &result, &err),
                         DF_OK);
        df_predictor_free(predictor);
        /* Others are in the way on the ring, so that it takes longer than without them. */
        const double flattened_s = result.time_s;
        cfg.backend.mode = DF_ASTRA_HIERARCHICAL;
        const double hierarchical_s = df_llm_case_predict(&cfg, &rules).time_s;
        assert_true(flattened_s > 0.9 * hierarchical_s);
        assert_true(flattened_s < 3 * hierarchical_s);
    }
}

/* Stages of several parts that gather parameters of ZeRO 3 end, too. Over links that cost nothing
 * the gathers take nothing, so that the order alone counts: of mb micro-batches on p stages of v
 * parts, a stage does all its own, and waits for p - 1 parts forward and backward, which are of
 * layers / (p v) layers each: 1 + (p - 1) / (v mb) times what it does itself. */
static void interleaved_parts_gather_in_every_mode(void **state)
{
    (void)state;
    df_rules rules = df_rules_corrected();
    for (int i = 0; i < 2 * MODES; i++) {
        const int64_t stages = i < MODES ? 2 : 4;
        const int64_t parts = 2;
        const int64_t batches = 2 * stages;
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        cfg.llm.num_layers = 16;
        cfg.llm.vocab_size = 2; /* embedding and head take next to nothing */
        cfg.llm.batch_size = 2 * batches;
        cfg.llm.hidden_dim = 2048;
        cfg.llm.intermediate_size = 8192;
        cfg.llm.seq_len = 4096;
        cfg.sw.dp_zero_stage = 3;
        cfg.sw.kernel_launch_overhead_s = 0;
        cfg.tech.intra.bandwidth_bytes_ps *= 1e6;
        cfg.tech.intra.latency_s = 0;
        cfg.tech.dram.bandwidth_bytes_ps *= 1e3; /* additions, and the optimizer */
        df_llm_case_split(&cfg, 1, 1, 1, 1);
        cfg.llm.num_layers /= stages;
        cfg.llm.batch_size = 1;
        const double own_s = (double)batches * df_llm_case_predict(&cfg, &rules).time_s;
        cfg.llm.num_layers = 16;
        cfg.llm.batch_size = 2 * batches;
        df_llm_case_split(&cfg, 1, 2, stages, batches);
        cfg.sched.schedule = DF_ORDER_INTERLEAVED;
        cfg.sched.virtual_stages = parts;
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.intra_topology = DF_TOPO_SWITCH;
        cfg.backend.mode = modes[i % MODES];
        const double waits = (double)(stages - 1) / (double)(parts * batches);
        df_assert_rel(df_llm_case_predict(&cfg, &rules).time_s, own_s * (1.0 + waits), 0.02);
    }
}

/* A degree that is alone more than the simulator takes is named in every mode: 40000 devices that
 * share a layer, or a context. */
static void degrees_that_are_too_many_are_named(void **state)
{
    (void)state;
    static const struct {
        int64_t tp, cp;
        const char *text;
    } cases[] = {{40000, 1,
                  "scheduling_param.tp: expected at most 32768 devices at once for the "
                  "network simulator, found 40000 (tp 40000)"},
                 {1, 40000,
                  "scheduling_param.cp: expected at most 32768 devices at once for the "
                  "network simulator, found 40000 (cp 40000)"}};
    const df_rules rules = df_rules_corrected();
    for (int i = 0; i < 2 * MODES; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_prediction result;
        df_err err;
        cfg.sched.cp = cases[i % 2].cp;
        df_llm_case_split(&cfg, cases[i % 2].tp, 1, 1, 1);
        cfg.intra_topology = DF_TOPO_SWITCH;
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = modes[i / 2];
        const df_hw_device dev = df_llm_case_device(&cfg);
        df_predictor *const predictor = df_predictor_new();
        assert_non_null(predictor);
        assert_int_equal(
            df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &result, &err),
            DF_EINVAL);
        assert_string_equal(err.text, cases[i % 2].text);
        df_predictor_free(predictor);
    }
}

/* Replicas beyond any number of ranks are refused before they are counted in 32 bits. */
static void too_many_ranks_are_refused(void **state)
{
    (void)state;
    static const df_astra_mode whole[] = {DF_ASTRA_HIERARCHICAL, DF_ASTRA_FLATTENED};
    const df_rules rules = df_rules_corrected();
    for (int i = 0; i < 4; i++) {
        df_cfg cfg = df_llm_case(DF_RUN_TRAINING);
        df_prediction result;
        df_err err;
        char expected[160];
        const int64_t replicas = INT64_C(1) << (i < 2 ? 31 : 32);
        cfg.llm.batch_size = replicas;
        cfg.intra_topology = DF_TOPO_SWITCH;
        df_llm_case_split(&cfg, 2, replicas, 1, 1);
        cfg.backend.model = DF_BACKEND_ASTRA;
        cfg.backend.mode = whole[i % 2];
        const df_hw_device dev = df_llm_case_device(&cfg);
        df_predictor *const predictor = df_predictor_new();
        assert_non_null(predictor);
        assert_int_equal(
            df_predict(predictor, &(df_design){&cfg, &dev, &rules}, DF_WANT_TIMES, &result, &err),
            DF_EINVAL);
        snprintf(expected, sizeof expected,
                 "scheduling_param.dp: expected at most 32768 devices at once for the network "
                 "simulator, found %lld (dp %lld%s)",
                 i % 2 == 1 ? 2LL * replicas : (long long)replicas, (long long)replicas,
                 i % 2 == 1 ? ", tp 2" : "");
        assert_string_equal(err.text, expected);
        df_predictor_free(predictor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_last_as_long_as_they_do_in_closed_form),
        cmocka_unit_test(hops_are_alike_in_every_mode),
        cmocka_unit_test(gradients_are_reduced_over_the_context_in_every_mode),
        cmocka_unit_test(steps_that_would_be_stuck_end),
        cmocka_unit_test(interleaved_parts_gather_in_every_mode),
        cmocka_unit_test(degrees_that_are_too_many_are_named),
        cmocka_unit_test(too_many_ranks_are_refused),
        cmocka_unit_test(pipelines_take_their_turns_in_every_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
