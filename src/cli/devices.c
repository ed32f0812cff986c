/* `deepflow help devices`: the device files that come with the program. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amount.h"
#include "base/data_dir.h"
#include "cli.h"
#include "commands.h"
#include "hw/hw.h"

enum { BASIS_ROOM = 32 };

static const char *basis_text(const df_cfg *cfg, char text[BASIS_ROOM])
{
    static const char *const words[] = {[DF_BASIS_MEASURED] = "measured",
                                        [DF_BASIS_SISTER] = "sister of",
                                        [DF_BASIS_RULE] = "rule,"};
    const df_basis basis = df_cfg_basis(cfg);
    snprintf(text, BASIS_ROOM, "%s%s%s", words[basis], basis == DF_BASIS_MEASURED ? "" : " ",
             basis == DF_BASIS_MEASURED ? "" : df_arch_name(cfg->calibration.like));
    return text;
}

/* The first line of the file, which is a comment, without what says so. */
static const char *title_of(char *text)
{
    const char *const title = text + strspn(text, "# ");
    text[strcspn(text, "\n")] = '\0';
    return title;
}

static df_status print_device(const char *name, const char *path, df_err *err)
{
    df_rules rules;
    df_cfg cfg;
    df_hw_device dev;
    char *text;
    char size[DF_AMOUNT];
    char rate[DF_AMOUNT];
    char basis[BASIS_ROOM];
    DF_TRY(df_rules_parse(DF_RULES_DEFAULT, &rules, err));
    DF_TRY(df_cfg_load(path, NULL, DF_CFG_NEED_HARDWARE, &cfg, err));
    DF_TRY(df_hw_derive(&cfg, &rules, &dev, err));
    DF_TRY(df_cfg_read_text(path, &text, err));
    const df_hw_mem *const dram = &dev.mem[DF_HW_LEVELS - 1];
    printf("%-17s %7" PRId64 " %8.5g Tflop/s %9s %11s  %-14s  %s\n", name, df_cfg_workers(&cfg),
           dev.core.operating_throughput_flops_ps / 1e12, df_size_text(dram->size_bytes, size),
           df_rate_text(dram->throughput_bytes_ps, rate), basis_text(&cfg, basis), title_of(text));
    free(text);
    return DF_OK;
}

int df_cmd_help_devices(void)
{
    char folder[DF_DATA_PATH];
    df_cfg_devices list;
    df_err err;
    df_status status = df_data_find("configs/hardware", folder, &err);
    if (status == DF_OK) {
        status = df_cfg_list_devices(&list, &err);
    }
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    puts(
        "A hardware or combined file that says `device: NAME` at its top takes from the file of "
        "that\nname, in configs/hardware, what it leaves out. The peak is that of the matrix units "
        "in the\nformat of 16 bits, dense. Constants: what the card reaches of its data sheet is "
        "measured there,\nor on a sister with the same chip, or taken from another by rule.\n");
    printf("%-17s %7s %16s %9s %11s  %-14s\n", "name", "devices", "peak", "memory", "bandwidth",
           "constants");
    for (int i = 0; i < list.count; i++) {
        char path[DF_DATA_PATH + DF_CFG_DEVICE_NAME + 8];
        snprintf(path, sizeof path, "%s/%s.yaml", folder, list.name[i]);
        if (print_device(list.name[i], path, &err) != DF_OK) {
            printf("%-17s cannot be used: %s\n", list.name[i], err.text);
        }
    }
    return df_cli_finish(0);
}
