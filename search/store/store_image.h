/* store_image.h: inside the store. A results file as it lies in memory, for readers, at any moment:
 * nothing is locked, and nothing is written. Rows may change while they are read, so copy a row
 * before looking at it. Rows need not be aligned. */
#ifndef DF_STORE_IMAGE_H
#define DF_STORE_IMAGE_H
#include "store/rows.h"

typedef struct {
    const char *path; /* borrowed */
    hid_t file;
    unsigned char *bytes; /* read only */
    size_t size;
} df_store_image;

/* A table in it. */
typedef struct {
    const unsigned char *rows; /* NULL: there is no such table */
    int64_t count;
    size_t row_bytes;
    hid_t type; /* type of a row; the caller closes it */
} df_image_table;

/* DF_EIO: not readable, or no HDF5 file. On failure there is nothing to close. */
DF_NODISCARD df_status df_image_open(const char *path, df_store_image *out, df_err *err);
void df_image_close(df_store_image *image);

/* A dataset of the file; a scalar has one row. DF_EIO: the dataset exists, but not in the form in
 * which this program writes it, or it is missing although it is `required`. */
DF_NODISCARD df_status df_image_find(
    const df_store_image *image, const char *name, bool required, df_image_table *out, df_err *err);

#endif
