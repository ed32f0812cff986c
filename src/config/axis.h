/* axis.h: the axes of parallelism, one row each: what files, columns and flags call them.
 *
 * Everything that carries a degree for each axis (scheduling_param, strategies, rows of
 * results.h5, the report) is an array over this table, so that a new axis is a new row. */
#ifndef DF_AXIS_H
#define DF_AXIS_H
#include <stddef.h>

typedef enum {
    DF_AXIS_DP,  /* replicas */
    DF_AXIS_LP,  /* pipeline stages */
    DF_AXIS_TP,  /* tensor parallelism */
    DF_AXIS_CP,  /* context parallelism */
    DF_AXIS_KP1, /* kernel parallelism of GEMMs and LSTMs, first dimension */
    DF_AXIS_KP2, /* second dimension */
    DF_AXES
} df_axis;

typedef struct {
    const char *name;    /* name in YAML keys, columns and flags: "dp" */
    const char *alias;   /* the literature's word, accepted beside it: "pp"; NULL: there is none */
    const char *inter;   /* "dp_inter" */
    const char *meaning; /* "data-parallel replicas" */
} df_axis_row;

extern const df_axis_row df_axis_table[DF_AXES];

/* What a word stands for: "pp" for "lp", "pp_inter" for "lp_inter", any other for itself. */
const char *df_axis_name_of(const char *word);

#endif
