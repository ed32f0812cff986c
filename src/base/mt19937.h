/* mt19937.h: the Mersenne Twister with 32-bit outputs, seeded as its authors'
 * reference code does (Matsumoto and Nishimura, ACM TOMACS 8(1), 1998). Two
 * seedings are needed: init_genrand (tile sampling) and init_by_array (starting
 * points of a search); GSL has only the first. */
#ifndef DF_MT19937_H
#define DF_MT19937_H
#include <stdint.h>

enum { DF_MT_N = 624 };

typedef struct {
    uint32_t state[DF_MT_N];
    int next;
} df_mt19937;

void df_mt_init(df_mt19937 *mt, uint32_t seed);
void df_mt_init_by_array(df_mt19937 *mt, const uint32_t *key, int key_length);
uint32_t df_mt_next(df_mt19937 *mt);

#endif
