/* How the sweep's scheduler (search/dist) scales, simulated event by event: each worker's items,
 * rooms and asking ahead, and rank 0, which takes messages in turn and works between.
 *   df_bench_sched UNIT_S ASK_S MESSAGE_S RESULT_S ITEMS
 * seconds: of an item; that rank 0 spends on a worker that asks, on a message with results, and
 * on each result in it. df_bench_dist measures the last three. A line for each number of ranks:
 * seconds, efficiency, the share of rank 0's time that messages take, results in a message,
 * whether rank 0 did items of its own at the end. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* As search/dist has them. */
static const double BATCH_S = 0.25;
static const double ROUND_S = 1e-5; /* of each rank */
static const double BEAT_S = 0.25;
static const double AHEAD_S = 0.01;
static const double WEIGH_S = 0.5;
static const double SERVES_SHARE = 0.25;
enum { FIRST_ITEMS = 16, SPREAD = 4, ROOM = 936 /* rows of a search in 256 KiB */ };
/* Rank 0 looks for messages so often: between iterates of its own search, or when it rests. */
static const double LOOK_WORKING_S = 1e-3;
static const double LOOK_RESTING_S = 1.6e-4;

typedef struct {
    double unit_s, ask_s, message_s, result_s;
    long items, ranks;
} setting;

typedef struct {
    double next_s;       /* of the item's end, or of the moment at which its room goes */
    double item_end_s;   /* of the item at work; inf: there is none */
    double batch_s;      /* when what was asked for is there */
    double sent_s[2];    /* when rank 0 has taken the room */
    double held_since_s; /* of the room that fills */
    long left, arriving; /* items */
    int held, filling;
    bool asked, knows; /* knows: how long items take */
} worker;

typedef struct {
    const setting *set;
    worker *workers; /* the first is rank 0's own work */
    long *heap;      /* numbers of workers, by next_s */
    long count;
    unsigned long random;
    long left; /* items to hand out */
    double free_s, busy_s, messages, results;
    double weighed_s, weighed_busy_s;
    double own_begin_busy_s; /* busy_s when rank 0's own item began */
    bool only_serves;
} simulation;

static double at_s(const simulation *s, long place)
{
    return s->workers[s->heap[place]].next_s;
}

static void sift(simulation *s, long at)
{
    for (;;) {
        long least = at;
        for (long child = 2 * at + 1; child <= 2 * at + 2 && child < s->count; child++) {
            least = at_s(s, child) < at_s(s, least) ? child : least;
        }
        if (least == at) {
            return;
        }
        const long other = s->heap[at];
        s->heap[at] = s->heap[least];
        s->heap[least] = other;
        at = least;
    }
}

/* Items take half to one and a half of unit_s. */
static double duration_s(simulation *s)
{
    s->random = s->random * 6364136223846793005U + 1442695040888963407U;
    return s->set->unit_s * (0.5 + (double)(s->random >> 11) / 9007199254740992.0);
}

/* Rank 0 takes a message that comes now; returns when it has. */
static double serve(simulation *s, double now_s, double takes_s)
{
    const double look_s = s->only_serves ? LOOK_RESTING_S : LOOK_WORKING_S;
    const double seen_s = ceil(now_s / look_s) * look_s;
    s->free_s = (s->free_s > seen_s ? s->free_s : seen_s) + takes_s;
    s->busy_s += takes_s;
    return s->free_s;
}

static void ask(simulation *s, worker *w, double now_s)
{
    const double fair = (double)s->left / (SPREAD * (double)s->set->ranks);
    const double least = w->knows ? ROUND_S * (double)s->set->ranks / s->set->unit_s : 0;
    const double timed = w->knows ? BATCH_S / s->set->unit_s : FIRST_ITEMS;
    const long most = (long)fmax(1, fmin(timed, fmax(fair, least)));
    w->arriving = most < s->left ? most : s->left;
    s->left -= w->arriving;
    w->batch_s = serve(s, now_s, s->set->ask_s);
    w->asked = true;
}

static void send(simulation *s, worker *w, double now_s)
{
    if (w->held > 0) {
        s->messages++;
        s->results += w->held;
        w->sent_s[w->filling] = serve(s, now_s, s->set->message_s + w->held * s->set->result_s);
        w->filling = 1 - w->filling;
        w->held = 0;
    }
}

/* The moment of the worker's next doing: a room may go before its item ends. */
static void schedule(worker *w)
{
    w->next_s = w->item_end_s;
    if (w->held > 0) {
        const double other_s = w->sent_s[1 - w->filling];
        const double old_s = w->held_since_s + BEAT_S;
        const double goes_s = old_s > other_s ? old_s : other_s;
        w->next_s = goes_s < w->next_s ? goes_s : w->next_s;
    }
}

/* Takes an item at now_s, or when there is one. */
static void begin_item(simulation *s, worker *w, double now_s)
{
    if (w->left == 0 && !w->asked) {
        ask(s, w, now_s);
    }
    if (w->left == 0) {
        now_s = w->batch_s > now_s ? w->batch_s : now_s;
        w->left = w->arriving;
        w->asked = false;
    }
    if (w->left == 0) {
        w->item_end_s = HUGE_VAL;
        send(s, w, now_s);
        schedule(w);
        return;
    }
    w->left--;
    const double ahead_s = fmax(AHEAD_S, ROUND_S * (double)s->set->ranks);
    if (!w->asked && (w->left == 0 || (w->knows && (double)w->left * s->set->unit_s < ahead_s))) {
        ask(s, w, now_s);
    }
    w->item_end_s = now_s + duration_s(s);
    schedule(w);
}

static void step_worker(simulation *s, worker *w)
{
    double now_s = w->next_s;
    if (now_s < w->item_end_s) {
        send(s, w, now_s);
        schedule(w);
        return;
    }
    if (w->held == 0) { /* it waits for room */
        now_s = w->sent_s[w->filling] > now_s ? w->sent_s[w->filling] : now_s;
        w->held_since_s = now_s;
    }
    w->held++;
    w->knows = true;
    if (w->held == ROOM) {
        send(s, w, now_s);
    }
    begin_item(s, w, now_s);
}

/* Rank 0's own items get the time that messages leave. */
static void step_own(simulation *s, worker *w)
{
    const double now_s = w->next_s;
    const double lost_s = s->busy_s - s->own_begin_busy_s;
    s->own_begin_busy_s = s->busy_s;
    if (lost_s > 0) {
        w->next_s = now_s + lost_s;
        return;
    }
    if (now_s - s->weighed_s >= WEIGH_S) {
        s->only_serves = s->busy_s - s->weighed_busy_s > SERVES_SHARE * (now_s - s->weighed_s);
        s->weighed_s = now_s;
        s->weighed_busy_s = s->busy_s;
    }
    if (s->left == 0) {
        w->next_s = HUGE_VAL;
    } else if (s->only_serves) {
        w->next_s = now_s + WEIGH_S;
    } else {
        s->left--;
        w->next_s = now_s + duration_s(s);
    }
}

/* Seconds until all results are there; -1: out of memory. */
static double simulate(simulation *s)
{
    double end_s = 0;
    s->count = s->set->ranks;
    s->random = 2385;
    s->left = s->set->items;
    s->workers = calloc((size_t)s->count, sizeof *s->workers);
    s->heap = calloc((size_t)s->count, sizeof *s->heap);
    for (long i = 0; s->workers && s->heap && i < s->count; i++) {
        s->heap[i] = i;
        if (i > 0) {
            begin_item(s, &s->workers[i], 0);
        }
    }
    for (long i = s->count / 2; s->workers && s->heap && i >= 0; i--) {
        sift(s, i);
    }
    while (s->workers && s->heap && at_s(s, 0) < HUGE_VAL) {
        worker *const w = &s->workers[s->heap[0]];
        end_s = w->next_s > end_s ? w->next_s : end_s;
        if (w == s->workers) {
            step_own(s, w);
        } else {
            step_worker(s, w);
        }
        sift(s, 0);
    }
    end_s = s->free_s > end_s ? s->free_s : end_s;
    const bool done = s->workers && s->heap;
    free(s->workers);
    free(s->heap);
    return done ? end_s : -1;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: df_bench_sched UNIT_S ASK_S MESSAGE_S RESULT_S ITEMS\n", stderr);
        return 2;
    }
    setting set = {strtod(argv[1], NULL), strtod(argv[2], NULL),     strtod(argv[3], NULL),
                   strtod(argv[4], NULL), strtol(argv[5], NULL, 10), 1};
    puts("ranks   seconds efficiency rank0_busy together rank0_works");
    for (; set.ranks <= 10000; set.ranks *= 10) {
        simulation s = {.set = &set};
        const double end_s = simulate(&s);
        if (end_s < 0) {
            fputs("out of memory\n", stderr);
            return 1;
        }
        printf("%5ld %9.4g %10.3f %10.3f %8.1f %s\n", set.ranks, end_s,
               (double)set.items * set.unit_s / (end_s * (double)set.ranks), s.busy_s / end_s,
               s.messages > 0 ? s.results / s.messages : 0, s.only_serves ? "no" : "yes");
    }
    return 0;
}
