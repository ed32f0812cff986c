/* Building a program: nodes in any order become arrays by id, with their children. */
#include <stdlib.h>
#include <string.h>

#include "net/net_impl.h"

enum { FIRST_ROOM = 16 };

df_status df_net_check_ranks(double ranks, df_err *err)
{
    return ranks >= 1.0 && ranks <= (double)DF_NET_RANKS_MAX
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "expected 1 to %d devices for the network simulator, found %.0f",
                         DF_NET_RANKS_MAX, ranks);
}

df_status df_net_program_new(int32_t ranks, df_net_program **program, df_err *err)
{
    DF_TRY(df_net_check_ranks((double)ranks, err));
    df_net_program *const fresh = calloc(1, sizeof *fresh);
    if (fresh) {
        fresh->num_ranks = ranks;
        fresh->ranks = calloc((size_t)ranks, sizeof *fresh->ranks);
    }
    if (!fresh || !fresh->ranks) {
        free(fresh);
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
    }
    *program = fresh;
    return DF_OK;
}

void df_net_program_free(df_net_program *program)
{
    if (!program) {
        return;
    }
    for (int32_t i = 0; i < program->num_ranks; i++) {
        free(program->ranks[i].ops);
        free(program->ranks[i].children);
        free(program->ranks[i].deps);
    }
    for (uint32_t i = 0; i < program->num_groups; i++) {
        free(program->groups[i].ranks);
    }
    free(program->ranks);
    free(program->groups);
    free(program);
}

static df_status fail_memory(df_err *err)
{
    return df_fail(err, DF_ENOMEM, "out of memory for the program of the ranks");
}

/* Makes room for `more` items behind count. */
static bool reserve(void **items, uint32_t count, uint32_t more, uint32_t *room, size_t size)
{
    if (more <= *room - count) {
        return true;
    }
    if (more > UINT32_MAX / 4 - count) {
        return false;
    }
    uint32_t wanted = *room > 0 ? 2 * *room : FIRST_ROOM;
    wanted = wanted < count + more ? count + more : wanted;
    void *const grown = realloc(*items, wanted * size);
    if (!grown) {
        return false;
    }
    *items = grown;
    *room = wanted;
    return true;
}

/* ---- Nodes ---- */

static df_net_unit unit_of(const df_net_node *node)
{
    if (node->on_cpu) {
        return DF_UNIT_CPU;
    }
    switch (node->type) {
    case DF_NET_COMPUTE:
        return DF_UNIT_GPU;
    case DF_NET_RECEIVE:
        return DF_UNIT_NONE;
    case DF_NET_MARK:
    case DF_NET_SEND:
    case DF_NET_COMM:
        break;
    }
    return DF_UNIT_COMM;
}

static df_status check_node(const df_net_program *program, const df_net_node *node, df_err *err)
{
    const bool replayed = node->timing == DF_NET_REPLAYED;
    const bool message = !replayed && (node->type == DF_NET_SEND || node->type == DF_NET_RECEIVE);
    if (node->duration_ns >= DF_NET_TIME_MAX || node->bytes >= DF_NET_TIME_MAX) {
        return df_fail(err, DF_EINVAL, "expected duration and size below 2^62, found more");
    }
    if (!replayed && node->on_cpu && node->type != DF_NET_COMPUTE && node->type != DF_NET_MARK) {
        return df_fail(err, DF_EINVAL, "expected communication off the CPU, found it on the CPU");
    }
    if (message && (node->peer < 0 || node->peer >= program->num_ranks)) {
        return df_fail(err, DF_EINVAL, "expected a peer from 0 to %d, found %d",
                       (int)program->num_ranks - 1, (int)node->peer);
    }
    if (message && node->bytes == 0) {
        return df_fail(err, DF_EINVAL, "expected a message of at least 1 byte, found 0");
    }
    if (node->type == DF_NET_COMM && node->group < 0) {
        return df_fail(err, DF_EINVAL, "expected a group > 0, found %d", (int)node->group);
    }
    return DF_OK;
}

df_status
df_net_program_add(df_net_program *program, int32_t rank, const df_net_node *node, df_err *err)
{
    df_err cause;
    if (program->sealed || rank < 0 || rank >= program->num_ranks) {
        return df_fail(err, DF_EINVAL, "rank %d: expected a rank of an open program", (int)rank);
    }
    if (check_node(program, node, &cause) != DF_OK) {
        return df_fail(err, DF_EINVAL, "rank %d: node %llu: %s", (int)rank,
                       (unsigned long long)node->id, cause.text);
    }
    df_net_rank_program *const p = &program->ranks[rank];
    const uint32_t deps = (uint32_t)node->num_deps;
    const bool groups = node->type == DF_NET_COMM && node->timing != DF_NET_REPLAYED;
    if (!reserve((void **)&p->ops, p->num_ops, 1, &p->ops_room, sizeof *p->ops) ||
        !reserve((void **)&p->deps, p->num_deps, deps, &p->deps_room, sizeof *p->deps)) {
        return fail_memory(err);
    }
    for (uint32_t i = 0; i < deps; i++) {
        p->deps[p->num_deps++] = (df_net_dep){node->deps[i], p->num_ops};
    }
    p->ops[p->num_ops++] = (df_net_op){.id = node->id,
                                       .type = (uint8_t)node->type,
                                       .collective = (uint8_t)node->collective,
                                       .unit = (uint8_t)unit_of(node),
                                       .timing = (uint8_t)node->timing,
                                       .duration_ns = node->duration_ns,
                                       .bytes = node->bytes,
                                       .peer = node->peer,
                                       .tag = node->tag,
                                       .label = node->label,
                                       .group = groups ? node->group : 0};
    return DF_OK;
}

/* ---- Groups ---- */

static df_status
check_group(df_net_program *program, const int32_t *ranks, int32_t count, df_err *err)
{
    const uint32_t stamp = ++program->stamp;
    for (int32_t i = 0; i < count; i++) {
        if (ranks[i] < 0 || ranks[i] >= program->num_ranks) {
            return df_fail(err, DF_EINVAL, "expected ranks from 0 to %d, found %d",
                           (int)program->num_ranks - 1, (int)ranks[i]);
        }
        if (program->ranks[ranks[i]].stamp == stamp) {
            return df_fail(err, DF_EINVAL, "expected each rank once, found %d twice",
                           (int)ranks[i]);
        }
        program->ranks[ranks[i]].stamp = stamp;
    }
    return DF_OK;
}

df_status df_net_program_add_group(
    df_net_program *program, int32_t id, const int32_t *ranks, int32_t count, df_err *err)
{
    df_err cause = {""};
    if (program->sealed || id <= 0 || count < 1) {
        return df_fail(err, DF_EINVAL, "group %d: expected an id > 0 and at least 1 rank", (int)id);
    }
    const df_status status = check_group(program, ranks, count, &cause);
    if (status != DF_OK) {
        return df_fail(err, status, "group %d: %s", (int)id, cause.text);
    }
    if (!reserve((void **)&program->groups, program->num_groups, 1, &program->groups_room,
                 sizeof *program->groups)) {
        return fail_memory(err);
    }
    df_net_group *const group = &program->groups[program->num_groups];
    group->ranks = malloc((size_t)count * sizeof *group->ranks);
    if (!group->ranks) {
        return fail_memory(err);
    }
    memcpy(group->ranks, ranks, (size_t)count * sizeof *group->ranks);
    group->id = id;
    group->count = count;
    group->first_member = program->num_members;
    program->num_groups++;
    program->num_members += (uint64_t)count;
    return DF_OK;
}

static int by_group_id(const void *a, const void *b)
{
    const int32_t x = ((const df_net_group *)a)->id;
    const int32_t y = ((const df_net_group *)b)->id;
    return (x > y) - (x < y);
}

static df_status sort_groups(df_net_program *program, df_err *err)
{
    if (program->num_groups > 0) {
        qsort(program->groups, program->num_groups, sizeof *program->groups, by_group_id);
    }
    for (uint32_t i = 1; i < program->num_groups; i++) {
        if (program->groups[i - 1].id == program->groups[i].id) {
            return df_fail(err, DF_EINVAL, "group %d: expected once, found twice",
                           (int)program->groups[i].id);
        }
    }
    return DF_OK;
}

/* The position of a rank in a group; -1 when it is no member. */
static int32_t position_in(const df_net_group *group, int32_t rank)
{
    for (int32_t i = 0; i < group->count; i++) {
        if (group->ranks[i] == rank) {
            return i;
        }
    }
    return -1;
}

/* Finds the group that a node names by its id, and the rank's position in it. */
static df_status find_group(const df_net_program *program, int32_t rank, df_net_op *op, df_err *err)
{
    const df_net_group key = {.id = op->group};
    const df_net_group *const group =
        program->num_groups == 0
            ? NULL
            : bsearch(&key, program->groups, program->num_groups, sizeof key, by_group_id);
    op->position = group ? position_in(group, rank) : -1;
    if (op->position < 0) {
        return df_fail(err, DF_EINVAL, "rank %d: node %llu: group %d: expected %s", (int)rank,
                       (unsigned long long)op->id, (int)key.id,
                       group ? "the rank to be a member, found that it is not"
                             : "an existing group, found none");
    }
    op->group = (int32_t)(group - program->groups);
    return DF_OK;
}

/* Turns ids of groups into their numbers. */
static df_status resolve_groups(df_net_program *program, int32_t rank, df_err *err)
{
    const df_net_rank_program *const p = &program->ranks[rank];
    int32_t last_id = 0; /* many nodes name the group of the one before */
    const df_net_op *last = NULL;
    for (uint32_t i = 0; i < p->num_ops; i++) {
        df_net_op *const op = &p->ops[i];
        const int32_t id = op->group;
        if (id == 0) {
            op->group = -1;
        } else if (last && id == last_id) {
            op->group = last->group;
            op->position = last->position;
        } else {
            DF_TRY(find_group(program, rank, op, err));
            last = op;
            last_id = id;
        }
    }
    return DF_OK;
}

/* ---- Dependencies ---- */

typedef struct {
    uint64_t id;
    uint32_t place; /* place in the order in which nodes were added */
} op_key;

static int by_id(const void *a, const void *b)
{
    const op_key *const x = a;
    const op_key *const y = b;
    return x->id != y->id ? (x->id > y->id) - (x->id < y->id)
                          : (x->place > y->place) - (x->place < y->place);
}

static bool in_order(const df_net_rank_program *p)
{
    for (uint32_t i = 1; i < p->num_ops; i++) {
        if (p->ops[i].id <= p->ops[i - 1].id) {
            return false;
        }
    }
    return true;
}

/* Sorts the nodes; of those with the same id, the last is kept. place_of[i] becomes the new place
 * of the node that was added as the i-th. */
static bool sort_ops(df_net_rank_program *p, uint32_t *place_of)
{
    for (uint32_t i = 0; i < p->num_ops; i++) {
        place_of[i] = i;
    }
    if (in_order(p)) {
        return true;
    }
    op_key *const keys = malloc(p->num_ops * sizeof *keys);
    df_net_op *const sorted = malloc(p->num_ops * sizeof *sorted);
    if (!keys || !sorted) {
        free(keys);
        free(sorted);
        return false;
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        keys[i] = (op_key){p->ops[i].id, i};
    }
    qsort(keys, p->num_ops, sizeof *keys, by_id);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->num_ops; i++) {
        if (i > 0 && keys[i].id == keys[i - 1].id) {
            count--;
        }
        place_of[keys[i].place] = count;
        sorted[count++] = p->ops[keys[i].place];
    }
    free(keys);
    free(p->ops);
    p->ops = sorted;
    p->num_ops = p->ops_room = count;
    return true;
}

static int id_to_op(const void *key, const void *op)
{
    const uint64_t id = *(const uint64_t *)key;
    const uint64_t other = ((const df_net_op *)op)->id;
    return (id > other) - (id < other);
}

static const df_net_op *find_op(const df_net_rank_program *p, uint64_t id)
{
    if (id < p->num_ops && p->ops[id].id == id) {
        return &p->ops[id]; /* ids without gaps */
    }
    return bsearch(&id, p->ops, p->num_ops, sizeof *p->ops, id_to_op);
}

/* Sorts dependencies by child or by parent, which are places by now; equal ones stay in their
 * order. ends has room for the nodes and one more. */
static void sort_deps(const df_net_rank_program *p, bool by_parent, df_net_dep *to, uint32_t *ends)
{
    memset(ends, 0, (p->num_ops + 1) * sizeof *ends);
    for (uint32_t i = 0; i < p->num_deps; i++) {
        ends[(by_parent ? p->deps[i].parent : p->deps[i].child) + 1]++;
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        ends[i + 1] += ends[i];
    }
    for (uint32_t i = 0; i < p->num_deps; i++) {
        to[ends[by_parent ? p->deps[i].parent : p->deps[i].child]++] = p->deps[i];
    }
}

/* Sorts the dependencies by parent and then by child, each once. */
static bool order_deps(df_net_rank_program *p)
{
    df_net_dep *const sorted = calloc(p->num_deps + 1, sizeof *sorted);
    uint32_t *const ends = malloc((p->num_ops + 1) * sizeof *ends);
    if (sorted && ends && p->num_deps > 0) {
        df_net_dep *const given = p->deps;
        sort_deps(p, false, sorted, ends);
        p->deps = sorted;
        sort_deps(p, true, given, ends);
        p->deps = given;
    }
    const bool done = sorted && ends;
    free(sorted);
    free(ends);
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->num_deps; i++) {
        const df_net_dep dep = p->deps[i];
        if (i == 0 || dep.parent != p->deps[count - 1].parent ||
            dep.child != p->deps[count - 1].child) {
            p->deps[count++] = dep;
        }
    }
    p->num_deps = count;
    return done;
}

/* Turns the dependencies into pairs of places, sorted, each once. */
static df_status
resolve_deps(df_net_rank_program *p, int32_t rank, const uint32_t *place_of, df_err *err)
{
    for (uint32_t i = 0; i < p->num_deps; i++) {
        df_net_dep *const dep = &p->deps[i];
        const df_net_op *const parent = find_op(p, dep->parent);
        dep->child = place_of[dep->child];
        if (!parent) {
            return df_fail(err, DF_EINVAL,
                           "rank %d: node %llu: expected the nodes on which it depends to exist, "
                           "found no node %llu",
                           (int)rank, (unsigned long long)p->ops[dep->child].id,
                           (unsigned long long)dep->parent);
        }
        dep->parent = (uint64_t)(parent - p->ops);
    }
    return order_deps(p) ? DF_OK : fail_memory(err);
}

static bool link_children(df_net_rank_program *p)
{
    p->children = malloc((p->num_deps + 1) * sizeof *p->children);
    if (!p->children) {
        return false;
    }
    for (uint32_t i = 0; i < p->num_deps; i++) {
        df_net_op *const parent = &p->ops[p->deps[i].parent];
        if (parent->num_children++ == 0) {
            parent->first_child = i;
        }
        p->children[i] = p->deps[i].child;
        p->ops[p->deps[i].child].num_parents++;
    }
    free(p->deps);
    p->deps = NULL;
    p->num_deps = p->deps_room = 0;
    return true;
}

/* Visits the nodes, parents first; those that remain are in a cycle, or behind one. */
static df_status
check_cycles(const df_net_rank_program *p, int32_t rank, uint32_t *scratch, df_err *err)
{
    uint32_t *const left = calloc(p->num_ops, sizeof *left);
    if (!left) {
        return fail_memory(err);
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < p->num_ops; i++) {
        left[i] = p->ops[i].num_parents;
        if (left[i] == 0) {
            scratch[found++] = i;
        }
    }
    for (uint32_t i = 0; i < found; i++) {
        const df_net_op *const op = &p->ops[scratch[i]];
        for (uint32_t k = 0; k < op->num_children; k++) {
            const uint32_t child = p->children[op->first_child + k];
            if (--left[child] == 0) {
                scratch[found++] = child;
            }
        }
    }
    uint32_t stuck = 0;
    while (stuck < p->num_ops && left[stuck] == 0) {
        stuck++;
    }
    free(left);
    return found == p->num_ops
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "rank %d: node %llu: expected dependencies without a cycle, found one",
                         (int)rank, (unsigned long long)p->ops[stuck].id);
}

/* ---- Sealing ---- */

static df_status seal_rank(df_net_program *program, int32_t rank, df_err *err)
{
    df_net_rank_program *const p = &program->ranks[rank];
    if (p->num_ops == 0) {
        return df_fail(err, DF_EINVAL, "rank %d: expected at least one node, found none",
                       (int)rank);
    }
    uint32_t *const scratch = malloc(p->num_ops * sizeof *scratch);
    if (!scratch) {
        return fail_memory(err);
    }
    df_status status = sort_ops(p, scratch) ? DF_OK : fail_memory(err);
    if (status == DF_OK) {
        status = resolve_deps(p, rank, scratch, err);
    }
    if (status == DF_OK && !link_children(p)) {
        status = fail_memory(err);
    }
    if (status == DF_OK) {
        status = check_cycles(p, rank, scratch, err);
    }
    free(scratch);
    if (status != DF_OK) {
        return status;
    }
    for (uint32_t i = 0; i < p->num_ops; i++) {
        p->unit_ops[p->ops[i].unit]++;
    }
    p->first_op = program->num_ops;
    program->num_ops += p->num_ops;
    program->max_ops = p->num_ops > program->max_ops ? p->num_ops : program->max_ops;
    return resolve_groups(program, rank, err);
}

df_status df_net_program_seal(df_net_program *program, df_err *err)
{
    if (program->sealed) {
        return DF_OK;
    }
    DF_TRY(sort_groups(program, err));
    for (int32_t rank = 0; rank < program->num_ranks; rank++) {
        DF_TRY(seal_rank(program, rank, err));
    }
    program->sealed = true;
    return DF_OK;
}
