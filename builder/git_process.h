/* builder/git_process — git repositories for ADD, fetched by processes beside the executor.
 *
 * What speaks to a git server reads what a stranger sends, so it is kept from all that the executor
 * has: the first process is forked before the program with its secrets is read, and each source
 * gets one of its own, that sees neither the cache nor the bases, is nobody, and has no rights.  It
 * has the jail's network, as ADD of files and RUN have. */
#ifndef BUILDER_GIT_PROCESS_H
#define BUILDER_GIT_PROCESS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/process.h"
#include "builder/program.h"

struct git_process {
    int orders; /* a socket, to the process that makes the others */
    pid_t pid;  /* 0: none */
};
#define GIT_PROCESS_INIT                                                                           \
    {                                                                                              \
        .orders = -1                                                                               \
    }

/* Before there are threads, and before anything is read that is nobody's business. */
MUST_CHECK int git_process_start(const struct builder_git *git, struct git_process *ret,
                                 struct error *err);
void git_process_end(struct git_process *p);

/* One source of one ADD. */
struct git_source {
    int channel; /* to its process; -1: none */
    int dir;     /* where it works; "tree" in it is where the files come to */
    char key[BUILDER_GIT_KEY];
};
#define GIT_SOURCE_INIT                                                                            \
    {                                                                                              \
        .channel = -1, .dir = -1                                                                   \
    }
#define GIT_SOURCE_TREE "tree"

/* From any thread.  dir, which is empty and taken over, gets the files when they are asked for.
 * ERR_INPUT: it could not be had, and why; ERR_NONE: it was cancelled. */
MUST_CHECK int git_process_find(struct git_process *p, const struct builder_git_order *order,
                                int dir, const struct cancel *cancel, struct git_source *ret,
                                struct error *err);
/* Once.  notes: lines for the log, each with its line feed. */
MUST_CHECK int git_process_fetch(struct git_source *s, const struct cancel *cancel,
                                 struct buf *notes, struct error *err);
void git_process_release(struct git_source *s);

#endif
