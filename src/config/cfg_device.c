/* What a file takes from elsewhere: the file of a device that it names, and the network of a
 * cluster. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/data_dir.h"
#include "base/nearest.h"
#include "config/cfg_impl.h"

static const char *const folders[] = {
    [DF_CFG_HARDWARE_FILES] = "configs/hardware", [DF_CFG_MODEL_FILES] = "configs/model"};
static const char ENDING[] = ".yaml";
enum { FILE_ROOM = DF_CFG_TEXT + 32 }; /* for a folder, a name and the ending */

/* ---- Names ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Adds the name of a file that ends in .yaml. */
static void add_file(df_cfg_devices *list, const char *file)
{
    const size_t end = sizeof ENDING - 1;
    const size_t length = strlen(file);
    if (length > end && length - end < DF_CFG_DEVICE_NAME && list->count < DF_CFG_DEVICES &&
        strcmp(file + length - end, ENDING) == 0) {
        char *const name = list->name[list->count++];
        memcpy(name, file, length - end);
        name[length - end] = '\0';
    }
}

df_status df_cfg_list_devices(df_cfg_devices *out, df_err *err)
{
    return df_cfg_list_files(DF_CFG_HARDWARE_FILES, out, err);
}

df_status df_cfg_list_files(df_cfg_folder kind, df_cfg_devices *out, df_err *err)
{
    char folder[DF_DATA_PATH];
    out->count = 0;
    DF_TRY(df_data_find(folders[kind], folder, err));
    DIR *const dir = opendir(folder);
    if (!dir) {
        return df_fail(err, DF_EIO, "%.800s: cannot be read: %s", folder, strerror(errno));
    }
    /* cppcheck-suppress readdirCalled ; the stream is ours alone */
    for (const struct dirent *file = readdir(dir); file; file = readdir(dir)) {
        add_file(out, file->d_name);
    }
    closedir(dir);
    qsort(out->name, (size_t)out->count, sizeof out->name[0], compare_names);
    return DF_OK;
}

/* " (did you mean h100_sxm, h100_pcie or h100_nvl?)", or nothing. */
static void nearest_text(const df_cfg_devices *list, const char *name, char text[DF_OPT_EXPECTED])
{
    enum { MOST = 6 };
    const char *words[DF_CFG_DEVICES];
    const char *near[MOST] = {NULL};
    size_t left = 0;
    int found = 0;
    for (int i = 0; i < list->count; i++) {
        words[left++] = list->name[i];
    }
    while (found < MOST) {
        const int at = df_nearest(name, words, left, sizeof words[0]);
        if (at < 0) {
            break;
        }
        near[found++] = words[at];
        left--;
        memmove(&words[at], &words[at + 1], (left - (size_t)at) * sizeof words[0]);
    }
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < found && used < DF_OPT_EXPECTED; i++) {
        const char *const before = i == 0 ? " (did you mean " : i == found - 1 ? " or " : ", ";
        used += (size_t)snprintf(text + used, DF_OPT_EXPECTED - used, "%s%s%s", before, near[i],
                                 i == found - 1 ? "?)" : "");
    }
}

static df_status fail_unknown(const char *name, const df_cfg_mark *mark, df_err *err)
{
    df_cfg_devices list;
    df_err cause;
    char near[DF_OPT_EXPECTED];
    const df_status status = df_cfg_list_devices(&list, &cause);
    if (status != DF_OK) {
        return df_fail(err, status, "%s:%d: device: %.*s", mark->file, mark->line, DF_ERR_TEXT / 2,
                       cause.text);
    }
    nearest_text(&list, name, near);
    return df_fail(err, DF_EINVAL,
                   "%s:%d: device: expected one that `deepflow help devices` lists, or a file such "
                   "as ./FILE.yaml%s, found %.64s",
                   mark->file, mark->line, near, name[0] == '\0' ? "nothing" : name);
}

/* ---- Files ---- */

/* A path is relative to the folder of the file that names it. */
static df_status
find_beside(const char *name, const df_cfg_mark *mark, char path[DF_DEVICE_PATH], df_err *err)
{
    const char *const slash = strrchr(mark->file, '/');
    const int folder = name[0] == '/' || !slash ? 0 : (int)(slash + 1 - mark->file);
    const int length = snprintf(path, DF_DEVICE_PATH, "%.*s%s", folder, mark->file, name);
    if (length >= DF_DEVICE_PATH) {
        return df_fail(err, DF_EINVAL, "%.200s:%d: device: expected a shorter path, found %.64s",
                       mark->file, mark->line, name);
    }
    if (access(path, R_OK) != 0) {
        return df_fail(err, DF_EINVAL, "%s:%d: device: expected a file, found %.200s: %s",
                       mark->file, mark->line, name, strerror(errno));
    }
    return DF_OK;
}

/* A file that comes with the program. */
static bool find_shipped(df_cfg_folder kind, const char *name, char path[DF_DATA_PATH])
{
    char file[FILE_ROOM];
    const int length = snprintf(file, sizeof file, "%s/%s%s", folders[kind], name, ENDING);
    return name[0] != '\0' && length < FILE_ROOM && df_data_find(file, path, NULL) == DF_OK;
}

df_status df_cfg_find_device(const char *name,
                             const df_cfg_mark *mark,
                             char path[DF_DEVICE_PATH],
                             df_err *err)
{
    _Static_assert((int)DF_DATA_PATH == (int)DF_DEVICE_PATH, "one is found into the other");
    if (strchr(name, '/')) {
        return find_beside(name, mark, path, err);
    }
    return find_shipped(DF_CFG_HARDWARE_FILES, name, path) ? DF_OK : fail_unknown(name, mark, err);
}

df_status df_cfg_find_named(
    df_cfg_folder kind, const char *flag, const char *name, char path[DF_DATA_PATH], df_err *err)
{
    df_cfg_devices list;
    char near[DF_OPT_EXPECTED];
    if (!strchr(name, '/') && find_shipped(kind, name, path)) {
        return DF_OK;
    }
    DF_TRY(df_cfg_list_files(kind, &list, err));
    nearest_text(&list, name, near);
    return df_fail(err, DF_EINVAL,
                   "%s: expected a name that `deepflow list %s` lists%s, found %.64s", flag,
                   kind == DF_CFG_MODEL_FILES ? "models" : "hardware", near,
                   name[0] == '\0' ? "nothing" : name);
}

/* ---- Clusters ---- */

static const char LIKE[] = "network.like";
static const char NODE_SIZE[] = "system_hierarchy.num_devices_per_node";
static const char NODES[] = "system_hierarchy.num_nodes";
#define INSIDE "tech_param.network.intra_node."
#define BETWEEN "tech_param.network.inter_node."

/* XX(name, devices that the fast links join, bytes/s of a device's port beyond, usable share of it,
 * seconds of a ring's step, of a message between stages, ports, shared with other jobs).
 * Sources: the machines' documentation for ports and nodes; what is usable and how long a step
 * takes are those with which published training runs agree (docs/calibrated.md).
 *
 *   dgx_hdr    DGX A100, an HDR InfiniBand port of 200 Gb/s for each device; roce_a100 by Ethernet
 *   vtrain     the same with four ports for eight devices
 *   p5_efa     H100 in AWS, 3200 Gb/s a node
 *   uci_pcie   A100 PCIe, bridged in pairs, else through the host
 *   ib_ndr     InfiniBand of 400 Gb/s a device; ib_xdr 800 Gb/s
 *   nvl72      racks of 72 with 400 Gb/s a device; nvl72_xdr 800 Gb/s
 *   torus      a TPU's pod
 *   pcie4      H200 NVL in servers of eight */
#define CLUSTERS(XX)                                                                               \
    XX(dgx_hdr, 8, 25e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                     \
    XX(roce_a100, 8, 25e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                   \
    XX(vtrain, 8, 12.5e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                    \
    XX(p5_efa, 8, 50e9, 0.8, 42e-6, 60e-6, PER_DEVICE, true)                                       \
    XX(uci_pcie, 2, 12.5e9, 1, 15e-6, 20e-6, POOLED, false)                                        \
    XX(ib_ndr, 8, 50e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                      \
    XX(ib_xdr, 8, 100e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                     \
    XX(nvl72, 72, 50e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                      \
    XX(nvl72_xdr, 72, 100e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                 \
    XX(torus, 4096, 50e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)                                    \
    XX(pcie4, 8, 50e9, 0.8, 10e-6, 20e-6, PER_DEVICE, false)

typedef struct {
    double node, port_bytes_ps, util, latency_s, message_latency_s;
    df_ports ports;
    bool shared;
} cluster;

#define INDEX(name, ...) CLUSTER_##name,
enum { CLUSTERS(INDEX) CLUSTER_COUNT };
#undef INDEX

#define WORD(name, ...) {#name, CLUSTER_##name, false},
const df_word df_words_cluster[] = {CLUSTERS(WORD){NULL, 0, false}};
#undef WORD

#define CLUSTER(name, node, port, util, latency, message, ports, shared)                           \
    {node, port, util, latency, message, DF_PORTS_##ports, shared},
static const cluster clusters[] = {CLUSTERS(CLUSTER)};
#undef CLUSTER

/* Gives the option this value, unless a document so far does; returns whether it has. */
static bool give(df_cfg_reader *reader, const char *path, double value, const df_cfg_mark *from)
{
    const int index = df_opt_find(path, 0);
    df_cfg_mark *const mark = &reader->option[index];
    if (mark->line != 0) {
        return false;
    }
    df_opt_store(&df_opts[index], value, &reader->cfg);
    *mark = (df_cfg_mark){from->file, from->line, df_opts[index].path};
    return true;
}

void df_cfg_apply_cluster(df_cfg_reader *reader)
{
    const df_cfg_mark *const like = &reader->option[df_opt_find(LIKE, 0)];
    if (like->line == 0) {
        return;
    }
    assert(reader->cfg.cluster >= 0 && reader->cfg.cluster < CLUSTER_COUNT);
    const cluster *const c = &clusters[reader->cfg.cluster];
    const struct {
        const char *path;
        double value;
    } values[] = {{BETWEEN "bandwidth", c->port_bytes_ps},
                  {BETWEEN "util", c->util},
                  {BETWEEN "latency", c->latency_s},
                  {BETWEEN "message_latency", c->message_latency_s},
                  {BETWEEN "ports", c->ports},
                  {BETWEEN "shared", c->shared}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        (void)give(reader, values[i].path, values[i].value, like);
    }
    reader->any_node_size |= give(reader, NODE_SIZE, c->node, like);
    reader->any_nodes |= give(reader, NODES, 1, like);
}

/* ---- Dimensions ---- */

/* Keys of a dimension, what they stand for inside a node and between nodes, and what is taken for
 * those that a file leaves out: what the device has, or a value. */
static const struct {
    const char *inside, *between;
    bool of_device;
    double preset;
} keys_of_dimension[] = {
    {"network_topology.intra_node", "network_topology.inter_node", false, DF_TOPO_SWITCH},
    {NODE_SIZE, NODES, false, 0},
    {INSIDE "bandwidth", BETWEEN "bandwidth", true, 0},
    {INSIDE "util", BETWEEN "util", false, 1},
    {INSIDE "latency", BETWEEN "latency", false, 5e-6},
    {INSIDE "ports", BETWEEN "ports", false, DF_PORTS_PER_DEVICE},
    {INSIDE "in_switch", BETWEEN "in_switch", true, 0},
    {INSIDE "shared", BETWEEN "shared", false, 0},
    {INSIDE "nominal_energy_per_link", BETWEEN "nominal_energy_per_link", true, 0},
};
enum { DIMENSION_KEYS = sizeof keys_of_dimension / sizeof keys_of_dimension[0] };

/* Whether a file that has dimensions gives the option by its own name. */
static bool is_named_apart(const df_cfg_mark *mark, const char *name)
{
    return mark->line != 0 && mark->file == name && !strchr(mark->key, '[');
}

static df_status check_alone(const df_cfg_reader *reader, const char *name, df_err *err)
{
    for (int i = 0; i < df_num_opt_aliases; i++) {
        const df_opt_pair *const alias = &df_opt_aliases[i];
        const df_cfg_mark *const mark = &reader->option[df_opt_find(alias->of, 0)];
        if (strchr(alias->path, '[') && is_named_apart(mark, name)) {
            return df_fail(err, DF_EINVAL,
                           "%s:%d: network.dimensions: expected them in place of %s, found both, "
                           "in line %d too",
                           name, reader->dimensions.line, mark->key, mark->line);
        }
    }
    const df_cfg_mark *const like = &reader->option[df_opt_find(LIKE, 0)];
    return !is_named_apart(like, name)
               ? DF_OK
               : df_fail(err, DF_EINVAL,
                         "%s:%d: network.dimensions: expected them in place of network.like, found "
                         "both, in line %d too",
                         name, reader->dimensions.line, like->line);
}

/* A message takes as long as a step unless the dimension says otherwise, whatever the device's. */
static void follow_latency(df_cfg_reader *reader, const char *step, const char *message)
{
    const double step_s = df_opt_load(&df_opts[df_opt_find(step, 0)], &reader->cfg);
    (void)give(reader, message, step_s, &reader->dimensions);
}

df_status df_cfg_apply_dimensions(df_cfg_reader *reader, const char *name, df_err *err)
{
    const df_cfg_mark *const from = &reader->dimensions;
    if (from->line == 0 || from->file != name) {
        return DF_OK;
    }
    DF_TRY(check_alone(reader, name, err));
    for (int dim = 0; dim < reader->num_dimensions; dim++) {
        const char *const size = dim == 0 ? NODE_SIZE : NODES;
        if (reader->option[df_opt_find(size, 0)].line == 0) {
            return df_fail(err, DF_EINVAL,
                           "%s:%d: network.dimensions[%d].size: expected a whole number >= 1, "
                           "found nothing",
                           name, from->line, dim);
        }
        for (int i = 0; i < DIMENSION_KEYS; i++) {
            const char *const path =
                dim == 0 ? keys_of_dimension[i].inside : keys_of_dimension[i].between;
            if (!keys_of_dimension[i].of_device) {
                (void)give(reader, path, keys_of_dimension[i].preset, from);
            }
        }
        follow_latency(reader, dim == 0 ? INSIDE "latency" : BETWEEN "latency",
                       dim == 0 ? INSIDE "message_latency" : BETWEEN "message_latency");
    }
    if (reader->num_dimensions < DF_NETWORK_DIMS) { /* nodes beyond the first are not there */
        (void)give(reader, NODES, 1, from);
    }
    return DF_OK;
}

static bool is_of_user(const df_cfg_reader *reader, const char *path)
{
    const df_cfg_mark *const mark = &reader->option[df_opt_find(path, 0)];
    return mark->line != 0 && (mark->file == reader->own[0] || mark->file == reader->own[1]);
}

void df_cfg_settle_network(df_cfg_reader *reader)
{
    const df_cfg_mark *const from = &reader->dimensions;
    if (from->line != 0) { /* where it is not given, either */
        (void)give(reader, "network_topology.inter_node", reader->cfg.intra_topology, from);
    }
    for (int i = 0; i < DIMENSION_KEYS && from->line != 0; i++) {
        if (!keys_of_dimension[i].of_device) {
            (void)give(reader, keys_of_dimension[i].between, keys_of_dimension[i].preset, from);
        }
    }
    if (is_of_user(reader, "network_topology.intra_node") &&
        !is_of_user(reader, INSIDE "in_switch") && reader->cfg.intra_topology != DF_TOPO_SWITCH) {
        reader->cfg.tech.intra.in_switch = false;
    }
}

static double at_least_1(int64_t degree)
{
    return degree > 0 ? (double)degree : 1;
}

/* Devices that the degrees make: those of the mode, all without one. */
static double count_devices(const df_cfg_reader *reader)
{
    const df_cfg_sched *const s = &reader->cfg.sched;
    const double tokens = at_least_1(s->tp) * at_least_1(s->cp);
    const double kernels = at_least_1(s->kp1) * at_least_1(s->kp2);
    const bool llm = reader->modes == DF_OPT_IN(DF_MODE_LLM);
    return at_least_1(s->dp) * at_least_1(s->lp) * (llm || reader->modes == 0 ? tokens : 1) *
           (llm ? 1 : kernels);
}

void df_cfg_count_nodes(df_cfg_reader *reader)
{
    const double most = 0x1p40;
    df_cfg_system *const system = &reader->cfg.system;
    const double counted = count_devices(reader);
    const int64_t devices = (int64_t)(counted < most ? counted : most);
    if (reader->any_node_size && devices < system->num_devices_per_node) {
        system->num_devices_per_node = devices;
    }
    if (reader->any_nodes) {
        const int64_t node = system->num_devices_per_node;
        system->num_nodes = devices / node + (devices % node != 0);
    }
}
