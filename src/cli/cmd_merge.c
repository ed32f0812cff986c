#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "search_dir.h"
#include "store/merge.h"

enum { TEXT_ROOM = 4096 };

typedef struct {
    df_words files;
    const char *output;
    bool overwrite;
} merge_args;

static const char EXAMPLES[] =
    "  deepflow merge part1/results.h5 part2/results.h5 -o all/results.h5\n"
    "  deepflow merge output/parts/*/ -o output/all.h5\n\n"
    "Merges the parts of a sweep (arch_search --part), or sweeps of the same inputs over\n"
    "different strategies, systems or starts. The result is what one run over all of\n"
    "them would give. A folder stands for its results.h5. Searches may\n"
    "still be writing the files.\n";

static bool read_args(int argc, char **argv, merge_args *a, int *exit_code)
{
    df_arg args[] = {
        df_arg_words("FILES", &a->files, 1, DF_ARG_WORDS_MAX,
                     "results files, or the folders that hold them"),
        df_arg_letter(df_arg_required(df_arg_text("output", &a->output, "the file to write")), 'o'),
        df_arg_bool("overwrite", &a->overwrite, "replace an existing file"),
    };
    const df_command command = {"merge", "merges results files of the same inputs into one",
                                EXAMPLES, args, sizeof args / sizeof args[0]};
    return df_cli_parse(&command, argc, argv, exit_code);
}

/* What made the file, for /provenance. */
typedef struct {
    char command[TEXT_ROOM], start[64], host[256];
} origin;

static void fill_origin(int argc, char **argv, origin *o)
{
    struct tm utc;
    const time_t now = time(NULL);
    size_t used = (size_t)snprintf(o->command, TEXT_ROOM, "deepflow merge");
    for (int i = 0; i < argc && used < TEXT_ROOM; i++) {
        used += (size_t)snprintf(o->command + used, TEXT_ROOM - used, " %s", argv[i]);
    }
    strftime(o->start, sizeof o->start, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    o->host[0] = '\0';
    gethostname(o->host, sizeof o->host - 1);
}

typedef struct {
    char text[TEXT_ROOM];
} path;

static df_status
merge_files(const merge_args *a, const origin *o, path *paths, df_merge_counts *counts, df_err *err)
{
    const char **const list = malloc((size_t)a->files.count * sizeof *list);
    if (!list) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    for (int i = 0; i < a->files.count; i++) {
        df_search_results_path(a->files.word[i], paths[i].text);
        list[i] = paths[i].text;
    }
    const df_store_plan made = {
        .version = DF_VERSION, .command = o->command, .start = o->start, .host = o->host};
    const df_status status = df_store_merge(list, a->files.count, a->output, &made, counts, err);
    free(list);
    return status;
}

int df_cmd_merge(int argc, char **argv)
{
    merge_args a = {.output = NULL};
    origin o;
    df_merge_counts counts = {0, 0, 0, 0, 0};
    df_err err;
    int exit_code;
    if (!read_args(argc, argv, &a, &exit_code)) {
        return exit_code;
    }
    if (!a.overwrite && access(a.output, F_OK) == 0) {
        return df_cli_fail(df_fail(&err, DF_EINVAL,
                                   "--output: expected a file that does not exist (or "
                                   "--overwrite), found %s",
                                   a.output),
                           &err);
    }
    fill_origin(argc, argv, &o);
    path *const paths = malloc((size_t)a.files.count * sizeof *paths);
    const df_status status = paths ? merge_files(&a, &o, paths, &counts, &err)
                                   : df_fail(&err, DF_ENOMEM, "out of memory");
    free(paths);
    if (status != DF_OK) {
        return df_cli_fail(status, &err);
    }
    if (counts.damaged > 0) {
        fprintf(stderr, "deepflow: warning: %" PRId64 " damaged rows were treated as pending\n",
                counts.damaged);
    }
    printf("%s: %" PRId64 " strategies, %" PRId64 " searches, %" PRId64 " of them pending; %" PRId64
           " were in more than one file\n",
           a.output, counts.strategies, counts.searches, counts.pending, counts.repeated);
    return df_cli_finish(0);
}
