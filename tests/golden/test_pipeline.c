/* The pipeline simulation alone, against recorded times. */
#include "golden/cases.h"
#include "graph/pipeline.h"

static df_pipeline_times times_of(const df_csv *row)
{
    return (df_pipeline_times){
        .ef = df_csv_number(row, "Ef"),
        .cf = df_csv_number(row, "Cf"),
        .sf = df_csv_number(row, "Sf"),
        .tf = df_csv_number(row, "Tf"),
        .eb = df_csv_number(row, "Eb"),
        .cb = df_csv_number(row, "Cb"),
        .sb = df_csv_number(row, "Sb"),
        .tb = df_csv_number(row, "Tb"),
        .re = df_csv_number(row, "Re"),
        .rc = df_csv_number(row, "Rc"),
        .rs = df_csv_number(row, "Rs"),
    };
}

static void recorded_times_are_met(void **state)
{
    (void)state;
    df_pipeline *pipe = df_pipeline_new();
    assert_non_null(pipe);
    df_csv *csv = df_csv_open("pipeline_graph.csv");
    int rows = 0;
    while (df_csv_next(csv)) {
        const df_pipeline_shape shape = {(int64_t)df_csv_number(csv, "num_seq"),
                                         (int64_t)df_csv_number(csv, "num_layer"),
                                         (int64_t)df_csv_number(csv, "lp")};
        df_err err = {""};
        if (df_pipeline_build(pipe, &shape, true, &err) != DF_OK) {
            fail_msg("%s", err.text);
        }
        const df_pipeline_times times = times_of(csv);
        double forward_s;
        double backward_s;
        df_pipeline_run(pipe, &times, true, &forward_s, &backward_s);
        df_assert_rel(forward_s, df_csv_number(csv, "forward_s"), 1e-12);
        df_assert_rel(backward_s, df_csv_number(csv, "backward_s"), 1e-12);
        rows++;
    }
    assert_int_equal(rows, 90);
    df_csv_close(csv);
    df_pipeline_free(pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_times_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
