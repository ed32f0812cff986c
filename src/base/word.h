/* word.h: a word of files and flags, and the number that it stands for. */
#ifndef DF_WORD_H
#define DF_WORD_H
#include <stdbool.h>

typedef struct {
    const char *word; /* NULL ends a list; "direct#" stands for direct1, direct2 and so on */
    double value;     /* to which a number is added */
    bool alias;       /* another spelling of an earlier word: not listed */
} df_word;

#endif
