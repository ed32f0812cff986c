#include "store/store_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_impl.h"

static df_status map_file(const char *path, df_store_image *out, df_err *err)
{
    struct stat is;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &is) == 0) {
        bytes = mmap(NULL, (size_t)is.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }
    const int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (bytes == MAP_FAILED) {
        return df_fail(err, DF_EIO, "%s: cannot be read: %s", path, strerror(why));
    }
    out->bytes = bytes;
    out->size = (size_t)is.st_size;
    return DF_OK;
}

df_status df_image_open(const char *path, df_store_image *out, df_err *err)
{
    memset(out, 0, sizeof *out);
    out->path = path;
    DF_TRY(df_h5_open(path, &out->file, err));
    const df_status status = map_file(path, out, err);
    if (status != DF_OK) {
        df_image_close(out);
    }
    return status;
}

void df_image_close(df_store_image *image)
{
    if (image->bytes) {
        munmap(image->bytes, image->size);
    }
    if (image->path) { /* the file was opened */
        df_h5_close(image->file, H5Fclose);
    }
    memset(image, 0, sizeof *image);
}

df_status df_image_find(
    const df_store_image *image, const char *name, bool required, df_image_table *out, df_err *err)
{
    memset(out, 0, sizeof *out);
    out->type = H5I_INVALID_HID;
    if (!required && !df_h5_has(image->file, name)) {
        return DF_OK;
    }
    const hid_t dataset = H5Dopen2(image->file, name, H5P_DEFAULT);
    const hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    const hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    const haddr_t at = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
    out->type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    out->row_bytes = out->type < 0 ? 0 : H5Tget_size(out->type);
    df_h5_close(space, H5Sclose);
    df_h5_close(dataset, H5Dclose);
    /* divided, for the product of a damaged count may be too large for any number */
    const bool inside =
        count == 0 || (at != HADDR_UNDEF && at <= image->size && out->row_bytes > 0 &&
                       (haddr_t)count <= (image->size - at) / out->row_bytes);
    if (count < 0 || out->row_bytes == 0 || !inside) {
        df_h5_close(out->type, H5Tclose);
        out->type = H5I_INVALID_HID;
        return df_fail(err, DF_EIO, "%s: is not a results file: /%s is not as expected",
                       image->path, name);
    }
    out->count = count;
    out->rows = image->bytes + (count > 0 ? at : 0);
    return DF_OK;
}
