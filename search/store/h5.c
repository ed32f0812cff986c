/* Helpers for everything that calls HDF5. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_impl.h"

static herr_t keep_text(unsigned n, const H5E_error2_t *entry, void *text)
{
    if (n == 0 && entry->desc) {
        snprintf(text, DF_ERR_TEXT / 2, "%s", entry->desc);
    }
    return 0;
}

df_status df_h5_fail(const char *path, const char *what, df_err *err)
{
    char text[DF_ERR_TEXT / 2] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_text, text);
    return df_fail(err, DF_EIO, "%s: %s%s%s", path, what, text[0] != '\0' ? ": " : "", text);
}

void df_h5_be_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

hid_t df_h5_access_list(void)
{
    const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list >= 0 && H5Pset_file_locking(list, false, true) < 0) {
        H5Pclose(list);
        return H5I_INVALID_HID;
    }
    return list;
}

/* Asked before HDF5 is: its own messages name neither a missing file nor one of another kind. */
static df_status check_file(const char *path, df_err *err)
{
    struct stat is;
    if (stat(path, &is) != 0) {
        return df_fail(err, DF_EIO, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (S_ISDIR(is.st_mode)) {
        return df_fail(err, DF_EIO, "%s: expected a results file, found a folder", path);
    }
    if (access(path, R_OK) != 0) {
        return df_fail(err, DF_EIO, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (H5Fis_hdf5(path) <= 0) {
        return df_fail(err, DF_EIO,
                       "%s: is not a results file: expected HDF5, found something else", path);
    }
    return DF_OK;
}

df_status df_h5_open(const char *path, hid_t *file, df_err *err)
{
    df_h5_be_quiet();
    *file = H5I_INVALID_HID;
    DF_TRY(check_file(path, err));
    const hid_t list = df_h5_access_list();
    *file = list < 0 ? H5I_INVALID_HID : H5Fopen(path, H5F_ACC_RDONLY, list);
    /* the message, before another call clears it */
    const df_status status = *file < 0 ? df_h5_fail(path, "cannot be read", err) : DF_OK;
    df_h5_close(list, H5Pclose);
    return status;
}

void df_h5_close(hid_t id, herr_t (*close)(hid_t))
{
    if (id >= 0) {
        close(id);
    }
}

bool df_h5_has(hid_t file, const char *name)
{
    return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

df_status df_h5_read_number(
    const char *path, hid_t file, const char *name, hid_t type, void *value, df_err *err)
{
    if (!df_h5_has(file, name)) {
        return DF_OK;
    }
    char what[64];
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    const bool one = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    const bool read = one && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
    snprintf(what, sizeof what, "/%s cannot be read", name);
    const df_status status = read ? DF_OK : df_h5_fail(path, what, err);
    df_h5_close(space, H5Sclose);
    df_h5_close(dataset, H5Dclose);
    return status;
}

char *df_h5_read_text(hid_t file, const char *name)
{
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    char *text = size > 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0
                     ? calloc(size + 1, 1)
                     : NULL;
    if (text && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0) {
        free(text);
        text = NULL;
    }
    df_h5_close(type, H5Tclose);
    df_h5_close(dataset, H5Dclose);
    return text;
}
