/* args.h: command lines from one table per subcommand. Words of an option may be
 * joined by _ or -, its value follows after = or a space, a bare boolean is true. The alias of an
 * axis stands for its name: --pp for --lp. */
#ifndef DF_ARGS_H
#define DF_ARGS_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/int_list.h"
#include "base/status.h"

typedef enum {
    DF_ARG_TEXT,
    DF_ARG_INT,
    DF_ARG_REAL,
    DF_ARG_BOOL,
    DF_ARG_INT_LIST,
    DF_ARG_WORDS /* those that belong to no option */
} df_arg_type;

enum { DF_ARG_WORDS_MAX = 4096 };

/* The largest number that a flag may have: products of two still are exact in a double. */
#define DF_ARG_INT_MAX INT64_C(1099511627776)

typedef struct {
    const char *word[DF_ARG_WORDS_MAX];
    int count;
} df_words;

typedef struct {
    const char *name; /* with underscores, without dashes */
    char letter;      /* 'o': also as -o; 0: not */
    df_arg_type type;
    void *value; /* const char *, int64_t, double, bool, df_int_list or df_words; holds the
                    default */
    bool required;
    double low, high; /* bounds of INT, REAL and each element of a list (both 0: unbounded), or of
                         the number of WORDS */
    const char *choices; /* words of a TEXT, as in "text|json"; NULL: any text */
    const char *help;    /* one line; the default is added from *value */
} df_arg;

typedef struct {
    const char *name;     /* "predict" */
    const char *summary;  /* one line */
    const char *examples; /* shown by --help */
    df_arg *args;
    int num_args;
} df_command;

/* Rows of the table. Bounds of 0 and 0 mean none. */
df_arg df_arg_text(const char *name, const char **value, const char *help);
df_arg df_arg_choice(const char *name, const char **value, const char *choices, const char *help);
df_arg df_arg_bool(const char *name, bool *value, const char *help);
df_arg df_arg_int(const char *name, int64_t *value, int64_t low, int64_t high, const char *help);
df_arg df_arg_real(const char *name, double *value, double low, double high, const char *help);
df_arg
df_arg_list(const char *name, df_int_list *value, int64_t low, int64_t high, const char *help);
/* What stands without an option: at least `low` words, at most `high`. One row of a command. */
df_arg df_arg_words(const char *name, df_words *value, int low, int high, const char *help);
/* The same row, which can also be given as -LETTER. */
df_arg df_arg_letter(df_arg arg, char letter);
/* The same row, which must be given. */
df_arg df_arg_required(df_arg arg);

/* Parses argv[0..argc-1] (without program and subcommand) into the values.
 * *help becomes true when --help was among them (nothing else is checked then).
 * DF_EINVAL: "--key: expected ..., found ..."; an unknown option names the nearest. */
DF_NODISCARD df_status
df_args_parse(const df_command *command, int argc, char **argv, bool *help, df_err *err);
void df_args_print_help(const df_command *command, FILE *out);

#endif
