/* spec.h: the description of a search, one YAML file. It says what is searched, from which starting
 * points, how, for which objective and under which constraints. One table of options drives
 * reading, checking and `deepflow help search`. */
#ifndef DF_SPEC_H
#define DF_SPEC_H
#include <stdio.h>

#include "grad/grad.h"
#include "strategy/strategy.h"

enum { DF_SPEC_TEXT = 1024 };

/* What a file left out keeps the value that the caller put there. */
typedef struct {
    /* files, as from where the program runs; "": not given */
    char exp_config[DF_SPEC_TEXT], hardware_config[DF_SPEC_TEXT], model_config[DF_SPEC_TEXT];
    char rules[DF_SPEC_TEXT], objective[DF_SPEC_TEXT]; /* in the form that the flags take */
    df_optimizer optimizer;
    df_start_kind starts;
    int64_t num_search, iterations;
    int64_t batch_size, hidden_dim; /* 0: the model's */
    bool fix_hardware, ignore_memory, trajectory;
    df_int_list num_wafer, wafer_dim, num_nodes, devices_per_node;
    int64_t num_worker;
    df_eval_limits limits;
    df_param_range range[DF_PARAMS];
    df_strategy_space space;
} df_spec;

/* Reads a file into *spec; its paths are relative to its folder.
 * DF_EINVAL: "FILE:LINE: KEY: expected ..., found ...". */
DF_NODISCARD df_status df_spec_load(const char *path, df_spec *spec, df_err *err);

/* Prints the table. */
void df_spec_print_help(FILE *out);

#endif
