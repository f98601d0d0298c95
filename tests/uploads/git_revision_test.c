/* The commit of an uploaded .git: as git makes it, it is found; in any other form there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "tests/uploads/scratch.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER  "89abcdef0123456789abcdef0123456789abcdef"

static void put(const struct scratch *s, const char *path, const char *text)
{
    struct error err = ERROR_INIT;
    int fd = openat(s->treefd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text), &err), 0);
    close(fd);
}

static void make_git(struct scratch *s)
{
    static const char *const directories[] = {".git",      ".git/objects",    ".git/objects/info",
                                              ".git/refs", ".git/refs/heads", ".git/refs/tags"};

    scratch_clear(s);
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        assert_int_equal(mkdirat(s->treefd, directories[i], 0755), 0);
    put(s, ".git/HEAD", "ref: refs/heads/main\n");
    put(s, ".git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n");
    put(s, ".git/refs/heads/main", COMMIT "\n");
}

static void assert_revision(const struct scratch *s, const char *revision)
{
    char text[UPLOAD_REVISION] = "untouched";

    upload_git_revision(s->treefd, text);
    assert_string_equal(text, revision);
}

static void test_the_commit_of_head_is_found(void **state)
{
    struct scratch *s = *state;

    make_git(s);
    assert_revision(s, COMMIT);
    put(s, ".git/HEAD", OTHER "\n"); /* detached, as CI checks out */
    assert_revision(s, OTHER);
}

static void test_a_packed_ref_is_found(void **state)
{
    struct scratch *s = *state;

    make_git(s);
    assert_int_equal(unlinkat(s->treefd, ".git/refs/heads/main", 0), 0);
    put(s, ".git/packed-refs",
        "# pack-refs with: peeled fully-peeled sorted \n" OTHER " refs/heads/main\n");
    assert_revision(s, OTHER);
}

static void test_no_repository_has_no_commit(void **state)
{
    struct scratch *s = *state;

    scratch_clear(s);
    assert_revision(s, "");
    put(s, ".git", "gitdir: /somewhere/else\n");
    assert_revision(s, "");
}

static void test_what_git_does_not_make_has_no_commit(void **state)
{
    static const struct {
        const char *path, *text;
    } cases[] = {
        {".git/HEAD", ""},
        {".git/HEAD", "ref: ../../outside\n"},
        {".git/HEAD", "ref: refs/heads/gone\n"},
        {".git/HEAD", "ref: refs/heads/../../../outside\n"},
        {".git/HEAD", "ref: HEAD\n"},
        {".git/HEAD", "not hexadecimal at all, but forty bytes!\n"},
        {".git/refs/heads/main", "ref: refs/heads/main\n"},
        {".git/refs/heads/main", "0123\n"},
        {".git/config", "[core\n"},
        {".git/config", "[core]\n\trepositoryformatversion = 9\n"},
        {".git/commondir", "../../../elsewhere\n"},
    };
    struct scratch *s = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_git(s);
        put(s, cases[i].path, cases[i].text);
        assert_revision(s, "");
    }
}

static void test_a_link_is_not_followed_to_a_repository(void **state)
{
    struct scratch *s = *state;

    make_git(s);
    assert_int_equal(renameat(s->treefd, ".git", s->treefd, "real"), 0);
    assert_int_equal(symlinkat("real", s->treefd, ".git"), 0);
    assert_revision(s, "");
    make_git(s);
    assert_int_equal(renameat(s->treefd, ".git/HEAD", s->treefd, ".git/x"), 0);
    assert_int_equal(symlinkat("x", s->treefd, ".git/HEAD"), 0);
    assert_revision(s, "");
}

/* What a configuration could name is neither run nor needed. */
static void test_a_configuration_does_nothing(void **state)
{
    struct scratch *s = *state;
    CLEANUP(buf_release) struct buf config = BUF_INIT(10000);
    struct stat st;

    make_git(s);
    buf_addf(&config,
             "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch %s/made\n"
             "\tsshCommand = touch %s/made\n\tworktree = /\n[include]\n\tpath = /dev/zero\n"
             "[filter \"x\"]\n\tsmudge = touch %s/made\n",
             s->path, s->path, s->path);
    put(s, ".git/config", buf_str(&config));
    assert_revision(s, COMMIT);
    assert_int_equal(fstatat(s->dirfd, "made", &st, 0), -1);
    assert_true(scratch_is_contained(s));
}

static void test_a_file_too_large_to_be_gits_is_not_read(void **state)
{
    struct scratch *s = *state;
    int fd;

    make_git(s);
    fd = openat(s->treefd, ".git/config", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 65537), 0);
    close(fd);
    assert_revision(s, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_commit_of_head_is_found),
        TEST(test_a_packed_ref_is_found),
        TEST(test_no_repository_has_no_commit),
        TEST(test_what_git_does_not_make_has_no_commit),
        TEST(test_a_link_is_not_followed_to_a_repository),
        TEST(test_a_configuration_does_nothing),
        TEST(test_a_file_too_large_to_be_gits_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
