/* Sandboxes, agents, functions and jobs: one behaviour under four names. */
#include "fixture.h"

#include <string.h>

static const char *const plurals[] = {"sandboxes", "agents", "functions", "jobs"};

/* As `bl deploy` and the SDKs send them (PROTOCOL.md 2.2, 3.1). */
#define BODY                                                                                       \
    "{\"metadata\":{\"name\":\"r1\",\"labels\":{\"x-blaxel-auto-generated\":\"true\"},"            \
    "\"ours\":[1]},\"spec\":{\"region\":\"us-pdx-1\",\"later\":{\"a\":null},\"runtime\":"          \
    "{\"memory\":2048,\"envs\":[{\"name\":\"A\",\"value\":\"1\"}],\"ports\":[{\"name\":\"web\","   \
    "\"protocol\":\"tcp\",\"target\":3000}]}}}"

static struct reply *ask_kind(struct fixture *f, const char *method, const char *plural,
                              const char *rest, const char *body)
{
    char target[256];

    (void)snprintf(target, sizeof(target), "/v0/%s%s", plural, rest);
    return ask(f, method, target, body);
}

static void test_each_kind_is_made_changed_shown_and_deleted(void **state)
{
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < 4; i++) {
        const char *kind = plurals[i];
        char error[64];
        struct reply *r;

        (void)snprintf(error, sizeof(error), "%s r1 not found", kind);
        assert_error(ask_kind(f, "PUT", kind, "/r1?upload=true", BODY), 404, error);
        r = ask_kind(f, "POST", kind, "?upload=true", BODY);
        assert_int_equal(r->status, 200);
        assert_string_equal(text_at(r, "status"), "UPLOADING");
        assert_string_equal(text_at(r, "metadata.name"), "r1");
        assert_non_null(upload_target(r));
        r = ask_kind(f, "PUT", kind, "/r1?upload=true", BODY);
        assert_int_equal(r->status, 200);
        assert_non_null(upload_target(r));
        assert_string_equal(text_at(ask_kind(f, "GET", kind, "/r1", NULL), "status"), "UPLOADING");
        assert_string_equal(text_at(ask_kind(f, "GET", kind, "", NULL), "data.0.metadata.name"),
                            "r1");
        r = ask_kind(f, "DELETE", kind, "/r1", NULL);
        assert_int_equal(r->status, 200);
        assert_string_equal(text_at(r, "status"), "DELETING");
        assert_error(ask_kind(f, "GET", kind, "/r1", NULL), 404, error);
        assert_error(ask_kind(f, "DELETE", kind, "/r1", NULL), 404, error);
    }
}

static void test_unknown_fields_are_kept(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)ask(f, "POST", "/v0/agents?upload=true", BODY);
    r = ask(f, "GET", "/v0/agents/r1", NULL);
    assert_int_equal(json_integer_value(at(r, "metadata.ours.0")), 1);
    assert_true(json_is_null(at(r, "spec.later.a")));
    assert_string_equal(text_at(r, "spec.runtime.ports.0.protocol"), "tcp");
    assert_string_equal(text_at(r, "metadata.labels.x-blaxel-auto-generated"), "true");
    assert_true(json_is_array(at(r, "events")));
    assert_null(at(r, "spec.runtime.image"));
}

static void test_the_server_owns_some_metadata(void **state)
{
    static const char body[] =
        "{\"metadata\":{\"name\":\"r1\",\"workspace\":\"globex\",\"createdAt\":\"1970\","
        "\"updatedAt\":\"1970\",\"createdBy\":\"root\",\"url\":\"http://evil\",\"plan\":\"gold\"}}";
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/jobs", body);

    assert_string_equal(text_at(r, "metadata.workspace"), "acme");
    assert_string_equal(text_at(r, "metadata.createdAt"), "2026-01-01T00:00:00.000000000Z");
    assert_string_equal(text_at(r, "metadata.createdBy"), "ci");
    assert_string_equal(text_at(r, "metadata.url"), "http://" HOST "/v0/jobs/r1");
    assert_null(at(r, "metadata.plan"));
    f->now += NS_PER_SEC;
    r = ask(f, "PUT", "/v0/jobs/r1", body);
    assert_string_equal(text_at(r, "metadata.createdAt"), "2026-01-01T00:00:00.000000000Z");
    assert_string_equal(text_at(r, "metadata.updatedAt"), "2026-01-01T00:00:01.000000000Z");
}

static void test_the_creator_stays_when_another_key_changes_it(void **state)
{
    struct fixture *f = fixture_of(state);
    char text[API_KEY_TEXT];
    struct api_key key;
    struct error err;
    struct reply *r;

    assert_int_equal(
        state_key_create(
            f->config.state,
            &(struct key_draft){.workspace = "acme", .label = "laptop", .role = ROLE_ADMIN}, text,
            &key, &err),
        0);
    (void)ask(f, "POST", "/v0/jobs", "{\"metadata\":{\"name\":\"r1\"}}");
    r = ask_as(f, text, "PUT", "/v0/jobs/r1", "{}");
    assert_string_equal(text_at(r, "metadata.createdBy"), "ci");
    assert_string_equal(text_at(r, "metadata.updatedBy"), "laptop");
}

static void test_a_second_post_is_a_conflict_that_is_not_retried(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)ask(f, "POST", "/v0/sandboxes?upload=true", BODY);
    /* The husk of an upload that never came does not block. */
    r = ask(f, "POST", "/v0/sandboxes?upload=true", BODY);
    assert_int_equal(r->status, 200);
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    r = ask(f, "POST", "/v0/sandboxes?upload=true", BODY);
    assert_error(r, 409, "sandbox_already_exists");
    assert_string_equal(api_response_find(&r->resp, "x-should-retry"), "false");
    assert_null(api_response_find(&r->resp, "X-Blaxel-Upload-Url"));
    r = ask(f, "POST", "/v0/sandboxes?createIfNotExist=true", BODY);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "status"), "BUILDING");
}

static void test_without_upload_nothing_is_built(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/sandboxes",
                          "{\"metadata\":{\"name\":\"r1\"},\"spec\":{\"runtime\":{\"image\":"
                          "\"sandbox/base:latest\"}}}");

    assert_int_equal(r->status, 200);
    assert_null(api_response_find(&r->resp, "X-Blaxel-Upload-Url"));
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    assert_string_equal(text_at(r, "spec.runtime.image"), "sandbox/base:latest");
}

static void test_registry_credentials_are_not_stored(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r =
        ask(f, "POST", "/v0/sandboxes",
            "{\"metadata\":{\"name\":\"r1\"},\"spec\":{\"runtime\":{\"image\":\"a.b/c\","
            "\"dockerConfig\":\"{\\\"auths\\\":{}}\"}}}");

    assert_int_equal(r->status, 200);
    assert_null(strstr(r->text, "dockerConfig"));
    assert_null(strstr(ask(f, "GET", "/v0/sandboxes/r1", NULL)->text, "dockerConfig"));
}

/* PROTOCOL.md 2.6 */
#define WITH_IMAGE(name, rest)                                                                     \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"runtime\":{\"image\":" rest "}}}"

static void test_a_registrys_image_is_imported_for_the_resource(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(buf_release) struct buf credentials = BUF_INIT(1000);
    struct error err = ERROR_INIT;
    struct reply *r = ask(f, "POST", "/v0/sandboxes",
                          WITH_IMAGE("r1", "\"docker.io/a/b:v2\",\"dockerConfig\":\"{\\\"auths\\\":"
                                           "{\\\"docker.io\\\":{\\\"auth\\\":\\\"dTpw\\\"}}}\""));
    struct build b;

    assert_int_equal(r->status, 200);
    assert_null(strstr(r->text, "dTpw"));
    assert_string_equal(text_at(r, "status"), "BUILDING");
    b = claim(f);
    assert_string_equal(b.source, "docker://docker.io/a/b:v2");
    assert_int_equal(credentials_read(f->credentials_dir, b.id, &credentials, &err), 0);
    assert_non_null(strstr(buf_str(&credentials), "dTpw"));
    succeed(f, &b);
    r = ask(f, "PUT", "/v0/sandboxes/r1",
            WITH_IMAGE("r1", "\"docker.io/a/b:v3\",\"skipBuild\":\"true\""));
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    assert_string_equal(text_at(r, "spec.runtime.image"), "docker.io/a/b:v3");
    r = ask(f, "PUT", "/v0/sandboxes/absent", WITH_IMAGE("absent", "\"docker.io/a/b:v3\""));
    assert_int_equal(r->status, 404);
}

static void test_what_is_no_image_is_told_in_the_sandboxes_form(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/sandboxes", WITH_IMAGE("r1", "\"docker.io/A b\""));

    assert_int_equal(r->status, 400);
    assert_string_equal(text_at(r, "code"), "INVALID_IMAGE");
    assert_string_equal(text_at(r, "details.requested_image"), "docker.io/A b");
    assert_int_equal(json_integer_value(at(r, "status_code")), 400);
    assert_non_null(text_at(r, "message"));
    assert_error(ask(f, "POST", "/v0/agents", WITH_IMAGE("r1", "\"docker.io/A b\"")), 400,
                 "INVALID_IMAGE");
}

static void test_a_body_that_breaks_a_rule_is_refused(void **state)
{
    static const struct {
        const char *body, *code;
    } cases[] = {
        {"{}", "invalid_name"},
        {"{\"metadata\":null}", "invalid_name"},
        {"{\"metadata\":{\"name\":null}}", "invalid_name"},
        {"{\"metadata\":{\"name\":\"UPPER\"}}", "invalid_name"},
        {"{\"metadata\":{\"name\":\"a b\"}}", "invalid_name"},
        {"{\"metadata\":{\"name\":\"-a\"}}", "invalid_name"},
        {"{\"metadata\":{\"name\":\"a--b\"}}", "invalid_name"},
        {"{\"metadata\":{\"name\":\"a23456789b123456789c123456789d123456789e123456789f\"}}",
         "invalid_name"},
        {"{\"metadata\":[]}", "invalid_body"},
        {"{\"metadata\":{\"name\":\"a\"},\"spec\":\"x\"}", "invalid_body"},
        {"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"runtime\":[]}}", "invalid_body"},
        {"{\"metadata\":{\"name\":\"a\",\"labels\":[]}}", "invalid_labels"},
        {"{\"metadata\":{\"name\":\"a\",\"labels\":{\"k\":true}}}", "invalid_labels"},
        {"{\"metadata\":{\"name\":\"a\",\"displayName\":7}}", "invalid_metadata"},
        {"{\"metadata\":{\"name\":\"a\",\"displayName\":\"0123456789012345678901234567890123456789"
         "012345678901234567890123\"}}",
         "invalid_metadata"},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(ask(f, "POST", "/v0/agents?upload=true", cases[i].body), 400, cases[i].code);
    assert_int_equal(json_integer_value(at(ask(f, "GET", "/v0/agents", NULL), "meta.total")), 0);
}

static void test_a_name_cannot_be_changed(void **state)
{
    struct fixture *f = fixture_of(state);

    (void)ask(f, "POST", "/v0/agents", "{\"metadata\":{\"name\":\"a\"}}");
    assert_error(ask(f, "PUT", "/v0/agents/a", "{\"metadata\":{\"name\":\"b\"}}"), 400,
                 "invalid_name");
    assert_int_equal(ask(f, "PUT", "/v0/agents/a", "{}")->status, 200);
}

/* PROTOCOL.md 2.10: the scripts of the documentation, with and without apiVersion and kind. */
static void test_the_documentations_scripts_are_answered(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r =
        ask(f, "POST", "/v0/sandboxes?upload=true",
            "{\"apiVersion\":\"blaxel.ai/v1alpha1\",\"kind\":\"Sandbox\",\"metadata\":"
            "{\"name\":\"demo\"},\"spec\":{\"runtime\":{\"memory\":2048},\"region\":"
            "\"us-pdx-1\"}}");

    assert_int_equal(r->status, 200);
    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    assert_string_equal(text_at(ask(f, "GET", "/v0/sandboxes/demo", NULL), "status"), "BUILDING");
}

static void make_jobs(struct fixture *f, int n)
{
    char body[64];

    for (int i = 0; i < n; i++) {
        (void)snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"j%d\"}}", i);
        assert_int_equal(ask(f, "POST", "/v0/jobs", body)->status, 200);
    }
}

static void test_lists_come_in_pages(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    make_jobs(f, 5);
    r = ask(f, "GET", "/v0/jobs?limit=2", NULL);
    assert_int_equal(json_array_size(at(r, "data")), 2);
    assert_true(json_is_true(at(r, "meta.hasMore")));
    assert_string_equal(text_at(r, "meta.nextCursor"), "j1");
    assert_int_equal(json_integer_value(at(r, "meta.total")), 5);
    r = ask(f, "GET", "/v0/jobs?limit=2&cursor=j1", NULL);
    assert_string_equal(text_at(r, "data.0.metadata.name"), "j2");
    r = ask(f, "GET", "/v0/jobs?limit=2&cursor=j3", NULL);
    assert_int_equal(json_array_size(at(r, "data")), 1);
    assert_true(json_is_false(at(r, "meta.hasMore")));
    assert_string_equal(text_at(r, "meta.nextCursor"), "");
    assert_int_equal(json_array_size(at(ask(f, "GET", "/v0/jobs?limit=0", NULL), "data")), 0);
    assert_error(ask(f, "GET", "/v0/jobs?limit=-1", NULL), 400, "invalid_request");
    f->headers[API_HEADER_VERSION] = "2026-04-16";
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/jobs", NULL)->json), 5);
}

/* The names of all pages of two: "a,b|c". */
static void check_pages(struct fixture *f, const char *query, const char *expected, int total)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(1000);
    char cursor[100] = "";
    struct reply *r;
    const json_t *one;
    size_t i;

    do {
        char target[300];

        (void)snprintf(target, sizeof(target), "/v0/agents?limit=2&%s&cursor=%s", query, cursor);
        r = ask(f, "GET", target, NULL);
        assert_int_equal(r->status, 200);
        assert_int_equal(json_integer_value(at(r, "meta.total")), total);
        json_array_foreach (at(r, "data"), i, one)
            buf_addf(&all, "%s%s",
                     i         ? ","
                     : *cursor ? "|"
                               : "",
                     json_string_value(json_object_get(json_object_get(one, "metadata"), "name")));
        (void)snprintf(cursor, sizeof(cursor), "%s", text_at(r, "meta.nextCursor"));
    } while (json_is_true(at(r, "meta.hasMore")));
    assert_string_equal(cursor, "");
    assert_string_equal(buf_str(&all), expected);
}

static void make_agent(struct fixture *f, const char *metadata, const char *query)
{
    char body[400], target[64];

    f->now += NS_PER_SEC;
    (void)snprintf(body, sizeof(body), "{\"metadata\":{%s}}", metadata);
    (void)snprintf(target, sizeof(target), "/v0/agents%s", query);
    assert_int_equal(ask(f, "POST", target, body)->status, 200);
}

static void test_lists_are_searched_and_sorted(void **state)
{
    static const struct {
        const char *query, *expected;
        int total;
    } cases[] = {
        {"sort=name:asc", "bee,cat|dog,eel", 4},
        {"sort=name:desc", "eel,dog|cat,bee", 4},
        {"sort=createdAt:asc", "dog,bee|eel,cat", 4},
        {"sort=createdAt:desc", "cat,eel|bee,dog", 4},
        {"q=EE", "bee,eel", 2},
        {"q=e", "bee,cat|dog,eel", 4}, /* too short to be a search */
        {"q=kitty", "cat", 1},
        {"q=core", "bee", 1},
        {"q=team", "bee,dog", 2},
        {"q=nothing", "", 0},
        {"externalId=ours-7", "cat,dog", 2},
        {"externalId=ours", "", 0},
        {"externalId=ours-7&q=kit", "cat", 1},
        {"status=UPLOADING", "eel", 1},
        {"status=DEPLOYED,FAILED", "bee,cat|dog", 3},
        {"status=DEPLOYED&sort=createdAt:desc", "cat,bee|dog", 3},
        {"status=TERMINATED", "", 0},
        {"status=failed,Uploading", "eel", 1},
        {"anchor=end&sort=createdAt:asc", "eel,cat", 4},
        {"anchor=end&sort=createdAt:desc", "bee,dog", 4},
        {"anchor=end", "bee,dog", 4},
        {"anchor=end&status=DEPLOYED", "bee,dog", 3},
        {"showTerminated=true", "bee,cat|dog,eel", 4},
    };
    struct fixture *f = fixture_of(state);

    make_agent(f, "\"name\":\"dog\",\"externalId\":\"ours-7\",\"labels\":{\"Team\":\"ml\"}", "");
    make_agent(f, "\"name\":\"bee\",\"labels\":{\"team\":\"Core\"}", "");
    make_agent(f, "\"name\":\"eel\"", "?upload=true");
    make_agent(f, "\"name\":\"cat\",\"externalId\":\"ours-7\",\"displayName\":\"Kitty\"", "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_pages(f, cases[i].query, cases[i].expected, cases[i].total);
    assert_error(ask(f, "GET", "/v0/agents?sort=size", NULL), 400, "invalid_sort");
    assert_error(ask(f, "GET", "/v0/agents?status=DEPLOYED,FINE", NULL), 400, "invalid_status");
    assert_error(ask(f, "GET", "/v0/agents?sort=createdAt:asc&cursor=dog", NULL), 400,
                 "invalid_cursor");
    assert_error(ask(f, "GET", "/v0/agents?anchor=end&sort=name:asc", NULL), 400, "invalid_anchor");
    assert_error(ask(f, "GET", "/v0/agents?anchor=start", NULL), 400, "invalid_anchor");
    (void)ask(f, "POST", "/v0/sandboxes", "{\"metadata\":{\"name\":\"box\"}}");
    f->headers[API_HEADER_VERSION] = "2026-04-16";
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/agents?q=eel", NULL)->json), 4);
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/agents?status=FAILED", NULL)->json), 4);
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/sandboxes?status=FAILED", NULL)->json), 0);
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/sandboxes?status=deployed", NULL)->json),
                     1);
    assert_error(ask(f, "GET", "/v0/agents?status=FINE", NULL), 400, "invalid_status");
}

static void test_a_resource_is_found_by_its_owners_name_for_it(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    make_agent(f, "\"name\":\"dog\",\"externalId\":\"ours 7\"", "");
    r = ask(f, "GET", "/v0/agents/by-external-id/ours%207", NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.name"), "dog");
    assert_error(ask(f, "GET", "/v0/agents/by-external-id/ours", NULL), 404,
                 "external id not found");
    assert_error(ask(f, "GET", "/v0/jobs/by-external-id/ours%207", NULL), 404,
                 "external id not found");
    assert_error(ask_as(f, f->other_key, "GET", "/v0/agents/by-external-id/ours%207", NULL), 404,
                 "external id not found");
}

static void test_unknown_fields_beside_metadata_and_spec_are_kept(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(buf_release) struct buf large = BUF_INIT(1 << 16);
    struct reply *r =
        ask(f, "POST", "/v0/agents",
            "{\"apiVersion\":\"blaxel.ai/v1alpha1\",\"kind\":\"Agent\",\"x\":{\"y\":[1]},"
            "\"status\":\"FAILED\",\"events\":[1],\"metadata\":{\"name\":\"a\"}}");

    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "apiVersion"), "blaxel.ai/v1alpha1");
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    r = ask(f, "PUT", "/v0/agents/a",
            "{\"spec\":{\"public\":true}}"); /* a client that knows none */
    assert_string_equal(text_at(r, "kind"), "Agent");
    r = ask(f, "PUT", "/v0/agents/a", "{\"kind\":null,\"x\":{\"z\":2},\"new\":false}");
    assert_int_equal(r->status, 200);
    r = ask(f, "GET", "/v0/agents/a", NULL);
    assert_null(at(r, "kind"));
    assert_string_equal(text_at(r, "apiVersion"), "blaxel.ai/v1alpha1");
    assert_int_equal(json_integer_value(at(r, "x.z")), 2);
    assert_null(at(r, "x.y"));
    assert_true(json_is_false(at(r, "new")));
    assert_true(json_is_array(at(r, "events")));
    assert_string_equal(text_at(ask(f, "GET", "/v0/agents", NULL), "data.0.apiVersion"),
                        "blaxel.ai/v1alpha1");
    assert_int_equal(
        ask(f, "POST", "/v0/volumes", "{\"note\":\"n\",\"metadata\":{\"name\":\"v\"}}")->status,
        200);
    assert_string_equal(text_at(ask(f, "GET", "/v0/volumes/v", NULL), "note"), "n");

    buf_adds(&large, "{\"x\":\"");
    for (int i = 0; i < 20000; i++)
        buf_addc(&large, 'x');
    buf_adds(&large, "\"}");
    assert_error(ask(f, "PUT", "/v0/agents/a", buf_str(&large)), 400, "too_many_fields");
    assert_int_equal(json_integer_value(at(ask(f, "GET", "/v0/agents/a", NULL), "x.z")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_unknown_fields_beside_metadata_and_spec_are_kept),
        TEST(test_each_kind_is_made_changed_shown_and_deleted),
        TEST(test_unknown_fields_are_kept),
        TEST(test_the_server_owns_some_metadata),
        TEST(test_the_creator_stays_when_another_key_changes_it),
        TEST(test_a_second_post_is_a_conflict_that_is_not_retried),
        TEST(test_without_upload_nothing_is_built),
        TEST(test_registry_credentials_are_not_stored),
        TEST(test_a_registrys_image_is_imported_for_the_resource),
        TEST(test_what_is_no_image_is_told_in_the_sandboxes_form),
        TEST(test_a_body_that_breaks_a_rule_is_refused),
        TEST(test_a_name_cannot_be_changed),
        TEST(test_the_documentations_scripts_are_answered),
        TEST(test_lists_come_in_pages),
        TEST(test_lists_are_searched_and_sorted),
        TEST(test_a_resource_is_found_by_its_owners_name_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
