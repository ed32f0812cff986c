/* How the sweep's scheduler (search/dist) scales: its messages at rank 0, simulated event by event.
 *   df_bench_sched UNIT_S SERVICE_S ITEMS     seconds of an item, of rank 0 for one result; items
 * A line for each number of ranks: seconds, efficiency, rank 0's share of its time in messages. */
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, SPREAD = 8 };

/* Workers as a heap by the time at which their next result is there. */
typedef struct {
    double at_s;
    int left; /* items of its batch */
} worker;

typedef struct {
    worker *heap;
    long count;
} queue;

static void sift(queue *q, long at)
{
    for (;;) {
        long least = at;
        for (long child = 2 * at + 1; child <= 2 * at + 2 && child < q->count; child++) {
            least = q->heap[child].at_s < q->heap[least].at_s ? child : least;
        }
        if (least == at) {
            return;
        }
        const worker other = q->heap[at];
        q->heap[at] = q->heap[least];
        q->heap[least] = other;
        at = least;
    }
}

/* As dist_rank0.c has it. */
static int batch_of(long left, long ranks)
{
    const long fair = left / (SPREAD * ranks);
    const long most = fair < 1 ? 1 : fair > BATCH ? BATCH : fair;
    return (int)(most < left ? most : left);
}

/* Items take half to one and a half of unit_s. */
static double duration(unsigned long *state, double unit_s)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return unit_s * (0.5 + (double)(*state >> 11) / 9007199254740992.0);
}

/* Workers alone compute; returns seconds, and through *busy_s those that rank 0 served. */
static double simulate(long ranks, double unit_s, double service_s, long items, double *busy_s)
{
    queue q = {calloc((size_t)ranks, sizeof(worker)), ranks};
    unsigned long random = 2385;
    long left = items;
    double rank0_s = 0;
    *busy_s = 0;
    if (!q.heap) {
        return 0;
    }
    while (q.count > 0) {
        worker *const w = &q.heap[0];
        const double arrived_s = w->at_s;
        rank0_s = (rank0_s > arrived_s ? rank0_s : arrived_s) + service_s;
        *busy_s += service_s;
        if (w->left == 0 && left > 0) {
            w->left = batch_of(left, ranks);
            left -= w->left;
            w->at_s = rank0_s; /* it waits for the answer */
        }
        if (w->left > 0) {
            w->left--;
            w->at_s += duration(&random, unit_s);
            /* MPI holds two results of a worker; then it waits for rank 0 */
            const double held_s = rank0_s - 2 * unit_s;
            w->at_s = w->at_s > held_s ? w->at_s : held_s;
        } else {
            q.heap[0] = q.heap[--q.count];
        }
        sift(&q, 0);
    }
    free(q.heap);
    return rank0_s;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: df_bench_sched UNIT_S SERVICE_S ITEMS\n", stderr);
        return 2;
    }
    const double unit_s = strtod(argv[1], NULL);
    const double service_s = strtod(argv[2], NULL);
    const long items = strtol(argv[3], NULL, 10);
    puts("ranks seconds efficiency rank0_busy");
    for (long ranks = 1; ranks <= 10000; ranks *= 10) {
        double busy_s;
        const double s = simulate(ranks, unit_s, service_s, items, &busy_s);
        printf("%5ld %9.4g %9.3f %9.3f\n", ranks, s, (double)items * unit_s / (s * (double)ranks),
               busy_s / s);
    }
    return 0;
}
