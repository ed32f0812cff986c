/* astra_fuzz.h: a simulation of AstraSim's files one of which has any content at all. */
#ifndef DF_TEST_ASTRA_FUZZ_H
#define DF_TEST_ASTRA_FUZZ_H
#include <stddef.h>

#include "base/status.h"

typedef enum {
    DF_FUZZ_TRACE, /* of rank 0 */
    DF_FUZZ_SYSTEM,
    DF_FUZZ_NETWORK,
    DF_FUZZ_GROUPS,
    DF_FUZZ_FILES
} df_fuzz_file;

typedef struct df_fuzz df_fuzz;

/* Writes good files into a new folder: four ranks that compute, send and take part in
 * collectives. Fails the test (or ends the program) when that is not possible. */
df_fuzz *df_fuzz_new(void);
void df_fuzz_free(df_fuzz *fuzz);

/* The good content. */
const unsigned char *df_fuzz_good(const df_fuzz *fuzz, df_fuzz_file file, size_t *size);

/* Runs with this content in place of the good one, within 64 MiB and a million events, and
 * prints the trace too. Ends the program when that goes wrong in another way than it may: an
 * error must have a text of one line. */
df_status df_fuzz_run(df_fuzz *fuzz, df_fuzz_file file, const void *content, size_t size);

#endif
