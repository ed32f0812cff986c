#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_WORD = 63, LEAST_BEGINNING = 3 };

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int min2(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance in which swapping two neighbours counts one ("optimal string
 * alignment"). The three rows of the matrix rotate. */
static int distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][MAX_WORD + 1];
    int *before = rows[0];
    int *above = rows[1];
    int *row = rows[2];
    memset(rows, 0, sizeof rows);
    for (int j = 0; j <= b_length; j++) {
        above[j] = j;
    }
    for (int i = 1; i <= a_length; i++) {
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            const int differ = lower(a[i - 1]) != lower(b[j - 1]);
            row[j] = min2(above[j - 1] + differ, min2(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1])) {
                row[j] = min2(row[j], before[j - 2] + 1);
            }
        }
        int *const reused = before;
        before = above;
        above = row;
        row = reused;
    }
    return above[b_length];
}

static bool begins_with(const char *candidate, const char *word)
{
    while (*word != '\0' && lower(*word) == lower(*candidate)) {
        word++;
        candidate++;
    }
    return *word == '\0';
}

int df_nearest(const char *word, const char *const *first, size_t count, size_t stride)
{
    const size_t length = strlen(word);
    if (length > MAX_WORD) {
        return -1;
    }
    int best = -1;
    int longer = -1;
    int least = (int)length / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = *(const char *const *)((const char *)first + i * stride);
        const size_t its_length = strlen(candidate);
        if (its_length > MAX_WORD) {
            continue;
        }
        const int d = distance(word, (int)length, candidate, (int)its_length);
        if (d < least) {
            least = d;
            best = (int)i;
        }
        if (longer < 0 && length >= LEAST_BEGINNING && begins_with(candidate, word)) {
            longer = (int)i;
        }
    }
    return best >= 0 ? best : longer;
}
