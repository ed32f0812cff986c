/* A graph of work on devices as programs of the network simulator, one for each device of each
 * replica: the elements of the device, the messages between devices, the groups that do
 * collectives together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "llm/llm_net.h"
#include "llm/llm_plan.h"

enum { FIRST_GROUP = 1000 }; /* as in the reference */

/* A send or a receive; a rank's list has them behind its elements. */
typedef struct {
    df_net_node node;
    int32_t source; /* element that a send follows */
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
    int32_t first_group; /* the ids before it are those of devices over replicas */
    int32_t *place;      /* [element]: among the elements of its device */
    int32_t *group;      /* [element]: of its first replica */
    drafts *ranks;       /* [replica * devices + device] */
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
    const drafts *drafts;
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

/* Collectives of one label, by number; those that run together follow one another. */
typedef struct {
    int32_t count, end; /* of its members, how many and where they end */
} label_part;

typedef struct {
    label_part *parts; /* [label] */
    int32_t labels;
    int32_t *members; /* elements, by label and then by number */
    int32_t num_members;
} grouping;

/* A group of devices: all collectives of these devices are done in it. */
typedef struct {
    int32_t *devices; /* behind one another, of all groups */
    int32_t *first;   /* [group] of its devices; where the next one begins */
    int32_t *chains;  /* [device of the graph]: the last group that begins with it, -1 */
    int32_t *before;  /* [group]: the one before it that begins with the same device, -1 */
    int32_t count;
} device_groups;

static bool is_operator_collective(const tracer *t, int32_t e)
{
    return t->plan.device[e] != DF_LLM_NOWHERE &&
           df_dag_told(t->plan.dag, e)->role == DF_LLM_ROLE_OPERATOR_COLLECTIVE;
}

static bool count_members(const tracer *t, grouping *g)
{
    for (int32_t e = 0; e < t->plan.elements; e++) {
        const int32_t label = df_dag_told(t->plan.dag, e)->label;
        g->labels = label >= g->labels ? label + 1 : g->labels;
    }
    g->parts = calloc((size_t)g->labels + 1, sizeof *g->parts);
    for (int32_t e = 0; g->parts && e < t->plan.elements; e++) {
        if (is_operator_collective(t, e)) {
            g->parts[df_dag_told(t->plan.dag, e)->label].count++;
            g->num_members++;
        }
    }
    return g->parts != NULL;
}

static bool list_members(const tracer *t, grouping *g)
{
    g->members = malloc(((size_t)g->num_members + 1) * sizeof *g->members);
    if (!g->members) {
        return false;
    }
    int32_t sum = 0;
    for (int32_t i = 0; i < g->labels; i++) {
        g->parts[i].end = sum;
        sum += g->parts[i].count;
    }
    for (int32_t e = 0; e < t->plan.elements; e++) {
        if (is_operator_collective(t, e)) {
            g->members[g->parts[df_dag_told(t->plan.dag, e)->label].end++] = e;
        }
    }
    return true;
}

static bool open_groups(const tracer *t, const grouping *g, device_groups *d)
{
    const size_t most = (size_t)g->num_members + 1;
    d->devices = malloc(most * sizeof *d->devices);
    d->first = calloc(most, sizeof *d->first);
    d->before = malloc(most * sizeof *d->before);
    d->chains = malloc(((size_t)t->plan.devices + 1) * sizeof *d->chains);
    for (int32_t i = 0; d->chains && i < t->plan.devices; i++) {
        d->chains[i] = -1;
    }
    return d->devices && d->first && d->before && d->chains;
}

static void close_groups(device_groups *d)
{
    free(d->devices);
    free(d->first);
    free(d->before);
    free(d->chains);
}

/* Whether a group has the devices of the fresh one, which lie behind all. */
static bool same_devices(const device_groups *d, int32_t group, int32_t count)
{
    const int32_t *const known = &d->devices[d->first[group]];
    return d->first[group + 1] - d->first[group] == count &&
           memcmp(known, &d->devices[d->first[d->count]], (size_t)count * sizeof *known) == 0;
}

/* The group of the devices of some elements. */
static int32_t group_of(const tracer *t, device_groups *d, const int32_t *elements, int32_t count)
{
    int32_t *const devices = &d->devices[d->first[d->count]];
    for (int32_t i = 0; i < count; i++) {
        devices[i] = t->plan.device[elements[i]];
    }
    for (int32_t group = d->chains[devices[0]]; group >= 0; group = d->before[group]) {
        if (same_devices(d, group, count)) {
            return group;
        }
    }
    d->before[d->count] = d->chains[devices[0]];
    d->chains[devices[0]] = d->count;
    d->first[d->count + 1] = d->first[d->count] + count;
    return d->count++;
}

/* Cuts the members of each label into those that run together. (The reference makes a group
 * for each collective; this takes the same time with a hundredth of the groups.) */
static void cut_teams(tracer *t, const grouping *g, device_groups *d)
{
    for (int32_t label = 0; label < g->labels; label++) {
        const int32_t end = g->parts[label].end;
        for (int32_t i = end - g->parts[label].count; i < end;) {
            const int32_t wanted = df_dag_told(t->plan.dag, g->members[i])->participants;
            const int32_t size = wanted < 1 ? 1 : wanted;
            const int32_t count = size < end - i ? size : end - i;
            const int32_t group = group_of(t, d, &g->members[i], count);
            for (int32_t m = i; m < i + count; m++) {
                t->group[g->members[m]] = t->first_group + group * t->replicas;
            }
            i += count;
        }
    }
}

static df_status add_groups(tracer *t, const device_groups *d, df_err *err)
{
    int32_t *const ranks = malloc(((size_t)t->plan.devices + 1) * sizeof *ranks);
    df_status status = ranks ? DF_OK : fail_memory(err);
    for (int32_t i = 0; i < d->count * t->replicas && status == DF_OK; i++) {
        const int32_t group = i / t->replicas;
        const int32_t count = d->first[group + 1] - d->first[group];
        for (int32_t m = 0; m < count; m++) {
            ranks[m] = i % t->replicas * t->plan.devices + d->devices[d->first[group] + m];
        }
        status = df_net_program_add_group(t->program, t->first_group + i, ranks, count, err);
    }
    free(ranks);
    return status;
}

static df_status add_operator_groups(tracer *t, df_err *err)
{
    grouping g = {NULL, 0, NULL, 0};
    device_groups d = {NULL, NULL, NULL, NULL, 0};
    df_status status = fail_memory(err);
    if (count_members(t, &g) && list_members(t, &g) && open_groups(t, &g, &d)) {
        cut_teams(t, &g, &d);
        status = add_groups(t, &d, err);
    }
    free(g.parts);
    free(g.members);
    close_groups(&d);
    return status;
}

/* The replicas of each device. */
static df_status add_replica_groups(const tracer *t, df_err *err)
{
    int32_t *const ranks = malloc((size_t)t->replicas * sizeof *ranks);
    df_status status = DF_OK;
    if (!ranks) {
        return fail_memory(err);
    }
    for (int32_t d = 0; d < t->plan.devices && status == DF_OK; d++) {
        for (int32_t r = 0; r < t->replicas; r++) {
            ranks[r] = r * t->plan.devices + d;
        }
        status = df_net_program_add_group(t->program, d + 1, ranks, t->replicas, err);
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
        node.group = over_replicas ? t->plan.device[e] + 1 : t->group[e] + t->replica;
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
    for (int32_t i = t->waits_of[t->replica * t->plan.elements + e]; i >= 0; i = t->waits[i].next) {
        if (!add_dep(t, node, t->ids[t->waits[i].receipt])) {
            return false;
        }
    }
    return true;
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
    t->group = calloc(n, sizeof *t->group);
    t->last_of = malloc(n * sizeof *t->last_of);
    t->waits_of = malloc(waits * sizeof *t->waits_of);
    t->ranks = calloc((size_t)t->plan.devices * (size_t)t->replicas + 1, sizeof *t->ranks);
    if (!t->place || !t->group || !t->last_of || !t->waits_of || !t->ranks) {
        return false;
    }
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
    free(t->group);
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
    if (t->replicas > 1) {
        DF_TRY(add_replica_groups(t, err));
    }
    DF_TRY(add_operator_groups(t, err));
    DF_TRY(draft_messages(t, err));
    for (int32_t r = 0; r < df_net_program_ranks(t->program); r++) {
        DF_TRY(add_rank(t, r % count, r, err));
    }
    return df_net_program_seal(t->program, err);
}

df_status df_llm_trace(const df_dag *dag,
                       int32_t root,
                       int32_t replicas,
                       int32_t first_id,
                       const df_rules *rules,
                       df_net_program **program,
                       df_err *err)
{
    tracer t = {.replicas = replicas, .first_id = first_id};
    if (!rules->astra_tags_meet) {
        t.tags = (uint32_t)(df_dag_count(dag) + first_id); /* behind those of edges */
    }
    df_status status = df_llm_plan_make(dag, root, replicas, rules, &t.plan, err);
    if (status == DF_OK) {
        const int32_t ranks = t.plan.devices * replicas;
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
