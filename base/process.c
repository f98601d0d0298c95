/* base/process — fork, exec, and one poll loop over two pipes, the child's pidfd, the clock and the
 * cancel switch.
 *
 * Between fork and exec only async-signal-safe calls are made: this process has threads.  The
 * verdict keeps "we killed it, and why" apart from the wait status, because a child killed by a
 * timeout reads as signal 9, and an exit code read from a killed child reads as 0. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"

#define LINE_MAX_DEFAULT 65536
#define DRAIN_MS         5000
#define FDS_MAX          16

/* ---- cancel ---- */

int cancel_init(struct cancel *c, struct error *err)
{
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0)
        return error_errno(err, errno, "make an eventfd");
    return 0;
}

void cancel_throw(struct cancel *c)
{
    (void)eventfd_write(c->fd, 1);
}

bool cancel_is_thrown(const struct cancel *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

void cancel_release(struct cancel *c)
{
    cleanup_close(&c->fd);
    c->fd = -1;
}

/* ---- the child's side ---- */

struct child_plan {
    char *const *argv;
    char *const *env;
    int in, out, errfd, status;
    const int *fds;
    size_t n_fds;
    pid_t parent;
};

/* Puts the plan's descriptors at 0, 1, 2, 3… without stepping on one another. */
static int place_fds(const struct child_plan *plan)
{
    int from[3 + FDS_MAX];
    size_t n = 3 + plan->n_fds;

    from[0] = plan->in;
    from[1] = plan->out;
    from[2] = plan->errfd;
    for (size_t i = 0; i < plan->n_fds; i++)
        from[3 + i] = plan->fds[i];
    for (size_t i = 0; i < n; i++) {
        from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 64);
        if (from[i] < 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++)
        if (dup2(from[i], (int)i) < 0)
            return -1;
    return 0;
}

static void run_child(const struct child_plan *plan) __attribute__((noreturn));
static void run_child(const struct child_plan *plan)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;
    int status = -1;
    int problem;

    for (int s = 1; s < 32; s++)
        (void)sigaction(s, &dfl, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != plan->parent)
        goto fail;
    status = fcntl(plan->status, F_DUPFD_CLOEXEC, 128);
    if (status < 0 || place_fds(plan) < 0)
        goto fail;
    (void)close_range(3 + (unsigned)plan->n_fds, (unsigned)status - 1, 0);
    (void)close_range((unsigned)status + 1, ~0U, 0);
    execvpe(plan->argv[0], plan->argv, plan->env);
fail:
    problem = errno ? errno : ECHILD;
    (void)!write(status < 0 ? plan->status : status, &problem, sizeof(problem));
    _exit(127);
}

/* Forks and execs; a failed exec is reported here and not as an exit code. */
static int spawn(struct child_plan *plan, pid_t *ret_pid, struct error *err)
{
    static char *const no_env[] = {NULL};
    int pipefd[2];
    int problem = 0;
    ssize_t n;
    pid_t pid;

    if (plan->n_fds > FDS_MAX)
        return error_set(err, ERR_SYSTEM, "start %s: too many descriptors", plan->argv[0]);
    if (!plan->env)
        plan->env = no_env;
    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return error_errno(err, errno, "make a pipe");
    plan->status = pipefd[1];
    plan->parent = getpid();
    pid = fork();
    if (pid == 0)
        run_child(plan);
    problem = pid < 0 ? errno : 0;
    close(pipefd[1]);
    if (pid > 0) {
        do
            n = read(pipefd[0], &problem, sizeof(problem));
        while (n < 0 && errno == EINTR);
        if (n == (ssize_t)sizeof(problem))
            (void)waitpid(pid, NULL, 0);
        else
            problem = 0;
    }
    close(pipefd[0]);
    if (problem)
        return error_errno(err, problem, "start %s", plan->argv[0]);
    *ret_pid = pid;
    return 0;
}

/* ---- our side ---- */

/* A pipe's reading end and the line that is being put together. */
struct reader {
    int fd;
    enum process_stream stream;
    struct buf line;
    bool last_was_cr;
};

static void emit(struct reader *r, const struct process_sink *sink)
{
    if (sink)
        sink->line(sink->self, r->stream, buf_str(&r->line), r->line.len);
    buf_clear(&r->line);
}

/* How many bytes stand before the next line end, at most len. */
static size_t until_line_end(const char *data, size_t len)
{
    const char *lf = memchr(data, '\n', len);
    const char *cr;

    if (lf)
        len = (size_t)(lf - data);
    cr = memchr(data, '\r', len);
    return cr ? (size_t)(cr - data) : len;
}

/* In runs, not bytes: a build may print gigabytes. */
static void feed(struct reader *r, const char *data, size_t len, const struct process_sink *sink)
{
    while (len > 0) {
        const size_t room = r->line.max - r->line.len;
        const size_t n = until_line_end(data, len);
        const size_t take = n < room ? n : room;

        if (take > 0) {
            buf_add(&r->line, data, take);
            r->last_was_cr = false;
            data += take;
            len -= take;
        } else if (n > 0) {
            emit(r, sink); /* it is as long as a line may be, and goes on */
        } else {
            if (!(*data == '\n' && r->last_was_cr))
                emit(r, sink);
            r->last_was_cr = *data == '\r';
            data++;
            len--;
        }
    }
}

static void drain(struct reader *r, const struct process_sink *sink)
{
    char block[65536];
    ssize_t n = read(r->fd, block, sizeof(block));

    if (n > 0) {
        feed(r, block, (size_t)n, sink);
        return;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (r->line.len > 0)
        emit(r, sink);
    close(r->fd);
    r->fd = -1;
}

/* The state of one wait. */
struct wait {
    const struct process_request *req;
    pid_t pid;
    int pidfd;
    struct reader out, err;
    int64_t deadline;  /* of the run; 0: none */
    int64_t kill_at;   /* when SIGTERM becomes SIGKILL; 0: not dying */
    int64_t drain_end; /* when the pipes are given up; 0: the child runs */
    bool killed;
    struct process_end end;
};

static void begin_kill(struct wait *w, enum process_how how, int64_t now)
{
    w->end.how = how;
    w->killed = true;
    (void)kill(-w->pid, w->req->grace_ms > 0 ? SIGTERM : SIGKILL);
    w->kill_at = now + w->req->grace_ms * NS_PER_MS;
    if (w->req->on_kill)
        w->req->on_kill(w->req->on_kill_self);
}

static void reap(struct wait *w, int64_t now)
{
    siginfo_t ended = {.si_code = CLD_EXITED, .si_status = 127};

    (void)waitid(P_PID, (id_t)w->pid, &ended, WEXITED | WNOWAIT);
    if (!w->killed && ended.si_code == CLD_EXITED)
        w->end = (struct process_end){PROCESS_EXITED, ended.si_status, 0};
    else if (!w->killed)
        w->end = (struct process_end){PROCESS_SIGNALLED, -1, ended.si_status};
    /* What is left of a run that was killed goes with its leader, whose zombie still holds the
     * group's id. */
    if (w->end.how != PROCESS_EXITED)
        (void)kill(-w->pid, SIGKILL);
    (void)waitpid(w->pid, NULL, 0);
    close(w->pidfd);
    w->pidfd = -1;
    w->drain_end = now + DRAIN_MS * NS_PER_MS;
}

static void check_time(struct wait *w, int64_t now)
{
    if (w->pidfd < 0)
        return;
    if (!w->killed && w->deadline && now >= w->deadline)
        begin_kill(w, PROCESS_TIMED_OUT, now);
    if (w->killed && now >= w->kill_at)
        (void)kill(-w->pid, SIGKILL);
}

static int next_timeout_ms(const struct wait *w, int64_t now)
{
    int64_t until = w->pidfd < 0 ? w->drain_end : w->killed ? w->kill_at : w->deadline;
    int64_t ms = (until - now) / NS_PER_MS + 1;

    if (until == 0)
        return -1;
    if (w->killed && w->pidfd >= 0 && now >= w->kill_at)
        return 1000; /* SIGKILL is out: some children take long to die */
    return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static int wait_for_end(struct wait *w, struct error *err)
{
    while (w->pidfd >= 0 || w->out.fd >= 0 || w->err.fd >= 0) {
        int64_t now = clock_monotonic();
        int cancel_fd = w->req->cancel && !w->killed && w->pidfd >= 0 ? w->req->cancel->fd : -1;
        struct pollfd p[] = {{w->out.fd, POLLIN, 0},
                             {w->err.fd, POLLIN, 0},
                             {w->pidfd, POLLIN, 0},
                             {cancel_fd, POLLIN, 0}};

        if (w->drain_end && now >= w->drain_end)
            break;
        check_time(w, now);
        if (poll(p, 4, next_timeout_ms(w, now)) < 0 && errno != EINTR)
            return error_errno(err, errno, "wait for a child");
        if (p[0].revents)
            drain(&w->out, w->req->sink);
        if (p[1].revents)
            drain(&w->err, w->req->sink);
        if (p[2].revents)
            reap(w, clock_monotonic());
        if (p[3].revents && w->pidfd >= 0)
            begin_kill(w, PROCESS_CANCELLED, clock_monotonic());
    }
    return 0;
}

static void wait_release(struct wait *w)
{
    if (w->pidfd >= 0) {
        (void)kill(-w->pid, SIGKILL);
        reap(w, 0);
    }
    cleanup_close(&w->out.fd);
    cleanup_close(&w->err.fd);
    buf_release(&w->out.line);
    buf_release(&w->err.line);
}

static int open_pipes(int out[2], int errp[2], struct error *err)
{
    if (pipe2(out, O_CLOEXEC) < 0)
        return error_errno(err, errno, "make a pipe");
    if (pipe2(errp, O_CLOEXEC) < 0) {
        close(out[0]);
        close(out[1]);
        return error_errno(err, errno, "make a pipe");
    }
    return 0;
}

static int start_piped(const struct process_request *req, struct wait *w, struct error *err)
{
    struct child_plan plan = {.argv = req->argv->v, .fds = req->fds, .n_fds = req->n_fds};
    CLEANUP_CLOSE int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out[2] = {-1, -1};
    int errp[2] = {-1, -1};
    int result;

    if (open_pipes(out, errp, err) < 0)
        return -1;
    plan.env = req->env ? req->env->v : NULL;
    plan.in = req->stdin_fd >= 0 ? req->stdin_fd : null_fd;
    plan.out = out[1];
    plan.errfd = errp[1];
    result = spawn(&plan, &w->pid, err);
    close(out[1]);
    close(errp[1]);
    w->out.fd = out[0];
    w->err.fd = errp[0];
    if (result < 0)
        return -1;
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    if (w->pidfd < 0) {
        int problem = errno;

        (void)kill(w->pid, SIGKILL);
        (void)waitpid(w->pid, NULL, 0);
        return error_errno(err, problem, "watch a child");
    }
    return 0;
}

int process_run(const struct process_request *req, struct process_end *ret_end, struct error *err)
{
    size_t line_max = req->line_max ? req->line_max : LINE_MAX_DEFAULT;
    CLEANUP(wait_release)
    struct wait w = {.req = req,
                     .pidfd = -1,
                     .out = {.fd = -1, .stream = PROCESS_STDOUT, .line = BUF_INIT(line_max)},
                     .err = {.fd = -1, .stream = PROCESS_STDERR, .line = BUF_INIT(line_max)},
                     .end = {.code = -1}};

    if (req->argv->failed || !req->argv->n || (req->env && req->env->failed))
        return error_set(err, ERR_SYSTEM, "start a child: out of memory");
    if (req->timeout_ms > 0)
        w.deadline = clock_monotonic() + req->timeout_ms * NS_PER_MS;
    if (start_piped(req, &w, err) < 0 || wait_for_end(&w, err) < 0)
        return -1;
    *ret_end = w.end;
    return 0;
}

void process_describe(const struct process_end *end, char text[PROCESS_TEXT])
{
    switch (end->how) {
    case PROCESS_EXITED:
        (void)snprintf(text, PROCESS_TEXT, "exited with %d", end->code);
        return;
    case PROCESS_SIGNALLED:
        (void)snprintf(text, PROCESS_TEXT, "was killed by signal %d (%s)", end->signal,
                       sigdescr_np(end->signal));
        return;
    case PROCESS_TIMED_OUT:
        (void)snprintf(text, PROCESS_TEXT, "ran longer than allowed");
        return;
    case PROCESS_CANCELLED:
        (void)snprintf(text, PROCESS_TEXT, "was cancelled");
        return;
    }
    abort();
}

/* ---- servers ---- */

int process_start(const struct argv *argv, const struct argv *env, const int *fds, size_t n_fds,
                  int log_fd, struct process *ret, struct error *err)
{
    CLEANUP_CLOSE int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct child_plan plan = {.fds = fds, .n_fds = n_fds, .in = null_fd};

    if (argv->failed || !argv->n || (env && env->failed))
        return error_set(err, ERR_SYSTEM, "start a child: out of memory");
    plan.argv = argv->v;
    plan.env = env ? env->v : NULL;
    plan.out = plan.errfd = log_fd;
    return spawn(&plan, &ret->pid, err);
}

bool process_is_alive(struct process *p)
{
    if (p->pid <= 0)
        return false;
    if (waitpid(p->pid, NULL, WNOHANG) == 0)
        return true;
    p->pid = 0;
    return false;
}

void process_stop(struct process *p, int64_t grace_ms)
{
    int64_t deadline = clock_monotonic() + grace_ms * NS_PER_MS;

    if (!process_is_alive(p))
        return;
    (void)kill(p->pid, SIGTERM);
    while (process_is_alive(p)) {
        if (clock_monotonic() >= deadline)
            (void)kill(p->pid, SIGKILL);
        (void)poll(NULL, 0, 10);
    }
}
