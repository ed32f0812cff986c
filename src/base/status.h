/* status.h: how functions fail. A function returns a df_status and writes its
 * text into a df_err of the caller; results come through the last pointers. */
#ifndef DF_STATUS_H
#define DF_STATUS_H

#define DF_NODISCARD __attribute__((warn_unused_result))
#define DF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef enum {
    DF_OK = 0,
    DF_EINVAL,       /* bad usage or bad input: exit code 2 */
    DF_INFEASIBLE,   /* well formed, but cannot work: exit code 3 */
    DF_EIO,          /* a file could not be read or written: exit code 1 */
    DF_ENOMEM,       /* out of memory: exit code 1 */
    DF_ERUNTIME,     /* failed while running (MPI, HDF5, GSL): exit code 1 */
    DF_ESTUCK,       /* simulated ranks wait for each other: exit code 1 */
    DF_EINTERRUPTED, /* stopped by a signal; --resume continues: exit code 75 */
} df_status;

enum { DF_ERR_TEXT = 1024 };

/* The text of a failure: one line, without "deepflow: error: " and newline; control characters
 * have become spaces. */
typedef struct {
    char text[DF_ERR_TEXT];
} df_err;

/* Formats *err (NULL: the text is dropped) and returns status. */
df_status df_fail(df_err *err, df_status status, const char *format, ...) DF_PRINTF(3, 4);

/* The process exit code of a status, according to the contract of the command line. */
int df_status_exit_code(df_status status);

/* Returns the status of a failing call; only where nothing is held. */
#define DF_TRY(call)                                                                               \
    do {                                                                                           \
        const df_status df_try_status = (call);                                                    \
        if (df_try_status != DF_OK) {                                                              \
            return df_try_status;                                                                  \
        }                                                                                          \
    } while (0)

#endif
