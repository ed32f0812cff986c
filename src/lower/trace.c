/* A graph of work on devices as programs of the network simulator, one for each device of each
 * replica: the elements of the device, the messages between devices, the groups that do
 * collectives together. Replicas differ in the ranks and the tags of their messages alone. */
#include <math.h>

#include "lower/lower_impl.h"

enum { FIRST_GROUP = 1000 }; /* as in the reference */

/* A message from the device of one element to another device, in the first replica. */
typedef struct {
    df_lower_source source;
    int32_t to;
    uint64_t bytes;               /* 0: it says that something is done, in one byte */
    uint32_t tag, tag_step;       /* from one replica to the next */
    uint64_t sent_id, receipt_id; /* of its nodes */
    int32_t before;               /* previous message of the same element; -1: none */
    int32_t next;                 /* another message that the same collective waits for; -1: none */
} message;

typedef struct {
    const df_lower_job *job;
    df_lower_plan plan;
    int32_t ranks; /* devices of all replicas */
    int32_t *mate; /* [device]: the first of the devices with which it exchanges gradients */
    df_arena *arena;
    struct {
        message *all;
        int32_t count, room;
    } messages;
    int32_t *last_message; /* [element]: that it sends, -1 */
    int32_t *message_of;   /* [source of the plan]: for one on another device */
    int32_t *sent_before;  /* [element]: the first message that a collective waits for, -1 */
    uint64_t *id;          /* [element]: of its node */
    int32_t *next_id;      /* [device] */
    struct {
        uint64_t *all;
        int32_t count, room;
    } deps; /* of a node */
    uint32_t tags;
    df_net_program *program;
} tracer;

static df_status fail_memory(df_err *err)
{
    return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
}

/* ---- Groups ---- */

/* Finds, for each device, the devices with which it exchanges gradients: those with the same
 * number. */
static void find_mates(const tracer *t)
{
    const df_lower_plan *const plan = &t->plan;
    for (int32_t d = 0; d < plan->devices; d++) {
        t->mate[d] = d;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        const int32_t of = e - df_dag_at(plan->dag, e)->mate;
        if (of < e && plan->device[e] != DF_DAG_NOWHERE && plan->device[of] != DF_DAG_NOWHERE) {
            t->mate[plan->device[e]] = plan->device[of];
        }
    }
}

/* Devices that exchange gradients, in all replicas. */
static df_status add_replica_groups(const tracer *t, int32_t *ranks, df_err *err)
{
    const int32_t devices = t->plan.devices;
    for (int32_t d = 0; d < devices; d++) {
        int32_t count = 0;
        for (int32_t r = 0; r < t->job->replicas; r++) {
            for (int32_t other = d; other < devices; other++) {
                if (t->mate[other] == d) {
                    ranks[count++] = r * devices + other;
                }
            }
        }
        if (count > 1) {
            DF_TRY(df_net_program_add_group(t->program, d + 1, ranks, count, err));
        }
    }
    return DF_OK;
}

/* The ids below these are of devices that exchange gradients. */
static int32_t team_group_id(const tracer *t, int32_t group, int32_t replica)
{
    const int32_t first = t->plan.devices < FIRST_GROUP ? FIRST_GROUP : t->plan.devices + 1;
    return (int32_t)(first + (int64_t)group * t->job->replicas + replica);
}

static df_status add_team_groups(const tracer *t, int32_t *ranks, df_err *err)
{
    for (int32_t group = 0; group < t->plan.groups; group++) {
        const int32_t *const first = t->plan.first_member + group;
        for (int32_t r = 0; r < t->job->replicas; r++) {
            for (int32_t m = first[0]; m < first[1]; m++) {
                ranks[m - first[0]] = r * t->plan.devices + t->plan.members[m];
            }
            DF_TRY(df_net_program_add_group(t->program, team_group_id(t, group, r), ranks,
                                            first[1] - first[0], err));
        }
    }
    return DF_OK;
}

/* ---- Messages ---- */

static bool is_far(const df_lower_plan *plan, int32_t e, int32_t source)
{
    return plan->device[plan->sources.all[source].element] != plan->device[e];
}

/* A message that is already on its way, for others on the same device; -1: none. */
static int32_t known_message(const tracer *t, const df_lower_source *source, int32_t to)
{
    int32_t i = t->last_message[source->element];
    while (i >= 0 &&
           (t->messages.all[i].source.edge != source->edge || t->messages.all[i].to != to)) {
        i = t->messages.all[i].before;
    }
    return i;
}

static void number_send(const tracer *t, message *m)
{
    m->sent_id = (uint64_t)t->next_id[t->plan.device[m->source.element]]++;
}

static int32_t add_message(tracer *t, const df_lower_source *source, int32_t to)
{
    const df_dag *const dag = t->plan.dag;
    const int32_t edge = source->edge;
    const bool carries = edge != DF_DAG_NOWHERE && df_dag_at(dag, edge)->kind == DF_DAG_PIPELINE;
    message fresh = {.source = *source,
                     .to = to,
                     .bytes = carries ? (uint64_t)df_dag_at(dag, edge)->bytes : 0,
                     .tag = (uint32_t)(edge + t->job->first_id),
                     .before = t->last_message[source->element]};
    if (fresh.bytes == 0) {
        number_send(t, &fresh);
    }
    DF_ARENA_ADD(t->arena, &t->messages, fresh);
    t->last_message[source->element] = t->messages.count - 1;
    return t->messages.count - 1;
}

/* Messages without an edge are numbered: those to an element replica by replica. */
static void add_messages_to(tracer *t, int32_t e)
{
    const int32_t before = t->messages.count;
    for (int32_t i = t->plan.first[e]; i < t->plan.first[e + 1]; i++) {
        if (is_far(&t->plan, e, i)) {
            const df_lower_source *const source = &t->plan.sources.all[i];
            const int32_t known = known_message(t, source, t->plan.device[e]);
            t->message_of[i] = known >= 0 ? known : add_message(t, source, t->plan.device[e]);
        }
    }
    const uint32_t fresh = (uint32_t)(t->messages.count - before);
    for (uint32_t i = 0; i < fresh; i++) {
        message *const m = &t->messages.all[before + (int32_t)i];
        if (m->source.edge == DF_DAG_NOWHERE) {
            m->tag = t->tags + 1 + i;
            m->tag_step = fresh;
        }
    }
    t->tags += fresh * (uint32_t)t->job->replicas;
}

/* ---- Nodes ---- */

/* Numbers the nodes of each device. Messages that say that something is done already have the first
 * numbers: if they came after the elements, they could wait for what waits for them. Other messages
 * do come after. Also lists the messages for which a collective waits when devices take turns. */
static void number_nodes(const tracer *t)
{
    for (int32_t i = 0; i < t->plan.begin[t->plan.devices]; i++) {
        const int32_t e = t->plan.queue[i];
        t->id[e] = (uint64_t)t->next_id[t->plan.device[e]]++;
    }
    for (int32_t i = 0; i < t->messages.count; i++) {
        message *const m = &t->messages.all[i];
        const int32_t next = t->plan.next[m->source.element];
        if (m->bytes > 0) {
            number_send(t, m);
        }
        m->receipt_id = (uint64_t)t->next_id[m->to]++;
        if (next >= 0) {
            m->next = t->sent_before[next];
            t->sent_before[next] = i;
        }
    }
}

/* Adds the send or the receive of a message to each replica. */
static df_status add_end(const tracer *t, const message *m, bool sends, df_err *err)
{
    const int32_t from = t->plan.device[m->source.element];
    df_net_node node = {.id = sends ? m->sent_id : m->receipt_id,
                        .type = sends ? DF_NET_SEND : DF_NET_RECEIVE,
                        .bytes = m->bytes > 0 ? m->bytes : 1,
                        .peer = sends ? m->to : from,
                        .tag = m->tag,
                        .label = (uint32_t)(m->source.edge + 1),
                        .deps = &t->id[m->source.element],
                        .num_deps = sends};
    for (int32_t first = 0; first < t->ranks;
         first += t->plan.devices) { /* first rank of a replica */
        DF_TRY(df_net_program_add(t->program, first + (sends ? from : m->to), &node, err));
        node.peer += t->plan.devices;
        node.tag += m->tag_step;
    }
    return DF_OK;
}

static void add_dep(tracer *t, uint64_t id)
{
    DF_ARENA_ADD(t->arena, &t->deps, id);
}

static void list_deps(tracer *t, int32_t e)
{
    const int32_t begin = t->plan.first[e];
    const int32_t end = t->plan.first[e + 1];
    t->deps.count = 0;
    for (int32_t i = begin; i < end; i++) {
        if (!is_far(&t->plan, e, i)) {
            add_dep(t, t->id[t->plan.sources.all[i].element]);
        }
    }
    if (t->plan.previous[e] >= 0) {
        add_dep(t, t->id[t->plan.previous[e]]);
    }
    for (int32_t i = t->sent_before[e]; i >= 0; i = t->messages.all[i].next) {
        add_dep(t, t->messages.all[i].sent_id);
    }
    for (int32_t i = end - 1; i >= begin; i--) {
        if (is_far(&t->plan, e, i)) {
            add_dep(t, t->messages.all[t->message_of[i]].receipt_id);
        }
    }
}

/* A duration that rounds to 0 lasts a nanosecond in the simulator, so that time advances. */
static uint64_t duration_ns(const tracer *t, double duration_s)
{
    return t->job->options.whole_microseconds ? (uint64_t)rint(duration_s * 1e6) * 1000
                                              : (uint64_t)rint(duration_s * 1e9);
}

/* Adds an element to each replica, or to its device's twin. */
static df_status add_element(tracer *t, int32_t e, df_err *err)
{
    const df_dag *const dag = t->plan.dag;
    const int32_t device = t->plan.device[e];
    list_deps(t, e);
    df_net_node node = {
        .id = t->id[e], .label = (uint32_t)e + 1, .deps = t->deps.all, .num_deps = t->deps.count};
    if (df_dag_at(dag, e)->kind == DF_DAG_COMPUTE) {
        node.type = DF_NET_COMPUTE;
        node.duration_ns = duration_ns(t, df_dag_at(dag, e)->duration_s);
    } else {
        node.type = DF_NET_COMM;
        node.collective = df_dag_at(dag, e)->collective;
        node.bytes = (uint64_t)df_dag_at(dag, e)->bytes;
    }
    for (int32_t rank = device; rank < df_net_program_ranks(t->program); rank += t->plan.devices) {
        const int32_t replica = rank % t->ranks / t->plan.devices;
        node.group = df_dag_at(dag, e)->role == DF_LOWER_OPERATOR_COLLECTIVE
                         ? team_group_id(t, t->plan.group[e], replica)
                         : t->mate[device] + 1;
        DF_TRY(df_net_program_add(t->program, rank, &node, err));
    }
    return DF_OK;
}

/* The nodes of each rank are added in the order of their ids. */
static df_status add_nodes(tracer *t, df_err *err)
{
    for (int32_t i = 0; i < t->messages.count; i++) {
        if (t->messages.all[i].bytes == 0) {
            DF_TRY(add_end(t, &t->messages.all[i], true, err));
        }
    }
    for (int32_t i = 0; i < t->plan.begin[t->plan.devices]; i++) {
        DF_TRY(add_element(t, t->plan.queue[i], err));
    }
    for (int32_t i = 0; i < t->messages.count; i++) {
        if (t->messages.all[i].bytes > 0) {
            DF_TRY(add_end(t, &t->messages.all[i], true, err));
        }
        DF_TRY(add_end(t, &t->messages.all[i], false, err));
    }
    return DF_OK;
}

/* ---- The whole ---- */

/* Checks what has to fit into the simulator's whole numbers. */
static df_status check_sizes(const tracer *t, df_err *err)
{
    const double most_s = 0x1p62 * 1e-9; /* what a node's nanoseconds hold */
    const double most_bytes = 0x1p53;
    DF_TRY(df_net_check_ranks((double)t->plan.devices * t->job->replicas, err));
    for (int32_t e = 0; e < t->plan.elements; e++) {
        const df_dag_element *const element = df_dag_at(t->plan.dag, e);
        if (element->kind == DF_DAG_COMPUTE && !(element->duration_s < most_s)) {
            return df_fail(err, DF_EINVAL,
                           "execution_backend.model: expected work of less than %g s for the "
                           "network simulator, found %g s; analytical would work",
                           most_s, element->duration_s);
        }
        if (!(element->bytes < most_bytes)) {
            return df_fail(err, DF_EINVAL,
                           "execution_backend.model: expected transfers of less than %g bytes for "
                           "the network simulator, found %g; analytical would work",
                           most_bytes, element->bytes);
        }
    }
    return DF_OK;
}

static df_status check_order(const df_arena *arena, bool ordered, const char *what, df_err *err)
{
    if (arena->failed) {
        return fail_memory(err);
    }
    return ordered ? DF_OK
                   : df_fail(err, DF_ERUNTIME,
                             "expected %s in an order, found some that wait for each other", what);
}

static df_status make_plan(const tracer *t, df_lower_plan *plan, df_err *err)
{
    df_arena *const arena = t->arena;
    const bool ordered = df_lower_make_plan(arena, t->job, plan);
    DF_TRY(check_order(arena, ordered, "parts of the step", err));
    df_lower_make_teams(arena, plan);
    const bool turned = !t->job->in_turns || df_lower_take_turns(arena, plan);
    return check_order(arena, turned, "collectives", err);
}

static df_status fill_program(tracer *t, df_err *err)
{
    df_arena *const arena = t->arena;
    const size_t n = (size_t)t->plan.elements;
    const size_t devices = (size_t)t->plan.devices;
    const size_t sources = (size_t)t->plan.sources.count;
    t->ranks = t->plan.devices * t->job->replicas;
    int32_t *const ranks =
        df_arena_numbers(arena, (size_t)t->ranks + n, 0); /* ranks of any group */
    t->next_id = df_arena_numbers(arena, devices, 0);
    t->mate = df_arena_numbers(arena, devices, 0);
    t->last_message = df_arena_numbers(arena, n, -1);
    t->message_of = df_arena_numbers(arena, sources, -1);
    t->sent_before = df_arena_numbers(arena, n, -1);
    t->id = df_arena_take(arena, n, sizeof *t->id);
    if (arena->failed) {
        return fail_memory(err);
    }
    const int32_t ranks_run = t->ranks > 1 ? t->ranks : 2; /* one alone has a twin */
    DF_TRY(df_net_program_new(ranks_run, &t->program, err));
    find_mates(t);
    DF_TRY(add_replica_groups(t, ranks, err));
    DF_TRY(add_team_groups(t, ranks, err));
    for (int32_t i = 0; i < t->plan.begin[devices]; i++) {
        add_messages_to(t, t->plan.queue[i]);
    }
    if (!arena->failed) {
        number_nodes(t);
        DF_TRY(add_nodes(t, err));
    }
    return arena->failed ? fail_memory(err) : df_net_program_seal(t->program, err);
}

static df_status trace(tracer *t, df_err *err)
{
    DF_TRY(make_plan(t, &t->plan, err));
    DF_TRY(check_sizes(t, err));
    return fill_program(t, err);
}

df_status df_lower_trace(const df_lower_job *job, df_net_program **program, df_err *err)
{
    df_arena arena = {NULL, false};
    tracer t = {.job = job, .arena = &arena};
    if (!job->options.tags_meet) {
        t.tags = (uint32_t)(df_dag_count(job->dag) + job->first_id); /* behind those of edges */
    }
    const df_status status = trace(&t, err);
    df_arena_free(&arena);
    if (status != DF_OK) {
        df_net_program_free(t.program);
        return status;
    }
    *program = t.program;
    return DF_OK;
}
