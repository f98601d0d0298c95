/* Tags and attachments, with a real registry: docker-registry knows no referrers, the other one
 * does (see the fixture); and with a made-up one that gives its lists in pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "tests/registry/fixture.h"

#define MANY_TAGS 1010 /* of which the client asks for 1000 at a time */
#define REPO      "team/sandbox/attached"
#define SPDX      "application/spdx+json"
#define TOTO      "application/vnd.in-toto+json"

static void add_word(void *self, const char *word)
{
    buf_addf(self, "%s ", word);
}

static void add_type(void *self, const struct registry_referrer *r)
{
    buf_addf(self, "%s ", r->type);
}

/* ---- real registries ---- */

static void check_attached(const struct fixture *f, const char *digest, const char *type,
                           const char *expected)
{
    CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
    struct error err = ERROR_INIT;

    if (registry_list_referrers(&f->registry, REPO, digest, type, add_type, &seen, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&seen), expected);
}

static void attach(const struct fixture *f, const char *digest, const char *type, const char *text)
{
    const struct registry_subject subject = {OCI_MANIFEST, digest, 123};
    const struct registry_artifact artifact = {type, text, strlen(text)};
    struct error err = ERROR_INIT;

    if (registry_attach(&f->registry, REPO, &subject, &artifact, 1, &err) < 0)
        fail_msg("%s", err.msg);
}

static bool has_manifest(const struct fixture *f, const char *reference)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error err = ERROR_INIT;

    if (registry_get_manifest(&f->registry, REPO, reference, &presence, &m, &err) < 0)
        fail_msg("%s", err.msg);
    return presence == REGISTRY_PRESENT;
}

/* "sha256-…" */
static const char *fallback_of(const char *digest, char tag[REGISTRY_DIGEST])
{
    (void)snprintf(tag, REGISTRY_DIGEST, "%s", digest);
    tag[6] = '-';
    return tag;
}

static void test_what_is_attached_is_found_once_each_and_by_its_type(void **state)
{
    const struct fixture *f = *state;
    char digest[REGISTRY_DIGEST], tag[REGISTRY_DIGEST];

    fixture_push_image(f, REPO, "one", "layer of one", digest);
    check_attached(f, digest, NULL, "");
    attach(f, digest, SPDX, "{\"a\":1}");
    attach(f, digest, TOTO, "{\"b\":1}");
    attach(f, digest, SPDX, "{\"a\":1}"); /* the same again */
    check_attached(f, digest, SPDX, SPDX " ");
    check_attached(f, digest, TOTO, TOTO " ");
    check_attached(f, digest, "application/other", "");
    /* The list that a tag names is for those registries that keep none. */
    assert_int_equal(has_manifest(f, fallback_of(digest, tag)), !fixture_is_other());
}

static void test_an_image_goes_with_what_is_attached_to_it(void **state)
{
    const struct fixture *f = *state;
    struct error err = ERROR_INIT;
    char digest[REGISTRY_DIGEST], other[REGISTRY_DIGEST], tag[REGISTRY_DIGEST];

    fixture_push_image(f, REPO, "two", "layer of two", digest);
    fixture_push_image(f, REPO, "three", "layer of three", other);
    attach(f, digest, SPDX, "{\"of\":2}");
    attach(f, other, SPDX, "{\"of\":3}");
    if (registry_delete_image(&f->registry, REPO, digest, &err) < 0)
        fail_msg("%s", err.msg);
    assert_false(has_manifest(f, digest));
    assert_false(has_manifest(f, fallback_of(digest, tag)));
    check_attached(f, digest, NULL, "");
    check_attached(f, other, NULL, SPDX " ");
    assert_int_equal(registry_delete_image(&f->registry, REPO, digest, &err), 0);
}

static void test_a_tag_is_deleted_where_that_can_be(void **state)
{
    const struct fixture *f = *state;
    struct error err = ERROR_INIT;
    char digest[REGISTRY_DIGEST];
    bool can = false;

    fixture_push_image(f, REPO, "keep", "layer of four", digest);
    fixture_push_image(f, REPO, "drop", "layer of four", digest);
    assert_int_equal(registry_delete_tag(&f->registry, REPO, "drop", &can, &err), 0);
    assert_int_equal(has_manifest(f, "drop"), !can);
    assert_true(has_manifest(f, "keep"));
    assert_int_equal(registry_delete_tag(&f->registry, REPO, digest, &can, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
}

static void test_tags_are_listed(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
    enum registry_presence presence = REGISTRY_PRESENT;
    struct error err = ERROR_INIT;
    char digest[REGISTRY_DIGEST];

    fixture_push_image(f, "team/tags", "b", "layer", digest);
    fixture_push_image(f, "team/tags", "a", "layer", digest);
    assert_int_equal(
        registry_list_tags(&f->registry, "team/tags", &presence, add_word, &seen, &err), 0);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_int_equal(seen.len, strlen("a b "));
    assert_non_null(strstr(buf_str(&seen), "a "));
    assert_non_null(strstr(buf_str(&seen), "b "));
    assert_int_equal(registry_list_tags(&f->registry, "no/such", &presence, add_word, &seen, &err),
                     0);
    /* To the other one a repository that nothing was sent to is an empty one. */
    assert_int_equal(presence, fixture_is_other() ? REGISTRY_PRESENT : REGISTRY_ABSENT);
    assert_int_equal(seen.len, strlen("a b "));
}

/* More than fit on one page of a registry that has pages: docker-registry gives all at once. */
static void test_tags_on_several_pages_are_all_listed(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(buf_release) struct buf seen = BUF_INIT(65536);
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    enum registry_presence presence = REGISTRY_ABSENT;
    char digest[REGISTRY_DIGEST], tag[16];
    struct error err = ERROR_INIT;

    if (!fixture_is_other())
        skip();
    fixture_push_image(f, "team/pages", "t0000", "layer", digest);
    assert_int_equal(registry_get_manifest(&f->registry, "team/pages", digest, &presence, &m, &err),
                     0);
    for (int i = 1; i < MANY_TAGS; i++) {
        (void)snprintf(tag, sizeof(tag), "t%04d", i);
        if (registry_put_manifest(&f->registry, "team/pages", tag, m.media_type, buf_str(&m.body),
                                  m.body.len, digest, &err) < 0)
            fail_msg("%s", err.msg);
    }
    assert_int_equal(
        registry_list_tags(&f->registry, "team/pages", &presence, add_word, &seen, &err), 0);
    assert_int_equal(seen.len, MANY_TAGS * strlen("t0000 "));
    for (int i = 0; i < MANY_TAGS; i++) {
        (void)snprintf(tag, sizeof(tag), "t%04d ", i);
        assert_non_null(strstr(buf_str(&seen), tag));
    }
}

/* ---- one that gives its lists in pages ---- */

#define ONE   "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWO   "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define ENTRY "{\"digest\":\"%s\",\"size\":1,\"artifactType\":\"%s\"}"

struct answer {
    const char *url, *link, *body;
};

struct paged {
    const struct answer *answers; /* ended by one without a URL */
    int puts;
};

static int paged_request(void *self, const struct http_request *req, struct http_response *resp,
                         struct error *err)
{
    struct paged *p = self;

    (void)err;
    resp->status = 404;
    if (strcmp(req->method, "PUT") == 0 || strcmp(req->method, "POST") == 0) {
        resp->status = strcmp(req->method, "PUT") == 0 ? 201 : 202;
        argv_push1(&resp->headers, "location: /v2/x/blobs/uploads/1");
        argv_push1(&resp->headers, "oci-subject: " ONE);
        p->puts += strstr(req->url, "/manifests/") != NULL;
    }
    for (const struct answer *a = p->answers; a->url; a++) {
        if (strcmp(a->url, req->url) != 0)
            continue;
        resp->status = 200;
        if (a->link)
            argv_pushf(&resp->headers, "link: %s", a->link);
        buf_adds(&resp->body, a->body);
    }
    return 0;
}

#define PAGED(p, r)                                                                                \
    const struct http http = {.request = paged_request, .self = &(p)};                             \
    const struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1}

static void test_pages_are_followed_to_the_last(void **state)
{
    const struct answer answers[] = {
        {"http://registry.test/v2/a/b/tags/list?n=1000", "</v2/a/b/tags/list?last=b>; rel=\"next\"",
         "{\"name\":\"a/b\",\"tags\":[\"a\",\"b\"]}"},
        {"http://registry.test/v2/a/b/tags/list?last=b",
         "<http://registry.test/v2/a/b/tags/list?last=c>; rel=\"next\"", "{\"tags\":[\"c\"]}"},
        {"http://registry.test/v2/a/b/tags/list?last=c", "<x>; rel=\"prev\"", "{\"tags\":null}"},
        {0}};
    struct paged p = {.answers = answers};
    CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
    enum registry_presence presence;
    struct error err = ERROR_INIT;
    PAGED(p, r);

    (void)state;
    assert_int_equal(registry_list_tags(&r, "a/b", &presence, add_word, &seen, &err), 0);
    assert_string_equal(buf_str(&seen), "a b c ");
}

/* RFC 8288, 3: a Link as others write it. */
static void test_the_next_page_is_found_however_the_link_is_written(void **state)
{
    static const struct {
        const char *link;
        bool followed;
    } cases[] = {
        {"</p>; rel=next", true},
        {"</p>;rel=\"next\"", true},
        {"</p>; REL=\"last Next\"; title=\"a;b,c\"", true},
        {"</q>; rel=\"prev\", </p>; rel=\"next\"", true},
        {"</q>; title=\", </q>; rel=next\", </p>; rel=next", true},
        {"</q>; rel=prev", false},
        {"</q>; rel=nextish", false},
        {"</q>; rel=\"nextish prev", false},
        {"</q>; title=\"rel=next\"", false},
        {"</q>; rel=", false},
        {"</q>", false},
        {"</q", false},
        {"/p; rel=next", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct answer answers[] = {
            {"http://registry.test/v2/a/b/tags/list?n=1000", cases[i].link, "{\"tags\":[\"a\"]}"},
            {"http://registry.test/p", NULL, "{\"tags\":[\"b\"]}"},
            {0}};
        struct paged p = {.answers = answers};
        CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
        enum registry_presence presence;
        struct error err = ERROR_INIT;
        PAGED(p, r);

        if (registry_list_tags(&r, "a/b", &presence, add_word, &seen, &err) < 0)
            fail_msg("%s: %s", cases[i].link, err.msg);
        if (strcmp(buf_str(&seen), cases[i].followed ? "a b " : "a ") != 0)
            fail_msg("%s: %s", cases[i].link, buf_str(&seen));
    }
}

static void test_no_page_leads_elsewhere_or_in_circles(void **state)
{
    const char *const links[] = {"<http://evil.test/v2/x>; rel=\"next\"",
                                 "<//evil.test/v2/x>; rel=\"next\"",
                                 "</v2/a/b/tags/list?n=1000>; rel=\"next\""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const struct answer answers[] = {
            {"http://registry.test/v2/a/b/tags/list?n=1000", links[i], "{\"tags\":[]}"}, {0}};
        struct paged p = {.answers = answers};
        CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
        enum registry_presence presence;
        struct error err = ERROR_INIT;
        PAGED(p, r);

        assert_int_equal(registry_list_tags(&r, "a/b", &presence, add_word, &seen, &err), -1);
        assert_int_equal(err.kind, ERR_REMOTE);
    }
}

static void test_a_registry_that_knows_referrers_is_asked_and_gets_no_index(void **state)
{
    char first[512], second[512];
    const struct answer answers[] = {{"http://registry.test/v2/a/b/referrers/" ONE,
                                      "</v2/a/b/referrers/x?p=2>; rel=\"next\"", first},
                                     {"http://registry.test/v2/a/b/referrers/x?p=2", NULL, second},
                                     {0}};
    struct paged p = {.answers = answers};
    const struct registry_subject subject = {OCI_MANIFEST, ONE, 1};
    const struct registry_artifact artifact = {SPDX, "{}", 2};
    CLEANUP(buf_release) struct buf seen = BUF_INIT(4096);
    struct error err = ERROR_INIT;
    PAGED(p, r);

    (void)state;
    (void)snprintf(first, sizeof(first), "{\"manifests\":[" ENTRY "]}", TWO, SPDX);
    (void)snprintf(second, sizeof(second), "{\"manifests\":[" ENTRY "]}", TWO, TOTO);
    assert_int_equal(registry_list_referrers(&r, "a/b", ONE, NULL, add_type, &seen, &err), 0);
    assert_string_equal(buf_str(&seen), SPDX " " TOTO " ");
    if (registry_attach(&r, "a/b", &subject, &artifact, 1, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(p.puts, 1); /* the artifact's manifest, and no list of ours */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_attached_is_found_once_each_and_by_its_type),
        cmocka_unit_test(test_an_image_goes_with_what_is_attached_to_it),
        cmocka_unit_test(test_a_tag_is_deleted_where_that_can_be),
        cmocka_unit_test(test_tags_are_listed),
        cmocka_unit_test(test_tags_on_several_pages_are_all_listed),
        cmocka_unit_test(test_pages_are_followed_to_the_last),
        cmocka_unit_test(test_the_next_page_is_found_however_the_link_is_written),
        cmocka_unit_test(test_no_page_leads_elsewhere_or_in_circles),
        cmocka_unit_test(test_a_registry_that_knows_referrers_is_asked_and_gets_no_index),
    };
    struct error err = ERROR_INIT;

    if (http_setup(&err) < 0)
        return 1;
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
