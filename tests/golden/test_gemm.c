/* Predictions in mode GEMM, against recorded ones. */
#include <string.h>

#include "golden/predict_case.h"

static bool gemm_value(
    const void *result, const char *group, const char *key, double *number, const char **text)
{
    (void)text;
    const df_prediction *p = result;
    const struct {
        const char *name;
        double value;
    } all[] = {
        {"time_s", p->time_s},
        {"forward_compute_s", p->gemm.forward_compute_s},
        {"forward_comm_s", p->gemm.forward_comm_s},
        {"backward_compute_s", p->gemm.backward_compute_s},
        {"backward_comm_s", p->gemm.backward_comm_s},
        {"dp_comm_s", p->gemm.dp_comm_s},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*group == '\0' && strcmp(all[i].name, key) == 0) {
            *number = all[i].value;
            return true;
        }
    }
    return false;
}

static void recorded_predictions_are_met(void **state)
{
    (void)state;
    assert_int_equal(df_predict_cases("gemm.txt", gemm_value), 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_predictions_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
