/* builder/run — see the header.  runc does it; this file gives it a place to work in and waits.
 *
 * All that a run needs besides the tree is on a tmpfs of its own, mounted on the bundle: secrets,
 * which may be in the environment too, never reach a disk, and one umount clears everything that
 * runc may have left. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/run_inside.h"
#include "builder/state.h"

#define RUNC_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
#define ID        "run"
#define LOG_MAX   (1 << 20)
#define KILL_MS   30000 /* for the end of a container that is killed */
#define HOSTS     "127.0.0.1 localhost\n::1 localhost\n"

void run_add_to_jail(struct jail_spec *s)
{
    jail_spec_add(s, JAIL_CGROUP, "sys/fs/cgroup", "");
    jail_spec_add(s, JAIL_LOOPBACK, &RUN_NO_NETWORK[1], "");
    /* What of it is the host's root's alone to read is so only in a user namespace. */
    if (s->ids.users != JAIL_USERS_NONE)
        jail_spec_add(s, JAIL_SYSFS, &RUN_SYSFS[1], "");
}

bool run_find_runc(char ret[PATH_MAX])
{
    return builder_find_program(RUNC_PATH, "runc", ret);
}

struct run {
    const struct run_request *req;
    char runc[PATH_MAX];
    int root; /* of the tree */
    bool mounted;
    struct account who;
    struct run_stubs stubs;
    struct buf held; /* a line that may be runc's own */
    bool holds;
};

static void run_release(struct run *r)
{
    if (r->mounted)
        (void)umount2(r->req->bundle, MNT_DETACH);
    if (r->root >= 0)
        run_stubs_remove(r->root, &r->stubs);
    cleanup_close(&r->root);
    buf_release(&r->held);
}

/* ---- what is asked for ---- */

static int check_target(const char *target, struct error *err)
{
    static const char *const taken[] = {"/", "/proc", "/sys", "/dev", NULL};

    if (target[0] != '/' || text_is_among(target, taken) || text_starts(target, "/proc/") ||
        text_starts(target, "/sys/") ||
        (run_target_is_in_dev(target) && strcmp(target, "/dev/shm") != 0))
        return error_set(err, ERR_INPUT, "mount on %s: this place cannot be mounted on", target);
    return 0;
}

static int check(const struct run_request *req, struct error *err)
{
    const char *name = req->script ? req->script_name : "script";

    if (req->argv->failed || req->env->failed || req->argv->n == 0)
        return error_set(err, ERR_SYSTEM, "run a command: out of memory, or there is none");
    if (*req->cwd && req->cwd[0] != '/')
        return error_set(err, ERR_SYSTEM, "run a command in %s: it is not absolute", req->cwd);
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) > NAME_MAX)
        return error_set(err, ERR_INPUT, "make the script %.100s: it cannot be a file's name",
                         name);
    for (size_t i = 0; i < req->n_mounts; i++)
        if (check_target(req->mounts[i].target, err) < 0)
            return -1;
    return 0;
}

/* ---- the tree ---- */

static int make_stubs(struct run *r, struct error *err)
{
    static const char *const files[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};
    static const char *const dirs[] = {"proc", "sys", "dev"};

    for (size_t i = 0; i < 3; i++) {
        char path[8];
        struct stat st;

        /* A symlink would let whoever made the image choose where /dev/null comes from. */
        if (fstatat(r->root, dirs[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
            return error_set(err, ERR_INPUT, "mount /%s: it is not a directory in the image",
                             dirs[i]);
        (void)snprintf(path, sizeof(path), "/%s", dirs[i]);
        if (run_stubs_make(r->root, path, true, &r->stubs, err) < 0 ||
            run_stubs_make(r->root, files[i], false, &r->stubs, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < r->req->n_mounts; i++) {
        const struct run_mount *m = &r->req->mounts[i];
        struct stat st = {.st_mode = m->type == RUN_MOUNT_FILE ? S_IFREG : S_IFDIR};

        if (m->type == RUN_MOUNT_BIND && stat(m->source, &st) < 0)
            return error_errno(err, errno, "mount %s on %s", m->source, m->target);
        if (!run_target_is_in_dev(m->target) &&
            run_stubs_make(r->root, m->target, S_ISDIR(st.st_mode), &r->stubs, err) < 0)
            return -1;
    }
    return 0;
}

static int open_tree_of(struct run *r, struct error *err)
{
    r->root = open(r->req->rootfs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->root < 0)
        return error_errno(err, errno, "open %s", r->req->rootfs);
    if (accounts_find(r->root, r->req->user, &r->who, err) < 0)
        return -1;
    return make_stubs(r, err);
}

/* ---- the bundle ---- */

static int write_file(int dir, const char *name, const void *data, size_t len,
                      const struct run_mount *m, struct error *err)
{
    CLEANUP_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    mode_t mode = m->mode < 0 ? 0400 : (mode_t)(m->mode & 07777);

    if (fd < 0)
        return error_errno(err, errno, "create %s", name);
    if (fs_write_all(fd, data, len, err) < 0)
        return error_wrap(err, "write %s", name);
    if (fchown(fd, m->uid < 0 ? 0 : (uid_t)m->uid, m->gid < 0 ? 0 : (gid_t)m->gid) < 0)
        return errno == EINVAL
                   ? error_set(err, ERR_INPUT, "mount %s: there is no user %lld or group %lld here",
                               m->target, (long long)m->uid, (long long)m->gid)
                   : error_errno(err, errno, "give %s away", name);
    if (fchmod(fd, mode) < 0)
        return error_errno(err, errno, "set the mode of %s", name);
    return 0;
}

static int write_text(int dir, const char *name, const char *text, int64_t mode, struct error *err)
{
    const struct run_mount m = {.target = name, .mode = mode, .uid = -1, .gid = -1};

    return write_file(dir, name, text, strlen(text), &m, err);
}

static int write_network_files(const struct run_request *req, int dir, struct error *err)
{
    CLEANUP(buf_release) struct buf hosts = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf resolver = BUF_INIT(1 << 20);

    if (req->no_network)
        buf_adds(&hosts, HOSTS);
    else if (fs_read_file(AT_FDCWD, "/etc/hosts", &hosts, err) < 0 ||
             fs_read_file(AT_FDCWD, "/etc/resolv.conf", &resolver, err) < 0)
        return -1;
    if (write_text(dir, RUN_FILE_HOSTS, buf_str(&hosts), 0644, err) < 0 ||
        write_text(dir, RUN_FILE_RESOLVER, buf_str(&resolver), 0644, err) < 0)
        return -1;
    return write_text(dir, RUN_FILE_HOSTNAME, RUN_HOSTNAME "\n", 0644, err);
}

/* Here and not by runc, which gives a tmpfs the mode of the directory it hides. */
static int make_tmpfs(const struct run_request *req, const struct run_mount *m, const char *name,
                      struct error *err)
{
    char path[PATH_MAX];
    char options[128];
    int n;

    n = snprintf(options, sizeof(options), "mode=%llo,uid=%lld,gid=%lld",
                 (unsigned long long)(m->mode < 0 ? 01777 : m->mode & 07777),
                 (long long)(m->uid < 0 ? 0 : m->uid), (long long)(m->gid < 0 ? 0 : m->gid));
    if (m->size > 0)
        (void)snprintf(options + n, sizeof(options) - (size_t)n, ",size=%lld", (long long)m->size);
    (void)snprintf(path, sizeof(path), "%s/%s", req->bundle, name);
    if (mkdir(path, 0700) < 0)
        return error_errno(err, errno, "create %s", name);
    if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        return errno == EINVAL
                   ? error_set(err, ERR_INPUT, "mount a tmpfs on %s: %s is not possible here",
                               m->target, options)
                   : error_errno(err, errno, "mount a tmpfs on %s", m->target);
    return 0;
}

static int make_users_mounts(const struct run_request *req, int dir, struct error *err)
{
    for (size_t i = 0; i < req->n_mounts; i++) {
        const struct run_mount *m = &req->mounts[i];
        char name[32];

        (void)snprintf(name, sizeof(name), "mount%zu", i);
        if (m->type == RUN_MOUNT_FILE && write_file(dir, name, m->content, m->len, m, err) < 0)
            return -1;
        if (m->type == RUN_MOUNT_TMPFS && make_tmpfs(req, m, name, err) < 0)
            return -1;
    }
    return 0;
}

static int write_script(const struct run_request *req, int dir, struct error *err)
{
    CLEANUP_CLOSE int pipes = -1;

    if (!req->script)
        return 0;
    if (mkdirat(dir, RUN_DIR_PIPES, 0755) < 0)
        return error_errno(err, errno, "create " RUN_DIR_PIPES);
    if (fs_open_dir(dir, RUN_DIR_PIPES, &pipes, err) < 0)
        return -1;
    return write_text(pipes, req->script_name, req->script, 0755, err);
}

static int write_config(const struct run *r, int dir, struct error *err)
{
    CLEANUP(buf_release) struct buf config = BUF_INIT(16 << 20);

    if (run_config_write(r->req, &r->who, &config, err) < 0 ||
        buf_check(&config, "a command with its environment and mounts", err) < 0)
        return -1;
    return write_text(dir, "config.json", buf_str(&config), 0600, err);
}

static int fill_bundle(struct run *r, struct error *err)
{
    CLEANUP_CLOSE int dir = -1;

    if (mount("tmpfs", r->req->bundle, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=64m") < 0)
        return error_errno(err, errno, "mount a tmpfs on %s", r->req->bundle);
    r->mounted = true;
    if (fs_open_dir(AT_FDCWD, r->req->bundle, &dir, err) < 0)
        return -1;
    if (write_network_files(r->req, dir, err) < 0 || make_users_mounts(r->req, dir, err) < 0 ||
        write_script(r->req, dir, err) < 0)
        return -1;
    return write_config(r, dir, err);
}

/* ---- runc ---- */

/* Cgroups are the jail's business, so runc is told not to insist on making one (--rootless). */
static void push_runc(const struct run *r, struct argv *argv)
{
    argv_push(argv, r->runc, "--root", NULL);
    argv_pushf(argv, "%s/state", r->req->bundle);
    argv_push(argv, "--rootless=true", "--log-format=json", "--log", NULL);
    argv_pushf(argv, "%s/log", r->req->bundle);
    argv_push(argv, "run", "--no-new-keyring", "--bundle", r->req->bundle, ID, NULL);
}

/* The container's first process, as runc notes it before it lets it go; 0 when it did not get so
 * far. */
static pid_t read_first_pid(const char *bundle)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(16 << 20);
    struct error ignored = ERROR_INIT;
    char path[PATH_MAX];
    json_t *state;
    json_int_t pid;

    (void)snprintf(path, sizeof(path), "%s/state/" ID "/state.json", bundle);
    if (fs_read_file(AT_FDCWD, path, &text, &ignored) < 0)
        return 0;
    state = json_loadb(buf_str(&text), text.len, 0, NULL);
    pid = json_integer_value(json_object_get(state, "init_process_pid"));
    json_decref(state);
    return pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

/* A descriptor of it; -1: there is none. */
static int open_first(const char *bundle)
{
    pid_t pid = read_first_pid(bundle);

    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/* runc has just been killed, and what had not yet left its process group.  The container's first
 * process has left it, and its death is that of all others; it is waited for, as nobody here is its
 * parent.  Where runc noted none, that process ends by itself: nobody is at the other end of its
 * pipe. */
static void kill_container(void *self)
{
    const struct run *r = self;
    CLEANUP_CLOSE int fd = open_first(r->req->bundle);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0)
        (void)poll(&p, 1, KILL_MS);
}

bool run_signal(const char *bundle, int signal)
{
    CLEANUP_CLOSE int fd = open_first(bundle);

    return fd >= 0 && syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
}

static void let_go(struct run *r)
{
    if (r->holds)
        r->req->sink->line(r->req->sink->self, PROCESS_STDERR, buf_str(&r->held), r->held.len);
    r->holds = false;
}

/* The last thing that runc says may be its own: that is told by the error, not in the log. */
static void relay(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct run *r = self;

    if (!r->req->sink)
        return;
    let_go(r);
    if (stream == PROCESS_STDERR && text_starts(text, "runc run failed: ")) {
        buf_clear(&r->held);
        buf_add(&r->held, text, len);
        r->holds = true;
    } else {
        r->req->sink->line(r->req->sink->self, stream, text, len);
    }
}

/* True when runc's log says that the command did not start. */
static bool read_log(const struct run *r, struct buf *ret_message)
{
    CLEANUP(buf_release) struct buf log = BUF_INIT(LOG_MAX);
    struct error ignored = ERROR_INIT;
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/log", r->req->bundle);
    return fs_read_file(AT_FDCWD, path, &log, &ignored) == 0 &&
           run_verdict_read(buf_str(&log), ret_message);
}

/* runc gives 128 + n for a command that signal n ended, and shells say the same of theirs. */
static void read_end(const struct process_end *end, struct run_end *ret)
{
    const int code = end->code;

    if (end->how == PROCESS_CANCELLED || end->how == PROCESS_TIMED_OUT)
        *ret = (struct run_end){.how = RUN_CANCELLED, .code = -1};
    else if (code > 128 && code <= 128 + SIGRTMAX)
        *ret = (struct run_end){.how = RUN_SIGNALLED, .code = code, .signal = code - 128};
    else
        *ret = (struct run_end){.how = RUN_EXITED, .code = code};
}

static int run_runc(struct run *r, struct run_end *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(buf_release) struct buf message = BUF_INIT(LOG_MAX);
    const struct process_sink sink = {relay, r};
    const struct process_request req = {.argv = &argv,
                                        .stdin_fd = -1,
                                        .cancel = r->req->cancel,
                                        .sink = &sink,
                                        .on_kill = kill_container,
                                        .on_kill_self = r};
    struct process_end end;

    push_runc(r, &argv);
    if (process_run(&req, &end, err) < 0)
        return -1;
    /* runc itself, which no command in the container can reach */
    if (end.how == PROCESS_SIGNALLED)
        return error_set(err, ERR_SYSTEM, "run a command: runc was killed by signal %d",
                         end.signal);
    if (end.how == PROCESS_EXITED && end.code != 0 && read_log(r, &message))
        return run_verdict_error(r->req, buf_str(&message), err);
    let_go(r);
    read_end(&end, ret);
    return 0;
}

int run_command(const struct run_request *req, struct run_end *ret, struct error *err)
{
    CLEANUP(run_release)
    struct run r = {.req = req, .root = -1, .held = BUF_INIT(1 << 17)};

    if (check(req, err) < 0)
        return -1;
    if (!run_find_runc(r.runc))
        return error_set(err, ERR_SYSTEM, "run a command: runc not found; apt-get install runc");
    if (open_tree_of(&r, err) < 0 || fill_bundle(&r, err) < 0)
        return -1;
    return run_runc(&r, ret, err);
}
