/* search_dir.h: the folder of a search, locked against a second writer. */
#ifndef DF_SEARCH_DIR_H
#define DF_SEARCH_DIR_H
#include <stdbool.h>

#include "base/status.h"

typedef struct {
    double wait_s;                  /* how long for another writer to end; 0: not at all */
    bool without;                   /* take no lock: a file system may have none */
    bool (*interrupted)(void *ctx); /* true ends the wait; NULL: never */
    void *ctx;
} df_search_lock;

/* Takes the lock of a folder: *lock is its file, or -1 where none is taken. The system drops it
 * when this process ends, however it ends (on NFS: when the server finds the machine gone).
 * DF_EIO: another process writes there (err says which), or the file system has no locks.
 * DF_EINTERRUPTED: the wait was ended. */
DF_NODISCARD df_status df_search_lock_dir(const char *dir,
                                          const df_search_lock *how,
                                          int *lock,
                                          df_err *err);
void df_search_unlock_dir(int lock); /* -1 is fine */
/* Whether a lock file exists for these results and nobody holds it, so that no search writes them,
 * except for one without locks. */
bool df_search_nobody_writes(const char *results_path);

enum { DF_SEARCH_PATH = 4096 };
/* The results of what the user named: a file, or a folder with results.h5 in it. */
void df_search_results_path(const char *name, char path[DF_SEARCH_PATH]);

#endif
