/* engine_impl.h: inside the module of engines. */
#ifndef DF_ENGINE_IMPL_H
#define DF_ENGINE_IMPL_H
#include "engine/engine.h"

/* Bytes of an element of the embedding: 16 bits, whatever weights of layers are. */
#define DF_ENGINE_ELEMENT 2.0

/* Products of a feed-forward network before its activation. */
static inline double df_engine_ffn_in(const df_server *s)
{
    return s->dims->gated ? 2.0 : 1.0;
}

static inline bool df_engine_has_experts(const df_server *s)
{
    return s->dims->experts > 1.0;
}

/* The first, middle and last of so many decode steps. */
enum { DF_STEP_FIRST, DF_STEP_MIDDLE, DF_STEP_LAST, DF_STEP_SAMPLES };

/* Seconds of these, the first over caches of `context` tokens. */
void df_engine_sample_steps(const df_server *s,
                            double sequences,
                            double context,
                            double steps,
                            double step_s[DF_STEP_SAMPLES]);

/* Of all of them: Simpson's rule. */
double df_engine_sum_steps(const double step_s[DF_STEP_SAMPLES], double steps);

#endif
