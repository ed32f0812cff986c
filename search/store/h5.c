/* What everybody who calls HDF5 needs. */
#include <stdio.h>
#include <stdlib.h>

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
    char text[DF_ERR_TEXT / 2] = "unknown HDF5 error";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_text, text);
    return df_fail(err, DF_EIO, "%s: %s: %s", path, what, text);
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

void df_h5_close(hid_t id, herr_t (*close)(hid_t))
{
    if (id >= 0) {
        close(id);
    }
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
