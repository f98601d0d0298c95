/* builder/jail — the caller's side. */
#include "builder/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/jail_inside.h"

/* A time-out or cancel is a SIGTERM to the outer process, which ends the jail and waits for its
 * last process; killing it outright would leave the jail dying behind our back.  This is how long
 * it may take for that before it is killed after all. */
#define OUTER_GRACE_MS 10000

static int memory_file(const char *name, int *ret_fd, struct error *err)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "make a memory file");
    *ret_fd = fd;
    return 0;
}

static int spec_file(const struct jail_run *run, int *ret_fd, struct error *err)
{
    struct jail_spec spec = *run->spec; /* borrowed parts */
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(64 << 20);
    CLEANUP_CLOSE int fd = -1;

    if (spec.failed || spec.argv.failed || spec.env.failed)
        return error_set(err, ERR_SYSTEM, "describe a jail: out of memory");
    spec.out = run->out_fd >= 0;
    spec.grace_ms = run->grace_ms;
    jail_spec_write(&spec, &bytes);
    if (buf_check(&bytes, "the jail's specification", err) < 0 ||
        memory_file("jail-spec", &fd, err) < 0 || fs_write_all(fd, bytes.data, bytes.len, err) < 0)
        return -1;
    explicit_bzero(bytes.data, bytes.len); /* build arguments and credentials are in it */
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* What process_run saw of the outer process counts only where no verdict was written. */
static int read_verdict(int fd, const struct process_end *outer, struct jail_end *ret,
                        struct error *err)
{
    struct jail_verdict v = {.kind = JAIL_VERDICT_NONE};
    struct jail_end end = {.how = JAIL_LOST, .code = -1};

    if (outer->how == PROCESS_TIMED_OUT)
        end.how = JAIL_TIMED_OUT;
    else if (outer->how == PROCESS_CANCELLED)
        end.how = JAIL_CANCELLED;
    else if (pread(fd, &v, sizeof(v), 0) == (ssize_t)sizeof(v)) {
        v.text[sizeof(v.text) - 1] = '\0';
        if (v.kind == JAIL_VERDICT_NO_SETUP)
            return error_set(err, ERR_SYSTEM, "set up a jail: %s", v.text);
        if (v.kind == JAIL_VERDICT_EXITED)
            end = (struct jail_end){JAIL_EXITED, .code = v.value};
        else if (v.kind == JAIL_VERDICT_SIGNALLED)
            end = (struct jail_end){JAIL_SIGNALLED, .code = -1, .signal = v.value};
        else if (v.kind == JAIL_VERDICT_STOPPED)
            end = (struct jail_end){JAIL_STOPPED, .code = -1, .excess = (enum jail_excess)v.value};
    }
    *ret = end;
    return 0;
}

int jail_run(const struct jail_run *run, struct jail_end *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP_CLOSE int spec_fd = -1;
    CLEANUP_CLOSE int verdict_fd = -1;
    struct process_end outer;

    if (spec_file(run, &spec_fd, err) < 0 || memory_file("jail-verdict", &verdict_fd, err) < 0)
        return -1;
    argv_push(&argv, JAIL_SELF, JAIL_WORD, NULL);
    {
        const int fds[] = {spec_fd, verdict_fd, run->out_fd};
        const struct process_request req = {
            .argv = &argv,
            .stdin_fd = run->stdin_fd,
            .fds = fds,
            .n_fds = run->out_fd >= 0 ? 3 : 2,
            .timeout_ms = run->timeout_ms,
            .grace_ms = (int64_t)run->grace_ms + OUTER_GRACE_MS,
            .cancel = run->cancel,
            .sink = run->sink,
        };

        if (process_run(&req, &outer, err) < 0)
            return -1;
    }
    return read_verdict(verdict_fd, &outer, ret, err);
}

void jail_describe(const struct jail_end *end, char text[PROCESS_TEXT])
{
    static const enum process_how how[] = {
        [JAIL_EXITED] = PROCESS_EXITED,       [JAIL_SIGNALLED] = PROCESS_SIGNALLED,
        [JAIL_TIMED_OUT] = PROCESS_TIMED_OUT, [JAIL_CANCELLED] = PROCESS_CANCELLED,
        [JAIL_LOST] = PROCESS_SIGNALLED,      [JAIL_STOPPED] = PROCESS_SIGNALLED,
    };
    const struct process_end plain = {how[end->how], end->code, end->signal};

    if (end->how == JAIL_LOST)
        (void)snprintf(text, PROCESS_TEXT, "was killed with its jail");
    else if (end->how == JAIL_STOPPED)
        (void)snprintf(text, PROCESS_TEXT, "was stopped by its limits");
    else
        process_describe(&plain, text);
}
