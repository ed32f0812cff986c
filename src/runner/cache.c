/* Results on disk, one small file each, named by a hash of all that the result depends on. A
 * file appears whole (it is renamed into place), so that any number of processes may share a
 * folder without locks. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/dir.h"
#include "runner/runner_impl.h"

/* Part of every key, so that results of other rules of simulation are not found. Count it up when
 * the simulator's rules change: tests/unit/test_astra.c has times that change with them. */
static const char VERSION[] = "deepflow astra cache 1";

static void take(void *context, const void *bytes, size_t size)
{
    XXH3_state_t *const state = context;
    (void)XXH3_128bits_update(state, bytes, size);
}

static void take_real(XXH3_state_t *state, double value)
{
    take(state, &value, sizeof value);
}

static void take_whole(XXH3_state_t *state, int64_t value)
{
    take(state, &value, sizeof value);
}

static void take_machine(XXH3_state_t *state, const df_net_network *n, const df_net_system *s)
{
    take_whole(state, (int64_t)n->topology);
    take_whole(state, n->ranks);
    take_real(state, n->bandwidth_gib_ps);
    take_real(state, n->latency_ns);
    take_whole(state, s->endpoint_delay_ns);
    take_whole(state, s->splits);
    take_whole(state, s->active_chunks);
    take_real(state, s->local_mem_gb_ps);
    for (int i = 0; i < DF_NET_IMPLEMENTED; i++) {
        take_whole(state, (int64_t)s->algorithm[i].kind);
        take_whole(state, s->algorithm[i].window);
    }
}

static void finish(XXH3_state_t *state, df_runner_key *key)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(state);
    snprintf(key->text, sizeof key->text, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
             (uint64_t)hash.low64);
    (void)XXH3_freeState(state);
}

static XXH3_state_t *begin(void)
{
    XXH3_state_t *const state = XXH3_createState();
    if (state) {
        (void)XXH3_128bits_reset(state);
    }
    return state;
}

df_status
df_runner_key_of(const df_runner_job *job, const char *salt, df_runner_key *key, df_err *err)
{
    XXH3_state_t *const state = begin();
    if (!state) {
        return df_fail(err, DF_ENOMEM, "out of memory");
    }
    take(state, VERSION, sizeof VERSION);
    take(state, salt, strlen(salt) + 1);
    take_machine(state, job->network, job->system);
    df_net_program_digest(job->program, take, state);
    finish(state, key);
    return DF_OK;
}

df_status df_runner_hash_file(const char *path, df_runner_key *key, df_err *err)
{
    char block[1 << 16];
    FILE *const file = fopen(path, "rb");
    XXH3_state_t *const state = file ? begin() : NULL;
    if (!state) {
        const df_status status =
            file ? df_fail(err, DF_ENOMEM, "out of memory")
                 : df_fail(err, DF_EIO, "%s: cannot be opened: %s", path, strerror(errno));
        if (file) {
            (void)fclose(file);
        }
        return status;
    }
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0) {
        take(state, block, size);
    }
    const bool failed = ferror(file) != 0;
    (void)fclose(file); /* only read */
    finish(state, key);
    return failed ? df_fail(err, DF_EIO, "%s: cannot be read", path) : DF_OK;
}

/* Reads a number behind a text; moves on behind it. */
static bool read_after(const char **at, const char *text, uint64_t *number)
{
    const size_t length = strlen(text);
    char *end;
    if (strncmp(*at, text, length) != 0 || (*at)[length] < '0' || (*at)[length] > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(*at + length, &end, 10);
    *at = end;
    return errno == 0;
}

bool df_runner_cache_find(const char *dir,
                          const df_runner_key *key,
                          int32_t ranks,
                          uint64_t *max_ns)
{
    char path[DF_RUNNER_PATH];
    char text[128];
    if (df_runner_path(path, NULL, "%s/%s.json", dir, key->text) != DF_OK) {
        return false;
    }
    FILE *const file = fopen(path, "rbe");
    if (!file) {
        return false;
    }
    const size_t size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file); /* only read */
    text[size] = '\0';
    const char *at = text;
    uint64_t found_ranks;
    uint64_t found_ns;
    const bool whole = read_after(&at, "{\"ranks\": ", &found_ranks) &&
                       read_after(&at, ", \"max_ns\": ", &found_ns) && strcmp(at, "}\n") == 0 &&
                       found_ranks == (uint64_t)ranks;
    if (whole) {
        *max_ns = found_ns;
    }
    return whole;
}

df_status df_runner_cache_keep(
    const char *dir, const df_runner_key *key, int32_t ranks, uint64_t max_ns, df_err *err)
{
    char path[DF_RUNNER_PATH];
    char fresh[DF_RUNNER_PATH];
    DF_TRY(df_dir_make(dir, err));
    DF_TRY(df_runner_path(path, err, "%s/%s.json", dir, key->text));
    DF_TRY(df_runner_path(fresh, err, "%s/.%s.%ld.%.0f", dir, key->text, (long)getpid(),
                          df_clock_s() * 1e9));
    FILE *const file = fopen(fresh, "wbxe");
    if (!file) {
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", fresh, strerror(errno));
    }
    const bool written =
        fprintf(file, "{\"ranks\": %" PRId32 ", \"max_ns\": %" PRIu64 "}\n", ranks, max_ns) > 0;
    if (fclose(file) != 0 || !written || rename(fresh, path) != 0) {
        const int cause = errno;
        (void)unlink(fresh);
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(cause));
    }
    return DF_OK;
}
