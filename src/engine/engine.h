/* engine.h: inference as an engine runs it on the kernels of a card: one pass over the tokens of
 * several sequences, a static batch, memory and turns, power of the board. Equations:
 * docs/calibrated.md, section "Inference". Nothing is allocated. Infinite times: the card has no
 * rate for a format, or no links. */
#ifndef DF_ENGINE_H
#define DF_ENGINE_H
#include "cost/calibrated.h"
#include "model/transformer.h"

/* ---- Profiles ---- */

typedef struct {
    const char *name, *source; /* what its numbers were fitted to, or where they were read */
    bool one_set; /* they were fitted to the runs of one set, which no other confirms */
} df_engine_row;

extern const df_engine_row df_engine_rows[DF_ENGINE_COUNT];

void df_engine_preset(df_engine_id id, df_engine *out);
/* The profile that a file names, or that of a static batch, with the file's own values. */
void df_engine_of(const df_cfg *cfg, df_engine *out);

/* ---- What is served ---- */

/* One replica: of the split's degrees tp and pp count. Everything is borrowed. */
typedef struct {
    const df_stack
        *stack; /* kinds of layers; all have the experts on one device, or parts of each */
    const df_split *split;
    const df_card *card;
    const df_fabric *fabric;
    df_format weights;   /* and products of layers */
    double stored_bytes; /* of a weight in memory; 0: as products have it */
    df_format activations, logits, attention;
    df_low_kernel low; /* of products in fewer bits */
    df_throttle_join throttle_join;
    bool far_rings;            /* collectives that leave a node, not through its host */
    const df_calibration *own; /* constants that a file has of its own; NULL: none */
    bool fp8_cache;
    double memory_bytes; /* of a device */
    df_cfg_board board;
} df_deployment;

/* What a configuration says of it; dims, split, card and fabric are the caller's to set. */
void df_engine_deployment_of(const df_cfg *cfg, const df_hw_device *dev, df_deployment *out);

/* A deployment that an engine runs. */
typedef struct {
    const df_stack *stack;
    const df_dims *dims; /* the kind of layer in question */
    df_split split;      /* of single tokens */
    df_engine engine;
    df_calibrated prices;
    df_cfg_board board;
    double memory_bytes;
    double weight_bytes, cache_bytes; /* of an element */
    double activation_bytes;
    double heads, kv_heads; /* of a device */
    double ep;              /* devices of tp that share the experts; 1: each has parts of all */
    bool absorbed;          /* a pass of single tokens multiplies queries into the latent width */
} df_server;

void df_engine_server(const df_engine *engine, const df_deployment *what, df_server *out);

/* The same server, of one kind of layer. */
df_server df_engine_of_kind(const df_server *s, int kind);

/* ---- A pass ---- */

/* Prompts, or pieces of them, of one shape: `fresh` new tokens each behind `cached` ones. */
typedef struct {
    double count, fresh, cached;
} df_chunks;

/* `sequences` get a token each, whose caches hold `context` tokens on average, and beside them run
 * chunks of prompts, `ends` of which are the last of theirs. */
typedef struct {
    double sequences, context;
    const df_chunks *chunks;
    int kinds; /* of chunks */
    double ends;
} df_engine_pass;

/* Whether a pass, of single tokens alone, multiplies queries into the latent width. */
bool df_engine_absorbs(const df_dims *dims, const df_engine_pass *pass);

/* Seconds of it: what a batch, and a server under load, are made of. */
double df_engine_pass_s(const df_server *s, const df_engine_pass *pass);

/* Seconds of `steps` passes in which `sequences` get a token each, the first over caches of
 * `context` tokens: by Simpson's rule. */
double df_engine_decode_s(const df_server *s, double sequences, double context, double steps);

/* ---- Its operators, of which a pass of so many tokens exactly has these ---- */

/* Of a layer, without attention and experts. */
void df_engine_layer_ops(const df_server *s, double tokens, df_ops *ops);
/* Of a layer's attention: at most DF_OPS_MAX kinds. */
void df_engine_attention_ops(const df_server *s, const df_engine_pass *pass, df_ops *ops);
/* Of the choice of a token for each of `rows` sequences. */
void df_engine_head_ops(const df_server *s, double rows, df_ops *ops);
DF_NODISCARD df_status df_engine_price_ops(const df_server *s, const df_ops *ops, df_price price[]);
/* Seconds of a layer's experts and their router: no operator has them. 0 without experts. */
/* Active ones of so many experts on the busiest of several devices, each of which is active by
 * itself with that probability: the mean of the largest of binomial numbers. */
double df_engine_busiest(double experts, double devices, double active);
double df_engine_router_s(const df_server *s, double tokens);
double df_engine_experts_s(const df_server *s, double tokens);

/* ---- Memory ---- */

typedef struct {
    double weight_bytes; /* of a device */
    double token_bytes;  /* of the cache of a token */
    double cache_bytes;  /* room for caches and states; < 0: not even the weights fit */
    double tokens;       /* whole ones that it holds if all are of one sequence without windows */
} df_engine_memory;

void df_engine_memory_of(const df_server *s, df_engine_memory *out);
/* Bytes of a device that one sequence of so many tokens has in caches and states. */
double df_engine_sequence_bytes(const df_server *s, double tokens);

/* Sequences of so many tokens that run at once: at least one, whether or not it fits. */
double df_engine_slots(const df_server *s, const df_engine_memory *memory, double tokens);

/* ---- A static batch ---- */

/* `sequences` start together, with prompts of `input` tokens, and get `output` tokens each: at
 * least one of each. */
typedef struct {
    double sequences, input, output;
} df_static_batch;

typedef struct {
    double prefill_s, decode_s; /* all turns */
    double call_s;              /* beside passes */
    double total_s;
    double first_token_s;                /* until all sequences of the first turn have one */
    double first_ps, middle_ps, last_ps; /* tokens a second of a turn's first, middle, last step */
    double tokens_ps;                    /* output tokens a second of the whole call */
    df_engine_memory memory;
    bool fits; /* one sequence, at least */
    double slots, turns;
    double power_w, energy_j; /* of a device; 0: nothing is known of the board */
} df_static_times;

void df_engine_static(const df_server *s, const df_static_batch *batch, df_static_times *out);

/* ---- Power ---- */

/* What a device does. */
typedef struct {
    double flops;
    double bytes;       /* of weights and activations */
    double cache_bytes; /* read */
} df_board_work;

/* Of a static batch in turns of `slots`. */
void df_engine_work(const df_server *s,
                    const df_static_batch *batch,
                    double slots,
                    df_board_work *out);

/* Watts of a board that does it in so long, whatever it is: training, too. 0: nothing is known of
 * the board. */
double df_board_power_w(const df_cfg_board *board, const df_board_work *work, double time_s);

#endif
