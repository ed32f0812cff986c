/* A training step: stages, micro-batches, exchange, optimizer. */
#include <math.h>
#include <string.h>

#include "framework/framework.h"

/* Of the embedding or of the logits. */
static double table_params(const df_train *t)
{
    return df_dims_table_params(t->dims) / t->split->tp;
}

/* ---- Stages ---- */

/* The last of `stages` has as many layers fewer as its logits stand for, so that the longest is as
 * short as can be; the others share the rest. */
static double balanced_layers(const df_train *t, double stages, int64_t stage)
{
    const double layers = t->stack->layers;
    const double head = table_params(t) / df_split_mean_params(t->split, t->stack);
    double least = HUGE_VAL;
    double last = 0.0;
    for (int64_t i = 0; i <= (int64_t)layers; i++) {
        const double n = (double)i;
        const double longest = fmax(ceil((layers - n) / (stages - 1.0)), n + head);
        if (longest < least - 1e-9) {
            least = longest;
            last = n;
        }
    }
    double left = layers - last;
    double take = last;
    for (int64_t i = 0; i <= stage && i < (int64_t)stages - 1; i++) {
        take = fmin(ceil(left / (stages - 1.0 - (double)i)), left);
        left -= take;
    }
    return stage == (int64_t)stages - 1 ? last : take;
}

/* Whether the embedding and the logits count as a layer each. */
static bool ends_count(const df_framework *w, const df_train *t)
{
    const double layers = t->stack->layers;
    const bool asked = w->stage_split == DF_STAGES_ENDS_AS_LAYERS;
    const bool uneven = fmod(layers, t->split->pp) != 0.0;
    return (asked || uneven) && fmod(layers + 2.0, t->split->pp) == 0.0;
}

/* Layers of the stages before one. */
static int64_t layers_before(const df_framework *w, const df_train *t, int64_t stage)
{
    const double stages = t->split->pp;
    const double layers = t->stack->layers;
    const double base = floor(layers / stages);
    if (w->stage_split == DF_STAGES_BALANCED && stages > 1.0) {
        double sum = 0.0;
        for (int64_t i = 0; i < stage; i++) {
            sum += balanced_layers(t, stages, i);
        }
        return (int64_t)sum;
    }
    if (stages > 1.0 && ends_count(w, t)) {
        return stage == 0 ? 0 : (int64_t)((layers + 2.0) / stages) * stage - 1;
    }
    return (int64_t)(base * (double)stage + fmin((double)stage, layers - base * stages));
}

double df_train_stage_layers(const df_framework *w, const df_train *t, int64_t stage)
{
    const double stages = t->split->pp;
    const double layers = t->stack->layers;
    const double base = floor(layers / stages);
    const double extra = layers - base * stages;
    if (!(stages > 1.0)) {
        return layers;
    }
    if (w->stage_split == DF_STAGES_BALANCED) {
        return balanced_layers(t, stages, stage);
    }
    if (ends_count(w, t)) {
        const bool end = stage == 0 || stage == (int64_t)stages - 1;
        return (layers + 2.0) / stages - (end ? 1.0 : 0.0);
    }
    return base + ((double)stage < extra ? 1.0 : 0.0);
}

/* ---- What a stage holds ---- */

/* Layers of each kind and all together, those that predict further tokens, and which ends. */
typedef struct {
    double count[DF_LAYER_KINDS];
    double layers, predictions;
    bool first, last;
} stage_load;

static void add_layer(const df_stack *stack, int64_t layer, stage_load *out)
{
    out->count[stack->of ? stack->of[layer] : 0] += 1.0;
    out->layers += 1.0;
}

/* Part j of a layout is on stage j mod pp; its layers are consecutive. */
static void load_by_layout(const df_train *t, int64_t stage, stage_load *out)
{
    const df_cfg_layout *const parts = t->layout;
    const int64_t stages = (int64_t)t->split->pp;
    int64_t part = 0;
    int64_t layer = 0;
    for (int i = 0; i < parts->length; i++) {
        const char thing = parts->thing[i];
        const bool here = part % stages == stage;
        if (thing == 't' && here) {
            add_layer(t->stack, layer, out);
        }
        layer += thing == 't';
        part += thing == '|';
        out->predictions += thing == 'm' && here ? 1.0 : 0.0;
        out->first = out->first || (thing == 'E' && here);
        out->last = out->last || (thing == 'L' && here);
    }
}

/* Consecutive layers; predictions are on the last stage. */
static void load_by_split(const df_framework *w, const df_train *t, int64_t stage, stage_load *out)
{
    const int64_t layers = (int64_t)df_train_stage_layers(w, t, stage);
    if (t->stack->of) {
        const int64_t before = layers_before(w, t, stage);
        for (int64_t i = before; i < before + layers; i++) {
            add_layer(t->stack, i, out);
        }
    } else {
        out->count[0] = (double)layers;
        out->layers = (double)layers;
    }
    out->first = stage == 0;
    out->last = stage == (int64_t)t->split->pp - 1;
    out->predictions = out->last ? t->predictions : 0.0;
}

static stage_load load_of(const df_framework *w, const df_train *t, int64_t stage)
{
    stage_load load;
    memset(&load, 0, sizeof load);
    if (t->layout) {
        load_by_layout(t, stage, &load);
    } else {
        load_by_split(w, t, stage, &load);
    }
    load.layers += load.predictions;
    return load;
}

/* The kinds of layers that make one which predicts a further token: the last one; where layers are
 * halves, the last with attention before the last without. */
typedef struct {
    int kind[2], kinds;
} prediction;

static prediction prediction_of(const df_stack *stack)
{
    const int64_t layers = (int64_t)stack->layers;
    const int last = stack->of ? stack->of[layers - 1] : 0;
    prediction p = {{last, 0}, 1};
    if (!stack->of || stack->kind[last].mixer != DF_MIX_NONE) {
        return p;
    }
    for (int64_t i = layers - 1; i >= 0; i--) {
        const df_dims *const d = &stack->kind[stack->of[i]];
        if (d->mixer != DF_MIX_NONE && !df_dims_is_scan(d)) {
            p.kind[p.kinds++] = stack->of[i];
            break;
        }
    }
    return p;
}

/* ---- Parameters ---- */

/* Parameters of a stage: those that replicas share, and experts, which fewer of them do. */
typedef struct {
    double common, experts;
} stage_params;

static double sum_of(const stage_params *p)
{
    return p->common + p->experts;
}

static void add_params(const df_train *t, int kind, double count, stage_params *p)
{
    const df_dims *const d = &t->stack->kind[kind];
    const double router = d->experts > 1.0 ? d->hidden * d->experts : 0.0;
    p->common += count * (df_split_other_params(t->split, d) + router);
    p->experts += count * df_split_expert_params(t->split, d);
}

/* A layer that predicts a further token has a product of its own, 2 hidden to hidden. */
static stage_params params_of(const df_framework *w, const df_train *t, int64_t stage)
{
    const bool head_apart = t->split->pp > 1.0 || !t->dims->tied;
    const stage_load load = load_of(w, t, stage);
    const prediction further = prediction_of(t->stack);
    stage_params p = {0.0, 0.0};
    for (int k = 0; k < t->stack->kinds; k++) {
        add_params(t, k, load.count[k], &p);
    }
    for (int i = 0; i < further.kinds; i++) {
        add_params(t, further.kind[i], load.predictions, &p);
    }
    p.common += load.predictions * 2.0 * t->dims->hidden * t->dims->hidden;
    p.common +=
        (load.first ? table_params(t) : 0.0) + (load.last && head_apart ? table_params(t) : 0.0);
    return p;
}

/* ---- The pipeline ---- */

/* Seconds of a micro-batch on a stage. */
typedef struct {
    double forward_s, backward_s, accumulate_s;
} stage_times;

/* What a step is made of. */
typedef struct {
    const df_framework *w;
    const df_train *t;
    const df_calibrated *c;
    const df_layer_times *layer;
    const df_end_times *ends;
    double batches, stages, parts;
    bool experts; /* some layers have them */
} step;

/* A part of an interleaved pipeline that overlaps exchanges of tokens without a graph of the whole
 * iteration takes at least so long, whatever it holds: read off two published runs. */
static void apply_floor(const step *x, stage_times *s)
{
    const double floor_s = x->w->part_floor_s * x->parts;
    const bool overlaps = x->w->exchange_overlaps != 0.0 && x->w->graph != DF_GRAPH_ITERATION;
    if (overlaps && x->experts && x->stages > 1.0 && s->forward_s + s->backward_s < floor_s) {
        s->forward_s = 0.4 * floor_s;
        s->backward_s = 0.6 * floor_s;
    }
}

static void add_layers(const step *x, int kind, double count, stage_times *s)
{
    s->forward_s += count * x->layer[kind].time_s[DF_FORWARD];
    s->backward_s += count * x->layer[kind].time_s[DF_BACKWARD];
}

/* Each joins the embedding of a token to what the layers before made of it, and has logits and a
 * loss of its own. */
static void add_predictions(const step *x, double count, stage_times *s)
{
    const prediction further = prediction_of(x->t->stack);
    const df_end_times *const e = x->ends;
    const double hidden = x->t->dims->hidden;
    const double tokens = x->t->split->batch * x->t->dims->sequence / x->t->split->cp;
    double join_s[DF_DIRECTIONS] = {0.0, 0.0};
    if (!(count > 0.0)) {
        return;
    }
    df_train_product(x->c, false, tokens, hidden, 2.0 * hidden, join_s);
    for (int i = 0; i < further.kinds; i++) {
        add_layers(x, further.kind[i], count, s);
    }
    s->forward_s +=
        count * (join_s[DF_FORWARD] + e->embedding_s[DF_FORWARD] + e->logits_s[DF_FORWARD]);
    s->backward_s +=
        count * (join_s[DF_BACKWARD] + e->embedding_s[DF_BACKWARD] + e->logits_s[DF_BACKWARD]);
}

static stage_times time_stage(const step *x, int64_t stage)
{
    const stage_params params = params_of(x->w, x->t, stage);
    const stage_load load = load_of(x->w, x->t, stage);
    stage_times s = {0.0, 0.0, 0.0};
    for (int k = 0; k < x->t->stack->kinds; k++) {
        add_layers(x, k, load.count[k], &s);
    }
    add_predictions(x, load.predictions, &s);
    s.forward_s += (load.first ? x->ends->embedding_s[DF_FORWARD] : 0.0) +
                   (load.last ? x->ends->logits_s[DF_FORWARD] : 0.0);
    s.backward_s += (load.first ? x->ends->embedding_s[DF_BACKWARD] : 0.0) +
                    (load.last ? x->ends->logits_s[DF_BACKWARD] : 0.0);
    s.accumulate_s =
        x->t->frozen ? 0.0
                     : df_calibrated_stream_s(x->c, x->w->accumulate_bytes * sum_of(&params), 0.0);
    s.backward_s += s.accumulate_s;
    apply_floor(x, &s);
    return s;
}

/* A transfer from a stage to the next. Where the devices of a stage hand on a part each, they
 * gather them inside the node. */
static double hop_s(const step *x)
{
    const df_split *const s = x->t->split;
    const df_fabric *const f = &x->c->fabric;
    const bool split = x->w->split_hops != 0.0;
    const double whole_bytes =
        df_train_activation_bytes(x->t) * s->batch * x->t->dims->sequence * x->t->dims->hidden;
    const double bytes = whole_bytes / s->cp / (split || x->t->sequence ? s->tp : 1.0);
    const double node_bytes_ps =
        f->pooled ? f->port_bytes_ps * f->node : df_calibrated_link_bytes_ps(x->c, 2.0);
    const double bytes_ps = f->devices <= f->node ? node_bytes_ps : f->port_bytes_ps;
    if (!(x->stages > 1.0)) {
        return 0.0;
    }
    const bool gathers = split && s->tp > 1.0 && !x->t->sequence;
    return bytes / bytes_ps + f->message_s +
           (gathers ? df_calibrated_ring_s(x->c, DF_COLL_ALL_GATHER, whole_bytes, s->tp,
                                           f->inside[DF_AXIS_TP], 1.0)
                    : 0.0);
}

/* ---- The exchange among replicas ---- */

/* The devices that hold the same parameters. */
typedef struct {
    double n, inside, rings;
    double layers;  /* of the fullest stage */
    double params;  /* of the fullest one: what all these devices hold, */
    double experts; /* what fewer devices hold, */
    double expert_n, expert_inside, expert_rings; /* which are so many */
} peers;

/* Replicas of the experts that devices share; without such, experts have those of all else. */
static void find_expert_peers(const step *x, peers *r)
{
    const double ep = df_split_ep(x->t->split);
    const double together = fmin(ep, x->c->fabric.node);
    r->expert_n = r->n;
    r->expert_inside = r->inside;
    r->expert_rings = r->rings;
    if (ep > 1.0) {
        r->expert_n = fmax(1.0, floor(r->n * x->t->split->tp / ep));
        r->expert_inside = fmax(1.0, fmin(r->expert_n, floor(x->c->fabric.node / together)));
        r->expert_rings = together;
    }
}

static peers peers_of(const step *x)
{
    const df_split *const s = x->t->split;
    const df_fabric *const f = &x->c->fabric;
    peers r = {.n = df_split_replicas(s), .layers = 0.0, .params = 0.0};
    r.inside = fmin(f->inside[DF_AXIS_DP] * (s->cp > 1.0 ? f->inside[DF_AXIS_CP] : 1.0), r.n);
    r.rings = f->node / r.inside;
    for (int64_t i = 0; i < (int64_t)x->stages; i++) {
        const stage_params p = params_of(x->w, x->t, i);
        r.layers = fmax(r.layers, load_of(x->w, x->t, i).layers);
        r.params = fmax(r.params, p.common);
        r.experts = fmax(r.experts, p.experts);
    }
    find_expert_peers(x, &r);
    return r;
}

/* On the wire. */
static double gradient_bytes(const step *x)
{
    return x->t->gradient_bytes > 0.0 ? x->t->gradient_bytes : x->w->gradient_bytes;
}

static double parameter_bytes(const step *x)
{
    const df_cfg_formats *const f = x->t->formats;
    const bool apart = f && f->weights != f->products;
    return apart ? df_format_bytes(f->weights) : x->w->parameter_bytes;
}

/* Of all that a device holds. */
static double ring_s(const step *x, const peers *r, df_coll_kind kind, double element_bytes)
{
    return df_calibrated_ring_s(x->c, kind, element_bytes * r->params, r->n, r->inside, r->rings) +
           df_calibrated_ring_s(x->c, kind, element_bytes * r->experts, r->expert_n,
                                r->expert_inside, r->expert_rings);
}

/* What is left of an exchange beside `cover_s` of computation: at least that of one layer. */
static double shown_s(const step *x, double time_s, double cover_s, double layers)
{
    const double k = x->w->overlap_exchange;
    return fmax(fmax(time_s - k * cover_s, (1.0 - k) * time_s), time_s / layers);
}

/* Gradients beside the last backward pass of the last stage, parameters (ZeRO 1, 2) beside the next
 * forward pass of the first one. */
static double
exchange_s(const step *x, const peers *r, const stage_times *first, const stage_times *last)
{
    const bool shards = x->t->zero_stage >= 1;
    const df_coll_kind kind = shards ? DF_COLL_REDUCE_SCATTER : DF_COLL_ALL_REDUCE;
    double reduce_s = ring_s(x, r, kind, gradient_bytes(x));
    const double gather_s = shards ? ring_s(x, r, DF_COLL_ALL_GATHER, parameter_bytes(x)) : 0.0;
    if (r->inside < r->n) { /* a bucket for each layer */
        reduce_s += r->layers * 2.0 * (r->n - 1.0) * x->c->fabric.step_s;
    }
    return shown_s(x, reduce_s, last->backward_s, r->layers) +
           shown_s(x, gather_s, first->forward_s, r->layers);
}

/* ZeRO 3 gathers parameters for both passes, and scatters gradients. A gather beside computation
 * slows it, so that a part of it always shows. Stages of a pipeline keep what they have gathered
 * for the step. */
static double sharded_s(const step *x, const peers *r, double longest_s)
{
    const double gather_s = ring_s(x, r, DF_COLL_ALL_GATHER, parameter_bytes(x));
    const double scatter_s = ring_s(x, r, DF_COLL_REDUCE_SCATTER, gradient_bytes(x));
    const double all_s = 2.0 * gather_s + scatter_s;
    if (x->stages > 1.0) {
        return x->w->gather_least * (gather_s + scatter_s);
    }
    return x->batches * fmax(all_s - x->w->overlap_gather * longest_s, x->w->gather_least * all_s);
}

static double update_s(const step *x, const peers *r)
{
    const bool sharded = x->t->zero_stage >= 1;
    const double params =
        sharded ? r->params / r->n + r->experts / r->expert_n : r->params + r->experts;
    return df_calibrated_stream_s(x->c, x->w->optimizer_bytes * params, 0.0);
}

/* The ends of a pipeline add up the gradients of the table that both have. */
static double tied_s(const step *x)
{
    const df_fabric *const f = &x->c->fabric;
    const bool apart = x->t->dims->tied && x->stages > 1.0 && f->devices > f->node;
    const double bytes = x->t->gradient_bytes > 0.0 ? x->t->gradient_bytes : 2.0;
    return apart ? bytes * table_params(x->t) / f->port_bytes_ps : 0.0;
}

static void time_pipeline(const step *x, stage_times *first, stage_times *last, df_train_times *out)
{
    double sum_s = 0.0;
    for (int64_t i = 0; i < (int64_t)x->stages; i++) {
        const stage_times s = time_stage(x, i);
        const double batch_s = s.forward_s + s.backward_s;
        sum_s += batch_s;
        out->longest_s = fmax(out->longest_s, batch_s);
        out->accumulate_s = fmax(out->accumulate_s, s.accumulate_s);
        *first = i == 0 ? s : *first;
        *last = s;
    }
    const bool hidden = x->w->overlap_hops != 0.0 && x->parts > 1.0;
    out->hop_s = hop_s(x);
    out->hops_s = hidden ? 0.0 : 2.0 * out->hop_s * x->batches * x->parts;
    out->steady_s = x->batches * out->longest_s;
    out->fill_s = (sum_s - out->longest_s) / x->parts + 2.0 * (x->stages - 1.0) * out->hop_s;
}

void df_train_step(const df_framework *w,
                   const df_train *t,
                   const df_calibrated *c,
                   const df_layer_times layer[],
                   const df_end_times *ends,
                   df_train_times *out)
{
    step x = {.w = w,
              .t = t,
              .c = c,
              .layer = layer,
              .ends = ends,
              .batches = t->split->micro_batches,
              .stages = t->split->pp,
              .parts = t->split->pp > 1.0 ? t->parts : 1.0};
    stage_times first;
    stage_times last;
    memset(out, 0, sizeof *out);
    memset(&first, 0, sizeof first);
    memset(&last, 0, sizeof last);
    for (int k = 0; k < t->stack->kinds; k++) {
        x.experts = x.experts || t->stack->kind[k].experts > 1.0;
    }
    time_pipeline(&x, &first, &last, out);
    if (!t->frozen) {
        const peers r = peers_of(&x);
        if (r.n > 1.0) {
            out->exchange_s = t->zero_stage >= 3 ? sharded_s(&x, &r, out->longest_s)
                                                 : exchange_s(&x, &r, &first, &last);
        }
        out->exchange_s += tied_s(&x);
        out->optimizer_s = update_s(&x, &r);
    } else if (t->zero_stage >= 3 && df_split_replicas(t->split) > 1.0) {
        const peers r = peers_of(&x);
        out->exchange_s = sharded_s(&x, &r, out->longest_s);
    }
    out->time_s = out->steady_s + out->hops_s + out->fill_s + out->exchange_s + out->optimizer_s;
}

/* ---- Memory ---- */

/* What was read off and counted has activations of 16 bits. */
static double scale_of(const df_train *t)
{
    return df_train_activation_bytes(t) / 2.0;
}

/* Bytes of a parameter and what belongs to it: weights 2, master copies 4, gradients 4, moments 8;
 * a bucket of gradients on the wire. Read off what nanotron holds between steps. */
static double usual_param_bytes(const df_train *t, double replicas)
{
    const double unsharded = t->zero_stage == 0 ? 1.7 : 0.0;
    if (!(replicas > 1.0)) {
        return 18.0 + unsharded;
    }
    switch (t->zero_stage) {
    case 0:
        return 20.0 + unsharded;
    case 1:
        return 10.0 + 14.0 / replicas;
    case 2: /* gradients, too */
        return 2.0 + 18.0 / replicas;
    default: /* and weights */
        return 20.0 / replicas;
    }
}

/* The same where a file has other formats of weights and gradients, or weights that are frozen. */
static double param_bytes(const df_train *t, double replicas)
{
    if (t->frozen) { /* there are neither gradients nor moments of these weights */
        return df_train_weight_bytes(t) / (t->zero_stage >= 3 ? replicas : 1.0);
    }
    const double weight = df_train_weight_bytes(t) - 2.0;
    const double gradient = t->gradient_bytes > 0.0 ? t->gradient_bytes - 4.0 : 0.0;
    return usual_param_bytes(t, replicas) + weight / (t->zero_stage >= 3 ? replicas : 1.0) +
           gradient / (t->zero_stage >= 2 ? replicas : 1.0);
}

/* What a layer keeps of a micro-batch for its backward pass, where it computes nothing again. With
 * a gate: fitted on the peaks of nanotron's runs. Without: counted by Korthikanti et al. (2022),
 * who also say what tensor parallelism without sequence parallelism leaves whole, and what the
 * products and the softmax of attention keep. A token is kept once for each of its experts. Of what
 * is computed again by name, results of the norms and what is inside the feed-forward network are
 * not kept. */
static double kept_bytes(const df_framework *w, const df_train *t, const df_dims *d)
{
    const df_split *const s = t->split;
    const double tokens = s->batch * d->sequence / s->cp;
    const double hidden = scale_of(t) * tokens * d->hidden;
    const unsigned inner = d->experts > 1.0 ? DF_AGAIN_MOE : DF_AGAIN_MLP;
    const double norms = (t->modules & DF_AGAIN_LAYERNORM) != 0 ? 4.0 * hidden : 0.0;
    const double ffn =
        (t->modules & inner) != 0 ? 0.0 : scale_of(t) * tokens * (d->top_k * d->ffn + d->shared);
    const double shared =
        (d->gated ? 22.0 * hidden + 6.7 * ffn : 18.0 * hidden + 4.0 * ffn) - norms;
    const double whole = t->sequence ? 0.0 : 10.0 * hidden * (1.0 - 1.0 / s->tp);
    const bool matrices = !t->fused && t->recompute != DF_RECOMPUTE_SELECTIVE &&
                          (t->modules & DF_AGAIN_CORE_ATTENTION) == 0;
    const double attention = matrices ? 5.0 * scale_of(t) * d->heads * tokens * d->sequence : 0.0;
    return (shared + attention) / s->tp + whole + w->kept_bytes * hidden;
}

/* Micro-batches whose activations a stage holds. With several parts a stage, as many parts as are
 * sent ahead in the interleaved order: (p - 1 - i) 2 + (v - 1) p + 1. */
static double in_flight_of(const df_train *t, int64_t stage)
{
    const df_split *const s = t->split;
    const double behind = s->pp - 1.0 - (double)stage;
    const double parts = fmax(1.0, t->parts);
    const double held = parts > 1.0 && s->pp > 1.0
                            ? (2.0 * behind + (parts - 1.0) * s->pp + 1.0) / parts
                            : behind + 1.0;
    return fmin(s->micro_batches, held);
}

/* Of the embedding: fitted as kept_bytes is, or the mask of a dropout. */
static double first_bytes(const df_train *t)
{
    const df_dims *const d = t->dims;
    const df_split *const s = t->split;
    const double hidden = scale_of(t) * s->batch * d->sequence / s->cp * d->hidden;
    return d->gated ? 12.0 * hidden : hidden / (t->sequence ? s->tp : 1.0);
}

/* The layers of a stage, whose kinds keep different numbers of bytes, and of which `again` are
 * computed again from their input. */
typedef struct {
    double kept, largest; /* all of them, and the layer that keeps most */
} layer_bytes;

static layer_bytes sum_layers(
    const df_framework *w, const df_train *t, int64_t stage, double again, double input_bytes)
{
    stage_load load = load_of(w, t, stage);
    const prediction further = prediction_of(t->stack);
    layer_bytes sum = {0.0, 0.0};
    for (int i = 0; i < further.kinds; i++) {
        load.count[further.kind[i]] += load.predictions;
    }
    for (int k = 0; k < t->stack->kinds; k++) {
        const double all_bytes = kept_bytes(w, t, &t->stack->kind[k]);
        sum.kept += load.count[k] * ((1.0 - again) * all_bytes + again * input_bytes);
        sum.largest = load.count[k] > 0.0 ? fmax(sum.largest, all_bytes) : sum.largest;
    }
    return sum;
}

static double state_bytes(const df_framework *w, const df_train *t, int64_t stage)
{
    const stage_params p = params_of(w, t, stage);
    const double n = df_split_replicas(t->split);
    const double ep = df_split_ep(t->split);
    const double expert_n = ep > 1.0 ? fmax(1.0, floor(n * t->split->tp / ep)) : n;
    return p.common * param_bytes(t, n) + p.experts * param_bytes(t, expert_n);
}

df_train_bytes df_train_memory_bytes(const df_framework *w, const df_train *t, int64_t stage)
{
    const df_dims *const d = t->dims;
    const df_split *const s = t->split;
    const double tokens = s->batch * d->sequence / s->cp;
    const double hidden = scale_of(t) * tokens * d->hidden;
    const stage_load load = load_of(w, t, stage);
    const double logits = ((load.last ? 1.0 : 0.0) + load.predictions) * tokens * d->vocab;
    const double in_flight = in_flight_of(t, stage);
    const double again = t->recompute == DF_RECOMPUTE_FULL ? t->recompute_layers : 0.0;
    const double input_bytes = 2.0 * hidden / (t->sequence ? s->tp : 1.0);
    const layer_bytes layers = sum_layers(w, t, stage, again, input_bytes);
    const double at_work_bytes =
        again > 0.0 ? layers.largest : 0.0; /* the layer that is done again */
    const double embedding_bytes = ((load.first ? 1.0 : 0.0) + load.predictions) * first_bytes(t);
    return (df_train_bytes){.state = state_bytes(w, t, stage),
                            .activations = in_flight * (layers.kept + embedding_bytes) +
                                           at_work_bytes + 8.0 * hidden,
                            .logits = 6.7 * logits / s->tp + w->kept_logit_bytes * logits};
}
