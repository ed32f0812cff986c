/* Reading a sealed program: for those that write it to files, or recognise it. */
#include <stdlib.h>

#include "net/net_impl.h"

int32_t df_net_program_ranks(const df_net_program *program)
{
    return program->num_ranks;
}

const int32_t *
df_net_program_group(const df_net_program *program, int32_t number, int32_t *id, int32_t *count)
{
    if (number < 0 || (uint32_t)number >= program->num_groups) {
        return NULL;
    }
    *id = program->groups[number].id;
    *count = program->groups[number].count;
    return program->groups[number].ranks;
}

/* ---- Nodes ---- */

/* The ids of all parents of a rank's nodes, node after node; first[i] is where those of the
 * i-th begin. */
static void invert_children(const df_net_rank_program *p, uint64_t *parents, uint32_t *first)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < p->num_ops; i++) {
        first[i] = sum;
        sum += p->ops[i].num_parents;
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        for (uint32_t k = 0; k < p->ops[i].num_children; k++) {
            parents[first[p->children[p->ops[i].first_child + k]]++] = p->ops[i].id;
        }
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        first[i] -= p->ops[i].num_parents;
    }
}

static df_net_node node_of(const df_net_program *program, const df_net_op *op)
{
    return (df_net_node){.id = op->id,
                         .type = (df_net_node_type)op->type,
                         .collective = (df_net_collective)op->collective,
                         .on_cpu = op->unit == DF_UNIT_CPU,
                         .timing = (df_net_timing)op->timing,
                         .duration_ns = op->duration_ns,
                         .bytes = op->bytes,
                         .peer = op->peer,
                         .tag = op->tag,
                         .group = op->group < 0 ? 0 : program->groups[op->group].id,
                         .label = op->label,
                         .num_deps = (int32_t)op->num_parents};
}

df_status df_net_program_visit(
    const df_net_program *program,
    int32_t rank,
    df_status (*visit)(void *context, int32_t rank, const df_net_node *node, df_err *err),
    void *context,
    df_err *err)
{
    const df_net_rank_program *const p = &program->ranks[rank];
    uint64_t links = 0;
    for (uint32_t i = 0; i < p->num_ops; i++) {
        links += p->ops[i].num_parents;
    }
    uint64_t *const parents = malloc((links + 1) * sizeof *parents);
    uint32_t *const first = malloc((p->num_ops + 1) * sizeof *first);
    df_status status = DF_OK;
    if (!parents || !first) {
        free(parents);
        free(first);
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's nodes");
    }
    invert_children(p, parents, first);
    for (uint32_t i = 0; i < p->num_ops && status == DF_OK; i++) {
        df_net_node node = node_of(program, &p->ops[i]);
        node.deps = parents + first[i];
        status = visit(context, rank, &node, err);
    }
    free(parents);
    free(first);
    return status;
}

/* ---- Digest ---- */

void df_net_program_digest(const df_net_program *program,
                           void (*take)(void *context, const void *bytes, size_t size),
                           void *context)
{
    take(context, &program->num_ranks, sizeof program->num_ranks);
    for (uint32_t g = 0; g < program->num_groups; g++) {
        const df_net_group *const group = &program->groups[g];
        take(context, &group->id, sizeof group->id);
        take(context, &group->count, sizeof group->count);
        take(context, group->ranks, (size_t)group->count * sizeof *group->ranks);
    }
    for (int32_t r = 0; r < program->num_ranks; r++) {
        const df_net_rank_program *const p = &program->ranks[r];
        take(context, &p->num_ops, sizeof p->num_ops);
        for (uint32_t i = 0; i < p->num_ops; i++) {
            const df_net_op *const op = &p->ops[i];
            const uint64_t words[] = {op->id,
                                      op->bytes,
                                      op->duration_ns,
                                      (uint64_t)op->tag << 32 | (uint32_t)op->peer,
                                      (uint64_t)(uint32_t)op->group << 32 | op->num_children,
                                      (uint64_t)op->timing << 24 | (uint64_t)op->type << 16 |
                                          (uint64_t)op->collective << 8 | op->unit};
            take(context, words, sizeof words);
            take(context, p->children + op->first_child, op->num_children * sizeof *p->children);
        }
    }
}
