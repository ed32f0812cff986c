/* Command lines. */
#include <string.h>

#include "args.h"
#include "support/support.h"

typedef struct {
    const char *text, *choice;
    int64_t integer;
    double real;
    bool flag;
    df_int_list list;
} values;

enum { WORDS = 8 };

/* Parses up to WORDS words; NULL ends them. Returns the status. */
static df_status parse(values *v, char *words[WORDS], bool *help, df_err *err)
{
    df_arg args[] = {
        df_arg_required(df_arg_text("exp_config", &v->text, "a file")),
        df_arg_choice("format", &v->choice, "text|json", "a format"),
        df_arg_int("num_search", &v->integer, 1, 100, "a number"),
        df_arg_real("data_scale", &v->real, 0, 0, "a factor"),
        df_arg_bool("no_launch", &v->flag, "a flag"),
        df_arg_list("wafer_dim", &v->list, 1, 64, "sizes"),
    };
    const df_command command = {"test", "a test", NULL, args, sizeof args / sizeof args[0]};
    int count = 0;
    while (count < WORDS && words[count]) {
        count++;
    }
    *v = (values){.choice = "text", .integer = 7};
    return df_args_parse(&command, count, words, help, err);
}

#define PARSE(v, ...) parse((v), (char *[WORDS]){__VA_ARGS__}, &help, &err)

static void words_are_joined_either_way(void **state)
{
    (void)state;
    values v;
    bool help;
    df_err err;
    assert_int_equal(PARSE(&v, "--exp-config", "a.yaml", "--num-search=12"), DF_OK);
    assert_string_equal(v.text, "a.yaml");
    assert_int_equal(v.integer, 12);
    assert_int_equal(PARSE(&v, "--exp_config=b=c.yaml", "--data_scale", "-1.5e3"), DF_OK);
    assert_string_equal(v.text, "b=c.yaml");
    df_assert_rel(v.real, -1500, 0);
    assert_string_equal(v.choice, "text"); /* the default */
    assert_int_equal(v.integer, 7);
}

static void flags_may_be_bare(void **state)
{
    (void)state;
    values v;
    bool help;
    df_err err;
    static char *const yes[] = {"true", "True", "1"};
    static char *const no[] = {"false", "False", "0"};
    assert_int_equal(PARSE(&v, "--no_launch", "--exp_config", "a"), DF_OK);
    assert_true(v.flag);
    assert_int_equal(PARSE(&v, "--exp_config", "a", "--no-launch"), DF_OK);
    assert_true(v.flag);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(PARSE(&v, "--no_launch", yes[i], "--exp_config", "a"), DF_OK);
        assert_true(v.flag);
        assert_int_equal(PARSE(&v, "--no_launch", no[i], "--exp_config", "a"), DF_OK);
        assert_false(v.flag);
    }
}

static void lists_have_commas(void **state)
{
    (void)state;
    values v;
    bool help;
    df_err err;
    assert_int_equal(PARSE(&v, "--exp_config", "a", "--wafer_dim", "4,8,16"), DF_OK);
    assert_int_equal(v.list.count, 3);
    assert_int_equal(v.list.value[2], 16);
    assert_int_equal(PARSE(&v, "--exp_config", "a", "--wafer_dim", "4"), DF_OK);
    assert_int_equal(v.list.count, 1);
}

static void help_needs_nothing_else(void **state)
{
    (void)state;
    values v;
    bool help = false;
    df_err err;
    assert_int_equal(PARSE(&v, "--nonsense", "--help"), DF_OK);
    assert_true(help);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        char *words[WORDS];
        const char *message;
    } cases[] = {
        {{"--format", "json"}, "--exp_config: expected a value, found nothing"},
        {{"--exp_config"}, "--exp_config: expected a text, found nothing"},
        {{"--exp_confg", "a"},
         "--exp_confg: expected an option of test (did you mean --exp_config?), found an unknown "
         "one"},
        {{"--zzz", "a"}, "--zzz: expected an option of test (see --help), found an unknown one"},
        {{"a.yaml"}, "a.yaml: expected an option (--NAME VALUE), found a word"},
        {{"--exp_config", "a", "--exp_config", "b"}, "--exp_config: expected once, found twice"},
        {{"--exp_config", "a", "--format", "xml"}, "--format: expected text|json, found xml"},
        {{"--exp_config", "a", "--num_search", "0"},
         "--num_search: expected a whole number from 1 to 100, found 0"},
        {{"--exp_config", "a", "--num_search", "1.5"},
         "--num_search: expected a whole number from 1 to 100, found 1.5"},
        {{"--exp_config", "a", "--num_search", "99999999999999999999"},
         "--num_search: expected a whole number from 1 to 100, found 99999999999999999999"},
        {{"--exp_config", "a", "--num_search"},
         "--num_search: expected a whole number from 1 to 100, found nothing"},
        {{"--exp_config", "a", "--data_scale", "big"},
         "--data_scale: expected a number, found big"},
        {{"--exp_config", "a", "--data_scale", "inf"},
         "--data_scale: expected a number, found inf"},
        {{"--exp_config", "a", "--no_launch=maybe"},
         "--no_launch: expected true or false, found maybe"},
        {{"--exp_config", "a", "--wafer_dim", "4,,8"},
         "--wafer_dim: expected whole numbers separated by commas from 1 to 64, found 4,,8"},
        {{"--exp_config", "a", "--wafer_dim", "4,65"},
         "--wafer_dim: expected whole numbers separated by commas from 1 to 64, found 4,65"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        values v;
        bool help;
        df_err err;
        char *words[WORDS];
        memcpy(words, cases[i].words, sizeof words);
        assert_int_equal(parse(&v, words, &help, &err), DF_EINVAL);
        assert_string_equal(err.text, cases[i].message);
    }
}

/* A command with one to two files, -o and a flag. */
static df_status parse_files(df_words *files, const char **output, char *words[WORDS], df_err *err)
{
    bool help;
    bool debug = false;
    df_arg args[] = {
        df_arg_words("FILE", files, 1, 2, "files"),
        df_arg_letter(df_arg_text("output", output, "where to"), 'o'),
        df_arg_bool("debug", &debug, "a flag"),
    };
    const df_command command = {"test", "a test", NULL, args, sizeof args / sizeof args[0]};
    int count = 0;
    while (count < WORDS && words[count]) {
        count++;
    }
    files->count = 0;
    *output = NULL;
    return df_args_parse(&command, count, words, &help, err);
}

#define PARSE_FILES(...) parse_files(&files, &output, (char *[WORDS]){__VA_ARGS__}, &err)

static void words_stand_anywhere(void **state)
{
    (void)state;
    df_words files;
    const char *output;
    df_err err;
    assert_int_equal(PARSE_FILES("a.h5", "-o", "c.h5", "b.h5"), DF_OK);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.word[0], "a.h5");
    assert_string_equal(files.word[1], "b.h5");
    assert_string_equal(output, "c.h5");
    assert_int_equal(PARSE_FILES("--debug", "a.h5", "--output=c.h5"), DF_OK);
    assert_int_equal(files.count, 1);
    assert_string_equal(output, "c.h5");
}

static void misplaced_words_are_named(void **state)
{
    (void)state;
    static const struct {
        char *words[WORDS];
        const char *message;
    } cases[] = {
        {{"-o", "c.h5"}, "FILE: expected at least 1 (see --help), found 0"},
        {{"a", "b", "c"}, "FILE: expected at most 2, found c too"},
        {{"a", "-p", "c"}, "-p: expected an option (--NAME VALUE), found a word"},
        {{"a", "-o", "b", "--output", "c"}, "--output: expected once, found twice"},
        {{"a", "-o"}, "--output: expected a text, found nothing"},
        {{"a", "--FILE", "b"},
         "--FILE: expected an option of test (see --help), found an unknown one"},
        {{""}, "FILE: expected a text, found nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        df_words files;
        const char *output;
        df_err err;
        char *words[WORDS];
        memcpy(words, cases[i].words, sizeof words);
        assert_int_equal(parse_files(&files, &output, words, &err), DF_EINVAL);
        assert_string_equal(err.text, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_joined_either_way), cmocka_unit_test(flags_may_be_bare),
        cmocka_unit_test(lists_have_commas),           cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(mistakes_are_named),          cmocka_unit_test(words_stand_anywhere),
        cmocka_unit_test(misplaced_words_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
