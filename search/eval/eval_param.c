#include "eval/eval.h"

const char *const df_param_names[DF_PARAMS] = {
    "area_core",
    "area_DRAM",
    "area_L2",
    "area_L1",
    "area_reg_mem",
    "area_intra_node",
    "area_inter_node",
    "power_core",
    "power_DRAM",
    "power_L2",
    "power_L1",
    "power_reg_mem",
    "power_intra_node",
    "power_inter_node",
    "perimeter_DRAM",
    "perimeter_inter_node",
    "perimeter_intra_node",
};

const int df_class_begin[DF_CLASSES + 1] = {DF_P_AREA_CORE, DF_P_POWER_CORE, DF_P_PERIM_DRAM,
                                            DF_PARAMS};
