/* What a registry asks for, and which credentials are for which. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "registry/challenge.h"
#include "registry/registry.h"
#include "registry/relay_request.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_a_challenge_is_understood_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        int kind;
        const char *realm, *service, *scope;
    } cases[] = {
        {"Bearer realm=\"https://a.example/token\",service=\"a.example\",scope=\"r:x:pull,push\"",
         REGISTRY_CHALLENGE_BEARER, "https://a.example/token", "a.example", "r:x:pull,push"},
        {" bearer  Realm=https://b , scope=\"s\"", REGISTRY_CHALLENGE_BEARER, "https://b", "", "s"},
        {"Bearer realm=\"a\\\"b\", error=\"x\"", REGISTRY_CHALLENGE_BEARER, "a\"b", "", ""},
        {"Basic realm=\"here\"", REGISTRY_CHALLENGE_BASIC, "here", "", ""},
        {"BASIC", REGISTRY_CHALLENGE_BASIC, "", "", ""},
        {"Negotiate", REGISTRY_CHALLENGE_NONE, "", "", ""},
        {"Bearer realm=\"https://c", REGISTRY_CHALLENGE_NONE, "", "", ""},
        {"Bearer realm", REGISTRY_CHALLENGE_NONE, "", "", ""},
        {"Bearer =x", REGISTRY_CHALLENGE_NONE, "", "", ""},
        {"Bearer realm=\"a\tb\"", REGISTRY_CHALLENGE_NONE, "", "", ""},
        {"", REGISTRY_CHALLENGE_NONE, "", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct registry_challenge c = {.kind = REGISTRY_CHALLENGE_NONE};

        registry_challenge_read(cases[i].text, &c);
        assert_int_equal(c.kind, cases[i].kind);
        assert_string_equal(c.realm, cases[i].realm);
        assert_string_equal(c.service, cases[i].service);
        assert_string_equal(c.scope, cases[i].scope);
    }
}

static void test_credentials_are_those_of_the_longest_name(void **state)
{
    static const char config[] =
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHVi\"},"
        "\"a.example\":{\"auth\":\"aG9zdA==\"},\"a.example/team\":{\"auth\":\"dGVhbQ==\"},"
        "\"https://b.example/v2/\":{\"auth\":\"Yg==\"},\"c.example\":{\"username\":\"x\"}}}";
    static const struct {
        const char *repository, *auth;
    } cases[] = {
        {"registry-1.docker.io/library/alpine", "aHVi"},
        {"docker.io/library/alpine", "aHVi"},
        {"a.example/app", "aG9zdA=="},
        {"a.example/team/app", "dGVhbQ=="},
        {"a.example/teammate/app", "aG9zdA=="},
        {"a.example:5000/app", ""},
        {"a.example.org/app", ""},
        {"b.example/app", "Yg=="},
        {"c.example/app", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CLEANUP(buf_release) struct buf found = BUF_INIT(100);

        registry_login_find(config, strlen(config), cases[i].repository, &found);
        assert_string_equal(buf_str(&found), cases[i].auth);
    }
}

static void test_the_relay_answers_to_its_secret_alone(void **state)
{
    static const struct {
        const char *head;
        int what;
        bool head_only;
        const char *reference;
    } cases[] = {
        {"GET /v2/ HTTP/1.1\r\n", RELAY_VERSION, false, ""},
        {"GET /v2/s3cret/manifests/3.20 HTTP/1.1\r\n", RELAY_MANIFEST, false, "3.20"},
        {"HEAD /v2/s3cret/manifests/sha256:" HEX64 " HTTP/1.1", RELAY_MANIFEST, true,
         "sha256:" HEX64},
        {"GET /v2/s3cret/blobs/sha256:" HEX64 "?x=y HTTP/1.1", RELAY_BLOB, false, "sha256:" HEX64},
        {"GET /v2/s3cret/blobs/latest HTTP/1.1", RELAY_NOTHING, false, ""},
        {"GET /v2/s3cre/manifests/3.20 HTTP/1.1", RELAY_NOTHING, false, ""},
        {"GET /v2/s3crets/manifests/3.20 HTTP/1.1", RELAY_NOTHING, false, ""},
        {"GET /v2/s3cret/manifests/../x HTTP/1.1", RELAY_NOTHING, false, ""},
        {"GET /v2/s3cret/tags/list HTTP/1.1", RELAY_NOTHING, false, ""},
        {"PUT /v2/s3cret/manifests/3.20 HTTP/1.1", RELAY_NOTHING, false, ""},
        {"", RELAY_NOTHING, false, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct relay_request req;

        relay_request_read(cases[i].head, "s3cret", &req);
        assert_int_equal(req.what, cases[i].what);
        assert_string_equal(req.reference, cases[i].reference);
        if (req.what != RELAY_NOTHING)
            assert_int_equal(req.head, cases[i].head_only);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_challenge_is_understood_whole_or_not_at_all),
        cmocka_unit_test(test_credentials_are_those_of_the_longest_name),
        cmocka_unit_test(test_the_relay_answers_to_its_secret_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
