/* energy.h: energy of a run on all devices: a sum over priced operators. */
#ifndef DF_ENERGY_H
#define DF_ENERGY_H
#include "cost/cost.h"

typedef struct {
    double compute_j;
    double memory_j[DF_HW_LEVELS]; /* [0] registers, [3] DRAM */
    double network_j;
    double static_j; /* leakage of the memories while it runs */
    double total_j;
} df_energy;

/* What a device's work costs; 0 where the file gives no energy. */
typedef struct {
    double flop_j, byte_j[DF_HW_LEVELS];
    double sent_byte_j[DF_AXES]; /* along each axis; collectives have their own (df_price) */
    double leakage_w[DF_HW_LEVELS];
} df_tariff;

/* How often the operators of a list run, on all devices together. */
typedef struct {
    double layer, once;   /* those of a layer, and those beside the layers */
    bool backward;        /* the backward half also runs */
    bool layer_again;     /* forward work that is recomputed: the whole layer, */
    bool attention_again; /* or the products of attention and its softmax */
} df_energy_runs;

void df_energy_add_ops(const df_tariff *tariff,
                       const df_ops *ops,
                       const df_price price[],
                       const df_energy_runs *runs,
                       df_energy *energy);

/* Adds `times` the work of one device and what it sends. */
void df_energy_add_work(const df_tariff *tariff,
                        const df_price *price,
                        double times,
                        df_energy *energy);

/* Adds `times` the energy of `part`, all but its leakage and total. */
void df_energy_add(df_energy *sum, const df_energy *part, double times);

/* The sum of compute, memories and network. */
double df_energy_dynamic_j(const df_energy *energy);

/* Adds what leaks on `devices` in time_s, and fills the total. */
void df_energy_finish(const df_tariff *tariff, double devices, double time_s, df_energy *energy);

#endif
