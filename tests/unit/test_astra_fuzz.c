/* Damaged traces, system, network and group files: each is simulated or refused, and nothing
 * else happens (under the sanitizers that is much). The same ones every time; fuzz/fuzz_astra.c
 * searches for more. */
#include <stdlib.h>
#include <string.h>

#include "support/astra_fuzz.h"
#include "support/net_random.h"

enum { TRIES = 1000, ROOM = 1 << 16 };

/* Numbers that often are at an edge, as texts and as varints. */
static const char *const texts[] = {"0",
                                    "-1",
                                    "1",
                                    "4294967296",
                                    "2147483647",
                                    "9223372036854775807",
                                    "18446744073709551616",
                                    "1e308",
                                    "1e-308",
                                    "-1e999",
                                    "nan",
                                    "inf",
                                    "null",
                                    "true",
                                    "\"\"",
                                    "[",
                                    "{",
                                    "[[[[[[[[",
                                    "*a",
                                    "&a",
                                    "\xff\xfe",
                                    "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
                                    "\xff\xff\xff\xff\x07",
                                    "\xff\xff\xff\xff\x0f"};
enum { TEXTS = sizeof texts / sizeof texts[0] };

typedef struct {
    unsigned char bytes[ROOM];
    size_t size;
} content;

/* Puts bytes in place of `old_size` others. */
static void splice(content *c, size_t at, size_t old_size, const void *bytes, size_t size)
{
    if (c->size - old_size + size > ROOM) {
        return;
    }
    memmove(c->bytes + at + size, c->bytes + at + old_size, c->size - at - old_size);
    memcpy(c->bytes + at, bytes, size);
    c->size = c->size - old_size + size;
}

static size_t digits_at(const content *c, size_t at)
{
    size_t count = 0;
    while (at + count < c->size && c->bytes[at + count] >= '0' && c->bytes[at + count] <= '9') {
        count++;
    }
    return count;
}

/* A change somewhere: a bit, a byte, a part lost, doubled or replaced. */
static void damage(content *c, df_random *random)
{
    if (c->size == 0) {
        return;
    }
    const size_t at = df_random_below(random, (uint32_t)c->size);
    const size_t left = c->size - at;
    const size_t part = 1 + df_random_below(random, left < 40 ? (uint32_t)left : 40);
    const size_t some = part < left ? part : left;
    const char *const text = texts[df_random_below(random, TEXTS)];
    unsigned char copy[64];
    memcpy(copy, c->bytes + at, some);
    switch (df_random_below(random, 8)) {
    case 0:
        c->bytes[at] ^= (unsigned char)(1U << df_random_below(random, 8));
        break;
    case 1:
        c->bytes[at] = (unsigned char)df_random_below(random, 256);
        break;
    case 2:
        splice(c, at, some, "", 0);
        break;
    case 3:
        splice(c, at, 0, copy, some);
        break;
    case 4:
        c->size = at;
        break;
    case 5: /* a part elsewhere */
        splice(c, df_random_below(random, (uint32_t)c->size), 0, copy, some);
        break;
    case 6: /* a number */
        splice(c, at, digits_at(c, at), text, strlen(text));
        break;
    default:
        splice(c, at, 0, text, strlen(text));
        break;
    }
}

static void try_file(df_fuzz *fuzz, df_fuzz_file file)
{
    static content c; /* large */
    df_random random = {(uint64_t)file + 1};
    int failed = 0;
    size_t size;
    const unsigned char *const good = df_fuzz_good(fuzz, file, &size);
    assert_in_range(size, 1, ROOM);
    assert_int_equal(df_fuzz_run(fuzz, file, good, size), DF_OK);
    for (int i = 0; i < TRIES; i++) {
        memcpy(c.bytes, good, size);
        c.size = size;
        for (uint32_t k = 1 + df_random_below(&random, 4); k > 0; k--) {
            damage(&c, &random);
        }
        failed += df_fuzz_run(fuzz, file, c.bytes, c.size) != DF_OK;
    }
    /* Most damage is noticed; some is none. */
    assert_in_range(failed, TRIES / 10, TRIES - 1);
}

static void damaged_files_are_simulated_or_refused(void **state)
{
    (void)state;
    df_fuzz *const fuzz = df_fuzz_new();
    for (int file = 0; file < DF_FUZZ_FILES; file++) {
        try_file(fuzz, (df_fuzz_file)file);
    }
    df_fuzz_free(fuzz);
}

/* Every prefix of a trace: only those that end between messages may do. */
static void cut_traces_are_refused(void **state)
{
    (void)state;
    df_fuzz *const fuzz = df_fuzz_new();
    size_t size;
    const unsigned char *const good = df_fuzz_good(fuzz, DF_FUZZ_TRACE, &size);
    size_t boundary = 0;
    for (size_t cut = 0; cut < size; cut++) {
        const df_status status = df_fuzz_run(fuzz, DF_FUZZ_TRACE, good, cut);
        /* Lengths of this trace's messages fit one byte. */
        assert_true(cut != boundary || good[cut] < 0x80);
        if (cut != boundary) {
            assert_int_equal(status, DF_EINVAL);
        } else {
            boundary += 1 + (size_t)good[cut];
        }
    }
    assert_int_equal(boundary, size);
    df_fuzz_free(fuzz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_are_simulated_or_refused),
        cmocka_unit_test(cut_traces_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
