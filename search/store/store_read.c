#include "store/store_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_impl.h"

struct df_results_file {
    hid_t file, searches, trajectories;
    df_strategy_row *strategies; /* hold the reasons */
    char path[DF_STORE_PATH];
};

/* ---- Rows ---- */

/* Number of rows; -1: it is no table. */
static int64_t count_rows(hid_t dataset)
{
    const hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    hsize_t size = 0;
    const bool is_table = space >= 0 && H5Sget_simple_extent_ndims(space) == 1 &&
                          H5Sget_simple_extent_dims(space, &size, NULL) == 1;
    df_h5_close(space, H5Sclose);
    return is_table ? (int64_t)size : -1;
}

/* Whether a column is of a kind that HDF5 can turn into ours, and lies inside its row. */
static bool is_sound_column(hid_t row, unsigned i)
{
    const hid_t type = H5Tget_member_type(row, i);
    const size_t row_bytes = H5Tget_size(row);
    const size_t at = H5Tget_member_offset(row, i);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    const H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    const bool number = (class == H5T_INTEGER || class == H5T_FLOAT) && size <= sizeof(double);
    const bool text = class == H5T_STRING && H5Tis_variable_str(type) == 0;
    df_h5_close(type, H5Tclose);
    return (number || text) && size > 0 && at <= row_bytes && size <= row_bytes - at;
}

/* HDF5 believes a type that damage has changed, and reads beyond the row. */
static bool has_sound_rows(hid_t dataset)
{
    const hid_t type = dataset < 0 ? H5I_INVALID_HID : H5Dget_type(dataset);
    const int members = type >= 0 && H5Tget_class(type) == H5T_COMPOUND ? H5Tget_nmembers(type) : 0;
    bool sound = members > 0;
    for (int i = 0; sound && i < members; i++) {
        sound = is_sound_column(type, (unsigned)i);
    }
    df_h5_close(type, H5Tclose);
    return sound;
}

/* Takes over the type. Columns are found by name; those that the file lacks stay as they are. */
static bool read_rows(hid_t dataset, hid_t type, int64_t first, int64_t count, void *rows)
{
    const hsize_t at = (hsize_t)first;
    const hsize_t size = (hsize_t)count;
    const hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    const hid_t memory = H5Screate_simple(1, &size, NULL);
    const bool got = type >= 0 && space >= 0 && memory >= 0 && has_sound_rows(dataset) &&
                     H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &size, NULL) >= 0 &&
                     H5Dread(dataset, type, memory, space, H5P_DEFAULT, rows) >= 0;
    df_h5_close(memory, H5Sclose);
    df_h5_close(space, H5Sclose);
    df_h5_close(type, H5Tclose);
    return got;
}

static df_status read_strategies(df_results *r, df_err *err)
{
    df_results_file *const f = r->file;
    const hid_t dataset = H5Dopen2(f->file, "strategies", H5P_DEFAULT);
    const int64_t count = count_rows(dataset);
    bool read = false;
    if (count >= 0) {
        f->strategies = calloc((size_t)count + 1, sizeof *f->strategies);
        r->strategies = calloc((size_t)count + 1, sizeof *r->strategies);
        read = f->strategies && r->strategies &&
               (count == 0 || read_rows(dataset, df_strategy_row_type(), 0, count, f->strategies));
    }
    df_h5_close(dataset, H5Dclose);
    if (!read) {
        return df_h5_fail(f->path, "is not a results file: /strategies cannot be read", err);
    }
    for (int64_t i = 0; i < count; i++) {
        f->strategies[i].reason[DF_ROW_REASON - 1] = '\0';
        if (!df_strategy_from_row(&f->strategies[i], &r->strategies[i])) {
            return df_fail(err, DF_EIO, "%s: /strategies: row %" PRId64 " has an unknown word",
                           f->path, i);
        }
    }
    r->num_strategies = count;
    return DF_OK;
}

static df_status open_searches(df_results *r, df_err *err)
{
    df_results_file *const f = r->file;
    f->searches = H5Dopen2(f->file, "searches", H5P_DEFAULT);
    r->num_searches = count_rows(f->searches);
    if (r->num_searches < 0) {
        return df_h5_fail(f->path, "is not a results file: /searches cannot be read", err);
    }
    if (df_h5_has(f->file, "trajectories")) {
        f->trajectories = H5Dopen2(f->file, "trajectories", H5P_DEFAULT);
        const int64_t rows = count_rows(f->trajectories);
        if (rows < 0) {
            return df_h5_fail(f->path, "/trajectories cannot be read", err);
        }
        r->trajectory_rows =
            rows > 0 && r->num_searches > 0 ? (int32_t)(rows / r->num_searches) : 0;
    }
    return DF_OK;
}

/* ---- Texts and numbers ---- */

static df_status read_text(const df_results_file *f, const char *name, char **text, df_err *err)
{
    const bool has = df_h5_has(f->file, name);
    char what[64];
    *text = has ? df_h5_read_text(f->file, name) : calloc(1, 1);
    if (*text) {
        return DF_OK;
    }
    snprintf(what, sizeof what, "/%s cannot be read", name);
    return has ? df_h5_fail(f->path, what, err) : df_fail(err, DF_ENOMEM, "out of memory");
}

static df_status read_texts(df_results *r, df_err *err)
{
    const df_results_file *const f = r->file;
    const struct {
        const char *name;
        char **text;
    } texts[] = {{"config/hardware_yaml", &r->hardware_yaml},
                 {"config/model_yaml", &r->model_yaml},
                 {"config/settings", &r->settings},
                 {"provenance/version", &r->version},
                 {"provenance/command", &r->command},
                 {"provenance/start", &r->start},
                 {"provenance/host", &r->host}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        DF_TRY(read_text(f, texts[i].name, texts[i].text, err));
    }
    return DF_OK;
}

static df_status read_numbers(df_results *r, df_err *err)
{
    const char *const path = r->file->path;
    const hid_t file = r->file->file;
    DF_TRY(df_h5_read_number(path, file, "provenance/ranks", H5T_NATIVE_INT32, &r->ranks, err));
    DF_TRY(df_h5_read_number(path, file, "provenance/evaluations", H5T_NATIVE_INT64,
                             &r->evaluations, err));
    return df_h5_read_number(path, file, "provenance/wall_s", H5T_NATIVE_DOUBLE, &r->wall_s, err);
}

/* ---- Public ---- */

static df_status open_file(const char *path, df_results *out, df_err *err)
{
    df_results_file *const f = out->file;
    DF_TRY(df_h5_open(path, &f->file, err));
    DF_TRY(read_strategies(out, err));
    DF_TRY(open_searches(out, err));
    DF_TRY(read_texts(out, err));
    return read_numbers(out, err);
}

df_status df_results_open(const char *path, df_results *out, df_err *err)
{
    memset(out, 0, sizeof *out);
    out->file = calloc(1, sizeof *out->file);
    if (!out->file) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    out->file->file = H5I_INVALID_HID;
    out->file->searches = H5I_INVALID_HID;
    out->file->trajectories = H5I_INVALID_HID;
    snprintf(out->file->path, sizeof out->file->path, "%s", path);
    const df_status status = open_file(path, out, err);
    if (status != DF_OK) {
        df_results_close(out);
    }
    return status;
}

void df_results_close(df_results *r)
{
    char *const texts[] = {r->hardware_yaml, r->model_yaml, r->settings, r->version,
                           r->command,       r->start,      r->host};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(texts[i]);
    }
    free(r->strategies);
    if (r->file) {
        df_h5_close(r->file->trajectories, H5Dclose);
        df_h5_close(r->file->searches, H5Dclose);
        df_h5_close(r->file->file, H5Fclose);
        free(r->file->strategies);
        free(r->file);
    }
    memset(r, 0, sizeof *r);
}

df_status df_results_read(
    const df_results *r, int64_t first, int64_t count, df_store_search *searches, df_err *err)
{
    df_search_row *const rows = calloc((size_t)count + 1, sizeof *rows);
    if (!rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    if (count > 0 && !read_rows(r->file->searches, df_search_row_type(), first, count, rows)) {
        free(rows);
        return df_h5_fail(r->file->path, "/searches cannot be read", err);
    }
    for (int64_t i = 0; i < count; i++) {
        if (!df_search_from_row(&rows[i], &searches[i])) {
            searches[i].descent.status = DF_SEARCH_PENDING;
        }
        if (searches[i].strategy_id < 0 || searches[i].strategy_id >= r->num_strategies) {
            free(rows);
            return df_fail(err, DF_EIO, "%s: /searches: row %" PRId64 " belongs to no strategy",
                           r->file->path, first + i);
        }
    }
    free(rows);
    return DF_OK;
}

df_status df_results_iterates(
    const df_results *r, int64_t work_id, df_iterate *iterates, int32_t *count, df_err *err)
{
    const int64_t most = r->trajectory_rows;
    *count = 0;
    if (most == 0) {
        return DF_OK;
    }
    df_iterate_row *const rows = calloc((size_t)most, sizeof *rows);
    if (!rows) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    if (!read_rows(r->file->trajectories, df_iterate_row_type(), work_id * most, most, rows)) {
        free(rows);
        return df_h5_fail(r->file->path, "/trajectories cannot be read", err);
    }
    for (int64_t i = 0; i < most && rows[i].used; i++) {
        df_iterate *const it = &iterates[(*count)++];
        memset(it, 0, sizeof *it);
        it->iteration = rows[i].iteration;
        it->result.time_s = rows[i].time_s;
        it->result.memory_overflow = rows[i].memory_overflow;
        memcpy(it->point.p, rows[i].point, sizeof rows[i].point);
    }
    free(rows);
    return DF_OK;
}

df_status df_results_pareto(const df_results *r, int64_t **work_ids, int64_t *count, df_err *err)
{
    const hid_t file = r->file->file;
    const bool exists = df_h5_has(file, "pareto");
    const hid_t dataset = exists ? H5Dopen2(file, "pareto", H5P_DEFAULT) : H5I_INVALID_HID;
    const int64_t found = exists ? count_rows(dataset) : 0;
    const int64_t room = found > 0 ? found : 0;
    df_pareto_row *const rows = calloc((size_t)room + 1, sizeof *rows);
    int64_t *const ids = calloc((size_t)room + 1, sizeof *ids);
    const bool memory = rows && ids;
    const bool read = memory && found >= 0 &&
                      (room == 0 || read_rows(dataset, df_pareto_row_type(), 0, room, rows));
    df_h5_close(dataset, H5Dclose);
    *count = 0;
    if (!read) {
        free(rows);
        free(ids);
        return memory ? df_h5_fail(r->file->path, "/pareto cannot be read", err)
                      : df_fail(err, DF_ENOMEM, "out of memory");
    }
    while (*count < room && rows[*count].work_id >= 0) {
        ids[*count] = rows[*count].work_id;
        ++*count;
    }
    free(rows);
    *work_ids = ids;
    return DF_OK;
}

bool df_results_setting(const df_results *r, const char *key, char *value, size_t room)
{
    const size_t length = strlen(key);
    for (const char *line = r->settings; *line != '\0'; line += strcspn(line, "\n")) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            const char *const text = line + length + 1;
            snprintf(value, room, "%.*s", (int)strcspn(text, "\n"), text);
            return true;
        }
    }
    return false;
}
