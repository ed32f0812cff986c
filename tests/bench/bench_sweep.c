/* Whole searches by the program, on one rank and on two: evaluations by /provenance. */
#include <stdio.h>
#include <stdlib.h>

#include <hdf5.h>

#include "bench/bench.h"

#define LLM                                                                                        \
    "--hardware_config " DF_CONFIGS "/hardware/h100_sxm.yaml --model_config " DF_CONFIGS           \
    "/model/llama2_7b.yaml --fix_hardware --batch_size 1024 --num_nodes 64 --devices_per_node 8 "

enum { COMMAND = 4096, TRIES = 3 };

static const double TARGET_LSTM_PS = 50000;
static const double TARGET_LLM_PS = 20000;
static const double TARGET_TWO_RANKS = 1.9;

static double read_number(hid_t file, const char *name)
{
    double value = 0;
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0 ||
        H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) < 0) {
        df_bench_stop(&(df_err){"results.h5 cannot be read"});
    }
    H5Dclose(dataset);
    return value;
}

/* Evaluations a second of the best of some runs. */
static double search_ps(int ranks, const char *dir, const char *flags)
{
    char command[COMMAND];
    char path[256];
    double best = 0;
    snprintf(command, sizeof command,
             "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
             "OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -n %d " DF_BIN
             " arch_search %s --top 0 --overwrite --exp_dir %s >%s/log 2>&1",
             ranks, flags, dir, dir);
    snprintf(path, sizeof path, "%s/results.h5", dir);
    for (int i = 0; i < TRIES; i++) {
        if (system(command) != 0) { /* NOLINT(cert-env33-c): a benchmark of our own program */
            df_bench_stop(&(df_err){"arch_search failed; its log is in its folder below /tmp"});
        }
        const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
        const double rate =
            read_number(file, "/provenance/evaluations") / read_number(file, "/provenance/wall_s");
        H5Fclose(file);
        best = rate > best ? rate : best;
    }
    return best;
}

void df_bench_sweep(void)
{
    static const char lstm[] =
        "--exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --wafer_dim 4 --num_search 12";
    char dir[] = "/tmp/df_bench_XXXXXX";
    if (!mkdtemp(dir)) {
        df_bench_stop(&(df_err){"/tmp: no folder can be made"});
    }
    puts("arch_search as a whole, by /provenance");
    const double one = search_ps(1, dir, lstm);
    const double two = search_ps(2, dir, lstm);
    const double strategies = search_ps(1, dir, LLM "--rules corrected");
    const double reference = search_ps(1, dir, LLM "--rules reference");
    df_bench_print("  LSTM with devices, evaluations on one rank", one, "1/s",
                   one / TARGET_LSTM_PS);
    df_bench_print("  the same on two ranks, relative to one", two / one, "",
                   two / one / TARGET_TWO_RANKS);
    df_bench_print("  strategies of an LLM on fixed hardware, one rank", strategies, "1/s",
                   strategies / TARGET_LLM_PS);
    df_bench_print("  the same by the rules of the reference", reference, "1/s",
                   reference / TARGET_LLM_PS);
    char command[COMMAND];
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command) != 0) { /* NOLINT(cert-env33-c) */
        df_bench_stop(&(df_err){"the folder below /tmp cannot be removed"});
    }
}
