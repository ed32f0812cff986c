/* opt.h: options of YAML files as rows of a table, and how a value is read according to its row.
 * The configuration has one table (cfg_impl.h), and the description of a search has another
 * (search/spec). */
#ifndef DF_OPT_H
#define DF_OPT_H
#include <stdbool.h>
#include <stddef.h>

#include "base/word.h"

enum {
    DF_OPT_SCALAR = 64,        /* room for a value; longer ones are cut, and refused */
    DF_OPT_EXPECTED = 512,     /* room for df_opt_expected */
    DF_OPT_NUMBERED = 1 << 20, /* highest number of a numbered word */
};

/* What the text of an option is, and what it is kept in. */
typedef enum {
    DF_OPT_REAL,   /* double */
    DF_OPT_BYTES,  /* double; units of size are understood */
    DF_OPT_RATE,   /* a double, per second, with the same units */
    DF_OPT_INT,    /* int64_t */
    DF_OPT_COUNT,  /* a whole number in a double */
    DF_OPT_BOOL,   /* bool */
    DF_OPT_ENUM,   /* an enum: one of the words */
    DF_OPT_HABIT,  /* as ENUM, but an unknown word counts as the preset, with a warning */
    DF_OPT_CHOICE, /* double: one of the words */
    DF_OPT_FORMAT, /* double: one of the words, or a number */
    DF_OPT_TEXT,   /* char[DF_CFG_TEXT] */
    DF_OPT_LAYERS, /* df_cfg_layers: a text, or a list of texts */
    DF_OPT_SET,    /* double: a sum of words' values, from a list of them */
    DF_OPT_DIMS,   /* dimensions of a network, whose keys are aliases of others; not kept */
} df_opt_kind;

typedef struct {
    double low, high;
    bool above_low, below_high; /* the bound itself is out */
} df_opt_range;

/* An absent optional option has the preset; so has an absent required one whose
 * whole section is optional and absent. */
typedef struct {
    bool required;
    double preset;
} df_opt_absent;

typedef struct {
    const char *path; /* "tech_param.DRAM.size" */
    df_opt_kind kind;
    const char *unit; /* unit of a REAL, such as "s"; for a single allowed number, the reason; "" if
                         there is none */
    df_opt_range range;   /* range of numbers */
    const df_word *words; /* words of ENUM and FORMAT */
    df_opt_absent absent;
    unsigned modes; /* sum of DF_OPT_IN(mode); 0: whatever the mode */
    size_t offset;  /* place of the field in df_cfg, or DF_OPT_NOT_KEPT */
    const char *meaning;
} df_opt;

/* The option is checked, and its value dropped. */
#define DF_OPT_NOT_KEPT SIZE_MAX

extern const df_word df_words_bool[];
extern const df_word df_words_recompute[];

/* The word of an enum's value; NULL: none. */
const char *df_opt_word_of(const df_word *words, double value);

typedef enum { DF_VALUE_OK, DF_VALUE_BAD, DF_VALUE_BAD_UNIT } df_value_status;

/* The number that a text is: of a word its value. */
df_value_status df_opt_parse(const df_opt *opt, const char *text, double *value);
/* What may stand there: "a number >= 0 (s)". */
void df_opt_expected(const df_opt *opt, char text[DF_OPT_EXPECTED]);
/* Whether the text is a rate with a unit that counts in powers of 1024 and does not say so ("3350
 * GB"), where data sheets count in powers of 1000; *note then says what it is and what to write. */
bool df_opt_binary_rate(const df_opt *opt, const char *text, char note[DF_OPT_EXPECTED]);
/* Appends " (did you mean WORD?)" to the text of what is expected, if a similar word exists. */
void df_opt_mean(const df_opt *opt, const char *found, char text[DF_OPT_EXPECTED]);

#endif
