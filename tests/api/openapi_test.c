/* GET /v0/openapi.json and the table of routes say the same.  That answers are as it says is tested
 * by every other test: fixture.c. */
#include "described.h"
#include "fixture.h"

#include <ctype.h>
#include <string.h>

#include "api/route.h"
#include "base/fs.h"

#define PATH_SIZE 256 /* bytes of a method and a path */

/* ---- routes and paths ---- */

static json_t *operation_of(struct fixture *f, const char *method, const char *path)
{
    char lower[16];
    size_t i;

    for (i = 0; method[i]; i++)
        lower[i] = (char)tolower((unsigned char)method[i]);
    lower[i] = '\0';
    return json_object_get(json_object_get(json_object_get(f->description, "paths"), path), lower);
}

static void check_route(struct fixture *f, const struct route *r, const char *path)
{
    const json_t *operation = operation_of(f, r->method, path);

    if (!operation)
        fail_msg("%s %s is not described", r->method, path);
    if (strchr(r->pattern, '{') == NULL)
        assert_string_equal(json_string_value(json_object_get(operation, "summary")), r->help);
}

static void test_every_route_is_described(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct kind *kind;

    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        const char *word = strstr(r->pattern, "{kind}");
        char path[PATH_SIZE];

        if (!word)
            check_route(f, r, r->pattern);
        for (size_t k = 0; word && (kind = api_kind_at(k)) != NULL; k++) {
            (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)(word - r->pattern), r->pattern,
                           kind->plural, word + strlen("{kind}"));
            check_route(f, r, path);
        }
    }
}

/* The route that answers has the summary, and asks for a key where the description says so. */
static void check_operation(const char *method, const char *path, const json_t *operation)
{
    struct api_response resp = API_RESPONSE_INIT;
    const struct api_config config = {.operators = false};
    struct api_request req = {.method = NULL};
    struct api_call c = {.config = &config, .req = &req, .resp = &resp};
    const json_t *keys = json_array_get(json_object_get(operation, "security"), 0);
    char upper[16];
    struct error err;
    size_t i;

    for (i = 0; method[i]; i++)
        upper[i] = (char)toupper((unsigned char)method[i]);
    upper[i] = '\0';
    req.method = upper;
    assert_int_equal(api_request_target(&req, path, &err), 0); /* {words} are names, too */
    if (!api_route_find(&c))
        fail_msg("%s %s is described, and no route", upper, path);
    assert_string_equal(json_string_value(json_object_get(operation, "summary")), c.route->help);
    assert_int_equal(json_object_get(keys, "key") != NULL, !c.route->open);
    api_request_release(&req);
    api_response_release(&resp);
}

static void test_everything_that_is_described_is_a_route(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *path, *method;
    json_t *item, *operation;
    size_t n = 0;

    json_object_foreach (json_object_get(f->description, "paths"), path, item)
        json_object_foreach (item, method, operation) {
            check_operation(method, path, operation);
            n++;
        }
    assert_true(n > api_routes_count);
}

static bool is_route(const char *key)
{
    for (size_t i = 0; i < api_routes_count; i++) {
        char known[PATH_SIZE];

        (void)snprintf(known, sizeof(known), "%s %s", api_routes[i].method, api_routes[i].pattern);
        if (strcmp(known, key) == 0)
            return true;
    }
    return false;
}

/* What is written for a route that is gone would never be seen. */
static void test_the_source_has_no_operation_too_many(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    char path[4096];
    json_auto_t *source = NULL;
    const char *key;
    json_t *unused;
    struct error err;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/api/openapi.json", getenv("KILN_SOURCE"));
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    source = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(source);
    json_object_foreach (json_object_get(source, "operations"), key, unused)
        if (!is_route(key))
            fail_msg("openapi.json describes %s, which is no route", key);
}

/* ---- the document ---- */

static void test_who_has_it_need_not_load_it_again(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct reply *r = ask_as(f, "", "GET", "/v0/openapi.json", NULL);
    const char *etag = api_response_find(&r->resp, "ETag");

    assert_non_null(etag);
    f->headers[API_HEADER_IF_NONE_MATCH] = etag;
    r = ask_as(f, "", "GET", "/v0/openapi.json", NULL);
    assert_int_equal(r->status, 304);
    assert_int_equal(r->resp.body.len, 0);
    f->headers[API_HEADER_IF_NONE_MATCH] = "\"0123456789abcdef\"";
    assert_int_equal(ask_as(f, "", "GET", "/v0/openapi.json", NULL)->status, 200);
}

static void check_references(const json_t *document, json_t *at)
{
    const char *name;
    json_t *member;
    size_t i;

    json_array_foreach (at, i, member)
        check_references(document, member);
    json_object_foreach (at, name, member) {
        if (strcmp(name, "$ref") == 0)
            assert_non_null(described_reference(document, at));
        check_references(document, member);
    }
}

static void test_every_reference_leads_somewhere(void **state)
{
    struct fixture *f = fixture_of(state);

    check_references(f->description, f->description);
}

static void test_no_two_operations_have_one_id(void **state)
{
    struct fixture *f = fixture_of(state);
    json_auto_t *seen = json_object();
    const char *path, *method;
    json_t *item, *operation;

    json_object_foreach (json_object_get(f->description, "paths"), path, item)
        json_object_foreach (item, method, operation) {
            const char *id = json_string_value(json_object_get(operation, "operationId"));

            assert_non_null(id);
            if (json_object_get(seen, id))
                fail_msg("%s %s has the id of another: %s", method, path, id);
            json_object_set_new(seen, id, json_true());
        }
}

static void test_the_description_needs_no_key(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    r = ask(f, "GET", "/v0/openapi.json", NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "openapi"), "3.1.0");
    assert_string_equal(text_at(r, "info.version"), KILN_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_has_it_need_not_load_it_again),
        TEST(test_every_route_is_described),
        TEST(test_everything_that_is_described_is_a_route),
        TEST(test_the_source_has_no_operation_too_many),
        TEST(test_every_reference_leads_somewhere),
        TEST(test_no_two_operations_have_one_id),
        TEST(test_the_description_needs_no_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
