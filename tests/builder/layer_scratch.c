/* tests/builder/layer_scratch — see the header. */
#include "tests/builder/layer_scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/process.h"
#include "base/text.h"

#define OUTSIDE "nothing may touch this\n"

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static void make_dir(const struct layer_scratch *s, const char *name, int *ret)
{
    struct error err = ERROR_INIT;

    must(mkdirat(s->fd, name, 0755) == 0, name);
    must(fs_open_dir(s->fd, name, ret, &err) == 0, err.msg);
}

int layer_scratch_setup(void **state)
{
    return layer_scratch_setup_in("/tmp", state);
}

int layer_scratch_setup_in(const char *parent, void **state)
{
    struct layer_scratch *s = calloc(1, sizeof(*s));
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int outside = -1;

    must(s != NULL, "calloc");
    (void)snprintf(s->path, sizeof(s->path), "%s/kiln-layer-XXXXXX", parent);
    must(mkdtemp(s->path) != NULL, "mkdtemp");
    must(fs_open_dir(AT_FDCWD, s->path, &s->fd, &err) == 0, err.msg);
    outside = openat(s->fd, "outside", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    must(outside >= 0 && fchmod(outside, 0640) == 0, "create outside");
    must(fs_write_all(outside, OUTSIDE, strlen(OUTSIDE), &err) == 0, err.msg);
    make_dir(s, "diff", &s->diff);
    make_dir(s, "blobs", &s->blobs);
    make_dir(s, "back", &s->back);
    *state = s;
    return 0;
}

int layer_scratch_teardown(void **state)
{
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;

    close(s->diff);
    close(s->blobs);
    close(s->back);
    close(s->fd);
    must(fs_remove_tree(AT_FDCWD, s->path, &err) == 0, err.msg);
    free(s);
    return 0;
}

void layer_scratch_clear(struct layer_scratch *s, const char *name)
{
    int *fd = strcmp(name, "diff") == 0    ? &s->diff
              : strcmp(name, "blobs") == 0 ? &s->blobs
                                           : &s->back;
    struct error err = ERROR_INIT;

    close(*fd);
    must(fs_remove_tree(s->fd, name, &err) == 0, err.msg);
    make_dir(s, name, fd);
}

bool layer_scratch_is_contained(const struct layer_scratch *s)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(4096);
    struct error err = ERROR_INIT;
    struct stat st;
    int n = 0;
    DIR *dir = opendir(s->path);

    must(dir != NULL, "opendir");
    while (readdir(dir))
        n++;
    closedir(dir);
    return n == 6 && fs_read_file(s->fd, "outside", &content, &err) == 0 &&
           strcmp(buf_str(&content), OUTSIDE) == 0 && fstatat(s->fd, "outside", &st, 0) == 0 &&
           (st.st_mode & 07777) == 0640 && st.st_nlink == 1;
}

/* ---- listing ---- */

#define INODES_MAX 1000

struct listing {
    struct buf *out;
    ino_t inodes[INODES_MAX];
    char *paths[INODES_MAX];
    size_t n;
};

static void add_attributes(int fd, struct buf *out)
{
    char names[4096], value[4096], hex[2 * sizeof(value) + 1];
    ssize_t len = flistxattr(fd, names, sizeof(names));

    for (char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
        ssize_t n = fgetxattr(fd, name, value, sizeof(value));

        must(n >= 0, name);
        digest_hex((unsigned char *)value, (size_t)n, hex);
        buf_addf(out, " [%s=%s]", name, hex);
    }
}

static void add_content(int fd, uint64_t size, struct buf *out)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(200 << 20);
    struct error err = ERROR_INIT;
    char hex[SHA256_HEX];

    must(fs_read_fd(fd, &content, &err) == 0, err.msg);
    must(content.len == size, "size");
    digest_sha256_hex(buf_str(&content), content.len, hex);
    if (content.len < 40 && content.len == strlen(buf_str(&content)))
        buf_addf(out, " \"%s\"", buf_str(&content));
    else
        buf_addf(out, " sha256 %.16s", hex);
}

/* True when an inode with several names has been told under another. */
static bool add_link(struct listing *l, const struct stat *st, const char *path)
{
    if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
        return false;
    for (size_t i = 0; i < l->n; i++)
        if (l->inodes[i] == st->st_ino) {
            buf_addf(l->out, " is %s", l->paths[i]);
            return true;
        }
    must(l->n < INODES_MAX, "too many links");
    l->inodes[l->n] = st->st_ino;
    l->paths[l->n++] = strdup(path);
    return false;
}

static void list(struct listing *l, int dir, const char *parent);

static void add_what_it_holds(struct listing *l, int dir, const char *name, const struct stat *st)
{
    CLEANUP_CLOSE int fd = -1;
    char target[PATH_MAX] = "";

    if (S_ISLNK(st->st_mode)) {
        must(readlinkat(dir, name, target, sizeof(target) - 1) > 0, name);
        buf_addf(l->out, " -> %s", target);
    } else if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        buf_addf(l->out, " %u:%u", major(st->st_rdev), minor(st->st_rdev));
    } else if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        must(fd >= 0, name);
        if (S_ISREG(st->st_mode))
            add_content(fd, (uint64_t)st->st_size, l->out);
        add_attributes(fd, l->out);
    }
}

static void list_entry(struct listing *l, int dir, const char *name, const char *path)
{
    struct stat st;

    must(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0, name);
    /* A whiteout has no more than its name. */
    if (S_ISCHR(st.st_mode) && st.st_rdev == 0) {
        buf_addf(l->out, "w %s\n", path);
        return;
    }
    buf_addf(l->out, "%c %04o %u:%u %lld %lld %s",
             S_ISDIR(st.st_mode)    ? 'd'
             : S_ISLNK(st.st_mode)  ? 'l'
             : S_ISREG(st.st_mode)  ? 'f'
             : S_ISFIFO(st.st_mode) ? 'p'
             : S_ISCHR(st.st_mode)  ? 'c'
             : S_ISBLK(st.st_mode)  ? 'b'
                                    : '?',
             st.st_mode & 07777u, st.st_uid, st.st_gid,
             S_ISREG(st.st_mode) ? (long long)st.st_size : 0LL, (long long)st.st_mtim.tv_sec, path);
    if (!add_link(l, &st, path))
        add_what_it_holds(l, dir, name, &st);
    buf_addc(l->out, '\n');
    if (S_ISDIR(st.st_mode)) {
        CLEANUP_CLOSE int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        must(fd >= 0, name);
        list(l, fd, path);
    }
}

static void list(struct listing *l, int dir, const char *parent)
{
    struct dirent **entries = NULL;
    int n = scandirat(dir, ".", &entries, NULL, alphasort);

    must(n >= 0, "scandir");
    for (int i = 0; i < n; i++) {
        char path[2 * PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s%s%s", parent, *parent ? "/" : "",
                       entries[i]->d_name);
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            list_entry(l, dir, entries[i]->d_name, path);
        free(entries[i]);
    }
    free(entries);
}

void layer_scratch_list(int dir, struct buf *out)
{
    struct listing l = {.out = out};

    list(&l, dir, "");
    while (l.n > 0)
        free(l.paths[--l.n]);
}

/* ---- programs ---- */

static void take_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)len;
    if (stream == PROCESS_STDERR)
        fprintf(stderr, "%s\n", text);
    else
        argv_push1(self, text);
}

void layer_scratch_run(const struct argv *argv, struct argv *out)
{
    const struct process_sink sink = {.line = take_line, .self = out};
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct process_end end;

    argv_push(&env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TZ=UTC", NULL);
    must(process_run(
             &(struct process_request){
                 .argv = argv, .env = &env, .stdin_fd = -1, .timeout_ms = 300000, .sink = &sink},
             &end, &err) == 0,
         err.msg);
    must(process_succeeded(&end), argv->v[0]);
}
