/* run_fixture — see the header. */
#include "run_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/run.h"

#define TREE  "/work/tree"
#define LOWER "/work/lower"

/* ---- inside the jail: the image ---- */

static void must(bool good, const char *what)
{
    if (good)
        return;
    printf("broken: %s: %s\n", what, strerror(errno));
    (void)fflush(NULL);
    _exit(9);
}

static void put(const char *path, mode_t mode, const void *data, size_t len)
{
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    must(fd >= 0 && fs_write_all(fd, data, len, &err) == 0 && fchmod(fd, mode) == 0, path);
}

static void put_text(const char *path, mode_t mode, const char *text)
{
    put(path, mode, text, strlen(text));
}

static void copy(const char *from, const char *to, mode_t mode)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(64 << 20);
    struct error err = ERROR_INIT;

    must(fs_read_file(AT_FDCWD, from, &content, &err) == 0, from);
    put(to, mode, content.data, content.len);
}

static void make_image(void)
{
    static const char *const dirs[] = {"",      "/bin",     "/etc", "/home", "/home/ann",
                                       "/work", "/scratch", "/tmp", "/run"};
    static const char *const applets[] = {
        "sh",   "cat",     "id",       "ls",     "env",      "sleep", "stat", "touch", "mkdir",
        "rm",   "mount",   "chown",    "chmod",  "ip",       "df",    "wc",   "dd",    "grep",
        "mv",   "unshare", "kill",     "chroot", "hostname", "mknod", "find", "ln",    "head",
        "true", "setsid",  "readlink", "umount", "rmdir",    "tr"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), LOWER "%s", dirs[i]);
        must(fs_mkdirs(path, 0755, &err) == 0, path);
    }
    must(chmod(LOWER "/tmp", 01777) == 0, "chmod");
    copy("/usr/bin/busybox", LOWER "/bin/busybox", 0755);
    for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), LOWER "/bin/%s", applets[i]);
        must(symlink("busybox", path) == 0, path);
    }
    put_text(LOWER "/etc/passwd", 0644,
             "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    put_text(LOWER "/etc/group", 0644, "root:x:0:\nann:x:1000:\nwheel:x:10:ann\ndisk:x:6:ann\n");
}

/* /work/tree<n> over /work/lower and /work/upper<n>. */
static void mount_overlay(const char *n)
{
    char path[3][64];
    char options[256];
    struct stat st;

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path[i], sizeof(path[i]), "/work/%s%s",
                       (const char *const[]){"tree", "upper", "tmp"}[i], n);
        must(mkdir(path[i], 0755) == 0, path[i]);
    }
    (void)snprintf(options, sizeof(options), "userxattr,lowerdir=" LOWER ",upperdir=%s,workdir=%s",
                   path[1], path[2]);
    must(mount("overlay", path[0], "overlay", MS_NODEV, strchr(options, ',') + 1) == 0 ||
             mount("overlay", path[0], "overlay", MS_NODEV, options) == 0,
         "mount the overlay");
    must(stat(LOWER, &st) == 0 &&
             utimensat(AT_FDCWD, path[0], (const struct timespec[]){st.st_atim, st.st_mtim}, 0) ==
                 0,
         "set the tree's time");
}

/* ---- the words ---- */

#define MOUNTS 16

struct trial {
    struct run_request req;
    struct argv argv, env;
    struct buf errors; /* two pipes have no order, so they come last */
    struct run_mount mounts[MOUNTS];
    struct process_sink sink;
    struct cancel cancel;
    const char *cancel_at;
    bool lower;
    bool beside;
    int runs;
};

/* The next part of "a:b:c"; the last one is all that is left. */
static char *part(char **rest, bool last)
{
    return last ? *rest : strsep(rest, ":");
}

static int64_t number(const char *text, int base)
{
    return text ? strtoll(text, NULL, base) : -1;
}

static void in_image(const char *path, char ret[PATH_MAX])
{
    (void)snprintf(ret, PATH_MAX, LOWER "%s", path);
}

static struct run_mount *new_mount(struct trial *t, enum run_mount_type type)
{
    struct run_mount *m = &t->mounts[t->req.n_mounts++];

    *m = (struct run_mount){.type = type, .mode = -1, .uid = -1, .gid = -1};
    return m;
}

static void read_mount(struct trial *t, const char *key, char *value)
{
    struct run_mount *m;

    if (strcmp(key, "bind") == 0) {
        m = new_mount(t, RUN_MOUNT_BIND);
        m->source = part(&value, false);
        m->target = part(&value, false);
        m->read_only = value != NULL;
    } else if (strcmp(key, "tmpfs") == 0) {
        m = new_mount(t, RUN_MOUNT_TMPFS);
        m->target = part(&value, false);
        m->size = value ? number(value, 10) : 0;
    } else {
        m = new_mount(t, RUN_MOUNT_FILE);
        m->target = part(&value, false);
        m->mode = number(part(&value, false), 8);
        m->uid = number(part(&value, false), 10);
        m->gid = number(part(&value, false), 10);
        m->content = value;
        m->len = strlen(value);
    }
}

static void make_in_image(const char *key, char *value)
{
    char path[PATH_MAX];
    const char *mode;
    const char *from;

    from = strcmp(key, "copy") == 0 ? part(&value, false) : "";
    in_image(part(&value, false), path);
    if (*from) {
        copy(from, path, (mode_t)number(value, 8));
    } else if (strcmp(key, "put") == 0) {
        mode = part(&value, false);
        put_text(path, (mode_t)number(mode, 8), value);
    } else if (strcmp(key, "link") == 0) {
        must(symlink(value, path) == 0, path);
    } else {
        must(mkdir(path, 0755) == 0 || errno == EEXIST, path);
        must(!value || chmod(path, (mode_t)number(value, 8)) == 0, path);
    }
}

static void read_word(struct trial *t, char *word)
{
    char *value = word;
    const char *key = strsep(&value, "=");
    char path[PATH_MAX];

    if (strcmp(key, "sh") == 0)
        argv_push(&t->argv, "/bin/sh", "-c", value, NULL);
    else if (strcmp(key, "arg") == 0)
        argv_push1(&t->argv, value);
    else if (strcmp(key, "env") == 0)
        argv_push1(&t->env, value);
    else if (strcmp(key, "cwd") == 0)
        t->req.cwd = value;
    else if (strcmp(key, "user") == 0)
        t->req.user = value;
    else if (strcmp(key, "no-network") == 0)
        t->req.no_network = true;
    else if (strcmp(key, "script") == 0) {
        t->req.script_name = part(&value, false);
        t->req.script = value;
    } else if (strcmp(key, "room") == 0) {
        (void)snprintf(path, sizeof(path), "/work/%s", value);
        must(mkdir(path, 0755) == 0, path);
    } else if (strcmp(key, "cancel-at") == 0)
        t->cancel_at = value;
    else if (strcmp(key, "again") == 0)
        t->runs++;
    else if (strcmp(key, "beside") == 0)
        t->beside = true;
    else if (strcmp(key, "lower") == 0)
        t->lower = true;
    else if (text_is_among(key, (const char *const[]){"bind", "tmpfs", "file", NULL}))
        read_mount(t, key, value);
    else if (text_is_among(key, (const char *const[]){"put", "copy", "link", "dir", NULL}))
        make_in_image(key, value);
    else
        must(false, key);
}

/* ---- the run ---- */

static void say(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct trial *t = self;

    (void)len;
    if (stream == PROCESS_STDERR) {
        buf_addf(&t->errors, "2 %s\n", text);
        return;
    }
    printf("1 %s\n", text);
    (void)fflush(stdout);
    if (t->cancel_at && strcmp(text, t->cancel_at) == 0)
        cancel_throw(&t->cancel);
}

/* A directory that was copied up and is as before says "as before". */
static int say_diff(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    const char *name = path + strlen("/work/upper");
    char before[PATH_MAX];
    struct stat old;
    bool same;

    (void)type;
    in_image(name, before);
    same = lstat(before, &old) == 0 && old.st_mode == st->st_mode && old.st_uid == st->st_uid &&
           old.st_gid == st->st_gid && old.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           old.st_mtim.tv_nsec == st->st_mtim.tv_nsec;
    if (ftw->level > 0 || !same)
        printf("diff %s%s\n", *name ? name : "/", same ? " as before" : "");
    return 0;
}

static size_t count(const char *dir, bool only_numbers)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    must(d != NULL, dir);
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.' && (!only_numbers || (e->d_name[0] >= '1' && e->d_name[0] <= '9'));
    closedir(d);
    return n;
}

/* Those besides pid 1 and this one; zombies are pid 1's to see to, for which it has a moment. */
static size_t count_processes(void)
{
    for (int i = 0; i < 12000 && count("/proc", true) > 2; i++)
        (void)poll(NULL, 0, 5);
    return count("/proc", true) - 2;
}

static void *run_beside(void *self)
{
    const struct trial *t = self;
    struct run_request req = t->req;
    struct run_end end = {.how = RUN_CANCELLED};
    struct error err = ERROR_INIT;

    req.rootfs = "/work/tree2";
    req.bundle = "/work/bundle2";
    req.sink = NULL;
    if (run_command(&req, &end, &err) < 0)
        printf("beside: %s\n", err.msg);
    else
        printf("beside exited %d\n", end.code);
    return NULL;
}

static void run_once(struct trial *t)
{
    struct run_end end;
    struct error err = ERROR_INIT;
    int64_t start = clock_monotonic();
    int result = run_command(&t->req, &end, &err);

    printf("%s", buf_str(&t->errors));
    buf_clear(&t->errors);
    if (result < 0)
        printf("%s error: %s\n", error_kind_name(err.kind), err.msg);
    else if (end.how == RUN_EXITED)
        printf("exited %d\n", end.code);
    else if (end.how == RUN_SIGNALLED)
        printf("signalled %d code %d\n", end.signal, end.code);
    else
        printf("cancelled\n");
    printf("ms %lld\n", (long long)((clock_monotonic() - start) / NS_PER_MS));
}

static int run_main(int argc, char **argv)
{
    struct trial t = {.req = {.rootfs = TREE, .bundle = "/work/bundle", .cwd = "", .user = ""},
                      .errors = BUF_INIT(1 << 20),
                      .runs = 1};
    pthread_t thread;
    struct error err = ERROR_INIT;

    make_image();
    must(mkdir("/work/bundle", 0755) == 0 && cancel_init(&t.cancel, &err) == 0, "prepare");
    argv_push(&t.env, "PATH=/bin", NULL);
    for (int i = 1; i < argc; i++)
        read_word(&t, argv[i]);
    if (t.lower)
        t.req.rootfs = LOWER;
    else
        mount_overlay("");
    t.sink = (struct process_sink){say, &t};
    t.req.argv = &t.argv;
    t.req.env = &t.env;
    t.req.mounts = t.mounts;
    t.req.sink = &t.sink;
    t.req.cancel = &t.cancel;
    if (t.beside) {
        mount_overlay("2");
        must(mkdir("/work/bundle2", 0755) == 0 &&
                 pthread_create(&thread, NULL, run_beside, &t) == 0,
             "start a thread");
    }
    for (int i = 0; i < t.runs; i++)
        run_once(&t);
    if (t.beside)
        must(pthread_join(thread, NULL) == 0 && count("/work/bundle2", false) == 0, "join");
    if (!t.lower)
        (void)nftw("/work/upper", say_diff, 16, FTW_PHYS);
    printf("bundle %zu\n", count("/work/bundle", false));
    printf("processes %zu\n", count_processes());
    argv_release(&t.argv);
    argv_release(&t.env);
    buf_release(&t.errors);
    cancel_release(&t.cancel);
    return 0;
}

const struct builder_inner run_fixture_inner[] = {{"run", run_main}, {NULL, NULL}};

/* ---- outside ---- */

static void keep(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct ran *r = self;

    (void)stream;
    buf_add(&r->said, text, len);
    buf_addc(&r->said, '\n');
}

void ran_run(void **state, struct ran *r, const char *const *words)
{
    const struct machine *m = *state;
    struct jail_spec spec = {
        .ids = m->b->ids, .net = JAIL_NET_NONE, .rights = JAIL_RIGHTS_BUILD, .inner = true};
    const struct process_sink sink = {keep, r};
    const struct jail_run run = {
        .spec = &spec, .stdin_fd = -1, .out_fd = -1, .sink = &sink, .timeout_ms = 300000};
    struct jail_end end;
    struct error err = ERROR_INIT;
    char dir[128];

    r->said = (struct buf)BUF_INIT(1 << 20);
    buf_addc(&r->said, '\n');
    (void)snprintf(dir, sizeof(dir), "%s/work", m->config.dir);
    assert_int_equal(builder_make_dir(m->b, dir, &err), 0);
    jail_spec_add_base(&spec);
    run_add_to_jail(&spec);
    jail_spec_add(&spec, JAIL_BIND, "work", dir);
    argv_push(&spec.argv, "run", NULL);
    for (; *words; words++)
        argv_push1(&spec.argv, *words);
    if (jail_run(&run, &end, &err) < 0)
        fail_msg("%s", err.msg);
    jail_spec_release(&spec);
    assert_int_equal(builder_remove(m->b, m->config.dir, "work", &err), 0);
    if (getenv("KILN_TEST_SHOW"))
        print_message("%s", buf_str(&r->said));
    if (end.how != JAIL_EXITED || end.code != 0)
        fail_msg("the jail ended badly: %d %d:%s", (int)end.how, end.code, buf_str(&r->said));
}

void ran_release(struct ran *r)
{
    buf_release(&r->said);
}

static bool has_line(const struct ran *r, const char *line)
{
    CLEANUP(buf_release) struct buf whole = BUF_INIT(1 << 16);

    buf_addf(&whole, "\n%s\n", line);
    return buf_holds(&r->said, buf_str(&whole));
}

void assert_line(const struct ran *r, const char *line)
{
    if (!has_line(r, line))
        fail_msg("no line \"%s\" in:%s", line, buf_str(&r->said));
}

void assert_no_line(const struct ran *r, const char *line)
{
    if (has_line(r, line))
        fail_msg("the line \"%s\" is in:%s", line, buf_str(&r->said));
}

void assert_said(const struct ran *r, const char *text)
{
    if (!buf_holds(&r->said, text))
        fail_msg("\"%s\" was not said:%s", text, buf_str(&r->said));
}

void assert_not_said(const struct ran *r, const char *text)
{
    if (buf_holds(&r->said, text))
        fail_msg("\"%s\" was said:%s", text, buf_str(&r->said));
}

void assert_clean(const struct ran *r, const char *const *paths)
{
    size_t diffs = 0;

    for (const char *at = buf_str(&r->said); (at = strstr(at, "\ndiff ")); at++)
        diffs += strncmp(at + strcspn(at + 1, "\n") - 9, " as before", 10) != 0;
    for (; *paths; paths++, diffs--) {
        CLEANUP(buf_release) struct buf line = BUF_INIT(4096);

        buf_addf(&line, "diff %s", *paths);
        assert_line(r, buf_str(&line));
    }
    if (diffs != 0)
        fail_msg("the diff has more in it:%s", buf_str(&r->said));
    assert_line(r, "bundle 0");
    assert_line(r, "processes 0");
}
