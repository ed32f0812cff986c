/* A graph of work on devices as programs of the network simulator, one for each device of each
 * replica: where an element runs, what it waits for there, and which messages pass between. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/llm_net.h"

enum { NOWHERE = -1, FIRST_GROUP = 1000 };

typedef struct {
    int32_t *all;
    int32_t count, room;
} numbers;

/* An element of another device that one waits for, and the edge between, -1: none. */
typedef struct {
    int32_t source, edge;
} remote;

typedef struct {
    remote *all;
    int32_t count, room;
} remotes;

/* A message that is received already, for others on the same device. */
typedef struct {
    int32_t source, edge, device, replica;
    int32_t receive; /* its place in the rank's list */
} message;

/* A node of a rank. */
typedef struct {
    df_net_node node;
    numbers deps; /* places in the rank's list */
    bool first;   /* goes to the front */
} draft;

typedef struct {
    draft *all;
    int32_t count, room;
} drafts;

/* Devices that run a collective together. */
typedef struct {
    char name[96];
    int32_t first, count; /* of the members */
} team;

typedef struct {
    const df_dag *dag;
    int32_t replicas, first_id;
    int32_t elements;
    numbers order;   /* what the root leads to, depth first */
    int32_t *device; /* [element]: number of its device, NOWHERE */
    int32_t devices;
    numbers *local;   /* [element]: what it waits for on its device */
    remotes *far;     /* [element]: what it waits for elsewhere */
    int32_t *seen[2]; /* [element]: when last looked at, directly or through a collective */
    int32_t stamp;
    int32_t *place;    /* [element]: in the lists of its ranks */
    int32_t *group;    /* [element]: of its first replica */
    numbers *queue;    /* [device]: elements in order */
    drafts *ranks;     /* [replica * devices + device] */
    message *messages; /* by source, then in order */
    int32_t num_messages, message_room;
    int32_t *message_of; /* [element]: last message that it sends, -1 */
    int32_t *message_before;
    uint32_t tags;
    bool failed;
} tracer;

/* ---- Lists ---- */

static void *room_for(void *array, int32_t count, int32_t *room, size_t size)
{
    if (count < *room) {
        return array;
    }
    const int32_t more = *room > 0 ? 2 * *room : 4;
    void *const grown = realloc(array, (size_t)more * size);
    if (grown) {
        *room = more;
    }
    return grown;
}

static void append(tracer *t, numbers *list, int32_t number)
{
    int32_t *const all = room_for(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        t->failed = true;
        return;
    }
    list->all = all;
    all[list->count++] = number;
}

static void append_once(tracer *t, numbers *list, int32_t number)
{
    for (int32_t i = 0; i < list->count; i++) {
        if (list->all[i] == number) {
            return;
        }
    }
    append(t, list, number);
}

static void append_remote(tracer *t, remotes *list, remote item)
{
    remote *const all = room_for(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        t->failed = true;
        return;
    }
    list->all = all;
    all[list->count++] = item;
}

/* ---- Where elements run ---- */

static bool is_compute(const tracer *t, int32_t e)
{
    return df_dag_kind_of(t->dag, e) == DF_DAG_COMPUTE;
}

static bool is_mark(const tracer *t, int32_t e)
{
    return df_dag_told(t->dag, e)->role == DF_LLM_ROLE_MARK;
}

static bool is_pipeline(const tracer *t, int32_t e)
{
    return df_dag_kind_of(t->dag, e) == DF_DAG_PIPELINE;
}

static bool is_collective(const tracer *t, int32_t e)
{
    return df_dag_kind_of(t->dag, e) == DF_DAG_COLLECTIVE && !is_mark(t, e);
}

static bool has_home(const tracer *t, int32_t e)
{
    return is_collective(t, e) && df_dag_told(t->dag, e)->home >= 0;
}

static bool is_data_parallel(const tracer *t, int32_t e)
{
    return is_collective(t, e) && df_dag_told(t->dag, e)->role != DF_LLM_ROLE_OPERATOR_COLLECTIVE;
}

/* Depth first, each element before its children. */
static void collect(tracer *t, int32_t root)
{
    numbers stack = {NULL, 0, 0};
    append(t, &stack, root);
    t->stamp++;
    while (stack.count > 0 && !t->failed) {
        const int32_t e = stack.all[--stack.count];
        if (t->seen[0][e] == t->stamp) {
            continue;
        }
        t->seen[0][e] = t->stamp;
        append(t, &t->order, e);
        int32_t count;
        const int32_t *const children = df_dag_children(t->dag, e, &count);
        for (int32_t i = count - 1; i >= 0; i--) {
            append(t, &stack, children[i]);
        }
    }
    free(stack.all);
}

/* The device of the first neighbour that computes. */
static int32_t neighbour_device(const tracer *t, int32_t e)
{
    int32_t parents;
    int32_t children;
    const int32_t *const parent = df_dag_parents(t->dag, e, &parents);
    const int32_t *const child = df_dag_children(t->dag, e, &children);
    for (int32_t i = 0; i < parents; i++) {
        if (is_compute(t, parent[i])) {
            return df_dag_device(t->dag, parent[i]);
        }
    }
    for (int32_t i = 0; i < children; i++) {
        if (is_compute(t, child[i])) {
            return df_dag_device(t->dag, child[i]);
        }
    }
    return NOWHERE;
}

/* Numbers the devices that compute, from 0 on, and tells each element its own. */
static void place_elements(tracer *t)
{
    int32_t most = 0;
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t e = t->order.all[i];
        if (is_compute(t, e) && df_dag_device(t->dag, e) >= most) {
            most = df_dag_device(t->dag, e) + 1;
        }
    }
    int32_t *const number = calloc((size_t)most + 1, sizeof *number);
    if (!number) {
        t->failed = true;
        return;
    }
    for (int32_t i = 0; i < t->order.count; i++) {
        if (is_compute(t, t->order.all[i])) {
            number[df_dag_device(t->dag, t->order.all[i])] = 1;
        }
    }
    for (int32_t d = 0; d < most; d++) {
        number[d] = number[d] ? t->devices++ : NOWHERE;
    }
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t e = t->order.all[i];
        int32_t device = NOWHERE;
        if (is_compute(t, e)) {
            device = df_dag_device(t->dag, e);
        } else if (is_collective(t, e)) {
            device = has_home(t, e) ? df_dag_told(t->dag, e)->home : neighbour_device(t, e);
        }
        t->device[e] = device >= 0 && device < most ? number[device] : NOWHERE;
    }
    free(number);
}

static bool is_collected(const tracer *t, int32_t e)
{
    return t->place[e] != NOWHERE;
}

/* ---- What elements wait for ---- */

/* An element on the way up, and whether a collective lies between. */
typedef struct {
    int32_t element;
    bool through;
} ancestor;

typedef struct {
    ancestor *all;
    int32_t count, room;
} ancestors;

static void push_parents(tracer *t, ancestors *stack, int32_t e, bool through)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(t->dag, e, &count);
    for (int32_t i = 0; i < count; i++) {
        ancestor *const all = room_for(stack->all, stack->count, &stack->room, sizeof *all);
        if (!all) {
            t->failed = true;
            return;
        }
        stack->all = all;
        all[stack->count++] = (ancestor){parents[i], through};
    }
}

/* e waits for `source`, which works where e does or elsewhere. */
static void add_source(tracer *t, int32_t e, ancestor source, int32_t edge)
{
    if (!is_collected(t, source.element)) {
        return;
    }
    if (t->device[source.element] == t->device[e]) {
        if (!source.through) {
            append_once(t, &t->local[e], source.element);
        }
        return;
    }
    append_remote(t, &t->far[e], (remote){source.element, edge});
}

static void add_collective(tracer *t, int32_t e, int32_t collective)
{
    if (is_collected(t, collective) && t->device[collective] == t->device[e]) {
        append_once(t, &t->local[e], collective);
    }
}

/* Across a hop: what computes before it, and collectives before it on the same device. */
static void look_across(tracer *t, int32_t e, ancestor hop)
{
    int32_t count;
    const int32_t *const parents = df_dag_parents(t->dag, hop.element, &count);
    for (int32_t i = 0; i < count; i++) {
        if (is_compute(t, parents[i])) {
            add_source(t, e, (ancestor){parents[i], hop.through}, hop.element);
        } else if (has_home(t, parents[i]) && !hop.through) {
            add_collective(t, e, parents[i]);
        }
    }
}

static void look_at(tracer *t, ancestors *stack, int32_t e, ancestor a)
{
    const bool works = is_compute(t, a.element) || (is_collective(t, e) && has_home(t, a.element));
    if (works) {
        add_source(t, e, a, is_collective(t, e) ? a.element : NOWHERE);
    } else if (is_pipeline(t, a.element)) {
        look_across(t, e, a);
    } else if (is_mark(t, a.element)) {
        push_parents(t, stack, a.element, a.through);
    } else {
        add_collective(t, e, a.element);
        push_parents(t, stack, a.element, true);
    }
}

static void find_dependencies(tracer *t)
{
    ancestors stack = {NULL, 0, 0};
    for (int32_t i = 0; i < t->order.count && !t->failed; i++) {
        const int32_t e = t->order.all[i];
        if (t->device[e] == NOWHERE) {
            continue;
        }
        t->stamp++;
        push_parents(t, &stack, e, false);
        while (stack.count > 0 && !t->failed) {
            const ancestor a = stack.all[--stack.count];
            int32_t *const seen = &t->seen[a.through][a.element];
            if (*seen != t->stamp) {
                *seen = t->stamp;
                look_at(t, &stack, e, a);
            }
        }
    }
    free(stack.all);
}

/* ---- Groups ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const team *)a)->name, ((const team *)b)->name);
}

/* Members of a team follow one another by number; the next team of the name follows them. */
static int32_t cut_teams(const tracer *t, const numbers *members, team *teams)
{
    int32_t count = 0;
    int32_t seen_before = 0;
    for (int32_t i = 0; i < members->count;) {
        const df_dag_info *const info = df_dag_told(t->dag, members->all[i]);
        const bool same = i > 0 && df_dag_told(t->dag, members->all[i - 1])->label == info->label;
        seen_before = same ? seen_before + 1 : 0;
        team *const fresh = &teams[count++];
        fresh->first = i;
        fresh->count = 0;
        while (i < members->count && fresh->count < info->participants &&
               df_dag_told(t->dag, members->all[i])->label == info->label) {
            fresh->count++;
            i++;
        }
        char name[64];
        df_llm_label_name(info->label, name, sizeof name);
        if (seen_before > 0) {
            snprintf(fresh->name, sizeof fresh->name, "%s_%d", name, (int)seen_before);
        } else {
            snprintf(fresh->name, sizeof fresh->name, "%s", name);
        }
    }
    return count;
}

/* Operator collectives, by label and then by number. */
static void list_members(tracer *t, numbers *members)
{
    int32_t most = 0;
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t label = df_dag_told(t->dag, t->order.all[i])->label;
        most = label > most ? label : most;
    }
    for (int32_t label = 0; label <= most; label++) {
        for (int32_t e = 0; e < t->elements; e++) {
            const df_dag_info *const info = df_dag_told(t->dag, e);
            if (is_collected(t, e) && info->role == DF_LLM_ROLE_OPERATOR_COLLECTIVE &&
                info->label == label) {
                append(t, members, e);
            }
        }
    }
}

static df_status add_group(const tracer *t,
                           df_net_program *program,
                           const numbers *members,
                           const team *team_at,
                           int32_t id,
                           int32_t replica,
                           df_err *err)
{
    int32_t *const ranks = malloc((size_t)team_at->count * sizeof *ranks);
    if (!ranks) {
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's groups");
    }
    for (int32_t i = 0; i < team_at->count; i++) {
        ranks[i] = replica * t->devices + t->device[members->all[team_at->first + i]];
    }
    const df_status status = df_net_program_add_group(program, id, ranks, team_at->count, err);
    free(ranks);
    return status;
}

static df_status add_operator_groups(tracer *t, df_net_program *program, df_err *err)
{
    numbers members = {NULL, 0, 0};
    df_status status = DF_OK;
    list_members(t, &members);
    team *const teams = malloc(((size_t)members.count + 1) * sizeof *teams);
    if (!teams || t->failed) {
        status = df_fail(err, DF_ENOMEM, "out of memory for the simulator's groups");
    }
    const int32_t count = status == DF_OK ? cut_teams(t, &members, teams) : 0;
    if (count > 0) {
        qsort(teams, (size_t)count, sizeof *teams, by_name);
    }
    int32_t id = FIRST_GROUP;
    for (int32_t i = 0; i < count && status == DF_OK; i++) {
        for (int32_t m = 0; m < teams[i].count; m++) {
            t->group[members.all[teams[i].first + m]] = id;
        }
        for (int32_t r = 0; r < t->replicas && status == DF_OK; r++) {
            status = add_group(t, program, &members, &teams[i], id++, r, err);
        }
    }
    free(teams);
    free(members.all);
    return status;
}

static df_status add_replica_groups(const tracer *t, df_net_program *program, df_err *err)
{
    int32_t *const ranks = malloc((size_t)t->replicas * sizeof *ranks);
    df_status status = DF_OK;
    if (!ranks) {
        return df_fail(err, DF_ENOMEM, "out of memory for the simulator's groups");
    }
    for (int32_t d = 0; d < t->devices && status == DF_OK; d++) {
        for (int32_t r = 0; r < t->replicas; r++) {
            ranks[r] = r * t->devices + d;
        }
        status = df_net_program_add_group(program, d + 1, ranks, t->replicas, err);
    }
    free(ranks);
    return status;
}

/* ---- Nodes ---- */

/* Elements of each device, each after those that it waits for there; of those that could come,
 * the one that could first. */
static void order_devices(tracer *t, int32_t *waits, numbers *followers)
{
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t e = t->order.all[i];
        waits[e] = t->local[e].count;
        for (int32_t k = 0; k < t->local[e].count; k++) {
            append(t, &followers[t->local[e].all[k]], e);
        }
    }
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t e = t->order.all[i];
        if (t->device[e] != NOWHERE && waits[e] == 0) {
            append(t, &t->queue[t->device[e]], e);
        }
    }
    for (int32_t d = 0; d < t->devices && !t->failed; d++) {
        numbers *const queue = &t->queue[d];
        for (int32_t i = 0; i < queue->count && !t->failed; i++) {
            const numbers *const next = &followers[queue->all[i]];
            for (int32_t k = 0; k < next->count; k++) {
                if (--waits[next->all[k]] == 0) {
                    append(t, queue, next->all[k]);
                }
            }
        }
    }
}

static draft *add_draft(tracer *t, int32_t rank)
{
    drafts *const list = &t->ranks[rank];
    draft *const all = room_for(list->all, list->count, &list->room, sizeof *all);
    if (!all) {
        t->failed = true;
        return NULL;
    }
    list->all = all;
    memset(&all[list->count], 0, sizeof all[0]);
    return &all[list->count++];
}

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

static void fill_draft(tracer *t, int32_t e, int32_t replica, draft *d)
{
    const df_dag_info *const info = df_dag_told(t->dag, e);
    d->node.label = (uint32_t)e + 1;
    if (is_compute(t, e)) {
        d->node.type = DF_NET_COMPUTE;
        d->node.duration_ns = whole_us_in_ns(df_dag_duration_s(t->dag, e));
    } else {
        d->node.type = DF_NET_COMM;
        d->node.collective = collective_of(info->collective);
        d->node.bytes = (uint64_t)info->bytes;
        d->node.group = is_data_parallel(t, e) ? t->device[e] + 1 : t->group[e] + replica;
    }
    for (int32_t i = 0; i < t->local[e].count; i++) {
        append_once(t, &d->deps, t->place[t->local[e].all[i]]);
    }
}

static void draft_elements(tracer *t)
{
    for (int32_t d = 0; d < t->devices; d++) {
        for (int32_t i = 0; i < t->queue[d].count; i++) {
            t->place[t->queue[d].all[i]] = i;
        }
    }
    for (int32_t d = 0; d < t->devices; d++) {
        for (int32_t i = 0; i < t->queue[d].count && !t->failed; i++) {
            for (int32_t r = 0; r < t->replicas && !t->failed; r++) {
                draft *const fresh = add_draft(t, r * t->devices + d);
                if (fresh) {
                    fill_draft(t, t->queue[d].all[i], r, fresh);
                }
            }
        }
    }
}

/* ---- Messages ---- */

static const message *known_message(const tracer *t, const message *wanted)
{
    for (int32_t i = t->message_of[wanted->source]; i >= 0; i = t->message_before[i]) {
        const message *const m = &t->messages[i];
        if (m->edge == wanted->edge && m->device == wanted->device &&
            m->replica == wanted->replica) {
            return m;
        }
    }
    return NULL;
}

static void remember(tracer *t, const message *fresh)
{
    int32_t room = t->message_room;
    message *const all = room_for(t->messages, t->num_messages, &t->message_room, sizeof *all);
    int32_t *const before =
        all ? room_for(t->message_before, t->num_messages, &room, sizeof *before) : NULL;
    t->messages = all ? all : t->messages;
    if (!before) {
        t->failed = true;
        return;
    }
    t->message_before = before;
    all[t->num_messages] = *fresh;
    before[t->num_messages] = t->message_of[fresh->source];
    t->message_of[fresh->source] = t->num_messages++;
}

/* Adds a send to the source's rank and a receive to the other; the receive's place. */
static void send(tracer *t, message *m)
{
    const int32_t from = m->replica * t->devices + t->device[m->source];
    const int32_t to = m->replica * t->devices + m->device;
    const double bytes = m->edge != NOWHERE && is_pipeline(t, m->edge)
                             ? trunc(df_dag_told(t->dag, m->edge)->bytes)
                             : 0.0;
    const bool control = !(bytes > 0.0); /* one byte, to say that it is done */
    const uint32_t counter = ++t->tags;
    const df_net_node node = {
        .bytes = control ? 1 : (uint64_t)bytes,
        .tag = m->edge == NOWHERE ? counter : (uint32_t)(m->edge + t->first_id),
        .label = m->edge == NOWHERE ? 0 : (uint32_t)m->edge + 1,
    };
    draft *const sender = add_draft(t, from);
    if (sender) {
        sender->node = node;
        sender->node.type = DF_NET_SEND;
        sender->node.peer = to;
        sender->first = control;
        append(t, &sender->deps, t->place[m->source]);
    }
    draft *const receiver = add_draft(t, to);
    if (receiver) {
        receiver->node = node;
        receiver->node.type = DF_NET_RECEIVE;
        receiver->node.peer = from;
        m->receive = t->ranks[to].count - 1;
    }
}

static void add_messages_to(tracer *t, int32_t e, int32_t replica)
{
    for (int32_t i = 0; i < t->far[e].count && !t->failed; i++) {
        const remote *const far = &t->far[e].all[i];
        message wanted = {far->source, far->edge, t->device[e], replica, 0};
        const message *const known = known_message(t, &wanted);
        if (known) {
            wanted = *known;
        } else {
            send(t, &wanted);
            remember(t, &wanted);
        }
        const int32_t rank = replica * t->devices + t->device[e];
        if (!t->failed) {
            append_once(t, &t->ranks[rank].all[t->place[e]].deps, wanted.receive);
        }
    }
}

static void draft_messages(tracer *t)
{
    for (int32_t d = 0; d < t->devices; d++) {
        for (int32_t i = 0; i < t->queue[d].count; i++) {
            for (int32_t r = 0; r < t->replicas && !t->failed; r++) {
                add_messages_to(t, t->queue[d].all[i], r);
            }
        }
    }
}

/* ---- The program ---- */

/* Small messages that say that something is done come first, else they could wait for what
 * waits for them. */
static void number_nodes(drafts *list, uint64_t *ids)
{
    uint64_t id = 0;
    for (int round = 0; round < 2; round++) {
        for (int32_t i = 0; i < list->count; i++) {
            if (list->all[i].first == (round == 0)) {
                ids[i] = id++;
            }
        }
    }
}

static df_status add_rank(drafts *list, df_net_program *program, int32_t rank, df_err *err)
{
    int32_t most = 1;
    for (int32_t i = 0; i < list->count; i++) {
        most = list->all[i].deps.count > most ? list->all[i].deps.count : most;
    }
    uint64_t *const ids = malloc(((size_t)list->count + 1) * sizeof *ids);
    uint64_t *const deps = malloc((size_t)most * sizeof *deps);
    df_status status = DF_OK;
    if (!ids || !deps) {
        status = df_fail(err, DF_ENOMEM, "out of memory for the simulator's program");
    } else {
        number_nodes(list, ids);
    }
    for (int32_t i = 0; i < list->count && status == DF_OK; i++) {
        draft *const d = &list->all[i];
        for (int32_t k = 0; k < d->deps.count; k++) {
            deps[k] = ids[d->deps.all[k]];
        }
        d->node.id = ids[i];
        d->node.deps = deps;
        d->node.num_deps = d->deps.count;
        status = df_net_program_add(program, rank, &d->node, err);
    }
    free(ids);
    free(deps);
    return status;
}

static df_status write_program(tracer *t, df_net_program **out, int32_t *ranks, df_err *err)
{
    const int32_t count = t->devices * t->replicas;
    const int32_t simulated = count > 1 ? count : 2; /* one alone has a twin */
    df_net_program *const program = df_net_program_new(simulated);
    df_status status = program ? DF_OK : df_fail(err, DF_ENOMEM, "out of memory");
    if (status == DF_OK && t->replicas > 1) {
        status = add_replica_groups(t, program, err);
    }
    if (status == DF_OK) {
        status = add_operator_groups(t, program, err);
    }
    if (status == DF_OK) {
        draft_elements(t);
        draft_messages(t);
        status = t->failed ? df_fail(err, DF_ENOMEM, "out of memory for the simulator's program")
                           : DF_OK;
    }
    for (int32_t r = 0; r < simulated && status == DF_OK; r++) {
        status = add_rank(&t->ranks[r % count], program, r, err);
    }
    if (status == DF_OK) {
        status = df_net_program_seal(program, err);
    }
    if (status != DF_OK) {
        df_net_program_free(program);
        return status;
    }
    *out = program;
    *ranks = simulated;
    return DF_OK;
}

/* ---- Memory ---- */

static int32_t *fill(int32_t count, int32_t value)
{
    int32_t *const all = malloc(((size_t)count + 1) * sizeof *all);
    for (int32_t i = 0; all && i < count; i++) {
        all[i] = value;
    }
    return all;
}

static bool open_tracer(tracer *t)
{
    const size_t n = (size_t)t->elements + 1;
    t->device = fill(t->elements, NOWHERE);
    t->place = fill(t->elements, NOWHERE);
    t->group = fill(t->elements, 0);
    t->message_of = fill(t->elements, -1);
    t->seen[0] = fill(t->elements, 0);
    t->seen[1] = fill(t->elements, 0);
    t->local = calloc(n, sizeof *t->local);
    t->far = calloc(n, sizeof *t->far);
    return t->device && t->place && t->group && t->message_of && t->seen[0] && t->seen[1] &&
           t->local && t->far;
}

static bool open_devices(tracer *t)
{
    t->queue = calloc((size_t)t->devices + 1, sizeof *t->queue);
    t->ranks = calloc((size_t)t->devices * (size_t)t->replicas + 1, sizeof *t->ranks);
    return t->queue && t->ranks;
}

static void close_lists(numbers *lists, int32_t count)
{
    for (int32_t i = 0; lists && i < count; i++) {
        free(lists[i].all);
    }
    free(lists);
}

static void close_tracer(tracer *t)
{
    for (int32_t i = 0; t->far && i < t->elements; i++) {
        free(t->far[i].all);
    }
    for (int32_t r = 0; t->ranks && r < t->devices * t->replicas; r++) {
        for (int32_t i = 0; i < t->ranks[r].count; i++) {
            free(t->ranks[r].all[i].deps.all);
        }
        free(t->ranks[r].all);
    }
    close_lists(t->local, t->elements);
    close_lists(t->queue, t->devices);
    free(t->order.all);
    free(t->far);
    free(t->ranks);
    free(t->messages);
    free(t->message_before);
    free(t->message_of);
    free(t->device);
    free(t->place);
    free(t->group);
    free(t->seen[0]);
    free(t->seen[1]);
}

/* ---- The whole ---- */

/* Collectives among replicas are nothing where there is one. */
static void drop_collectives(tracer *t)
{
    for (int32_t i = 0; i < t->order.count; i++) {
        const int32_t e = t->order.all[i];
        const bool dropped = t->replicas == 1 && is_data_parallel(t, e);
        t->device[e] = dropped ? NOWHERE : t->device[e];
        t->place[e] = t->device[e] == NOWHERE ? NOWHERE : 0;
    }
}

static void order_elements(tracer *t)
{
    int32_t *const waits = fill(t->elements, 0);
    numbers *const followers = calloc((size_t)t->elements + 1, sizeof *followers);
    if (waits && followers) {
        order_devices(t, waits, followers);
    } else {
        t->failed = true;
    }
    free(waits);
    close_lists(followers, t->elements);
}

df_status df_llm_trace(const df_dag *dag,
                       int32_t root,
                       int32_t replicas,
                       int32_t first_id,
                       df_net_program **program,
                       int32_t *ranks,
                       df_err *err)
{
    tracer t = {
        .dag = dag, .replicas = replicas, .first_id = first_id, .elements = df_dag_count(dag)};
    t.failed = !open_tracer(&t);
    if (!t.failed) {
        collect(&t, root);
        place_elements(&t);
        drop_collectives(&t);
    }
    t.failed = t.failed || !open_devices(&t);
    if (!t.failed) {
        find_dependencies(&t);
        order_elements(&t);
    }
    const df_status status =
        t.failed ? df_fail(err, DF_ENOMEM, "out of memory for the simulator's program")
                 : write_program(&t, program, ranks, err);
    close_tracer(&t);
    return status;
}
