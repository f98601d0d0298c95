/* builder/git_process — see the header.
 *
 *   executor ──order, channel, directory──► the first process ──fork──► one for the source
 *        ◄──────────── answer to find; a byte: go on; answer to fetch ────────────┘
 *
 * The answers come from where strangers are read: they are looked at before they are used. */
#include "builder/git_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"

#define NOBODY     65533 /* of the jail's ids; what images call nobody is 65534 */
#define WORK       "/tmp"
#define REPOSITORY "repository"
#define SOURCE_MAX 2048
#define NOTES_MAX  16384
#define TRIES      3
#define PAUSE_MS   1000

struct order {
    char source[SOURCE_MAX], checksum[128];
    bool keep_git_dir;
    uint64_t bytes_max;
};

struct answer {
    struct error failure;
    char key[BUILDER_GIT_KEY];
    char notes[NOTES_MAX];
};

/* ---- the process of a source ---- */

/* Its own directory is /tmp, and what belongs to the workspace is not there.  (A descriptor of
 * before is of the other mount namespace, so the directory is bound by its name.) */
static int hide(int dir, struct error *err)
{
    char path[PATH_MAX] = "", link[64];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    if (readlink(link, path, sizeof(path) - 1) < 0 || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(path, WORK, NULL, MS_BIND, NULL) < 0 ||
        mount("tmpfs", "/kiln", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
              "size=4k,mode=000") < 0)
        return error_errno(err, errno, "hide the cache from git");
    return 0;
}

static int make_directories(int dir, struct error *err)
{
    static const char *const names[] = {REPOSITORY, GIT_SOURCE_TREE};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (mkdirat(dir, names[i], 0755) < 0 || fchownat(dir, names[i], NOBODY, NOBODY, 0) < 0)
            return error_errno(err, errno, "make a directory for git");
    return fchmod(dir, 0755) < 0 ? error_errno(err, errno, "open a directory for git") : 0;
}

/* Becoming another user takes all capabilities. */
static int become_nobody(struct error *err)
{
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return error_errno(err, errno, "become nobody");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "refuse new privileges");
    (void)umask(022);
    return 0;
}

static void send_answer(int channel, const struct answer *a)
{
    if (send(channel, a, sizeof(*a), MSG_NOSIGNAL) != (ssize_t)sizeof(*a))
        _exit(1);
}

/* False: another try may help, and is not the last. */
static bool is_final(struct answer *a, int result, int tries)
{
    if (result == 0 || a->failure.kind != ERR_REMOTE || tries == TRIES)
        return true;
    (void)poll(NULL, 0, PAUSE_MS * tries);
    a->failure = (struct error)ERROR_INIT;
    return false;
}

static void *find(const struct builder_git *git, const struct order *o, struct answer *a)
{
    const struct builder_git_order order = {o->source, o->checksum, o->keep_git_dir, o->bytes_max};
    void *found = NULL;

    for (int n = 1;; n++) {
        int result = git->find(&order, WORK "/" REPOSITORY, &found, a->key, &a->failure);

        if (is_final(a, result, n))
            return found;
    }
}

static void fetch(const struct builder_git *git, void *found, struct answer *a)
{
    CLEANUP(argv_release) struct argv notes = ARGV_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT(NOTES_MAX - 1);
    int result;

    for (int n = 1;; n++) {
        result = git->fetch(found, WORK "/" GIT_SOURCE_TREE, &notes, &a->failure);
        if (is_final(a, result, n))
            break;
    }
    for (size_t i = 0; i < notes.n; i++)
        buf_addf(&text, "%s\n", notes.v[i]);
    (void)snprintf(a->notes, sizeof(a->notes), "%s", buf_str(&text));
}

static void serve(const struct builder_git *git, const struct order *order, int channel, int dir)
    __attribute__((noreturn));
static void serve(const struct builder_git *git, const struct order *order, int channel, int dir)
{
    struct answer *a = calloc(1, sizeof(*a));
    void *found = NULL;
    char go;

    if (!a)
        _exit(1);
    if (make_directories(dir, &a->failure) == 0 && hide(dir, &a->failure) == 0 &&
        become_nobody(&a->failure) == 0) {
        close(dir);
        found = find(git, order, a);
    }
    send_answer(channel, a);
    if (!found || recv(channel, &go, 1, 0) != 1)
        _exit(0);
    fetch(git, found, a);
    send_answer(channel, a);
    _exit(0);
}

/* ---- the first process ---- */

/* *ret_fds: the channel and the directory.  False: there is nobody to take orders from. */
static bool receive(int orders, struct order *ret, int ret_fds[2])
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec data = {ret, sizeof(*ret)};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;

    do
        n = recvmsg(orders, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(*ret) || !CMSG_FIRSTHDR(&m) ||
        CMSG_FIRSTHDR(&m)->cmsg_len != CMSG_LEN(2 * sizeof(int)))
        return false;
    memcpy(ret_fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 2 * sizeof(int));
    return true;
}

/* Standard output is the executor's word to the outside, and standard input its program. */
static int leave_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return -1;
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            return -1;
    return close(null);
}

static void take_orders(const struct builder_git *git, int orders) __attribute__((noreturn));
static void take_orders(const struct builder_git *git, int orders)
{
    struct order order;
    int fds[2];

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || signal(SIGCHLD, SIG_IGN) == SIG_ERR ||
        leave_descriptors() < 0)
        _exit(1);
    while (receive(orders, &order, fds)) {
        pid_t pid = fork();

        if (pid == 0) {
            close(orders);
            (void)signal(SIGCHLD, SIG_DFL);
            serve(git, &order, fds[0], fds[1]);
        }
        close(fds[0]); /* where no process was made, its end says so */
        close(fds[1]);
    }
    _exit(0);
}

int git_process_start(const struct builder_git *git, struct git_process *ret, struct error *err)
{
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "make a socket");
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        take_orders(git, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_errno(err, errno, "start a process for git");
    }
    *ret = (struct git_process){ends[0], pid};
    return 0;
}

void git_process_end(struct git_process *p)
{
    if (p->pid <= 0)
        return;
    close(p->orders);
    (void)waitpid(p->pid, NULL, 0);
    *p = (struct git_process)GIT_PROCESS_INIT;
}

/* ---- the executor's side ---- */

static int send_order(int orders, const struct order *order, const int fds[2], struct error *err)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control = {.space = {0}};
    struct iovec data = {(void *)order, sizeof(*order)};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};

    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, 2 * sizeof(int));
    if (sendmsg(orders, &m, MSG_NOSIGNAL) < 0)
        return error_errno(err, errno, "ask for a git repository");
    return 0;
}

/* Nothing in it is believed but that it is text. */
static void tame(struct answer *a)
{
    if (a->failure.kind < ERR_NONE || a->failure.kind > ERR_SYSTEM)
        a->failure.kind = ERR_INPUT;
    if (a->failure.kind == ERR_REMOTE)
        a->failure.kind = ERR_INPUT; /* nobody else can make it answer */
    a->failure.msg[sizeof(a->failure.msg) - 1] = '\0';
    a->key[sizeof(a->key) - 1] = '\0';
    a->notes[sizeof(a->notes) - 1] = '\0';
}

static int wait_for_answer(int channel, const struct cancel *cancel, struct answer *ret,
                           struct error *err)
{
    struct pollfd p[] = {{.fd = channel, .events = POLLIN}, {.fd = cancel->fd, .events = POLLIN}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    if (p[1].revents) {
        err->kind = ERR_NONE;
        return -1;
    }
    if (recv(channel, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
        return error_set(err, ERR_INPUT, "fetch a git repository: it took too much, and was ended");
    tame(ret);
    if (ret->failure.kind == ERR_NONE)
        return 0;
    *err = ret->failure;
    return -1;
}

int git_process_find(struct git_process *p, const struct builder_git_order *order, int dir,
                     const struct cancel *cancel, struct git_source *ret, struct error *err)
{
    CLEANUP_FREE struct answer *a = calloc(1, sizeof(*a));
    struct order o = {.keep_git_dir = order->keep_git_dir, .bytes_max = order->bytes_max};
    int ends[2], result;

    *ret = (struct git_source){.channel = -1, .dir = dir};
    if (!a)
        return error_set(err, ERR_SYSTEM, "ask for a git repository: out of memory");
    if (snprintf(o.source, sizeof(o.source), "%s", order->source) >= (int)sizeof(o.source) ||
        snprintf(o.checksum, sizeof(o.checksum), "%s", order->checksum) >= (int)sizeof(o.checksum))
        return error_set(err, ERR_INPUT, "git source: it is too long");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_errno(err, errno, "make a socket");
    ret->channel = ends[0];
    result = send_order(p->orders, &o, (const int[]){ends[1], dir}, err);
    close(ends[1]);
    if (result < 0 || wait_for_answer(ret->channel, cancel, a, err) < 0)
        return -1;
    memcpy(ret->key, a->key, sizeof(ret->key));
    return 0;
}

int git_process_fetch(struct git_source *s, const struct cancel *cancel, struct buf *notes,
                      struct error *err)
{
    CLEANUP_FREE struct answer *a = calloc(1, sizeof(*a));

    if (!a)
        return error_set(err, ERR_SYSTEM, "fetch a git repository: out of memory");
    if (send(s->channel, "", 1, MSG_NOSIGNAL) != 1)
        return error_set(err, ERR_SYSTEM, "fetch a git repository: its process is gone");
    if (wait_for_answer(s->channel, cancel, a, err) < 0)
        return -1;
    buf_adds(notes, a->notes);
    return fs_remove_tree(s->dir, REPOSITORY, err);
}

void git_process_release(struct git_source *s)
{
    if (s->channel >= 0)
        close(s->channel);
    if (s->dir >= 0)
        close(s->dir);
    *s = (struct git_source)GIT_SOURCE_INIT;
}
