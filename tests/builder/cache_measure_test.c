/* How much of the disk a directory takes, all of it and without its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/cache_measure.h"

#define MIB UINT64_C(1048576)

/* A file of a mebibyte with 31 names, of which the last is elsewhere. */
static void make_tree(char dir[64])
{
    CLEANUP_FREE char *text = calloc(1, MIB);
    struct error err = ERROR_INIT;
    char path[128], other[160];

    (void)snprintf(dir, 64, "/tmp/kiln-measure-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_non_null(text);
    (void)snprintf(path, sizeof(path), "%s/in", dir);
    assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/in/file", dir);
    assert_int_equal(fs_write_file(AT_FDCWD, path, text, MIB, 0600, &err), 0);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(other, sizeof(other), "%s/%sfile-%d", dir, i < 29 ? "in/" : "", i);
        assert_int_equal(link(path, other), 0);
    }
}

static void test_a_file_with_several_names_counts_in_parts(void **state)
{
    struct error err = ERROR_INIT;
    char dir[64];
    uint64_t all, most;
    int fd = -1;

    (void)state;
    make_tree(dir);
    assert_int_equal(fs_open_dir(AT_FDCWD, dir, &fd, &err), 0);
    all = cache_measure(AT_FDCWD, dir);
    most = cache_measure(fd, "in");
    assert_true(all >= MIB && all < MIB + MIB / 8);
    assert_true(most >= MIB * 30 / 31 && most < MIB);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

static void test_without_files_there_are_directories_and_links(void **state)
{
    struct error err = ERROR_INIT;
    char dir[64], path[128];
    uint64_t size, more;

    (void)state;
    make_tree(dir);
    size = cache_measure_but_files(AT_FDCWD, dir);
    assert_true(size < MIB / 8);
    (void)snprintf(path, sizeof(path), "%s/in/a/b/c", dir);
    assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
    more = cache_measure_but_files(AT_FDCWD, dir);
    assert_true(more >= size);
    assert_int_equal(more - size, cache_measure(AT_FDCWD, path) * 3);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_with_several_names_counts_in_parts),
        cmocka_unit_test(test_without_files_there_are_directories_and_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
