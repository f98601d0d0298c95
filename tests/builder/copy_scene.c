/* copy_scene — see the header. */
#include "copy_scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/fs.h"
#include "dockerfile/dockerfile.h"

/* ---- --exclude, by the matcher of .dockerignore ---- */

static void *compile(const struct argv *patterns, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile_ignore *g = NULL;

    for (size_t i = 0; i < patterns->n; i++)
        buf_addf(&text, "%s\n", patterns->v[i]);
    return dockerfile_ignore_parse(buf_str(&text), text.len, &g, err) < 0 ? NULL : g;
}

static bool matches(const void *compiled, const char *path)
{
    return dockerfile_ignore_matches(compiled, path);
}

static bool may_reinclude(const void *compiled, const char *path)
{
    return dockerfile_ignore_may_reinclude(compiled, path);
}

static void free_compiled(void *compiled)
{
    dockerfile_ignore_free(compiled);
}

static const struct builder_patterns patterns = {compile, matches, may_reinclude, free_compiled};

/* ---- setup ---- */

static void must(bool ok, const char *what)
{
    if (!ok)
        fail_msg("%s: %s", what, strerrordesc_np(errno));
}

static void close_all(struct scene *s)
{
    int *fds[] = {&s->source, &s->view, &s->diff};

    for (size_t i = 0; i < 3; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static void make_anew(struct scene *s, const char *name, int *fd)
{
    must(fs_remove_tree(s->root, name, &s->err) == 0, s->err.msg);
    must(mkdirat(s->root, name, 0755) == 0, name);
    must(fs_open_dir(s->root, name, fd, &s->err) == 0, s->err.msg);
}

void scene_clear(struct scene *s)
{
    close_all(s);
    make_anew(s, "source", &s->source);
    make_anew(s, "view", &s->view);
    make_anew(s, "diff", &s->diff);
    argv_release(&s->exclude);
    s->exclude = (struct argv)ARGV_INIT;
    s->req = (struct copy_request){
        .from = s->source,
        .sources = &s->sources,
        .view = s->view,
        .to = s->diff,
        .uid = geteuid(),
        .gid = getegid(),
        .chmod = "",
        .exclude = &s->exclude,
        .patterns = &patterns,
        .epoch = -1,
    };
}

int scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));

    if (!s)
        return -1;
    s->source = s->view = s->diff = -1;
    (void)umask(022);
    (void)snprintf(s->path, sizeof(s->path), "/tmp/kiln-copy-XXXXXX");
    if (!mkdtemp(s->path) || fs_open_dir(AT_FDCWD, s->path, &s->root, &s->err) < 0)
        return -1;
    scene_make(s->root, "outside = untouched");
    scene_clear(s);
    *state = s;
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *s = *state;
    int result = fs_remove_tree(AT_FDCWD, s->path, &s->err);

    close_all(s);
    close(s->root);
    argv_release(&s->sources);
    argv_release(&s->exclude);
    free(s);
    return result;
}

/* ---- making ---- */

static void make_parents(int dirfd, char *path)
{
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (*path)
            must(mkdirat(dirfd, path, 0755) == 0 || errno == EEXIST, path);
        *slash = '/';
    }
}

static void make_file(int dirfd, const char *path, const char *text, mode_t mode)
{
    struct error err;
    CLEANUP_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    must(fd >= 0, path);
    must(fs_write_all(fd, text, strlen(text), &err) == 0 && fchmod(fd, mode) == 0, path);
}

void scene_make(int dirfd, const char *line)
{
    mode_t mode = *line == '0' ? (mode_t)strtoul(line, NULL, 8) : 0;
    char path[PATH_MAX];
    char *mark;

    (void)snprintf(path, sizeof(path), "%s", *line == '0' ? strchr(line, ' ') + 1 : line);
    mark = strchr(path, ' ');
    if (mark)
        *mark++ = '\0';
    make_parents(dirfd, path);
    if (!mark) {
        if (mode)
            must(fchmodat(dirfd, path, mode, 0) == 0, path);
        return;
    }
    if (strncmp(mark, "-> ", 3) == 0)
        must(symlinkat(mark + 3, dirfd, path) == 0, path);
    else if (strncmp(mark, "== ", 3) == 0)
        must(linkat(dirfd, mark + 3, dirfd, path, 0) == 0, path);
    else
        make_file(dirfd, path, mark + 2, mode ? mode : 0644);
}

/* Calls visit for all in dirfd, sorted, a directory's content before itself if after. */
static void each(int dirfd, const char *prefix, bool after,
                 void (*visit)(int dirfd, const char *name, const char *path, void *self),
                 void *self)
{
    struct dirent **names = NULL;
    int n = scandirat(dirfd, ".", &names, NULL, alphasort);

    must(n >= 0, "scandir");
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[PATH_MAX];
        struct stat st;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            goto next;
        (void)snprintf(path, sizeof(path), "%s%s", prefix, name);
        must(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, path);
        if (!after)
            visit(dirfd, name, path, self);
        if (S_ISDIR(st.st_mode)) {
            CLEANUP_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

            must(fd >= 0, path);
            (void)snprintf(path, sizeof(path), "%s%s/", prefix, name);
            each(fd, path, after, visit, self);
        }
        if (after)
            visit(dirfd, name, path, self);
    next:
        free(names[i]);
    }
    free(names);
}

static void age(int dirfd, const char *name, const char *path, void *self)
{
    const struct timespec times[2] = {{.tv_sec = SCENE_MTIME}, {.tv_sec = SCENE_MTIME}};

    (void)self;
    must(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) == 0, path);
}

void scene_age(int dirfd)
{
    each(dirfd, "", true, age, NULL);
    age(dirfd, ".", ".", NULL);
}

/* ---- copying ---- */

int scene_copy(struct scene *s, const char *sources, const char *dest)
{
    char words[4096];
    char *rest = words;

    argv_release(&s->sources);
    s->sources = (struct argv)ARGV_INIT;
    (void)snprintf(words, sizeof(words), "%s", sources);
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
        if (*word)
            argv_push1(&s->sources, word);
    s->req.dest = dest;
    s->err = (struct error)ERROR_INIT;
    return copy_into(&s->req, &s->result, &s->err);
}

void scene_copies(struct scene *s, const char *sources, const char *dest)
{
    if (scene_copy(s, sources, dest) < 0)
        fail_msg("COPY %s %s: %s", sources, dest, s->err.msg);
}

void scene_refuses(struct scene *s, const char *sources, const char *dest, enum error_kind kind,
                   const char *words)
{
    if (scene_copy(s, sources, dest) == 0)
        fail_msg("COPY %s %s succeeds", sources, dest);
    if (s->err.kind != kind || !strstr(s->err.msg, words))
        fail_msg("COPY %s %s: %s error \"%s\", not \"%s\"", sources, dest,
                 error_kind_name(s->err.kind), s->err.msg, words);
}

/* ---- looking ---- */

static void show(int dirfd, const char *name, const char *path, void *self)
{
    struct buf *out = self;
    struct stat st;
    char target[PATH_MAX] = "";
    struct error err;

    must(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, path);
    buf_addf(out, "%s%s", out->len > 0 ? " " : "", path);
    if (S_ISDIR(st.st_mode)) {
        buf_addc(out, '/');
    } else if (S_ISLNK(st.st_mode)) {
        must(readlinkat(dirfd, name, target, sizeof(target) - 1) > 0, path);
        buf_addf(out, "->%s", target);
    } else if (S_ISREG(st.st_mode)) {
        buf_addc(out, '=');
        must(fs_read_file(dirfd, name, out, &err) == 0, err.msg);
    } else {
        buf_addc(out, '|');
    }
}

void scene_holds(const struct scene *s, const char *expected)
{
    CLEANUP(buf_release) struct buf found = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf outside = BUF_INIT(100);
    struct error err;

    each(s->diff, "", false, show, &found);
    assert_string_equal(buf_str(&found), expected);
    assert_int_equal(fs_read_file(s->root, "outside", &outside, &err), 0);
    assert_string_equal(buf_str(&outside), "untouched");
}

struct stat scene_stat(int dirfd, const char *path)
{
    struct stat st;

    must(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0, path);
    return st;
}
