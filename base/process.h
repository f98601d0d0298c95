/* base/process — run a child as data: an argument vector and an environment, never a shell line.
 *
 * process_run waits for the child and hands over its output line by line as it appears.
 * process_start is for servers that live beside us.  Children get only the descriptors named. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/argv.h"

/* A switch that another thread may throw once; process_run looks at it while it waits. */
struct cancel {
    int fd; /* an eventfd, readable once thrown */
};
MUST_CHECK int cancel_init(struct cancel *c, struct error *err);
void cancel_throw(struct cancel *c);
bool cancel_is_thrown(const struct cancel *c);
void cancel_release(struct cancel *c);

enum process_stream { PROCESS_STDOUT = 1, PROCESS_STDERR = 2 };

/* Called on the thread that runs process_run.  Lines end at LF or CR; text has no line end and is
 * NUL-terminated; a line longer than line_max comes in pieces. */
struct process_sink {
    void (*line)(void *self, enum process_stream stream, const char *text, size_t len);
    void *self;
};

struct process_request {
    const struct argv *argv; /* argv->v[0] is the program, found in PATH of this process */
    const struct argv *env;  /* the whole environment; NULL: an empty one */
    int stdin_fd;            /* -1: /dev/null */
    const int *fds;          /* the child has fds[i] as descriptor 3 + i */
    size_t n_fds;
    int64_t timeout_ms;              /* 0: none */
    const struct cancel *cancel;     /* NULL: none */
    int64_t grace_ms;                /* between SIGTERM and SIGKILL; 0: SIGKILL at once */
    size_t line_max;                 /* 0: 65536 */
    const struct process_sink *sink; /* NULL: output is dropped */
    /* Called once, after the first signal, when the time limit or the cancel ends the child: for
     * what it has started outside of its process group.  NULL: none */
    void (*on_kill)(void *self);
    void *on_kill_self;
};

enum process_how { PROCESS_EXITED, PROCESS_SIGNALLED, PROCESS_TIMED_OUT, PROCESS_CANCELLED };

/* How it ended.  code is -1 unless it exited; signal is 0 unless it was signalled. */
struct process_end {
    enum process_how how;
    int code;
    int signal;
};

/* Returns when the child has ended and its output is read to the end (a grandchild that keeps the
 * pipes is waited for 5 s more).  The child is in a process group of its own, and dies with the
 * calling thread.  -1 only when it could not be started or waited for. */
MUST_CHECK int process_run(const struct process_request *req, struct process_end *ret_end,
                           struct error *err);

/* True when it exited with 0: the only success there is. */
static inline bool process_succeeded(const struct process_end *end)
{
    return end->how == PROCESS_EXITED && end->code == 0;
}

/* "exited with 3", "was killed by signal 9 (Killed)", "ran longer than allowed", "was cancelled" */
#define PROCESS_TEXT 64
void process_describe(const struct process_end *end, char text[PROCESS_TEXT]);

/* A child that goes on.  Its output goes to log_fd (not closed). */
struct process {
    pid_t pid; /* 0: none */
};
MUST_CHECK int process_start(const struct argv *argv, const struct argv *env, const int *fds,
                             size_t n_fds, int log_fd, struct process *ret, struct error *err);

/* True while it runs; reaps it when it has ended. */
bool process_is_alive(struct process *p);

/* SIGTERM, SIGKILL after grace_ms, reaped.  Fine on one that has ended or never was. */
void process_stop(struct process *p, int64_t grace_ms);

#endif
