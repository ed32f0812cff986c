/* AstraSim itself, as a process of its own: files in, "Wall time" lines out. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "runner/runner_impl.h"

enum { LINE_ROOM = 512, ARGUMENTS = 8 };

/* The output of the binary so far. */
typedef struct {
    char line[LINE_ROOM]; /* the one that is coming in; longer ones are cut */
    size_t length;
    char last[LINE_ROOM]; /* the last that says anything */
    int32_t ranks, reported;
    uint64_t max_ns;
    bool zero; /* a rank took no time */
} output;

/* The time in "... sys[3], Wall time: 1234". */
static bool read_wall_time(const char *line, uint64_t *ns)
{
    static const char before[] = "], Wall time: ";
    const char *const rank = strstr(line, "sys[");
    const char *const time = rank ? strstr(rank, before) : NULL;
    char *end;
    if (!time || time == rank + strlen("sys[")) {
        return false;
    }
    errno = 0;
    *ns = strtoull(time + sizeof before - 1, &end, 10);
    return errno == 0 && end != time + sizeof before - 1;
}

static void take_line(output *o)
{
    uint64_t ns;
    o->line[o->length] = '\0';
    o->length = 0;
    if (read_wall_time(o->line, &ns)) {
        o->reported++;
        o->zero = o->zero || ns == 0;
        o->max_ns = ns > o->max_ns ? ns : o->max_ns;
    } else if (o->line[0] != '\0') {
        memcpy(o->last, o->line, sizeof o->last);
    }
}

static void take_bytes(output *o, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            take_line(o);
        } else if (o->length < LINE_ROOM - 1) {
            o->line[o->length++] = bytes[i];
        }
    }
}

/* Reads until the binary closes its output. False: the time limit came first. */
static bool read_output(int fd, double deadline_s, output *o)
{
    char bytes[4096];
    for (;;) {
        const double left_s = deadline_s > 0 ? deadline_s - df_clock_s() : 3600;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left_s <= 0) {
            return false;
        }
        const double left_ms = left_s * 1e3 + 1;
        const int ready = poll(&wait, 1, left_ms < 1e9 ? (int)left_ms : 1000000000);
        if (ready < 0 && errno != EINTR) {
            return true;
        }
        if (ready > 0) {
            const ssize_t count = read(fd, bytes, sizeof bytes);
            if (count == 0 || (count < 0 && errno != EINTR)) {
                take_line(o);
                return true;
            }
            take_bytes(o, bytes, count > 0 ? (size_t)count : 0);
        }
    }
}

/* Called in the child: it becomes the binary, in the folder, with its output in the pipe. */
_Noreturn static void become(char *const argv[], const char *dir, int fd)
{
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setpgid(0, 0); /* so that everything it starts can be ended */
    if (chdir(dir) == 0 && dup2(nothing, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
        dup2(fd, STDERR_FILENO) >= 0) {
        (void)execv(argv[0], argv);
    }
    static const char text[] = "cannot be started\n";
    (void)!write(fd, text, sizeof text - 1);
    _exit(127);
}

static df_status
start(char *const argv[], const char *dir, pid_t *child, int *read_end, df_err *err)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return df_fail(err, DF_ERUNTIME, "cannot create a pipe to AstraSim: %s", strerror(errno));
    }
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    *child = fork();
    if (*child == 0) {
        become(argv, dir, ends[1]);
    }
    (void)close(ends[1]);
    if (*child < 0) {
        (void)close(ends[0]);
        return df_fail(err, DF_ERUNTIME, "cannot start a process for AstraSim: %s",
                       strerror(errno));
    }
    (void)setpgid(*child, *child); /* whoever comes first */
    *read_end = ends[0];
    return DF_OK;
}

static df_status judge(const char *binary, int status, const output *o, df_err *err)
{
    if (WIFSIGNALED(status)) {
        return df_fail(err, DF_ERUNTIME, "%s: ended by signal %d; its last line: %.300s", binary,
                       WTERMSIG(status), o->last);
    }
    if (WEXITSTATUS(status) != 0) {
        return df_fail(err, DF_ERUNTIME, "%s: exit code %d; its last line: %.300s", binary,
                       WEXITSTATUS(status), o->last);
    }
    if (o->reported != o->ranks || o->zero) {
        return df_fail(err, DF_ERUNTIME,
                       "%s: expected a wall time > 0 of each of %d ranks, found %d%s; its last "
                       "line: %.300s",
                       binary, (int)o->ranks, (int)o->reported, o->zero ? ", one of them 0" : "",
                       o->last);
    }
    return DF_OK;
}

static df_status
run(char *const argv[], const char *dir, double time_limit_s, output *o, df_err *err)
{
    pid_t child = 0;
    int fd = -1;
    int status = 0;
    DF_TRY(start(argv, dir, &child, &fd, err));
    const bool ended = read_output(fd, time_limit_s > 0 ? df_clock_s() + time_limit_s : 0, o);
    if (!ended) {
        (void)kill(-child, SIGKILL);
    }
    (void)close(fd);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (!ended) {
        return df_fail(err, DF_ERUNTIME,
                       "%s: not done after %g s (execution_backend.astra.time_limit)", argv[0],
                       time_limit_s);
    }
    return judge(argv[0], status, o, err);
}

static df_status write_memory(const char *dir, df_err *err)
{
    char path[DF_RUNNER_PATH];
    DF_TRY(df_runner_path(path, err, "%s/memory.json", dir));
    FILE *const out = fopen(path, "wbe");
    if (!out || fputs("{\"memory-type\": \"NO_MEMORY_EXPANSION\"}\n", out) < 0) {
        if (out) {
            (void)fclose(out);
        }
        return df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    return fclose(out) == 0
               ? DF_OK
               : df_fail(err, DF_EIO, "%s: cannot be written: %s", path, strerror(errno));
}

static df_status run_in(const char *dir,
                        const df_runner_binary *binary,
                        const df_runner_job *job,
                        output *o,
                        df_err *err)
{
    char network[96];
    char whole[DF_RUNNER_PATH];
    const int32_t *const groups =
        df_net_program_group(job->program, 0, &(int32_t){0}, &(int32_t){0});
    snprintf(network, sizeof network, "--network-configuration=network_analytical_%d.yml",
             (int)job->network->ranks);
    /* it runs in a different folder */
    if (!realpath(binary->path, whole)) {
        return df_fail(err, DF_EIO, "%s: cannot be found: %s", binary->path, strerror(errno));
    }
    char *argv[ARGUMENTS] = {whole,
                             "--workload-configuration=" DF_ASTRA_PREFIX,
                             "--system-configuration=" DF_ASTRA_SYSTEM,
                             network,
                             "--remote-memory-configuration=memory.json",
                             groups ? "--comm-group-configuration=" DF_ASTRA_GROUPS : NULL};
    DF_TRY(df_runner_write_files(dir, job, err));
    DF_TRY(write_memory(dir, err));
    return run(argv, dir, binary->time_limit_s, o, err);
}

df_status df_runner_run_binary(const df_runner_binary *binary,
                               const df_runner_job *job,
                               uint64_t *max_ns,
                               df_err *err)
{
    char dir[DF_RUNNER_PATH];
    output o = {.last = "(none)", .ranks = df_net_program_ranks(job->program)};
    DF_TRY(df_runner_path(dir, err, "%s/deepflow-astra-XXXXXX", binary->temporary_dir));
    if (!mkdtemp(dir)) {
        return df_fail(err, DF_EIO, "%s: cannot be created: %s", dir, strerror(errno));
    }
    const df_status status = run_in(dir, binary, job, &o, err);
    df_dir_remove(dir);
    *max_ns = o.max_ns;
    return status;
}
