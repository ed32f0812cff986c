#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/topo.h"
#include "validate/val_impl.h"

/* The row of a device: of this name, or the first whose name begins with it and a dash. */
static bool find_row(const df_csv *csv, const char *name, size_t *row)
{
    const size_t length = strlen(name);
    const size_t rows = csv ? df_csv_rows(csv) : 0;
    for (int exact = 1; exact >= 0; exact--) {
        for (*row = 0; *row < rows; (*row)++) {
            const char *const found = df_csv_text(csv, *row, "device");
            const bool begins = strncmp(found, name, length) == 0;
            if (begins && (found[length] == '\0' || (exact == 0 && found[length] == '-'))) {
                return true;
            }
        }
    }
    return false;
}

/* A field of the device, from the folder or else from the fallback; "" if neither has it. */
static const char *field_of(const df_val_data *data, const char *name, const char *column)
{
    const df_csv *const tables[] = {data->devices, data->more_devices};
    for (int i = 0; i < 2; i++) {
        size_t row;
        if (find_row(tables[i], name, &row) && *df_csv_text(tables[i], row, column) != '\0') {
            return df_csv_text(tables[i], row, column);
        }
    }
    return "";
}

/* Reads the number from `text`; 0 if there is none. */
static double number_of(const char *text)
{
    const double value = strtod(text, NULL);
    return isfinite(value) ? value : 0.0;
}

static df_status load_device(df_val_row *r, const char *name, df_val_device *device)
{
    const df_val_data *const data = r->data;
    const char *const file = field_of(data, name, "hardware");
    const double tensor = number_of(field_of(data, name, "peak_bf16_tflops"));
    const double fp8 = number_of(field_of(data, name, "peak_fp8_tflops"));
    const double node_gpus = number_of(field_of(data, name, "node_gpus"));
    char path[4096];
    *device = (df_val_device){.name = name,
                              .node_gpus = node_gpus >= 1 ? node_gpus : 8,
                              .fp8_over_tensor = tensor > 0 ? fp8 / tensor : 0,
                              .cluster = field_of(data, name, "cluster"),
                              .usable = *file != '\0'};
    if (!device->usable) {
        return DF_OK;
    }
    snprintf(path, sizeof path, "%s/%s", data->hardware, file);
    return df_cfg_load(path, NULL, DF_CFG_NEED_HARDWARE, &device->cfg, r->err);
}

df_status df_val_find_device(df_val_row *r, const df_val_device **out)
{
    df_val_data *const data = r->data;
    const char *const name = df_csv_text(r->csv, r->row, "device");
    int at = 0;
    while (at < data->num_devices && strcmp(data->device[at].name, name) != 0) {
        at++;
    }
    if (at == data->num_devices) {
        if (at == DF_VAL_DEVICES) {
            return df_fail(r->err, DF_EINVAL, "%s: expected at most %d devices, found more",
                           r->point.id, (int)DF_VAL_DEVICES);
        }
        DF_TRY(load_device(r, name, &data->device[at]));
        data->num_devices++;
    }
    if (!data->device[at].usable) {
        return df_fail(r->err, DF_INFEASIBLE, "no hardware file is known for device %s", name);
    }
    *out = &data->device[at];
    return DF_OK;
}

df_status
df_val_set_format(const df_val_device *device, const char *format, df_cfg *cfg, df_err *err)
{
    if (strcmp(format, "bf16") == 0 || strcmp(format, "fp16") == 0 ||
        strcmp(format, "fp8_kv") == 0) {
        cfg->sw.precision.tensor_bytes = 2;
        cfg->sw.precision.kv_cache_bytes = strcmp(format, "fp8_kv") == 0 ? 1 : 0;
        return DF_OK;
    }
    if ((strncmp(format, "fp8", 3) == 0 || strcmp(format, "mxfp8") == 0) &&
        device->fp8_over_tensor > 0) {
        cfg->sw.precision.tensor_bytes = 1;
        cfg->tech.core.nominal_flop_rate_per_mcu *= device->fp8_over_tensor;
        return DF_OK;
    }
    return df_fail(err, DF_INFEASIBLE, "number format %s is not modelled on %s", format,
                   device->name);
}

/* ---- Clusters ---- */

/* What a file says that puts the device into the cluster. */
static df_status
read_cluster(df_val_row *r, const char *device, const char *name, df_val_cluster *cluster)
{
    char path[4096];
    char text[512];
    df_cfg cfg;
    const df_cfg_text file = {text, path};
    snprintf(path, sizeof path, "%s/%s", r->data->hardware, device);
    snprintf(text, sizeof text,
             "device: ./%.200s\nnetwork: {like: %.200s}\n"
             "scheduling_param: {dp: 1048576}\n", /* more than a node of any cluster has */
             device, name);
    DF_TRY(df_cfg_parse(&file, NULL, DF_CFG_NEED_HARDWARE, &cfg, r->err));
    *cluster = (df_val_cluster){name, (double)cfg.system.num_devices_per_node, cfg.tech.inter};
    return DF_OK;
}

df_status df_val_find_cluster(df_val_row *r,
                              const df_val_device *device,
                              const char *name,
                              const df_val_cluster **out)
{
    df_val_data *const data = r->data;
    int at = 0;
    while (at < data->num_clusters && strcmp(data->cluster[at].name, name) != 0) {
        at++;
    }
    if (at == data->num_clusters) {
        if (at == DF_VAL_CLUSTERS) {
            return df_fail(r->err, DF_EINVAL, "%s: expected at most %d clusters, found more",
                           r->point.id, (int)DF_VAL_CLUSTERS);
        }
        const char *const file = field_of(data, device->name, "hardware");
        DF_TRY(read_cluster(r, file, name, &data->cluster[at]));
        data->num_clusters++;
    }
    *out = &data->cluster[at];
    return DF_OK;
}

/* ---- Placement ---- */

/* An axis leaves a node if a node cannot hold a whole group: measurements align groups with nodes,
 * so no group crosses an edge for want of alignment. */
void df_val_place(double node_gpus, int64_t num_gpus, df_cfg *cfg)
{
    static const df_axis order[] = {DF_AXIS_TP, DF_AXIS_CP, DF_AXIS_DP, DF_AXIS_LP};
    const int64_t most = (int64_t)node_gpus;
    df_cfg_system *const sys = &cfg->system;
    df_topo_placement placed;
    int64_t per_node = num_gpus < most ? num_gpus : most;
    while (num_gpus % per_node != 0) {
        per_node--;
    }
    df_topo_place(per_node, order, sizeof order / sizeof order[0], cfg->sched.degree, &placed);
    sys->num_devices_per_node = per_node;
    sys->num_nodes = num_gpus / per_node;
    sys->intra_derate = 1;
    sys->tp_inter = placed.split[DF_AXIS_TP] || placed.split[DF_AXIS_CP];
    sys->cp_inter = sys->tp_inter;
    sys->dp_inter = placed.split[DF_AXIS_DP];
    sys->lp_inter = placed.split[DF_AXIS_LP];
    /* Every device of a large node has its own port, and a ring of several of them in each node
     * is laid over all their ports. */
    sys->inter_derate = node_gpus > 2 ? 1.0 / placed.ports : 1.0;
}
