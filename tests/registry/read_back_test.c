/* Images are read back from a real docker-registry that has them, or has lost a part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "tests/registry/fixture.h"

#define REPO "team/sandbox/demo"

struct pushed {
    char layer[REGISTRY_DIGEST], config[REGISTRY_DIGEST], manifest[REGISTRY_DIGEST];
};

/* An image of one layer whose configuration speaks of n. */
static void push(const struct fixture *f, const char *text, int n, struct pushed *ret)
{
    char config[256], json[1024];

    fixture_push_blob(f, REPO, text, ret->layer);
    (void)snprintf(config, sizeof(config), "{\"rootfs\":{\"diff_ids\":[%s%s]}}", "\"sha256:1\"",
                   n == 2 ? ",\"sha256:2\"" : "");
    fixture_push_blob(f, REPO, config, ret->config);
    (void)snprintf(json, sizeof(json),
                   "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{"
                   "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                   "\"size\":%zu},\"layers\":[{\"mediaType\":"
                   "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\","
                   "\"size\":%zu}]}",
                   ret->config, strlen(config), ret->layer, strlen(text));
    assert_int_equal(fixture_push_manifest(f, REPO, "latest", OCI_MANIFEST, json, ret->manifest),
                     201);
}

/* The file in which the registry has a blob. */
static void path_of(const struct fixture *f, const char *digest, char ret[512])
{
    (void)snprintf(ret, 512, "%s/data/docker/registry/v2/blobs/sha256/%.2s/%s/data", f->dir,
                   digest + 7, digest + 7);
}

static void lose(const struct fixture *f, const char *digest)
{
    char path[512];

    path_of(f, digest, path);
    assert_int_equal(unlink(path), 0);
}

static void assert_missing(const struct fixture *f, const struct pushed *p, const char *words,
                           const char *digest)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);
    struct error err = ERROR_INIT;

    if (registry_read_back(&f->registry, REPO, p->manifest, &m, &missing, &err) < 0)
        fail_msg("%s", err.msg);
    if (!strstr(buf_str(&missing), words) || !strstr(buf_str(&missing), digest))
        fail_msg("\"%s\" does not say \"%s\" of %s", buf_str(&missing), words, digest);
}

static void assert_whole(const struct fixture *f, const struct pushed *p)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);
    struct error err = ERROR_INIT;

    if (registry_read_back(&f->registry, REPO, p->manifest, &m, &missing, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&missing), "");
    assert_string_equal(m.digest, p->manifest);
    assert_true(m.size > 0);
}

static void test_what_was_pushed_is_whole(void **state)
{
    struct pushed p;

    push(*state, "a layer", 1, &p);
    assert_whole(*state, &p);
}

/* Once more, with nothing in the registry's memory: it then knows what it has not. */
static void restart(struct fixture *f)
{
    struct error err = ERROR_INIT;

    registry_server_free(f->server);
    f->server = NULL;
    if (registry_server_start(&f->config, &f->server, &err) < 0)
        fail_msg("%s", err.msg);
}

/* What it remembers is not what it has. */
static void assert_unreadable(const struct fixture *f, const struct pushed *p, const char *digest)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);
    struct registry once = f->registry;
    struct error err = ERROR_INIT;

    once.tries = 1;
    assert_int_equal(registry_read_back(&once, REPO, p->manifest, &m, &missing, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, digest));
}

static void test_a_lost_layer_is_named(void **state)
{
    struct pushed p;

    push(*state, "a layer that gets lost", 1, &p);
    lose(*state, p.layer);
    assert_unreadable(*state, &p, p.layer);
    restart(*state);
    assert_missing(*state, &p, "is not there", p.layer);
}

static void test_a_layer_that_was_cut_cannot_be_read(void **state)
{
    char path[512];
    struct pushed p;

    push(*state, "a layer that gets cut", 1, &p);
    path_of(*state, p.layer, path);
    assert_int_equal(truncate(path, 5), 0);
    assert_unreadable(*state, &p, p.layer);
    restart(*state);
    assert_unreadable(*state, &p, p.layer);
}

static void test_a_layer_that_has_grown_is_named_with_both_sizes(void **state)
{
    char path[512];
    struct pushed p;

    push(*state, "a layer that grows", 1, &p);
    path_of(*state, p.layer, path);
    assert_int_equal(truncate(path, 50), 0);
    restart(*state);
    assert_missing(*state, &p, "has 50 bytes there and not 18", p.layer);
}

static void test_a_lost_configuration_is_named(void **state)
{
    struct pushed p;

    push(*state, "a layer with a configuration that gets lost", 1, &p);
    lose(*state, p.config);
    assert_unreadable(*state, &p, p.config);
    restart(*state);
    assert_missing(*state, &p, "configuration", p.config);
}

static void test_a_lost_manifest_is_named(void **state)
{
    struct pushed p;

    push(*state, "a layer whose manifest gets lost", 1, &p);
    lose(*state, p.manifest);
    assert_missing(*state, &p, "manifest", p.manifest);
}

static void test_a_configuration_of_other_layers_is_told(void **state)
{
    struct pushed p;

    push(*state, "one layer", 2, &p);
    assert_missing(*state, &p, "that of 2 layers, and it has 1", "");
}

static void test_a_configuration_of_other_bytes_is_an_error(void **state)
{
    const struct fixture *f = *state;
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);
    struct registry once = f->registry;
    struct error err = ERROR_INIT;
    char path[512];
    struct pushed p;

    push(f, "a layer with a spoilt configuration", 1, &p);
    path_of(f, p.config, path);
    assert_int_equal(
        fs_write_file(AT_FDCWD, path, "{\"rootfs\":{\"diff_ids\":[\"sha256:3\"]}}", 37, 0644, &err),
        0);
    once.tries = 1;
    assert_int_equal(registry_read_back(&once, REPO, p.manifest, &m, &missing, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, p.config));
}

/* As if the registry knew no ranges (RFC 9110, 14.2: it may pass them over). */
static int ask_without_range(void *self, const struct http_request *req, struct http_response *resp,
                             struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    struct http_request whole = *req;

    (void)self;
    for (size_t i = 0; req->headers && i < req->headers->n; i++)
        if (strncmp(req->headers->v[i], "Range:", 6) != 0)
            argv_push1(&headers, req->headers->v[i]);
    whole.headers = &headers;
    return http_curl.request(http_curl.self, &whole, resp, err);
}

static void test_a_registry_that_knows_no_ranges_will_do(void **state)
{
    static const struct http without_range = {ask_without_range, NULL};
    struct fixture f = *(struct fixture *)*state;
    char path[512];
    struct pushed p;

    f.registry.http = &without_range;
    push(&f, "a layer that comes whole", 1, &p);
    assert_whole(&f, &p);
    path_of(&f, p.layer, path);
    assert_int_equal(truncate(path, 50), 0);
    restart(*state);
    f.server = ((struct fixture *)*state)->server;
    assert_missing(&f, &p, "has 50 bytes there and not 24", p.layer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_pushed_is_whole),
        cmocka_unit_test(test_a_lost_layer_is_named),
        cmocka_unit_test(test_a_layer_that_was_cut_cannot_be_read),
        cmocka_unit_test(test_a_layer_that_has_grown_is_named_with_both_sizes),
        cmocka_unit_test(test_a_lost_configuration_is_named),
        cmocka_unit_test(test_a_lost_manifest_is_named),
        cmocka_unit_test(test_a_configuration_of_other_layers_is_told),
        cmocka_unit_test(test_a_registry_that_knows_no_ranges_will_do),
        cmocka_unit_test(test_a_configuration_of_other_bytes_is_an_error),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
