/* Layers of long names, deep directories, large files, and too much of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/builder/layer_making.h"

/* ---- links, names, sizes ---- */

static void test_hard_links_stay_links_across_directories(void **state)
{
    struct layer_scratch *s = *state;
    struct layer l;

    layer_put_dir(s->diff, "a");
    layer_put_dir(s->diff, "b");
    layer_put(s->diff, "b/second", "shared");
    assert_int_equal(linkat(s->diff, "b/second", s->diff, "a/first", 0), 0);
    assert_int_equal(linkat(s->diff, "b/second", s->diff, "third", 0), 0);
    assert_int_equal(symlinkat("target", s->diff, "a/link"), 0);
    assert_int_equal(linkat(s->diff, "a/link", s->diff, "b/link", 0), 0);
    layer_set_time(s->diff, "a/link", 1700000000);
    /* The other name of this one is in no layer: it is a file like any. */
    layer_put(s->blobs, "elsewhere", "alone");
    assert_int_equal(linkat(s->blobs, "elsewhere", s->diff, "single", 0), 0);
    l = layer_write_with(s, 1, -1);
    assert_int_equal(unlinkat(s->blobs, "elsewhere", 0), 0);
    assert_int_equal(l.entries, 8);
    (void)layer_check_round_trip(s);
}

static void test_names_of_any_length_and_any_bytes_stay(void **state)
{
    struct layer_scratch *s = *state;
    char path[1200] = "";

    layer_put(s->diff, NAME_250, "1");
    layer_put(s->diff, NAME_50 NAME_50, "100 bytes");
    layer_put(s->diff, NAME_50 NAME_50 "x", "101 bytes");
    layer_put(s->diff, "caf\xc3\xa9", "utf-8");
    layer_put(s->diff, "cafe\xcc\x81", "the same, decomposed");
    layer_put(s->diff, "8\xe9\xff\x01bit", "latin-1");
    layer_put(s->diff, "8\xe9" NAME_250, "long and latin-1");
    layer_put(s->diff, "\xc3\xa9" NAME_250, "long and utf-8");
    layer_put(s->diff, "new\nline\t\\", "2");
    assert_int_equal(symlinkat(NAME_250 "/" NAME_250 "/\xe9", s->diff, "long-link"), 0);
    for (int i = 0; i < 20; i++) {
        size_t len = strlen(path);

        (void)snprintf(path + len, sizeof(path) - len, "%s" NAME_50, len ? "/" : "");
        layer_put_dir(s->diff, path);
    }
    layer_put(s->diff, NAME_50 "/" NAME_50 "/file", "cut into prefix and name");
    layer_put(s->diff, NAME_50 "/" NAME_50 "/" NAME_50 "/" NAME_250, "no cut fits");
    assert_int_equal(linkat(s->diff, NAME_50 "/" NAME_50 "/file", s->diff, "hard", 0), 0);
    assert_int_equal(linkat(s->diff, "8\xe9" NAME_250, s->diff, "z-hard", 0), 0);
    (void)layer_check_round_trip(s);
}

static void test_directories_deeper_than_there_are_descriptors_are_written(void **state)
{
    struct layer_scratch *s = *state;
    struct rlimit few = {.rlim_cur = 40, .rlim_max = 40}, before;
    char path[2 * 500 + 1] = "";
    struct layer l;

    for (int i = 0; i < 500; i++) {
        (void)snprintf(path + (i ? 2 * i - 1 : 0), sizeof(path) - (size_t)(2 * i), "%sd",
                       i ? "/" : "");
        layer_put_dir(s->diff, path);
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    l = layer_write_with(s, 1, -1);
    layer_unpack_back(s, &l);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(l.entries, 500);
    assert_int_equal(faccessat(s->back, path, F_OK, 0), 0);
}

static void test_a_path_that_is_too_long_is_a_limit(void **state)
{
    const struct layer_options options = {.threads = 1, .epoch = -1};
    struct layer_scratch *s = *state;
    CLEANUP_CLOSE int dir = fcntl(s->diff, F_DUPFD_CLOEXEC, 0);
    struct error err = ERROR_INIT;
    struct layer l;

    for (int i = 0; i < 17; i++) {
        int next;

        layer_put_dir(dir, NAME_250);
        next = openat(dir, NAME_250, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(dir);
        dir = next;
    }
    assert_int_equal(layer_write(s->diff, s->blobs, &options, &l, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(layer_count(s->blobs), 0);
}

static void test_holes_stay_holes(void **state)
{
    struct layer_scratch *s = *state;
    CLEANUP_CLOSE int fd = openat(s->diff, "sparse", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    struct stat st;
    struct layer l;

    assert_int_equal(pwrite(fd, "begin", 5, 10 << 20), 5);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    l = layer_check_round_trip(s);
    assert_true(l.size < 1 << 20);
    assert_int_equal(fstatat(s->back, "sparse", &st, 0), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks * 512 < 4 << 20);
}

static void test_a_layer_larger_than_allowed_is_a_limit(void **state)
{
    struct layer_options options = {.threads = 2, .epoch = -1, .size_max = 3 << 20};
    struct layer_scratch *s = *state;
    struct error err = ERROR_INIT;
    struct layer l;

    layer_put_large(s->diff, "large", 3 << 20);
    assert_int_equal(layer_write(s->diff, s->blobs, &options, &l, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_int_equal(layer_count(s->blobs), 0);
    options.size_max += 4096;
    assert_int_equal(layer_write(s->diff, s->blobs, &options, &l, &err), 0);
}

static void test_a_blob_that_cannot_be_written_is_an_error_and_leaves_nothing(void **state)
{
    const struct layer_options options = {.threads = 2, .epoch = -1};
    struct layer_scratch *s = *state;
    struct rlimit before, small;
    struct error err = ERROR_INIT;
    struct layer l;
    int result;

    layer_put_large(s->diff, "large", 30 << 20);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    result = layer_write(s->diff, s->blobs, &options, &l, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "File too large"));
    assert_int_equal(layer_count(s->blobs), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, layer_scratch_setup, layer_scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hard_links_stay_links_across_directories),
        TEST(test_names_of_any_length_and_any_bytes_stay),
        TEST(test_directories_deeper_than_there_are_descriptors_are_written),
        TEST(test_a_path_that_is_too_long_is_a_limit),
        TEST(test_holes_stay_holes),
        TEST(test_a_layer_larger_than_allowed_is_a_limit),
        TEST(test_a_blob_that_cannot_be_written_is_an_error_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
