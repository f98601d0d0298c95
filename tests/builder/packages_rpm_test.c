/* What rpm's databases say, in each of their forms, is what rpm says; and what such a file may do.
 * tests/builder/rpm_databases.py makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/packages.h"

#define FILE_MAX (64 << 20)

static const char *const forms[] = {"sqlite/rpmdb.sqlite", "bdb/Packages", "bdb-big/Packages",
                                    "ndb/Packages.db"};
#define N_FORMS (sizeof(forms) / sizeof(forms[0]))

static void name_file(const char *name, struct buf *out)
{
    const char *directory = getenv("KILN_RPM");

    assert_non_null(directory);
    buf_clear(out);
    buf_addf(out, "%s/%s", directory, name);
}

static void read_whole(const char *name, struct buf *out)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
    struct error err = ERROR_INIT;

    name_file(name, &path);
    if (fs_read_file(AT_FDCWD, buf_str(&path), out, &err) < 0)
        fail_msg("%s", err.msg);
}

static json_t *read_bytes(const char *data, size_t len)
{
    CLEANUP_CLOSE int fd = memfd_create("database", MFD_CLOEXEC);
    struct error err = ERROR_INIT;

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, data, len, &err), 0);
    return packages_read_file(PACKAGES_FILE_RPM, fd);
}

static json_t *read_named(const char *name)
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
    CLEANUP_CLOSE int fd = -1;

    name_file(name, &path);
    fd = open(buf_str(&path), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return packages_read_file(PACKAGES_FILE_RPM, fd);
}

static bool is_cut(const json_t *said)
{
    return json_is_true(json_object_get(said, "cut"));
}

static size_t count(const json_t *said)
{
    return json_array_size(json_object_get(said, "packages"));
}

/* ---- what they say ---- */

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *line_of(const json_t *package)
{
    static const char *const keys[] = {"type",         "name",    "version",
                                       "architecture", "license", "vendor"};
    CLEANUP(buf_release) struct buf line = BUF_INIT(4096);

    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
        buf_addf(&line, "%s%s", k ? " " : "", json_string_value(json_object_get(package, keys[k])));
    buf_adds(&line, "; ");
    return buf_take(&line);
}

static void add_all(const json_t *said, struct buf *out)
{
    const json_t *packages = json_object_get(said, "packages");
    const size_t n = json_array_size(packages);
    char **lines = calloc(n + 1, sizeof(*lines));

    assert_non_null(lines);
    for (size_t i = 0; i < n; i++)
        lines[i] = line_of(json_array_get(packages, i));
    qsort(lines, n, sizeof(*lines), compare);
    for (size_t i = 0; i < n; i++) {
        buf_adds(out, lines[i]);
        free(lines[i]);
    }
    free(lines);
}

static void test_each_form_says_what_rpm_says(void **state)
{
    CLEANUP(buf_release) struct buf expected = BUF_INIT(FILE_MAX);

    (void)state;
    read_whole("expected", &expected);
    assert_non_null(strstr(buf_str(&expected), "rpm alpha 2:1.2.3^git7-4 "));
    for (size_t i = 0; i < N_FORMS; i++) {
        CLEANUP(buf_release) struct buf all = BUF_INIT(FILE_MAX);
        json_auto_t *said = read_named(forms[i]);

        add_all(said, &all);
        if (is_cut(said) || strcmp(buf_str(&all), buf_str(&expected)) != 0)
            fail_msg("%s: %zu packages%s, %.200s", forms[i], count(said),
                     is_cut(said) ? ", cut" : "", buf_str(&all));
    }
}

/* ---- what they may do ---- */

static void test_a_file_that_ends_early_is_not_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FORMS; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);

        read_whole(forms[i], &text);
        for (size_t len = 1; len < text.len; len += len < 64 ? 1 : text.len / 40) {
            json_auto_t *said = read_bytes(buf_str(&text), len);

            if (!is_cut(said))
                fail_msg("%s: %zu of %zu bytes", forms[i], len, text.len);
        }
    }
}

/* By a generator of its own, so that a failure comes again. */
static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void test_damage_is_survived(void **state)
{
    uint32_t seed = 7;

    (void)state;
    for (size_t i = 0; i < N_FORMS; i++) {
        CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);

        read_whole(forms[i], &text);
        for (size_t round = 0; round < 30; round++) {
            json_auto_t *said = NULL;

            for (size_t k = 0; k < 20; k++) {
                size_t at = k % 2 ? next(&seed) % text.len : next(&seed) % 4096;

                text.data[at] = (char)next(&seed);
            }
            said = read_bytes(buf_str(&text), text.len);
            assert_true(json_is_array(json_object_get(said, "packages")));
        }
    }
}

/* A view, a computed column, a virtual table, a table without the column or with too much. */
static void test_of_sqlite_only_a_plain_table_of_headers_is_read(void **state)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(buf_release) struct buf path = BUF_INIT(4096);
    struct error err = ERROR_INIT;

    (void)state;
    name_file("hostile", &path);
    assert_int_equal(fs_list(AT_FDCWD, buf_str(&path), &names, &err), 0);
    assert_int_equal(names.n, 10);
    for (size_t i = 0; i < names.n; i++) {
        CLEANUP(buf_release) struct buf name = BUF_INIT(4096);
        json_auto_t *said = NULL;

        buf_addf(&name, "hostile/%s", names.v[i]);
        said = read_named(buf_str(&name));
        if (!is_cut(said) || count(said) != 0)
            fail_msg("%s: %zu packages", names.v[i], count(said));
    }
}

static void test_changes_beside_the_database_are_told_of(void **state)
{
    json_auto_t *none = read_bytes("", 0), *some = read_bytes("7\x7f\x06\x82 a log", 10);

    (void)state;
    assert_int_equal(packages_file_of("var/lib/rpm/rpmdb.sqlite-wal", false), PACKAGES_FILE_RPM);
    assert_false(is_cut(none));
    assert_true(is_cut(some));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_form_says_what_rpm_says),
        cmocka_unit_test(test_a_file_that_ends_early_is_not_whole),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_of_sqlite_only_a_plain_table_of_headers_is_read),
        cmocka_unit_test(test_changes_beside_the_database_are_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
