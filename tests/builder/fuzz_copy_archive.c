/* Anything may come as an archive for ADD: whatever it is, nothing outside of the diff is touched.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/copy.h"

#define OUTSIDE "nothing may touch this\n"

static void must(bool holds, const char *what)
{
    if (!holds) {
        perror(what);
        abort();
    }
}

static int make_dir(int dirfd, const char *name)
{
    struct error err = ERROR_INIT;
    int fd = -1;

    must(fs_remove_tree(dirfd, name, &err) == 0, err.msg);
    must(mkdirat(dirfd, name, 0755) == 0, name);
    must(fs_open_dir(dirfd, name, &fd, &err) == 0, err.msg);
    return fd;
}

static void write_file(int dirfd, const char *name, const void *data, size_t len)
{
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    must(fd >= 0 && fs_write_all(fd, data, len, &err) == 0, name);
}

static void add(int root, const uint8_t *data, size_t size)
{
    CLEANUP_CLOSE int source = make_dir(root, "source");
    CLEANUP_CLOSE int view = make_dir(root, "view");
    CLEANUP_CLOSE int diff = make_dir(root, "diff");
    CLEANUP(argv_release) struct argv sources = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct copy_result result;

    write_file(source, "x.tar", data, size);
    must(mkdirat(view, "a", 0755) == 0 && symlinkat("../../..", view, "b") == 0 &&
             symlinkat("/a", view, "d") == 0,
         "view");
    write_file(view, "f", "1", 1);
    argv_push1(&sources, "x.tar");
    const struct copy_request req = {.from = source,
                                     .sources = &sources,
                                     .view = view,
                                     .to = diff,
                                     .dest = "/",
                                     .uid = geteuid(),
                                     .gid = getegid(),
                                     .chowned = true,
                                     .add = true,
                                     .epoch = -1};

    if (copy_into(&req, &result, &err) < 0)
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT || err.kind == ERR_SYSTEM, "kind");
}

static void check_outside(int root, const char *path)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(4096);
    struct error err = ERROR_INIT;
    struct stat st;
    int n = 0;
    DIR *dir = opendir(path);

    must(dir != NULL, "opendir");
    while (readdir(dir))
        n++;
    closedir(dir);
    must(n == 6 && fs_read_file(root, "outside", &content, &err) == 0 &&
             strcmp(buf_str(&content), OUTSIDE) == 0 && fstatat(root, "outside", &st, 0) == 0 &&
             st.st_nlink == 1 && (st.st_mode & 07777) == 0644,
         "outside");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/dev/shm/kiln-copy-fuzz-XXXXXX";
    CLEANUP_CLOSE int root = -1;
    struct error err = ERROR_INIT;

    (void)umask(022);
    must(mkdtemp(path) != NULL, "mkdtemp");
    must(fs_open_dir(AT_FDCWD, path, &root, &err) == 0, err.msg);
    write_file(root, "outside", OUTSIDE, strlen(OUTSIDE));
    add(root, data, size);
    check_outside(root, path);
    must(fs_remove_tree(AT_FDCWD, path, &err) == 0, err.msg);
    return 0;
}
