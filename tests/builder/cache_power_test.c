/* What is left for later builds is not believed after a power cut, unless it was synced. */
#include "cache_scene.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

static void cut_the_power(const struct machine *m, const char *workspace)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(256);
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    scene_path(m, "cache", workspace, ".boot", path);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    assert_true(text.len > 36);
    memcpy(text.data, "another-boot", 12);
    assert_int_equal(fs_write_file(AT_FDCWD, path, text.data, text.len, 0600, &err), 0);
}

static void test_after_a_power_cut_only_what_was_synced_is_found(void **state)
{
    static const char synced[] = "FROM alpine:3.20\nRUN echo a >/a\n";
    static const char late[] = "FROM alpine:3.20\nRUN echo b >/b\n";
    const struct machine *m = *state;
    char bases[PATH_MAX];

    scene_build(m, "power", synced);
    (void)usleep(20000); /* file times are those of the kernel's last tick */
    scene_sweep(m, scene_keep_none);
    scene_build(m, "power", late);
    assert_int_equal(scene_count(m, "power", "/diffs"), 2);
    cut_the_power(m, "power");
    assert_int_equal(scene_count_cached(m, "power", synced), 1);
    assert_int_equal(scene_count(m, "power", "/diffs"), 1);
    assert_int_equal(scene_count_cached(m, "power", late), 0);
    scene_path(m, "bases", "power", "", bases);
    assert_int_equal(access(bases, F_OK), 0);
}

static void test_after_a_clean_stop_all_is_found(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN echo a >/a\n";
    const struct machine *m = *state;
    struct error err = ERROR_INIT;

    scene_build(m, "clean", dockerfile);
    (void)usleep(20000);
    assert_int_equal(builder_sync(m->b, &err), 0);
    cut_the_power(m, "clean");
    assert_int_equal(scene_count_cached(m, "clean", dockerfile), 1);
}

static void test_without_a_power_cut_what_was_not_synced_is_found(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN echo a >/a\n";

    scene_build(*state, "nocut", dockerfile);
    assert_int_equal(scene_count_cached(*state, "nocut", dockerfile), 1);
}

static void test_a_file_of_boots_that_is_damaged_counts_as_a_power_cut(void **state)
{
    static const char dockerfile[] = "FROM alpine:3.20\nRUN echo a >/a\n";
    static const char *const damaged[] = {"", "x", "x y\n", "\n\n"};
    const struct machine *m = *state;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    scene_path(m, "cache", "damaged", ".boot", path);
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
        scene_build(m, "damaged", dockerfile);
        scene_sweep(m, scene_keep_none);
        assert_int_equal(fs_write_file(AT_FDCWD, path, damaged[i], strlen(damaged[i]), 0600, &err),
                         0);
        assert_int_equal(scene_count_cached(m, "damaged", dockerfile), 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_a_power_cut_only_what_was_synced_is_found),
        cmocka_unit_test(test_after_a_clean_stop_all_is_found),
        cmocka_unit_test(test_without_a_power_cut_what_was_not_synced_is_found),
        cmocka_unit_test(test_a_file_of_boots_that_is_damaged_counts_as_a_power_cut),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
