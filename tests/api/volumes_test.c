/* Volume templates and volumes as the API shows and takes them; the worker's part is played, but
 * the store and its revisions are real. */
#include "fixture.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"

#define TEMPLATES "/v0/volume_templates"
#define VOLUMES   "/v0/volumes"

/* Packs a folder with one small file. */
static void pack(struct fixture *f, const char *workspace, const char *name, uint64_t default_size)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    char store[PATH_MAX], folder[160], file[200];
    struct template_pack_request req = {.name = name,
                                        .archive_fd = -1,
                                        .directory = folder,
                                        .default_size_mb = default_size,
                                        .now = f->now};
    struct template_pack_report report;
    struct error err = ERROR_INIT;

    (void)snprintf(folder, sizeof(folder), "%s/folder", f->dir);
    (void)snprintf(file, sizeof(file), "%s/file", folder);
    assert_int_equal(fs_mkdirs(folder, 0755, &err), 0);
    assert_int_equal(fs_write_file(AT_FDCWD, file, "text", 4, 0644, &err), 0);
    assert_int_equal(places_store(&f->places, workspace, store, &err), 0);
    if (template_store_open(store, NULL, &s, &err) < 0 || template_pack(s, &req, &report, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Deployed once, as the worker leaves it. */
static void deploy(struct fixture *f, const char *name)
{
    char body[200], image[80];
    struct reply *r;
    char id[BUILD_ID];
    enum upload_outcome outcome;
    struct error err = ERROR_INIT;

    (void)snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":{}}", name);
    r = ask(f, "POST", TEMPLATES "?upload=true", body);
    assert_int_equal(r->status, 200);
    upload_id(r, id);
    assert_int_equal(state_upload_accept(f->config.state, "acme", id, "archive", 1, &outcome, &err),
                     0);
    const struct build b = claim(f);

    assert_int_equal(b.purpose, BUILD_FOR_TEMPLATE);
    assert_string_equal(b.tag, "");
    pack(f, "acme", name, 0);
    (void)snprintf(image, sizeof(image), "%s:1", name);
    succeed_as(f, &b, image);
}

static void test_a_template_is_created_then_ready(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "PUT", TEMPLATES "/t?upload=true", "{\"metadata\":{\"name\":\"t\"}}");

    assert_error(r, 404, "volume_templates t not found");
    r = ask(f, "POST", TEMPLATES, "{\"metadata\":{\"name\":\"t\"},\"spec\":{\"defaultSize\":64}}");
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "state.status"), "created");
    assert_true(json_is_null(at(r, "state.latestVersion")));
    assert_int_equal(json_array_size(at(r, "versions")), 0);
    assert_int_equal(ask(f, "DELETE", TEMPLATES "/t", NULL)->status, 200);

    deploy(f, "t");
    r = ask(f, "GET", TEMPLATES "/t", NULL);
    assert_string_equal(text_at(r, "state.status"), "ready");
    assert_string_equal(text_at(r, "state.latestVersion"), "1");
    assert_int_equal(json_integer_value(at(r, "state.versionCount")), 1);
    assert_string_equal(text_at(r, "versions.0.name"), "1");
    assert_string_equal(text_at(r, "versions.0.templateName"), "t");
    assert_int_equal(json_integer_value(at(r, "versions.0.contentSize")), 4);
    assert_string_equal(text_at(r, "versions.0.status"), "READY");
    assert_string_equal(text_at(r, "events.1.revision"), "1");
    assert_null(at(r, "spec.runtime"));
}

static void test_lists_of_templates_are_bare_and_images_have_none(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    deploy(f, "t");
    r = ask(f, "GET", TEMPLATES, NULL);
    assert_true(json_is_array(r->json));
    assert_string_equal(text_at(r, "0.metadata.name"), "t");
    assert_int_equal(json_array_size(ask(f, "GET", "/v0/images", NULL)->json), 0);
    assert_error(ask(f, "POST", "/v0/images?upload=true",
                     "{\"name\":\"t\",\"resourceType\":\"volume-template\"}"),
                 400, "invalid_resource_type");
    assert_error(ask(f, "POST", "/v0/plan?type=volume", "x"), 501, "not_supported");
}

static void test_no_version_is_made_while_templates_take_all_they_may(void **state)
{
    static const char body[] = "{\"metadata\":{\"name\":\"t\"}}";
    struct fixture *f = fixture_of(state);
    struct workspace_limits own = {LIMIT_KEPT, LIMIT_KEPT, 1};
    enum presence presence;
    json_int_t bytes;
    struct error err;

    assert_int_equal(state_limits_set(f->config.state, "acme", &own, &presence, &err), 0);
    deploy(f, "t"); /* there are none before */
    bytes = json_integer_value(at(ask(f, "GET", TEMPLATES "/t", NULL), "versions.0.bytesAdded"));
    assert_true(bytes > 1);
    assert_error(ask(f, "PUT", TEMPLATES "/t?upload=true", body), 400, "QUOTA_EXCEEDED");
    assert_int_equal(ask(f, "PUT", TEMPLATES "/t", body)->status, 200); /* builds nothing */
    own.templates = bytes + 1;
    assert_int_equal(state_limits_set(f->config.state, "acme", &own, &presence, &err), 0);
    assert_int_equal(ask(f, "PUT", TEMPLATES "/t?upload=true", body)->status, 200);
}

static void test_the_only_version_stays(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    deploy(f, "t");
    assert_error(ask(f, "DELETE", TEMPLATES "/t/versions/1", NULL), 400,
                 "cannot delete the only version");
    pack(f, "acme", "t", 0);
    assert_error(ask(f, "DELETE", TEMPLATES "/t/versions/7", NULL), 404, "version not found");
    assert_error(ask(f, "DELETE", TEMPLATES "/no/versions/1", NULL), 404,
                 "volume_templates no not found");
    assert_error(ask_as(f, f->other_key, "DELETE", TEMPLATES "/t/versions/1", NULL), 404,
                 "volume_templates t not found");
    r = ask(f, "DELETE", TEMPLATES "/t/versions/1", NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "template.versions.0.name"), "2");
    assert_int_equal(claim(f).purpose, BUILD_TO_COLLECT);
}

static void test_a_failed_upload_is_an_error_and_leaves_versions(void **state)
{
    struct fixture *f = fixture_of(state);
    enum upload_outcome outcome;
    struct error err = ERROR_INIT;
    char id[BUILD_ID];
    struct reply *r;

    deploy(f, "t");
    upload_id(ask(f, "PUT", TEMPLATES "/t?upload=true", "{}"), id);
    assert_string_equal(text_at(ask(f, "GET", TEMPLATES "/t", NULL), "state.status"), "ready");
    assert_int_equal(
        state_upload_accept(f->config.state, "acme", id, "archive-2", 1, &outcome, &err), 0);
    const struct build b = claim(f);

    break_build(f, &b, "slabs: the link points outside");
    r = ask(f, "GET", TEMPLATES "/t", NULL);
    assert_string_equal(text_at(r, "state.status"), "error");
    assert_string_equal(text_at(r, "status"), "FAILED");
    assert_string_equal(text_at(r, "state.latestVersion"), "1");
    assert_string_equal(text_at(r, "events.4.message"), "slabs: the link points outside");
}

/* ---- volumes ---- */

static struct reply *post_volume(struct fixture *f, const char *name, const char *spec)
{
    char body[400];

    (void)snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"%s\"},\"spec\":%s}", name, spec);
    return ask(f, "POST", VOLUMES, body);
}

/* The order that the worker gets for it. */
static struct volume_order ordered(struct fixture *f, const char *image)
{
    const struct build b = claim(f);
    struct error err = ERROR_INIT;
    struct volume_order o;

    assert_int_equal(b.purpose, BUILD_FOR_VOLUME);
    assert_int_equal(volume_order_read(b.source, &o, &err), 0);
    if (image)
        succeed_as(f, &b, image);
    return o;
}

static void test_sizes_follow_what_was_said(void **state)
{
    static const struct {
        const char *spec;
        uint64_t size;
    } cases[] = {
        {"{\"template\":\"t:1\",\"size\":100}", 100},
        {"{\"template\":\"t:latest\",\"size\":1024}", 2048}, /* the SDKs' default */
        {"{\"template\":\"t\",\"size\":1025}", 1025},
        {"{\"template\":\"t:1\"}", 2048},
        {"{\"size\":10}", 10},
        {"{}", 1024},
    };
    struct fixture *f = fixture_of(state);

    pack(f, "acme", "t", 2048);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[8];
        struct reply *r;
        struct volume_order o;

        (void)snprintf(name, sizeof(name), "v%zu", i);
        r = post_volume(f, name, cases[i].spec);
        assert_int_equal(r->status, 200);
        assert_string_equal(text_at(r, "status"), "BUILDING");
        assert_int_equal(json_integer_value(at(r, "spec.size")), cases[i].size);
        o = ordered(f, "x 1");
        assert_int_equal(o.size_mb, cases[i].size);
        assert_string_equal(o.template, strstr(cases[i].spec, "template") ? "t:1" : "-");
    }
}

static void test_what_cannot_be_made_is_refused_at_once(void **state)
{
    static const struct {
        const char *spec, *code;
        int status;
    } cases[] = {
        {"{\"template\":\"t:1\",\"size\":1}", "volume_too_small", 400},
        {"{\"template\":\"t:2\"}", "volume template t:2 not found", 404},
        {"{\"template\":\"none:latest\"}", "volume template none:latest not found", 404},
        {"{\"template\":\"../t:1\"}", "invalid_template", 400},
        {"{\"template\":7}", "invalid_template", 400},
        {"{\"size\":0}", "invalid_size", 400},
        {"{\"size\":1.5}", "invalid_size", 400},
        {"{\"size\":65537}", "QUOTA_EXCEEDED", 400},
        {"{\"size\":9223372036854775807}", "QUOTA_EXCEEDED", 400},
    };
    struct fixture *f = fixture_of(state);

    pack(f, "acme", "t", 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(post_volume(f, "v", cases[i].spec), cases[i].status, cases[i].code);
    pack(f, "globex", "theirs", 0);
    assert_error(post_volume(f, "v", "{\"template\":\"theirs:1\"}"), 404,
                 "volume template theirs:1 not found");
    assert_int_equal(json_array_size(at(ask(f, "GET", VOLUMES, NULL), "data")), 0);
}

static void test_an_existing_volume_is_409_whatever_is_asked(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)post_volume(f, "v", "{\"size\":64}");
    assert_error(post_volume(f, "v", "{\"size\":64}"), 409, "VOLUME_ALREADY_EXISTS");
    (void)ordered(f, "- 64");
    r = post_volume(f, "v", "{\"template\":\"none:1\",\"size\":4096}");
    assert_error(r, 409, "VOLUME_ALREADY_EXISTS");
    assert_int_equal(json_integer_value(at(r, "code")), 409);
    assert_true(json_is_integer(at(r, "code")));
    assert_string_equal(api_response_find(&r->resp, "x-should-retry"), "false");
    r = ask(f, "POST", VOLUMES "?createIfNotExist=true",
            "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"size\":128}}");
    assert_int_equal(r->status, 200);
    assert_int_equal(json_integer_value(at(r, "spec.size")), 64);
}

static void test_one_that_could_not_be_made_is_made_anew(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)post_volume(f, "v", "{\"size\":64}");
    const struct build b = claim(f);

    break_build(f, &b, "no room");
    r = ask(f, "GET", VOLUMES "/v", NULL);
    assert_string_equal(text_at(r, "status"), "FAILED");
    assert_string_equal(text_at(r, "events.1.message"), "no room");
    assert_error(ask(f, "PUT", VOLUMES "/v", "{\"spec\":{\"size\":128}}"), 409, "VOLUME_BUSY");
    assert_int_equal(post_volume(f, "v", "{\"size\":32}")->status, 200);
    assert_int_equal(ordered(f, "- 32").size_mb, 32);
}

static void test_a_volume_grows_and_does_not_shrink(void **state)
{
    struct fixture *f = fixture_of(state);
    struct volume_order o;
    struct reply *r;

    pack(f, "acme", "t", 0);
    (void)post_volume(f, "v", "{\"template\":\"t:latest\",\"size\":64}");
    assert_error(ask(f, "PUT", VOLUMES "/v", "{\"spec\":{\"size\":96}}"), 409, "VOLUME_BUSY");
    (void)ordered(f, "t:1 64");
    assert_error(ask(f, "PUT", VOLUMES "/v", "{\"spec\":{\"size\":63}}"), 400,
                 "volume_cannot_shrink");
    r = ask(f, "PUT", VOLUMES "/v",
            "{\"spec\":{\"size\":64},\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    assert_string_equal(text_at(r, "spec.template"), "t:latest");
    assert_string_equal(text_at(r, "metadata.labels.a"), "b");
    assert_int_equal(ask(f, "PUT", VOLUMES "/v", "{\"spec\":{\"size\":96}}")->status, 200);
    o = ordered(f, NULL);
    assert_int_equal(o.verb, VOLUME_GROW);
    assert_int_equal(o.size_mb, 96);
    assert_string_equal(o.template, "t:1");
    assert_error(ask(f, "PUT", VOLUMES "/none", "{}"), 404, "volumes none not found");
}

static void test_growth_that_fails_leaves_the_volume(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)post_volume(f, "v", "{\"size\":64}");
    (void)ordered(f, "- 64");
    (void)ask(f, "PUT", VOLUMES "/v", "{\"spec\":{\"size\":96}}");
    const struct build b = claim(f);

    break_build(f, &b, "no room");
    r = ask(f, "GET", VOLUMES "/v", NULL);
    assert_string_equal(text_at(r, "status"), "DEPLOYED");
    assert_int_equal(json_integer_value(at(r, "spec.size")), 64);
}

static void test_deleting_removes_the_file_of_the_own_workspace(void **state)
{
    struct fixture *f = fixture_of(state);
    char path[PATH_MAX];
    struct error err = ERROR_INIT;

    (void)post_volume(f, "v", "{\"size\":64}");
    (void)ordered(f, "- 64");
    assert_int_equal(places_volume(&f->places, "acme", "", path, &err), 0);
    assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
    assert_int_equal(places_volume(&f->places, "acme", "v", path, &err), 0);
    assert_int_equal(fs_write_file(AT_FDCWD, path, "x", 1, 0600, &err), 0);
    assert_error(ask_as(f, f->other_key, "DELETE", VOLUMES "/v", NULL), 404, "volumes v not found");
    assert_int_equal(access(path, F_OK), 0);
    assert_string_equal(text_at(ask(f, "DELETE", VOLUMES "/v", NULL), "status"), "DELETING");
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_template_is_created_then_ready),
        TEST(test_lists_of_templates_are_bare_and_images_have_none),
        TEST(test_no_version_is_made_while_templates_take_all_they_may),
        TEST(test_the_only_version_stays),
        TEST(test_a_failed_upload_is_an_error_and_leaves_versions),
        TEST(test_sizes_follow_what_was_said),
        TEST(test_what_cannot_be_made_is_refused_at_once),
        TEST(test_an_existing_volume_is_409_whatever_is_asked),
        TEST(test_one_that_could_not_be_made_is_made_anew),
        TEST(test_a_volume_grows_and_does_not_shrink),
        TEST(test_growth_that_fails_leaves_the_volume),
        TEST(test_deleting_removes_the_file_of_the_own_workspace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
