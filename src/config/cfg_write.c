#include <stdlib.h>
#include <string.h>

#include "config/cfg_impl.h"

enum { NUMBER_ROOM = 32 };

static const char *text_of(const df_opt *opt, const df_cfg *cfg)
{
    return (const char *)cfg + opt->offset;
}

/* Prints as few digits as read back to the same number. */
static void number_text(double value, char text[NUMBER_ROOM])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_ROOM, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            return;
        }
    }
}

/* What the option has where the file leaves it out. */
static double absent_value(const df_opt *opt, const df_cfg *cfg)
{
    const df_opt *const followed = df_opt_followed(opt);
    return followed ? df_opt_load(followed, cfg) : opt->absent.preset;
}

/* Whether the device is derived from the option. */
static bool is_derived_from(const df_opt *opt, const df_cfg *cfg)
{
    df_cfg_figure figures[DF_FIGURES_MAX];
    const int count = df_cfg_find_figures(cfg, false, figures);
    bool found = false;
    for (int i = 0; i < count; i++) {
        found = found || strcmp(figures[i].path, opt->path) == 0;
    }
    return found;
}

/* Whether the option has to be written: one at its preset need not be, unless the device is derived
 * from it. */
static bool is_written(const df_opt *opt, const df_cfg *cfg)
{
    static const char *const budgets[] = {"power_breakdown", "area_breakdown",
                                          "perimeter_breakdown"};
    const bool model =
        df_opt_is_under(opt->path, "model_param") || df_opt_is_under(opt->path, "inference_param");
    const bool source = strcmp(opt->path, "device") == 0 || /* of numbers */
                        strcmp(opt->path, "scheduling_param.micro_batch_size") == 0 ||
                        df_opt_is_under(opt->path, "network");
    if (source || opt->offset == DF_OPT_NOT_KEPT || !df_opt_applies(opt, DF_OPT_IN(cfg->mode)) ||
        (model && !cfg->has_model)) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (!cfg->has_breakdown && df_opt_is_under(opt->path, budgets[i])) {
            return false;
        }
    }
    if (df_opt_find_section(opt->path, DF_OPT_IN(cfg->mode)) >= 0) {
        return false; /* short form of the keys below it */
    }
    if (opt->kind == DF_OPT_TEXT) {
        return *text_of(opt, cfg) != '\0';
    }
    return opt->absent.required || df_opt_load(opt, cfg) != absent_value(opt, cfg) ||
           is_derived_from(opt, cfg);
}

/* Prints a text in single quotes, which are doubled inside. */
static void print_text(const char *text, FILE *out)
{
    fputc('\'', out);
    for (; *text != '\0'; text++) {
        fputs(*text == '\'' ? "'" : "", out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

/* Prints a value that has no word. */
static void print_numbered(const df_word *words, double value, FILE *out)
{
    for (; words->word; words++) {
        const char *const mark = strchr(words->word, '#');
        if (mark && value > words->value) {
            fprintf(out, "%.*s%.0f", (int)(mark - words->word), words->word, value - words->value);
        }
    }
}

/* Words of a set, with commas. */
static void print_set(const df_word *words, unsigned bits, FILE *out)
{
    const char *comma = "";
    fputc('[', out);
    for (; words->word; words++) {
        if ((bits & (unsigned)words->value) != 0) {
            fprintf(out, "%s%s", comma, words->word);
            comma = ", ";
        }
    }
    fputc(']', out);
}

static void print_value(const df_opt *opt, const df_cfg *cfg, FILE *out)
{
    char number[NUMBER_ROOM];
    if (opt->kind == DF_OPT_TEXT) {
        print_text(text_of(opt, cfg), out);
        return;
    }
    if (opt->kind == DF_OPT_LAYERS) {
        char layers[DF_LAYERS_TEXT];
        (void)df_cfg_layers_text((const df_cfg_layers *)(const void *)text_of(opt, cfg), layers,
                                 sizeof layers);
        print_text(layers, out);
        return;
    }
    const double value = df_opt_load(opt, cfg);
    if (opt->kind == DF_OPT_SET) {
        print_set(opt->words, (unsigned)value, out);
        return;
    }
    const char *const word = opt->words ? df_opt_word_of(opt->words, value) : NULL;
    if (!word && opt->words && opt->kind == DF_OPT_ENUM) {
        print_numbered(opt->words, value, out);
        return;
    }
    number_text(value, number);
    fputs(word ? word : number, out);
}

typedef struct {
    const df_cfg *cfg;
    FILE *out;
    bool done[DF_OPT_MAX];
} writer;

/* Writes what is below a section, all of it together, wherever it stands in the table.
 * NOLINTNEXTLINE(misc-no-recursion): as deep as the table's paths */
static void write_below(writer *w, const char *section, int depth)
{
    const size_t above = strlen(section) + (section[0] != '\0');
    for (int i = 0; i < df_num_opts; i++) {
        const df_opt *const opt = &df_opts[i];
        if (w->done[i] || !df_opt_is_under(opt->path, section) || !is_written(opt, w->cfg)) {
            continue;
        }
        const char *const dot = strchr(opt->path + above, '.');
        fprintf(w->out, "%*s", 2 * depth, "");
        if (dot) {
            char below[DF_OPT_PATH];
            snprintf(below, sizeof below, "%.*s", (int)(dot - opt->path), opt->path);
            fprintf(w->out, "%s:\n", below + above);
            write_below(w, below, depth + 1);
        } else {
            fprintf(w->out, "%s: ", opt->path + above);
            print_value(opt, w->cfg, w->out);
            fputc('\n', w->out);
            w->done[i] = true;
        }
    }
}

void df_cfg_write(const df_cfg *cfg, FILE *out)
{
    writer w = {.cfg = cfg, .out = out};
    write_below(&w, "", 0);
}
