/* What of a directory `kiln build DIR` builds from. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/argv.h"
#include "base/fs.h"
#include "programs/context.h"

struct fixture {
    char dir[64];
    int dirfd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err;

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-context-XXXXXX");
    *state = f;
    return mkdtemp(f->dir) ? fs_open_dir(AT_FDCWD, f->dir, &f->dirfd, &err) : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;
    int result = fs_remove_tree(AT_FDCWD, f->dir, &err);

    close(f->dirfd);
    free(f);
    return result;
}

static void put(const struct fixture *f, const char *path, const char *text)
{
    struct error err;
    char above[64];

    for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        (void)snprintf(above, sizeof(above), "%.*s", (int)(p - path), path);
        (void)mkdirat(f->dirfd, above, 0755);
    }
    assert_int_equal(fs_write_file(f->dirfd, path, text, strlen(text), 0644, &err), 0);
}

/* The names in the archive, one a line; all contents are shorter than a block. */
static void pack(const struct fixture *f, struct buf *names)
{
    CLEANUP(buf_release) struct buf tar = BUF_INIT(1 << 20);
    CLEANUP_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);
    struct error err;

    if (context_pack(f->dir, fd, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(fd, &tar, &err), 0);
    for (size_t at = 0; at < tar.len && tar.data[at]; at += 512) {
        buf_addf(names, "%s\n", tar.data + at);
        if (tar.data[at + 124 + 10] != '0') /* the last digit of its size */
            at += 512;
    }
}

static void fill(const struct fixture *f)
{
    put(f, ".git/HEAD", "ref");
    put(f, "lib/.git", "gitdir: ..");
    put(f, ".env", "A=1");
    put(f, "Dockerfile", "FROM x");
    put(f, "dist/app.js", "1");
    put(f, "lib/dist/a/lib.js", "1");
}

static void test_all_but_git_is_packed_when_nothing_is_said(void **state)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 16);

    fill(*state);
    pack(*state, &names);
    assert_string_equal(buf_str(&names), ".env\nDockerfile\ndist/\ndist/app.js\nlib/\nlib/.git\n"
                                         "lib/dist/\nlib/dist/a/\nlib/dist/a/lib.js\n");
}

static void test_a_blaxelignore_leaves_out_what_it_names_wherever_it_is(void **state)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 16);

    fill(*state);
    put(*state, ".blaxelignore", "dist\n.env\n");
    pack(*state, &names);
    assert_string_equal(buf_str(&names), ".blaxelignore\nDockerfile\nlib/\nlib/.git\n");
}

static void test_what_it_brings_back_is_packed_without_what_is_around_it(void **state)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(1 << 16);

    fill(*state);
    put(*state, "lib/dist/b/lib.h", "1");
    put(*state, ".blaxelignore", "dist\nlib\n.*\n!lib/dist/a\n!.git\n");
    pack(*state, &names);
    assert_string_equal(buf_str(&names), "Dockerfile\nlib/.git\nlib/dist/a/\nlib/dist/a/lib.js\n");
}

static void test_a_blaxelignore_that_is_none_is_refused_by_name(void **state)
{
    const struct fixture *f = *state;
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = memfd_create("tar", MFD_CLOEXEC);

    put(f, ".blaxelignore", "a\n[\n");
    assert_int_equal(context_pack(f->dir, fd, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_string_equal(err.msg, ".blaxelignore: line 2: syntax error in pattern");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_but_git_is_packed_when_nothing_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_blaxelignore_leaves_out_what_it_names_wherever_it_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_what_it_brings_back_is_packed_without_what_is_around_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_blaxelignore_that_is_none_is_refused_by_name, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
