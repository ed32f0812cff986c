#include "cost/cost.h"

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "cost/simulated.h"
#include "hw/roof.h"

enum { DRAM = DF_HW_LEVELS - 1 };

/* ---- Attention ---- */

/* Softmax runs on units that are slower than those of products: A100, 312 against 19.5 Tflop/s
 * (Dao, ICLR 2024, section 3.1). */
static df_status price_attention(const df_coster *c, const df_op *op, df_price *price)
{
    const double softmax_slowdown = 16.0;
    const df_op_attention *const a = &op->attention;
    df_flash f;
    DF_TRY(df_flash_tile(c, a, &f));
    const double softmax_s = c->model->stream_s(c, softmax_slowdown * f.softmax_flops, 0.0);
    const double pair_s = f.score.time_s + softmax_s + f.output.time_s;
    const double dram_s = c->model->stream_s(c, 0.0, trunc(f.dram_bytes));
    price->time_s = op->repeats * fmax(dram_s, pair_s * f.pairs * a->heads);
    df_flash_count(&f, a, op->repeats, price);
    return DF_OK;
}

/* ---- Streams, collectives ---- */

static double stream_s(const df_coster *c, double flops, double bytes)
{
    return df_roof_level(c->dev, DRAM, flops, bytes);
}

static double
collective_s(const df_coster *c, const df_op_collective *what, const df_topo_group *group)
{
    const df_ring ring = df_ring_of(what->kind, what->bytes, group->members);
    return df_ring_time_s(&ring, c->dev, DRAM, &group->link);
}

const df_cost_model df_cost_roofline = {
    .gemm = df_price_gemm,
    .attention = price_attention,
    .stream_s = stream_s,
    .collective_s = collective_s,
};

/* ---- Any operator ---- */

void df_price_add(df_price *sum, const df_price *price, double times)
{
    sum->time_s += price->time_s * times;
    sum->launch_s += price->launch_s * times;
    sum->flops += price->flops * times;
    sum->sent_bytes += price->sent_bytes * times;
    sum->sent_j += price->sent_j * times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        sum->traffic_bytes[level] += price->traffic_bytes[level] * times;
    }
}

double
df_price_collective_s(const df_coster *c, const df_op_collective *what, const df_topo_group *group)
{
    const bool moves = what->bytes > 0.0 && group->members > 1.0;
    return moves ? c->model->collective_s(c, what, group) : 0.0;
}

/* What an operator says otherwise than that it is one of all devices along its axes. */
static void narrow(const df_op *op, df_topo_group *group)
{
    if (op->members > 0.0) {
        group->members = op->members;
    } else if (op->coll.kind == DF_COLL_P2P) {
        group->members = fmin(group->members, 2.0);
    }
    if ((op->flags & DF_OP_NO_LATENCY) != 0) {
        group->link.latency_s = 0.0;
    }
}

static df_status price_collective(const df_coster *c, const df_op *op, df_price *price)
{
    const df_op_collective *const what = &op->coll;
    df_topo_group group = df_topo_over(&c->topo, what->axes);
    narrow(op, &group);
    if (!(what->bytes > 0.0) || !(group.members > 1.0)) {
        return DF_OK;
    }
    price->sent_bytes = df_coll_sent_bytes(what->kind, what->bytes, group.members);
    price->sent_j = DF_BITS_PER_BYTE * group.energy_per_bit_j * price->sent_bytes;
    if (c->simulated) {
        return df_simulated_time(c, op, &group, &price->time_s);
    }
    price->time_s = c->model->collective_s(c, what, &group);
    return DF_OK;
}

/* Unlike a collective, which takes for ever without a link, a transfer is refused. */
static df_status price_link(const df_coster *c, const df_op_link *what, df_price *price)
{
    const df_axis_row *const axis = &df_axis_table[what->axis];
    const double bytes_ps = c->topo.axis[what->axis].link.bytes_ps;
    if (!(bytes_ps > 0.0)) {
        return df_fail(c->err, DF_INFEASIBLE,
                       "system_hierarchy.%s: expected a network with bandwidth for %s, found none",
                       axis->inter, axis->name);
    }
    price->time_s = what->bytes / bytes_ps;
    return DF_OK;
}

static void price_stream(const df_coster *c, const df_op *op, df_price *price)
{
    const double flops = op->stream.flops * op->stream.elements;
    const double bytes = op->stream.bytes * op->stream.elements;
    const bool whole = (op->flags & DF_OP_WHOLE_BYTES) != 0;
    price->time_s = c->model->stream_s(c, flops, whole ? trunc(bytes) : bytes);
    price->flops = flops;
    price->traffic_bytes[DRAM] = bytes;
}

static inline df_status price_kernel(const df_coster *c, const df_op *op, df_price *price)
{
    switch ((df_op_kind)op->kind) {
    case DF_OP_GEMM:
        return c->forward_only && op->pass != DF_PASS_FORWARD ? DF_OK
                                                              : c->model->gemm(c, op, price);
    case DF_OP_ATTENTION:
        return c->model->attention(c, op, price);
    case DF_OP_STREAM:
        price_stream(c, op, price);
        return DF_OK;
    case DF_OP_HOST:
        price->time_s = c->dev->h2d_bytes_ps > 0.0 ? op->host_bytes / c->dev->h2d_bytes_ps : 0.0;
        return DF_OK;
    case DF_OP_LINK:
        return price_link(c, &op->link, price);
    case DF_OP_COLLECTIVE:
        break;
    }
    return price_collective(c, op, price);
}

/* A kernel that only some layers have, as each of them on average. */
void df_price_take_share(double share, df_price *price)
{
    price->time_s *= share;
    price->launch_s *= share;
    price->flops *= share;
    price->sent_bytes *= share;
    price->sent_j *= share;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        price->traffic_bytes[level] *= share;
    }
}

/* Turns the price of a kernel, without its launches, into that of one with `times` its repeats. */
static void scale(double times, df_price *price)
{
    price->time_s = (price->time_s - price->launch_s) * times;
    price->launch_s = 0.0;
    price->flops *= times;
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        price->traffic_bytes[level] *= times;
    }
}

df_status df_price_ops(const df_coster *c, const df_op op[], int count, df_price price[])
{
    for (int i = 0; i < count; i++) {
        const bool again = (op[i].flags & DF_OP_AGAIN) != 0;
        if (again) { /* of a price that has its share taken */
            price[i] = price[i - 1];
            scale(op[i].repeats / op[i - 1].repeats, &price[i]);
        } else {
            memset(&price[i], 0, sizeof price[i]);
            DF_TRY(price_kernel(c, &op[i], &price[i]));
        }
        const bool inside = c->model->launches_inside &&
                            (op[i].kind == DF_OP_GEMM || op[i].kind == DF_OP_ATTENTION);
        const double launches = again ? op[i].share * op[i].launches : op[i].launches;
        const double launch_s = inside ? 0.0 : launches * c->dev->launch_overhead_s;
        price[i].time_s += launch_s;
        if (op[i].kind == DF_OP_STREAM) {
            price[i].time_s = fmax(price[i].time_s, op[i].launches * c->eager_s);
        }
        price[i].launch_s += launch_s;
        if (op[i].share != 1.0 && !again) {
            df_price_take_share(op[i].share, &price[i]);
        }
    }
    return DF_OK;
}
