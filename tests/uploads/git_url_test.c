/* What a git source may be written as, and what a word means among a server's refs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "uploads/git_refs.h"
#include "uploads/uploads.h"

static void test_an_address_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *url, *authority, *name, *ref, *subdir;
    } cases[] = {
        {"https://github.com/owner/repo.git", "https://github.com/owner/repo.git", "github.com:443",
         "repo", "", ""},
        {"https://github.com/owner/repo", "https://github.com/owner/repo", "github.com:443", "repo",
         "", ""},
        {"https://h/r.git#main", "https://h/r.git", "h:443", "r", "main", ""},
        {"https://h/r.git#v1.2:docs", "https://h/r.git", "h:443", "r", "v1.2", "docs"},
        {"https://h/r.git#:a/b", "https://h/r.git", "h:443", "r", "", "a/b"},
        {"https://h/r.git#:/a//./b/", "https://h/r.git", "h:443", "r", "", "a/b"},
        {"https://h/r.git#main:", "https://h/r.git", "h:443", "r", "main", ""},
        {"https://h/r.git#", "https://h/r.git", "h:443", "r", "", ""},
        {"https://h/r.git#feature/x", "https://h/r.git", "h:443", "r", "feature/x", ""},
        {"https://h/r.git#refs/pull/7/head", "https://h/r.git", "h:443", "r", "refs/pull/7/head",
         ""},
        {"https://h/r.git#a:b:c", "https://h/r.git", "h:443", "r", "a", "b:c"},
        {"https://h/r.git#main:my%20docs%2fx", "https://h/r.git", "h:443", "r", "main",
         "my docs/x"},
        {"https://h/r.git#f%c3%bc", "https://h/r.git", "h:443", "r", "f\u00fc", ""},
        {"HTTPS://Git.Example.COM:8443/r.git/", "HTTPS://Git.Example.COM:8443/r.git/",
         "git.example.com:8443", "r", "", ""},
        {"http://127.0.0.1:3000/r.git", "http://127.0.0.1:3000/r.git", "127.0.0.1:3000", "r", "",
         ""},
        {"http://h/r.git", "http://h/r.git", "h:80", "r", "", ""},
        {"https://[::1]/r.git", "https://[::1]/r.git", "[::1]:443", "r", "", ""},
        {"http://[::1]:3000/r.git", "http://[::1]:3000/r.git", "[::1]:3000", "r", "", ""},
        {"https://h/a/b/.git", "https://h/a/b/.git", "h:443", ".git", "", ""},
        {"https://h/r.git?ref=main", "https://h/r.git", "h:443", "r", "main", ""},
        {"https://h/r.git?tag=v1&subdir=/a//b", "https://h/r.git", "h:443", "r", "refs/tags/v1",
         "a/b"},
        {"https://h/r.git?branch=f%2fx&", "https://h/r.git", "h:443", "r", "refs/heads/f/x", ""},
        {"https://h/r.git?subdir=d#main", "https://h/r.git", "h:443", "r", "main", "d"},
        {"https://h/r.git?ref=main&keep-git-dir&submodules=false&commit=ABC#main",
         "https://h/r.git", "h:443", "r", "main", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        struct upload_git git;

        assert_true(upload_git_is_address(cases[i].text));
        if (upload_git_parse(cases[i].text, &git, &err) < 0)
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_string_equal(git.url, cases[i].url);
        assert_string_equal(git.authority, cases[i].authority);
        assert_string_equal(git.name, cases[i].name);
        assert_string_equal(git.ref, cases[i].ref);
        assert_string_equal(git.subdir, cases[i].subdir);
    }
}

static void test_a_query_says_what_an_option_would(void **state)
{
    struct error err = ERROR_INIT;
    struct upload_git git;

    (void)state;
    assert_int_equal(
        upload_git_parse("https://h/r.git?commit=ABC1&keep-git-dir=true&submodules=0", &git, &err),
        0);
    assert_string_equal(git.checksum, "abc1");
    assert_true(git.keep_git_dir);
    assert_int_equal(upload_git_parse("https://h/r.git?keep-git-dir=0", &git, &err), 0);
    assert_false(git.keep_git_dir);
    assert_string_equal(git.checksum, "");
}

static void test_what_cannot_be_fetched_is_refused_with_a_remedy(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"git@github.com:owner/repo.git",
         "no key to show there; write \"https://github.com/owner/repo.git\", or"},
        {"git@h:/srv/r.git#main", "write \"https://h/srv/r.git\", or"},
        {"ssh://git@github.com/owner/repo.git", "write \"https://github.com/owner/repo.git\", or"},
        {"SSH://me:s3cr3t@h:2222/r.git?ref=x", "write \"https://h/r.git\", or"},
        {"git+ssh://h/r.git",
         "write \"https://h/r.git\", or, if the repository is private, upload a clone"},
        {"ssh://me:s3/cr3t@h/r.git", "write the https:// address of the repository"},
        {"ssh://h", "write the https:// address of the repository"},
        {"git@h:", "write the https:// address of the repository"},
        {"file:///etc/passwd", "upload the folder"},
        {"FILE:///srv/r.git", "upload the folder"},
        {"git://h/r.git", "must begin with https://"},
        {"ftp://h/r.git", "must begin with https://"},
        {"ext::sh -c true", "blanks"},
        {"/srv/r.git", "must begin with https://"},
        {"", "must begin with https://"},
        {"https://", "has no host"},
        {"https:///r.git", "has no host"},
        {"https://h", "names a host but no repository"},
        {"https://h/", "names a host but no repository"},
        {"https://h#main", "names a host but no repository"},
        {"https://user:secret@h/r.git", "a user name or password"},
        {"https://token@h/r.git#x", "a user name or password"},
        {"https://h:0/r.git", "has no host"},
        {"https://h:65536/r.git", "has no host"},
        {"https://h:80x/r.git", "has no host"},
        {"https://[::1/r.git", "has no host"},
        {"https://[fe80::1%eth0]/r.git", "has no host"},
        {"https://-o/r.git", "has no host"},
        {"https://localhost./r.git", "has no host"},
        {"https://h.:80/r.git", "has no host"},
        {"https://h/r.git?ref=main#dev", "names two branches"},
        {"https://h/r.git?tag=a&branch=a", "names two branches"},
        {"https://h/r.git?subdir=a#:b", "(once)"},
        {"https://h/r.git?subdir=../x", "leads out"},
        {"https://h/r.git?ref=", "without a value"},
        {"https://h/r.git?ref=a..b", "cannot be a branch"},
        {"https://h/r.git?x=1", "its query may have ref"},
        {"https://h/r.git?keep-git-dir=maybe", "neither true nor false"},
        {"https://h/r.git?checksum=main", "expected hex commit hash"},
        {"https://h/r.git?ref=%0a", "its query is not text"},
        {"https://h/r\".git", "is ASCII"},
        {"https://h/r.git#-x", "cannot be a branch"},
        {"https://h/r.git#--upload-pack=x", "cannot be a branch"},
        {"https://h/r.git#a..b", "cannot be a branch"},
        {"https://h/r.git#a^", "cannot be a branch"},
        {"https://h/r.git#a%20b", "cannot be a branch"},
        {"https://h/r.git#HEAD@{1}", "cannot be a branch"},
        {"https://h/r.git#a.lock", "cannot be a branch"},
        {"https://h/r.git#a//b", "cannot be a branch"},
        {"https://h/r.git#a/", "cannot be a branch"},
        {"https://h/r.git#:../x", "leads out"},
        {"https://h/r.git#:a/%2e%2e/b", "leads out"},
        {"https://h/r.git#%00", "not text"},
        {"https://h/r.git#%0a", "not text"},
        {"https://h/r.git#%zz", "not text"},
        {"https://h/r.git#%f", "not text"},
        {"https://h/r.git#%ff", "not text"},
        {"https://h/r .git", "blanks"},
        {"https://h/r.git\n", "control"},
        {"https://h/r\\x.git", "ASCII"},
        {"https://\u00fc.example/r.git", "ASCII"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        struct upload_git git = {.url = "untouched"};

        if (upload_git_parse(cases[i].text, &git, &err) == 0)
            fail_msg("%s was accepted", cases[i].text);
        assert_int_equal(err.kind, ERR_INPUT);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_null(strstr(err.msg, "secret"));
        assert_string_equal(git.url, "untouched");
    }
}

static void test_what_is_too_long_is_refused(void **state)
{
    static const char *const heads[] = {"https://h/", "https://", "https://h/r#", "https://h/r#:"};
    char text[2 * UPLOAD_GIT_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        for (size_t len = 200; len < sizeof(text); len += 97) {
            struct error err = ERROR_INIT;
            struct upload_git git;
            size_t head = strlen(heads[i]);

            memset(text, 'a', len);
            memcpy(text, heads[i], head);
            text[len] = '\0';
            if (upload_git_parse(text, &git, &err) == 0) {
                assert_true(len < UPLOAD_GIT_TEXT);
                assert_int_not_equal(i, 1); /* a host of 192 letters has no repository */
            } else {
                assert_int_equal(err.kind, ERR_INPUT);
                assert_true(i == 1 || len > 255);
            }
        }
}

static void test_a_path_is_no_address(void **state)
{
    static const char *const paths[] = {"dir",     "./dir",        "/abs/dir", "a.zip", "C:file",
                                        "x/y@z:w", "github.com/x", "",         "://x",  "@h:x",
                                        "a b://c", "1/2",          "a/b://c"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_false(upload_git_is_address(paths[i]));
    assert_true(upload_git_is_address("git@h:x"));
    assert_true(upload_git_is_address("ssh://h/x"));
    assert_true(upload_git_is_address("file:///x"));
}

/* ---- refs ---- */

static char *const words[] = {
    "HEAD",         "refs/heads/main", "refs/heads/v1",    "refs/heads/dev",
    "refs/tags/v1", "refs/tags/v1^{}", "refs/pull/7/head", "refs/heads/deadbeef",
};
static const struct argv names = {.v = (char **)words, .n = sizeof(words) / sizeof(words[0])};

static void test_a_word_means_what_git_takes_it_for(void **state)
{
    static const struct {
        const char *ref, *name;
    } cases[] = {
        {"", "HEAD"},
        {"HEAD", "HEAD"},
        {"main", "refs/heads/main"},
        {"heads/main", "refs/heads/main"},
        {"refs/heads/main", "refs/heads/main"},
        {"v1", "refs/tags/v1"}, /* a tag goes before a branch */
        {"heads/v1", "refs/heads/v1"},
        {"pull/7/head", "refs/pull/7/head"},
        {"deadbeef", "refs/heads/deadbeef"},
    };
    const struct argv none = ARGV_INIT;
    size_t at = 99;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(git_ref_find(&names, cases[i].ref, &at));
        assert_string_equal(names.v[at], cases[i].name);
    }
    assert_false(git_ref_find(&names, "mai", &at));
    assert_false(git_ref_find(&names, "Main", &at));
    assert_false(git_ref_find(&none, "", &at));
}

static void test_the_id_of_a_commit_is_told_from_a_name(void **state)
{
    (void)state;
    assert_true(git_ref_is_commit("0123456789abcdef0123456789abcdef01234567"));
    assert_false(git_ref_is_commit("0123456789abcdef0123456789abcdef0123456"));
    assert_true(git_ref_may_be_commit("0123456"));
    assert_true(git_ref_may_be_commit("0123456789abcdef0123456789abcdef01234567"));
    assert_false(git_ref_may_be_commit("012345"));
    assert_false(git_ref_may_be_commit("0123456789abcdef0123456789abcdef012345678"));
    assert_false(git_ref_may_be_commit("v123456"));
}

static void test_the_hint_begins_with_what_is_alike(void **state)
{
    static char *const many[] = {"HEAD",
                                 "refs/heads/a",
                                 "refs/heads/b",
                                 "refs/heads/c",
                                 "refs/heads/d",
                                 "refs/heads/e",
                                 "refs/heads/f",
                                 "refs/heads/g",
                                 "refs/heads/h",
                                 "refs/heads/i",
                                 "refs/heads/\x1b[31m",
                                 "refs/tags/release-1",
                                 "refs/tags/release-1^{}"};
    const struct argv all = {.v = (char **)many, .n = sizeof(many) / sizeof(many[0])};
    const struct argv odd = {.v = (char **)many + 10, .n = 1};
    const struct argv head = {.v = (char **)many, .n = 1};
    CLEANUP(buf_release) struct buf hint = BUF_INIT(1000);

    (void)state;
    git_ref_hint(&all, "release-2", &hint);
    assert_string_equal(buf_str(&hint), "it has release-1, a, b, c, d, e, f, g and 3 more");
    buf_clear(&hint);
    git_ref_hint(&odd, "x", &hint);
    assert_string_equal(buf_str(&hint), "it has \"\\x1b[31m\"");
    buf_clear(&hint);
    git_ref_hint(&head, "x", &hint);
    assert_string_equal(buf_str(&hint), "it has no branches or tags");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_is_taken_apart),
        cmocka_unit_test(test_a_query_says_what_an_option_would),
        cmocka_unit_test(test_what_cannot_be_fetched_is_refused_with_a_remedy),
        cmocka_unit_test(test_what_is_too_long_is_refused),
        cmocka_unit_test(test_a_path_is_no_address),
        cmocka_unit_test(test_a_word_means_what_git_takes_it_for),
        cmocka_unit_test(test_the_id_of_a_commit_is_told_from_a_name),
        cmocka_unit_test(test_the_hint_begins_with_what_is_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
