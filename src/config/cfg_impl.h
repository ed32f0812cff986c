/* cfg_impl.h: inside the configuration module. The option table, the reading of
 * single values by it, and the reader that walks a YAML document.
 *
 *   cfg_table.c  the table, and looking things up in it
 *   cfg_value.c  one scalar: text to number, what is expected of it
 *   cfg_hint.c   what to say about a key or a word that is not in the table
 *   cfg_fit.c    what to say where a check fails: a value that would work
 *   cfg_yaml.c   documents: libyaml, lines, required keys
 *   cfg_device.c files of devices, and clusters, which stand for keys that a file leaves out
 *   cfg_check.c  checks that need several options at once
 *   cfg_layers.c lists of layers
 *   cfg_layout.c what the parts of a pipeline hold
 *   cfg_model.c  whether an LLM's description has what its layers need
 *   cfg_derive.c what the parts of a device are derived from
 *   cfg_split.c  whether degrees of parallelism split an LLM
 *   cfg_format.c number formats of a run
 *   cfg_usual.c  values that no hardware has
 *   cfg_help.c   the table as text
 *   cfg_write.c  a configuration as a file
 *   cfg.c        the public functions; files to texts */
#ifndef DF_CFG_IMPL_H
#define DF_CFG_IMPL_H
#include <stddef.h>

#include "config/cfg.h"
#include "config/opt.h"

enum {
    DF_OPT_MAX = 512,    /* at least the number of options */
    DF_SECTION_MAX = 32, /* at least the number of top-level sections */
    DF_OPT_PATH = 192,   /* room for a path, also one with an unknown key */
};

#define DF_OPT_IN(mode) (1U << (unsigned)(mode))

typedef struct {
    const char *name;
    unsigned need; /* the df_cfg_need that requires it; 0: never required */
    const char *meaning;
} df_opt_section;

/* A key that the Python DeepFlow used to have, and what to use now. */
typedef struct {
    const char *path, *now;
} df_opt_renamed;

/* Two paths: an alias and the key of an option; or an option and the one whose value it takes if it
 * is absent. */
typedef struct {
    const char *path, *of;
} df_opt_pair;

extern const df_opt df_opts[];
extern const int df_num_opts;
extern const df_opt_section df_opt_sections[];
extern const int df_num_opt_sections;
extern const df_opt_renamed df_opts_renamed[];
extern const int df_num_opts_renamed;
extern const df_opt_pair df_opt_aliases[];
extern const int df_num_opt_aliases;
extern const df_opt_pair df_opts_following[];
extern const int df_num_opts_following;
extern const df_word df_words_mem_type[];
extern const df_word df_words_scope[];
extern const df_word df_words_mode[];
extern const df_word df_words_arch[];
extern const df_word df_words_topology[];
extern const df_word df_words_number[];

/* ---- Table (cfg_table.c). `modes` is DF_OPT_IN(mode), or 0 if not known yet;
 * then only options of every mode are there. ---- */
bool df_opt_applies(const df_opt *opt, unsigned modes);
/* Whether path lies below section ("" is above everything). */
bool df_opt_is_under(const char *path, const char *section);
/* Index of the option, or -1. The path may be an alias. */
int df_opt_find(const char *path, unsigned modes);
/* The path as the tables spell it, whether or not it is an alias; NULL: there is no such option. */
const char *df_opt_path(const char *path, unsigned modes);
/* The option whose value this one takes if it is absent; NULL: it takes its preset. */
const df_opt *df_opt_followed(const df_opt *opt);
/* Index of the first option below the section, or -1. */
int df_opt_find_section(const char *path, unsigned modes);
/* Whether an option below the section is required. */
bool df_opt_section_needed(const char *path, unsigned modes);
/* Index of the top-level section, or -1. */
int df_opt_section_index(const char *name);

/* ---- Values (cfg_value.c) ---- */
/* Whether a number is within the bounds. */
bool df_opt_takes(const df_opt *opt, double value);
/* The bounds alone: " >= 0", or nothing. */
void df_opt_range_text(const df_opt *opt, char text[DF_OPT_EXPECTED]);
void df_opt_store(const df_opt *opt, double value, df_cfg *cfg);
/* The number in the field of an option that is kept and no TEXT. */
double df_opt_load(const df_opt *opt, const df_cfg *cfg);
/* The text of what is expected of a TEXT that df_opt_parse takes. */
void df_opt_store_text(const df_opt *opt, const char *text, df_cfg *cfg);
void df_opt_store_presets(df_cfg *cfg);

/* ---- Unknown keys and words (cfg_hint.c) ---- */
/* Writes "expected ..., found ..." about a key that `section` does not have. */
void df_opt_unknown(const char *section, const char *key, unsigned modes, char text[], size_t room);

/* ---- Documents (cfg_yaml.c) ---- */
typedef struct {
    const char *file;
    int line;        /* counted from 1; 0: not given */
    const char *key; /* path by which an option was given, which may be an alias */
} df_cfg_mark;

/* What has been read so far, and where. */
typedef struct {
    df_cfg cfg;
    unsigned modes; /* DF_OPT_IN(mode); 0 before model_param */
    df_cfg_mark option[DF_OPT_MAX];
    df_cfg_mark section[DF_SECTION_MAX];
    const char *own[2]; /* names of the files that are read, but for those of devices */
    const char *left_out[DF_OPT_MAX]; /* the file that says null, whatever the device's says */
    bool of_device;                   /* the document fills up what those before it left out */
    bool any_nodes, any_node_size;    /* the cluster's: as many as the degrees ask for */
    df_cfg_mark dimensions;           /* network.dimensions; line 0: none so far */
    int num_dimensions;
    df_err warning; /* about a word that was replaced; empty: none */
    df_err rate;    /* about the first rate with a unit of powers of 1024; empty: none */
    df_err odd;     /* about values that no hardware has, a line each; empty: none */
} df_cfg_reader;

/* Reads one document into *reader. `name` must live as long as the reader. */
DF_NODISCARD df_status df_cfg_read_document(df_cfg_reader *reader,
                                            const char *text,
                                            const char *name,
                                            df_err *err);

/* ---- Devices and clusters (cfg_device.c) ---- */
extern const df_word df_words_cluster[];

enum { DF_NETWORK_DIMS = 2 }; /* that formulas and simulator know */

/* Where file `name` has network.dimensions: what they leave out is preset, and not the device's,
 * but for bandwidths and what the switch does. An option that the file gives by its own name, too,
 * is DF_EINVAL. */
DF_NODISCARD df_status df_cfg_apply_dimensions(df_cfg_reader *reader,
                                               const char *name,
                                               df_err *err);
/* What a file with fewer dimensions leaves open, after that of the device. A device's switch does
 * not add up where its user says that there is none. */
void df_cfg_settle_network(df_cfg_reader *reader);
enum { DF_DEVICE_PATH = 4096 };
/* The file of a device that the file at `mark` names. DF_EINVAL: there is none. */
DF_NODISCARD df_status df_cfg_find_device(const char *name,
                                          const df_cfg_mark *mark,
                                          char path[DF_DEVICE_PATH],
                                          df_err *err);
/* Options that the documents so far do not give have the values of the cluster that they name, if
 * they do. */
void df_cfg_apply_cluster(df_cfg_reader *reader);
/* As many nodes of a cluster as the degrees ask for. */
void df_cfg_count_nodes(df_cfg_reader *reader);

/* ---- Values that no hardware has (cfg_usual.c) ---- */
enum { DF_ODD_TEXT = DF_ERR_TEXT / 2 }; /* at most */
/* Writes reader->odd. */
void df_cfg_find_odd(df_cfg_reader *reader);

/* ---- Checks (cfg_check.c) ---- */
/* Does the checks of df_cfg_check, those of degrees only if `degrees`; a failure names the
 * option in *key, and *err has the text behind it. */
/* Whether the shares of area, power and perimeter are within their budgets, and the chip within
 * the device; whether axes have a network; whether a topology is simulated; whether degrees split
 * an LLM evenly. What `need` leaves unchecked is a warning, which is empty when there is none. *key
 * is that of the failure or warning. */
DF_NODISCARD df_status df_cfg_check_machine(
    const df_cfg *cfg, unsigned need, const char **key, df_err *warning, df_err *err);

DF_NODISCARD df_status df_cfg_cross_check(const df_cfg *cfg,
                                          bool degrees,
                                          const char **key,
                                          df_err *err);

/* ---- What the parts of a pipeline hold (cfg_layout.c) ---- */
/* `degrees`: whether the parts can be shared by the stages, too. */
DF_NODISCARD df_status df_cfg_check_layout(const df_cfg *cfg,
                                           bool degrees,
                                           const char **key,
                                           df_err *err);

/* ---- Models (cfg_model.c) ---- */
DF_NODISCARD df_status df_cfg_check_model(const df_cfg_llm *model, const char **key, df_err *err);
/* Whether all layers are as the Python DeepFlow knows them, and experts on one device. */
DF_NODISCARD df_status df_cfg_check_plain(const df_cfg *cfg,
                                          bool degrees,
                                          const char **key,
                                          df_err *err);

/* ---- Derived parts (cfg_derive.c) ---- */
enum { DF_FIGURES_MAX = 80, DF_FIGURE_PATH = 64 };

/* A figure that the size or rate of a part is derived from, and that size or rate. */
typedef struct {
    char path[DF_FIGURE_PATH], instead[DF_FIGURE_PATH];
} df_cfg_figure;

/* Lists the figures that src/hw needs to derive what the file does not give: not of memories that
 * no level is of, and of networks only where there are such, unless `any_system`. Returns how
 * many. */
int df_cfg_find_figures(const df_cfg *cfg, bool any_system, df_cfg_figure figures[DF_FIGURES_MAX]);

/* ---- Splits (cfg_split.c) ---- */
/* DF_EINVAL, with the misfit's key and "expected ..., found ...". */
df_status df_cfg_fail_misfit(const df_cfg_misfit *misfit, const char **key, df_err *err);

/* ---- What would work (cfg_fit.c) ---- */
enum { DF_FIT_TEXT = 96 };
/* After a failed check of `key`: writes "; mb 4 would fit", the nearest change with which all
 * checks hold, or nothing. Tries some thousands of values. */
void df_cfg_suggest(const df_cfg *cfg, bool degrees, const char *key, char text[DF_FIT_TEXT]);
/* As above, after a degree `key` that does not split an LLM evenly: "; tp 4 with dp 2 would fit".
 * Writes nothing for other keys. */
void df_cfg_suggest_split(const df_cfg *cfg, const char *key, char text[DF_FIT_TEXT]);

#endif
