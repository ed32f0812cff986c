#include "config/axis.h"

#include <string.h>

const df_axis_row df_axis_table[DF_AXES] = {
    [DF_AXIS_DP] = {"dp", NULL, "dp_inter", "data-parallel replicas"},
    [DF_AXIS_LP] = {"lp", "pp", "lp_inter", "pipeline stages"},
    [DF_AXIS_TP] = {"tp", NULL, "tp_inter", "tensor-parallel devices"},
    [DF_AXIS_CP] = {"cp", NULL, "cp_inter", "context-parallel devices"},
    [DF_AXIS_KP1] = {"kp1", NULL, "kp1_inter", "kernel-parallel devices, first dimension"},
    [DF_AXIS_KP2] = {"kp2", NULL, "kp2_inter", "kernel-parallel devices, second dimension"},
};

const char *df_axis_name_of(const char *word)
{
    for (int axis = 0; axis < DF_AXES; axis++) {
        const df_axis_row *const row = &df_axis_table[axis];
        const size_t length = row->alias ? strlen(row->alias) : 0;
        if (length == 0 || strncmp(word, row->alias, length) != 0) {
            continue;
        }
        if (word[length] == '\0') {
            return row->name;
        }
        if (strcmp(word + length, "_inter") == 0) {
            return row->inter;
        }
    }
    return word;
}
