#include "validate/validate.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/val_impl.h"

enum { PATH_ROOM = 4096 };

/* A kind of file, known by the columns that only it has. */
typedef struct {
    const char *columns[3];
    const char *metric; /* metric of rows that are skipped */
    const char *measured;
    df_status (*run)(df_val_row *r);
} kind;

static const kind kinds[] = {
    {{"tokens_per_gpu", "ep", "value"}, NULL, "value", df_val_run_nothing},
    {{"kernel", "calls", "total_s"}, "total_s", "total_s", df_val_run_nothing},
    {{"op", "topology", "value"}, NULL, "value", df_val_run_nothing},
    {{"metric", "value", "run_type"}, NULL, "value", df_val_run_case},
    {{"fits", "peak_mem_gb", "layers"}, "fits", "fits", df_val_run_memory},
    {{"step_s", "layers", "seq"}, "step_s", "step_s", df_val_run_training},
    {{"gemm_s", "clock_ghz", "k"}, "gemm_s", "gemm_s", df_val_run_profile},
    {{"seq_q", "head_dim", "time_s"}, "time_s", "time_s", df_val_run_prefill},
    {{"context", "head_dim", "time_s"}, "time_s", "time_s", df_val_run_decode},
    {{"op", "bytes", "time_s"}, "time_s", "time_s", df_val_run_collective},
    {{"topk", "experts", "time_s"}, "time_s", "time_s", df_val_run_experts},
    {{"m", "n", "time_s"}, "time_s", "time_s", df_val_run_gemm},
};

static const kind *kind_of(const df_csv *csv)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool all = true;
        for (int c = 0; c < 3; c++) {
            all = all && df_csv_column(csv, kinds[i].columns[c]) >= 0;
        }
        if (all) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* ---- Folders ---- */

static df_status load_table(const char *folder, const char *name, df_csv **out, df_err *err)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "r");
    if (!file) {
        return DF_OK; /* the file need not exist */
    }
    fclose(file);
    return df_csv_load(path, out, err);
}

/* Files beside the sets: of models, of devices, and of the settings of runs. */
static bool is_table(const char *file)
{
    return strcmp(file, "models.csv") == 0 || strcmp(file, "devices.csv") == 0 ||
           strcmp(file, "recipes.csv") == 0;
}

/* Length of the name without .csv, 0 for files that are no sets. */
static size_t set_length(const char *file)
{
    const size_t length = strlen(file);
    if (length < 5 || strcmp(file + length - 4, ".csv") != 0 || file[0] == '.' || is_table(file)) {
        return 0;
    }
    return length - 4;
}

static df_status add_set(df_val_data *data, const char *folder, const char *file, df_err *err)
{
    char path[PATH_ROOM];
    df_val_set *const set = realloc(data->set, (data->num_sets + 1) * sizeof *set);
    if (!set) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    data->set = set;
    df_val_set *const added = &set[data->num_sets];
    memset(added, 0, sizeof *added);
    data->num_sets++;
    added->name = strndup(file, set_length(file));
    if (!added->name) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    snprintf(path, sizeof path, "%s/%s", folder, file);
    DF_TRY(df_csv_load(path, &added->csv, err));
    if (!kind_of(added->csv)) {
        return df_fail(err, DF_EINVAL,
                       "%s:1: expected the columns of a set of measured runs, found others", path);
    }
    return DF_OK;
}

static int is_set(const struct dirent *entry)
{
    return set_length(entry->d_name) > 0;
}

static df_status load_sets(df_val_data *data, const char *folder, df_err *err)
{
    struct dirent **list = NULL;
    const int count = scandir(folder, &list, is_set, alphasort);
    if (count < 0) {
        return df_fail(err, DF_EINVAL, "--data: expected a folder, found %s", folder);
    }
    df_status status = DF_OK;
    for (int i = 0; i < count; i++) {
        if (status == DF_OK) {
            status = add_set(data, folder, list[i]->d_name, err);
        }
        free(list[i]);
    }
    free(list);
    if (count == 0) {
        return df_fail(err, DF_EINVAL,
                       "--data: expected CSV files of measured runs in %s, found none", folder);
    }
    return status;
}

static df_status load(const df_val_folders *folders, df_val_data *data, df_err *err)
{
    data->hardware = strdup(folders->hardware);
    data->predictor = df_predictor_new();
    data->gemm = df_gemm_search_new();
    if (!data->hardware || !data->predictor || !data->gemm) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    DF_TRY(load_sets(data, folders->data, err));
    DF_TRY(load_table(folders->data, "devices.csv", &data->devices, err));
    DF_TRY(load_table(folders->data, "models.csv", &data->models, err));
    DF_TRY(load_table(folders->data, "recipes.csv", &data->recipes, err));
    if (folders->fallback) {
        DF_TRY(load_table(folders->fallback, "devices.csv", &data->more_devices, err));
        DF_TRY(load_table(folders->fallback, "models.csv", &data->more_models, err));
    }
    return DF_OK;
}

df_status df_val_load(const df_val_folders *folders, df_val_data **out, df_err *err)
{
    df_val_data *const data = calloc(1, sizeof *data);
    if (!data) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    const df_status status = load(folders, data, err);
    if (status != DF_OK) {
        df_val_free(data);
        return status;
    }
    *out = data;
    return DF_OK;
}

void df_val_free(df_val_data *data)
{
    if (!data) {
        return;
    }
    for (size_t i = 0; i < data->num_sets; i++) {
        free(data->set[i].name);
        df_csv_free(data->set[i].csv);
    }
    for (size_t i = 0; i < data->num_texts; i++) {
        free(data->text[i]);
    }
    free(data->text);
    free(data->set);
    df_csv_free(data->devices);
    df_csv_free(data->models);
    df_csv_free(data->recipes);
    df_csv_free(data->more_devices);
    df_csv_free(data->more_models);
    free(data->hardware);
    df_predictor_free(data->predictor);
    df_gemm_search_free(data->gemm);
    free(data);
}

size_t df_val_sets(const df_val_data *data)
{
    return data->num_sets;
}

const char *df_val_set_name(const df_val_data *data, size_t set)
{
    return data->set[set].name;
}

/* ---- Rows ---- */

static df_status skip_row(df_val_row *r, const kind *what)
{
    const char *const metric = what->metric ? what->metric : df_csv_text(r->csv, r->row, "metric");
    double measured;
    df_err reason = *r->err;
    DF_TRY(df_val_number(r, what->measured, NAN, &measured));
    *r->err = reason;
    return df_val_skip(r, metric, measured);
}

/* Which part of its set a row is of: where it comes from, what an operator is done with; and
 * whether replicas hold shares of the model. */
static const char *part_of(df_val_row *r)
{
    static const char *const columns[] = {"set", "implementation", "dtype"};
    const char *part = "";
    char text[128];
    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && *part == '\0'; i++) {
        part = df_csv_text(r->csv, r->row, columns[i]);
    }
    const bool sharded = strcmp(df_csv_text(r->csv, r->row, "zero_stage"), "3") == 0;
    snprintf(text, sizeof text, "%.100s%s", part, sharded ? ", FSDP" : "");
    return df_val_keep(r->data, text);
}

df_status df_val_run(df_val_data *data,
                     size_t set,
                     const df_rules *rules,
                     int num_rules,
                     df_val_points *points,
                     df_err *err)
{
    const df_csv *const csv = data->set[set].csv;
    const kind *const what = kind_of(csv);
    df_err text = {""};
    df_val_row r = {.data = data,
                    .csv = csv,
                    .rules = rules,
                    .num_rules = num_rules,
                    .points = points,
                    .err = err ? err : &text};
    for (r.row = 0; r.row < df_csv_rows(csv); r.row++) {
        r.point.set = data->set[set].name;
        r.point.id = df_csv_text(csv, r.row, "id");
        r.point.quality = df_csv_text(csv, r.row, "quality");
        r.point.group = df_csv_text(csv, r.row, "group");
        r.point.device = df_csv_text(csv, r.row, "device");
        r.point.model = df_csv_text(csv, r.row, "model");
        r.point.part = part_of(&r);
        if (!r.point.part) {
            return df_fail(r.err, DF_ENOMEM, "out of memory");
        }
        df_status status = what->run(&r);
        if (status == DF_INFEASIBLE) {
            status = skip_row(&r, what);
        }
        DF_TRY(status);
    }
    return DF_OK;
}

void df_val_points_free(df_val_points *points)
{
    free(points->point);
    memset(points, 0, sizeof *points);
}
