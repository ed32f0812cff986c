/* support.h: what every test program needs, cmocka included. */
#ifndef DF_TEST_SUPPORT_H
#define DF_TEST_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* Fails unless a and b differ by at most tol relative to the larger; equal
 * infinities are equal (cmocka's own comparison rounds to float). */
#define df_assert_rel(a, b, tol) df_assert_rel_at((a), (b), (tol), #a " == " #b, __FILE__, __LINE__)
void df_assert_rel_at(double a, double b, double tol, const char *what, const char *file, int line);

/* Runs a command with the shell; stdout and stderr (may be NULL) are returned in
 * malloc'ed texts, *exit_code is the exit code, or 128 + signal. */
void df_run(const char *command, int *exit_code, char **out, char **err);

/* A new empty folder under $TMPDIR; the caller removes it with df_remove_dir. */
void df_make_dir(char path[256]);
void df_remove_dir(const char *path);

/* Writes a text file; fails the test if it cannot. */
void df_write_file(const char *path, const char *text);
/* Reads a whole file into a malloc'ed text; fails the test if it cannot. */
char *df_read_file(const char *path);

#endif
