/* What a search leaves when it is killed, when the disk is full, when two want one folder. */
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/results.h"

/* 11 layouts of a 2 x 2 wafer: about a second in a Release build. */
#define SEARCH                                                                                     \
    "arch_search --exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --wafer_dim 2 --flush_s 0.5"
#define SIZE " --num_search " DF_KILL_SEARCHES

static int shell(const char *command)
{
    int exit_code;
    df_run(command, &exit_code, NULL, NULL);
    return exit_code;
}

static void results_of(const char *dir, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s/results.h5", dir, name);
}

/* Runs a search to its end in the folder DIR/NAME. */
static void do_search(const char *before, const char *dir, const char *name, const char *flags)
{
    char command[2048];
    char *err;
    int exit_code;
    snprintf(command, sizeof command, "%s %s " SEARCH " --exp_dir %s/%s %s", before, DF_BIN, dir,
             name, flags);
    df_run(command, &exit_code, NULL, &err);
    if (exit_code != 0) {
        fail_msg("exit code %d: %s", exit_code, err);
    }
    free(err);
}

/* A search that must fail so. */
static void refuse_search(
    const char *before, const char *dir, const char *flags, int expected, const char *message)
{
    char command[2048];
    char *err;
    int exit_code;
    snprintf(command, sizeof command, "%s %s " SEARCH " --exp_dir %s %s", before, DF_BIN, dir,
             flags);
    df_run(command, &exit_code, NULL, &err);
    if (exit_code != expected || !strstr(err, message)) {
        fail_msg("expected %d and \"%s\", found %d: %s", expected, message, exit_code, err);
    }
    free(err);
}

/* ---- Killing ---- */

/* Starts the command with the shell in the background, as one process of that id. */
static pid_t start(const char *command)
{
    char line[4096];
    snprintf(line, sizeof line, "exec %s >/dev/null 2>&1", command);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void sleep_s(double seconds)
{
    const struct timespec time = {(time_t)seconds,
                                  (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Whether the process of this command line works on the folder (mpirun is not meant). */
static bool is_rank_of(const char *path, const char *dir)
{
    char text[4096] = "";
    FILE *const file = fopen(path, "r");
    if (!file) {
        return false;
    }
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\0') {
            text[i] = ' ';
        }
    }
    return strncmp(text, DF_BIN " ", strlen(DF_BIN) + 1) == 0 && strstr(text, dir);
}

/* The processes of the ranks, at most `room`. */
static int find_ranks(const char *dir, pid_t *ranks, int room)
{
    int count = 0;
    glob_t found;
    assert_int_equal(glob("/proc/[0-9]*/cmdline", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && count < room; i++) {
        if (is_rank_of(found.gl_pathv[i], dir)) {
            ranks[count++] = (pid_t)strtol(found.gl_pathv[i] + strlen("/proc/"), NULL, 10);
        }
    }
    globfree(&found);
    return count;
}

/* Numbers that look random, the same in each run. */
static double draw(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (double)(*state >> 11) / 9007199254740992.0;
}

typedef enum { RANK, MPIRUN } victim;

/* Waits for mpirun's end; returns its status. Open MPI's mpirun has been seen to hang at its own
 * end, over a lock of PMIx, with all ranks gone: then it is killed. */
static int wait_for_end(pid_t mpirun, const char *dir)
{
    pid_t rank;
    int status;
    for (int i = 0; i < 600; i++) {
        if (waitpid(mpirun, &status, WNOHANG) == mpirun) {
            return status;
        }
        sleep_s(0.1);
    }
    assert_int_equal(find_ranks(dir, &rank, 1), 0);
    kill(mpirun, SIGKILL);
    assert_int_equal(waitpid(mpirun, &status, 0), mpirun);
    return status;
}

/* Kills one of the job's processes, if it still runs, and waits for its end. */
static bool kill_job(pid_t mpirun, const char *dir, victim whom, double which)
{
    pid_t ranks[16];
    int status;
    if (waitpid(mpirun, &status, WNOHANG) == mpirun) {
        return false;
    }
    const int count = find_ranks(dir, ranks, 16);
    if (whom == RANK && count > 0) {
        kill(ranks[(int)(which * count)], SIGKILL);
    } else {
        kill(mpirun, SIGKILL);
    }
    status = wait_for_end(mpirun, dir);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* The file opens and is whole, or is not there yet. */
static void assert_readable(const char *path)
{
    char command[700];
    if (access(path, F_OK) == 0) {
        assert_true(df_find_extent(path, "/searches").size > 0);
        snprintf(command, sizeof command, "h5dump -d /searches %s >/dev/null", path);
        assert_int_equal(shell(command), 0);
    }
}

/* Starts a search in an empty folder and kills it within max_s seconds. */
static void disturb(const char *dir, victim whom, double max_s, uint64_t *random)
{
    char command[2048];
    char path[512];
    double moment_s = max_s * draw(random);
    snprintf(command, sizeof command, "mpirun -n 3 %s " SEARCH SIZE " --exp_dir %s/part", DF_BIN,
             dir);
    results_of(dir, "part", path);
    for (bool killed = false; !killed;) {
        char clean[512];
        snprintf(clean, sizeof clean, "rm -rf %s/part", dir);
        assert_int_equal(shell(clean), 0);
        const pid_t mpirun = start(command);
        sleep_s(moment_s);
        killed = kill_job(mpirun, dir, whom, draw(random));
        moment_s /= 2; /* earlier, if it was at its end */
    }
    assert_readable(path);
}

/* 20 moments; each time readable at once and, resumed by other ranks, the same in the end. */
static void killed_at_any_moment(void **state)
{
    (void)state;
    static const char *const resumed_by[] = {"", "mpirun -n 2"};
    char dir[256];
    char whole[512];
    char part[512];
    uint64_t random = 2385;
    df_make_dir(dir);
    const double begin_s = df_clock_s();
    do_search("mpirun -n 3", dir, "whole", SIZE);
    const double whole_s = df_clock_s() - begin_s;
    results_of(dir, "whole", whole);
    results_of(dir, "part", part);
    for (int i = 0; i < DF_KILLS; i++) {
        disturb(dir, i % 2 == 0 ? RANK : MPIRUN, whole_s, &random);
        do_search(resumed_by[i / 2 % 2], dir, "part", SIZE " --resume --wait_s 30");
        df_assert_same_results(part, whole);
    }
    df_remove_dir(dir);
}

/* Python reads all the while: each row that is not pending has the right checksum. */
static void readers_see_whole_rows(void **state)
{
    (void)state;
    static const char script[] = "import h5py, sys, zlib\n"
                                 "seen = []\n"
                                 "while not seen or seen[-1]:\n"
                                 "    try:\n"
                                 "        f = h5py.File(sys.argv[1], 'r')\n"
                                 "    except FileNotFoundError:\n"
                                 "        continue\n"
                                 "    rows = f['searches'][:]\n"
                                 "    seen.append(sum(rows['status'] == b'pending'))\n"
                                 "    for row in rows[rows['status'] != b'pending']:\n"
                                 "        was = int(row['checksum'])\n"
                                 "        row['checksum'] = 0\n"
                                 "        assert was == zlib.crc32(row.tobytes())\n"
                                 "assert len(set(seen)) > 2, seen\n";
    char dir[256];
    char command[4096];
    char path[512];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/read.py", dir);
    df_write_file(path, script);
    results_of(dir, "results", path);
    snprintf(command, sizeof command,
             "mpirun -n 2 %s " SEARCH SIZE " --exp_dir %s/results >/dev/null 2>&1 & "
             "timeout 120 /usr/bin/python3 %s/read.py %s && wait $!",
             DF_BIN, dir, dir, path);
    char *err;
    int exit_code;
    df_run(command, &exit_code, NULL, &err);
    if (exit_code != 0) {
        fail_msg("%s", err);
    }
    free(err);
    df_remove_dir(dir);
}

/* ---- Full disks ---- */

/* A file system of so many KB in DIR/disk; false where that is not permitted. */
static bool mount_disk(const char *dir, int kb)
{
    char command[1024];
    snprintf(command, sizeof command,
             "mkdir -p %s/disk && mount -t tmpfs -o size=%dk tmpfs %s/disk", dir, kb, dir);
    return shell(command) == 0;
}

static void change_disk(const char *dir, int kb)
{
    char command[1024];
    snprintf(command, sizeof command, "mount -o remount,size=%dk %s/disk", kb, dir);
    assert_int_equal(shell(command), 0);
}

static void unmount_disk(const char *dir)
{
    char command[1024];
    snprintf(command, sizeof command, "umount %s/disk", dir);
    assert_int_equal(shell(command), 0);
}

/* Without room nothing begins. What has begun has its room: a disk that fills up does no harm. */
static void a_full_disk_is_told(void **state)
{
    (void)state;
    char dir[256];
    char disk[300];
    char results[512];
    char whole[512];
    char command[2048];
    df_make_dir(dir);
    snprintf(disk, sizeof disk, "%s/disk/a", dir);
    if (!mount_disk(dir, 40)) {
        df_remove_dir(dir);
        puts("SKIPPED: no permission to mount a file system");
        skip();
    }
    refuse_search("", disk, SIZE, 1, "results.h5.part: cannot be created, as it takes ");
    refuse_search("mpirun -n 2", disk, SIZE " --resume", 1, "No space left on device");
    change_disk(dir, 4096);
    results_of(dir, "disk/a", results);
    snprintf(command, sizeof command,
             "%s " SEARCH SIZE " --exp_dir %s --resume >/dev/null 2>&1 & "
             "until test -e %s; do sleep 0.01; done; "
             "cat /dev/zero >%s/disk/filler 2>/dev/null; wait $!",
             DF_BIN, disk, results, dir);
    assert_int_equal(shell(command), 0);
    do_search("", dir, "whole", SIZE);
    results_of(dir, "whole", whole);
    df_assert_same_results(results, whole);
    unmount_disk(dir);
    df_remove_dir(dir);
}

#define ONE                                                                                        \
    DF_BIN " GD_search --exp_config " DF_CONFIGS "/search/lstm_4x4.yaml --index 3 --dp 16 "        \
           "--wafer_dim 4 --intra_derate 2 --inter_derate 0 --optimizer reference --iterations 30"

/* Runs a command that finds itself interrupted at the first look: SIGTERM is blocked, as the
 * program has it anyway, and waits. */
static int run_interrupted(const char *command)
{
    sigset_t set;
    sigset_t before;
    int status;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
    const pid_t pid = start(command);
    kill(pid, SIGTERM);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Writes begin to fail in the middle: here because files may not be larger than 1 KB. (A search
 * without MPI, which has files of its own.) */
static void a_failed_write_is_told(void **state)
{
    (void)state;
    char dir[256];
    char command[2048];
    char results[512];
    char whole[512];
    char *err;
    int exit_code;
    df_make_dir(dir);
    results_of(dir, "whole", whole);
    results_of(dir, "part", results);
    snprintf(command, sizeof command, ONE " --exp_dir %s/whole", dir);
    assert_int_equal(shell(command), 0);
    snprintf(command, sizeof command, ONE " --exp_dir %s/part", dir);
    assert_int_equal(run_interrupted(command), 75);
    snprintf(command, sizeof command, "ulimit -f 2; " ONE " --exp_dir %s/part --resume", dir);
    df_run(command, &exit_code, NULL, &err);
    assert_int_equal(exit_code, 1);
    assert_non_null(strstr(err, "part/results.h5: cannot be written: File too large"));
    free(err);
    assert_readable(results);
    snprintf(command, sizeof command, ONE " --exp_dir %s/part --resume", dir);
    assert_int_equal(shell(command), 0);
    df_assert_same_results(results, whole);
    df_remove_dir(dir);
}

/* ---- Two searches, other versions ---- */

/* While a search runs a second one is refused, and one that waits goes on after it. */
static void a_second_search_is_refused(void **state)
{
    (void)state;
    char dir[256];
    char path[300];
    char results[512];
    char command[1024];
    df_make_dir(dir);
    snprintf(path, sizeof path, "%s/a", dir);
    results_of(dir, "a", results);
    snprintf(command, sizeof command, "mpirun -n 2 %s " SEARCH " --num_search 1000000 --exp_dir %s",
             DF_BIN, path);
    const pid_t first = start(command);
    snprintf(command, sizeof command, "until test -e %s; do sleep 0.01; done", results);
    assert_int_equal(shell(command), 0);
    refuse_search("", path, "--resume --num_search 1000000", 1,
                  "another search is writing to it (process ");
    refuse_search("mpirun -n 2", path, "--overwrite", 1, "another search is writing to it");
    assert_true(kill_job(first, dir, RANK, 0));
    do_search("", dir, "a", "--overwrite --num_search 1 --wait_s 30");
    refuse_search("", path, "--num_search 1", 2, "--exp_dir: expected a folder that does not");
    df_remove_dir(dir);
}

/* The file says which version of the model it is from; here a digit of it is changed. */
static void another_model_is_refused(void **state)
{
    (void)state;
    char dir[256];
    char path[300];
    char results[512];
    df_make_dir(dir);
    do_search("", dir, "a", "--num_search 1");
    snprintf(path, sizeof path, "%s/a", dir);
    results_of(dir, "a", results);
    const df_extent settings = df_find_extent(results, "/config/settings");
    FILE *const file = fopen(results, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)settings.at + (long)strlen("model="), SEEK_SET), 0);
    assert_int_equal(fputc('9', file), '9');
    assert_int_equal(fclose(file), 0);
    refuse_search("mpirun -n 2", path, "--num_search 1 --resume", 2,
                  "settings, line 1: expected \"model=9");
    refuse_search("", path, "--num_search 2 --resume", 2, "found \"model=");
    df_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_moment),       cmocka_unit_test(readers_see_whole_rows),
        cmocka_unit_test(a_full_disk_is_told),        cmocka_unit_test(a_failed_write_is_told),
        cmocka_unit_test(a_second_search_is_refused), cmocka_unit_test(another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
