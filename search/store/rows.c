#include "store/rows.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static hid_t text_type(size_t size)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && H5Tset_size(type, size) < 0) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static bool add(hid_t type, const char *name, size_t offset, hid_t member)
{
    return H5Tinsert(type, name, offset, member) >= 0;
}

/* Takes over the member's type. */
static bool add_and_close(hid_t type, const char *name, size_t offset, hid_t member)
{
    const bool added = member >= 0 && add(type, name, offset, member);
    if (member >= 0) {
        H5Tclose(member);
    }
    return added;
}

static bool add_text(hid_t type, const char *name, size_t offset, size_t size)
{
    return add_and_close(type, name, offset, text_type(size));
}

/* One column for each searched parameter. */
static bool add_point(hid_t type, size_t offset)
{
    bool added = true;
    for (size_t i = 0; i < DF_PARAMS; i++) {
        added =
            added && add(type, df_param_names[i], offset + i * sizeof(double), H5T_NATIVE_DOUBLE);
    }
    return added;
}

/* Closes the type and gives an invalid one, unless all members were added. */
static hid_t whole(hid_t type, bool added)
{
    if (type >= 0 && !added) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

/* ---- Strategies: their types ---- */

/* Where a field of the strategy lies in a row. */
typedef struct {
    df_strategy_field field;
    size_t at;
} place;

/* How fields of each kind lie in a row, and which type their column has (the caller closes it). */
typedef struct {
    size_t size, step; /* step: it begins at a multiple of that */
    hid_t (*type)(void);
    void (*write)(const df_strategy_field *field, int64_t value, void *to);
    /* false: it is an enum, and this is none of its values */
    bool (*read)(const df_strategy_field *field, const void *from, int64_t *value);
} storage;

static hid_t whole_type(void)
{
    return H5Tcopy(H5T_NATIVE_INT64);
}

static void write_whole(const df_strategy_field *field, int64_t value, void *to)
{
    (void)field;
    memcpy(to, &value, sizeof value);
}

static bool read_whole(const df_strategy_field *field, const void *from, int64_t *value)
{
    (void)field;
    memcpy(value, from, sizeof *value);
    return true;
}

static hid_t truth_type(void)
{
    return H5Tcopy(H5T_NATIVE_UINT8);
}

static void write_truth(const df_strategy_field *field, int64_t value, void *to)
{
    const uint8_t truth = value != 0;
    (void)field;
    memcpy(to, &truth, sizeof truth);
}

static bool read_truth(const df_strategy_field *field, const void *from, int64_t *value)
{
    uint8_t truth;
    (void)field;
    memcpy(&truth, from, sizeof truth);
    *value = truth != 0;
    return true;
}

static hid_t word_type(void)
{
    return text_type(DF_ROW_WORD);
}

static void write_word(const df_strategy_field *field, int64_t value, void *to)
{
    snprintf(to, DF_ROW_WORD, "%s", df_opt_word_of(field->words, (double)value));
}

static bool read_word(const df_strategy_field *field, const void *from, int64_t *value)
{
    char word[DF_ROW_WORD + 1] = "";
    memcpy(word, from, DF_ROW_WORD);
    return df_strategy_word_value(field, word, value);
}

static hid_t code_type(void)
{
    return H5Tcopy(H5T_NATIVE_INT32);
}

static void write_code(const df_strategy_field *field, int64_t value, void *to)
{
    const int32_t code = (int32_t)value;
    (void)field;
    memcpy(to, &code, sizeof code);
}

static bool read_code(const df_strategy_field *field, const void *from, int64_t *value)
{
    int32_t code;
    memcpy(&code, from, sizeof code);
    *value = code;
    return df_opt_word_of(field->words, code) != NULL;
}

static const storage storages[] = {
    [DF_FIELD_WHOLE] = {sizeof(int64_t), sizeof(int64_t), whole_type, write_whole, read_whole},
    [DF_FIELD_TRUTH] = {sizeof(uint8_t), sizeof(uint8_t), truth_type, write_truth, read_truth},
    [DF_FIELD_WORD] = {DF_ROW_WORD, 1, word_type, write_word, read_word},
    [DF_FIELD_CODE] = {sizeof(int32_t), sizeof(int32_t), code_type, write_code, read_code}};

/* Fields follow one another, numbers at multiples of their size. */
static void place_fields(place places[DF_STRATEGY_FIELDS])
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    size_t end = offsetof(df_strategy_row, fields);
    df_strategy_columns(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const storage *const how = &storages[fields[i].kind];
        const size_t at = (end + how->step - 1) / how->step * how->step;
        places[i] = (place){fields[i], at};
        end = at + how->size;
    }
    assert(end == offsetof(df_strategy_row, fields) + DF_ROW_FIELDS);
}

static bool add_field(hid_t type, const place *p)
{
    return add_and_close(type, p->field.name, p->at, storages[p->field.kind].type());
}

#define AT(field) offsetof(df_strategy_row, field)

static bool add_layout(hid_t type)
{
    const df_axis *const axes = df_strategy_placed(DF_STRATEGY_KERNELS);
    bool added = add_text(type, "layout", AT(layout), DF_LAYOUT_AXES) &&
                 add(type, "inter_derate", AT(inter_derate), H5T_NATIVE_INT64) &&
                 add(type, "intra_derate", AT(intra_derate), H5T_NATIVE_INT64);
    for (size_t i = 0; i < DF_LAYOUT_AXES; i++) {
        added = added && add(type, df_axis_table[axes[i]].inter, AT(inter) + i, H5T_NATIVE_UINT8);
    }
    return added;
}

hid_t df_strategy_row_type(void)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(df_strategy_row));
    place places[DF_STRATEGY_FIELDS];
    bool added = add(type, "strategy_id", AT(strategy_id), H5T_NATIVE_INT32);
    place_fields(places);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        added = added && add_field(type, &places[i]);
    }
    return whole(type, added && add_layout(type) &&
                           add(type, "wafer_dim", AT(wafer_dim), H5T_NATIVE_INT64) &&
                           add(type, "num_wafer", AT(num_wafer), H5T_NATIVE_INT64) &&
                           add(type, "devices_per_node", AT(devices_per_node), H5T_NATIVE_INT64) &&
                           add(type, "num_worker", AT(num_worker), H5T_NATIVE_INT64) &&
                           add(type, "feasible", AT(feasible), H5T_NATIVE_UINT8) &&
                           add_text(type, "reason", AT(reason), DF_ROW_REASON));
}

/* ---- Types of the other rows ---- */

#undef AT
#define AT(field) offsetof(df_search_row, field)

hid_t df_search_row_type(void)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(df_search_row));
    return whole(type, add(type, "work_id", AT(work_id), H5T_NATIVE_INT64) &&
                           add(type, "strategy_id", AT(strategy_id), H5T_NATIVE_INT32) &&
                           add(type, "index", AT(index), H5T_NATIVE_INT32) &&
                           add_text(type, "status", AT(status), DF_ROW_STATUS) &&
                           add(type, "iterations", AT(iterations), H5T_NATIVE_INT32) &&
                           add(type, "checksum", AT(checksum), H5T_NATIVE_UINT32) &&
                           add(type, "evaluations", AT(evaluations), H5T_NATIVE_INT64) &&
                           add(type, "start_time_s", AT(start_time_s), H5T_NATIVE_DOUBLE) &&
                           add(type, "best_time_s", AT(best_time_s), H5T_NATIVE_DOUBLE) &&
                           add(type, "best_value", AT(best_value), H5T_NATIVE_DOUBLE) &&
                           add(type, "memory_overflow", AT(memory_overflow), H5T_NATIVE_DOUBLE) &&
                           add(type, "energy_j", AT(energy_j), H5T_NATIVE_DOUBLE) &&
                           add(type, "power_w", AT(power_w), H5T_NATIVE_DOUBLE) &&
                           add(type, "area_mm2", AT(area_mm2), H5T_NATIVE_DOUBLE) &&
                           add(type, "memory_bytes", AT(memory_bytes), H5T_NATIVE_DOUBLE) &&
                           add(type, "tokens_ps", AT(tokens_ps), H5T_NATIVE_DOUBLE) &&
                           add_point(type, AT(best)));
}

#undef AT
#define AT(field) offsetof(df_iterate_row, field)

hid_t df_iterate_row_type(void)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(df_iterate_row));
    return whole(type, add(type, "work_id", AT(work_id), H5T_NATIVE_INT64) &&
                           add(type, "iteration", AT(iteration), H5T_NATIVE_INT32) &&
                           add(type, "used", AT(used), H5T_NATIVE_UINT8) &&
                           add(type, "time_s", AT(time_s), H5T_NATIVE_DOUBLE) &&
                           add(type, "memory_overflow", AT(memory_overflow), H5T_NATIVE_DOUBLE) &&
                           add_point(type, AT(point)));
}

#undef AT
#define AT(field) offsetof(df_pareto_row, field)

hid_t df_pareto_row_type(void)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(df_pareto_row));
    bool added = add(type, "work_id", AT(work_id), H5T_NATIVE_INT64) &&
                 add(type, "strategy_id", AT(strategy_id), H5T_NATIVE_INT32) &&
                 add(type, "index", AT(index), H5T_NATIVE_INT32);
    for (size_t goal = 0; goal < DF_GOALS; goal++) {
        added = added && add(type, df_goal_columns[goal], AT(figure) + goal * sizeof(double),
                             H5T_NATIVE_DOUBLE);
    }
    return whole(type, added);
}

#undef AT

/* ---- To rows ---- */

static void write_field(const place *p, int64_t value, df_strategy_row *row)
{
    storages[p->field.kind].write(&p->field, value, (unsigned char *)row + p->at);
}

/* Words of fields that the strategy does not have stay empty. */
static void write_fields(const df_strategy *s, df_strategy_row *row)
{
    const df_strategy_kind kind = df_strategy_kind_of(s);
    place places[DF_STRATEGY_FIELDS];
    place_fields(places);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const df_strategy_field *const field = &places[i].field;
        if ((field->of & kind) != 0 || field->kind != DF_FIELD_WORD) {
            write_field(&places[i], df_strategy_get(s, field), row);
        }
    }
}

void df_strategy_to_row(const df_store_strategy *s, df_strategy_row *row)
{
    char layout[DF_LAYOUT_AXES + 1];
    memset(row, 0,
           sizeof *row); /* padding and texts included, so that the bytes are the same each time */
    df_layout_name(&s->layout, layout);
    row->strategy_id = s->strategy_id;
    write_fields(&s->strategy, row);
    memcpy(row->layout, layout, DF_LAYOUT_AXES);
    row->inter_derate = s->layout.inter_derate;
    row->intra_derate = s->layout.intra_derate;
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        row->inter[axis] = s->layout.inter[axis];
    }
    row->wafer_dim = s->size.wafer_dim;
    row->num_wafer = s->size.num_wafer;
    row->devices_per_node = s->size.devices_per_node;
    row->num_worker = s->size.num_worker;
    row->feasible = s->feasible;
    snprintf(row->reason, sizeof row->reason, "%s", s->reason ? s->reason : "");
}

void df_search_to_row(const df_store_search *search, df_search_row *row)
{
    const df_descent *const d = &search->descent;
    memset(row, 0, sizeof *row);
    row->work_id = search->work_id;
    row->strategy_id = search->strategy_id;
    row->index = search->index;
    df_row_set_status(row, d->status);
    row->iterations = d->iterations;
    row->evaluations = d->evaluations;
    row->start_time_s = d->start_time_s;
    row->best_time_s = d->best_time_s;
    row->best_value = d->best_value;
    row->memory_overflow = d->memory_overflow;
    row->energy_j = d->metrics.energy_j;
    row->power_w = d->metrics.power_w;
    row->area_mm2 = d->metrics.area_mm2;
    row->memory_bytes = d->metrics.memory_bytes;
    row->tokens_ps = d->metrics.tokens_ps;
    memcpy(row->best, d->best.p, sizeof row->best);
}

void df_row_set_status(df_search_row *row, df_search_status status)
{
    memset(row->status, 0, sizeof row->status);
    snprintf(row->status, sizeof row->status, "%s", df_search_status_names[status]);
}

/* Processes four bits at a time; crc is the remainder so far. */
static uint32_t crc32_more(uint32_t crc, const void *bytes, size_t size)
{
    /* remainders of 0..15 by the polynomial 0xEDB88320 */
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *const at = bytes;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ at[i]) & 15] ^ (crc >> 4);
        crc = table[(crc ^ (at[i] >> 4)) & 15] ^ (crc >> 4);
    }
    return crc;
}

uint32_t df_row_checksum(const df_search_row *row, const df_iterate_row *iterates, int32_t count)
{
    df_search_row bare = *row;
    bare.checksum = 0;
    const uint32_t crc = crc32_more(UINT32_MAX, &bare, sizeof bare);
    return ~crc32_more(crc, iterates, (size_t)count * sizeof *iterates);
}

bool df_search_from_row(const df_search_row *row, df_store_search *search)
{
    df_descent *const d = &search->descent;
    memset(search, 0, sizeof *search);
    search->work_id = row->work_id;
    search->strategy_id = row->strategy_id;
    search->index = row->index;
    d->iterations = row->iterations;
    d->evaluations = row->evaluations;
    d->start_time_s = row->start_time_s;
    d->best_time_s = row->best_time_s;
    d->best_value = row->best_value;
    d->memory_overflow = row->memory_overflow;
    d->metrics = (df_eval_metrics){.energy_j = row->energy_j,
                                   .power_w = row->power_w,
                                   .area_mm2 = row->area_mm2,
                                   .memory_bytes = row->memory_bytes,
                                   .tokens_ps = row->tokens_ps};
    memcpy(d->best.p, row->best, sizeof row->best);
    for (int status = DF_SEARCH_PENDING; status <= DF_SEARCH_INFEASIBLE; status++) {
        if (strncmp(row->status, df_search_status_names[status], sizeof row->status) == 0) {
            d->status = (df_search_status)status;
            return true;
        }
    }
    return false;
}

void df_iterate_to_row(int64_t work_id, const df_iterate *iterate, df_iterate_row *row)
{
    memset(row, 0, sizeof *row);
    row->work_id = work_id;
    row->iteration = iterate->iteration;
    row->used = 1;
    row->time_s = iterate->result.time_s;
    row->memory_overflow = iterate->result.memory_overflow;
    memcpy(row->point, iterate->point.p, sizeof row->point);
}

/* ---- And back ---- */

static bool read_field(const place *p, const df_strategy_row *row, int64_t *value)
{
    return storages[p->field.kind].read(&p->field, (const unsigned char *)row + p->at, value);
}

/* Degrees come before the options, tp before the other ones that only LLMs have. */
static bool read_fields(const df_strategy_row *row, df_strategy *s)
{
    place places[DF_STRATEGY_FIELDS];
    bool known = true;
    place_fields(places);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        const df_strategy_field *const field = &places[i].field;
        const bool has = (field->of & df_strategy_kind_of(s)) != 0;
        int64_t value = field->absent;
        if (has || field->kind != DF_FIELD_WORD) {
            known = read_field(&places[i], row, &value) && known;
        }
        const bool missing = has && value == 0 && field->low > 0;
        df_strategy_set(s, field, missing ? field->preset : value);
    }
    return known;
}

bool df_strategy_from_row(const df_strategy_row *row, df_store_strategy *s)
{
    memset(s, 0, sizeof *s);
    s->strategy_id = row->strategy_id;
    bool known = read_fields(row, &s->strategy);
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        const int digit = row->layout[axis] - '0';
        known = known && digit >= 0 && digit < DF_LAYOUT_AXES;
        s->layout.order[axis] = known ? digit : 0;
        s->layout.inter[axis] = row->inter[axis] != 0;
    }
    s->layout.inter_derate = row->inter_derate;
    s->layout.intra_derate = row->intra_derate;
    s->layout.feasible = row->feasible != 0;
    s->layout.reason = row->reason;
    s->size = (df_system_size){.num_wafer = row->num_wafer,
                               .wafer_dim = row->wafer_dim,
                               .devices_per_node = row->devices_per_node,
                               .num_worker = row->num_worker};
    s->feasible = row->feasible != 0;
    s->reason = row->reason;
    return known;
}
