/* net_impl.h: what the files of this module share. From the bottom up:
 *
 *   pool.c     numbered items                 table.c   items by hash
 *   queue.c    events in order                bucket.c  a rank's delayed work, tick by tick
 *   link.c     links and routes               match.c   sends meet receives
 *   stream.c   ring, direct, halving-doubling tree.c    double binary tree
 *   system.c   collectives become streams     work.c    nodes of a rank, units, dependencies
 *   program.c  building a program             export.c  reading one
 *   sim.c      a run, from start to result
 *   stuck.c    why a run cannot finish
 */
#ifndef DF_NET_IMPL_H
#define DF_NET_IMPL_H
#include "net/net.h"
#include "net/pool.h"
#include "net/queue.h"
#include "net/table.h"

/* Times and durations stay below this, so that their sums fit. */
#define DF_NET_TIME_MAX (UINT64_C(1) << 62)

/* ---- Program ---- */

/* What runs one node at a time. A receive needs none. */
typedef enum { DF_UNIT_CPU, DF_UNIT_GPU, DF_UNIT_COMM, DF_UNIT_NONE, DF_UNITS } df_net_unit;

/* A node as it is run; its number on its rank follows the order of ids. */
typedef struct {
    uint64_t id, bytes, duration_ns;
    uint32_t tag;
    int32_t peer;
    int32_t group;    /* number of the group; -1: none */
    int32_t position; /* of the rank in its group */
    uint32_t first_child, num_children;
    uint32_t num_parents;
    uint32_t label;
    uint8_t type, collective, unit, timing;
} df_net_op;

typedef struct {
    int32_t id;
    int32_t count;
    int32_t *ranks;
    uint64_t first_member; /* members of all groups are numbered through */
} df_net_group;

/* While the program is built: child depends on the node with the id `parent`. */
typedef struct {
    uint64_t parent;
    uint32_t child;
} df_net_dep;

typedef struct {
    df_net_op *ops;
    uint32_t num_ops, ops_room;
    uint32_t *children;
    df_net_dep *deps; /* only until the program is sealed */
    uint32_t num_deps, deps_room;
    uint32_t unit_ops[DF_UNITS]; /* nodes by unit */
    uint64_t first_op;           /* nodes of all ranks are numbered through */
    uint32_t stamp;              /* stamp of the last group in which the rank was found */
} df_net_rank_program;

struct df_net_program {
    int32_t num_ranks;
    bool sealed;
    df_net_rank_program *ranks;
    df_net_group *groups; /* sorted by id when sealed */
    uint32_t num_groups, groups_room;
    uint32_t stamp; /* stamp of the last group that was checked */
    uint64_t num_ops, num_members;
    uint32_t max_ops; /* most nodes of a rank */
};

/* ---- Run ---- */

/* Events of the queue; `what` is the number of: */
typedef enum {
    DF_EVENT_ARRIVAL,   /* a message */
    DF_EVENT_LINK_FREE, /* a link */
    DF_EVENT_BUCKET,    /* a bucket */
    DF_EVENT_RECEIVED,  /* a receipt */
} df_net_event_kind;

/* Entries of buckets; `what` is the number of: */
typedef enum {
    DF_DO_END_NODE, /* a node of the bucket's rank */
    DF_DO_REDUCE,   /* a stream whose data is to be reduced next */
    DF_DO_STREAM,   /* a stream whose bundle is through */
} df_net_do_kind;

typedef struct {
    uint32_t next;
    uint32_t entry; /* a number with its kind on top */
} df_net_do;

/* What a rank does at a tick: one event, at the place of the first entry. */
typedef struct {
    df_net_hashed hashed;
    uint64_t time_ns;
    uint32_t rank;
    uint32_t entry;       /* the next one */
    uint32_t first, last; /* those behind it */
} df_net_bucket;

/* A message meets its receive by this key: the k-th message belongs to the k-th receive. */
typedef struct {
    uint64_t bytes;
    uint32_t tag;
    uint16_t src, dst;
} df_net_key;

/* Messages of one key that have arrived before their receive was posted, or receives that wait for
 * a message. */
typedef struct {
    df_net_hashed hashed;
    df_net_key key;
    uint32_t arrived;
    uint32_t first, last; /* receipts: posted receives */
} df_net_channel;

/* What waits for a message: a stream, or (stream 0) a node. */
typedef struct {
    uint32_t next;
    uint32_t stream;
    uint32_t rank, node;
} df_net_receipt;

/* The streams of a rank whose tags end in the same bits; there is nearly always only one. */
typedef struct {
    uint32_t stream;
    uint32_t early; /* messages that have arrived and that no stream has taken */
} df_net_slot;

#define DF_NET_NO_NODE UINT32_MAX

typedef struct {
    uint32_t next; /* next message in the queue of a link */
    uint32_t node; /* node of the source, which ends when the message arrives; or DF_NET_NO_NODE */
    df_net_key key;
    uint16_t at;    /* the device it is at, or travels to */
    uint16_t place; /* of the source among the members of its collective */
} df_net_message;

typedef struct {
    df_net_hashed hashed; /* on a fully connected network */
    uint32_t first, last; /* waiting messages */
    bool busy;
    df_net_link_use use;
} df_net_link;

/* How long a message of `bytes` takes on a link. */
typedef struct {
    uint64_t bytes;
    uint64_t busy_ns;   /* time for which it occupies the link */
    uint64_t travel_ns; /* until it arrives at the next device */
} df_net_times;

#define DF_NET_NOBODY UINT16_MAX

/* One chunk of a collective on one rank. Many are under way at once: small ones are fast. */
typedef struct {
    uint32_t chain; /* next stream in its slot */
    uint32_t tag;
    uint16_t rank;
    uint16_t awaited[2]; /* ranks from which a receive is posted; not of direct */
    bool second_tree;
    bool second_half; /* all-reduce: toggles with each round of bundles */
    bool shrinking;   /* halving-doubling: on its way to larger distances */
    int32_t sends_left, free, received;
    int32_t plain_left, reduced_left; /* packets until the kind of bundle changes */
    int32_t waiting;                  /* packets */
    int32_t distance;                 /* distance of the next peer; not used by ring */
    int32_t peer;                     /* halving-doubling: of the packet */
    uint64_t packet_bytes;            /* bytes of the packet that waits, or is received */
    uint64_t next_bytes;              /* halving-doubling: of the next one */
    uint64_t awaited_places[];        /* direct: a bit for each posted receive */
} df_net_stream;

/* The collective of a rank; it has at most one. */
typedef struct {
    uint32_t node;
    df_net_collective kind;
    df_net_algorithm_kind algorithm;
    int32_t size, position; /* members, and this one among them */
    const int32_t *members; /* NULL: 0, 1, 2, ... */
    int32_t window, round;  /* W and N0 of the stream's machine */
    int32_t sends;
    uint64_t data_bytes; /* bytes of a chunk */
    uint64_t delay_ns;   /* delay of a bundle */
    uint64_t reduce_ns;  /* time to reduce a packet; not used by halving-doubling */
    uint32_t first_id;   /* id of its first stream */
    uint32_t first_tree;
    uint32_t streams, started, left;
} df_net_coll;

typedef struct {
    uint32_t *items;
    uint32_t count;
} df_net_ready; /* heap: the lowest number first */

typedef struct {
    /* workload */
    df_net_ready ready[DF_UNITS];
    bool busy[DF_UNITS];
    uint32_t running;
    uint64_t gpu_ns;
    bool done;
    /* system */
    df_net_coll coll;
    int32_t active;     /* streams */
    uint32_t stream_id; /* id of the next stream */
    uint32_t trees[DF_NET_IMPLEMENTED];
} df_net_rank;

typedef enum { DF_OP_WAITS, DF_OP_READY, DF_OP_RUNS, DF_OP_DONE } df_net_op_state;

struct df_net_sim {
    /* inputs of the run */
    const df_net_program *program;
    df_net_network network;
    df_net_system system;
    df_net_observer observer;
    double bytes_per_ns;
    /* moving parts */
    uint64_t now_ns;
    df_net_memory memory; /* memory of the queue and the pools */
    df_net_queue queue;
    df_net_pool buckets, dos, channels, receipts, messages, streams, links;
    df_net_table bucket_table, channel_table, link_table;
    df_net_slot *slots; /* 2^slot_bits for each rank */
    uint32_t slot_bits;
    int32_t widest_direct; /* members of the largest direct collective */
    df_net_times times;    /* times of the last message */
    df_net_rank *ranks;
    /* one for every node of every rank */
    uint32_t *parents_left, *ready_items;
    uint8_t *op_state;
    uint64_t *op_start_ns; /* for an observer of nodes */
    uint32_t *freed;       /* by marks, in one pass over a rank */
    uint32_t *group_ids;   /* id of the next stream, for every member of every group */
    int32_t ranks_room;
    uint64_t ops_room, freed_room, members_room, starts_room, slots_room;
    /* results */
    uint64_t *cycles_ns, *exposed_ns;
    int32_t *finish_order;
    int32_t finished;
    uint64_t events, max_events;
    df_status status; /* the first failure; it ends the run */
    df_err err;
};

static inline df_net_bucket *df_net_bucket_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_bucket *)(void *)sim->buckets.items)[number];
}

static inline df_net_do *df_net_do_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_do *)(void *)sim->dos.items)[number];
}

static inline df_net_channel *df_net_channel_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_channel *)(void *)sim->channels.items)[number];
}

static inline df_net_receipt *df_net_receipt_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_receipt *)(void *)sim->receipts.items)[number];
}

static inline df_net_message *df_net_message_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_message *)(void *)sim->messages.items)[number];
}

static inline df_net_link *df_net_link_at(const df_net_sim *sim, uint32_t number)
{
    return &((df_net_link *)(void *)sim->links.items)[number];
}

static inline df_net_stream *df_net_stream_at(const df_net_sim *sim, uint32_t number)
{
    return (df_net_stream *)(void *)(sim->streams.items + number * sim->streams.size);
}

static inline uint32_t df_net_member(const df_net_coll *coll, int32_t position)
{
    return (uint32_t)(coll->members ? coll->members[position] : position);
}

/* ---- sim.c ---- */

/* Notes the first failure. The text is that of df_fail. */
void df_net_fail(df_net_sim *sim, df_status status, const char *format, ...) DF_PRINTF(3, 4);
void df_net_fail_memory(df_net_sim *sim);
/* Puts an event into the queue. */
void df_net_schedule(df_net_sim *sim, uint64_t delay_ns, df_net_event_kind kind, uint32_t what);

/* ---- stuck.c ---- */

/* Fails with the ranks that have not ended, their nodes, and what these wait for. */
void df_net_fail_stuck(df_net_sim *sim);

/* ---- bucket.c ---- */

/* Has a rank do something after a delay. */
void df_net_do_later(
    df_net_sim *sim, uint32_t rank, uint64_t delay_ns, df_net_do_kind kind, uint32_t what);
void df_net_run_bucket(df_net_sim *sim, uint32_t bucket);

/* ---- link.c ---- */

/* Makes the links, all idle. */
bool df_net_links_prepare(df_net_sim *sim);
/* A message moves on from the device it is at. */
void df_net_forward(df_net_sim *sim, uint32_t message);
void df_net_link_free(df_net_sim *sim, uint32_t link);

/* ---- match.c ---- */

/* Tags of collectives lie behind those of the program's own messages. Some of groups with huge
 * ids do not. */
enum { DF_NET_TAG_BASE = 500000000 };

/* Makes the slots, all empty. False when out of memory. */
bool df_net_slots_prepare(df_net_sim *sim);
void df_net_stream_enter(df_net_sim *sim, uint32_t stream);
void df_net_stream_leave(df_net_sim *sim, uint32_t stream);
/* Sends a message. `place` is that of the source in its collective; it does not matter for a
 * message of a node. */
void df_net_send(df_net_sim *sim, df_net_key key, uint32_t node, uint32_t place);
/* Post a receive for a node, and for a stream, which waits for its packet_bytes. */
void df_net_receive(df_net_sim *sim, df_net_key key, uint32_t node);
void df_net_stream_receive(df_net_sim *sim, uint32_t stream, uint32_t src, int32_t place);
void df_net_arrive(df_net_sim *sim, uint32_t message);
void df_net_received(df_net_sim *sim, uint32_t receipt);

/* ---- stream.c ---- */

/* One algorithm; `stream` is the number of a stream. Each of them may end it. */
typedef struct {
    void (*start)(df_net_sim *sim, uint32_t stream);
    void (*received)(df_net_sim *sim, uint32_t stream);
    void (*bundled)(df_net_sim *sim, uint32_t stream);
} df_net_machine;

extern const df_net_machine df_net_window_machine;
extern const df_net_machine df_net_tree_machine;

/* Nanoseconds that the reduction of `bytes`, and of a stream's packet, takes. */
uint64_t df_net_reduce_ns(const df_net_sim *sim, uint64_t bytes);
uint64_t df_net_packet_reduce_ns(const df_net_sim *sim, const df_net_stream *stream);

/* ---- system.c ---- */

/* DF_EINVAL when the collective is not possible on this system. */
df_status df_net_check_collective(const df_net_system *system,
                                  const df_net_program *program,
                                  const df_net_op *op,
                                  df_err *err);
void df_net_start_collective(df_net_sim *sim, uint32_t rank, uint32_t node);
void df_net_stream_received(df_net_sim *sim, uint32_t stream);
void df_net_stream_bundled(df_net_sim *sim, uint32_t stream);
void df_net_stream_end(df_net_sim *sim, uint32_t stream);
const df_net_group *df_net_smaller_group(const df_net_program *program, const df_net_op *op);

/* ---- work.c ---- */

void df_net_start_rank(df_net_sim *sim, uint32_t rank);
void df_net_end_node(df_net_sim *sim, uint32_t rank, uint32_t node);

#endif
