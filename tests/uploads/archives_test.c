/* Every archive of corpus/accept unpacks to what expected/accept.txt says, and every one of
 * corpus/reject fails as expected/reject.txt says, however parents are opened.
 *
 * uploads_archives_test --print accept|reject prints what is, for a look and for those files. */
#include <dirent.h>
#include <limits.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/text.h"
#include "tests/uploads/scratch.h"
#include "uploads/entry_name.h"

static void add_report(const struct upload_report *r, struct buf *out)
{
    buf_addf(out, "entries %d files %d directories %d symlinks %d bytes %d\n", (int)r->entries,
             (int)r->files, (int)r->directories, (int)r->symlinks, (int)r->bytes);
    if (r->has_docker_config)
        buf_addf(out, "docker_config %s\n", text_show(buf_str(&r->docker_config)).text);
    if (r->has_env_build)
        buf_addf(out, "env_build %s\n", text_show(buf_str(&r->env_build)).text);
    for (size_t i = 0; i < r->warnings.n; i++)
        buf_addf(out, "warning %s\n", r->warnings.v[i]);
}

static void add_archive(struct scratch *s, const char *path, enum tree_method method,
                        struct buf *out)
{
    CLEANUP(upload_report_release) struct upload_report r;
    struct error err = ERROR_INIT;

    upload_report_init(&r);
    if (scratch_extract_file(s, path, method, &r, &err) < 0) {
        buf_addf(out, "%s: %s\n", error_kind_name(err.kind), err.msg);
    } else {
        add_report(&r, out);
        scratch_list(s->treefd, out);
    }
    if (!scratch_is_contained(s))
        buf_adds(out, "SOMETHING OUTSIDE WAS TOUCHED\n");
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void describe(struct scratch *s, const char *kind, enum tree_method method, struct buf *out)
{
    char name[64], dir[PATH_MAX];
    struct dirent **entries = NULL;
    int n;

    (void)snprintf(name, sizeof(name), "corpus/%s", kind);
    scratch_source(name, dir);
    n = scandir(dir, &entries, is_visible, alphasort);
    assert_true(n > 20);
    for (int i = 0; i < n; i++) {
        char path[2 * PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
        buf_addf(out, "\n== %s\n", entries[i]->d_name);
        add_archive(s, path, method, out);
        free(entries[i]);
    }
    free(entries);
}

/* Prints the first line that differs, with the archive it belongs to. */
static void assert_same(const char *actual, const char *expected)
{
    char archive[256] = "";

    while (*actual || *expected) {
        size_t n = strcspn(actual, "\n"), m = strcspn(expected, "\n");

        if (text_starts(actual, "== "))
            (void)snprintf(archive, sizeof(archive), "%.*s", (int)n, actual);
        if (n != m || memcmp(actual, expected, n) != 0)
            fail_msg("%s\nexpected: %.*s\nactual:   %.*s", archive, (int)m, expected, (int)n,
                     actual);
        actual += n + (actual[n] == '\n');
        expected += m + (expected[m] == '\n');
    }
}

static void check(void **state, const char *kind, enum tree_method method)
{
    CLEANUP(buf_release) struct buf actual = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf expected = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char name[64], path[PATH_MAX];

    (void)snprintf(name, sizeof(name), "expected/%s.txt", kind);
    scratch_source(name, path);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &expected, &err), 0);
    describe(*state, kind, method, &actual);
    assert_false(actual.full);
    assert_same(buf_str(&actual), buf_str(&expected));
}

static void test_every_dialect_of_the_clients_unpacks(void **state)
{
    check(state, "accept", TREE_OPENAT2);
}

static void test_every_dialect_unpacks_without_openat2(void **state)
{
    check(state, "accept", TREE_WALK);
}

static void test_every_evil_or_broken_archive_is_refused_with_its_reason(void **state)
{
    check(state, "reject", TREE_OPENAT2);
}

static void test_every_evil_or_broken_archive_is_refused_without_openat2(void **state)
{
    check(state, "reject", TREE_WALK);
}

/* Names are bytes and modes are the archive's, whatever the process is set to. */
static void test_umask_and_locale_change_nothing(void **state)
{
    static const char *const locales[] = {"POSIX", "C.UTF-8"};
    mode_t previous = umask(0077);

    for (size_t i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
        assert_non_null(setlocale(LC_ALL, locales[i]));
        check(state, "accept", TREE_OPENAT2);
        check(state, "reject", TREE_OPENAT2);
    }
    (void)setlocale(LC_ALL, "C");
    (void)umask(previous);
}

static int print(const char *kind)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    void *state = NULL;

    (void)scratch_setup(&state);
    describe(state, kind, TREE_OPENAT2, &out);
    (void)scratch_teardown(&state);
    return fputs(buf_str(&out), stdout) < 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dialect_of_the_clients_unpacks),
        cmocka_unit_test(test_every_dialect_unpacks_without_openat2),
        cmocka_unit_test(test_every_evil_or_broken_archive_is_refused_with_its_reason),
        cmocka_unit_test(test_every_evil_or_broken_archive_is_refused_without_openat2),
        cmocka_unit_test(test_umask_and_locale_change_nothing),
    };

    /* A ZIP's dates are local time, whatever the zone was. */
    (void)setenv("TZ", "UTC", 1);
    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return print(argv[2]);
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
