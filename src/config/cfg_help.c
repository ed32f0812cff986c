#include <stdio.h>
#include <string.h>

#include "config/cfg_impl.h"

/* Whether what a file does not give is that of a profile that it may name. */
static bool is_of_profile(const df_opt *opt)
{
    return opt->absent.preset < 0 && opt->kind != DF_OPT_ENUM &&
           (df_opt_is_under(opt->path, "sw_param.framework") ||
            df_opt_is_under(opt->path, "sw_param.engine") ||
            df_opt_is_under(opt->path, "sw_param.kernels"));
}

static void print_default(const df_opt *opt, FILE *out)
{
    const char *const word = opt->words ? df_opt_word_of(opt->words, opt->absent.preset) : NULL;
    const df_opt *const followed = df_opt_followed(opt);
    if (followed) {
        fprintf(out, "default as %s", followed->path);
    } else if (is_of_profile(opt)) {
        fputs("default that of the profile", out);
    } else if (opt->absent.required && opt->absent.preset == 0) {
        fputs("required", out);
    } else if (opt->absent.required) {
        fprintf(out, "required in its section (without it: %g)", opt->absent.preset);
    } else if (opt->offset == DF_OPT_NOT_KEPT || opt->kind == DF_OPT_TEXT ||
               opt->kind == DF_OPT_LAYERS ||
               (opt->words ? !word : !df_opt_takes(opt, opt->absent.preset))) {
        fputs("optional", out);
    } else if (word) {
        fprintf(out, "default %s", word);
    } else if (df_opt_is_under(opt->path, "tech_param") && opt->absent.preset > 0) {
        fputs("required where the device is derived from it", out);
    } else {
        fprintf(out, "default %g", opt->absent.preset);
    }
}

static void print_modes(const df_opt *opt, FILE *out)
{
    if (opt->modes != 0) {
        const char *separator = "mode ";
        for (const df_word *w = df_words_mode; w->word; w++) {
            if (opt->modes & DF_OPT_IN((int)w->value)) {
                fprintf(out, "%s%s", separator, w->word);
                separator = ", ";
            }
        }
        fputs("; ", out);
    }
}

static void print_option(const df_opt *opt, FILE *out)
{
    char expected[DF_OPT_EXPECTED];
    df_opt_expected(opt, expected);
    fprintf(out, "  %s", opt->path);
    for (int i = 0; i < df_num_opt_aliases; i++) {
        const bool listed = strchr(df_opt_aliases[i].path, '[') != NULL; /* of a list's entries */
        if (!listed && strcmp(df_opt_aliases[i].of, opt->path) == 0) {
            const char *const dot = strrchr(df_opt_aliases[i].path, '.');
            fprintf(out, dot ? ", or %s" : ", or %s at the top",
                    dot ? dot + 1 : df_opt_aliases[i].path);
        }
    }
    fprintf(out, "\n      %s\n      ", opt->meaning);
    print_modes(opt, out);
    fprintf(out, "%s; ", expected);
    print_default(opt, out);
    fputc('\n', out);
}

void df_cfg_print_help(FILE *out)
{
    fputs("Configuration files are YAML. Hardware sections and model_param may be in one file\n"
          "(--exp_config) or in two (--hardware_config, --model_config). Sizes and bandwidths\n"
          "take a unit: K, M, G, T (powers of 1024, also Ki ...) before B (bytes) or b (bits),\n"
          "as in \"80 GB\" or \"400 Gb\"; without one they are bytes. Data sheets give bandwidths "
          "in\n"
          "powers of 1000: write 3350e9 for their 3350 GB/s. A key\n"
          "with a null value counts as left out.\n",
          out);
    fputs("\nAt the top\n", out);
    print_option(&df_opts[df_opt_find("device", 0)], out);
    for (int s = 0; s < df_num_opt_sections; s++) {
        const df_opt_section *const section = &df_opt_sections[s];
        fprintf(out, "\n%s: %s%s\n", section->name, section->meaning,
                section->need == 0 ? " (optional section)" : "");
        for (int i = 0; i < df_num_opts; i++) {
            if (df_opt_is_under(df_opts[i].path, section->name)) {
                print_option(&df_opts[i], out);
            }
        }
    }
}
