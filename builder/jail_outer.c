/* builder/jail_outer — the process between the caller and the jail.
 *
 * It stays in the host's namespaces with the caller's rights, so it can give the jail its id
 * mapping, its mounts, its limits and its network; it reads nothing that the jail writes. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/cgroup.h"
#include "builder/jail_inside.h"

#define SPEC_MAX (64 << 20) /* bytes; a Dockerfile and credentials are in it */

void jail_verdict_write(enum jail_verdict_kind kind, int value, const char *text)
{
    struct jail_verdict v = {.kind = (int32_t)kind, .value = value};

    (void)snprintf(v.text, sizeof(v.text), "%s", text);
    (void)!pwrite(JAIL_FD_VERDICT, &v, sizeof(v), 0);
}

void builder_jail_main(int argc, char **argv, const struct builder_inner *inner)
{
    if (argc != 2 || strcmp(argv[0], JAIL_SELF) != 0 || strcmp(argv[1], JAIL_WORD) != 0)
        return;
    _exit(jail_outer_main(inner));
}

/* What this process holds besides the specification. */
struct outer {
    struct jail_spec spec;
    struct jail_addresses own;
    int *tree;
    pid_t init;
    int go_fd; /* our end; pid 1 sees its closing as our death */
    int exit_fd;
    struct process slirp;
    pid_t watch; /* 0: none */
};

static int read_spec(struct outer *o, struct error *err)
{
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(SPEC_MAX);

    if (lseek(JAIL_FD_SPEC, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "read the jail's specification");
    if (fs_read_fd(JAIL_FD_SPEC, &bytes, err) < 0)
        return error_wrap(err, "read the jail's specification");
    close(JAIL_FD_SPEC);
    return jail_spec_read(bytes.data, bytes.len, &o->spec, err);
}

static bool has_way_out(const struct outer *o)
{
    return o->spec.net == JAIL_NET_NAT || o->spec.net == JAIL_NET_LIST;
}

static int prepare(struct outer *o, struct error *err)
{
    if (read_spec(o, err) < 0)
        return -1;
    o->tree = calloc(o->spec.n_entries + 1, sizeof(*o->tree));
    if (!o->tree)
        return error_set(err, ERR_SYSTEM, "start a jail: out of memory");
    for (size_t i = 0; i < o->spec.n_entries; i++)
        o->tree[i] = -1;
    if (has_way_out(o) && jail_net_own_addresses(&o->own, err) < 0)
        return -1;
    if (o->spec.ids.users != JAIL_USERS_HELPERS && jail_tree_open(&o->spec, o->tree, err) < 0)
        return -1;
    return 0;
}

/* A fork into new namespaces: clone(2) without a stack returns twice. */
static int clone_init(struct outer *o, const struct builder_inner *inner, struct error *err)
{
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
    int go[2];

    if (o->spec.ids.users != JAIL_USERS_NONE)
        flags |= CLONE_NEWUSER;
    if (o->spec.net != JAIL_NET_HOST)
        flags |= CLONE_NEWNET;
    if (pipe2(go, O_CLOEXEC) < 0)
        return error_errno(err, errno, "make a pipe");
    o->go_fd = go[1];
    o->init = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (o->init == 0) {
        struct jail_init init = {.spec = &o->spec, .inner = inner, .refused = &o->own};

        close(go[1]);
        init.tree = o->tree;
        init.go_fd = go[0];
        jail_init_main(&init);
    }
    close(go[0]);
    if (o->init < 0)
        return error_errno(err, errno, "make namespaces%s",
                           flags & CLONE_NEWUSER ? " (with a user namespace)" : "");
    return 0;
}

static int start(struct outer *o, const struct builder_inner *inner, struct error *err)
{
    if (prepare(o, err) < 0 || clone_init(o, inner, err) < 0)
        return -1;
    if (jail_ids_map(&o->spec.ids, o->init, err) < 0)
        return error_wrap(err, "map ids into the user namespace");
    if (cgroup_enter(&o->spec.limits.groups, o->init, err) < 0)
        return -1;
    if (has_way_out(o) && jail_net_start_slirp(&o->spec, o->init, &o->slirp, &o->exit_fd, err) < 0)
        return -1;
    if (jail_watch_start(&o->spec, o->init, &o->watch, err) < 0)
        return -1;
    if (write(o->go_fd, "g", 1) != 1)
        return error_errno(err, errno, "let the jail go");
    return 0;
}

/* The watch ends when a limit is broken: the jail, too, then.  Should it die of something else,
 * nobody would hold the limits any more, and the jail ends without a verdict. */
static bool is_stopped(struct outer *o, enum jail_excess *ret_excess)
{
    int status;

    if (o->watch == 0 || waitpid(o->watch, &status, WNOHANG) != o->watch)
        return false;
    o->watch = 0;
    *ret_excess = WIFEXITED(status) ? (enum jail_excess)WEXITSTATUS(status) : JAIL_EXCESS_NONE;
    return true;
}

/* SIGTERM: the program may end by itself within the grace time, then the jail is killed.  When
 * pid 1 has been waited for, the kernel has seen to every other process of the jail. */
static void wait_for_init(struct outer *o, const sigset_t *signals)
{
    const struct timespec forever = {.tv_sec = 3600};
    const struct timespec grace = {.tv_sec = o->spec.grace_ms / 1000,
                                   .tv_nsec = (long)(o->spec.grace_ms % 1000) * NS_PER_MS};
    enum jail_excess excess = JAIL_EXCESS_NONE;
    bool stopped = false;
    bool ending = false;

    while (waitpid(o->init, NULL, WNOHANG) == 0) {
        int signal;

        if (is_stopped(o, &excess)) {
            stopped = true;
            (void)kill(o->init, SIGKILL);
        }
        signal = sigtimedwait(signals, NULL, ending ? &grace : &forever);
        if (signal == SIGTERM && !ending && o->spec.grace_ms > 0) {
            (void)kill(o->init, SIGTERM);
            ending = true;
        } else if (signal == SIGTERM || (signal < 0 && ending)) {
            (void)kill(o->init, SIGKILL);
        }
    }
    /* After pid 1, which may have written that its program ended in the meantime. */
    if (stopped && excess != JAIL_EXCESS_NONE)
        jail_verdict_write(JAIL_VERDICT_STOPPED, (int)excess, "");
}

static void end_watch(struct outer *o)
{
    if (o->watch == 0)
        return;
    (void)kill(o->watch, SIGKILL);
    (void)waitpid(o->watch, NULL, 0);
}

int jail_outer_main(const struct builder_inner *inner)
{
    struct outer o = {.init = -1, .go_fd = -1, .exit_fd = -1};
    struct error err = ERROR_INIT;
    sigset_t signals;
    int result;

    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    result = start(&o, inner, &err);
    if (result < 0) {
        if (o.init > 0)
            (void)kill(o.init, SIGKILL);
        jail_verdict_write(JAIL_VERDICT_NO_SETUP, 0, err.msg);
    }
    if (o.init > 0)
        wait_for_init(&o, &signals);
    end_watch(&o);
    process_stop(&o.slirp, 0);
    return result < 0 ? 1 : 0;
}
