/* builder — opening: which kind of jail this machine allows, found out by making one. */
#include "builder/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/state.h"

#define PROBE_MS         60000    /* too short a time would be taken for "no user namespace" */
#define PROBE            "probe-" /* what the names of its directories begin with */
#define PROBE_TRIES      3        /* of one that somebody ends early */
#define UID_BASE_DEFAULT 1000000

bool builder_find_program(const char *path, const char *name, char ret[PATH_MAX])
{
    char candidate[PATH_MAX];

    if (strchr(name, '/'))
        return access(name, X_OK) == 0 && realpath(name, ret);
    while (path && *path) {
        size_t len = strcspn(path, ":");

        if (snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)len, path, name) <
                (int)sizeof(candidate) &&
            access(candidate, X_OK) == 0 && realpath(candidate, ret))
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

int builder_make_dir(const struct builder *b, const char *path, struct error *err)
{
    do {
        if (fs_mkdirs(path, 0700, err) < 0)
            return -1;
        if (b->ids.users != JAIL_USERS_DIRECT ||
            lchown(path, b->ids.root_uid, b->ids.root_gid) == 0)
            return 0;
    } while (errno == ENOENT); /* somebody has just removed it */
    return error_errno(err, errno, "give %s to the jail", path);
}

/* ---- what this machine can do ---- */

static void keep_last_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct error *e = self;

    (void)len;
    if (stream == PROCESS_STDERR)
        error_set(e, ERR_SYSTEM, "%s", text);
}

/* end: of the jail; said: its last line. */
static int run_jail(const struct jail_ids *ids, const char *dir, struct jail_end *ret_end,
                    struct error *ret_said, struct error *err)
{
    CLEANUP(jail_spec_release)
    struct jail_spec spec = {
        .ids = *ids, .net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_MOUNT, .inner = true};
    const struct process_sink sink = {keep_last_line, ret_said};
    const struct jail_run run = {
        .spec = &spec, .stdin_fd = -1, .out_fd = -1, .timeout_ms = PROBE_MS, .sink = &sink};

    jail_spec_add_base(&spec);
    jail_spec_add(&spec, JAIL_BIND, "kiln/probe", dir);
    argv_push(&spec.argv, "builder-probe", "/kiln/probe", NULL);
    return jail_run(&run, ret_end, err);
}

/* Anybody may kill a process, and that says nothing about the machine. */
static bool was_killed(const struct jail_end *end)
{
    return end->how == JAIL_LOST || end->how == JAIL_SIGNALLED;
}

static int run_probe(const struct builder *b, const struct jail_ids *ids, const char *dir,
                     struct error *ret_no_jail, struct error *ret_no_overlay, struct error *err)
{
    struct jail_end end = {.how = JAIL_LOST};
    struct error said = ERROR_INIT;
    struct error no_jail = ERROR_INIT;

    for (int i = 0; i < PROBE_TRIES && was_killed(&end) && no_jail.kind == ERR_NONE; i++) {
        said = (struct error)ERROR_INIT;
        (void)!run_jail(ids, dir, &end, &said, &no_jail);
    }
    if (no_jail.kind == ERR_NONE && end.how != JAIL_EXITED)
        error_set(&no_jail, ERR_SYSTEM, "try a jail: it ended early");
    if (no_jail.kind == ERR_NONE && end.code != 0 && said.kind == ERR_NONE)
        error_set(&said, ERR_SYSTEM, "mount an overlay: it does not work in a jail");
    if ((no_jail.kind != ERR_NONE || said.kind != ERR_NONE) && builder_is_full(b))
        return error_set(err, ERR_SYSTEM, "the disk of %s is full", b->config->dir);
    *ret_no_jail = no_jail;
    *ret_no_overlay = said;
    return 0;
}

/* Whoever probes holds the lock of the builder's directory shared, and who removes what a killed
 * one has left, alone. */
static int lock_probes(const struct builder *b, int how, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (fs_open_dir(AT_FDCWD, b->config->dir, &fd, err) < 0)
        return -1;
    while (flock(fd, how) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "lock %s", b->config->dir);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int builder_sweep_probes(const struct builder *b, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_CLOSE int lock = -1;
    struct error busy = ERROR_INIT;

    if (lock_probes(b, LOCK_EX | LOCK_NB, &lock, &busy) < 0)
        return 0;
    if (fs_list(lock, ".", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (text_starts(names.v[i], PROBE) &&
            builder_remove(b, b->config->dir, names.v[i], err) < 0)
            return -1;
    return 0;
}

/* In a directory of the jail's root, made and given to it. */
static int probe_in(const struct builder *as, const char *dir, struct error *ret_no_jail,
                    struct error *ret_no_overlay, struct error *err)
{
    struct error no_dir = ERROR_INIT;

    if (fs_mkdirs(dir, 0700, err) < 0)
        return -1;
    *ret_no_overlay = (struct error)ERROR_INIT;
    if (builder_make_dir(as, dir, &no_dir) < 0) {
        *ret_no_jail = no_dir; /* there are no such ids here */
        return 0;
    }
    return run_probe(as, &as->ids, dir, ret_no_jail, ret_no_overlay, err);
}

int builder_probe(const struct builder *b, const struct jail_ids *ids, struct error *ret_no_jail,
                  struct error *ret_no_overlay, struct error *err)
{
    struct builder as = {.config = b->config, .ids = *ids};
    CLEANUP_CLOSE int lock = -1;
    struct error ignored = ERROR_INIT;
    char dir[PATH_MAX];
    char name[24] = PROBE;
    int result;

    if (lock_probes(b, LOCK_SH, &lock, err) < 0)
        return -1;
    digest_random_name(name + strlen(PROBE), 12);
    if (snprintf(dir, sizeof(dir), "%s/%s", b->config->dir, name) >= (int)sizeof(dir))
        return error_set(err, ERR_SYSTEM, "path too long");
    result = probe_in(&as, dir, ret_no_jail, ret_no_overlay, err);
    if (builder_remove(&as, b->config->dir, name, &ignored) < 0 && result == 0)
        return error_set(err, ERR_SYSTEM, "%s", ignored.msg);
    return result;
}

/* Takes ids if a jail of theirs works; *ret_no_jail: why not. */
static int try_ids(struct builder *b, const struct jail_ids *ids, struct error *ret_no_jail,
                   struct error *err)
{
    if (builder_probe(b, ids, ret_no_jail, &b->no_overlay, err) < 0)
        return -1;
    if (ret_no_jail->kind == ERR_NONE)
        b->ids = *ids;
    return 0;
}

static int try_users(struct builder *b, enum jail_users users, struct error *ret_no_jail,
                     struct error *err)
{
    uint32_t base = b->config->uid_base ? b->config->uid_base : UID_BASE_DEFAULT;
    struct jail_ids ids = jail_ids_for_root(users, base);

    *ret_no_jail = (struct error)ERROR_INIT;
    if (users == JAIL_USERS_HELPERS &&
        jail_ids_for_user("/etc/subuid", "/etc/subgid", &ids, ret_no_jail) < 0)
        return 0;
    if (users == JAIL_USERS_DIRECT && base > UINT32_MAX - JAIL_IDS) {
        error_set(ret_no_jail, ERR_SYSTEM, "map ids: %u leaves no room for %d ids", base, JAIL_IDS);
        return 0;
    }
    return try_ids(b, &ids, ret_no_jail, err);
}

/* What could not be tried decides nothing: a full disk must not cost builds their user namespace.
 */
static int choose_users(struct builder *b, struct error *err)
{
    if (geteuid() != 0)
        return try_users(b, JAIL_USERS_HELPERS, &b->no_jail, err);
    if (try_users(b, JAIL_USERS_DIRECT, &b->no_users, err) < 0)
        return -1;
    if (b->no_users.kind == ERR_NONE)
        return 0;
    return try_users(b, JAIL_USERS_NONE, &b->no_jail, err);
}

int builder_check_jail(const struct builder *b, struct error *err)
{
    if (b->no_jail.kind != ERR_NONE) {
        *err = b->no_jail;
        return -1;
    }
    if (b->no_overlay.kind != ERR_NONE) {
        *err = b->no_overlay;
        return error_wrap(err, "execute steps on %s", b->config->dir);
    }
    if (!b->buildah[0])
        return error_set(err, ERR_SYSTEM, "find %s: no such program",
                         b->config->buildah ? b->config->buildah : "buildah");
    return 0;
}

/* ---- opening ---- */

static int make_dirs(const struct builder_config *config, struct error *err)
{
    static const char *const names[] = {"jobs", "bases", "cache"};
    char path[PATH_MAX];

    if (config->dir[0] != '/')
        return error_set(err, ERR_SYSTEM, "open the builder: %s is not absolute", config->dir);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (snprintf(path, sizeof(path), "%s/%s", config->dir, names[i]) >= (int)sizeof(path))
            return error_set(err, ERR_SYSTEM, "open the builder: path too long");
        if (fs_mkdirs(path, 0700, err) < 0)
            return -1;
    }
    return 0;
}

static int open_unchosen(const struct builder_config *config, struct builder **ret,
                         struct error *err)
{
    struct builder *b;
    const char *path = getenv("PATH");

    if (make_dirs(config, err) < 0)
        return -1;
    b = calloc(1, sizeof(*b));
    if (!b)
        return error_set(err, ERR_SYSTEM, "open the builder: out of memory");
    b->config = config;
    if (!builder_find_program(path ? path : "/usr/bin:/bin",
                              config->buildah ? config->buildah : "buildah", b->buildah))
        b->buildah[0] = '\0';
    *ret = b;
    return 0;
}

int builder_open(const struct builder_config *config, struct builder **ret, struct error *err)
{
    struct builder *b = NULL;

    if (open_unchosen(config, &b, err) < 0)
        return -1;
    if (choose_users(b, err) < 0) {
        builder_free(b);
        return error_wrap(err, "find out what builds can do here");
    }
    cgroup_find("/proc/self/cgroup", "/proc/self/mountinfo", &b->site);
    *ret = b;
    return 0;
}

int builder_open_as(const struct builder_config *config, enum jail_users users,
                    struct builder **ret, struct error *err)
{
    struct builder *b = NULL;
    struct error no_jail = ERROR_INIT;

    if (open_unchosen(config, &b, err) < 0)
        return -1;
    if (try_users(b, users, &no_jail, err) < 0 || no_jail.kind != ERR_NONE) {
        builder_free(b);
        if (no_jail.kind != ERR_NONE)
            *err = no_jail;
        return -1;
    }
    cgroup_find("/proc/self/cgroup", "/proc/self/mountinfo", &b->site);
    *ret = b;
    return 0;
}

void builder_free(struct builder *b)
{
    if (!b)
        return;
    cgroup_site_release(&b->site);
    free(b);
}

const struct builder_config *builder_configuration(const struct builder *b)
{
    return b->config;
}
