/* rows.h: inside the store. The rows as they lie in the file, and their HDF5 types. */
#ifndef DF_STORE_ROWS_H
#define DF_STORE_ROWS_H
#include <hdf5.h>

#include "store/store.h"

enum {
    DF_ROW_STATUS = 16,
    DF_ROW_WORD = 12,
    DF_ROW_REASON = DF_STORE_REASON,
    /* kp_type, the degrees, and the other options, aligned as members of a struct are */
    DF_ROW_FIELDS = 4 + 8 * DF_AXES + 64,
};

typedef struct {
    int32_t strategy_id;
    unsigned char fields[DF_ROW_FIELDS]; /* options of the strategy, by their table; read with
                                            df_strategy_from_row */
    char layout[DF_LAYOUT_AXES];
    int64_t inter_derate, intra_derate;
    uint8_t
        inter[DF_LAYOUT_AXES]; /* whether each axis that layouts place leaves a wafer or a node */
    int64_t wafer_dim, num_wafer, devices_per_node, num_worker;
    uint8_t feasible;
    char reason[DF_ROW_REASON];
} df_strategy_row;

typedef struct {
    int64_t work_id;
    int32_t strategy_id, index;
    char status[DF_ROW_STATUS];
    int32_t iterations;
    uint32_t checksum; /* df_row_checksum; 0: pending */
    int64_t evaluations;
    double start_time_s, best_time_s, best_value, memory_overflow;
    double energy_j, power_w, area_mm2, memory_bytes, tokens_ps;
    double best[DF_PARAMS];
} df_search_row;

typedef struct {
    int64_t work_id;
    int32_t iteration;
    uint8_t used; /* 0: the descent had fewer iterates */
    double time_s, memory_overflow;
    double point[DF_PARAMS];
} df_iterate_row;

typedef struct {
    int64_t work_id; /* -1: not used */
    int32_t strategy_id, index;
    double figure[DF_GOALS];
} df_pareto_row;

/* Types of the rows in memory; negative on failure. The caller closes them. */
hid_t df_strategy_row_type(void);
hid_t df_search_row_type(void);
hid_t df_iterate_row_type(void);
hid_t df_pareto_row_type(void);

void df_strategy_to_row(const df_store_strategy *strategy, df_strategy_row *row);
/* The reason stays the row's. A degree of 0 is that of a column which the file lacks: it is 1
 * where the strategy may have such a degree. False: a word in the row is unknown. */
bool df_strategy_from_row(const df_strategy_row *row, df_store_strategy *strategy);
/* The checksum is left 0. */
void df_search_to_row(const df_store_search *search, df_search_row *row);
void df_row_set_status(df_search_row *row, df_search_status status);
/* CRC-32 (of zlib) of a row without its checksum, and of the rows of its iterates behind it. */
uint32_t df_row_checksum(const df_search_row *row, const df_iterate_row *iterates, int32_t count);
/* False: the row's status is unknown. The start point is left 0. */
bool df_search_from_row(const df_search_row *row, df_store_search *search);
void df_iterate_to_row(int64_t work_id, const df_iterate *iterate, df_iterate_row *row);

#endif
