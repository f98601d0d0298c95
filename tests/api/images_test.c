/* Images: asked for, shown, listed, deleted. */
#include "fixture.h"

#include <string.h>

#include "base/text.h"

#define REQUEST "{\"name\":\"my-sandbox-1\",\"resourceType\":\"sandbox\",\"generation\":\"mk3\"}"
#define IMAGE   "/v0/images/sandbox/my-sandbox-1"

static struct reply *request_build(struct fixture *f)
{
    return ask(f, "POST", "/v0/images?upload=true", REQUEST);
}

/* One build from request to success; its tag in tag. */
static void build_image(struct fixture *f, char tag[BUILD_TAG])
{
    struct build b;

    assert_int_equal(ask(f, "PUT", upload_target(request_build(f)), "PK")->status, 200);
    b = claim(f);
    memcpy(tag, b.tag, BUILD_TAG);
    succeed(f, &b);
    f->now += 20 * NS_PER_SEC;
}

static void test_a_build_is_announced_as_bl_push_reads_it(void **state)
{
    struct reply *r = request_build(fixture_of(state));

    assert_int_equal(r->status, 200);
    assert_string_equal(api_response_find(&r->resp, "Content-Type"), "application/json");
    assert_string_equal(text_at(r, "message"), "Image build initiated");
    assert_string_equal(text_at(r, "name"), "my-sandbox-1");
    assert_string_equal(text_at(r, "resourceType"), "sandbox");
    assert_true(text_starts(upload_target(r), "/uploads/acme/"));
}

#define IMPORT(image) "{\"name\":\"byimg\",\"resourceType\":\"sandbox\",\"image\":" image "}"
#define AUTHS         "{\\\"auths\\\":{\\\"docker.io\\\":{\\\"auth\\\":\\\"dTpw\\\"}}}"

static size_t kept(const struct fixture *f, const char *build, struct buf *out)
{
    struct error err = ERROR_INIT;

    assert_int_equal(credentials_read(f->credentials_dir, build, out, &err), 0);
    return out->len;
}

/* PROTOCOL.md 1.6 */
static void test_an_image_is_imported_by_its_reference(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(buf_release) struct buf credentials = BUF_INIT(1000);
    struct reply *r = ask(f, "POST", "/v0/images",
                          IMPORT("\"docker.io/myorg/myapp:v2\",\"dockerConfig\":\"" AUTHS "\""));
    struct build b;

    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "name"), "byimg");
    assert_string_equal(text_at(r, "resourceType"), "sandbox");
    assert_string_equal(text_at(r, "image"), "docker.io/myorg/myapp:v2");
    assert_true(json_is_true(at(r, "build")));
    assert_non_null(text_at(r, "message"));
    assert_null(api_response_find(&r->resp, "X-Blaxel-Upload-Url"));
    b = claim(f);
    assert_string_equal(b.source, "docker://docker.io/myorg/myapp:v2");
    assert_true(kept(f, b.id, &credentials) > 0);
    assert_non_null(strstr(buf_str(&credentials), "{\"docker.io\":{\"auth\":\"dTpw\"}}"));
    credentials_forget(f->credentials_dir, b.id);
    buf_clear(&credentials);
    assert_int_equal(kept(f, b.id, &credentials), 0);
    succeed(f, &b);
    r = ask(f, "GET", "/v0/images/sandbox/byimg", NULL);
    assert_string_equal(text_at(r, "metadata.status"), "BUILT");
}

static void test_an_image_without_a_dot_in_its_host_is_not_pulled(void **state)
{
    static const struct {
        const char *target, *body;
        bool pulled;
    } cases[] = {
        {"/v0/images", IMPORT("\"registry.example.com:5000/app:latest\""), true},
        {"/v0/images?skip-build=true", IMPORT("\"registry.example.com:5000/app:latest\""), false},
        {"/v0/images", IMPORT("\"sandbox/existing:latest\""), false},
        {"/v0/images", IMPORT("\"localhost:5000/app:latest\""), false},
        {"/v0/images", IMPORT("\"alpine:3.20\""), false},
        {"/v0/images", IMPORT("\"registry.test/acme/sandbox/app:latest\""), false}, /* ours */
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = ask(f, "POST", cases[i].target, cases[i].body);

        assert_int_equal(r->status, 200);
        assert_int_equal(json_is_true(at(r, "build")), cases[i].pulled);
        assert_non_null(text_at(r, "message"));
        if (cases[i].pulled) {
            struct build b = claim(f);

            succeed(f, &b);
        }
    }
}

static void test_what_cannot_be_built_is_refused(void **state)
{
    static const struct {
        const char *target, *body, *code;
    } cases[] = {
        {"/v0/images", REQUEST, "invalid_source"},
        {"/v0/images?upload=1", REQUEST, "invalid_source"},
        {"/v0/images", IMPORT("7"), "INVALID_IMAGE"},
        {"/v0/images", IMPORT("\"\""), "INVALID_IMAGE"},
        {"/v0/images", IMPORT("\"docker.io/A\""), "INVALID_IMAGE"},
        {"/v0/images", IMPORT("\"oci-archive:/etc/passwd\""), "INVALID_IMAGE"},
        {"/v0/images", IMPORT("\"docker.io/a\\nRUN x\""), "INVALID_IMAGE"},
        {"/v0/images", IMPORT("\"docker.io/a/b:v2\",\"dockerConfig\":{}"), "invalid_docker_config"},
        {"/v0/images", IMPORT("\"docker.io/a/b:v2\",\"dockerConfig\":\"no\""),
         "invalid_docker_config"},
        {"/v0/images", "{\"resourceType\":\"sandbox\",\"image\":\"docker.io/a/b\"}",
         "invalid_name"},
        {"/v0/images?upload=true", "{}", "invalid_resource_type"},
        {"/v0/images?upload=true", "{\"name\":\"a\",\"resourceType\":7}", "invalid_resource_type"},
        {"/v0/images?upload=true", "{\"name\":\"a\",\"resourceType\":\"volume-template\"}",
         "invalid_resource_type"},
        {"/v0/images?upload=true", "{\"name\":\"a\",\"resourceType\":\"sandboxes\"}",
         "invalid_resource_type"},
        {"/v0/images?upload=true", "{\"resourceType\":\"sandbox\"}", "invalid_name"},
        {"/v0/images?upload=true", "{\"name\":\"\",\"resourceType\":\"job\"}", "invalid_name"},
        {"/v0/images?upload=true", "{\"name\":\"My_Job\",\"resourceType\":\"job\"}",
         "invalid_name"},
        {"/v0/images?upload=true", "{\"name\":\"../x\",\"resourceType\":\"job\"}", "invalid_name"},
        {"/v0/images?upload=true",
         "{\"name\":\"a23456789b123456789c123456789d123456789e123456789f\",\"resourceType\":"
         "\"job\"}",
         "invalid_name"},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(ask(f, "POST", cases[i].target, cases[i].body), 400, cases[i].code);
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/images", NULL)->json), 0);
}

#define GIT "https://git.example/owner/repo.git#v1.2:api"

static void test_a_git_source_is_queued_without_an_upload(void **state)
{
    static const char *const bodies[] = {
        "{\"metadata\":{\"name\":\"demo\"},\"spec\":{\"source\":{\"git\":\"" GIT "\"}}}",
        "{\"metadata\":{\"name\":\"demo\",\"resourceType\":\"sandbox\"},"
        "\"spec\":{\"source\":{\"git\":\"" GIT "\"}}}",
        "{\"name\":\"demo\",\"resourceType\":\"sandbox\",\"spec\":{\"source\":{\"git\":\"" GIT
        "\"}}}",
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct reply *r = ask(f, "POST", "/v0/images", bodies[i]);
        struct build b;

        assert_int_equal(r->status, 200);
        assert_string_equal(text_at(r, "message"), "Image build initiated");
        assert_string_equal(text_at(r, "name"), "demo");
        assert_string_equal(text_at(r, "resourceType"), "sandbox");
        assert_string_equal(text_at(r, "source.git"), GIT);
        assert_null(api_response_find(&r->resp, "X-Blaxel-Upload-Url"));
        assert_string_equal(
            text_at(ask(f, "GET", "/v0/images/sandbox/demo", NULL), "metadata.status"), "BUILDING");
        b = claim(f);
        assert_string_equal(b.source, GIT);
        assert_string_equal(text_at(r, "tag"), b.tag);
        succeed(f, &b);
        f->now += 20 * NS_PER_SEC;
        assert_string_equal(
            text_at(ask(f, "GET", "/v0/images/sandbox/demo", NULL), "metadata.status"), "BUILT");
    }
}

static void test_a_build_without_the_cache_is_asked_for_in_the_body(void **state)
{
    static const struct {
        const char *flag;
        bool no_cache;
    } cases[] = {{"true", true}, {"false", false}};
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < 2; i++) {
        struct build b;
        char body[300];

        (void)snprintf(body, sizeof(body),
                       "{\"name\":\"demo\",\"noCache\":%s,\"spec\":{\"source\":{\"git\":\"" GIT
                       "\"}}}",
                       cases[i].flag);
        assert_int_equal(ask(f, "POST", "/v0/images", body)->status, 200);
        b = claim(f);
        assert_int_equal(b.no_cache, cases[i].no_cache);
        succeed(f, &b);
    }
    assert_error(ask(f, "POST", "/v0/images?upload=true",
                     "{\"name\":\"demo\",\"resourceType\":\"sandbox\",\"noCache\":\"yes\"}"),
                 400, "invalid_no_cache");
}

static void test_a_source_that_cannot_be_fetched_is_refused_at_once(void **state)
{
#define WITH(source) "{\"name\":\"a\",\"spec\":{\"source\":" source "}}"
    static const struct {
        const char *target, *body, *code;
    } cases[] = {
        {"/v0/images", WITH("{\"git\":\"file:///etc\"}"), "invalid_source"},
        {"/v0/images", WITH("{\"git\":\"git@h:o/r.git\"}"), "invalid_source"},
        {"/v0/images", WITH("{\"git\":\"https://u:p@h/r.git\"}"), "invalid_source"},
        {"/v0/images", WITH("{\"git\":\"/srv/r\"}"), "invalid_source"},
        {"/v0/images", WITH("{\"git\":\"https://h/r.git\\u0000x\"}"), "invalid_json"},
        {"/v0/images", WITH("{\"git\":7}"), "invalid_source"},
        {"/v0/images", WITH("{}"), "invalid_source"},
        {"/v0/images", WITH("\"https://h/r.git\""), "invalid_source"},
        {"/v0/images", WITH("null"), "invalid_source"},
        {"/v0/images?upload=true", WITH("{\"git\":\"https://h/r.git\"}"), "invalid_source"},
        {"/v0/images", "{\"spec\":{\"source\":{\"git\":\"https://h/r.git\"}}}", "invalid_name"},
        {"/v0/images",
         "{\"name\":\"a\",\"resourceType\":\"x\",\"spec\":{\"source\":{\"git\":\"https://h/"
         "r.git\"}}}",
         "invalid_resource_type"},
    };
    struct fixture *f = fixture_of(state);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply *r = ask(f, "POST", cases[i].target, cases[i].body);

        assert_error(r, 400, cases[i].code);
        assert_null(strstr(text_at(r, "message"), "u:p"));
    }
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/images", NULL)->json), 0);
}

static void test_a_repeated_request_hands_out_a_new_url(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *first = request_build(f);
    struct reply *second = request_build(f);

    assert_int_equal(second->status, 200);
    assert_string_not_equal(upload_target(first), upload_target(second));
    assert_error(ask(f, "PUT", upload_target(first), "PK"), 409, "upload_superseded");
    assert_int_equal(ask(f, "PUT", upload_target(second), "PK")->status, 200);
}

static void test_an_image_is_shown_with_all_its_fields(void **state)
{
    struct fixture *f = fixture_of(state);
    char tag[BUILD_TAG];
    struct reply *r;

    build_image(f, tag);
    r = ask(f, "GET", IMAGE, NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.name"), "my-sandbox-1");
    assert_string_equal(text_at(r, "metadata.resourceType"), "sandbox");
    assert_string_equal(text_at(r, "metadata.workspace"), "acme");
    assert_string_equal(text_at(r, "metadata.status"), "BUILT");
    assert_string_equal(text_at(r, "metadata.displayName"),
                        "registry.test/acme/sandbox/my-sandbox-1");
    assert_string_equal(text_at(r, "metadata.createdAt"), "2026-01-01T00:00:00.000000000Z");
    assert_non_null(text_at(r, "metadata.lastDeployedAt"));
    assert_true(json_array_size(at(r, "metadata.events")) > 0);
    assert_int_equal(json_integer_value(at(r, "spec.size")), 1234);
    assert_int_equal(json_array_size(at(r, "spec.tags")), 2);
    assert_int_equal(json_integer_value(at(r, "spec.tags.0.size")), 1234);
    assert_non_null(text_at(r, "spec.tags.0.createdAt"));
}

static void test_one_tag_can_be_shown(void **state)
{
    struct fixture *f = fixture_of(state);
    char target[128];
    char tag[BUILD_TAG];
    struct reply *r;

    build_image(f, tag);
    (void)snprintf(target, sizeof(target), IMAGE ":%s", tag);
    r = ask(f, "GET", target, NULL);
    assert_int_equal(json_array_size(at(r, "spec.tags")), 1);
    assert_string_equal(text_at(r, "spec.tags.0.name"), tag);
    assert_int_equal(ask(f, "GET", IMAGE "%3Alatest", NULL)->status, 200);
    assert_error(ask(f, "GET", IMAGE ":nope", NULL), 404, "image tag not found");
    assert_error(ask(f, "GET", IMAGE ":", NULL), 404, "image tag not found");
}

static void test_an_unknown_image_is_not_found(void **state)
{
    static const char *const targets[] = {
        "/v0/images/sandbox/none", "/v0/images/agent/my-sandbox-1", "/v0/images/zzz/my-sandbox-1",
        "/v0/images/sandbox/a%2Fb",
        "/v0/images/sandbox/a-name-that-is-far-longer-than-any-name-that-could-ever-be-given-here"};
    struct fixture *f = fixture_of(state);

    (void)request_build(f);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_error(ask(f, "GET", targets[i], NULL), 404, "image not found");
        assert_error(ask(f, "DELETE", targets[i], NULL), 404, "image not found");
    }
}

static void test_images_are_listed_bare(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)request_build(f);
    (void)ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"b\",\"resourceType\":\"agent\"}");
    (void)ask_as(f, f->other_key, "POST", "/v0/images?upload=true", REQUEST);
    r = ask(f, "GET", "/v0/images", NULL);
    assert_int_equal(json_array_size(r->json), 2);
    assert_string_equal(text_at(r, "0.metadata.resourceType"), "agent");
    assert_string_equal(text_at(r, "1.metadata.name"), "my-sandbox-1");
    assert_string_equal(text_at(r, "1.metadata.status"), "UPLOADING");
}

/* Walks a list by pages of `limit`; the names, with blanks between them, in names. */
static void walk(struct fixture *f, const char *list, const char *name, int limit, char names[256])
{
    char target[512] = "", cursor[200] = "";
    size_t len = 0;

    names[0] = '\0';
    do {
        struct reply *r;
        const json_t *data;

        (void)snprintf(target, sizeof(target), "%slimit=%d&cursor=%s", list, limit, cursor);
        r = ask(f, "GET", target, NULL);
        assert_int_equal(r->status, 200);
        data = at(r, "data");
        assert_in_range(json_array_size(data), 0, (size_t)limit);
        for (size_t i = 0; i < json_array_size(data); i++) {
            char path[64];

            (void)snprintf(path, sizeof(path), "data.%zu.%s", i, name);
            len += (size_t)snprintf(names + len, 256 - len, "%s ", text_at(r, path));
        }
        (void)snprintf(cursor, sizeof(cursor), "%s", text_at(r, "meta.nextCursor"));
        assert_int_equal(json_is_true(at(r, "meta.hasMore")), cursor[0] != '\0');
    } while (cursor[0]);
}

static void ask_for_image(struct fixture *f, const char *type, const char *name)
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"resourceType\":\"%s\"}", name, type);
    assert_int_equal(ask(f, "POST", "/v0/images?upload=true", body)->status, 200);
}

static void test_a_later_version_lists_summaries_by_pages(void **state)
{
    struct fixture *f = fixture_of(state);
    char tag[BUILD_TAG];
    char names[256];
    struct reply *r;

    f->headers[API_HEADER_VERSION] = "2026-09-22";
    build_image(f, tag);
    for (int i = 0; i < 5; i++) {
        char name[2] = {(char)('e' - i), '\0'};

        ask_for_image(f, "job", name);
    }
    ask_for_image(f, "agent", "c");
    for (int limit = 1; limit < 9; limit++) {
        walk(f, "/v0/images?", "metadata.name", limit, names);
        assert_string_equal(names, "a b c c d e my-sandbox-1 ");
        walk(f, "/v0/images?sort=name:desc&", "metadata.name", limit, names);
        assert_string_equal(names, "my-sandbox-1 e d c c b a ");
    }
    walk(f, "/v0/images?q=sand&", "metadata.name", 1, names);
    assert_string_equal(names, "my-sandbox-1 ");
    r = ask(f, "GET", "/v0/images?q=sand", NULL);
    assert_int_equal(json_integer_value(at(r, "meta.total")), 7);
    assert_int_equal(json_integer_value(at(r, "data.0.spec.tagCount")), 2);
    assert_null(at(r, "data.0.spec.tags"));
    r = ask(f, "GET", IMAGE, NULL);
    assert_int_equal(json_integer_value(at(r, "spec.tagCount")), 2);
    assert_string_equal(text_at(r, "metadata.status"), "BUILT");
    assert_null(at(r, "spec.tags"));
    assert_error(ask(f, "GET", "/v0/images?sort=size:asc", NULL), 400, "invalid_sort");
}

static void test_tags_are_listed_by_pages(void **state)
{
    struct fixture *f = fixture_of(state);
    char first[BUILD_TAG], second[BUILD_TAG], expected[256], names[256], target[256];
    struct reply *r;

    build_image(f, first);
    build_image(f, second);
    if (strcmp(first, second) > 0)
        (void)snprintf(expected, sizeof(expected), "%s %s ", second, first);
    else
        (void)snprintf(expected, sizeof(expected), "%s %s ", first, second);
    for (int limit = 1; limit < 4; limit++) {
        char *latest;

        walk(f, IMAGE "/tags?sort=name:asc&", "name", limit, names);
        latest = strstr(names, "latest ");
        assert_non_null(latest);
        memmove(latest, latest + 7, strlen(latest + 7) + 1);
        assert_string_equal(names, expected);
    }
    walk(f, IMAGE "/tags?q=lat&", "name", 1, names);
    assert_string_equal(names, "latest ");
    walk(f, IMAGE "/tags?q=atest&", "name", 1, names);
    assert_string_equal(names, "");
    (void)snprintf(target, sizeof(target), IMAGE "/tags?name=%s", first);
    r = ask(f, "GET", target, NULL);
    assert_int_equal(json_array_size(at(r, "data")), 1);
    assert_string_equal(text_at(r, "data.0.name"), first);
    assert_int_equal(json_integer_value(at(r, "data.0.size")), 1234);
    assert_int_equal(json_integer_value(at(r, "meta.total")), 3);
    assert_int_equal(ask(f, "GET", IMAGE "/tags?sourceWorkspace=acme", NULL)->status, 200);
    assert_error(ask(f, "GET", IMAGE "/tags?sourceWorkspace=rival", NULL), 404, "image not found");
    assert_error(ask(f, "GET", "/v0/images/sandbox/none/tags", NULL), 404, "image not found");
    assert_error(ask(f, "GET", IMAGE "/tags?sort=x", NULL), 400, "invalid_sort");
}

static void test_deleting_an_image_deletes_its_manifests(void **state)
{
    struct fixture *f = fixture_of(state);
    char first[BUILD_TAG];
    char second[BUILD_TAG];

    build_image(f, first);
    build_image(f, second);
    assert_string_equal(text_at(ask(f, "DELETE", IMAGE, NULL), "metadata.name"), "my-sandbox-1");
    assert_error(ask(f, "GET", IMAGE, NULL), 404, "image not found");
    assert_int_equal(f->deleted.n, 2);
    assert_true(text_starts(f->deleted.v[0],
                            "http://registry.test/v2/acme/sandbox/my-sandbox-1/manifests/sha256:"));
}

static void delete_one_tag(struct fixture *f, const char *form)
{
    char first[BUILD_TAG];
    char second[BUILD_TAG];
    char target[128];

    build_image(f, first);
    build_image(f, second);
    (void)snprintf(target, sizeof(target), "%s%s%s", IMAGE, form, first);
    assert_int_equal(ask(f, "DELETE", target, NULL)->status, 200);
    assert_int_equal(f->deleted.n, 1); /* no other tag named that manifest */
    assert_error(ask(f, "DELETE", target, NULL), 404, "image tag not found");
    (void)snprintf(target, sizeof(target), "%s%s%s", IMAGE, form, second);
    assert_int_equal(ask(f, "DELETE", target, NULL)->status, 200);
    assert_int_equal(f->deleted.n, 1); /* latest still does */
    assert_int_equal(json_array_size(at(ask(f, "GET", IMAGE, NULL), "spec.tags")), 1);
}

static void test_a_tag_is_deleted_as_bl_does_it(void **state)
{
    delete_one_tag(fixture_of(state), ":");
}

static void test_a_tag_is_deleted_as_the_sdks_do_it(void **state)
{
    delete_one_tag(fixture_of(state), "/tags/");
}

static void test_a_registry_that_is_down_does_not_keep_an_image(void **state)
{
    struct fixture *f = fixture_of(state);
    char tag[BUILD_TAG];

    build_image(f, tag);
    f->registry_down = true;
    assert_int_equal(ask(f, "DELETE", IMAGE, NULL)->status, 200);
    assert_error(ask(f, "GET", IMAGE, NULL), 404, "image not found");
    assert_non_null(strstr(buf_str(&f->log), "error: delete acme/sandbox/my-sandbox-1@sha256:"));
}

/* ---- what resources use ---- */

static void use(struct fixture *f, const char *agent, const char *image)
{
    char body[300];

    (void)snprintf(body, sizeof(body),
                   "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"runtime\":{\"image\":\"%s\"}}}",
                   agent, image);
    assert_int_equal(ask(f, "POST", "/v0/agents", body)->status, 200);
}

static void assert_in_use(struct fixture *f, const char *target, const char *by)
{
    struct reply *r = ask(f, "DELETE", target, NULL);

    assert_error(r, 409, "image_in_use");
    assert_non_null(strstr(text_at(r, "message"), by));
    assert_string_equal(api_response_find(&r->resp, "x-should-retry"), "false");
}

static void test_what_a_resource_uses_is_not_deleted_in_either_spelling(void **state)
{
    struct fixture *f = fixture_of(state);
    char tag[BUILD_TAG], target[128], image[256];

    build_image(f, tag);
    use(f, "by-latest", "sandbox/my-sandbox-1");
    (void)snprintf(image, sizeof(image), "registry.test/acme/sandbox/my-sandbox-1:%s", tag);
    use(f, "by-tag", image);
    assert_in_use(f, IMAGE, "The agent by-latest uses sandbox/my-sandbox-1.");
    assert_in_use(f, IMAGE ":latest", "The agent by-latest uses sandbox/my-sandbox-1:latest.");
    assert_in_use(f, IMAGE "/tags/latest", "The agent by-latest ");
    (void)snprintf(target, sizeof(target), IMAGE ":%s", tag);
    assert_in_use(f, target, "The agent by-tag ");
    (void)snprintf(target, sizeof(target), IMAGE "/tags/%s", tag);
    assert_in_use(f, target, "The agent by-tag ");
    assert_int_equal(f->deleted.n, 0);
    assert_int_equal(ask(f, "DELETE", "/v0/agents/by-tag", NULL)->status, 200);
    assert_int_equal(ask(f, "DELETE", target, NULL)->status, 200);
    assert_int_equal(ask(f, "DELETE", "/v0/agents/by-latest", NULL)->status, 200);
    assert_int_equal(ask(f, "DELETE", IMAGE, NULL)->status, 200);
}

static void test_a_cleanup_deletes_what_nothing_uses_and_says_what(void **state)
{
    struct fixture *f = fixture_of(state);
    char first[BUILD_TAG], second[BUILD_TAG], name[128];
    struct reply *r;

    r = ask(f, "DELETE", "/v0/images", NULL);
    assert_int_equal(json_integer_value(at(r, "deleted")), 0);
    build_image(f, first);
    build_image(f, second);
    use(f, "one", "sandbox/my-sandbox-1:latest");
    r = ask(f, "DELETE", "/v0/images", NULL);
    assert_int_equal(r->status, 200);
    assert_int_equal(json_integer_value(at(r, "deleted")), 1);
    assert_non_null(text_at(r, "message"));
    (void)snprintf(name, sizeof(name), "sandbox/my-sandbox-1:%s", first);
    assert_string_equal(text_at(r, "images.0"), name);
    assert_int_equal(f->deleted.n, 1);
    assert_int_equal(json_array_size(at(ask(f, "GET", IMAGE, NULL), "spec.tags")), 2);
    (void)ask(f, "DELETE", "/v0/agents/one", NULL);
    (void)ask_as(f, f->other_key, "DELETE", "/v0/images", NULL);
    assert_int_equal(ask(f, "GET", IMAGE, NULL)->status, 200);
    r = ask(f, "DELETE", "/v0/images", NULL);
    assert_int_equal(json_integer_value(at(r, "deleted")), 1);
    assert_string_equal(text_at(r, "images.0"), "sandbox/my-sandbox-1");
    assert_int_equal(f->deleted.n, 2);
    assert_error(ask(f, "GET", IMAGE, NULL), 404, "image not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_build_is_announced_as_bl_push_reads_it),
        TEST(test_an_image_is_imported_by_its_reference),
        TEST(test_an_image_without_a_dot_in_its_host_is_not_pulled),
        TEST(test_what_cannot_be_built_is_refused),
        TEST(test_a_git_source_is_queued_without_an_upload),
        TEST(test_a_build_without_the_cache_is_asked_for_in_the_body),
        TEST(test_a_source_that_cannot_be_fetched_is_refused_at_once),
        TEST(test_a_repeated_request_hands_out_a_new_url),
        TEST(test_an_image_is_shown_with_all_its_fields),
        TEST(test_one_tag_can_be_shown),
        TEST(test_an_unknown_image_is_not_found),
        TEST(test_images_are_listed_bare),
        TEST(test_a_later_version_lists_summaries_by_pages),
        TEST(test_tags_are_listed_by_pages),
        TEST(test_deleting_an_image_deletes_its_manifests),
        TEST(test_a_tag_is_deleted_as_bl_does_it),
        TEST(test_a_tag_is_deleted_as_the_sdks_do_it),
        TEST(test_a_registry_that_is_down_does_not_keep_an_image),
        TEST(test_what_a_resource_uses_is_not_deleted_in_either_spelling),
        TEST(test_a_cleanup_deletes_what_nothing_uses_and_says_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
