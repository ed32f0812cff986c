#include "base/mt19937.h"

enum { SHIFT_SIZE = 397 };

void df_mt_init(df_mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (int i = 1; i < DF_MT_N; i++) {
        const uint32_t previous = mt->state[i - 1];
        mt->state[i] = 1812433253U * (previous ^ (previous >> 30)) + (uint32_t)i;
    }
    mt->next = DF_MT_N;
}

void df_mt_init_by_array(df_mt19937 *mt, const uint32_t *key, int key_length)
{
    df_mt_init(mt, 19650218U);
    uint32_t *s = mt->state;
    int i = 1;
    int j = 0;
    for (int k = DF_MT_N > key_length ? DF_MT_N : key_length; k > 0; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525U)) + key[j] + (uint32_t)j;
        j = (j + 1) % key_length;
        if (++i == DF_MT_N) {
            s[0] = s[DF_MT_N - 1];
            i = 1;
        }
    }
    for (int k = DF_MT_N - 1; k > 0; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941U)) - (uint32_t)i;
        if (++i == DF_MT_N) {
            s[0] = s[DF_MT_N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000U;
}

static void refill(df_mt19937 *mt)
{
    uint32_t *s = mt->state;
    for (int i = 0; i < DF_MT_N; i++) {
        const uint32_t y = (s[i] & 0x80000000U) | (s[(i + 1) % DF_MT_N] & 0x7fffffffU);
        s[i] = s[(i + SHIFT_SIZE) % DF_MT_N] ^ (y >> 1) ^ ((y & 1U) ? 0x9908b0dfU : 0U);
    }
    mt->next = 0;
}

uint32_t df_mt_next(df_mt19937 *mt)
{
    if (mt->next >= DF_MT_N) {
        refill(mt);
    }
    uint32_t y = mt->state[mt->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
}
