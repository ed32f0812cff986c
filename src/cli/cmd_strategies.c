#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "json_out.h"
#include "layout/layout.h"

typedef struct {
    df_system_size size;
    int64_t batch_size;
    const char *rules_text, *format;
    df_rules rules;
} strategies_args;

static bool read_args(int argc, char **argv, strategies_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_int("num_wafer", &a->size.num_wafer, 1, DF_SYSTEM_DEVICES_MAX, "number of wafers"),
        df_arg_int("wafer_dim", &a->size.wafer_dim, 1, 1024, "devices along a wafer's edge"),
        df_arg_int("num_worker", &a->size.num_worker, -1, DF_SYSTEM_DEVICES_MAX,
                   "number of devices that work; -1: all"),
        df_arg_int("batch_size", &a->batch_size, 0, DF_ARG_INT_MAX,
                   "leave out strategies with a larger dp; 0: leave out none"),
        df_arg_text(
            "rules", &a->rules_text,
            "calibrated (the default), corrected or reference, then exceptions (see `help rules`)"),
        df_arg_choice("format", &a->format, "text|csv|json", "how the result is printed"),
    };
    const df_command command = {
        "strategies", "lists the strategies and layouts that a sweep visits",
        "  deepflow strategies --num_wafer 1 --wafer_dim 4 --format csv\n\n"
        "`order` is the layout: the axes 0 kp1, 1 kp2, 2 dp, 3 lp, innermost first.\n"
        "A derate is the number of streams that share the busiest link.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Rows in three formats ---- */

/* The fields of strategies of kernels, which are the ones that are listed; returns how many. */
static int list_fields(df_strategy_field fields[DF_STRATEGY_FIELDS])
{
    int count = 0;
    df_strategy_terms(fields);
    for (int i = 0; i < DF_STRATEGY_FIELDS; i++) {
        if ((fields[i].of & DF_STRATEGY_KERNELS) != 0) {
            fields[count++] = fields[i];
        }
    }
    return count;
}

static const df_axis_row *axis_at(int place)
{
    return &df_axis_table[df_strategy_placed(DF_STRATEGY_KERNELS)[place]];
}

static void print_csv_layout(const df_layout *l)
{
    const bool feasible = l->feasible;
    if (feasible) {
        printf("%" PRId64 ",%" PRId64 ",", l->inter_derate, l->intra_derate);
    } else {
        fputs(",,", stdout);
    }
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        printf(feasible ? "%d," : ",", l->inter[i]);
    }
    if (feasible) {
        puts("1,");
    } else {
        printf("0,\"%s\"\n", l->reason);
    }
}

static void print_csv(const strategies_args *a, const df_strategy *s, const df_layout *l, int id)
{
    char order[DF_LAYOUT_AXES + 1];
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    const int count = list_fields(fields);
    df_layout_name(l, order);
    printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",", a->size.wafer_dim, a->size.num_wafer,
           df_system_workers(&a->size));
    for (int i = 0; i < count; i++) {
        printf("%" PRId64 ",", df_strategy_get(s, &fields[i]));
    }
    printf("%d,%s,", id, order);
    print_csv_layout(l);
}

static void print_text(const df_strategy *s, const df_layout *l)
{
    char name[64];
    char order[DF_LAYOUT_AXES + 1];
    df_strategy_name(s, name, sizeof name);
    df_layout_name(l, order);
    if (!l->feasible) {
        printf("%-22s %-6s %6s %6s  infeasible: %s\n", name, order, "-", "-", l->reason);
        return;
    }
    bool leaving = false;
    printf("%-22s %-6s %6" PRId64 " %6" PRId64 "  ", name, order, l->inter_derate, l->intra_derate);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        if (l->inter[i]) {
            printf("%s ", axis_at(i)->name);
            leaving = true;
        }
    }
    puts(leaving ? "" : "none");
}

static void
add_json(json_t *rows, const df_rules *rules, const df_strategy *s, const df_layout *l, int id)
{
    char order[DF_LAYOUT_AXES + 1];
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    const int count = list_fields(fields);
    json_t *const row = json_object();
    json_array_append_new(rows, row);
    df_layout_name(l, order);
    for (int i = 0; i < count; i++) {
        df_json_real(row, fields[i].name, (double)df_strategy_get(s, &fields[i]));
    }
    df_json_real(row, "layout_id", id);
    df_json_text(row, "order", order);
    df_json_real(row, "inter_derate", (double)l->inter_derate);
    df_json_real(row, "intra_derate", (double)l->intra_derate);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        df_json_bool(row, axis_at(i)->inter, l->inter[i]);
    }
    df_json_bool(row, "feasible", l->feasible);
    df_json_text(row, "reason", l->reason);
    df_json_rules(row, rules);
}

static void print_csv_header(void)
{
    df_strategy_field fields[DF_STRATEGY_FIELDS];
    const int count = list_fields(fields);
    fputs("wafer_dim,num_wafer,num_worker,", stdout);
    for (int i = 0; i < count; i++) {
        printf("%s,", fields[i].name);
    }
    fputs("layout_id,order,inter_derate,intra_derate,", stdout);
    for (int i = 0; i < DF_LAYOUT_AXES; i++) {
        printf("%s,", axis_at(i)->inter);
    }
    puts("feasible,reason");
}

static void print_header(char format)
{
    if (format == 'c') {
        print_csv_header();
    } else if (format == 't') {
        printf("%-22s %-6s %6s %6s  %s\n", "strategy", "order", "inter", "intra",
               "axes that leave a wafer");
    }
}

static df_status print_strategy(
    const strategies_args *a, const df_strategy *s, json_t *rows, int *feasible, df_err *err)
{
    df_layout layouts[DF_MAX_LAYOUTS];
    int count;
    DF_TRY(df_layout_list(&a->size, s, &a->rules, layouts, &count, err));
    for (int i = 0; i < count; i++) {
        *feasible += layouts[i].feasible;
        if (a->format[0] == 'j') {
            add_json(rows, &a->rules, s, &layouts[i], i);
        } else if (a->format[0] == 'c') {
            print_csv(a, s, &layouts[i], i);
        } else {
            print_text(s, &layouts[i]);
        }
    }
    return DF_OK;
}

int df_cmd_strategies(int argc, char **argv)
{
    strategies_args a = {
        .size = {1, 8, 0, -1}, .batch_size = 0, .rules_text = DF_RULES_DEFAULT, .format = "text"};
    df_strategy *list = NULL;
    size_t count = 0;
    int feasible = 0;
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    df_status status = df_rules_parse(a.rules_text, &a.rules, &err);
    if (status == DF_OK) {
        status = df_strategy_list(&a.size, a.batch_size, &a.rules, &list, &count, &err);
    }
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    json_t *const rows = json_array();
    print_header(a.format[0]);
    for (size_t i = 0; i < count && status == DF_OK; i++) {
        status = print_strategy(&a, &list[i], rows, &feasible, &err);
    }
    free(list);
    if (status == DF_OK && a.format[0] == 'j') {
        return df_json_print(rows);
    }
    json_decref(rows);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    if (a.format[0] == 't') {
        printf("%zu strategies, %d feasible layouts\n", count, feasible);
    }
    return df_cli_finish(0);
}
