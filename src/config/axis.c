#include "config/axis.h"

const df_axis_row df_axis_table[DF_AXES] = {
    [DF_AXIS_DP] = {"dp", NULL, "dp_inter", "data-parallel replicas"},
    [DF_AXIS_LP] = {"lp", "pp", "lp_inter", "pipeline stages"},
    [DF_AXIS_TP] = {"tp", NULL, "tp_inter", "tensor-parallel devices"},
    [DF_AXIS_CP] = {"cp", NULL, "cp_inter", "context-parallel devices"},
    [DF_AXIS_KP1] = {"kp1", NULL, "kp1_inter", "kernel-parallel devices, first dimension"},
    [DF_AXIS_KP2] = {"kp2", NULL, "kp2_inter", "kernel-parallel devices, second dimension"},
};
