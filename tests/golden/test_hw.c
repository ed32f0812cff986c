/* Devices from technology and budgets, against recorded ones. */
#include <string.h>

#include "golden/cases.h"
#include "hw/hw.h"

typedef struct {
    const char *name;
    size_t offset;
} field;

static const field core_fields[] = {
    {"num_mcu", offsetof(df_hw_core, num_mcu)},
    {"num_bundle", offsetof(df_hw_core, num_bundle)},
    {"operating_voltage", offsetof(df_hw_core, operating_voltage_v)},
    {"operating_freq", offsetof(df_hw_core, operating_freq_hz)},
    {"operating_throughput", offsetof(df_hw_core, operating_throughput_flops_ps)},
    {"throughput", offsetof(df_hw_core, throughput_flops_ps)},
    {NULL, 0},
};

static const field mem_fields[] = {
    {"size", offsetof(df_hw_mem, size_bytes)},
    {"size_per_bundle", offsetof(df_hw_mem, size_per_bundle_bytes)},
    {"tile_dim", offsetof(df_hw_mem, tile_dim)},
    {"dynamic_throughput", offsetof(df_hw_mem, dynamic_throughput_bytes_ps)},
    {"throughput", offsetof(df_hw_mem, throughput_bytes_ps)},
    {"latency", offsetof(df_hw_mem, latency_s)},
    {"num_banks", offsetof(df_hw_mem, num_units)},
    {"num_stacks", offsetof(df_hw_mem, num_units)},
    {"bank_bw", offsetof(df_hw_mem, unit_bw_bytes_ps)},
    {"stack_bw", offsetof(df_hw_mem, unit_bw_bytes_ps)},
    {"num_links", offsetof(df_hw_mem, num_links)},
    {"operating_freq", offsetof(df_hw_mem, operating_freq_hz)},
    {"operating_voltage", offsetof(df_hw_mem, operating_voltage_v)},
    {NULL, 0},
};

static const field net_fields[] = {
    {"num_links", offsetof(df_hw_net, num_links)},
    {"operating_freq", offsetof(df_hw_net, operating_freq_hz)},
    {"operating_voltage", offsetof(df_hw_net, operating_voltage_v)},
    {"throughput", offsetof(df_hw_net, throughput_bytes_ps)},
    {"latency", offsetof(df_hw_net, latency_s)},
    {NULL, 0},
};

static bool field_value(const field *fields, const void *part, const char *key, double *number)
{
    for (; fields->name; fields++) {
        if (strcmp(fields->name, key) == 0) {
            memcpy(number, (const char *)part + fields->offset, sizeof *number);
            return true;
        }
    }
    return false;
}

static bool mem_value(const df_hw_mem *mem, const char *key, double *number, const char **text)
{
    if (strcmp(key, "type") == 0) {
        *text = df_mem_type_name(mem->type);
        return true;
    }
    if (strcmp(key, "scope") == 0) {
        *text = df_scope_name(mem->scope);
        return true;
    }
    return field_value(mem_fields, mem, key, number);
}

static bool device_value(
    const void *result, const char *group, const char *key, double *number, const char **text)
{
    const df_hw_device *dev = result;
    static const char *const LEVELS[DF_HW_LEVELS] = {"memory[0]", "memory[1]", "memory[2]",
                                                     "memory[3]"};
    for (int level = 0; level < DF_HW_LEVELS; level++) {
        if (strcmp(group, LEVELS[level]) == 0) {
            return mem_value(&dev->mem[level], key, number, text);
        }
    }
    if (strcmp(group, "core") == 0) {
        return field_value(core_fields, &dev->core, key, number);
    }
    if (strcmp(group, "network.intra") == 0) {
        return field_value(net_fields, &dev->intra, key, number);
    }
    return strcmp(group, "network.inter") == 0 && field_value(net_fields, &dev->inter, key, number);
}

static bool check_device(const df_case *c, void *context)
{
    const df_rules *rules = context;
    df_cfg cfg;
    df_hw_device dev;
    df_err err = {""};
    df_status status = df_cfg_parse(&(df_cfg_text){c->hardware, c->name}, NULL,
                                    DF_CFG_NEED_HARDWARE | DF_CFG_ANY_BUDGETS, &cfg, &err);
    if (status == DF_OK) {
        status = df_hw_derive(&cfg, rules, &dev, &err);
    }
    if (c->refused) {
        return (status == DF_EINVAL || status == DF_INFEASIBLE) && *err.text != '\0';
    }
    if (status != DF_OK) {
        print_error("%s: %s\n", c->name, err.text);
        return false;
    }
    return df_case_compare(c, device_value, &dev, 1e-9);
}

static void recorded_devices_are_met(void **state)
{
    (void)state;
    df_rules rules = df_rules_reference();
    assert_int_equal(df_cases_check("hw.txt", check_device, &rules), 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_devices_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
