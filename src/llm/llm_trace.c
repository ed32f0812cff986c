/* A graph of work on devices as programs of the network simulator, one for each device of each
 * replica: the elements of the device, the messages between devices, the groups that do
 * collectives together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "llm/llm_net.h"
#include "llm/llm_team.h"

enum { FIRST_GROUP = 1000 }; /* as in the reference */

/* A send or a receive; a rank's list has them behind its elements. */
typedef struct {
    df_net_node node;
    int32_t source; /* element that a send follows */
    int32_t next;   /* of those that a collective waits for, -1 */
    bool first;     /* goes to the front of the rank */
} draft;

typedef struct {
    draft *all;
    int32_t count, room;
} drafts;

/* A message that is on its way already, for others on the same device. */
typedef struct {
    int32_t source, edge, device, replica;
    int32_t receipt; /* its place among the receiver's messages */
    int32_t before;  /* the one before it of the same source, -1 */
} message;

/* What an element waits for among its rank's messages; a list that ends with -1. */
typedef struct {
    int32_t receipt, next;
} wait;

typedef struct {
    df_llm_plan plan;
    int32_t replicas, first_id;
    bool in_turns;
    df_llm_teams teams;
    int32_t first_group; /* the ids before it are those of devices over replicas */
    int32_t *place;      /* [element]: among the elements of its device */
    int32_t *mate;       /* [device]: the first of those that it exchanges gradients with */
    df_llm_turns turns;  /* where they are in turns */
    int32_t
        *sent_before; /* [element]: the first send of its rank that a collective waits for, -1 */
    drafts *ranks;    /* [replica * devices + device] */
    message *messages;
    int32_t num_messages, message_room;
    int32_t *last_of; /* [element]: last message that it sends, -1 */
    wait *waits;
    int32_t num_waits, wait_room;
    int32_t *waits_of; /* [replica * elements + element]: the first, -1 */
    uint32_t tags;
    df_net_program *program;
    /* of the rank at hand */
    int32_t rank, replica;
    drafts *drafts;
    uint64_t *ids;   /* of its messages */
    uint64_t before; /* so many of them come before its elements */
    uint64_t *deps;  /* of a node */
    int32_t id_room, dep_room;
} tracer;

static df_status fail_memory(df_err *err)
{
    return df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
}

/* ---- Groups ---- */

/* Finds the devices that exchange gradients with each device: those of one number. */
static void find_mates(const tracer *t)
{
    for (int32_t d = 0; d < t->plan.devices; d++) {
        t->mate[d] = d;
    }
    for (int32_t e = 0; e < t->plan.elements; e++) {
        const int32_t of = e - df_dag_told(t->plan.dag, e)->mate;
        if (of < e && t->plan.device[e] != DF_LLM_NOWHERE && t->plan.device[of] != DF_LLM_NOWHERE) {
            t->mate[t->plan.device[e]] = t->plan.device[of];
        }
    }
}

/* Devices that exchange gradients, in all replicas. */
static df_status add_replica_groups(const tracer *t, df_err *err)
{
    int32_t *const ranks =
        malloc((size_t)t->replicas * (size_t)t->plan.devices * sizeof *ranks + 1);
    df_status status = DF_OK;
    if (!ranks) {
        return fail_memory(err);
    }
    for (int32_t d = 0; d < t->plan.devices && status == DF_OK; d++) {
        int32_t count = 0;
        for (int32_t r = 0; r < t->replicas; r++) {
            for (int32_t other = d; other < t->plan.devices; other++) {
                if (t->mate[other] == d) {
                    ranks[count++] = r * t->plan.devices + other;
                }
            }
        }
        if (count > 1) {
            status = df_net_program_add_group(t->program, d + 1, ranks, count, err);
        }
    }
    free(ranks);
    return status;
}

/* ---- Messages ---- */

static const message *known_message(const tracer *t, const message *wanted)
{
    for (int32_t i = t->last_of[wanted->source]; i >= 0; i = t->messages[i].before) {
        const message *const m = &t->messages[i];
        if (m->edge == wanted->edge && m->device == wanted->device &&
            m->replica == wanted->replica) {
            return m;
        }
    }
    return NULL;
}

static bool remember(tracer *t, const message *fresh)
{
    message *const all = df_grow(t->messages, t->num_messages, &t->message_room, sizeof *all);
    if (!all) {
        return false;
    }
    t->messages = all;
    all[t->num_messages] = *fresh;
    all[t->num_messages].before = t->last_of[fresh->source];
    t->last_of[fresh->source] = t->num_messages++;
    return true;
}

static bool add_draft(tracer *t, int32_t rank, const draft *fresh)
{
    drafts *const list = &t->ranks[rank];
    draft *const all = df_grow(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        return false;
    }
    list->all = all;
    all[list->count++] = *fresh;
    return true;
}

/* Adds a send to the source's rank and a receive to the other. */
static bool send(tracer *t, message *m)
{
    const df_dag *const dag = t->plan.dag;
    const int32_t from = m->replica * t->plan.devices + t->plan.device[m->source];
    const int32_t to = m->replica * t->plan.devices + m->device;
    const bool known = m->edge != DF_LLM_NOWHERE;
    const double bytes = known && df_dag_kind_of(dag, m->edge) == DF_DAG_PIPELINE
                             ? trunc(df_dag_told(dag, m->edge)->bytes)
                             : 0.0;
    const bool control = !(bytes > 0.0); /* one byte, to say that it is done */
    const uint32_t counter = ++t->tags;
    draft sender = {.node = {.type = DF_NET_SEND,
                             .bytes = control ? 1 : (uint64_t)bytes,
                             .peer = to,
                             .tag = known ? (uint32_t)(m->edge + t->first_id) : counter,
                             .label = known ? (uint32_t)m->edge + 1 : 0},
                    .source = m->source,
                    .first = control};
    draft receiver = sender;
    receiver.node.type = DF_NET_RECEIVE;
    receiver.node.peer = from;
    receiver.source = DF_LLM_NOWHERE;
    receiver.first = false;
    m->receipt = t->ranks[to].count;
    return add_draft(t, from, &sender) && add_draft(t, to, &receiver);
}

static bool add_wait(tracer *t, int32_t *first, int32_t receipt)
{
    wait *const all = df_grow(t->waits, t->num_waits, &t->wait_room, sizeof *all);
    if (!all) {
        return false;
    }
    t->waits = all;
    all[t->num_waits] = (wait){receipt, *first};
    *first = t->num_waits++;
    return true;
}

static bool add_messages_to(tracer *t, int32_t e, int32_t replica)
{
    const df_llm_stretch far = t->plan.far[e];
    int32_t *const first = &t->waits_of[replica * t->plan.elements + e];
    for (int32_t i = far.first; i < far.first + far.count; i++) {
        const df_llm_remote *const remote = &t->plan.remotes.all[i];
        message m = {remote->source, remote->edge, t->plan.device[e], replica, 0, 0};
        const message *const known = known_message(t, &m);
        if (known) {
            m = *known;
        } else if (!send(t, &m) || !remember(t, &m)) {
            return false;
        }
        if (!add_wait(t, first, m.receipt)) {
            return false;
        }
    }
    return true;
}

static df_status draft_messages(tracer *t, df_err *err)
{
    for (int32_t i = 0; i < t->plan.begin[t->plan.devices]; i++) {
        for (int32_t r = 0; r < t->replicas; r++) {
            if (!add_messages_to(t, t->plan.queue[i], r)) {
                return fail_memory(err);
            }
        }
    }
    return DF_OK;
}

/* ---- Nodes ---- */

static df_net_collective collective_of(int32_t kind)
{
    switch ((df_coll_kind)kind) {
    case DF_COLL_ALL_GATHER:
        return DF_NET_ALL_GATHER;
    case DF_COLL_REDUCE_SCATTER:
        return DF_NET_REDUCE_SCATTER;
    case DF_COLL_ALL_TO_ALL:
        return DF_NET_ALL_TO_ALL;
    case DF_COLL_ALL_REDUCE:
    case DF_COLL_P2P:
        break;
    }
    return DF_NET_ALL_REDUCE;
}

/* A duration counts whole microseconds. */
static uint64_t whole_us_in_ns(double seconds)
{
    return (uint64_t)rint(seconds * 1e6) * 1000;
}

static bool add_dep(tracer *t, df_net_node *node, uint64_t id)
{
    uint64_t *const deps = df_grow(t->deps, node->num_deps, &t->dep_room, sizeof *deps);
    if (!deps) {
        return false;
    }
    t->deps = deps;
    deps[node->num_deps++] = id;
    node->deps = deps;
    return true;
}

/* Numbers the messages: small ones that say that something is done come before the elements,
 * else they could wait for what waits for them; the others behind. */
static bool number_messages(tracer *t, uint64_t elements)
{
    while (t->id_room < t->drafts->count) {
        uint64_t *const ids = df_grow(t->ids, t->id_room, &t->id_room, sizeof *ids);
        if (!ids) {
            return false;
        }
        t->ids = ids;
    }
    t->before = 0;
    for (int32_t i = 0; i < t->drafts->count; i++) {
        t->before += t->drafts->all[i].first;
    }
    uint64_t front = 0;
    uint64_t behind = t->before + elements;
    for (int32_t i = 0; i < t->drafts->count; i++) {
        t->ids[i] = t->drafts->all[i].first ? front++ : behind++;
    }
    return true;
}

/* Of an element of the rank at hand. */
static uint64_t id_of(const tracer *t, int32_t e)
{
    return t->before + (uint64_t)t->place[e];
}

static df_net_node node_of(const tracer *t, int32_t e)
{
    const df_dag *const dag = t->plan.dag;
    const df_dag_info *const info = df_dag_told(dag, e);
    df_net_node node = {.id = id_of(t, e), .label = (uint32_t)e + 1};
    if (df_llm_is_compute(dag, e)) {
        node.type = DF_NET_COMPUTE;
        node.duration_ns = whole_us_in_ns(df_dag_duration_s(dag, e));
    } else {
        const bool over_replicas = df_llm_is_data_parallel(dag, e);
        node.type = DF_NET_COMM;
        node.collective = collective_of(info->collective);
        node.bytes = (uint64_t)info->bytes;
        node.group = over_replicas ? t->mate[t->plan.device[e]] + 1
                                   : t->first_group + t->teams.group[e] * t->replicas + t->replica;
    }
    return node;
}

/* The messages that go before the elements, or the others. */
static df_status add_messages(tracer *t, bool first, df_err *err)
{
    for (int32_t i = 0; i < t->drafts->count; i++) {
        const draft *const d = &t->drafts->all[i];
        df_net_node node = d->node;
        if (d->first != first) {
            continue;
        }
        node.id = t->ids[i];
        if (d->source != DF_LLM_NOWHERE && !add_dep(t, &node, id_of(t, d->source))) {
            return fail_memory(err);
        }
        DF_TRY(df_net_program_add(t->program, t->rank, &node, err));
    }
    return DF_OK;
}

static bool add_deps(tracer *t, int32_t e, df_net_node *node)
{
    const df_llm_stretch near = t->plan.near[e];
    for (int32_t i = near.first; i < near.first + near.count; i++) {
        if (!add_dep(t, node, id_of(t, t->plan.sources.all[i]))) {
            return false;
        }
    }
    if (t->turns.previous[e] >= 0 && !add_dep(t, node, id_of(t, t->turns.previous[e]))) {
        return false;
    }
    for (int32_t i = t->sent_before[e]; i >= 0; i = t->drafts->all[i].next) {
        if (!add_dep(t, node, t->ids[i])) {
            return false;
        }
    }
    for (int32_t i = t->waits_of[t->replica * t->plan.elements + e]; i >= 0; i = t->waits[i].next) {
        if (!add_dep(t, node, t->ids[t->waits[i].receipt])) {
            return false;
        }
    }
    return true;
}

/* Has the collectives of a device wait for what is to be sent before them. */
static void put_sends_in_turn(tracer *t, int32_t begin, int32_t end)
{
    for (int32_t i = begin; i < end; i++) {
        t->sent_before[t->plan.queue[i]] = -1;
    }
    for (int32_t i = 0; i < t->drafts->count; i++) {
        draft *const d = &t->drafts->all[i];
        const int32_t next = d->source == DF_LLM_NOWHERE ? -1 : t->turns.next[d->source];
        if (next >= 0) {
            d->next = t->sent_before[next];
            t->sent_before[next] = i;
        }
    }
}

/* Fills a rank of the program with what rank `from` of the graph has; nodes go by id. */
static df_status add_rank(tracer *t, int32_t from, int32_t rank, df_err *err)
{
    const int32_t device = from % t->plan.devices;
    const int32_t begin = t->plan.begin[device];
    const int32_t end = t->plan.begin[device + 1];
    t->drafts = &t->ranks[from];
    t->rank = rank;
    t->replica = from / t->plan.devices;
    if (!number_messages(t, (uint64_t)(end - begin))) {
        return fail_memory(err);
    }
    put_sends_in_turn(t, begin, end);
    DF_TRY(add_messages(t, true, err));
    for (int32_t i = begin; i < end; i++) {
        df_net_node node = node_of(t, t->plan.queue[i]);
        if (!add_deps(t, t->plan.queue[i], &node)) {
            return fail_memory(err);
        }
        DF_TRY(df_net_program_add(t->program, rank, &node, err));
    }
    return add_messages(t, false, err);
}

/* ---- The whole ---- */

static bool open_tracer(tracer *t)
{
    const size_t n = (size_t)t->plan.elements + 1;
    const size_t waits = n * (size_t)t->replicas;
    t->place = calloc(n, sizeof *t->place);
    t->mate = malloc(((size_t)t->plan.devices + 1) * sizeof *t->mate);
    t->turns.previous = malloc(n * sizeof *t->turns.previous);
    t->turns.next = malloc(n * sizeof *t->turns.next);
    t->sent_before = malloc(n * sizeof *t->sent_before);
    t->last_of = malloc(n * sizeof *t->last_of);
    t->waits_of = malloc(waits * sizeof *t->waits_of);
    t->ranks = calloc((size_t)t->plan.devices * (size_t)t->replicas + 1, sizeof *t->ranks);
    if (!t->place || !t->mate || !t->turns.previous || !t->turns.next || !t->sent_before ||
        !t->last_of || !t->waits_of || !t->ranks) {
        return false;
    }
    memset(t->turns.previous, -1, n * sizeof *t->turns.previous);
    memset(t->turns.next, -1, n * sizeof *t->turns.next);
    memset(t->sent_before, -1, n * sizeof *t->sent_before);
    memset(t->last_of, -1, n * sizeof *t->last_of);
    memset(t->waits_of, -1, waits * sizeof *t->waits_of);
    for (int32_t d = 0; d < t->plan.devices; d++) {
        for (int32_t i = t->plan.begin[d]; i < t->plan.begin[d + 1]; i++) {
            t->place[t->plan.queue[i]] = i - t->plan.begin[d];
        }
    }
    return true;
}

static void close_tracer(tracer *t)
{
    for (int32_t r = 0; t->ranks && r < t->plan.devices * t->replicas; r++) {
        free(t->ranks[r].all);
    }
    free(t->place);
    free(t->mate);
    free(t->turns.previous);
    free(t->turns.next);
    free(t->sent_before);
    df_llm_teams_free(&t->teams);
    free(t->last_of);
    free(t->waits_of);
    free(t->ranks);
    free(t->messages);
    free(t->waits);
    free(t->ids);
    free(t->deps);
    df_llm_plan_free(&t->plan);
}

static df_status fill_program(tracer *t, df_err *err)
{
    const int32_t count = t->plan.devices * t->replicas;
    find_mates(t);
    DF_TRY(add_replica_groups(t, err));
    DF_TRY(df_llm_teams_make(&t->plan, &t->teams, err));
    DF_TRY(df_llm_teams_add(&t->plan, &t->teams, t->replicas, t->first_group, t->program, err));
    if (t->in_turns) {
        DF_TRY(df_llm_take_turns(&t->plan, &t->teams, &t->turns, err));
    }
    DF_TRY(draft_messages(t, err));
    for (int32_t r = 0; r < df_net_program_ranks(t->program); r++) {
        DF_TRY(add_rank(t, r % count, r, err));
    }
    return df_net_program_seal(t->program, err);
}

df_status df_llm_trace(const df_llm_traced *what, df_net_program **program, df_err *err)
{
    tracer t = {.replicas = what->replicas, .first_id = what->first_id, .in_turns = what->in_turns};
    if (!what->rules->astra_tags_meet) {
        t.tags = (uint32_t)(df_dag_count(what->dag) + t.first_id); /* behind those of edges */
    }
    df_status status =
        df_llm_plan_make(what->dag, what->root, what->exchanges, what->rules, &t.plan, err);
    if (status == DF_OK) {
        const int32_t ranks = t.plan.devices * t.replicas;
        t.first_group = t.plan.devices < FIRST_GROUP ? FIRST_GROUP : t.plan.devices + 1;
        t.program = df_net_program_new(ranks > 1 ? ranks : 2); /* one alone has a twin */
        status = t.program && open_tracer(&t) ? fill_program(&t, err) : fail_memory(err);
    }
    close_tracer(&t);
    if (status != DF_OK) {
        df_net_program_free(t.program);
        return status;
    }
    *program = t.program;
    return DF_OK;
}
