/* tests/uploads/scratch — see the header. */
#include "tests/uploads/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/text.h"
#include "uploads/entry_name.h"

#define OUTSIDE "nothing may touch this\n"

static void must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static void put_outside(const struct scratch *s)
{
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = openat(s->dirfd, "outside", O_WRONLY | O_CREAT | O_EXCL, 0640);

    must(fd >= 0 && fchmod(fd, 0640) == 0, "create outside");
    must(fs_write_all(fd, OUTSIDE, strlen(OUTSIDE), &err) == 0, err.msg);
}

int scratch_setup(void **state)
{
    struct scratch *s = calloc(1, sizeof(*s));
    struct error err = ERROR_INIT;

    must(s != NULL, "calloc");
    /* In memory where there is such a place: the fuzzer makes thousands of them. */
    (void)snprintf(s->path, sizeof(s->path), "/dev/shm/kiln-uploads-XXXXXX");
    if (!mkdtemp(s->path)) {
        (void)snprintf(s->path, sizeof(s->path), "/tmp/kiln-uploads-XXXXXX");
        must(mkdtemp(s->path) != NULL, "mkdtemp");
    }
    must(fs_open_dir(AT_FDCWD, s->path, &s->dirfd, &err) == 0, err.msg);
    s->treefd = -1;
    put_outside(s);
    scratch_clear(s);
    *state = s;
    return 0;
}

int scratch_teardown(void **state)
{
    struct scratch *s = *state;
    struct error err = ERROR_INIT;

    close(s->treefd);
    close(s->dirfd);
    must(fs_remove_tree(AT_FDCWD, s->path, &err) == 0, err.msg);
    free(s);
    return 0;
}

void scratch_clear(struct scratch *s)
{
    struct error err = ERROR_INIT;

    if (s->treefd >= 0)
        close(s->treefd);
    must(fs_remove_tree(s->dirfd, "tree", &err) == 0, err.msg);
    must(mkdirat(s->dirfd, "tree", 0755) == 0, "mkdir tree");
    must(fs_open_dir(s->dirfd, "tree", &s->treefd, &err) == 0, err.msg);
}

bool scratch_is_contained(const struct scratch *s)
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
    return n == 4 && fs_read_file(s->dirfd, "outside", &content, &err) == 0 &&
           strcmp(buf_str(&content), OUTSIDE) == 0 && fstatat(s->dirfd, "outside", &st, 0) == 0 &&
           (st.st_mode & 07777) == 0640 && st.st_nlink == 1;
}

int scratch_extract_file(struct scratch *s, const char *path, enum tree_method method,
                         struct upload_report *ret, struct error *err)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    must(fd >= 0, path);
    scratch_clear(s);
    return extract_with(fd, s->treefd, &upload_limits_default, method, ret, err);
}

int scratch_extract(struct scratch *s, const void *data, size_t len,
                    const struct upload_limits *limits, struct upload_report *ret,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("archive", MFD_CLOEXEC);

    must(fd >= 0 && fs_write_all(fd, data, len, err) == 0, "memfd");
    scratch_clear(s);
    return upload_extract(fd, s->treefd, limits, ret, err);
}

/* ---- listing ---- */

static void add_content(int dirfd, const char *name, const struct stat *st, struct buf *out)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char hex[SHA256_HEX], target[PATH_MAX] = "";

    if (S_ISLNK(st->st_mode)) {
        must(readlinkat(dirfd, name, target, sizeof(target) - 1) > 0, name);
        buf_addf(out, " -> %s", text_show(target).text);
        return;
    }
    if (!S_ISREG(st->st_mode))
        return;
    must(fs_read_file(dirfd, name, &content, &err) == 0, err.msg);
    digest_sha256_hex(buf_str(&content), content.len, hex);
    if (content.len < 60 && content.len == strlen(buf_str(&content)))
        buf_addf(out, " = %s", text_show(buf_str(&content)).text);
    else
        buf_addf(out, " sha256 %.16s", hex);
}

static void list(int dirfd, const char *parent, struct buf *out);

static void list_entry(int dirfd, const char *name, const char *path, struct buf *out)
{
    struct stat st;
    char when[32] = "now";

    must(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, name);
    if (!S_ISLNK(st.st_mode) && st.st_mtim.tv_sec < time(NULL) - 3600)
        (void)snprintf(when, sizeof(when), "%lld.%02ld", (long long)st.st_mtim.tv_sec,
                       st.st_mtim.tv_nsec / 10000000);
    buf_addf(out, "%c %04o %lld %s %s",
             S_ISDIR(st.st_mode)   ? 'd'
             : S_ISLNK(st.st_mode) ? 'l'
             : S_ISREG(st.st_mode) ? 'f'
                                   : '?',
             st.st_mode & 07777u, S_ISREG(st.st_mode) ? (long long)st.st_size : 0LL,
             S_ISLNK(st.st_mode) ? "-" : when, text_show(path).text);
    if (S_ISREG(st.st_mode) && st.st_nlink > 1)
        buf_addf(out, " links %d", (int)st.st_nlink);
    add_content(dirfd, name, &st, out);
    buf_addc(out, '\n');
    if (S_ISDIR(st.st_mode)) {
        CLEANUP_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        must(fd >= 0, name);
        list(fd, path, out);
    }
}

static void list(int dirfd, const char *parent, struct buf *out)
{
    struct dirent **entries = NULL;
    int n = scandirat(dirfd, ".", &entries, NULL, alphasort);

    must(n >= 0, "scandir");
    for (int i = 0; i < n; i++) {
        char path[2 * PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s%s%s", parent, *parent ? "/" : "",
                       entries[i]->d_name);
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            list_entry(dirfd, entries[i]->d_name, path, out);
        free(entries[i]);
    }
    free(entries);
}

void scratch_list(int dirfd, struct buf *out)
{
    list(dirfd, "", out);
}

void scratch_source(const char *name, char *out)
{
    const char *source = getenv("KILN_SOURCE");

    (void)snprintf(out, 4096, "%s/tests/uploads/%s", source ? source : ".", name);
}
