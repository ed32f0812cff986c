#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

enum { PROVENANCE_TEXT = 4096 };

/* ---- Making ---- */

/* Room is allocated from the start, in one piece, and without times, so that the bytes are the same
 * each time. */
static hid_t dataset_list(void)
{
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0 && (H5Pset_layout(list, H5D_CONTIGUOUS) < 0 ||
                      H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) < 0 ||
                      H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0 ||
                      H5Pset_obj_track_times(list, false) < 0)) {
        H5Pclose(list);
        return H5I_INVALID_HID;
    }
    return list;
}

static hid_t create_dataset(hid_t parent, const char *name, hid_t type, hid_t space)
{
    const hid_t list = dataset_list();
    const hid_t dataset = list < 0 || space < 0 ? H5I_INVALID_HID
                                                : H5Dcreate2(parent, name, type, space, H5P_DEFAULT,
                                                             list, H5P_DEFAULT);
    df_h5_close(list, H5Pclose);
    return dataset;
}

/* Takes over the type. Rows lie in the file as in memory, padding included. */
static bool create_table(hid_t file, const char *name, hid_t row_type, int64_t rows)
{
    const hsize_t size = (hsize_t)rows;
    const hid_t space = row_type < 0 ? H5I_INVALID_HID : H5Screate_simple(1, &size, NULL);
    const hid_t dataset = create_dataset(file, name, row_type, space);
    df_h5_close(dataset, H5Dclose);
    df_h5_close(space, H5Sclose);
    df_h5_close(row_type, H5Tclose);
    return dataset >= 0;
}

static bool write_scalar(hid_t group, const char *name, hid_t type, const void *value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t dataset = create_dataset(group, name, type, space);
    const bool written =
        dataset >= 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0;
    df_h5_close(dataset, H5Dclose);
    df_h5_close(space, H5Sclose);
    return written;
}

/* A text in a room of fixed size; what does not fit is cut. */
static bool write_text(hid_t group, const char *name, const char *text, size_t room)
{
    char *const padded = calloc(1, room);
    const hid_t type = H5Tcopy(H5T_C_S1);
    bool written = false;
    if (padded && type >= 0 && H5Tset_size(type, room) >= 0) {
        snprintf(padded, room, "%s", text);
        written = write_scalar(group, name, type, padded);
    }
    df_h5_close(type, H5Tclose);
    free(padded);
    return written;
}

static hid_t create_group(hid_t file, const char *name)
{
    const hid_t list = H5Pcreate(H5P_GROUP_CREATE);
    const hid_t group = list >= 0 && H5Pset_obj_track_times(list, false) >= 0
                            ? H5Gcreate2(file, name, H5P_DEFAULT, list, H5P_DEFAULT)
                            : H5I_INVALID_HID;
    df_h5_close(list, H5Pclose);
    return group;
}

static bool write_config(hid_t file, const df_store_plan *plan)
{
    const hid_t group = create_group(file, "config");
    const char *const model = plan->model_yaml ? plan->model_yaml : "";
    const bool written =
        group >= 0 &&
        write_text(group, "hardware_yaml", plan->hardware_yaml, strlen(plan->hardware_yaml) + 1) &&
        write_text(group, "model_yaml", model, strlen(model) + 1) &&
        write_text(group, "settings", plan->settings, strlen(plan->settings) + 1);
    df_h5_close(group, H5Gclose);
    return written;
}

/* These come last in the file and have a fixed size, so that everything else lies at the same
 * place. */
static bool write_provenance(hid_t file, const df_store_plan *plan)
{
    const df_store_account none = {0, 0};
    const hid_t group = create_group(file, "provenance");
    const bool written = group >= 0 &&
                         write_text(group, "version", plan->version, PROVENANCE_TEXT) &&
                         write_text(group, "command", plan->command, PROVENANCE_TEXT) &&
                         write_text(group, "start", plan->start, PROVENANCE_TEXT) &&
                         write_text(group, "host", plan->host, PROVENANCE_TEXT) &&
                         write_scalar(group, "ranks", H5T_NATIVE_INT32, &plan->ranks) &&
                         write_scalar(group, "evaluations", H5T_NATIVE_INT64, &none.evaluations) &&
                         write_scalar(group, "wall_s", H5T_NATIVE_DOUBLE, &none.wall_s);
    df_h5_close(group, H5Gclose);
    return written;
}

static bool write_all(hid_t file, const df_store_plan *plan)
{
    const int64_t rows = df_store_rows(plan);
    const int64_t pareto = df_store_pareto_rows(plan);
    return create_table(file, "strategies", df_strategy_row_type(), plan->num_strategies) &&
           create_table(file, "searches", df_search_row_type(), rows) &&
           (plan->trajectory_rows == 0 || create_table(file, "trajectories", df_iterate_row_type(),
                                                       rows * plan->trajectory_rows)) &&
           (pareto == 0 || create_table(file, "pareto", df_pareto_row_type(), pareto)) &&
           write_config(file, plan) && write_provenance(file, plan);
}

df_status df_store_make(const char *path, const df_store_plan *plan, df_err *err)
{
    df_h5_be_quiet();
    const hid_t access = df_h5_access_list();
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    const hid_t file = access < 0 || creation < 0 || H5Pset_obj_track_times(creation, false) < 0
                           ? H5I_INVALID_HID
                           : H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    const bool written = file >= 0 && write_all(file, plan);
    df_status status = written ? DF_OK : df_h5_fail(path, "cannot be written", err);
    if (file >= 0 && H5Fclose(file) < 0 && status == DF_OK) {
        status = df_h5_fail(path, "cannot be closed", err);
    }
    df_h5_close(creation, H5Pclose);
    df_h5_close(access, H5Pclose);
    return status;
}

/* ---- Finding ---- */

/* A table to be found: its place goes to *at. */
typedef struct {
    const char *name;
    hid_t type;   /* type of its rows; closed when found */
    int64_t rows; /* 1: a scalar too; 0: there is no such table */
    int64_t *at;
} wanted;

static df_status find_table(const char *path, hid_t file, const wanted *w, df_err *err)
{
    const hid_t dataset = H5Dopen2(file, w->name, H5P_DEFAULT);
    const hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    const haddr_t at = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
    const hssize_t rows = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    const bool same_type = type >= 0 && w->type >= 0 && H5Tequal(type, w->type) > 0;
    df_h5_close(space, H5Sclose);
    df_h5_close(type, H5Tclose);
    df_h5_close(dataset, H5Dclose);
    df_h5_close(w->type, H5Tclose);
    *w->at = (int64_t)at;
    if (dataset < 0 || at == HADDR_UNDEF) {
        return df_h5_fail(path, "is not a results file", err);
    }
    if (!same_type || rows != w->rows) {
        return df_fail(err, DF_EINVAL,
                       "%s: %s: expected %" PRId64 " rows as this version writes them, found "
                       "%lld%s",
                       path, w->name, w->rows, (long long)rows,
                       same_type ? "" : " of another type");
    }
    return DF_OK;
}

static df_status
find_all(const char *path, hid_t file, const df_store_plan *plan, df_store_places *at, df_err *err)
{
    const int64_t rows = df_store_rows(plan);
    const wanted tables[] = {
        {"strategies", df_strategy_row_type(), plan->num_strategies, &at->strategies},
        {"searches", df_search_row_type(), rows, &at->searches},
        {"provenance/evaluations", H5Tcopy(H5T_NATIVE_INT64), 1, &at->evaluations},
        {"provenance/wall_s", H5Tcopy(H5T_NATIVE_DOUBLE), 1, &at->wall_s},
        {"trajectories", df_iterate_row_type(), rows * plan->trajectory_rows, &at->trajectories},
        {"pareto", df_pareto_row_type(), df_store_pareto_rows(plan), &at->pareto}};
    enum { TABLES = sizeof tables / sizeof tables[0], ALWAYS = 4 };
    df_status status = DF_OK;
    for (int i = 0; i < TABLES; i++) {
        if (status == DF_OK && (i < ALWAYS || tables[i].rows > 0)) {
            status = find_table(path, file, &tables[i], err);
        } else {
            df_h5_close(tables[i].type, H5Tclose);
            *tables[i].at = -1;
        }
    }
    return status;
}

df_status
df_store_find(const char *path, const df_store_plan *plan, df_store_places *at, df_err *err)
{
    hid_t file;
    DF_TRY(df_h5_open(path, &file, err));
    df_status status = df_store_check(path, file, plan, err);
    if (status == DF_OK) {
        status = find_all(path, file, plan, at, err);
    }
    H5Fclose(file);
    return status;
}
