#include "kernels/memo.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES = 1024, NUMBERS = 7 };

/* A kernel has one place, which the next one for it takes over. */
typedef struct {
    uint64_t era; /* of the card and the load that it belongs to; 0: none */
    const void *kernel;
    double number[NUMBERS];
    df_prompt_time time;
} entry;

struct df_kernel_memo {
    uint64_t era;
    df_card card;
    df_load load;
    entry place[PLACES];
};

df_kernel_memo *df_kernel_memo_new(void)
{
    df_kernel_memo *const memo = calloc(1, sizeof *memo);
    if (memo) {
        memo->era = 1;
    }
    return memo;
}

void df_kernel_memo_free(df_kernel_memo *memo)
{
    free(memo);
}

void df_kernel_memo_clear(df_kernel_memo *memo)
{
    memo->era++;
}

static bool same_bytes(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

/* Bytes between fields may differ where all fields are equal: then too much is forgotten. */
void df_kernel_memo_use(df_kernel_memo *memo, const df_card *card, const df_load *load)
{
    const bool same =
        same_bytes(&memo->card, card, sizeof *card) && same_bytes(&memo->load, load, sizeof *load);
    if (!same) {
        memo->era++;
        memcpy(&memo->card, card, sizeof *card);
        memcpy(&memo->load, load, sizeof *load);
    }
}

/* Fowler, Noll and Vo's mixing, by words. */
static uint64_t hash_of(const void *kernel, const double number[NUMBERS])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(uintptr_t)kernel;
    for (int i = 0; i < NUMBERS; i++) {
        uint64_t bits;
        memcpy(&bits, &number[i], sizeof bits);
        hash = (hash ^ bits ^ bits >> 32) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

/* The place of a kernel; *known: it is there. */
static entry *
find(df_kernel_memo *memo, const void *kernel, const double number[NUMBERS], bool *known)
{
    entry *const e = &memo->place[hash_of(kernel, number) % PLACES];
    *known = e->era == memo->era && e->kernel == kernel;
    for (int i = 0; i < NUMBERS; i++) {
        *known = *known && e->number[i] == number[i];
    }
    if (!*known) {
        e->era = memo->era;
        e->kernel = kernel;
        memcpy(e->number, number, sizeof e->number);
    }
    return e;
}

double df_kernel_memo_gemm_s(df_kernel_memo *memo,
                             const df_gemm_kernel *kernel,
                             const df_matmul *p,
                             const df_matmul_bytes *bytes)
{
    const double number[NUMBERS] = {p->m, p->n, p->k, p->count, p->quantise, bytes->b, bytes->c};
    bool known;
    entry *const e = find(memo, kernel, number, &known);
    if (!known) {
        e->time.body_s = df_kernel_gemm_in(&memo->card, kernel, &memo->load, p, bytes).time_s;
    }
    return e->time.body_s;
}

df_prompt_time df_kernel_memo_prompt(df_kernel_memo *memo, const df_prompt *p)
{
    static const char attention;
    const double format = (double)(p->fp8 ? DF_FORMAT_FP8 : p->format);
    const double number[NUMBERS] = {p->sequences, p->fresh,    p->cached, p->heads,
                                    p->kv_heads,  p->head_dim, format};
    bool known;
    entry *const e = find(memo, &attention, number, &known);
    if (!known) {
        e->time = df_kernel_prompt(&memo->card, &memo->load, p);
    }
    return e->time;
}
