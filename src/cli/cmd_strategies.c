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
        df_arg_int("num_wafer", &a->size.num_wafer, 1, DF_SYSTEM_DEVICES_MAX, "wafers"),
        df_arg_int("wafer_dim", &a->size.wafer_dim, 1, 1024, "devices along a wafer's edge"),
        df_arg_int("num_worker", &a->size.num_worker, -1, DF_SYSTEM_DEVICES_MAX,
                   "devices that work; -1: all"),
        df_arg_int("batch_size", &a->batch_size, 0, DF_ARG_INT_MAX,
                   "leave out strategies with a larger dp; 0: none"),
        df_arg_text("rules", &a->rules_text,
                    "corrected (the default) or reference, and exceptions (see `help rules`)"),
        df_arg_choice("format", &a->format, "text|csv|json", "how the result is printed"),
    };
    const df_command command = {
        "strategies", "the strategies and layouts that a sweep visits",
        "  deepflow strategies --num_wafer 1 --wafer_dim 4 --format csv\n\n"
        "`order` is the layout: the axes 0 kp1, 1 kp2, 2 dp, 3 lp, innermost first.\n"
        "Derates are the streams that share the busiest link.\n",
        args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* ---- Rows in three formats ---- */

static void print_csv(const strategies_args *a, const df_strategy *s, const df_layout *l, int id)
{
    char order[DF_LAYOUT_AXES + 1];
    df_layout_name(l, order);
    printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%d,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
           ",%d,%s,",
           a->size.wafer_dim, a->size.num_wafer, df_system_workers(&a->size), (int)s->kp_type,
           s->kp1, s->kp2, s->dp, s->lp, id, order);
    if (l->feasible) {
        printf("%" PRId64 ",%" PRId64 ",%d,%d,%d,%d,1,\n", l->inter_derate, l->intra_derate,
               l->inter[0], l->inter[1], l->inter[2], l->inter[3]);
    } else {
        printf(",,,,,,0,\"%s\"\n", l->reason);
    }
}

static void print_text(const df_strategy *s, const df_layout *l)
{
    char name[64];
    char order[DF_LAYOUT_AXES + 1];
    char leaving[DF_LAYOUT_AXES * 4 + 1] = "";
    static const char *const axes[] = {"kp1 ", "kp2 ", "dp ", "lp "};
    df_strategy_name(s, name, sizeof name);
    df_layout_name(l, order);
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        strncat(leaving, l->inter[axis] ? axes[axis] : "", sizeof leaving - strlen(leaving) - 1);
    }
    if (l->feasible) {
        printf("%-22s %-6s %6" PRId64 " %6" PRId64 "  %s\n", name, order, l->inter_derate,
               l->intra_derate, leaving[0] != '\0' ? leaving : "none");
    } else {
        printf("%-22s %-6s %6s %6s  infeasible: %s\n", name, order, "-", "-", l->reason);
    }
}

static void add_json(json_t *rows, const df_strategy *s, const df_layout *l, int id)
{
    static const char *const inter[] = {"kp1_inter", "kp2_inter", "dp_inter", "lp_inter"};
    char order[DF_LAYOUT_AXES + 1];
    json_t *const row = json_object();
    json_array_append_new(rows, row);
    df_layout_name(l, order);
    df_json_real(row, "kp_type", s->kp_type);
    df_json_real(row, "kp1", (double)s->kp1);
    df_json_real(row, "kp2", (double)s->kp2);
    df_json_real(row, "dp", (double)s->dp);
    df_json_real(row, "lp", (double)s->lp);
    df_json_real(row, "layout_id", id);
    df_json_text(row, "order", order);
    df_json_real(row, "inter_derate", (double)l->inter_derate);
    df_json_real(row, "intra_derate", (double)l->intra_derate);
    for (int axis = 0; axis < DF_LAYOUT_AXES; axis++) {
        df_json_bool(row, inter[axis], l->inter[axis]);
    }
    df_json_bool(row, "feasible", l->feasible);
    df_json_text(row, "reason", l->reason);
}

static void print_header(char format)
{
    if (format == 'c') {
        puts("wafer_dim,num_wafer,num_worker,kp_type,kp1,kp2,dp,lp,layout_id,order,inter_derate,"
             "intra_derate,kp1_inter,kp2_inter,dp_inter,lp_inter,feasible,reason");
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
            add_json(rows, s, &layouts[i], i);
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
