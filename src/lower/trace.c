/* A graph of work on devices as programs of the network simulator, one for each device of each
 * replica: the elements of the device, the messages between devices, the groups that do
 * collectives together. Replicas differ in the ranks and the tags of their messages alone. */
#include <math.h>
#include <stdlib.h>

#include "base/grow.h"
#include "lower/lower_impl.h"

enum { FIRST_GROUP = 1000 }; /* as in the reference */

/* A send or a receive, as the first replica has it. */
typedef struct {
    df_net_node node;  /* its peer is a device */
    uint32_t tag_step; /* from a replica to the next */
    bool first;        /* it comes before the elements of its rank */
    int32_t source;    /* element that a send follows; DF_LOWER_NOWHERE: a receive */
    int32_t receipt;   /* of a send: the place of its receive on the other device */
    int32_t before;    /* of a send: the one before it of the same source, -1 */
    int32_t next;      /* of a send: another that the same collective waits for, -1 */
} message;

typedef struct {
    message *all;
    int32_t count, room;
} messages;

typedef struct {
    const df_lower_job *job;
    df_lower_plan plan;
    df_lower_teams teams;
    df_lower_turns turns; /* all -1 unless devices take turns */
    int32_t first_group;  /* the ids before it are those of devices over replicas */
    int32_t *mate;        /* [device]: the first of those that it exchanges gradients with */
    int32_t *place;       /* [element]: among the elements of its device */
    messages *messages;   /* [device] */
    int32_t *last_send;   /* [element]: its last message, -1 */
    int32_t *receipt;     /* [remote]: place of the receive that stands for it */
    int32_t *sent_before; /* [element]: the first send that a collective waits for, -1 */
    uint32_t tags;
    df_net_program *program;
    struct {
        uint64_t *all;
        int32_t count, room;
    } deps; /* of a node */
    /* of the current rank */
    int32_t rank, replica;
    uint64_t before; /* messages before its elements */
} tracer;

/* ---- Groups ---- */

/* Finds the devices that exchange gradients with each device: those of one number. */
static void find_mates(const tracer *t)
{
    const df_lower_plan *const plan = &t->plan;
    for (int32_t d = 0; d < plan->devices; d++) {
        t->mate[d] = d;
    }
    for (int32_t e = 0; e < plan->elements; e++) {
        const int32_t of = e - df_dag_info_of(plan->dag, e)->mate;
        if (of < e && plan->device[e] != DF_LOWER_NOWHERE && plan->device[of] != DF_LOWER_NOWHERE) {
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

static int32_t team_group_id(const tracer *t, int32_t group, int32_t replica)
{
    return (int32_t)(t->first_group + (int64_t)group * t->job->replicas + replica);
}

static df_status add_team_groups(const tracer *t, int32_t *ranks, df_err *err)
{
    for (int32_t group = 0; group < t->teams.groups; group++) {
        const int32_t *const first = &t->teams.first[group];
        for (int32_t r = 0; r < t->job->replicas; r++) {
            for (int32_t m = first[0]; m < first[1]; m++) {
                ranks[m - first[0]] = r * t->plan.devices + t->teams.devices[m];
            }
            DF_TRY(df_net_program_add_group(t->program, team_group_id(t, group, r), ranks,
                                            first[1] - first[0], err));
        }
    }
    return DF_OK;
}

/* ---- Messages ---- */

/* A message that is on its way already, for others on the same device. */
static const message *known_message(const tracer *t, const df_lower_remote *remote, int32_t to)
{
    const message *const all = t->messages[t->plan.device[remote->source]].all;
    for (int32_t i = t->last_send[remote->source]; i >= 0; i = all[i].before) {
        if (all[i].node.label == (uint32_t)(remote->edge + 1) && all[i].node.peer == to) {
            return &all[i];
        }
    }
    return NULL;
}

/* Adds a send to the source's device and a receive to the other. */
static bool
add_message(tracer *t, const df_lower_remote *remote, int32_t to, uint32_t tag, uint32_t tag_step)
{
    const df_dag *const dag = t->plan.dag;
    const int32_t from = t->plan.device[remote->source];
    const int32_t edge = remote->edge;
    const bool known = edge != DF_LOWER_NOWHERE;
    const double bytes = known && df_dag_kind_of(dag, edge) == DF_DAG_PIPELINE
                             ? trunc(df_dag_info_of(dag, edge)->bytes)
                             : 0.0;
    const bool control = !(bytes > 0.0); /* one byte, to say that it is done */
    message sent = {.node = {.type = DF_NET_SEND,
                             .bytes = control ? 1 : (uint64_t)bytes,
                             .peer = to,
                             .tag = known ? (uint32_t)(edge + t->job->first_id) : tag,
                             .label = (uint32_t)(edge + 1)},
                    .tag_step = known ? 0 : tag_step,
                    .first = control,
                    .source = remote->source,
                    .receipt = t->messages[to].count,
                    .before = t->last_send[remote->source]};
    message received = sent;
    received.node.type = DF_NET_RECEIVE;
    received.node.peer = from;
    received.source = DF_LOWER_NOWHERE;
    received.first = false;
    t->last_send[remote->source] = t->messages[from].count;
    return DF_LIST_ADD(&t->messages[from], sent) && DF_LIST_ADD(&t->messages[to], received);
}

/* Messages without an edge are numbered: those of an element replica by replica. */
static bool add_messages_to(tracer *t, int32_t e)
{
    const df_lower_stretch far = t->plan.far[e];
    const df_lower_remote *const remote = &t->plan.remotes.all[far.first];
    const int32_t to = t->plan.device[e];
    int32_t *const receipt = &t->receipt[far.first];
    uint32_t fresh = 0;
    for (int32_t i = 0; i < far.count; i++) {
        const message *const known = known_message(t, &remote[i], to);
        receipt[i] = known ? known->receipt : -1;
        fresh += !known;
    }
    uint32_t tag = t->tags;
    for (int32_t i = 0; i < far.count; i++) {
        const bool known = receipt[i] >= 0;
        receipt[i] = known ? receipt[i] : t->messages[to].count;
        if (!known && !add_message(t, &remote[i], to, ++tag, fresh)) {
            return false;
        }
    }
    t->tags += fresh * (uint32_t)t->job->replicas;
    return true;
}

/* Has the collectives of a device wait for what is to be sent before them. */
static void put_sends_in_turn(tracer *t, messages *list)
{
    for (int32_t i = 0; i < list->count; i++) {
        message *const m = &list->all[i];
        const int32_t next = m->source == DF_LOWER_NOWHERE ? -1 : t->turns.next[m->source];
        if (next >= 0) {
            m->next = t->sent_before[next];
            t->sent_before[next] = i;
        }
    }
}

static bool add_all_messages(tracer *t)
{
    for (int32_t i = 0; i < t->plan.begin[t->plan.devices]; i++) {
        if (!add_messages_to(t, t->plan.queue[i])) {
            return false;
        }
    }
    for (int32_t d = 0; d < t->plan.devices; d++) {
        put_sends_in_turn(t, &t->messages[d]);
    }
    return true;
}

/* ---- Nodes ---- */

static bool add_dep(tracer *t, df_net_node *node, uint64_t id)
{
    t->deps.count = node->num_deps;
    if (!DF_LIST_ADD(&t->deps, id)) {
        return false;
    }
    node->deps = t->deps.all;
    node->num_deps = t->deps.count;
    return true;
}

/* Numbers the messages: small ones that say that something is done come before the elements,
 * else they could wait for what waits for them; the others behind. */
static void number_messages(tracer *t, messages *list, uint64_t elements)
{
    t->before = 0;
    for (int32_t i = 0; i < list->count; i++) {
        t->before += list->all[i].first;
    }
    uint64_t front = 0;
    uint64_t behind = t->before + elements;
    for (int32_t i = 0; i < list->count; i++) {
        list->all[i].node.id = list->all[i].first ? front++ : behind++;
    }
}

/* The id of an element of the current rank. */
static uint64_t id_of(const tracer *t, int32_t e)
{
    return t->before + (uint64_t)t->place[e];
}

static df_net_node node_of(const tracer *t, int32_t e)
{
    const df_dag *const dag = t->plan.dag;
    const df_dag_info *const info = df_dag_info_of(dag, e);
    df_net_node node = {.id = id_of(t, e), .label = (uint32_t)e + 1};
    if (df_lower_is_compute(dag, e)) {
        node.type = DF_NET_COMPUTE;
        node.duration_ns = (uint64_t)rint(df_dag_duration_s(dag, e) * 1e6) * 1000; /* whole us */
    } else {
        node.type = DF_NET_COMM;
        node.collective = info->collective;
        node.bytes = (uint64_t)info->bytes;
        node.group = df_lower_is_data_parallel(dag, e)
                         ? t->mate[t->plan.device[e]] + 1
                         : team_group_id(t, t->teams.group[e], t->replica);
    }
    return node;
}

/* The messages that go before the elements, or the others. */
static df_status add_messages(tracer *t, const messages *list, bool first, df_err *err)
{
    for (int32_t i = 0; i < list->count; i++) {
        const message *const m = &list->all[i];
        df_net_node node = m->node;
        if (m->first != first) {
            continue;
        }
        node.peer += t->replica * t->plan.devices;
        node.tag += (uint32_t)t->replica * m->tag_step;
        if (m->source != DF_LOWER_NOWHERE && !add_dep(t, &node, id_of(t, m->source))) {
            return df_lower_fail_memory(err);
        }
        DF_TRY(df_net_program_add(t->program, t->rank, &node, err));
    }
    return DF_OK;
}

static bool add_deps(tracer *t, const message *all, int32_t e, df_net_node *node)
{
    const df_lower_stretch near = t->plan.near[e];
    const df_lower_stretch far = t->plan.far[e];
    bool added = true;
    for (int32_t i = near.first; i < near.first + near.count; i++) {
        added = added && add_dep(t, node, id_of(t, t->plan.sources.all[i]));
    }
    if (t->turns.previous[e] >= 0) {
        added = added && add_dep(t, node, id_of(t, t->turns.previous[e]));
    }
    for (int32_t i = t->sent_before[e]; i >= 0; i = all[i].next) {
        added = added && add_dep(t, node, all[i].node.id);
    }
    for (int32_t i = far.first + far.count - 1; i >= far.first; i--) {
        added = added && add_dep(t, node, all[t->receipt[i]].node.id);
    }
    return added;
}

/* Fills a rank of the program with what rank `from` of the graph has; nodes go by id. */
static df_status add_rank(tracer *t, int32_t from, int32_t rank, df_err *err)
{
    const int32_t device = from % t->plan.devices;
    const int32_t begin = t->plan.begin[device];
    const int32_t end = t->plan.begin[device + 1];
    messages *const list = &t->messages[device];
    t->rank = rank;
    t->replica = from / t->plan.devices;
    number_messages(t, list, (uint64_t)(end - begin));
    DF_TRY(add_messages(t, list, true, err));
    for (int32_t i = begin; i < end; i++) {
        df_net_node node = node_of(t, t->plan.queue[i]);
        if (!add_deps(t, list->all, t->plan.queue[i], &node)) {
            return df_lower_fail_memory(err);
        }
        DF_TRY(df_net_program_add(t->program, rank, &node, err));
    }
    return add_messages(t, list, false, err);
}

/* ---- The whole ---- */

/* Checks what has to fit into the simulator's whole numbers. */
static df_status check_sizes(const tracer *t, df_err *err)
{
    const double most_s = 0x1p53 * 1e-6;
    const int64_t ranks = (int64_t)t->plan.devices * t->job->replicas;
    if (ranks > DF_NET_RANKS_MAX) {
        return df_fail(err, DF_EINVAL,
                       "expected at most %d devices for the network simulator, found %lld",
                       DF_NET_RANKS_MAX, (long long)ranks);
    }
    for (int32_t i = 0; i < t->plan.begin[t->plan.devices]; i++) {
        const double duration_s = df_dag_duration_s(t->plan.dag, t->plan.queue[i]);
        if (df_lower_is_compute(t->plan.dag, t->plan.queue[i]) && !(duration_s < most_s)) {
            return df_fail(err, DF_EINVAL,
                           "expected work of less than %g s for the network simulator, found %g s",
                           most_s, duration_s);
        }
    }
    return DF_OK;
}

static bool open_tracer(tracer *t, df_arena *arena)
{
    const df_lower_plan *const plan = &t->plan;
    const size_t n = (size_t)plan->elements;
    const size_t devices = (size_t)plan->devices;
    t->mate = df_arena_numbers(arena, devices, 0);
    t->place = df_arena_numbers(arena, n, 0);
    t->messages = df_arena_take(arena, devices, sizeof *t->messages);
    t->last_send = df_arena_numbers(arena, n, -1);
    t->receipt = df_arena_numbers(arena, (size_t)plan->remotes.count, 0);
    t->sent_before = df_arena_numbers(arena, n, -1);
    t->turns.previous = df_arena_numbers(arena, n, -1);
    t->turns.next = df_arena_numbers(arena, n, -1);
    for (int32_t d = 0; !arena->failed && d < plan->devices; d++) {
        for (int32_t i = plan->begin[d]; i < plan->begin[d + 1]; i++) {
            t->place[plan->queue[i]] = i - plan->begin[d];
        }
    }
    t->first_group = plan->devices < FIRST_GROUP ? FIRST_GROUP : plan->devices + 1;
    return !arena->failed;
}

static df_status fill_program(tracer *t, df_arena *arena, bool in_turns, df_err *err)
{
    const int32_t count = t->plan.devices * t->job->replicas;
    int32_t *const ranks = df_arena_numbers(arena, (size_t)count, 0);
    t->program = df_net_program_new(count > 1 ? count : 2); /* one alone has a twin */
    if (!ranks || !t->program || !open_tracer(t, arena)) {
        return df_lower_fail_memory(err);
    }
    find_mates(t);
    DF_TRY(add_replica_groups(t, ranks, err));
    DF_TRY(df_lower_make_teams(arena, &t->plan, &t->teams, err));
    DF_TRY(add_team_groups(t, ranks, err));
    if (in_turns) {
        DF_TRY(df_lower_take_turns(arena, &t->plan, &t->teams, &t->turns, err));
    }
    if (!add_all_messages(t)) {
        return df_lower_fail_memory(err);
    }
    for (int32_t r = 0; r < df_net_program_ranks(t->program); r++) {
        DF_TRY(add_rank(t, r % count, r, err));
    }
    return df_net_program_seal(t->program, err);
}

df_status df_lower_trace(const df_lower_job *job,
                         const df_lower_options *options,
                         bool in_turns,
                         df_net_program **program,
                         df_err *err)
{
    df_arena arena = {NULL, false};
    tracer t = {.job = job, .plan = {.dag = job->dag}};
    if (!options->tags_meet) {
        t.tags = (uint32_t)(df_dag_count(job->dag) + job->first_id); /* behind those of edges */
    }
    df_status status = df_lower_make_plan(&arena, job->root, job->exchanges,
                                          options->hop_skips_collective, &t.plan, err);
    if (status == DF_OK) {
        status = check_sizes(&t, err);
    }
    if (status == DF_OK) {
        status = fill_program(&t, &arena, in_turns, err);
    }
    for (int32_t d = 0; t.messages && d < t.plan.devices; d++) {
        free(t.messages[d].all);
    }
    free(t.plan.sources.all);
    free(t.plan.remotes.all);
    free(t.deps.all);
    df_arena_free(&arena);
    if (status != DF_OK) {
        df_net_program_free(t.program);
        return status;
    }
    *program = t.program;
    return DF_OK;
}
