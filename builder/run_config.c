/* builder/run_config — the config.json that runc reads.
 *
 * The order of mounts matters.  What the user asks for comes first, parents before children, and
 * /proc, /sys and /dev last: so whatever a mount of the user's hides or brings, runc makes device
 * nodes in, and masks paths with, directories that were empty a moment ago and that no other
 * container sees (CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 need it otherwise). */
#include <linux/magic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/text.h"
#include "builder/run_inside.h"

#define SECCOMP "/usr/share/containers/seccomp.json"
#define FILES   524288 /* containerd's ceiling of open files */

const char *const run_capabilities[] = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FOWNER",
                                        "CAP_FSETID",  "CAP_KILL",         "CAP_NET_BIND_SERVICE",
                                        "CAP_SETFCAP", "CAP_SETGID",       "CAP_SETPCAP",
                                        "CAP_SETUID",  "CAP_SYS_CHROOT",   NULL};

/* Docker's lists, and what names the machine. */
static const char *const masked[] = {"/proc/asound",
                                     "/proc/acpi",
                                     "/proc/interrupts",
                                     "/proc/kcore",
                                     "/proc/keys",
                                     "/proc/latency_stats",
                                     "/proc/timer_list",
                                     "/proc/timer_stats",
                                     "/proc/sched_debug",
                                     "/proc/scsi",
                                     "/sys/firmware",
                                     "/sys/devices/virtual/powercap",
                                     "/sys/devices/virtual/dmi",
                                     NULL};
static const char *const read_only[] = {"/proc/bus",           "/proc/fs", "/proc/irq", "/proc/sys",
                                        "/proc/sysrq-trigger", NULL};

bool run_target_is_in_dev(const char *target)
{
    return text_starts(target, "/dev/");
}

/* ---- words ---- */

static json_t *words(const char *const *list)
{
    json_t *array = json_array();

    for (; *list; list++)
        json_array_append_new(array, json_string(*list));
    return array;
}

/* NULL when one is not UTF-8. */
static json_t *words_of(const struct argv *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++)
        if (json_array_append_new(array, json_string(list->v[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *environment(const struct run_request *req, const struct account *who)
{
    json_t *env = words_of(req->env);
    char home[sizeof(who->home) + 8];

    for (size_t i = 0; i < req->env->n; i++)
        if (text_starts(req->env->v[i], "HOME="))
            return env;
    (void)snprintf(home, sizeof(home), "HOME=%s", who->home);
    if (env && json_array_append_new(env, json_string(home)) < 0)
        json_array_append_new(env, json_string("HOME=/"));
    return env;
}

/* ---- the process ---- */

static json_t *capabilities(void)
{
    /* Without inheritable and ambient ones: a user other than root has none. */
    return json_pack("{s:o, s:o, s:o}", "bounding", words(run_capabilities), "effective",
                     words(run_capabilities), "permitted", words(run_capabilities));
}

/* The ceiling may not be raised by the root of a user namespace. */
static json_t *limits(void)
{
    struct rlimit files = {.rlim_max = FILES};

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_max > FILES)
        files.rlim_max = FILES;
    return json_pack("[{s:s, s:I, s:I}, {s:s, s:i, s:i}]", "type", "RLIMIT_NOFILE", "hard",
                     (json_int_t)files.rlim_max, "soft",
                     (json_int_t)(files.rlim_max < 1024 ? files.rlim_max : 1024), "type",
                     "RLIMIT_CORE", "hard", 0, "soft", 0);
}

static json_t *user(const struct account *who)
{
    json_t *groups = json_array();

    for (size_t i = 0; i < who->n_groups; i++)
        json_array_append_new(groups, json_integer(who->groups[i]));
    return json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)who->uid, "gid", (json_int_t)who->gid,
                     "additionalGids", groups);
}

static int add_process(const struct run_request *req, const struct account *who, json_t *config,
                       struct error *err)
{
    json_t *args = words_of(req->argv);
    json_t *env = environment(req, who);
    json_t *process =
        json_pack("{s:b, s:o, s:o, s:o, s:s, s:o, s:o, s:b}", "terminal", 0, "user", user(who),
                  "args", args, "env", env, "cwd", *req->cwd ? req->cwd : "/", "capabilities",
                  capabilities(), "rlimits", limits(), "noNewPrivileges", 0);

    /* set-uid programs work, as in docker build: noNewPrivileges is false. */
    if (!process)
        return error_set(err, ERR_INPUT,
                         "run a command: it, its directory or its environment is not UTF-8");
    json_object_set_new(config, "process", process);
    return 0;
}

/* ---- mounts ---- */

static void add_mount(json_t *mounts, const char *type, const char *source, const char *target,
                      const char *const *options)
{
    json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type",
                                            type, "source", source, "options", words(options)));
}

/* What the mount that source is on forbids stays forbidden: in a user namespace the kernel insists
 * (MNT_LOCK_NOSUID and the like), and runc would fail. */
static void add_bind(json_t *mounts, const char *source, const char *target, bool is_read_only)
{
    struct statvfs fs = {.f_flag = 0};
    const char *options[8] = {"rbind", "rprivate"};
    size_t n = 2;

    (void)statvfs(source, &fs);
    if (is_read_only || (fs.f_flag & ST_RDONLY))
        options[n++] = "ro";
    if (fs.f_flag & ST_NOSUID)
        options[n++] = "nosuid";
    if (fs.f_flag & ST_NOEXEC)
        options[n++] = "noexec";
    options[n++] = "nodev";
    add_mount(mounts, "bind", source, target, options);
}

static void add_users_mount(const struct run_request *req, size_t i, json_t *mounts)
{
    const struct run_mount *m = &req->mounts[i];
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/mount%zu", req->bundle, i);
    add_bind(mounts, m->type == RUN_MOUNT_BIND ? m->source : path, m->target,
             m->read_only || m->type == RUN_MOUNT_FILE);
}

static size_t depth(const char *target)
{
    size_t n = 0;

    for (; *target; target++)
        n += *target == '/' && target[1] != '\0';
    return n;
}

static void add_own_file(const struct run_request *req, const char *name, const char *target,
                         json_t *mounts)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", req->bundle, name);
    add_bind(mounts, path, target, true);
}

/* Those on the tree, parents before children and otherwise in the order given.  Our files in /etc
 * are two deep, before the user's of that depth. */
static void add_mounts_on_tree(const struct run_request *req, json_t *mounts)
{
    size_t left = req->n_mounts;

    for (size_t d = 0; left > 0 || d <= 2; d++) {
        if (d == 2) {
            add_own_file(req, RUN_FILE_HOSTS, "/etc/hosts", mounts);
            add_own_file(req, RUN_FILE_HOSTNAME, "/etc/hostname", mounts);
            add_own_file(req, RUN_FILE_RESOLVER, "/etc/resolv.conf", mounts);
        }
        for (size_t i = 0; i < req->n_mounts; i++) {
            if (depth(req->mounts[i].target) != d)
                continue;
            left--;
            if (!run_target_is_in_dev(req->mounts[i].target))
                add_users_mount(req, i, mounts);
        }
    }
}

#define OPTIONS(...)                                                                               \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* A new sysfs, as a container has a network of its own with --network=none.  The kernel gives one
 * only to who sees one already: where the jail could have none, it is empty. */
static void add_sys(json_t *mounts)
{
    struct statfs fs;

    if (statfs(RUN_SYSFS, &fs) == 0 && fs.f_type == SYSFS_MAGIC)
        add_mount(mounts, "sysfs", "sysfs", "/sys", OPTIONS("nosuid", "noexec", "nodev", "ro"));
    else
        add_mount(mounts, "tmpfs", "tmpfs", "/sys",
                  OPTIONS("nosuid", "noexec", "nodev", "ro", "mode=755", "size=4k"));
}

static void add_system_mounts(json_t *mounts)
{
    add_mount(mounts, "proc", "proc", "/proc", OPTIONS("nosuid", "noexec", "nodev"));
    add_sys(mounts);
    add_mount(mounts, "tmpfs", "tmpfs", "/dev",
              OPTIONS("nosuid", "strictatime", "mode=755", "size=65536k"));
    add_mount(mounts, "devpts", "devpts", "/dev/pts",
              OPTIONS("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"));
    add_mount(mounts, "tmpfs", "shm", "/dev/shm",
              OPTIONS("nosuid", "noexec", "nodev", "mode=1777", "size=65536k"));
    add_mount(mounts, "mqueue", "mqueue", "/dev/mqueue", OPTIONS("nosuid", "noexec", "nodev"));
}

static void add_mounts_in_dev(const struct run_request *req, json_t *mounts)
{
    for (size_t i = 0; i < req->n_mounts; i++)
        if (run_target_is_in_dev(req->mounts[i].target))
            add_users_mount(req, i, mounts);
    if (req->script)
        add_own_file(req, RUN_DIR_PIPES, "/dev/pipes", mounts);
}

static int add_mounts(const struct run_request *req, json_t *config, struct error *err)
{
    json_t *mounts = json_array();

    add_mounts_on_tree(req, mounts);
    add_system_mounts(mounts);
    add_mounts_in_dev(req, mounts);
    json_object_set_new(config, "mounts", mounts);
    /* json_pack gives nothing for what is not UTF-8, and nothing is not appended. */
    if (json_array_size(mounts) != 9 + req->n_mounts + (req->script ? 1 : 0))
        return error_set(err, ERR_INPUT, "run a command: a mount's target is not UTF-8");
    return 0;
}

/* ---- the rest ---- */

static int add_linux(const struct run_request *req, json_t *config, struct error *err)
{
    json_t *namespaces = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}]", "type", "pid", "type", "ipc",
                                   "type", "uts", "type", "mount");
    json_t *seccomp;

    if (run_seccomp_read(SECCOMP, &seccomp, err) < 0) {
        json_decref(namespaces);
        return -1;
    }
    if (req->no_network)
        json_array_append_new(namespaces,
                              json_pack("{s:s, s:s}", "type", "network", "path", RUN_NO_NETWORK));
    json_object_set_new(config, "linux",
                        json_pack("{s:o, s:o, s:o, s:s, s:o*}", "namespaces", namespaces,
                                  "maskedPaths", words(masked), "readonlyPaths", words(read_only),
                                  "rootfsPropagation", "private", "seccomp", seccomp));
    return 0;
}

static int fill(const struct run_request *req, const struct account *who, json_t *config,
                struct error *err)
{
    json_object_set_new(config, "ociVersion", json_string("1.0.2"));
    json_object_set_new(config, "hostname", json_string(RUN_HOSTNAME));
    json_object_set_new(config, "root",
                        json_pack("{s:s, s:b}", "path", req->rootfs, "readonly", 0));
    if (add_process(req, who, config, err) < 0 || add_mounts(req, config, err) < 0)
        return -1;
    return add_linux(req, config, err);
}

int run_config_write(const struct run_request *req, const struct account *who, struct buf *out,
                     struct error *err)
{
    json_t *config = json_object();
    CLEANUP_FREE char *text = NULL;
    int result = fill(req, who, config, err);

    if (result == 0) {
        text = json_dumps(config, JSON_COMPACT);
        if (text)
            buf_adds(out, text);
        else
            result = error_set(err, ERR_SYSTEM, "describe a command to runc: out of memory");
    }
    json_decref(config);
    return result;
}
