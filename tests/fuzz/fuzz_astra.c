/* For libFuzzer: the first byte chooses a file, the others are its content. With clang:
 *
 *   cmake -G Ninja -B build/fuzz -DCMAKE_C_COMPILER=clang -DDF_FUZZ=ON -DDF_WERROR=OFF
 *   cmake --build build/fuzz --target df_fuzz_astra
 *   build/fuzz/tests/df_fuzz_astra -seed_inputs=SEEDS FOLDER
 *
 * Started with --seeds FOLDER it writes good files to start from. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/astra_fuzz.h"

/* NOLINTBEGIN(readability-identifier-naming): the names are libFuzzer's */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* NOLINTEND(readability-identifier-naming) */

static df_fuzz *the_fuzz(void)
{
    static struct {
        df_fuzz *fuzz;
    } one;
    if (!one.fuzz) {
        one.fuzz = df_fuzz_new();
    }
    return one.fuzz;
}

static void write_seed(const char *folder, int file)
{
    char path[512];
    size_t size;
    const unsigned char *const good = df_fuzz_good(the_fuzz(), (df_fuzz_file)file, &size);
    snprintf(path, sizeof path, "%s/seed%d", folder, file);
    FILE *const out = fopen(path, "wb");
    if (!out || fputc(file, out) == EOF || fwrite(good, 1, size, out) != size || fclose(out) != 0) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 3 && strcmp((*argv)[1], "--seeds") == 0) {
        for (int file = 0; file < DF_FUZZ_FILES; file++) {
            write_seed((*argv)[2], file);
        }
        df_fuzz_free(the_fuzz());
        exit(0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] < DF_FUZZ_FILES) {
        (void)df_fuzz_run(the_fuzz(), (df_fuzz_file)data[0], data + 1, size - 1);
    }
    return 0;
}
