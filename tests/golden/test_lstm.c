/* Predictions in mode LSTM, against recorded ones. */
#include <string.h>

#include "golden/predict_case.h"

typedef struct {
    const char *group, *name;
    double value;
} named_value;

static bool lstm_value(
    const void *result, const char *group, const char *key, double *number, const char **text)
{
    (void)text;
    const df_prediction *p = result;
    const df_pipeline_times *t = &p->lstm.components;
    const named_value all[] = {
        {"", "time_s", p->time_s},
        {"", "forward_s", p->lstm.forward_s},
        {"", "backward_s", p->lstm.backward_s},
        {"", "params", p->lstm.params},
        {"components", "Cf", t->cf},
        {"components", "Cb", t->cb},
        {"components", "Sf", t->sf},
        {"components", "Sb", t->sb},
        {"components", "Ef", t->ef},
        {"components", "Eb", t->eb},
        {"components", "Tf", t->tf},
        {"components", "Rc", t->rc},
        {"components", "Rs", t->rs},
        {"components", "Re", t->re},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(all[i].group, group) == 0 && strcmp(all[i].name, key) == 0) {
            *number = all[i].value;
            return true;
        }
    }
    return false;
}

static void recorded_predictions_are_met(void **state)
{
    (void)state;
    assert_int_equal(df_predict_cases("lstm.txt", lstm_value), 44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_predictions_are_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
