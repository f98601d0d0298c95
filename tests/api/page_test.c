/* The files of the page, and what browsers are told with them.  What the page does is tried in a
 * browser: tests/e2e/the_page_shows_builds_as_they_run.py. */
#include "fixture.h"

#include <string.h>

#include "base/text.h"

static const char *header(const struct reply *r, const char *name)
{
    const char *value = api_response_find(&r->resp, name);

    assert_non_null(value);
    return value;
}

static struct reply *load(struct fixture *f, const char *target, const char *etag)
{
    f->headers[API_HEADER_IF_NONE_MATCH] = etag;
    return ask_as(f, "", "GET", target, NULL);
}

static void check_guards(const struct reply *r)
{
    const char *policy = header(r, "Content-Security-Policy");

    assert_non_null(strstr(policy, "default-src 'none'; script-src 'self'; style-src 'self';"));
    assert_non_null(strstr(policy, "frame-ancestors 'none'"));
    assert_null(strstr(policy, "unsafe"));
    assert_string_equal(header(r, "Referrer-Policy"), "no-referrer");
}

static void test_the_page_needs_no_key_and_has_its_types(void **state)
{
    static const struct {
        const char *target, *type, *begins;
    } cases[] = {{"/", "text/html; charset=utf-8", "<!doctype html>"},
                 {"/page/page.css", "text/css; charset=utf-8", "/* "},
                 {"/page/main.js", "text/javascript; charset=utf-8", "// "}};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = load(f, cases[i].target, NULL);

        assert_int_equal(r->status, 200);
        assert_string_equal(header(r, "Content-Type"), cases[i].type);
        assert_true(text_starts(r->text, cases[i].begins));
        check_guards(r);
    }
    assert_error(load(f, "/page/nosuch.js", NULL), 404, "not_found");
    assert_error(load(f, "/page/index.html", NULL), 404, "not_found");
    assert_error(ask(f, "POST", "/", "{}"), 405, "method_not_allowed");
}

static void test_what_a_browser_has_is_not_sent_again(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *etag = header(load(f, "/", NULL), "ETag");
    const char *other = header(load(f, "/page/main.js", NULL), "ETag");
    char weak[64];
    struct reply *r;

    assert_string_not_equal(etag, other);
    (void)snprintf(weak, sizeof(weak), "\"0\", W/%s", etag);
    for (size_t i = 0; i < 3; i++) {
        r = load(f, "/", (const char *[]){etag, weak, "*"}[i]);
        assert_int_equal(r->status, 304);
        assert_string_equal(r->text, "");
        assert_string_equal(header(r, "ETag"), etag);
    }
    assert_int_equal(load(f, "/", other)->status, 200);
}

/* All that a module imports is there, and its names are the files'. */
static void test_modules_find_each_other(void **state)
{
    struct fixture *f = fixture_of(state);
    char queue[32][64] = {"main.js"};
    size_t n = 1;

    for (size_t i = 0; i < n; i++) {
        char target[80];
        const char *at;

        (void)snprintf(target, sizeof(target), "/page/%s", queue[i]);
        at = load(f, target, NULL)->text;
        assert_true(text_starts(at, "// "));
        while ((at = strstr(at, " from \"./")) != NULL) {
            char name[64];
            bool known = false;

            at += strlen(" from \"./");
            (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "\""), at);
            for (size_t k = 0; k < n; k++)
                known = known || strcmp(queue[k], name) == 0;
            assert_true(n < 32);
            if (!known)
                memcpy(queue[n++], name, sizeof(name));
        }
    }
    assert_true(n > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_page_needs_no_key_and_has_its_types),
        TEST(test_what_a_browser_has_is_not_sent_again),
        TEST(test_modules_find_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
