/* Blobs to and from a real registry over a connection that breaks off, and through a proxy that is
 * busy: how either registry takes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "tests/registry/fixture.h"

#define REPO  "team/sandbox/demo"
#define CHUNK (1u << 20)
#define SIZE  (3 * CHUNK + 17)

/* ---- what is between the client and the registry ---- */

enum fate {
    PASS,
    BUSY, /* is answered with 429, and "Retry-After: 1" */
    CUT,  /* n bytes of the body come through, and the connection is gone */
};

struct between {
    struct fixture *fixture;
    struct http http;
    const char *method; /* the which-th request of that meets its fate */
    int which;
    enum fate fate;
    size_t n;
    int seen; /* requests of the method */
    struct buf log;
    int fd; /* the blob */
    char digest[REGISTRY_DIGEST];
};

static int cut_upload(const struct between *b, const struct http_request *req,
                      struct http_response *resp, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("cut", MFD_CLOEXEC);
    struct http_source less = *req->source;
    struct http_request cut = *req;
    CLEANUP_FREE char *part = malloc(b->n + 1);

    assert_true(fd >= 0 && part);
    assert_int_equal(pread(req->source->fd, part, b->n, (off_t)req->source->offset), b->n);
    assert_int_equal(fs_write_all(fd, part, b->n, err), 0);
    less.fd = fd;
    less.offset = 0;
    cut.source = &less; /* as long as before, but there is no more than that */
    assert_int_equal(http_curl.request(http_curl.self, &cut, resp, err), -1);
    return error_set(err, ERR_REMOTE, "the connection broke off");
}

struct cut_sink {
    const struct http_sink *to;
    size_t left;
};

static int take_part(void *self, const struct http_response *resp, const void *data, size_t len,
                     struct error *err)
{
    struct cut_sink *s = self;
    size_t n = len < s->left ? len : s->left;

    s->left -= n;
    if (s->to->take(s->to->self, resp, data, n, err) < 0)
        return -1;
    return s->left ? 0 : error_set(err, ERR_REMOTE, "the connection broke off");
}

static int cut_download(const struct between *b, const struct http_request *req,
                        struct http_response *resp, struct error *err)
{
    struct cut_sink part = {.to = req->sink, .left = b->n};
    const struct http_sink sink = {.take = take_part, .self = &part};
    struct http_request cut = *req;

    cut.sink = &sink;
    assert_int_equal(http_curl.request(http_curl.self, &cut, resp, err), -1);
    return error_set(err, ERR_REMOTE, "the connection broke off");
}

static const char *range_of(const struct http_request *req)
{
    for (size_t i = 0; req->headers && i < req->headers->n; i++)
        if (text_starts(req->headers->v[i], "Range: ") ||
            text_starts(req->headers->v[i], "Content-Range: "))
            return strchr(req->headers->v[i], ':') + 1;
    return "";
}

static int pass(void *self, const struct http_request *req, struct http_response *resp,
                struct error *err)
{
    struct between *b = self;
    bool hit = strcmp(req->method, b->method) == 0 && ++b->seen == b->which;

    buf_addf(&b->log, "%s%s\n", req->method, range_of(req));
    if (hit && b->fate == BUSY) {
        resp->status = 429;
        argv_push1(&resp->headers, "retry-after: 1");
        return 0;
    }
    if (hit && b->fate == CUT)
        return req->source ? cut_upload(b, req, resp, err) : cut_download(b, req, resp, err);
    return http_curl.request(http_curl.self, req, resp, err);
}

/* ---- a blob ---- */

static int start(void **state, const char *rate)
{
    struct between *b = calloc(1, sizeof(*b));
    CLEANUP_FREE unsigned char *data = malloc(SIZE);
    struct error err = ERROR_INIT;
    unsigned seed = 9;

    assert_true(b && data);
    for (size_t i = 0; i < SIZE; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (unsigned char)(seed >> 16);
    }
    b->fd = memfd_create("blob", MFD_CLOEXEC);
    b->log = (struct buf)BUF_INIT(65536);
    memcpy(b->digest, "sha256:", 7);
    digest_sha256_hex(data, SIZE, b->digest + 7);
    b->method = "";
    b->http = (struct http){.request = pass, .self = b};
    b->fixture = fixture_new();
    b->fixture->rate = rate;
    *state = b;
    fixture_start(b->fixture);
    b->fixture->registry.http = &b->http;
    b->fixture->registry.wait_ms = 1;
    return fs_write_all(b->fd, data, SIZE, &err);
}

static int setup(void **state)
{
    return start(state, NULL);
}

static int setup_with_limit(void **state)
{
    return start(state, "4");
}

static int teardown(void **state)
{
    struct between *b = *state;

    fixture_free(b->fixture);
    buf_release(&b->log);
    close(b->fd);
    free(b);
    return 0;
}

static void put(struct between *b)
{
    struct error err = ERROR_INIT;

    if (registry_put_blob(&b->fixture->registry, REPO, b->digest, b->fd, SIZE, &err) < 0)
        fail_msg("%s\n%s", err.msg, buf_str(&b->log));
}

static void check_fetched(struct between *b)
{
    CLEANUP_CLOSE int fd = memfd_create("fetched", MFD_CLOEXEC);
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error err = ERROR_INIT;

    /* Its digest is checked by the client itself. */
    if (registry_get_blob(&b->fixture->registry, REPO, b->digest, SIZE, fd, &presence, &err) < 0)
        fail_msg("%s\n%s", err.msg, buf_str(&b->log));
    assert_int_equal(presence, REGISTRY_PRESENT);
}

static void let(struct between *b, const char *method, int which, enum fate fate, size_t n)
{
    b->method = method;
    b->which = which;
    b->fate = fate;
    b->n = n;
    b->seen = 0;
    buf_clear(&b->log);
}

static void test_an_upload_goes_on_after_the_pieces_that_arrived(void **state)
{
    struct between *b = *state;

    b->fixture->registry.chunk = CHUNK;
    let(b, "PATCH", 3, BUSY, 0);
    put(b);
    assert_string_equal(buf_str(&b->log), "POST\nPATCH 0-1048575\nPATCH 1048576-2097151\n"
                                          "PATCH 2097152-3145727\nHEAD\nGET\n"
                                          "PATCH 2097152-3145727\nPATCH 3145728-3145744\nPUT\n");
    let(b, "", 0, PASS, 0);
    check_fetched(b);
}

/* docker-registry forgets the upload, the other one has what came through of the piece: in both the
 * blob is whole in the end. */
static void test_an_upload_that_is_cut_within_a_piece_arrives(void **state)
{
    struct between *b = *state;

    b->fixture->registry.chunk = CHUNK;
    let(b, "PATCH", 2, CUT, 300000);
    put(b);
    assert_true(text_starts(buf_str(&b->log), "POST\nPATCH 0-1048575\nPATCH 1048576-2097151\nHEAD\n"
                                              "GET\n"));
    let(b, "", 0, PASS, 0);
    check_fetched(b);
}

static void test_an_upload_in_one_request_that_is_cut_arrives(void **state)
{
    struct between *b = *state;

    let(b, "PUT", 1, CUT, 2 * CHUNK);
    put(b);
    let(b, "", 0, PASS, 0);
    check_fetched(b);
}

static void test_a_download_goes_on_where_it_was_cut(void **state)
{
    struct between *b = *state;

    put(b);
    let(b, "GET", 1, CUT, CHUNK);
    check_fetched(b);
    assert_string_equal(buf_str(&b->log), "GET\nGET bytes=1048576-\n");
}

static void test_a_retry_after_is_waited_for(void **state)
{
    struct between *b = *state;
    int64_t before = clock_monotonic();

    let(b, "POST", 1, BUSY, 0);
    put(b);
    assert_true(clock_monotonic() - before >= NS_PER_SEC);
    assert_string_equal(buf_str(&b->log), "POST\nPOST\nPUT\n");
}

/* Also where a manifest is put, read and tagged: whatever a push or a pull has to do. */
static void test_manifests_wait_for_a_busy_registry_too(void **state)
{
    static const char *const methods[] = {"PUT", "GET", "DELETE"};
    struct between *b = *state;
    const struct registry *r = &b->fixture->registry;
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error err = ERROR_INIT;
    char digest[REGISTRY_DIGEST];

    fixture_push_image(b->fixture, REPO, "one", "layer", digest);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};

        let(b, methods[i], 1, BUSY, 0);
        if (registry_get_manifest(r, REPO, "one", &presence, &m, &err) < 0 ||
            registry_tag(r, REPO, &m, "two", &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(presence, REGISTRY_PRESENT);
        if (i == 2 && registry_delete_manifest(r, REPO, digest, &err) < 0)
            fail_msg("%s", err.msg);
        assert_true(b->seen >= 2);
    }
}

/* What a registry itself says to whoever asks too much. */
static void test_a_registry_that_limits_requests_gets_them_later(void **state)
{
    struct between *b = *state;
    enum registry_presence presence;
    struct error err = ERROR_INIT;
    size_t lines = 0;

    if (!fixture_is_other())
        skip(); /* docker-registry limits none */
    for (int i = 0; i < 12; i++)
        if (registry_has_blob(&b->fixture->registry, REPO, b->digest, &presence, &err) < 0)
            fail_msg("%s", err.msg);
    for (size_t i = 0; i < b->log.len; i++)
        lines += buf_str(&b->log)[i] == '\n';
    assert_true(lines > 12); /* some were refused */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_an_upload_goes_on_after_the_pieces_that_arrived),
        TEST(test_an_upload_that_is_cut_within_a_piece_arrives),
        TEST(test_an_upload_in_one_request_that_is_cut_arrives),
        TEST(test_a_download_goes_on_where_it_was_cut),
        TEST(test_a_retry_after_is_waited_for),
        TEST(test_manifests_wait_for_a_busy_registry_too),
        cmocka_unit_test_setup_teardown(test_a_registry_that_limits_requests_gets_them_later,
                                        setup_with_limit, teardown),
    };
    struct error err = ERROR_INIT;

    return http_setup(&err) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
