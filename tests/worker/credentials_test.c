/* Credentials of an import: in memory, for us alone, until the build is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "worker/credentials.h"

#define JSON "{\"auths\":{}}"

static char dir[64];

static int start(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "/dev/shm/kiln-credentials-test-%d", (int)getpid());
    return fs_remove_tree(AT_FDCWD, dir, &err);
}

static int stop(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, &err);
}

static size_t length_of(const char *build)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CREDENTIALS_MAX);
    struct error err = ERROR_INIT;

    assert_int_equal(credentials_read(dir, build, &text, &err), 0);
    return text.len;
}

static void keep(const char *build)
{
    struct error err = ERROR_INIT;

    assert_int_equal(credentials_keep(dir, build, JSON, strlen(JSON), &err), 0);
}

static void test_they_are_there_until_they_are_forgotten(void **state)
{
    char path[128];
    struct stat st;

    (void)state;
    assert_int_equal(length_of("a"), 0);
    credentials_forget(dir, "a");
    keep("a");
    keep("b");
    (void)snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(length_of("a"), strlen(JSON));
    credentials_forget(dir, "a");
    assert_int_equal(length_of("a"), 0);
    assert_int_equal(length_of("b"), strlen(JSON));
}

static bool keeps_b(void *self, const char *build)
{
    (void)self;
    return strcmp(build, "b") == 0;
}

static void test_a_sweep_forgets_the_old_ones_that_no_build_owns(void **state)
{
    static const char *const names[] = {"b", "old"};
    const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

    (void)state;
    keep("young");
    for (size_t i = 0; i < 2; i++) {
        char path[128];

        keep(names[i]);
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    }
    credentials_sweep(dir, keeps_b, NULL);
    assert_int_equal(length_of("old"), 0);
    assert_int_equal(length_of("b"), strlen(JSON));
    assert_int_equal(length_of("young"), strlen(JSON));
}

static void test_a_directory_that_is_open_to_others_is_not_used(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(mkdir(dir, 0777), 0);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(credentials_keep(dir, "a", JSON, strlen(JSON), &err), -1);
    assert_non_null(strstr(err.msg, "is open to others"));
}

static void test_nothing_is_written_to_a_disk(void **state)
{
    char disk[] = "/var/tmp/kiln-credentials-XXXXXX";
    struct error err = ERROR_INIT;

    (void)state;
    assert_non_null(mkdtemp(disk));
    if (credentials_keep(disk, "a", JSON, strlen(JSON), &err) == 0)
        print_message("/var/tmp is in memory here\n");
    else
        assert_non_null(strstr(err.msg, "is not in memory"));
    err = (struct error)ERROR_INIT;
    assert_int_equal(fs_remove_tree(AT_FDCWD, disk, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_they_are_there_until_they_are_forgotten),
        TEST(test_a_sweep_forgets_the_old_ones_that_no_build_owns),
        TEST(test_a_directory_that_is_open_to_others_is_not_used),
        TEST(test_nothing_is_written_to_a_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
