/* Why a run cannot finish. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "net/net_impl.h"

enum { RANKS_NAMED = 4, NODES_NAMED = 3 };

/* A text that grows until it is full. */
typedef struct {
    char text[DF_ERR_TEXT - 128];
    size_t used;
} story;

static DF_PRINTF(2, 3) void append(story *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int added = vsnprintf(s->text + s->used, sizeof s->text - s->used, format, args);
    va_end(args);
    s->used += added > 0 ? (size_t)added : 0;
    s->used = s->used < sizeof s->text ? s->used : sizeof s->text - 1;
}

static void describe_node(story *s, const df_net_program *program, const df_net_op *op)
{
    append(s, " node %" PRIu64, op->id);
    switch ((df_net_node_type)op->type) {
    case DF_NET_SEND:
        append(s, " waits for its %" PRIu64 " bytes to arrive at rank %d", op->bytes,
               (int)op->peer);
        return;
    case DF_NET_RECEIVE:
        append(s, " waits for %" PRIu64 " bytes from rank %d with tag %" PRIu32, op->bytes,
               (int)op->peer, op->tag);
        return;
    case DF_NET_COMM:
        append(s, " waits for the other ranks in its %s of %" PRIu64 " bytes",
               df_net_collective_name((df_net_collective)op->collective), op->bytes);
        if (op->group >= 0) {
            append(s, " in group %d", (int)program->groups[op->group].id);
        }
        return;
    case DF_NET_COMPUTE:
    case DF_NET_MARK:
        append(s, " has not ended");
        return;
    }
}

/* What runs is named; what waits behind it is counted. */
static void describe_rank(story *s, const df_net_sim *sim, int32_t rank)
{
    const df_net_rank_program *const p = &sim->program->ranks[rank];
    const uint8_t *const state = &sim->op_state[p->first_op];
    int named = 0;
    uint32_t left = 0;
    append(s, "; rank %d:", (int)rank);
    for (uint32_t i = 0; i < p->num_ops; i++) {
        left += state[i] != DF_OP_DONE;
        if (state[i] == DF_OP_RUNS && named < NODES_NAMED) {
            append(s, "%s", named > 0 ? "," : "");
            describe_node(s, sim->program, &p->ops[i]);
            named++;
        }
    }
    if (left > (uint32_t)named) {
        append(s, named > 0 ? " (and %u more)" : " %u nodes have not ended",
               (unsigned)(left - (uint32_t)named));
    }
}

void df_net_fail_stuck(df_net_sim *sim)
{
    story s = {.used = 0};
    const int32_t stuck = sim->program->num_ranks - sim->finished;
    int32_t named = 0;
    for (int32_t rank = 0; rank < sim->program->num_ranks && named < RANKS_NAMED; rank++) {
        if (!sim->ranks[rank].done) {
            describe_rank(&s, sim, rank);
            named++;
        }
    }
    if (stuck > named) {
        append(&s, "; and %d more ranks", (int)(stuck - named));
    }
    df_net_fail(sim, DF_ESTUCK,
                "the run cannot finish: %d of %d ranks are stuck at %" PRIu64 " ns%s", (int)stuck,
                (int)sim->program->num_ranks, sim->now_ns, s.text);
}
