/* framework.h: a training step as a framework runs it on the kernels of a card: pointwise kernels,
 * host time, collectives beside products, stages, exchange, memory. Equations: docs/calibrated.md,
 * section "Training". Nothing is allocated. */
#ifndef DF_FRAMEWORK_H
#define DF_FRAMEWORK_H
#include "config/cfg_layout.h"
#include "cost/calibrated.h"
#include "fold/breakdown.h"
#include "model/transformer.h"

/* ---- Profiles ---- */

typedef struct {
    const char *name, *source; /* what its numbers were fitted to, or where they were read */
} df_framework_row;

extern const df_framework_row df_framework_rows[DF_FRAMEWORK_COUNT];

void df_framework_preset(df_framework_id id, df_framework *out);
/* The profile that a file names, or the newest there is, with the file's own values. */
void df_framework_of(const df_cfg *cfg, df_framework *out);

/* ---- What is trained ---- */

typedef struct {
    const df_dims *dims;   /* the kind of layer in question */
    const df_stack *stack; /* all kinds */
    const df_split *split;
    bool sequence; /* sequence parallelism, whatever cp */
    bool frozen;   /* weights: LoRA */
    bool fused;    /* attention in one kernel */
    df_recompute recompute;
    double recompute_layers;
    int64_t zero_stage;
    double parts;                  /* of the model on each stage: interleaved */
    const df_cfg_formats *formats; /* NULL: 16 bits, but for products */
    double gradient_bytes;         /* of an element, on the wire and kept; 0: the framework's */
    unsigned modules;              /* a sum of df_again: what is computed again */
    const df_cfg_layout *layout; /* what the parts of a pipeline hold; NULL: as stage_split says */
    double predictions;          /* layers that predict further tokens */
} df_train;

/* Bytes of an element of activations, and of a weight as it is kept. */
double df_train_activation_bytes(const df_train *t);
double df_train_weight_bytes(const df_train *t);

/* What the operators of a step are priced by, with products of layers in a format. */
df_calibrated df_train_prices(const df_framework *w,
                              const df_train *t,
                              const df_card *card,
                              const df_fabric *fabric,
                              df_format products);

/* Seconds of the norms of a layer alone. */
double df_train_norms_s(const df_calibrated *c, const df_train *t);

/* The list of operators of a training step, of a layer and of both ends: the products of `ops`,
 * with everything else as the framework runs it. */
void df_train_edit(const df_framework *w, const df_train *t, df_ops *ops);

/* ---- Experts ---- */

/* Seconds of a layer's experts in a micro-batch, and what they are made of. */
typedef struct {
    double product_s[DF_DIRECTIONS]; /* of experts; backward both gradients */
    double stream_s[DF_DIRECTIONS];
    double shared_s[DF_DIRECTIONS]; /* experts to which every token goes, and the latent width */
    double router_s[DF_DIRECTIONS];
    double transfer_s;             /* one dispatch or combine */
    double shown_s[DF_DIRECTIONS]; /* what nothing hides of two of them */
    double activation_s;           /* of the experts: what moe_act does again */
    double time_s[DF_DIRECTIONS];
} df_expert_times;

/* Of the kind of layer in question, which has experts. */
void df_train_experts(const df_framework *w,
                      const df_train *t,
                      const df_calibrated *c,
                      df_expert_times *out);

/* Adds the seconds of a product and its two gradients, in the format of layers or, `wide`, in bf16.
 */
void df_train_product(
    const df_calibrated *c, bool wide, double m, double n, double k, double out[DF_DIRECTIONS]);

/* Distinct ones of `parts` equal parts of the experts that a token's choices lie in, on average. */
double df_experts_reached(double experts, double top_k, double parts);

/* ---- A layer ---- */

/* Seconds of a layer by what they go to, forward and backward. */
typedef struct {
    double product_s[DF_DIRECTIONS], attention_s[DF_DIRECTIONS], pointwise_s[DF_DIRECTIONS];
    double experts_s[DF_DIRECTIONS];
    double activation_s;             /* of the experts, forward */
    double exposed_s[DF_DIRECTIONS]; /* of collectives: what no product hides */
    double host_s[DF_DIRECTIONS];
    double again_s, again_host_s; /* forward work that the backward pass does again */
    double time_s[DF_DIRECTIONS]; /* the longer one of device and host */
} df_layer_times;

/* `price` is of `ops`, which df_train_edit made. */
void df_train_layer(const df_framework *w,
                    const df_train *t,
                    const df_calibrated *c,
                    const df_ops *ops,
                    const df_price price[],
                    df_layer_times *out);

/* Seconds of both ends: the embedding, and the logits with their loss. */
typedef struct {
    double embedding_s[DF_DIRECTIONS], logits_s[DF_DIRECTIONS];
} df_end_times;

void df_train_ends(const df_ops *ops, const df_price price[], df_end_times *out);

/* ---- The step ---- */

typedef struct {
    double longest_s;     /* a micro-batch on the stage that takes longest */
    double steady_s;      /* all of them there */
    double fill_s;        /* of the pipeline, and its draining */
    double hop_s, hops_s; /* a transfer between stages; those that nothing hides */
    double accumulate_s;
    double exchange_s, optimizer_s;
    double time_s;
} df_train_times;

/* `c` prices collectives and streams; `layer` has the times of each kind of the stack. */
void df_train_step(const df_framework *w,
                   const df_train *t,
                   const df_calibrated *c,
                   const df_layer_times layer[],
                   const df_end_times *ends,
                   df_train_times *out);

/* Layers of a stage, where no layout says so. */
double df_train_stage_layers(const df_framework *w, const df_train *t, int64_t stage);

/* Bytes that a device of a stage needs: docs/calibrated.md, section "Memory". */
typedef struct {
    double state; /* parameters, gradients, optimizer */
    double activations, logits;
} df_train_bytes;

df_train_bytes df_train_memory_bytes(const df_framework *w, const df_train *t, int64_t stage);

#endif
