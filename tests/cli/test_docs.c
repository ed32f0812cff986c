/* What the documents say is what the program does. */
#include <stdlib.h>
#include <string.h>

#include "support/program.h"

#define DOCS DF_CONFIGS "/../docs/"
#define MODEL DF_CONFIGS "/model/qwen2.5_3b_long.yaml"

/* The line of a text that begins so. */
static void line_of(const char *text, const char *begin, char line[256])
{
    const char *const at = strstr(text, begin);
    assert_non_null(at);
    snprintf(line, 256, "%.*s", (int)strcspn(at, "\n"), at);
}

/* docs/case-study.md quotes what is printed; two devices take about half the time. */
static void the_case_study_is_true(void **state)
{
    (void)state;
    static const char *const hardware[] = {"a100_80gb", "a100_x2"};
    static const char *const lines[] = {"LLM inference time: ", "LLM time to first token: "};
    char *const document = df_read_file(DOCS "case-study.md");
    char dir[256];
    double time_s[2];
    df_make_dir(dir);
    for (int i = 0; i < 2; i++) {
        char arguments[2048];
        char line[256];
        snprintf(arguments, sizeof arguments,
                 "predict --hardware_config " DF_CONFIGS "/hardware/%s.yaml --model_config " MODEL
                 " --exp_dir %s",
                 hardware[i], dir);
        df_outcome o = df_program(arguments);
        assert_int_equal(o.exit_code, 0);
        for (int k = 0; k < 2; k++) {
            line_of(o.out, lines[k], line);
            assert_non_null(strstr(document, line));
        }
        line_of(o.out, lines[0], line);
        time_s[i] = strtod(line + strlen(lines[0]), NULL);
        df_outcome_free(&o);
    }
    assert_true(time_s[1] > 0.5 * time_s[0] && time_s[1] < 0.6 * time_s[0]);
    free(document);
    df_remove_dir(dir);
}

/* Runs the prediction that begins at `at`, which must not warn: what does not fit in memory is no
 * example. Returns what follows. */
static const char *run_example(const char *at, const char *dir)
{
    char command[2048];
    char text[1024];
    char *err;
    int exit_code;
    size_t length = 0;
    while (*at != '\0' && *at != '\n' && length + 1 < sizeof text) {
        at += at[0] == '\\' && at[1] == '\n' ? 2 : 0;
        text[length++] = *at++;
    }
    text[length] = '\0';
    snprintf(command, sizeof command, "cd '" DF_CONFIGS "/..' && '" DF_BIN "' %s --exp_dir %s",
             text, dir);
    df_run(command, &exit_code, NULL, &err);
    if (exit_code != 0 || err[0] != '\0') {
        fail_msg("%s: exit code %d: %s", text, exit_code, err);
    }
    free(err);
    return at;
}

static void the_first_examples_fit_in_memory(void **state)
{
    (void)state;
    static const char *const documents[] = {DF_CONFIGS "/../README.md", DOCS "getting-started.md"};
    static const char begin[] = "predict --hardware_config configs/";
    char dir[256];
    int examples = 0;
    df_make_dir(dir);
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        char *const document = df_read_file(documents[i]);
        for (const char *at = strstr(document, begin); at; at = strstr(at, begin)) {
            at = run_example(at, dir);
            examples++;
        }
        free(document);
    }
    assert_int_equal(examples, 5);
    df_remove_dir(dir);
}

/* jobs/config_reference.sh was run after the last change of the table of options. */
static void the_reference_of_keys_is_up_to_date(void **state)
{
    (void)state;
    char *const document = df_read_file(DOCS "config.md");
    df_outcome o = df_program("help config");
    assert_int_equal(o.exit_code, 0);
    assert_true(strlen(o.out) > 10000);
    assert_non_null(strstr(document, o.out));
    df_outcome_free(&o);
    free(document);
}

/* The manual page and the completion know all commands that the help lists. */
static void the_manual_has_every_command(void **state)
{
    (void)state;
    char *manual;
    int exit_code;
    df_run("bash " DF_CONFIGS "/../src/cli/install/man.sh " DF_BIN " 0", &exit_code, &manual, NULL);
    assert_int_equal(exit_code, 0);
    static const char *const commands[] = {"predict", "arch_search", "report", "import\\-hf"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char section[64];
        snprintf(section, sizeof section, "\n.SS %s\n", commands[i]);
        assert_non_null(strstr(manual, section));
    }
    assert_non_null(strstr(manual, "hardware_config"));
    free(manual);
}

static void assert_completed(const char *words, int at, const char *expected)
{
    char command[1024];
    char *out;
    int exit_code;
    snprintf(command, sizeof command,
             "bash -c 'compopt() { :; }; . " DF_CONFIGS "/../src/cli/install/completion.bash; "
             "COMP_WORDS=(" DF_BIN " %s); COMP_CWORD=%d; _deepflow; echo \"${COMPREPLY[*]}\"'",
             words, at);
    df_run(command, &exit_code, &out, NULL);
    assert_int_equal(exit_code, 0);
    assert_string_equal(out, expected);
    free(out);
}

static void words_are_completed(void **state)
{
    (void)state;
    assert_completed("pre", 1, "predict\n");
    assert_completed("predict --break", 2, "--breakdown\n");
    assert_completed("predict --format j", 3, "json\n");
    assert_completed("help conf", 2, "config\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_case_study_is_true),
        cmocka_unit_test(the_first_examples_fit_in_memory),
        cmocka_unit_test(the_reference_of_keys_is_up_to_date),
        cmocka_unit_test(the_manual_has_every_command),
        cmocka_unit_test(words_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
