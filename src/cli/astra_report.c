#include "astra_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "json_out.h"

/* ---- Links ---- */

enum { BUSIEST = 5 };

typedef struct {
    uint64_t used, messages, bytes;
    double mean_busy; /* fractions of the run's time, over all links of the topology */
    double max_busy;
    df_net_link_use busiest[BUSIEST]; /* the busiest first */
    int num_busiest;
} link_summary;

/* A run of no time has no busy links. */
static double busy_fraction(const df_net_result *r, uint64_t busy_ns)
{
    return r->max_ns > 0 ? (double)busy_ns / (double)r->max_ns : 0;
}

/* Among equally busy links, the first ones are kept. */
static void keep_busiest(link_summary *s, const df_net_link_use *use)
{
    int at = s->num_busiest;
    while (at > 0 && s->busiest[at - 1].busy_ns < use->busy_ns) {
        if (at < BUSIEST) {
            s->busiest[at] = s->busiest[at - 1];
        }
        at--;
    }
    if (at < BUSIEST) {
        s->busiest[at] = *use;
        s->num_busiest += s->num_busiest < BUSIEST;
    }
}

static link_summary summarize(const df_net_sim *sim, const df_net_result *r)
{
    link_summary s = {.used = 0};
    for (uint32_t i = 0; i < r->links_made; i++) {
        const df_net_link_use use = df_net_link_used(sim, i);
        if (use.messages > 0) {
            s.used++;
            s.messages += use.messages;
            s.bytes += use.bytes;
            s.mean_busy += busy_fraction(r, use.busy_ns);
            keep_busiest(&s, &use);
        }
    }
    s.mean_busy /= (double)r->links;
    s.max_busy = s.num_busiest > 0 ? busy_fraction(r, s.busiest[0].busy_ns) : 0;
    return s;
}

/* ---- Text ---- */

static void print_device(int32_t device, int32_t ranks)
{
    if (device == ranks) {
        printf(" %7s", "switch");
    } else {
        printf(" %7d", (int)device);
    }
}

static void print_links(const df_net_sim *sim, const df_net_result *r)
{
    const link_summary s = summarize(sim, r);
    printf("%" PRIu64 " of %" PRIu64 " links carried %" PRIu64 " messages, %" PRIu64
           " bytes; on average a link was busy for %.1f %% of the time\n",
           s.used, r->links, s.messages, s.bytes, 100 * s.mean_busy);
    if (s.num_busiest > 0) {
        printf("\n%7s %7s %10s %12s %20s\n", "from", "to", "busy (%)", "messages", "bytes");
    }
    for (int i = 0; i < s.num_busiest; i++) {
        const df_net_link_use *const use = &s.busiest[i];
        print_device(use->from, r->ranks);
        print_device(use->to, r->ranks);
        printf(" %10.1f %12" PRIu64 " %20" PRIu64 "\n", 100 * busy_fraction(r, use->busy_ns),
               use->messages, use->bytes);
    }
    if (s.used > BUSIEST) {
        printf("(the %d busiest links)\n", (int)BUSIEST);
    }
}

int df_astra_print_text(const df_net_sim *sim, const df_net_result *r)
{
    printf("%6s %20s %20s\n", "rank", "cycles (ns)", "exposed comm.");
    for (int32_t i = 0; i < r->ranks; i++) {
        const int32_t rank = r->finish_order[i];
        printf("%6d %20" PRIu64 " %20" PRIu64 "\n", (int)rank, r->cycles_ns[rank],
               r->exposed_ns[rank]);
    }
    printf("\nthe last rank ends after %" PRIu64 " ns; %" PRIu64 " events\n", r->max_ns, r->events);
    print_links(sim, r);
    return df_cli_finish(0);
}

/* ---- JSON ---- */

static void set_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static json_t *count_array(const uint64_t *values, int32_t count)
{
    json_t *const list = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer((json_int_t)values[i]));
    }
    return list;
}

static void add_summary(json_t *root, const df_net_sim *sim, const df_net_result *r)
{
    const link_summary s = summarize(sim, r);
    json_t *const object = df_json_object(root, "link_summary");
    set_count(object, "links", r->links);
    set_count(object, "used", s.used);
    set_count(object, "messages", s.messages);
    set_count(object, "bytes", s.bytes);
    df_json_real(object, "mean_busy_fraction", s.mean_busy);
    df_json_real(object, "max_busy_fraction", s.max_busy);
}

static void add_links(json_t *root, const df_net_sim *sim, const df_net_result *r)
{
    json_t *const list = json_array();
    for (uint32_t i = 0; i < r->links_made; i++) {
        const df_net_link_use use = df_net_link_used(sim, i);
        if (use.messages > 0) {
            json_t *const item = json_object();
            json_object_set_new(item, "from", json_integer(use.from));
            json_object_set_new(item, "to", json_integer(use.to));
            set_count(item, "messages", use.messages);
            set_count(item, "bytes", use.bytes);
            set_count(item, "busy_ns", use.busy_ns);
            df_json_real(item, "busy_fraction", busy_fraction(r, use.busy_ns));
            json_array_append_new(list, item);
        }
    }
    json_object_set_new(root, "links", list);
}

int df_astra_print_json(const df_net_sim *sim, const df_net_result *r)
{
    json_t *const root = json_object();
    json_t *const order = json_array();
    for (int32_t i = 0; i < r->ranks; i++) {
        json_array_append_new(order, json_integer(r->finish_order[i]));
    }
    json_object_set_new(root, "per_rank_cycles", count_array(r->cycles_ns, r->ranks));
    set_count(root, "max_cycles", r->max_ns);
    json_object_set_new(root, "finish_order", order);
    json_object_set_new(root, "exposed_comm_cycles", count_array(r->exposed_ns, r->ranks));
    set_count(root, "events", r->events);
    add_summary(root, sim, r);
    add_links(root, sim, r);
    return df_json_print(root);
}
