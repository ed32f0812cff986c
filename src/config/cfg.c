#include "config/cfg.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/cfg_impl.h"

enum { FILE_BYTES_MAX = 16 << 20, FILE_BYTES_FIRST = 16 << 10 };

/* ---- Files ---- */

/* Reads the rest of the stream; *size does not include the terminating NUL. */
static char *read_stream(FILE *file, size_t *size)
{
    size_t room = FILE_BYTES_FIRST;
    char *text = malloc(room);
    *size = 0;
    while (text) {
        *size += fread(text + *size, 1, room - 1 - *size, file);
        if (*size < room - 1 || room > FILE_BYTES_MAX) {
            text[*size] = '\0';
            return text;
        }
        room *= 2;
        char *const more = realloc(text, room);
        if (!more) {
            free(text);
        }
        text = more;
    }
    return NULL;
}

df_status df_cfg_read_text(const char *path, char **text, df_err *err)
{
    FILE *const file = fopen(path, "rb");
    if (!file) {
        return df_fail(err, DF_EINVAL, "%s: expected a file, found: %s", path, strerror(errno));
    }
    size_t size;
    errno = 0;
    char *const read = read_stream(file, &size);
    const bool failed = ferror(file) != 0;
    const int why = errno;
    fclose(file);
    df_status status = DF_OK;
    if (!read) {
        return df_fail(err, DF_ENOMEM, "%s: out of memory", path);
    }
    if (failed) {
        status = why == EISDIR
                     ? df_fail(err, DF_EINVAL, "%s: expected a file, found a directory", path)
                     : df_fail(err, DF_EIO, "%s: cannot be read: %s", path, strerror(why));
    } else if (size > FILE_BYTES_MAX) {
        status = df_fail(err, DF_EINVAL, "%s:1: file: expected at most 16 MiB, found more", path);
    } else if (strlen(read) != size) {
        status = df_fail(err, DF_EINVAL, "%s:1: file: expected text, found a NUL byte", path);
    }
    if (status != DF_OK) {
        free(read);
        return status;
    }
    *text = read;
    return DF_OK;
}

/* ---- What must be there ---- */

/* The file in which a missing section should have been. */
static const char *
home_of(const df_opt_section *section, const df_cfg_text *hardware, const df_cfg_text *model)
{
    assert(hardware || model);
    const bool in_model = section->need == DF_CFG_NEED_MODEL && model;
    return in_model || !hardware ? model->name : hardware->name;
}

/* Whether the dimensions of a network stand for a section. */
static bool stand_for(const df_cfg_reader *reader, const char *section)
{
    return reader->dimensions.line != 0 &&
           (strcmp(section, "system_hierarchy") == 0 || strcmp(section, "network_topology") == 0);
}

static df_status require_sections(const df_cfg_reader *reader,
                                  unsigned need,
                                  const df_cfg_text *hardware,
                                  const df_cfg_text *model,
                                  df_err *err)
{
    for (int i = 0; i < df_num_opt_sections; i++) {
        const df_opt_section *const section = &df_opt_sections[i];
        if ((section->need & need) != 0 && reader->section[i].line == 0 &&
            !stand_for(reader, section->name)) {
            return df_fail(err, DF_EINVAL, "%s:1: %s: expected this section, found none",
                           home_of(section, hardware, model), section->name);
        }
    }
    return DF_OK;
}

/* The short form of a section stands for the options below it. */
static bool given_in_short(const df_cfg_reader *reader, const char *path)
{
    for (int i = 0; i < df_num_opts; i++) {
        if (reader->option[i].line != 0 && df_opt_is_under(path, df_opts[i].path)) {
            return true;
        }
    }
    return false;
}

/* Whether a mark is in a file that the caller named, not in that of a device. */
static bool is_own(const df_cfg_reader *reader, const df_cfg_mark *mark)
{
    return mark->line != 0 && (mark->file == reader->own[0] || mark->file == reader->own[1]);
}

/* The line of an option; for one that is not given, the line where its neighbours begin; for one
 * that only the device's file has, the line that names the device. */
static df_cfg_mark mark_of(const df_cfg_reader *reader, const char *key)
{
    char section[DF_OPT_PATH];
    const int option = df_opt_find(key, reader->modes);
    if (option >= 0 && is_own(reader, &reader->option[option])) {
        return reader->option[option];
    }
    snprintf(section, sizeof section, "%s", key);
    for (char *dot = strrchr(section, '.'); dot; dot = strrchr(section, '.')) {
        df_cfg_mark first = {NULL, 0, NULL};
        *dot = '\0';
        const int index = df_opt_section_index(section);
        if (index >= 0 && is_own(reader, &reader->section[index])) {
            return reader->section[index];
        }
        for (int i = 0; i < df_num_opts; i++) {
            const df_cfg_mark *const mark = &reader->option[i];
            if (is_own(reader, mark) && df_opt_is_under(df_opts[i].path, section) &&
                (first.line == 0 || mark->line < first.line)) {
                first = *mark;
            }
        }
        if (first.line != 0) {
            first.key = NULL; /* another option's */
            return first;
        }
    }
    const df_cfg_mark *const device = &reader->option[df_opt_find("device", 0)];
    return (df_cfg_mark){device->file, device->line, NULL};
}

static df_status require_options(const df_cfg_reader *reader, df_err *err)
{
    for (int i = 0; i < df_num_opts; i++) {
        const df_opt *const opt = &df_opts[i];
        if (!opt->absent.required || reader->option[i].line != 0 ||
            !df_opt_applies(opt, reader->modes)) {
            continue;
        }
        char name[DF_OPT_PATH];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(opt->path, "."), opt->path);
        if (reader->section[df_opt_section_index(name)].line == 0 ||
            given_in_short(reader, opt->path)) {
            continue;
        }
        char expected[DF_OPT_EXPECTED];
        const df_cfg_mark mark = mark_of(reader, opt->path);
        df_opt_expected(opt, expected);
        return df_fail(err, DF_EINVAL, "%s:%d: %s: expected %s, found nothing", mark.file,
                       mark.line, opt->path, expected);
    }
    return DF_OK;
}

/* Gives absent options the values of those that they follow. */
static void follow_others(df_cfg_reader *reader)
{
    for (int i = 0; i < df_num_opts_following; i++) {
        const int index = df_opt_find(df_opts_following[i].path, 0);
        const df_opt *const opt = &df_opts[index];
        if (reader->option[index].line == 0) {
            df_opt_store(opt, df_opt_load(df_opt_followed(opt), &reader->cfg), &reader->cfg);
        }
    }
}

static bool has_section(const df_cfg_reader *reader, const char *name)
{
    return reader->section[df_opt_section_index(name)].line != 0;
}

/* The number of micro-batches is what a file says of their size. Until the best is found, a
 * micro-batch has one sequence. */
static df_status count_batches(df_cfg_reader *reader, df_err *err)
{
    static const char key[] = "scheduling_param.micro_batch_size";
    df_cfg_sched *const s = &reader->cfg.sched;
    const df_cfg_mark *const at = &reader->option[df_opt_find(key, 0)];
    const df_cfg_mark *const number = &reader->option[df_opt_find("scheduling_param.mb", 0)];
    const bool best = s->micro_batch == DF_BEST_BATCH;
    if (s->micro_batch == 0.0 || !reader->cfg.has_model || reader->cfg.mode != DF_MODE_LLM) {
        return DF_OK;
    }
    const int64_t replica = reader->cfg.llm.batch_size / s->dp;
    const int64_t size = best ? 1 : (int64_t)s->micro_batch;
    if (replica < 1 || (double)size != fabs(s->micro_batch) || replica % size != 0) {
        return df_fail(err, DF_EINVAL,
                       "%s:%d: %s: expected best, or a divisor of the batch of a replica, %lld, "
                       "found %g",
                       at->file, at->line, key, (long long)replica, s->micro_batch);
    }
    if (is_own(reader, number) && (best || s->mb != replica / size)) {
        return df_fail(err, DF_EINVAL,
                       "%s:%d: %s: expected either this or mb, found mb %lld in %s:%d", at->file,
                       at->line, key, (long long)s->mb, number->file, number->line);
    }
    s->mb = replica / size;
    return DF_OK;
}

static df_status cross_check(const df_cfg_reader *reader, bool degrees, df_err *err)
{
    const char *key = NULL;
    char hint[DF_FIT_TEXT];
    df_err cause;
    const df_status status = df_cfg_cross_check(&reader->cfg, degrees, &key, &cause);
    if (status == DF_OK) {
        return DF_OK;
    }
    const df_cfg_mark mark = mark_of(reader, key);
    df_cfg_suggest(&reader->cfg, degrees, key, hint);
    return df_fail(err, status, "%s:%d: %s: %.*s%s", mark.file ? mark.file : "", mark.line,
                   mark.key ? mark.key : key, DF_ERR_TEXT / 2, cause.text, hint);
}

/* What cross_check checks of a model, where there is no hardware; and whether rules know its
 * layers.
 */
static df_status check_model(const df_cfg_reader *reader, unsigned need, df_err *err)
{
    const char *key = NULL;
    df_err cause;
    if (!reader->cfg.has_model || reader->cfg.mode != DF_MODE_LLM) {
        return DF_OK;
    }
    df_status status = df_cfg_check_model(&reader->cfg.llm, &key, &cause);
    if (status == DF_OK && (need & DF_CFG_ANY_LAYERS) == 0) {
        status = df_cfg_check_plain(&reader->cfg, (need & DF_CFG_ANY_DEGREES) == 0, &key, &cause);
    }
    if (status == DF_OK) {
        return DF_OK;
    }
    const df_cfg_mark mark = mark_of(reader, key);
    return df_fail(err, status, "%s:%d: %s: %.*s", mark.file ? mark.file : "", mark.line,
                   mark.key ? mark.key : key, DF_ERR_TEXT / 2, cause.text);
}

/* Nothing may be derived from the presets of what the file leaves out. */
static df_status check_figures(const df_cfg_reader *reader, unsigned need, df_err *err)
{
    df_cfg_figure figures[DF_FIGURES_MAX];
    if ((need & DF_CFG_NEED_FIGURES) == 0) {
        return DF_OK;
    }
    const int count = df_cfg_find_figures(&reader->cfg, (need & DF_CFG_ANY_DEGREES) != 0, figures);
    for (int i = 0; i < count; i++) {
        const char *const path = figures[i].path;
        const int option = df_opt_find(path, 0);
        const bool zero_is_none =
            !df_opts[option].absent.required && df_opts[option].absent.preset == 0;
        const bool none = zero_is_none && df_opt_load(&df_opts[option], &reader->cfg) == 0;
        if (reader->option[option].line == 0 || none) {
            const df_cfg_mark own = mark_of(reader, path);
            const df_cfg_mark mark = own.file ? own : mark_of(reader, figures[i].instead);
            return df_fail(err, DF_EINVAL,
                           "%s:%d: %s: expected this key, or %s in its place, to derive the device "
                           "from, found nothing",
                           mark.file, mark.line, path, figures[i].instead);
        }
    }
    return DF_OK;
}

static df_status
check_machine(const df_cfg_reader *reader, unsigned need, df_err *warning, df_err *err)
{
    const char *key = NULL;
    df_err cause = {""};
    df_err mild;
    const df_status status = df_cfg_check_machine(&reader->cfg, need, &key, &mild, &cause);
    warning->text[0] = '\0';
    if (status != DF_OK || mild.text[0] != '\0') {
        const df_cfg_mark mark = mark_of(reader, key);
        char hint[DF_FIT_TEXT];
        df_cfg_suggest_split(&reader->cfg, key, hint);
        (void)df_fail(status == DF_OK ? warning : err, status, "%s:%d: %s: %.*s%s",
                      mark.file ? mark.file : "", mark.line, mark.key ? mark.key : key,
                      DF_ERR_TEXT / 2, status == DF_OK ? mild.text : cause.text, hint);
    }
    return status;
}

/* All warnings, one on each line. What is not simulated has no mode that could be wrong. */
static void note_warnings(const df_cfg_reader *reader, const df_err *machine, df_err *err)
{
    const bool simulates = reader->cfg.backend.model == DF_BACKEND_ASTRA;
    const char *const texts[] = {simulates ? reader->warning.text : "", machine->text,
                                 reader->rate.text, reader->odd.text};
    size_t used = 0;
    if (!err) {
        return;
    }
    err->text[0] = '\0';
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && used < sizeof err->text; i++) {
        if (texts[i][0] != '\0') {
            used += (size_t)snprintf(err->text + used, sizeof err->text - used, "%s%s",
                                     used > 0 ? "\n" : "", texts[i]);
        }
    }
}

/* ---- Devices ---- */

/* A file names a device, whose file may name another: a node its card, a card its sister. */
enum { DEVICE_DEPTH = 3 };

/* Fills up what the documents so far leave out with the device that they name; `path` is the
 * file's, which marks name. */
static df_status read_device(df_cfg_reader *reader, char path[DF_DEVICE_PATH], df_err *err)
{
    df_cfg_mark *const mark = &reader->option[df_opt_find("device", 0)];
    char *text = NULL;
    DF_TRY(df_cfg_find_device(reader->cfg.device, mark, path, err));
    DF_TRY(df_cfg_read_text(path, &text, err));
    *mark = (df_cfg_mark){NULL, 0, NULL}; /* until that file names one */
    reader->of_device = true;
    const df_status status = df_cfg_read_document(reader, text, path, err);
    free(text);
    return status;
}

static df_status
read_devices(df_cfg_reader *reader, char path[DEVICE_DEPTH][DF_DEVICE_PATH], df_err *err)
{
    const df_cfg_mark *const mark = &reader->option[df_opt_find("device", 0)];
    const df_cfg_mark first = *mark;
    char named[DF_CFG_TEXT];
    memcpy(named, reader->cfg.device, sizeof named);
    df_cfg_apply_cluster(reader);
    for (int depth = 0; mark->line != 0; depth++) {
        if (depth == DEVICE_DEPTH) {
            return df_fail(err, DF_EINVAL,
                           "%s:%d: device: expected at most %d files of devices that name one "
                           "another, found %.64s, too",
                           mark->file, mark->line, DEVICE_DEPTH, reader->cfg.device);
        }
        DF_TRY(read_device(reader, path[depth], err));
        df_cfg_apply_cluster(reader);
    }
    reader->option[df_opt_find("device", 0)] = first;
    memcpy(reader->cfg.device, named, sizeof named);
    return DF_OK;
}

/* ---- Public ---- */

df_status df_cfg_parse(
    const df_cfg_text *hardware, const df_cfg_text *model, unsigned need, df_cfg *cfg, df_err *err)
{
    df_cfg_reader reader;
    char device[DEVICE_DEPTH][DF_DEVICE_PATH];
    df_err machine;
    memset(&reader, 0, sizeof reader);
    df_opt_store_presets(&reader.cfg);
    reader.own[0] = hardware ? hardware->name : NULL;
    reader.own[1] = model ? model->name : NULL;
    if (model) { /* first, for the mode */
        DF_TRY(df_cfg_read_document(&reader, model->text, model->name, err));
    }
    if (hardware) {
        DF_TRY(df_cfg_read_document(&reader, hardware->text, hardware->name, err));
    }
    DF_TRY(read_devices(&reader, device, err));
    df_cfg_settle_network(&reader);
    DF_TRY(require_sections(&reader, need, hardware, model, err));
    DF_TRY(require_options(&reader, err));
    follow_others(&reader);
    df_cfg_count_nodes(&reader);
    df_cfg_layers_settle(&reader.cfg.llm.layers, reader.cfg.llm.num_experts > 1);
    reader.cfg.has_model = has_section(&reader, "model_param");
    reader.cfg.has_breakdown = has_section(&reader, "area_breakdown") &&
                               has_section(&reader, "power_breakdown") &&
                               has_section(&reader, "perimeter_breakdown");
    reader.cfg.any_rounds = (need & DF_CFG_ANY_ROUNDS) != 0;
    if ((need & DF_CFG_ANY_DEGREES) == 0) {
        DF_TRY(count_batches(&reader, err));
    }
    if (need & DF_CFG_NEED_HARDWARE) {
        DF_TRY(cross_check(&reader, (need & DF_CFG_ANY_DEGREES) == 0, err));
    }
    DF_TRY(check_model(&reader, need, err));
    DF_TRY(check_figures(&reader, need, err));
    DF_TRY(check_machine(&reader, need, &machine, err));
    if ((need & DF_CFG_USUAL) != 0) {
        df_cfg_find_odd(&reader);
    }
    note_warnings(&reader, &machine, err);
    *cfg = reader.cfg;
    return DF_OK;
}

df_status df_cfg_load(
    const char *hardware_path, const char *model_path, unsigned need, df_cfg *cfg, df_err *err)
{
    char *hardware = NULL;
    char *model = NULL;
    df_status status = DF_OK;
    if (hardware_path) {
        status = df_cfg_read_text(hardware_path, &hardware, err);
    }
    if (status == DF_OK && model_path) {
        status = df_cfg_read_text(model_path, &model, err);
    }
    if (status == DF_OK) {
        const df_cfg_text first = {hardware, hardware_path};
        const df_cfg_text second = {model, model_path};
        status = df_cfg_parse(hardware ? &first : NULL, model ? &second : NULL, need, cfg, err);
    }
    free(hardware);
    free(model);
    return status;
}

df_status df_cfg_check(const df_cfg *cfg, df_err *err)
{
    const char *key = NULL;
    df_err cause;
    const df_status status = df_cfg_cross_check(cfg, true, &key, &cause);
    return status == DF_OK ? DF_OK
                           : df_fail(err, status, "%s: %.*s", key, DF_ERR_TEXT / 2, cause.text);
}

const char *df_mem_type_name(df_mem_type type)
{
    return df_opt_word_of(df_words_mem_type, type);
}

const char *df_scope_name(df_scope scope)
{
    return df_opt_word_of(df_words_scope, scope);
}

const char *df_mode_name(df_mode mode)
{
    return df_opt_word_of(df_words_mode, mode);
}

const char *df_arch_name(df_arch arch)
{
    return df_opt_word_of(df_words_arch, arch);
}

df_basis df_cfg_basis(const df_cfg *cfg)
{
    const df_calibration *const own = &cfg->calibration.own;
    if (cfg->calibration.basis >= 0) {
        return (df_basis)cfg->calibration.basis;
    }
    return own->gemm_tensor != DF_CALIBRATION_ABSENT &&
                   own->prefill_tensor != DF_CALIBRATION_ABSENT &&
                   own->decode_dram != DF_CALIBRATION_ABSENT
               ? DF_BASIS_MEASURED
               : DF_BASIS_RULE;
}

const char *df_backend_name(const df_cfg_backend *backend)
{
    static const char *const modes[] = {[DF_ASTRA_HYBRID] = "hybrid",
                                        [DF_ASTRA_HIERARCHICAL] = "full_astrasim_hierarchical",
                                        [DF_ASTRA_FLATTENED] = "full_astrasim_flattened",
                                        [DF_ASTRA_ANALYTICAL] = "analytical"};
    return modes[df_backend_simulates(backend) ? backend->mode : DF_ASTRA_ANALYTICAL];
}

bool df_backend_simulates(const df_cfg_backend *backend)
{
    return backend->model == DF_BACKEND_ASTRA && backend->mode != DF_ASTRA_ANALYTICAL;
}

int64_t df_cfg_workers(const df_cfg *cfg)
{
    return cfg->system.num_nodes * cfg->system.num_devices_per_node;
}

double df_cfg_given_j(double value_j)
{
    return value_j == DF_CFG_ABSENT_J ? 0.0 : value_j;
}
