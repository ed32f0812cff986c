#include "astra_timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Threads of a rank. Neither these nor processes are numbered 0, which some viewers take for
 * the idle process of a real machine. */
enum { LANE_GPU = 1, LANE_CPU, LANE_COMM, LANE_RECEIVES, LANES_END };

struct df_astra_timeline {
    FILE *file;
    df_astra_timeline_options options;
    df_net_network network;
    df_net_system system;
    uint64_t events, left_out;
    uint64_t last_ns; /* the latest time in the file */
    bool begun;       /* an event stands before the next one */
};

/* ---- Events ---- */

static void begin(df_astra_timeline *t)
{
    fputs(t->begun ? ",\n" : "\n", t->file);
    t->begun = true;
}

/* "KEY":TIME, in microseconds. */
static void put_time(FILE *file, const char *key, uint64_t time_ns)
{
    fprintf(file, ",\"%s\":%" PRIu64 ".%03u", key, time_ns / 1000, (unsigned)(time_ns % 1000));
}

/* Viewers add ts and dur up in floating point. Where the sum is beyond the end, what begins there
 * would seem to be inside this event. */
static void put_duration(FILE *file, uint64_t start_ns, uint64_t end_ns)
{
    const double start_us = (double)start_ns / 1000.0;
    const double end_us = (double)end_ns / 1000.0;
    double duration_us = (double)(end_ns - start_ns) / 1000.0;
    if (start_us + duration_us <= end_us) {
        put_time(file, "dur", end_ns - start_ns);
        return;
    }
    while (start_us + duration_us > end_us) {
        duration_us = nextafter(duration_us, 0.0);
    }
    fprintf(file, ",\"dur\":%.17g", duration_us);
}

/* Whatever is in a trace: what JSON cannot hold in ASCII is a question mark. */
static void put_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', file);
    }
}

/* Counts an event; false when there have been too many. */
static bool admit(df_astra_timeline *t, uint64_t end_ns)
{
    if (t->events >= (uint64_t)t->options.max_events) {
        t->left_out++;
        return false;
    }
    t->events++;
    t->last_ns = end_ns > t->last_ns ? end_ns : t->last_ns;
    return true;
}

static int process_of(int32_t rank)
{
    return (int)rank + 1;
}

static void name_process(df_astra_timeline *t, int process, const char *name)
{
    begin(t);
    fprintf(t->file,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":\"%s\"}}",
            process, name);
    begin(t);
    fprintf(t->file,
            "{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"args\":{\"sort_index\":%d}"
            "}",
            process, process);
}

static void name_lane(df_astra_timeline *t, int process, int64_t lane, const char *name)
{
    begin(t);
    fprintf(t->file,
            "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%" PRId64
            ",\"args\":{\"name\":\"%s\"}}",
            process, lane, name);
    begin(t);
    fprintf(t->file,
            "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%" PRId64
            ",\"args\":{\"sort_index\":%" PRId64 "}}",
            process, lane, lane);
}

static void name_ranks(df_astra_timeline *t)
{
    static const char *const lanes[LANES_END] = {
        [LANE_GPU] = "compute",
        [LANE_CPU] = "CPU",
        [LANE_COMM] = "communication",
        [LANE_RECEIVES] = "receives",
    };
    for (int32_t rank = 0; rank < t->network.ranks; rank++) {
        char name[32];
        snprintf(name, sizeof name, "rank %d", (int)rank);
        name_process(t, process_of(rank), name);
        for (int lane = LANE_GPU; lane < LANES_END; lane++) {
            name_lane(t, process_of(rank), lane, lanes[lane]);
        }
    }
}

/* ---- Nodes ---- */

/* A node that only lasts its time has its type, and nothing else that could be shown. */
static bool replayed(const df_net_node *node)
{
    return node->timing == DF_NET_REPLAYED;
}

static const char *what_is(const df_net_node *node)
{
    switch (node->type) {
    case DF_NET_SEND:
        return "send";
    case DF_NET_RECEIVE:
        return "receive";
    case DF_NET_COMM:
        return replayed(node) ? "collective" : df_net_collective_name(node->collective);
    case DF_NET_COMPUTE:
    case DF_NET_MARK:
        break;
    }
    return "compute";
}

static const char *name_of(const df_astra_timeline *t, const df_net_node *node)
{
    const df_et_names *const names = t->options.names;
    const bool named = names && names->text && names->text[node->label] != '\0';
    return named ? names->text + node->label : what_is(node);
}

static int lane_of(const df_net_node *node)
{
    if (node->on_cpu) {
        return LANE_CPU;
    }
    switch (node->type) {
    case DF_NET_COMPUTE:
        return LANE_GPU;
    case DF_NET_RECEIVE:
        return LANE_RECEIVES;
    case DF_NET_SEND:
    case DF_NET_COMM:
    case DF_NET_MARK:
        break;
    }
    return LANE_COMM;
}

static void put_args(const df_astra_timeline *t, const df_net_node *node)
{
    fprintf(t->file, ",\"args\":{\"node\":%" PRIu64, node->id);
    if (node->type != DF_NET_COMPUTE && !replayed(node)) {
        fprintf(t->file, ",\"bytes\":%" PRIu64, node->bytes);
    }
    if (!replayed(node) && (node->type == DF_NET_SEND || node->type == DF_NET_RECEIVE)) {
        fprintf(t->file, ",\"%s\":%d,\"tag\":%" PRIu32, node->type == DF_NET_SEND ? "to" : "from",
                (int)node->peer, node->tag);
    }
    if (node->type == DF_NET_COMM && !replayed(node) && node->collective != DF_NET_BROADCAST) {
        fprintf(t->file, ",\"algorithm\":\"%s\"",
                df_net_algorithm_name(t->system.algorithm[node->collective].kind));
    }
    if (node->group > 0) {
        fprintf(t->file, ",\"group\":%d", (int)node->group);
    }
    fputc('}', t->file);
}

/* Some viewers need a category of every event. */
static void put_head(df_astra_timeline *t,
                     const char *phase,
                     const char *category,
                     const char *name,
                     int process,
                     int64_t lane)
{
    begin(t);
    fprintf(t->file, "{\"ph\":\"%s\",\"cat\":\"%s\",\"name\":\"", phase, category);
    put_text(t->file, name);
    fprintf(t->file, "\",\"pid\":%d,\"tid\":%" PRId64, process, lane);
}

/* Any number of receives overlap: they are pairs of asynchronous events. */
static void put_receive(df_astra_timeline *t, const df_net_span *span)
{
    const char *const phases[] = {"b", "e"};
    for (int i = 0; i < 2; i++) {
        put_head(t, phases[i], what_is(&span->node), name_of(t, &span->node),
                 process_of(span->rank), LANE_RECEIVES);
        fprintf(t->file, ",\"id2\":{\"local\":\"%" PRIu64 "\"}", span->node.id);
        put_time(t->file, "ts", i == 0 ? span->start_ns : span->end_ns);
        if (i == 0) {
            put_args(t, &span->node);
        }
        fputc('}', t->file);
    }
}

static void put_node(void *context, const df_net_span *span)
{
    df_astra_timeline *const t = context;
    if (!admit(t, span->end_ns)) {
        return;
    }
    if (span->node.type == DF_NET_RECEIVE) {
        put_receive(t, span);
        return;
    }
    put_head(t, "X", what_is(&span->node), name_of(t, &span->node), process_of(span->rank),
             lane_of(&span->node));
    put_time(t->file, "ts", span->start_ns);
    put_duration(t->file, span->start_ns, span->end_ns);
    put_args(t, &span->node);
    fputc('}', t->file);
}

/* ---- Links ---- */

static int64_t lane_of_link(const df_astra_timeline *t, int32_t from, int32_t to)
{
    return 1 + from * ((int64_t)t->network.ranks + 1) + to;
}

static void put_transfer(void *context, const df_net_transfer *transfer)
{
    df_astra_timeline *const t = context;
    char name[64];
    if (!admit(t, transfer->free_ns)) {
        return;
    }
    snprintf(name, sizeof name, "%d to %d", (int)transfer->src, (int)transfer->dst);
    put_head(t, "X", "link", name, process_of(t->network.ranks),
             lane_of_link(t, transfer->from, transfer->to));
    put_time(t->file, "ts", transfer->start_ns);
    put_duration(t->file, transfer->start_ns, transfer->free_ns);
    fprintf(t->file, ",\"args\":{\"bytes\":%" PRIu64 ",\"tag\":%" PRIu32, transfer->bytes,
            transfer->tag);
    put_time(t->file, "arrival_us", transfer->arrival_ns);
    fputs("}}", t->file);
}

static void put_device(const df_astra_timeline *t, char *text, size_t size, int32_t device)
{
    if (device == t->network.ranks) {
        snprintf(text, size, "switch");
    } else {
        snprintf(text, size, "rank %d", (int)device);
    }
}

static void name_links(df_astra_timeline *t, const df_net_sim *sim)
{
    name_process(t, process_of(t->network.ranks), "links");
    for (uint32_t i = 0; i < df_net_links_made(sim); i++) {
        const df_net_link_use use = df_net_link_used(sim, i);
        char from[32];
        char to[32];
        char name[80];
        if (use.messages > 0) {
            put_device(t, from, sizeof from, use.from);
            put_device(t, to, sizeof to, use.to);
            snprintf(name, sizeof name, "%s to %s", from, to);
            name_lane(t, process_of(t->network.ranks), lane_of_link(t, use.from, use.to), name);
        }
    }
}

/* ---- The file ---- */

df_status df_astra_timeline_new(const df_astra_timeline_options *options,
                                const df_net_network *network,
                                const df_net_system *system,
                                df_astra_timeline **timeline,
                                df_err *err)
{
    df_astra_timeline *const t = calloc(1, sizeof *t);
    if (!t) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    t->options = *options;
    t->network = *network;
    t->system = *system;
    t->file = fopen(options->path, "w");
    if (!t->file) {
        free(t);
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", options->path, strerror(errno));
    }
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", t->file);
    name_ranks(t);
    *timeline = t;
    return DF_OK;
}

df_net_observer df_astra_timeline_observer(df_astra_timeline *t)
{
    return (df_net_observer){t, put_node, t->options.links ? put_transfer : NULL};
}

static void put_cut(df_astra_timeline *t)
{
    begin(t);
    fprintf(t->file,
            "{\"ph\":\"i\",\"cat\":\"note\",\"s\":\"g\",\"name\":\"%" PRIu64
            " more events are left out\",\"pid\":1,"
            "\"tid\":1",
            t->left_out);
    put_time(t->file, "ts", t->last_ns);
    fputc('}', t->file);
}

df_status df_astra_timeline_finish(df_astra_timeline *t,
                                   const df_net_sim *sim,
                                   uint64_t *left_out,
                                   df_err *err)
{
    df_status status = DF_OK;
    if (t->options.links) {
        name_links(t, sim);
    }
    if (t->left_out > 0) {
        put_cut(t);
    }
    fputs("\n]}\n", t->file);
    const bool written = ferror(t->file) == 0;
    if (fclose(t->file) != 0 || !written) {
        status = df_fail(err, DF_EIO, "%s: cannot be written: %s", t->options.path,
                         errno != 0 ? strerror(errno) : "not all of it");
    }
    *left_out = t->left_out;
    free(t);
    return status;
}
