#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void df_assert_rel_at(double a, double b, double tol, const char *what, const char *file, int line)
{
    const bool same = a == b || fabs(a - b) <= tol * fmax(fabs(a), fabs(b));
    if (!same) {
        print_error("%s: %.17g and %.17g differ by %.3g\n", what, a, b,
                    fabs(a - b) / fmax(fabs(a), fabs(b)));
        _fail(file, line);
    }
}

char *df_read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("cannot read %s", path);
    }
    size_t size = 0;
    size_t room = 4096;
    char *text = malloc(room);
    assert_non_null(text);
    size_t got;
    while ((got = fread(text + size, 1, room - size - 1, f)) > 0) {
        size += got;
        if (size + 1 == room) {
            room *= 2;
            char *grown = realloc(text, room);
            assert_non_null(grown);
            text = grown;
        }
    }
    text[size] = '\0';
    fclose(f);
    return text;
}

void df_write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    if (!f) {
        fail_msg("cannot write %s", path);
    }
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

void df_make_dir(char path[256])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, 256, "%s/deepflow-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(path)) {
        fail_msg("cannot make the folder %s", path);
    }
}

void df_remove_dir(const char *path)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}

void df_run(const char *command, int *exit_code, char **out, char **err)
{
    char dir[256];
    char out_path[300];
    char err_path[300];
    df_make_dir(dir);
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    snprintf(err_path, sizeof err_path, "%s/err", dir);
    const size_t room = strlen(command) + sizeof out_path + sizeof err_path + 32;
    char *line = malloc(room);
    assert_non_null(line);
    snprintf(line, room, "{ %s\n} >'%s' 2>'%s' </dev/null", command, out_path, err_path);
    const int status = system(line);
    free(line);
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (out) {
        *out = df_read_file(out_path);
    }
    if (err) {
        *err = df_read_file(err_path);
    }
    df_remove_dir(dir);
}
