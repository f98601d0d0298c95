/* builder/jail_init — pid 1 of the jail.
 *
 * It holds the only descriptor by which the program's end can be told, and it is not dumpable, so
 * that what runs in the jail can neither take that descriptor nor reach the host's binary through
 * /proc/1/exe.  The program's death is its own: the kernel then kills whatever is left. */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "builder/jail_inside.h"

/* True when outer has died: nobody else holds the other end of the pipe. */
static bool is_orphan(int go_fd)
{
    struct pollfd p = {.fd = go_fd, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

static void wait_for_go(const struct jail_init *init)
{
    char byte;
    ssize_t n;

    do
        n = read(init->go_fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        _exit(1);
}

static int become_root(const struct jail_init *init, struct error *err)
{
    if (init->spec->ids.users != JAIL_USERS_NONE &&
        (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
        return error_errno(err, errno, "become root in the user namespace");
    /* After the ids, whose change clears it.  Asking for the parent's pid would not show a death
     * in between, as our parent is outside this pid namespace; the pipe does. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return error_errno(err, errno, "follow the parent's death");
    if (is_orphan(init->go_fd))
        _exit(1);
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return error_errno(err, errno, "refuse to be traced");
    return 0;
}

static int set_up(const struct jail_init *init, struct error *err)
{
    const struct jail_spec *spec = init->spec;
    static const char name[] = "localhost";

    if (become_root(init, err) < 0)
        return -1;
    /* Away from the caller's terminal: /dev/tty must not lead there. */
    if (setsid() < 0)
        return error_errno(err, errno, "start a session");
    /* Not at clone: outer may have moved us to a cgroup since, and that is to be the jail's root.
     */
    if (unshare(CLONE_NEWCGROUP) < 0)
        return error_errno(err, errno, "make a cgroup namespace");
    if (sethostname(name, sizeof(name) - 1) < 0)
        return error_errno(err, errno, "set the host name");
    if (jail_net_configure(spec, init->refused, err) < 0)
        return -1;
    if (spec->ids.users == JAIL_USERS_HELPERS && jail_tree_open(spec, init->tree, err) < 0)
        return -1;
    if (jail_tree_enter(spec, init->tree, err) < 0)
        return -1;
    return jail_rights_bound(spec, err);
}

/* ---- the program ---- */

static const struct builder_inner *find_inner(const struct builder_inner *list, const char *name)
{
    for (; list && list->name; list++)
        if (strcmp(list->name, name) == 0)
            return list;
    return NULL;
}

static int run_inner(const struct jail_init *init)
{
    char *no_variables[] = {NULL};
    const struct argv *argv = &init->spec->argv;
    const size_t vetted = argv->n > 2 && strcmp(argv->v[0], JAIL_VET) == 0 ? 2 : 0;
    char **words = argv->v + vetted;
    const struct builder_inner *inner = find_inner(builder_own_inner, words[0]);
    int code = vetted ? jail_inner_vet(argv->v[1]) : 0;

    if (code != 0)
        return code;
    if (!inner)
        inner = find_inner(init->inner, words[0]);
    if (!inner) {
        (void)fprintf(stderr, "%s: no such program in this binary\n", words[0]);
        return 127;
    }
    environ = init->spec->env.n > 0 ? init->spec->env.v : no_variables;
    code = inner->main((int)(argv->n - vetted), words);
    return fflush(NULL) == 0 || code != 0 ? code : 1;
}

static int prepare_program(const struct jail_spec *spec, struct error *err)
{
    const struct rlimit no_core = {0, 0};
    const struct rlimit processes = {spec->limits.processes, spec->limits.processes};
    sigset_t none;

    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return error_errno(err, errno, "unblock signals");
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return error_errno(err, errno, "refuse core files");
    if (spec->limits.processes > 0 && setrlimit(RLIMIT_NPROC, &processes) < 0)
        return error_errno(err, errno, "limit the number of processes");
    if (spec->out && dup2(JAIL_FD_OUT, STDOUT_FILENO) < 0)
        return error_errno(err, errno, "place the output");
    if (jail_rights_drop(spec, err) < 0)
        return -1;
    (void)close_range(3, ~0U, 0);
    return 0;
}

static void run_program(const struct jail_init *init) __attribute__((noreturn));
static void run_program(const struct jail_init *init)
{
    const struct jail_spec *spec = init->spec;
    struct error err = ERROR_INIT;

    if (prepare_program(spec, &err) < 0) {
        (void)fprintf(stderr, "start %s: %s\n", spec->argv.v[0], err.msg);
        _exit(127);
    }
    if (spec->inner)
        _exit(run_inner(init));
    execve(spec->argv.v[0], spec->argv.v, spec->env.v);
    (void)fprintf(stderr, "start %s: %s\n", spec->argv.v[0], strerror(errno));
    _exit(127);
}

/* ---- pid 1 ---- */

/* Reaps all that has ended; true with the program's wait status when it was among them. */
static bool reap(pid_t program, int *ret_status)
{
    bool ended = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != program)
            continue;
        ended = true;
        *ret_status = status;
    }
    return ended;
}

static void wait_for_program(pid_t program, const sigset_t *signals)
{
    int status;

    while (!reap(program, &status)) {
        if (sigwaitinfo(signals, NULL) == SIGTERM)
            (void)kill(program, SIGTERM);
    }
    if (WIFEXITED(status))
        jail_verdict_write(JAIL_VERDICT_EXITED, WEXITSTATUS(status), "");
    else
        jail_verdict_write(JAIL_VERDICT_SIGNALLED, WTERMSIG(status), "");
}

static void fail(const struct error *err) __attribute__((noreturn));
static void fail(const struct error *err)
{
    jail_verdict_write(JAIL_VERDICT_NO_SETUP, 0, err->msg);
    _exit(1);
}

void jail_init_main(struct jail_init *init)
{
    struct error err = ERROR_INIT;
    sigset_t signals;
    pid_t program;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    wait_for_go(init);
    if (set_up(init, &err) < 0)
        fail(&err);
    program = fork();
    if (program == 0)
        run_program(init);
    if (program < 0) {
        error_errno(&err, errno, "fork in the jail");
        fail(&err);
    }
    wait_for_program(program, &signals);
    _exit(0);
}
