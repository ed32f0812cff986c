/* word.h: a word of files and flags, and the number that it stands for. */
#ifndef DF_WORD_H
#define DF_WORD_H
#include <stdbool.h>

typedef struct {
    const char *word; /* NULL ends a list; "direct#" stands for direct1, direct2 and so on */
    double value;     /* the value; the number that # stands for is added to it */
    bool alias;       /* another spelling of an earlier word: not listed */
} df_word;

#endif
