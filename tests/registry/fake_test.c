/* The client against a registry that errs, lies, or is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "tests/registry/fixture.h"

#define REPO "team/agent/demo"
#define JSON "{\"schemaVersion\":2,\"manifests\":[]}"

/* A registry that gives every request the next of its answers, the last one for ever. */
struct answer {
    int status; /* 0: unreachable */
    const char *headers[3];
    const char *body;
};
struct fake {
    const struct answer *answers;
    int requests;
    char method[8];
    char url[512];
};

static int fake_request(void *self, const struct http_request *req, struct http_response *resp,
                        struct error *err)
{
    struct fake *f = self;
    const struct answer *a = f->answers;

    f->requests++;
    (void)snprintf(f->method, sizeof(f->method), "%s", req->method);
    (void)snprintf(f->url, sizeof(f->url), "%s", req->url);
    if (f->answers[1].status)
        f->answers++;
    if (!a->status)
        return error_set(err, ERR_REMOTE, "%s registry.test: connection refused", req->method);
    resp->status = a->status;
    for (int i = 0; i < 3 && a->headers[i]; i++)
        argv_push1(&resp->headers, a->headers[i]);
    buf_adds(&resp->body, a->body ? a->body : "");
    return 0;
}

/* The digest of JSON. */
static const char *json_digest(void)
{
    static char digest[REGISTRY_DIGEST] = "sha256:";

    digest_sha256_hex(JSON, strlen(JSON), digest + 7);
    return digest;
}

#define ZEROS "sha256:0000000000000000000000000000000000000000000000000000000000000000"

static int get(struct fake *f, const char *repository, const char *reference,
               enum registry_presence *ret_presence, struct error *err)
{
    struct http http = {.request = fake_request, .self = f};
    struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};
    struct registry_manifest m = {.size = 77};
    int result = registry_get_manifest(&r, repository, reference, ret_presence, &m, err);

    if (result == 0 && *ret_presence == REGISTRY_PRESENT)
        registry_manifest_release(&m);
    else
        assert_int_equal(m.size, 77);
    return result;
}

static void test_a_good_answer_is_taken_and_the_url_is_right(void **state)
{
    const struct answer answers[] = {{200, {"content-type: " OCI_INDEX}, JSON}, {0}};
    struct fake f = {.answers = answers};
    struct error err = ERROR_INIT;
    enum registry_presence presence;

    (void)state;
    if (get(&f, REPO, json_digest(), &presence, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_string_equal(f.method, "GET");
    assert_true(text_starts(f.url, "http://registry.test/v2/team/agent/demo/manifests/sha256:"));
}

static void test_every_wrong_answer_is_remote_and_says_what_was_wrong(void **state)
{
    static const struct {
        struct answer answer;
        const char *reference;
        const char *part;
    } table[] = {
        {{200, {"content-type: " OCI_INDEX, "docker-content-digest: " ZEROS}, JSON},
         "latest",
         "the registry says " ZEROS ", but sent sha256:"},
        {{200, {"content-type: " OCI_INDEX, "docker-content-digest: sha512:00"}, JSON},
         "latest",
         "names another digest"},
        {{200, {"content-type: " OCI_INDEX}, JSON}, ZEROS, "the registry sent sha256:"},
        {{200, {"content-type: text/html"}, "<html>"}, "latest", "not a manifest"},
        {{200, {"content-type: " OCI_MANIFEST}, JSON}, "latest", "not a manifest"},
        {{500, {NULL}, "oops"}, "latest", "HTTP 500"},
        {{503, {NULL}, NULL}, "latest", "HTTP 503"},
        {{429, {NULL}, "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down\"}]}"},
         "latest",
         "HTTP 429 TOOMANYREQUESTS: slow down"},
        {{401, {NULL}, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"log in\"}]}"},
         "latest",
         "HTTP 401 UNAUTHORIZED: log in"},
        {{302, {"location: http://elsewhere/"}, NULL}, "latest", "HTTP 302"},
        {{204, {NULL}, NULL}, "latest", "HTTP 204"},
        {{0}, "latest", "connection refused"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct answer answers[] = {table[i].answer, {0}};
        struct fake f = {.answers = answers};
        struct error err = ERROR_INIT;
        enum registry_presence presence;

        if (get(&f, REPO, table[i].reference, &presence, &err) == 0)
            fail_msg("row %zu is taken", i);
        assert_int_equal(err.kind, ERR_REMOTE);
        if (!text_starts(err.msg, "read the manifest of " REPO) || !strstr(err.msg, table[i].part))
            fail_msg("row %zu: %s", i, err.msg);
        assert_int_equal(f.requests, 1);
    }
}

static void test_404_is_absent_whatever_it_says(void **state)
{
    const struct answer answers[] = {{404, {NULL}, "<html>"}, {0}};
    struct fake f = {.answers = answers};
    struct error err = ERROR_INIT;
    enum registry_presence presence;

    (void)state;
    assert_int_equal(get(&f, REPO, "latest", &presence, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
}

static int head(struct fake *f, enum registry_presence *ret_presence, char ret[REGISTRY_DIGEST],
                struct error *err)
{
    struct http http = {.request = fake_request, .self = f};
    struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};

    return registry_head_manifest(&r, REPO, "latest", ret_presence, ret, err);
}

static void test_a_digest_is_told_by_headers_alone(void **state)
{
    const struct answer there[] = {{200, {"docker-content-digest: " ZEROS}, NULL}, {0}};
    const struct answer absent[] = {{404, {NULL}, NULL}, {0}};
    struct fake f = {.answers = there};
    struct error err = ERROR_INIT;
    enum registry_presence presence = REGISTRY_ABSENT;
    char digest[REGISTRY_DIGEST] = "";

    (void)state;
    assert_int_equal(head(&f, &presence, digest, &err), 0);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_string_equal(digest, ZEROS);
    assert_string_equal(f.method, "HEAD");
    assert_string_equal(f.url, "http://registry.test/v2/team/agent/demo/manifests/latest");
    f = (struct fake){.answers = absent};
    assert_int_equal(head(&f, &presence, digest, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
}

static void test_a_digest_that_is_not_told_is_an_error_after_one_request(void **state)
{
    static const struct {
        struct answer answer;
        const char *part;
    } table[] = {
        {{200, {NULL}, NULL}, "does not say its digest"},
        {{200, {"docker-content-digest: sha512:00"}, NULL}, "does not say its digest"},
        {{401, {NULL}, NULL}, "HTTP 401"},
        {{302, {"location: http://elsewhere/"}, NULL}, "HTTP 302"},
        {{503, {NULL}, NULL}, "HTTP 503"},
        {{0}, "connection refused"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct answer answers[] = {table[i].answer, {0}};
        struct fake f = {.answers = answers};
        struct error err = ERROR_INIT;
        enum registry_presence presence;
        char digest[REGISTRY_DIGEST];

        assert_int_equal(head(&f, &presence, digest, &err), -1);
        assert_int_equal(err.kind, ERR_REMOTE);
        if (!strstr(err.msg, table[i].part))
            fail_msg("row %zu: %s", i, err.msg);
        assert_int_equal(f.requests, 1);
    }
}

static void test_a_name_that_is_no_name_never_reaches_the_network(void **state)
{
    static const char *const table[][2] = {
        {"../admin", "latest"},
        {"a/../../b", "latest"},
        {"a?b=c", "latest"},
        {"", "latest"},
        {"A", "latest"},
        {REPO, "a/b"},
        {REPO, ""},
        {REPO, "x?y"},
        {REPO, "sha256:12"},
        {REPO, "-x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct answer answers[] = {{404, {NULL}, NULL}, {0}};
        struct fake f = {.answers = answers};
        struct error err = ERROR_INIT;
        enum registry_presence presence;

        assert_int_equal(get(&f, table[i][0], table[i][1], &presence, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_int_equal(f.requests, 0);
    }
}

static int tag(struct fake *f, const char *name, struct error *err)
{
    struct http http = {.request = fake_request, .self = f};
    struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};
    struct registry_manifest m = {.media_type = OCI_INDEX, .body = BUF_INIT(1000)};
    int result;

    buf_adds(&m.body, JSON);
    (void)snprintf(m.digest, sizeof(m.digest), "%s", json_digest());
    result = registry_tag(&r, REPO, &m, name, err);
    registry_manifest_release(&m);
    return result;
}

static void test_a_tag_that_does_not_read_back_is_an_error(void **state)
{
    static const struct answer absent[] = {{201, {NULL}, NULL}, {404, {NULL}, NULL}, {0}};
    static const struct answer other[] = {
        {201, {NULL}, NULL}, {200, {"content-type: " OCI_INDEX}, " " JSON}, {0}};
    static const struct answer good[] = {
        {201, {NULL}, NULL}, {200, {"content-type: " OCI_INDEX}, JSON}, {0}};
    static const struct answer refused[] = {{400, {NULL}, NULL}, {0}};
    static const struct {
        const struct answer *answers;
        const char *part;
    } table[] = {
        {absent, "does not know it"}, {other, "the tag names sha256:"}, {refused, "HTTP 400"}};
    struct fake f = {.answers = good};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(tag(&f, "v1", &err), 0);
    assert_int_equal(f.requests, 2);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        f = (struct fake){.answers = table[i].answers};
        assert_int_equal(tag(&f, "v1", &err), -1);
        assert_int_equal(err.kind, ERR_REMOTE);
        assert_non_null(strstr(err.msg, table[i].part));
    }
    f = (struct fake){.answers = good};
    assert_int_equal(tag(&f, json_digest(), &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_int_equal(f.requests, 0);
}

static void test_a_delete_that_is_not_allowed_is_told(void **state)
{
    const struct answer answers[] = {{405, {NULL}, "{\"errors\":[{\"code\":\"UNSUPPORTED\"}]}"},
                                     {0}};
    struct fake f = {.answers = answers};
    struct http http = {.request = fake_request, .self = &f};
    struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(registry_delete_manifest(&r, REPO, ZEROS, &err), -1);
    assert_string_equal(err.msg, "delete " REPO "@" ZEROS ": HTTP 405 UNSUPPORTED");
    assert_int_equal(registry_delete_manifest(&r, REPO, "latest", &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_int_equal(f.requests, 1);
}

static void test_only_a_registry_passes_for_one(void **state)
{
    static const struct {
        struct answer answer;
        int result;
    } table[] = {
        {{200, {"docker-distribution-api-version: registry/2.0"}, "{}"}, 0},
        {{200, {NULL}, "{}"}, 0},
        {{200, {"content-type: text/html"}, "<html>welcome</html>"}, -1},
        {{200, {NULL}, ""}, -1},
        {{404, {NULL}, "{}"}, -1},
        {{401, {"docker-distribution-api-version: registry/2.0"}, "{}"}, -1},
        {{0}, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct answer answers[] = {table[i].answer, {0}};
        struct fake f = {.answers = answers};
        struct http http = {.request = fake_request, .self = &f};
        struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};
        struct error err = ERROR_INIT;

        if (registry_ping(&r, &err) != table[i].result)
            fail_msg("row %zu: %s", i, err.msg);
        assert_string_equal(f.url, "http://registry.test/v2/");
    }
}

static int put_blob(struct fake *f, struct error *err)
{
    struct http http = {.request = fake_request, .self = f};
    struct registry r = {.url = "http://registry.test", .http = &http, .tries = 1};

    return registry_put_blob(&r, REPO, ZEROS, -1, 0, err);
}

static void test_nothing_is_sent_to_another_host_than_the_registrys(void **state)
{
    static const char *const locations[] = {
        "location: http://elsewhere.test/v2/x",
        "location: http://registry.test.elsewhere.test/v2/x",
        "location: http://registry.test@elsewhere.test/v2/x",
        "location: http://registry.test:81/v2/x",
        "location: https://registry.test/v2/x",
        "location: //elsewhere.test/v2/x",
        "location: http:/\\elsewhere.test/v2/x",
        "location: /\\elsewhere.test/v2/x",
        "location: elsewhere",
        "location: file:///etc/passwd",
        "location: /v2/ x",
        "location: /v2/x#y",
        "location: ",
        "x: y",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
        const struct answer answers[] = {{202, {locations[i]}, NULL}, {201, {NULL}, NULL}, {0}};
        struct fake f = {.answers = answers};
        struct error err = ERROR_INIT;

        if (put_blob(&f, &err) == 0)
            fail_msg("%s is followed", locations[i]);
        assert_int_equal(err.kind, ERR_REMOTE);
        assert_int_equal(f.requests, 1);
    }
}

static void test_a_location_is_kept_as_it_is_and_gets_the_digest(void **state)
{
    static const char *const table[][2] = {
        {"location: http://registry.test/a/b?_state=x%3D", "/a/b?_state=x%3D&digest=" ZEROS},
        {"location: HTTP://Registry.Test/a", "/a?digest=" ZEROS},
        {"location: /up/1", "/up/1?digest=" ZEROS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct answer answers[] = {{202, {table[i][0]}, NULL}, {201, {NULL}, NULL}, {0}};
        struct fake f = {.answers = answers};
        struct error err = ERROR_INIT;

        if (put_blob(&f, &err) < 0)
            fail_msg("%s", err.msg);
        assert_string_equal(f.method, "PUT");
        assert_true(text_ends(f.url, table[i][1]));
    }
}

static void test_another_digest_in_the_answer_is_an_error(void **state)
{
    static const char other[] = "docker-content-digest: sha256:"
                                "1111111111111111111111111111111111111111111111111111111111111111";
    const struct answer answers[] = {{202, {"location: /up/1"}, NULL}, {201, {other}, NULL}, {0}};
    struct fake f = {.answers = answers};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(put_blob(&f, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, "the registry says sha256:1111"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_answer_is_taken_and_the_url_is_right),
        cmocka_unit_test(test_every_wrong_answer_is_remote_and_says_what_was_wrong),
        cmocka_unit_test(test_404_is_absent_whatever_it_says),
        cmocka_unit_test(test_a_digest_is_told_by_headers_alone),
        cmocka_unit_test(test_a_digest_that_is_not_told_is_an_error_after_one_request),
        cmocka_unit_test(test_a_name_that_is_no_name_never_reaches_the_network),
        cmocka_unit_test(test_a_tag_that_does_not_read_back_is_an_error),
        cmocka_unit_test(test_a_delete_that_is_not_allowed_is_told),
        cmocka_unit_test(test_only_a_registry_passes_for_one),
        cmocka_unit_test(test_nothing_is_sent_to_another_host_than_the_registrys),
        cmocka_unit_test(test_a_location_is_kept_as_it_is_and_gets_the_digest),
        cmocka_unit_test(test_another_digest_in_the_answer_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
