/* The rules table as text. */
#include <string.h>

#include "rules/rules.h"
#include "support/support.h"

static bool get(const df_rules *rules, size_t i)
{
    return *(const bool *)((const char *)rules + df_rule_table[i].offset);
}

static df_rules parse(const char *text)
{
    df_rules rules;
    df_err err;
    if (df_rules_parse(text, &rules, &err) != DF_OK) {
        fail_msg("%s", err.text);
    }
    return rules;
}

static void both_sets_are_uniform(void **state)
{
    (void)state;
    const df_rules reference = df_rules_reference();
    const df_rules corrected = df_rules_corrected();
    for (size_t i = 0; i < df_rule_count; i++) {
        assert_true(get(&reference, i));
        assert_false(get(&corrected, i));
        assert_true(strlen(df_rule_table[i].reference) > 0);
        assert_true(strlen(df_rule_table[i].corrected) > 0);
    }
}

static void exceptions_follow_commas(void **state)
{
    (void)state;
    const df_rules rules =
        parse("corrected,pipeline_hop_free=reference,rc_batch_unchecked=reference");
    assert_true(rules.pipeline_hop_free);
    assert_true(rules.rc_batch_unchecked);
    assert_false(rules.pointwise_on_registers);
    assert_false(parse("reference,two_stages_rejected=corrected").two_stages_rejected);
}

/* What is written is read back, for each single exception to either set. */
static void text_is_read_back(void **state)
{
    (void)state;
    const char *const sets[] = {"reference", "corrected"};
    for (size_t i = 0; i < 2 * df_rule_count; i++) {
        char text[256];
        char written[1024];
        snprintf(text, sizeof text, "%s,%s=%s", sets[i % 2], df_rule_table[i / 2].name,
                 sets[(i + 1) % 2]);
        const df_rules rules = parse(text);
        assert_int_equal(df_rules_format(&rules, written, sizeof written), strlen(text));
        assert_string_equal(written, text);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"refrence", "--rules: expected reference, corrected or calibrated, found refrence"},
        {"", "--rules: expected reference, corrected or calibrated, found nothing"},
        {"corrected,", "--rules: expected a known rule, found nothing"},
        {"corrected,pipeline_hop_fre=reference",
         "--rules: expected a known rule (did you mean pipeline_hop_free?), found "
         "pipeline_hop_fre"},
        {"corrected,zzz=reference", "--rules: expected a known rule, found zzz"},
        {"corrected,pipeline_hop_free",
         "--rules: expected pipeline_hop_free=reference or pipeline_hop_free=corrected, found "
         "pipeline_hop_free"},
        {"corrected,pipeline_hop_free=yes",
         "--rules: expected pipeline_hop_free=reference or pipeline_hop_free=corrected, found "
         "pipeline_hop_free=yes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_rules rules = df_rules_reference();
        df_err err;
        assert_int_equal(df_rules_parse(cases[i].text, &rules, &err), DF_EINVAL);
        assert_string_equal(err.text, cases[i].message);
        assert_true(rules.pipeline_hop_free); /* untouched */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sets_are_uniform),
        cmocka_unit_test(exceptions_follow_commas),
        cmocka_unit_test(text_is_read_back),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
