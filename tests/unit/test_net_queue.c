/* The event queue, its pool and its table. */
#include <stdlib.h>

#include "net/queue.h"
#include "net/table.h"
#include "support/support.h"

static df_net_memory unbounded(void)
{
    return (df_net_memory){0, UINT64_MAX};
}

static void push(df_net_queue *q, uint64_t time_ns, uint32_t what)
{
    assert_true(df_net_queue_push(q, time_ns, what % 3, what));
}

static void expect(df_net_queue *q, uint64_t time_ns, uint32_t what)
{
    uint64_t time = 0;
    uint32_t kind = 0;
    uint32_t got = 0;
    assert_true(df_net_queue_pop(q, &time, &kind, &got));
    assert_int_equal(time, time_ns);
    assert_int_equal(got, what);
    assert_int_equal(kind, what % 3);
}

static void expect_none(df_net_queue *q)
{
    uint64_t time;
    uint32_t kind;
    uint32_t what;
    assert_false(df_net_queue_pop(q, &time, &kind, &what));
}

static void times_in_order_and_one_tick_in_the_order_put_in(void **state)
{
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    expect_none(&q);
    push(&q, 40, 1);
    push(&q, 12, 2);
    push(&q, 40, 3);
    push(&q, 17, 4);
    push(&q, 12, 5);
    expect(&q, 12, 2);
    expect(&q, 12, 5);
    expect(&q, 17, 4);
    expect(&q, 40, 1);
    expect(&q, 40, 3);
    expect_none(&q);
    df_net_queue_fini(&q);
}

/* What is put in at the tick that runs still runs in it, also when its list was empty. */
static void the_tick_that_runs_takes_more(void **state)
{
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    push(&q, 5, 1);
    push(&q, 6, 2);
    expect(&q, 5, 1);
    push(&q, 5, 3);
    push(&q, 6, 4);
    expect(&q, 5, 3);
    push(&q, 5, 5);
    expect(&q, 5, 5);
    expect(&q, 6, 2);
    expect(&q, 6, 4);
    expect_none(&q);
    df_net_queue_fini(&q);
}

static void clearing_forgets_all(void **state)
{
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    for (uint32_t i = 0; i < 1000; i++) {
        push(&q, i * 7 % 500, i);
    }
    df_net_queue_clear(&q);
    expect_none(&q);
    push(&q, 3, 8);
    expect(&q, 3, 8);
    expect_none(&q);
    df_net_queue_fini(&q);
}

typedef struct {
    uint64_t time_ns;
    uint32_t what; /* grows in the order of being put in */
} entry;

static int by_time_then_order(const void *a, const void *b)
{
    const entry *const x = a;
    const entry *const y = b;
    return x->time_ns != y->time_ns ? (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns)
                                    : (x->what > y->what) - (x->what < y->what);
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* Against sorting: many events over few or many ticks, far beyond the first room. */
static void agrees_with_sorting(void **state)
{
    enum { EVENTS = 20000 };
    static const uint32_t spreads[] = {1, 3, 1000, 1U << 30};
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    entry *const entries = malloc(EVENTS * sizeof *entries);
    assert_non_null(entries);
    assert_true(df_net_queue_init(&q, &memory));
    uint64_t seed = 1;
    for (size_t s = 0; s < sizeof spreads / sizeof spreads[0]; s++) {
        for (uint32_t i = 0; i < EVENTS; i++) {
            entries[i] = (entry){next_random(&seed) % spreads[s], i};
            push(&q, entries[i].time_ns, i);
        }
        assert_false(df_net_queue_empty(&q));
        qsort(entries, EVENTS, sizeof *entries, by_time_then_order);
        for (uint32_t i = 0; i < EVENTS; i++) {
            expect(&q, entries[i].time_ns, entries[i].what);
        }
        expect_none(&q);
        assert_true(df_net_queue_empty(&q));
        df_net_queue_clear(&q); /* back to time 0 */
    }
    free(entries);
    df_net_queue_fini(&q);
}

/* As in a run: what is taken out puts more in, at once, soon or late, against a search through
 * all that waits. */
static void agrees_with_a_search_while_time_goes_on(void **state)
{
    enum { WAITING = 200, EVENTS = 30000 };
    static const uint32_t spreads[] = {1, 2, 64, 100000, UINT32_MAX};
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    entry waiting[WAITING];
    uint32_t count = 0;
    uint32_t next = 0;
    uint64_t now = 0;
    uint64_t seed = 7;
    while (next < EVENTS || count > 0) {
        const bool more = next < EVENTS && count < WAITING && next_random(&seed) % 100 < 55;
        if (more || count == 0) {
            const uint64_t spread = spreads[next_random(&seed) % 5];
            waiting[count++] = (entry){now + next_random(&seed) % spread, next};
            push(&q, waiting[count - 1].time_ns, next++);
            continue;
        }
        uint32_t first = 0;
        for (uint32_t i = 1; i < count; i++) {
            first = by_time_then_order(&waiting[i], &waiting[first]) < 0 ? i : first;
        }
        now = waiting[first].time_ns;
        expect(&q, now, waiting[first].what);
        waiting[first] = waiting[--count];
    }
    expect_none(&q);
    df_net_queue_fini(&q);
}

/* Pushes and pops in turn: freed events and ticks are used again, so memory stays. */
static void steady_use_allocates_nothing(void **state)
{
    (void)state;
    df_net_memory memory = unbounded();
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    uint64_t after_some = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        push(&q, i + 10, i);
        push(&q, i + 20, i);
        if (i >= 20) {
            uint64_t time;
            uint32_t kind;
            uint32_t what;
            assert_true(df_net_queue_pop(&q, &time, &kind, &what));
            assert_true(df_net_queue_pop(&q, &time, &kind, &what));
        }
        after_some = i == 1000 ? memory.bytes : after_some;
    }
    assert_int_equal(memory.bytes, after_some);
    df_net_queue_fini(&q);
}

static void memory_has_a_bound(void **state)
{
    (void)state;
    df_net_memory memory = {0, 1 << 20};
    df_net_queue q;
    assert_true(df_net_queue_init(&q, &memory));
    uint32_t pushed = 0;
    while (pushed < 1 << 20 && df_net_queue_push(&q, pushed, 0, pushed)) {
        pushed++;
    }
    /* An event of a tick of its own takes 24 bytes; the last doubling may not have fitted. */
    assert_in_range(pushed, (1 << 20) / 24 / 2, (1 << 20) / 24);
    assert_true(memory.bytes <= memory.limit_bytes);
    df_net_queue_clear(&q);
    push(&q, 1, 1);
    expect(&q, 1, 1);
    df_net_queue_fini(&q);
}

/* Items are found as long as they are in, whatever else comes and goes. */
static void table_finds_what_is_in(void **state)
{
    enum { ITEMS = 5000 };
    typedef struct {
        df_net_hashed hashed;
        uint32_t key;
    } item;
    (void)state;
    df_net_memory memory = unbounded();
    df_net_pool pool;
    df_net_table table;
    assert_true(df_net_pool_init(&pool, sizeof(item), &memory));
    assert_true(df_net_table_init(&table));
    for (uint32_t key = 0; key < ITEMS; key++) {
        const uint32_t number = df_net_pool_take(&pool);
        assert_int_equal(number, key + 1);
        ((item *)(void *)pool.items)[number].key = key;
        /* Many share a hash. */
        assert_true(df_net_table_add(&table, &pool, number, df_net_hash(key / 4)));
    }
    for (uint32_t key = 0; key < ITEMS; key += 3) {
        df_net_table_remove(&table, &pool, key + 1);
    }
    for (uint32_t key = 0; key < ITEMS; key++) {
        const item *const items = (const item *)(void *)pool.items;
        uint32_t number = df_net_table_first(&table, df_net_hash(key / 4));
        while (number != 0 && items[number].key != key) {
            number = items[number].hashed.chain;
        }
        assert_int_equal(number, key % 3 == 0 ? 0 : key + 1);
    }
    df_net_table_clear(&table);
    assert_int_equal(df_net_table_first(&table, df_net_hash(1)), 0);
    df_net_table_fini(&table);
    df_net_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_in_order_and_one_tick_in_the_order_put_in),
        cmocka_unit_test(the_tick_that_runs_takes_more),
        cmocka_unit_test(clearing_forgets_all),
        cmocka_unit_test(agrees_with_sorting),
        cmocka_unit_test(agrees_with_a_search_while_time_goes_on),
        cmocka_unit_test(steady_use_allocates_nothing),
        cmocka_unit_test(memory_has_a_bound),
        cmocka_unit_test(table_finds_what_is_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
