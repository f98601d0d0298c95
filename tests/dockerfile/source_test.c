/* A context on disk and its twin in memory answer alike, and what is outside is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "dockerfile/source.h"

struct twins {
    char dir[64];
    int fd;
    struct dockerfile_source sources[2]; /* the directory, the memory */
};

static const struct dockerfile_source_file files[] = {
    {"b.txt", "bee"}, {"a/x", ""}, {"a/deep/y", "why"}, {"a/deep/z", "zed"}, {"ab", "not below a"},
};
static const struct dockerfile_source_files all = {files, sizeof(files) / sizeof(files[0])};

static void put(int dirfd, const char *path, const char *text)
{
    struct error err = ERROR_INIT;

    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        char parent[64];

        (void)snprintf(parent, sizeof(parent), "%.*s", (int)(p - path), path);
        (void)mkdirat(dirfd, parent, 0755);
    }
    if (fs_write_file(dirfd, path, text, strlen(text), 0644, &err) < 0)
        fail_msg("%s", err.msg);
}

static int setup(void **state)
{
    static struct twins t;
    struct error err = ERROR_INIT;

    (void)snprintf(t.dir, sizeof(t.dir), "/tmp/kiln-source-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    assert_int_equal(fs_open_dir(AT_FDCWD, t.dir, &t.fd, &err), 0);
    for (size_t i = 0; i < all.n; i++)
        put(t.fd, files[i].path, files[i].text);
    t.sources[0] = dockerfile_source_directory(&t.fd);
    t.sources[1] = dockerfile_source_memory(&all);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct twins *t = *state;
    struct error err = ERROR_INIT;

    close(t->fd);
    return fs_remove_tree(AT_FDCWD, t->dir, &err);
}

/* "text" or "absent" */
static void expect_read(const struct dockerfile_source *s, const char *path, const char *want)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(100);
    struct error err = ERROR_INIT;
    bool found = false;

    if (s->read(s->self, path, &out, &found, &err) < 0)
        fail_msg("%s: %s", path, err.msg);
    assert_int_equal(found, want != NULL);
    assert_string_equal(buf_str(&out), want ? want : "");
}

static void test_files_are_read_and_what_is_none_is_not_there(void **state)
{
    struct twins *t = *state;

    for (size_t i = 0; i < 2; i++) {
        expect_read(&t->sources[i], "b.txt", "bee");
        expect_read(&t->sources[i], "a/x", "");
        expect_read(&t->sources[i], "a/deep/y", "why");
        expect_read(&t->sources[i], "a", NULL);
        expect_read(&t->sources[i], "c", NULL);
        expect_read(&t->sources[i], "a/deep/y/z", NULL);
    }
}

static void test_a_file_larger_than_the_buffer_is_a_limit(void **state)
{
    struct twins *t = *state;

    for (size_t i = 0; i < 2; i++) {
        CLEANUP(buf_release) struct buf out = BUF_INIT(2);
        struct error err = ERROR_INIT;
        bool found;

        assert_int_equal(t->sources[i].read(t->sources[i].self, "b.txt", &out, &found, &err), -1);
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_non_null(strstr(err.msg, "b.txt"));
    }
}

static void test_kinds(void **state)
{
    static const struct {
        const char *path;
        enum source_kind kind;
    } table[] = {
        {"", SOURCE_DIRECTORY},      {"a", SOURCE_DIRECTORY},  {"a/deep", SOURCE_DIRECTORY},
        {"ab", SOURCE_FILE},         {"a/x", SOURCE_FILE},     {"a/de", SOURCE_NONE},
        {"a/deep/y/z", SOURCE_NONE}, {"nowhere", SOURCE_NONE},
    };
    struct twins *t = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
            enum source_kind kind;

            assert_int_equal(t->sources[i].kind(t->sources[i].self, table[k].path, &kind, &err), 0);
            assert_int_equal(kind, table[k].kind);
        }
}

static void test_names_come_in_order_and_once(void **state)
{
    static const struct {
        const char *dir, *names;
    } table[] = {
        {"", "a/ ab b.txt "}, {"a", "deep/ x "}, {"a/deep", "y z "}, {"b.txt", ""}, {"c", ""},
    };
    struct twins *t = *state;

    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++) {
            CLEANUP(argv_release) struct argv names = ARGV_INIT;
            char line[256] = "";
            struct error err = ERROR_INIT;

            assert_int_equal(t->sources[i].list(t->sources[i].self, table[k].dir, &names, &err), 0);
            for (size_t n = 0; n < names.n; n++)
                (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s ", names.v[n]);
            assert_string_equal(line, table[k].names);
        }
}

static void test_a_symlink_stays_inside_and_a_fifo_is_not_there(void **state)
{
    struct twins *t = *state;
    const struct dockerfile_source *s = &t->sources[0];

    assert_int_equal(symlinkat("/etc/passwd", t->fd, "absolute"), 0);
    assert_int_equal(symlinkat("../../../../etc/passwd", t->fd, "upward"), 0);
    assert_int_equal(symlinkat("/a/deep/y", t->fd, "inside"), 0);
    assert_int_equal(symlinkat("/proc/self/exe", t->fd, "magic"), 0);
    assert_int_equal(mkfifoat(t->fd, "fifo", 0644), 0);
    expect_read(s, "absolute", NULL);
    expect_read(s, "upward", NULL);
    expect_read(s, "magic", NULL);
    expect_read(s, "fifo", NULL);
    expect_read(s, "../etc/passwd", NULL);
    expect_read(s, "inside", "why");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_read_and_what_is_none_is_not_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_file_larger_than_the_buffer_is_a_limit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_come_in_order_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_symlink_stays_inside_and_a_fifo_is_not_there, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
