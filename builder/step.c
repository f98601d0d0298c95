/* builder/step — one jail on a job's directories, and what its end means for the build. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/egress.h"
#include "builder/state.h"

#define OUTPUT_SLACK (1 << 20)

static enum builder_outcome outcome_of(enum jail_excess excess)
{
    static const enum builder_outcome outcomes[] = {
        [JAIL_EXCESS_NONE] = BUILDER_KILLED,
        [JAIL_EXCESS_MEMORY] = BUILDER_OUT_OF_MEMORY,
        [JAIL_EXCESS_PROCESSES] = BUILDER_TOO_MANY_PROCESSES,
        [JAIL_EXCESS_DISK] = BUILDER_DISK_FULL,
    };

    return outcomes[excess];
}

static int read_end(const struct jail_end *end, const char *what, enum builder_outcome *ret_outcome,
                    int *ret_code, struct error *err)
{
    enum builder_outcome outcome = BUILDER_DONE;
    char how[PROCESS_TEXT];

    if (end->how == JAIL_TIMED_OUT)
        outcome = BUILDER_TIMED_OUT;
    else if (end->how == JAIL_CANCELLED)
        outcome = BUILDER_CANCELLED;
    else if (end->how == JAIL_STOPPED)
        outcome = outcome_of(end->excess);
    else if (end->how == JAIL_LOST ||
             (end->how == JAIL_SIGNALLED && (end->signal == SIGKILL || end->signal == SIGTERM)))
        outcome = BUILDER_KILLED;
    else if (end->how == JAIL_SIGNALLED) {
        jail_describe(end, how);
        return error_set(err, ERR_SYSTEM, "%s %s", what, how);
    }
    *ret_outcome = outcome;
    *ret_code = end->code;
    return 0;
}

/* ---- a full disk ---- */

/* A program that finds the disk full says so while it still is: when it has ended, what it wrote is
 * often removed at once.  That it says so proves nothing by itself: a small tmpfs is full, too. */
struct witness {
    const struct builder_job *job;
    const struct process_sink *next;
    bool full;
};

static void look_when_told(void *self, enum process_stream stream, const char *text, size_t len)
{
    static const char words[] =
        "o space left on device"; /* strerror's, and what others make of it */
    struct witness *w = self;

    if (!w->full && memmem(text, len, words, sizeof(words) - 1))
        w->full = builder_disk_is_full(w->job);
    if (w->next)
        w->next->line(w->next->self, stream, text, len);
}

/* ---- running ---- */

int builder_run_step(const struct builder_job *j, struct jail_spec *spec,
                     const struct builder_io *io, const struct process_sink *sink, int stdin_fd,
                     uint32_t grace_ms, int64_t timeout_ms, enum builder_outcome *ret_outcome,
                     int *ret_code, struct error *err)
{
    struct witness witness = {.job = j, .next = sink};
    const struct process_sink looking = {look_when_told, &witness};
    const struct jail_run run = {
        .spec = spec,
        .stdin_fd = stdin_fd,
        .out_fd = -1,
        .sink = &looking,
        .cancel = io->cancel,
        .timeout_ms = timeout_ms,
        .grace_ms = grace_ms,
    };
    struct cgroup_counts before;
    struct jail_end end;
    int result;

    builder_limits_describe(j, spec);
    builder_limits_count(j, &before);
    result = jail_run(&run, &end, err);
    jail_spec_release(spec);
    if (result < 0 || read_end(&end, "the step", ret_outcome, ret_code, err) < 0)
        return -1;
    *ret_outcome = builder_limits_judge(j, &before, witness.full, *ret_outcome, *ret_code);
    return 0;
}

/* A memory file that cannot grow without end.  Behind what out may hold there is room in which an
 * overflow shows: a write beyond the seal's size fails as a whole. */
static int open_output(const struct buf *out, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("inner-output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)out->max + OUTPUT_SLACK) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
        return error_errno(err, errno, "make a memory file");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Our descriptor shares its offset with the writer's, so it tells how much was written. */
static int read_output(int fd, struct buf *out, struct error *err)
{
    char block[16384];
    off_t end = lseek(fd, 0, SEEK_CUR);

    for (off_t at = 0; at < end;) {
        size_t want = end - at < (off_t)sizeof(block) ? (size_t)(end - at) : sizeof(block);
        ssize_t n = pread(fd, block, want, at);

        if (n <= 0)
            return error_errno(err, n < 0 ? errno : EIO, "read a memory file");
        buf_add(out, block, (size_t)n);
        at += n;
    }
    return buf_check(out, "the output", err);
}

void builder_describe_inner(const struct builder_job *j, const struct progress *egress,
                            struct jail_spec *s)
{
    *s = (struct jail_spec){
        .ids = j->b->ids, .net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_BUILD, .inner = true};
    if (egress) /* before the base, whose resolver and hosts depend on it */
        egress_describe(j->b->config, egress, s);
    jail_spec_add_base(s);
    argv_push(&s->env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/run/root",
              NULL);
}

int builder_run_inner(const struct builder_job *j, struct jail_spec *spec, int stdin_fd,
                      struct buf *out, const struct builder_io *io,
                      enum builder_outcome *ret_outcome, int *ret_code, struct error *err)
{
    const struct argv *argv = &spec->argv;
    const char *name = argv->v[argv->n > 2 && strcmp(argv->v[0], JAIL_VET) == 0 ? 2 : 0];
    CLEANUP_CLOSE int out_fd = -1;
    struct jail_run run = {.spec = spec, .stdin_fd = stdin_fd};
    struct cgroup_counts before;
    struct jail_end end;

    if (open_output(out, &out_fd, err) < 0)
        return -1;
    run.out_fd = out_fd;
    run.sink = io->sink;
    run.cancel = io->cancel;
    run.timeout_ms = j->b->config->timeout_ms;
    builder_limits_describe(j, spec);
    builder_limits_count(j, &before);
    if (jail_run(&run, &end, err) < 0 || read_end(&end, name, ret_outcome, ret_code, err) < 0)
        return error_wrap(err, "run %s", name);
    if (read_output(out_fd, out, err) < 0)
        return error_wrap(err, "run %s", name);
    *ret_outcome = builder_limits_judge(j, &before, false, *ret_outcome, *ret_code);
    return 0;
}

int builder_run_beside(struct builder_job *j, const char *name, const struct argv *words,
                       int stdin_fd, const struct builder_share *shares, size_t n_shares,
                       struct buf *out, const struct builder_io *io,
                       enum builder_outcome *ret_outcome, struct error *err)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {
        .ids = j->b->ids, .net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_FILES, .inner = true};
    enum builder_outcome outcome = BUILDER_KILLED;
    int code = -1;

    jail_spec_add_base(&spec);
    jail_spec_add(&spec, JAIL_BIND, "context", j->context);
    for (size_t i = 0; i < n_shares; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "kiln/%s", shares[i].name);
        jail_spec_add(&spec, JAIL_BIND, path, shares[i].dir);
    }
    argv_push(&spec.argv, name, NULL);
    for (size_t i = 0; words && i < words->n; i++)
        argv_push1(&spec.argv, words->v[i]);
    if (builder_run_inner(j, &spec, stdin_fd, out, io, &outcome, &code, err) < 0)
        return -1;
    *ret_outcome = outcome == BUILDER_DONE && code != 0 ? BUILDER_FAILED : outcome;
    return 0;
}

int builder_run_inside(struct builder_job *j, const char *name, const struct argv *words,
                       int stdin_fd, struct buf *out, const struct builder_io *io,
                       enum builder_outcome *ret_outcome, struct error *err)
{
    return builder_run_beside(j, name, words, stdin_fd, NULL, 0, out, io, ret_outcome, err);
}
