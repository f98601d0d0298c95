/* Files appear whole, and trees disappear whatever they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"

static int setup(void **state)
{
    char path[] = "/tmp/kiln-fs-XXXXXX";

    if (!mkdtemp(path) || chmod(path, 0755) < 0 || chdir(path) < 0)
        return -1;
    *state = strdup(path);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct error err = ERROR_INIT;

    if (chdir("/") < 0 || fs_remove_tree(AT_FDCWD, *state, &err) < 0) {
        print_error("%s\n", err.msg);
        return -1;
    }
    free(*state);
    return 0;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void write_text(const char *path, const char *text)
{
    struct error err = ERROR_INIT;

    if (fs_write_file(AT_FDCWD, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
}

static void assert_reads(const char *path, const char *text)
{
    struct buf content = BUF_INIT(1000);
    struct error err = ERROR_INIT;

    if (fs_read_file(AT_FDCWD, path, &content, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&content), text);
    buf_release(&content);
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void test_a_written_file_reads_back_with_its_mode(void **state)
{
    struct error err = ERROR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(fs_write_file(AT_FDCWD, "secret", "abc", 3, 0600, &err), 0);
    assert_reads("secret", "abc");
    assert_int_equal(stat("secret", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_an_open_reader_keeps_the_old_content_when_a_file_is_replaced(void **state)
{
    struct buf old = BUF_INIT(100);
    struct error err = ERROR_INIT;
    int fd;

    (void)state;
    write_text("file", "old");
    fd = open("file", O_RDONLY | O_CLOEXEC);
    write_text("file", "new content");
    assert_int_equal(fs_read_fd(fd, &old, &err), 0);
    assert_string_equal(buf_str(&old), "old");
    assert_reads("file", "new content");
    assert_int_equal(count_entries("."), 1);
    close(fd);
    buf_release(&old);
}

static void test_a_failed_write_leaves_what_was_there_and_nothing_else(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(mkdir("dir", 0755), 0);
    write_text("dir/inside", "x");
    assert_int_equal(fs_write_file(AT_FDCWD, "dir", "abc", 3, 0644, &err), -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_true(exists("dir/inside"));
    assert_int_equal(count_entries("."), 1);
    assert_int_equal(fs_write_file(AT_FDCWD, "absent/file", "abc", 3, 0644, &err), -1);
    assert_non_null(strstr(err.msg, "absent/file"));
}

static void test_files_are_found_relative_to_a_directory(void **state)
{
    struct buf content = BUF_INIT(100);
    struct error err = ERROR_INIT;
    int dirfd;

    (void)state;
    assert_int_equal(fs_mkdirs("a/b/c", 0755, &err), 0);
    assert_int_equal(fs_open_dir(AT_FDCWD, "a/b", &dirfd, &err), 0);
    assert_true(fcntl(dirfd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fs_write_file(dirfd, "c/file", "here", 4, 0644, &err), 0);
    assert_int_equal(fs_read_file(dirfd, "c/file", &content, &err), 0);
    assert_reads("a/b/c/file", "here");
    close(dirfd);
    buf_release(&content);
}

static void test_a_file_past_the_ceiling_is_refused_by_name(void **state)
{
    struct buf small = BUF_INIT(4);
    struct error err = ERROR_INIT;

    (void)state;
    write_text("big", "12345");
    assert_int_equal(fs_read_file(AT_FDCWD, "big", &small, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.msg, "big: the content is larger than 4 bytes");
    buf_release(&small);
}

static void test_making_directories_twice_is_fine(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(fs_mkdirs("x//y/z/", 0755, &err), 0);
    assert_int_equal(fs_mkdirs("x/y/z", 0755, &err), 0);
    assert_int_equal(fs_mkdirs("/", 0755, &err), 0);
}

static void test_a_directory_is_not_made_of_a_file_or_of_nothing(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    write_text("file", "");
    assert_int_equal(fs_mkdirs("file", 0755, &err), -1);
    assert_int_equal(fs_mkdirs("file/below", 0755, &err), -1);
    assert_int_equal(fs_mkdirs("", 0755, &err), -1);
    assert_string_equal(err.msg, "make directory : No such file or directory");
}

static void test_a_full_disk_is_said(void **state)
{
    struct error err = ERROR_INIT;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(fs_write_all(fd, "abc", 3, &err), -1);
    assert_string_equal(err.msg, "write: No space left on device");
    close(fd);
}

static void test_removing_what_is_absent_is_fine(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(fs_remove_tree(AT_FDCWD, "nowhere", &err), 0);
}

static void test_removing_never_follows_a_symlink(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(fs_mkdirs("keep/deep", 0755, &err), 0);
    write_text("keep/deep/file", "precious");
    assert_int_equal(fs_mkdirs("tree/sub", 0755, &err), 0);
    assert_int_equal(symlink("../keep", "tree/link"), 0);
    assert_int_equal(symlink("../../keep/deep", "tree/sub/link"), 0);
    assert_int_equal(symlink("keep", "link"), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "tree", &err), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, "link", &err), 0);
    assert_false(exists("tree"));
    assert_false(exists("link"));
    assert_reads("keep/deep/file", "precious");
}

static void test_every_kind_of_file_can_be_removed(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(mkdir("tree", 0755), 0);
    assert_int_equal(mkfifo("tree/fifo", 0600), 0);
    write_text("tree/read-only", "x");
    assert_int_equal(chmod("tree/read-only", 0), 0);
    assert_int_equal(symlink("/nowhere", "tree/dangling"), 0);
    write_text("tree/ \n*", "odd name");
    assert_int_equal(fs_remove_tree(AT_FDCWD, "tree", &err), 0);
    assert_false(exists("tree"));
}

/* Deeper than there are descriptors, and than a path could say. */
static void test_a_tree_deeper_than_there_are_descriptors_is_removed(void **state)
{
    struct error err = ERROR_INIT;
    char *back = getcwd(NULL, 0);
    struct rlimit before;
    struct rlimit few;
    int result;

    (void)state;
    for (int i = 0; i < 2000; i++)
        if (mkdir("some-directory", 0755) < 0 || chdir("some-directory") < 0)
            fail_msg("level %d: %s", i, strerror(errno));
    write_text("file", "at the bottom");
    assert_int_equal(chdir(back), 0);
    free(back);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    result = fs_remove_tree(AT_FDCWD, "some-directory", &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (result < 0)
        fail_msg("%s", err.msg);
    assert_false(exists("some-directory"));
}

struct remover {
    pthread_barrier_t *together;
    struct error err;
};

static void *remove_tree(void *self)
{
    struct remover *r = self;

    (void)pthread_barrier_wait(r->together);
    (void)!fs_remove_tree(AT_FDCWD, "tree", &r->err);
    return NULL;
}

static void test_two_may_remove_one_tree_at_once(void **state)
{
    pthread_barrier_t together;
    struct error made = ERROR_INIT;
    char path[64];

    (void)state;
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    for (int round = 0; round < 20; round++) {
        struct remover removers[2] = {{&together, ERROR_INIT}, {&together, ERROR_INIT}};
        pthread_t threads[2];

        for (int i = 0; i < 50; i++) {
            (void)snprintf(path, sizeof(path), "tree/%d/%d/below", i % 10, i);
            assert_int_equal(fs_mkdirs(path, 0755, &made), 0);
        }
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, remove_tree, &removers[i]), 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = 0; i < 2; i++)
            if (removers[i].err.kind != ERR_NONE)
                fail_msg("round %d: %s", round, removers[i].err.msg);
        assert_false(exists("tree"));
    }
    (void)pthread_barrier_destroy(&together);
}

/* Root passes every permission check, so a child without root's rights does the work. */
static int remove_unreadable(const char *dir)
{
    struct error err = ERROR_INIT;

    if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
        setresuid(65534, 65534, 65534) < 0 || chdir(dir) < 0)
        return 1;
    if (fs_mkdirs("tree/locked/inner", 0755, &err) < 0 || mkdir("tree/blind", 0755) < 0)
        return 2;
    if (symlink("../../outside", "tree/locked/link") < 0 || chmod("tree/locked/inner", 0) < 0 ||
        chmod("tree/locked", 0500) < 0 || chmod("tree/blind", 0) < 0 || chmod("tree", 0300) < 0)
        return 3;
    if (fs_remove_tree(AT_FDCWD, "tree", &err) < 0) {
        print_error("%s\n", err.msg);
        return 4;
    }
    return exists("tree") ? 5 : 0;
}

static void test_directories_that_their_owner_may_not_read_are_removed(void **state)
{
    int status;
    pid_t pid;

    if (getuid() != 0)
        skip();
    assert_int_equal(mkdir("free", 0777), 0);
    assert_int_equal(chmod("free", 0777), 0);
    pid = fork();
    if (pid == 0) {
        char dir[100];

        (void)snprintf(dir, sizeof(dir), "%s/free", (const char *)*state);
        _exit(remove_unreadable(dir));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_bytes_are_read_and_written_at_an_offset(void **state)
{
    CLEANUP_CLOSE int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char got[8] = "";

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fs_pwrite(fd, "abc", 3, 5), 0);
    assert_int_equal(fs_pread(fd, got, 3, 5), 3);
    assert_memory_equal(got, "abc", 3);
    assert_int_equal(fs_pread(fd, got, sizeof(got), 6), 2); /* to the end of the file */
    assert_int_equal(fs_pread(fd, got, sizeof(got), 100), 0);
    assert_int_equal(fs_pread(-1, got, 1, 0), -1);
    assert_int_equal(fs_pwrite(-1, got, 1, 0), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_written_file_reads_back_with_its_mode),
        TEST(test_an_open_reader_keeps_the_old_content_when_a_file_is_replaced),
        TEST(test_a_failed_write_leaves_what_was_there_and_nothing_else),
        TEST(test_files_are_found_relative_to_a_directory),
        TEST(test_a_file_past_the_ceiling_is_refused_by_name),
        TEST(test_making_directories_twice_is_fine),
        TEST(test_a_directory_is_not_made_of_a_file_or_of_nothing),
        TEST(test_a_full_disk_is_said),
        TEST(test_removing_what_is_absent_is_fine),
        TEST(test_removing_never_follows_a_symlink),
        TEST(test_every_kind_of_file_can_be_removed),
        TEST(test_a_tree_deeper_than_there_are_descriptors_is_removed),
        TEST(test_two_may_remove_one_tree_at_once),
        TEST(test_directories_that_their_owner_may_not_read_are_removed),
        cmocka_unit_test(test_bytes_are_read_and_written_at_an_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
