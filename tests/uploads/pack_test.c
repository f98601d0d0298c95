/* A directory that is packed and unpacked again is the same directory. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tests/uploads/scratch.h"

struct fixture {
    struct scratch *scratch;
    char dir[96]; /* what is packed */
    int dirfd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;

    if (scratch_setup((void **)&f->scratch) < 0)
        return -1;
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-pack-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) ? fs_open_dir(AT_FDCWD, f->dir, &f->dirfd, &err) : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;
    int result = fs_remove_tree(AT_FDCWD, f->dir, &err);

    close(f->dirfd);
    (void)scratch_teardown((void **)&f->scratch);
    free(f);
    return result;
}

static void put(const struct fixture *f, const char *path, const char *text, mode_t mode)
{
    const struct timespec times[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    struct error err;

    assert_int_equal(fs_write_file(f->dirfd, path, text, strlen(text), mode, &err), 0);
    assert_int_equal(fchmodat(f->dirfd, path, mode, 0), 0);
    assert_int_equal(utimensat(f->dirfd, path, times, 0), 0);
}

static void put_dir(const struct fixture *f, const char *path)
{
    assert_int_equal(mkdirat(f->dirfd, path, 0755), 0);
}

/* Packs into a memory file; *ret_fd is the caller's. */
static int pack(const struct fixture *f, const struct upload_filter *filter, int *ret_fd,
                struct error *err)
{
    *ret_fd = memfd_create("tar", MFD_CLOEXEC);
    assert_true(*ret_fd >= 0);
    return upload_pack_directory(f->dir, filter, *ret_fd, err);
}

static void unpack(const struct fixture *f, int fd, struct buf *listing)
{
    CLEANUP(upload_report_release) struct upload_report r;
    struct error err;

    upload_report_init(&r);
    scratch_clear(f->scratch);
    assert_int_equal(upload_extract(fd, f->scratch->treefd, &upload_limits_default, &r, &err), 0);
    scratch_list(f->scratch->treefd, listing);
}

static void test_a_packed_directory_unpacks_to_itself_in_any_locale(void **state)
{
    static const char *const locales[] = {"C", "C.UTF-8"};
    struct fixture *f = *state;
    CLEANUP(buf_release) struct buf before = BUF_INIT(1 << 16);
    char longest[241];

    memset(longest, 'n', 240);
    longest[240] = '\0';
    put(f, "Dockerfile", "FROM x\n", 0644);
    put(f, "run.sh", "#!/bin/sh\n", 0755);
    put(f, "empty", "", 0600);
    put_dir(f, "dir");
    put_dir(f, "hollow");
    put(f, "dir/caf\u00e9", "composed", 0644);
    put(f, "dir/cafe\u0301", "decomposed", 0644);
    put(f, longest, "long", 0644);
    assert_int_equal(symlinkat("../elsewhere/\u00e9", f->dirfd, "dir/link"), 0);
    scratch_list(f->dirfd, &before);
    for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
        CLEANUP(buf_release) struct buf after = BUF_INIT(1 << 16);
        CLEANUP_CLOSE int fd = -1;
        struct error err = ERROR_INIT;

        assert_non_null(setlocale(LC_ALL, locales[i]));
        assert_int_equal(pack(f, NULL, &fd, &err), 0);
        unpack(f, fd, &after);
        assert_string_equal(buf_str(&after), buf_str(&before));
    }
}

/* Leaves out every .git and every "drop", and of directories "d" themselves. */
static enum upload_choice choose(void *self, const char *path, bool is_dir)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    assert_string_equal(self, "self");
    assert_int_equal(is_dir, !strcmp(name, "b") || !strcmp(name, "d") || !strcmp(name, ".git"));
    if (strcmp(name, "d") == 0)
        return UPLOAD_LOOK_INSIDE;
    return strcmp(name, ".git") == 0 || strcmp(name, "drop") == 0 ? UPLOAD_SKIP : UPLOAD_KEEP;
}

static void check_names(const struct buf *tar, const char *const *names, size_t n)
{
    assert_int_equal(tar->len, (n + 2) * 512);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(tar->data + 512 * i, names[i]);
        assert_memory_equal(tar->data + 512 * i + 108,
                            "000000 \0"
                            "000000 ",
                            15); /* owner 0 */
    }
}

static void test_names_are_sorted_and_what_the_filter_does_not_keep_is_left_out(void **state)
{
    static const char *const order[] = {"A", "a", "b/", "b/d/keep", "b/keep", "c"};
    struct fixture *f = *state;
    const struct upload_filter filter = {.choose = choose, .self = (char[]){"self"}};
    CLEANUP(buf_release) struct buf tar = BUF_INIT(1 << 20);
    CLEANUP_CLOSE int fd = -1;
    struct error err;

    put(f, "c", "", 0644);
    put(f, "a", "", 0644);
    put(f, "A", "", 0644);
    put_dir(f, "b");
    put_dir(f, "b/.git");
    /* What is left out may also be what no archive could hold. */
    put(f, "b/.git/bad\\name", "ref", 0644);
    put(f, "b/keep", "", 0644);
    put_dir(f, "b/d");
    put(f, "b/d/keep", "", 0644);
    put(f, "b/d/drop", "", 0644);
    put_dir(f, ".git");
    put(f, ".git/HEAD", "ref", 0644);
    assert_int_equal(pack(f, &filter, &fd, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(fd, &tar, &err), 0);
    check_names(&tar, order, sizeof(order) / sizeof(*order));
}

static void test_a_directory_of_nothing_is_a_whole_tar(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_release) struct buf after = BUF_INIT(1 << 16);
    CLEANUP_CLOSE int fd = -1;
    struct error err;

    assert_int_equal(pack(f, NULL, &fd, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 1024);
    unpack(f, fd, &after);
    assert_int_equal(after.len, 0);
}

static void assert_refused(struct fixture *f, const char *name)
{
    CLEANUP_CLOSE int fd = -1;
    struct error err = ERROR_INIT;

    assert_int_equal(pack(f, NULL, &fd, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    if (!strstr(err.msg, name))
        fail_msg("%s", err.msg);
}

static void test_fifos_and_sockets_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    put_dir(f, "sub");
    assert_int_equal(mkfifoat(f->dirfd, "sub/pipe", 0600), 0);
    assert_refused(f, "\"sub/pipe\"");
    assert_int_equal(unlinkat(f->dirfd, "sub/pipe", 0), 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/sub/sock", f->dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_refused(f, "\"sub/sock\"");
}

static void test_names_that_an_upload_may_not_have_are_refused(void **state)
{
    struct fixture *f = *state;

    put(f, "caf\xe9", "", 0644);
    assert_refused(f, "\"caf\\xe9\"");
}

static void test_a_directory_that_is_not_there_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct error err;

    (void)f;
    assert_int_equal(upload_pack_directory("/nonexistent/kiln", NULL, 1, &err), -1);
    assert_non_null(strstr(err.msg, "/nonexistent/kiln"));
}

static void test_a_full_disk_is_told_as_such(void **state)
{
    struct fixture *f = *state;
    CLEANUP_CLOSE int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct error err = ERROR_INIT;

    put(f, "a", "text", 0644);
    assert_int_equal(upload_pack_directory(f->dir, NULL, full, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, strerror(ENOSPC)));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_packed_directory_unpacks_to_itself_in_any_locale),
        T(test_names_are_sorted_and_what_the_filter_does_not_keep_is_left_out),
        T(test_a_directory_of_nothing_is_a_whole_tar),
        T(test_fifos_and_sockets_are_refused_by_name),
        T(test_names_that_an_upload_may_not_have_are_refused),
        T(test_a_directory_that_is_not_there_is_an_error),
        T(test_a_full_disk_is_told_as_such),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
