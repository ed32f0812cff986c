/* Heaps, lists and arenas. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/grow.h"
#include "base/heap.h"
#include "base/mt19937.h"
#include "support/support.h"

typedef struct {
    int32_t time, sequence;
} event;

static bool earlier(const event *a, const event *b)
{
    return a->time < b->time || (a->time == b->time && a->sequence < b->sequence);
}

DF_HEAP(heap, event, earlier)

enum { EVENTS = 1000 };

/* Few times, so that most events have others of the same time; each comes out once. */
static void heaps_order_by_time_and_sequence(void **state)
{
    (void)state;
    event all[EVENTS];
    int32_t count = 0;
    df_mt19937 rng;
    df_mt_init(&rng, 31);
    for (int32_t i = 0; i < EVENTS; i++) {
        heap_push(all, &count, (event){(int32_t)(df_mt_next(&rng) % 10), i});
    }
    assert_int_equal(count, EVENTS);
    event last = heap_pop(all, &count);
    for (int32_t i = 1; i < EVENTS; i++) {
        const event next = heap_pop(all, &count);
        assert_true(earlier(&last, &next));
        last = next;
    }
    assert_int_equal(count, 0);
}

static void lists_grow(void **state)
{
    (void)state;
    struct {
        event *all;
        int32_t count, room;
    } list = {NULL, 0, 0};
    for (int32_t i = 0; i < EVENTS; i++) {
        assert_true(DF_LIST_ADD(&list, (event){i, -i}));
    }
    assert_int_equal(list.count, EVENTS);
    for (int32_t i = 0; i < EVENTS; i++) {
        assert_int_equal(list.all[i].time, i);
        assert_int_equal(list.all[i].sequence, -i);
    }
    free(list.all);
}

/* A list that cannot double its room stays as it is. */
static void lists_end_somewhere(void **state)
{
    (void)state;
    int8_t item = 1;
    struct {
        int8_t *all;
        int32_t count, room;
    } list = {&item, INT32_MAX / 2 + 1, INT32_MAX / 2 + 1};
    assert_false(DF_LIST_ADD(&list, 2));
    assert_ptr_equal(list.all, &item);
    assert_int_equal(list.count, INT32_MAX / 2 + 1);
}

static void arenas_hand_out_memory(void **state)
{
    (void)state;
    df_arena arena = {NULL, false};
    const int32_t *const ones = df_arena_numbers(&arena, 100, -1);
    const event *const zeroes = df_arena_take(&arena, 100, sizeof *zeroes);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ones[i], -1);
        assert_int_equal(zeroes[i].time, 0);
    }
    assert_false(arena.failed);
    assert_null(df_arena_take(&arena, SIZE_MAX / 2, sizeof *zeroes));
    assert_true(arena.failed);
    df_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heaps_order_by_time_and_sequence),
        cmocka_unit_test(lists_grow),
        cmocka_unit_test(lists_end_somewhere),
        cmocka_unit_test(arenas_hand_out_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
