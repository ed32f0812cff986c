#include <stdlib.h>

#include "predict/predict_impl.h"

df_predictor *df_predictor_new(void)
{
    df_predictor *const predictor = calloc(1, sizeof *predictor);
    if (!predictor) {
        return NULL;
    }
    predictor->search = df_gemm_search_new();
    predictor->pipe = df_pipeline_new();
    predictor->cache = df_gemm_cache_new();
    if (!predictor->search || !predictor->pipe || !predictor->cache) {
        df_predictor_free(predictor);
        return NULL;
    }
    return predictor;
}

void df_predictor_free(df_predictor *predictor)
{
    if (predictor) {
        df_gemm_search_free(predictor->search);
        df_pipeline_free(predictor->pipe);
        df_gemm_cache_free(predictor->cache);
        df_sched_ws_free(&predictor->sched);
        df_simulator_free(predictor->net);
        free(predictor);
    }
}

void df_predictor_clear(df_predictor *predictor)
{
    df_gemm_cache_clear(predictor->cache);
}

void df_predictor_use(df_predictor *predictor, df_runner *runner)
{
    predictor->runner = runner;
}

void df_predictor_show(df_predictor *predictor, const df_llm_watch *watch)
{
    predictor->watch = watch;
}

df_status df_predictor_need_net(df_predictor *predictor, df_err *err)
{
    if (!predictor->net) {
        predictor->net = df_simulator_new(predictor->runner);
    }
    return predictor->net ? DF_OK
                          : df_fail(err, DF_ENOMEM, "out of memory for the network simulator");
}
