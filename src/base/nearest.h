/* nearest.h: "did you mean": the known word that is closest to a misspelt one. */
#ifndef DF_NEAREST_H
#define DF_NEAREST_H
#include <stddef.h>

/* Index of the candidate with the least edit distance to word (case is ignored;
 * a transposition counts one), or else the first that begins
 * with it, of which it has three letters at least; -1 if none is within a third of its length, or
 * begins so.
 * `stride` is the distance in bytes between candidates' char pointers, so that
 * a column of a table of structs can be searched. */
int df_nearest(const char *word, const char *const *first, size_t count, size_t stride);

#endif
