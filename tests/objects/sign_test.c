/* The examples of "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "objects/sign.h"

#define EXAMPLE_TIME INT64_C(1369353600) /* 20130524T000000Z */
#define EMPTY        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct objects_credentials credentials = {
    .access = "AKIAIOSFODNN7EXAMPLE", .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
static const struct sign_key key = {&credentials, "us-east-1"};

struct example {
    const char *method, *path, *query[3], *headers[4], *payload, *signature;
};

static const struct example examples[] = {
    {"GET",
     "/test.txt",
     {NULL},
     {"range: bytes=0-9"},
     EMPTY,
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test%24file.text",
     {NULL},
     {"x-amz-storage-class: REDUCED_REDUNDANCY", "date: Fri, 24 May 2013 00:00:00 GMT"},
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     {"lifecycle="},
     {NULL},
     EMPTY,
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     {"prefix=J", "max-keys=2"},
     {NULL},
     EMPTY,
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static void the_documented_requests_get_the_documented_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        CLEANUP(argv_release) struct argv headers = ARGV_INIT;
        CLEANUP(argv_release) struct argv query = ARGV_INIT;
        CLEANUP(argv_release) struct argv out = ARGV_INIT;
        const struct example *e = &examples[i];
        const struct sign_request r = {.method = e->method,
                                       .host = "examplebucket.s3.amazonaws.com",
                                       .path = e->path,
                                       .query = &query,
                                       .headers = &headers,
                                       .payload = e->payload,
                                       .now = EXAMPLE_TIME};
        struct error err = ERROR_INIT;

        for (size_t k = 0; e->headers[k]; k++)
            argv_push1(&headers, e->headers[k]);
        for (size_t k = 0; e->query[k]; k++)
            argv_push1(&query, e->query[k]);
        assert_int_equal(sign_headers(&key, &r, &out, &err), 0);
        assert_string_equal(strstr(out.v[out.n - 1], "Signature=") + strlen("Signature="),
                            e->signature);
        assert_non_null(strstr(out.v[out.n - 1],
                               "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                               "aws4_request,"));
        assert_null(strstr(out.v[out.n - 1], credentials.secret));
    }
}

static void the_documented_presigned_url_comes_out(void **state)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
    const struct sign_request r = {.method = "GET",
                                   .host = "examplebucket.s3.amazonaws.com",
                                   .path = "/test.txt",
                                   .payload = SIGN_UNSIGNED,
                                   .now = EXAMPLE_TIME};
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(sign_query(&key, &r, 86400, &out, &err), 0);
    assert_string_equal(
        buf_str(&out),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_requests_get_the_documented_signatures),
        cmocka_unit_test(the_documented_presigned_url_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
