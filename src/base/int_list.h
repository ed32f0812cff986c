/* int_list.h: a short list of whole numbers, as flags and files give them. */
#ifndef DF_INT_LIST_H
#define DF_INT_LIST_H
#include <stdint.h>

enum { DF_INT_LIST_MAX = 64 };

typedef struct {
    int64_t value[DF_INT_LIST_MAX];
    int count;
} df_int_list; /* "8" or "4,8,16" */

#endif
