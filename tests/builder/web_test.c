/* Fetching a file from the web, with a network that is played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/web.h"

static void test_names_are_those_that_buildkit_gives(void **state)
{
    static const char *const cases[][2] = {
        {"http://a/b/c.txt", "c.txt"},        {"http://a/b/c.txt?d=e/f", "c.txt"},
        {"http://a/b/c.txt#d/e", "c.txt"},    {"http://a/b/c/", "c"},
        {"http://a/b/c%20d", "c d"},          {"http://a/b%2Fc", "c"},
        {"http://a/.wh.x", ".wh.x"},          {"http://a/...", "..."},
        {"http://a", "__unnamed__"},          {"http://a/", "__unnamed__"},
        {"http://a//", "__unnamed__"},        {"http://a?b/c", "__unnamed__"},
        {"http://a/.", "__unnamed__"},        {"http://a/b/..", "__unnamed__"},
        {"http://a/b/%2e%2E", "__unnamed__"}, {"http://a/b/c%", "__unnamed__"},
        {"http://a/b/c%4", "__unnamed__"},    {"http://a/b/c%zz", "__unnamed__"},
        {"http://a/b/c%00d", "__unnamed__"},  {"none", "__unnamed__"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[NAME_MAX + 1];

        web_name(cases[i][0], name);
        assert_string_equal(name, cases[i][1]);
    }
}

static void test_a_name_of_more_than_255_bytes_is_none(void **state)
{
    char url[400] = "http://a/", name[NAME_MAX + 1];

    (void)state;
    memset(url + 9, 'n', 256);
    web_name(url, name);
    assert_string_equal(name, "__unnamed__");
    url[9 + 255] = '\0';
    web_name(url, name);
    assert_int_equal(strlen(name), 255);
}

/* ---- a server that sends pieces ---- */

struct played {
    int down; /* so many requests fail at first */
    size_t pieces, piece;
    int requests;
};

static int play(void *self, const struct http_request *req, struct http_response *resp,
                struct error *err)
{
    struct played *p = self;
    char bytes[4096];

    memset(bytes, 'x', sizeof(bytes));
    p->requests++;
    resp->status = 200;
    for (size_t i = 0; i < p->pieces; i++) {
        if (req->sink->take(req->sink->self, resp, bytes, p->piece, err) < 0)
            return -1;
        if (p->requests <= p->down)
            return error_set(err, ERR_REMOTE, "the line is down");
    }
    return 0;
}

static int fetch(struct played *p, uint64_t size_max, struct stat *ret, struct error *err)
{
    const struct http http = {play, p};
    const struct web_request req = {
        .http = &http, .url = "http://u:pw@a/f?k=v", .checksum = "", .size_max = size_max};
    char dir[] = "/tmp/kiln-web-XXXXXX";
    CLEANUP_CLOSE int fd = -1;
    struct error ignored = ERROR_INIT;
    int r;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(fs_open_dir(AT_FDCWD, dir, &fd, err), 0);
    r = web_fetch(&req, fd, err);
    if (r == 0)
        assert_int_equal(fstatat(fd, "f", ret, 0), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &ignored), 0);
    return r;
}

static void test_a_file_that_was_cut_off_is_fetched_from_its_beginning(void **state)
{
    struct played p = {.down = 2, .pieces = 3, .piece = 1000};
    struct error err = ERROR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(fetch(&p, 0, &st, &err), 0);
    assert_int_equal(p.requests, 3);
    assert_int_equal(st.st_size, 3000);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_mtim.tv_sec, 0);
}

static void test_a_server_that_stays_down_is_given_up_and_named(void **state)
{
    struct played p = {.down = 9, .pieces = 3, .piece = 1000};
    struct error err = ERROR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(fetch(&p, 0, &st, &err), -1);
    assert_int_equal(p.requests, WEB_TRIES);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_string_equal(err.msg, "http://a/f: the line is down");
}

static void test_a_file_that_is_too_large_is_not_asked_for_again(void **state)
{
    struct played p = {.pieces = 3, .piece = 1000};
    struct error err = ERROR_INIT;
    struct stat st;

    (void)state;
    assert_int_equal(fetch(&p, 3000, &st, &err), 0);
    assert_int_equal(fetch(&p, 2999, &st, &err), -1);
    assert_int_equal(p.requests, 2);
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_string_equal(err.msg, "http://a/f: it is larger than 2999 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_those_that_buildkit_gives),
        cmocka_unit_test(test_a_name_of_more_than_255_bytes_is_none),
        cmocka_unit_test(test_a_file_that_was_cut_off_is_fetched_from_its_beginning),
        cmocka_unit_test(test_a_server_that_stays_down_is_given_up_and_named),
        cmocka_unit_test(test_a_file_that_is_too_large_is_not_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
