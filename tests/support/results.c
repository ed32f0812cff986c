#include "support/results.h"

#include <stdlib.h>
#include <string.h>

#include <hdf5.h>

typedef struct {
    unsigned char *bytes;
    size_t size;
} image;

static image read_image(const char *path)
{
    image i = {NULL, 0};
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    i.size = (size_t)ftell(file);
    i.bytes = malloc(i.size);
    assert_non_null(i.bytes);
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    assert_int_equal(fread(i.bytes, 1, i.size, file), i.size);
    fclose(file);
    return i;
}

df_extent df_find_extent(const char *path, const char *dataset)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t found = H5Dopen2(file, dataset, H5P_DEFAULT);
    assert_true(file >= 0 && found >= 0);
    const df_extent extent = {(long long)H5Dget_offset(found),
                              (long long)H5Dget_storage_size(found)};
    H5Dclose(found);
    H5Fclose(file);
    return extent;
}

static void blank_provenance(const char *path, image *i)
{
    static const char *const names[] = {"version", "command",     "start", "host",
                                        "ranks",   "evaluations", "wall_s"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        char dataset[64];
        snprintf(dataset, sizeof dataset, "/provenance/%s", names[n]);
        const df_extent extent = df_find_extent(path, dataset);
        memset(i->bytes + extent.at, 0, (size_t)extent.size);
    }
}

void df_assert_same_results(const char *a, const char *b)
{
    image first = read_image(a);
    image second = read_image(b);
    blank_provenance(a, &first);
    blank_provenance(b, &second);
    assert_int_equal(first.size, second.size);
    for (size_t i = 0; i < first.size; i++) {
        if (first.bytes[i] != second.bytes[i]) {
            fail_msg("%s and %s differ at byte %zu", a, b, i);
        }
    }
    free(first.bytes);
    free(second.bytes);
}
