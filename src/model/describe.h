/* describe.h: what a model is, before it runs on anything: parameters by part, those that a token
 * uses, operations of a token, bytes of the cache. Counts are of the published architectures, with
 * biases, norms and routers, which are too small to take time of their own in a prediction. */
#ifndef DF_DESCRIBE_H
#define DF_DESCRIBE_H
#include "model/dims.h"

typedef enum {
    DF_COUNT_EMBEDDING, /* tables of tokens and positions, and products that widen them */
    DF_COUNT_ATTENTION,
    DF_COUNT_STATE, /* layers with a state in place of attention */
    DF_COUNT_FFN,
    DF_COUNT_EXPERTS,
    DF_COUNT_SHARED, /* experts to which every token goes */
    DF_COUNT_ROUTER,
    DF_COUNT_NORMS,
    DF_COUNT_HEAD,
    DF_COUNT_OTHER,
    DF_COUNTS
} df_counted;

extern const char *const df_count_names[DF_COUNTS]; /* "embedding", ... */

typedef struct {
    double params;
    double active; /* of these, what the products of a token read */
    double flops;  /* of a token's forward pass, in products with weights */
} df_count;

typedef struct {
    df_count part[DF_COUNTS];
    df_count total;
    double prediction_params; /* of layers that predict further tokens; not in the total */
    double cache_token_bytes; /* what a token adds to the cache inside every window */
    double cache_bytes;       /* of a sequence of `context` tokens */
    double state_bytes;       /* of a sequence, whatever its length */
    double mixing_flops;      /* of the last of `context` tokens, between its projections */
    double mixing_mean_flops; /* the mean over all of them */
} df_description;

/* The cache and the operations between projections are of a sequence of `context` tokens. */
void df_describe(const df_cfg *cfg, double context, df_description *out);

#endif
