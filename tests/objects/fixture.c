/* tests/objects/fixture — see the header. */
#include "tests/objects/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void objects_scene_open(struct objects_scene *s)
{
    const char *endpoint = getenv("KILN_TEST_S3");
    struct error err = ERROR_INIT;
    char random[13];

    assert_non_null(endpoint);
    digest_random_name(random, sizeof(random) - 1);
    *s = (struct objects_scene){.store = NULL};
    (void)snprintf(s->endpoint, sizeof(s->endpoint), "%s", endpoint);
    (void)snprintf(s->url, sizeof(s->url), "s3://kiln-test/a/%s", random);
    assert_int_equal(objects_credentials_read("", &s->credentials, &err), 0);
    s->config = (struct objects_config){.url = s->url,
                                        .endpoint = s->endpoint,
                                        .region = "eu-test-1",
                                        .credentials = &s->credentials,
                                        .http = &http_curl,
                                        .clock = &clock_system,
                                        .wait_ms = 10,
                                        .part = UINT64_C(5) << 20};
    assert_int_equal(objects_open(&s->config, &s->store, &err), 0);
}

void objects_scene_close(struct objects_scene *s)
{
    objects_scene_fault(s, "[]");
    objects_free(s->store);
}

void objects_scene_fault(const struct objects_scene *s, const char *json)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char url[256];
    const struct http_request req = {
        .method = "POST", .url = url, .body = json, .body_len = strlen(json)};

    (void)snprintf(url, sizeof(url), "%s/-/faults", s->endpoint);
    assert_int_equal(http_curl.request(http_curl.self, &req, &resp, &err), 0);
    assert_int_equal(resp.status, 200);
}
