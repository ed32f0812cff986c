/* energy.h: the energy of an inference's pass as the Python DeepFlow counts it. */
#ifndef DF_COMPAT_ENERGY_H
#define DF_COMPAT_ENERGY_H
#include "base/units.h"
#include "compat/compat.h"

/* Of one device and one layer (rule llm_energy_one_layer), from a table's counted figures. */
double df_compat_pass_energy_j(const df_rules *rules,
                               const df_cfg_tech *tech,
                               const df_compat_case *of,
                               const df_breakdown *table);

#endif
