#include "hf/hf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_BYTES = 4 << 20, COMMIT_ROOM = 128 };

/* ---- Files ---- */

static df_status read_open(FILE *in, df_hf_file *file, df_err *err)
{
    char *const text = malloc(MOST_BYTES + 1);
    if (!text) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    const size_t size = fread(text, 1, MOST_BYTES, in);
    if (ferror(in) || fgetc(in) != EOF) {
        free(text);
        return ferror(in) ? df_fail(err, DF_EIO, "%s: cannot be read", file->from)
                          : df_fail(err, DF_EINVAL, "%s: expected at most %d bytes, found more",
                                    file->from, (int)MOST_BYTES);
    }
    text[size] = '\0';
    file->text = text;
    file->size = size;
    return DF_OK;
}

/* Reads the file whose path is file->from. */
static df_status read_file(df_hf_file *file, df_err *err)
{
    FILE *const in = fopen(file->from, "rb");
    if (!in) {
        return df_fail(err, errno == ENOENT ? DF_EINVAL : DF_EIO, "%s: cannot be read: %s",
                       file->from, strerror(errno));
    }
    const df_status status = read_open(in, file, err);
    (void)fclose(in);
    return status;
}

static bool is_there(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0;
}

static bool is_folder(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

/* ---- Names ---- */

/* Letters, digits, - _ . and single slashes between them; no part starts with a dot. */
static bool is_name(const char *text, int most_slashes)
{
    int slashes = 0;
    char last = '/';
    for (const char *c = text; *c != '\0'; last = *c, c++) {
        const bool inside = isalnum((unsigned char)*c) || *c == '-' || *c == '_' || *c == '.';
        if ((!inside && *c != '/') || (last == '/' && (*c == '/' || *c == '.'))) {
            return false;
        }
        slashes += *c == '/';
    }
    return last != '/' && slashes <= most_slashes && strlen(text) <= 200;
}

static df_status check_names(const df_hf_source *source, df_err *err)
{
    const int most_slashes = 20;
    if (!is_name(source->name, 1)) {
        return df_fail(err, DF_EINVAL,
                       "%s: expected a config.json, its folder, or a model such as "
                       "Qwen/Qwen2.5-3B, found no such file",
                       source->name);
    }
    if (!is_name(source->revision, most_slashes)) {
        return df_fail(err, DF_EINVAL, "--revision: expected a branch, tag or commit, found %s",
                       source->revision);
    }
    return DF_OK;
}

/* ---- HuggingFace's cache ---- */

/* models--OWNER--NAME of OWNER/NAME. */
static bool model_folder(const df_hf_source *source, char path[DF_HF_PATH])
{
    const char *const slash = strchr(source->name, '/');
    const int owner = slash ? (int)(slash - source->name) : 0;
    const int length =
        slash ? snprintf(path, DF_HF_PATH, "%s/models--%.*s--%s", source->cache_dir, owner,
                         source->name, slash + 1)
              : snprintf(path, DF_HF_PATH, "%s/models--%s", source->cache_dir, source->name);
    return length < DF_HF_PATH;
}

/* The commit that a branch or tag stands for; otherwise the revision is one. */
static void read_commit(const char *folder, const char *revision, char commit[COMMIT_ROOM])
{
    char path[2 * DF_HF_PATH];
    snprintf(path, sizeof path, "%s/refs/%s", folder, revision);
    snprintf(commit, COMMIT_ROOM, "%s", revision);
    FILE *const in = fopen(path, "r");
    if (in) {
        if (fgets(commit, COMMIT_ROOM, in)) {
            commit[strcspn(commit, "\r\n")] = '\0';
        }
        (void)fclose(in);
    }
}

/* Sets file->from where the cache has the model. */
static bool find_cached(const df_hf_source *source, df_hf_file *file)
{
    char folder[DF_HF_PATH];
    char commit[COMMIT_ROOM];
    if (!source->cache_dir || !model_folder(source, folder)) {
        return false;
    }
    read_commit(folder, source->revision, commit);
    const int length =
        snprintf(file->from, sizeof file->from, "%s/snapshots/%s/config.json", folder, commit);
    return is_name(commit, 0) && length < DF_HF_PATH && is_there(file->from);
}

/* ---- All places ---- */

static df_status fetch(const df_hf_source *source, df_hf_file *file, df_err *err)
{
    char address[DF_HF_PATH];
    if (!source->endpoint) {
        return df_fail(err, DF_EINVAL,
                       "%s: expected a model in HuggingFace's cache (%s), since it is offline "
                       "(HF_HUB_OFFLINE), found none",
                       source->name, source->cache_dir ? source->cache_dir : "there is none");
    }
    if (strncmp(source->endpoint, "https://", 8) != 0) {
        return df_fail(err, DF_EINVAL, "HF_ENDPOINT: expected https://..., found %s",
                       source->endpoint);
    }
    if (snprintf(address, sizeof address, "%s/%s/resolve/%s/config.json", source->endpoint,
                 source->name, source->revision) >= DF_HF_PATH) {
        return df_fail(err, DF_EINVAL, "HF_ENDPOINT: expected a shorter address");
    }
    return df_hf_fetch(address, source, file, err);
}

df_status df_hf_find(const df_hf_source *source, df_hf_file *file, df_err *err)
{
    file->text = NULL;
    if (is_there(source->name)) {
        const int length = snprintf(file->from, sizeof file->from, "%s%s", source->name,
                                    is_folder(source->name) ? "/config.json" : "");
        return length < DF_HF_PATH
                   ? read_file(file, err)
                   : df_fail(err, DF_EINVAL, "%.200s: the path is too long", source->name);
    }
    DF_TRY(check_names(source, err));
    return find_cached(source, file) ? read_file(file, err) : fetch(source, file, err);
}
