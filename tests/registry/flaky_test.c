/* Blobs to and from a registry that breaks off, is busy, forgets, or says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "tests/registry/flaky.h"

#define REPO "team/agent/demo"
#define SIZE 3000000u

struct blob {
    int fd;
    char digest[REGISTRY_DIGEST];
    struct buf bytes;
    struct flaky *flaky;
};

static int setup(void **state)
{
    struct blob *b = calloc(1, sizeof(*b));
    struct error err = ERROR_INIT;
    unsigned seed = 3;

    b->bytes = (struct buf)BUF_INIT(2 * SIZE);
    for (unsigned i = 0; i < SIZE; i++) {
        seed = seed * 1103515245u + 12345u;
        buf_addc(&b->bytes, (char)(seed >> 16));
    }
    b->fd = memfd_create("blob", MFD_CLOEXEC);
    memcpy(b->digest, "sha256:", 7);
    digest_sha256_hex(b->bytes.data, SIZE, b->digest + 7);
    *state = b;
    return fs_write_all(b->fd, b->bytes.data, SIZE, &err);
}

static int teardown(void **state)
{
    struct blob *b = *state;

    flaky_free(b->flaky);
    buf_release(&b->bytes);
    close(b->fd);
    free(b);
    return 0;
}

#define START(b, faults) start(b, faults, sizeof(faults) / sizeof((faults)[0]))

static struct flaky *start(struct blob *b, const struct flaky_fault *faults, size_t n)
{
    flaky_free(b->flaky);
    b->flaky = flaky_start(faults, n);
    return b->flaky;
}

static int put(struct blob *b, struct error *err)
{
    return registry_put_blob(&b->flaky->registry, REPO, b->digest, b->fd, SIZE, err);
}

/* Sends the blob, and compares what was said meanwhile. */
static void check_put(struct blob *b, const char *log)
{
    struct error err = ERROR_INIT;

    if (put(b, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&b->flaky->log), log);
    assert_true(b->flaky->has_blob);
    assert_int_equal(b->flaky->blob.len, SIZE);
    assert_memory_equal(b->flaky->blob.data, b->bytes.data, SIZE);
}

/* ---- sending ---- */

static void test_a_blob_is_sent_by_one_post_and_one_put(void **state)
{
    static const struct flaky_fault none[] = {{.method = "none"}};

    (void)START(*state, none);
    check_put(*state, "POST\nPUT 3000000\n");
}

static void test_a_blob_is_sent_in_pieces_where_one_may_not_be_larger(void **state)
{
    static const struct flaky_fault faults[] = {{"PATCH", FLAKY_STATUS, 503, NULL},
                                                {"PATCH", FLAKY_CUT, 600000, NULL}};

    START(*state, faults)->registry.chunk = 1400000;
    check_put(*state, "POST\nPATCH 503\nHEAD from 0\nGET upload\nPOST\nPATCH 600000\nHEAD from 0\n"
                      "GET upload\nPATCH 1400000\nPATCH 1000000\nPUT 0\n");
}

static void test_an_upload_that_was_cut_off_goes_on_where_it_was(void **state)
{
    static const struct flaky_fault faults[] = {
        {"PUT", FLAKY_CUT, 1000000, NULL},
        {"PATCH", FLAKY_CUT, 500000, NULL},
    };

    (void)START(*state, faults);
    check_put(*state, "POST\nPUT 1000000\nHEAD from 0\nGET upload\n"
                      "PATCH 500000\nHEAD from 0\nGET upload\nPATCH 1500000\nPUT 0\n");
}

static void test_cuts_do_not_count_while_bytes_arrive(void **state)
{
    static const struct flaky_fault faults[] = {
        {"PUT", FLAKY_CUT, 1, NULL},       {"PUT", FLAKY_CUT, 1000000, NULL},
        {"PATCH", FLAKY_CUT, 10000, NULL}, {"PATCH", FLAKY_CUT, 10000, NULL},
        {"PATCH", FLAKY_CUT, 10000, NULL}, {"PATCH", FLAKY_CUT, 10000, NULL},
        {"PATCH", FLAKY_CUT, 10000, NULL},
    };
    struct blob *b = *state;
    struct error err = ERROR_INIT;

    START(b, faults)->registry.tries = 3;
    if (put(b, &err) < 0)
        fail_msg("%s", err.msg);
    assert_memory_equal(b->flaky->blob.data, b->bytes.data, SIZE);
}

static void test_an_upload_that_the_registry_forgot_begins_anew(void **state)
{
    static const struct flaky_fault faults[] = {
        {"PUT", FLAKY_CUT, 1000000, NULL},
        {"GET", FLAKY_FORGET, 0, NULL},
    };

    (void)START(*state, faults);
    check_put(*state, "POST\nPUT 1000000\nHEAD from 0\nGET upload\nPOST\nPUT 3000000\n");
}

static void test_an_upload_that_is_refused_when_resumed_begins_anew(void **state)
{
    static const struct flaky_fault faults[] = {
        {"PUT", FLAKY_CUT, 1000000, NULL},
        {"PATCH", FLAKY_STATUS, 416, NULL},
    };

    (void)START(*state, faults);
    check_put(*state, "POST\nPUT 1000000\nHEAD from 0\nGET upload\nPATCH 416\nHEAD from 0\n"
                      "POST\nPUT 3000000\n");
}

static void test_a_blob_that_arrived_is_not_sent_again_when_the_answer_was_lost(void **state)
{
    static const struct flaky_fault faults[] = {{"PUT", FLAKY_NO_ANSWER, 0, NULL}};

    (void)START(*state, faults);
    check_put(*state, "POST\nPUT 3000000\nHEAD from 0\n");
}

static void test_a_busy_registry_is_asked_again(void **state)
{
    static const struct flaky_fault faults[] = {
        {"POST", FLAKY_STATUS, 503, NULL},
        {"POST", FLAKY_STATUS, 500, NULL},
        {"PUT", FLAKY_STATUS, 502, NULL},
    };

    (void)START(*state, faults);
    check_put(*state, "POST 503\nPOST 500\nPOST\nPUT 502\nHEAD from 0\nGET upload\n"
                      "POST\nPUT 3000000\n");
}

static void test_a_retry_after_is_heeded(void **state)
{
    static const struct flaky_fault faults[] = {{"POST", FLAKY_STATUS, 429, "Retry-After: 1"}};
    int64_t before = clock_monotonic();

    (void)START(*state, faults);
    check_put(*state, "POST 429\nPOST\nPUT 3000000\n");
    assert_true(clock_monotonic() - before >= NS_PER_SEC);
}

static void test_it_is_given_up_in_the_end(void **state)
{
    static const struct flaky_fault faults[] = {
        {"POST", FLAKY_STATUS, 503, NULL}, {"POST", FLAKY_STATUS, 503, NULL},
        {"POST", FLAKY_STATUS, 503, NULL}, {"POST", FLAKY_STATUS, 503, NULL},
        {"POST", FLAKY_STATUS, 503, NULL}, {"POST", FLAKY_STATUS, 503, NULL},
    };
    struct blob *b = *state;
    struct error err = ERROR_INIT;

    START(b, faults)->registry.tries = 4;
    assert_int_equal(put(b, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_true(text_starts(err.msg, "send sha256:"));
    assert_true(text_ends(err.msg, " to " REPO ": HTTP 503"));
    assert_string_equal(buf_str(&b->flaky->log), "POST 503\nPOST 503\nPOST 503\nPOST 503\n");
}

static void test_what_is_forbidden_is_not_tried_again(void **state)
{
    static const struct flaky_fault faults[] = {{"POST", FLAKY_STATUS, 403, NULL}};
    struct blob *b = *state;
    struct error err = ERROR_INIT;

    (void)START(b, faults);
    assert_int_equal(put(b, &err), -1);
    assert_non_null(strstr(err.msg, "HTTP 403"));
    assert_string_equal(buf_str(&b->flaky->log), "POST 403\n");
}

static void test_questions_are_asked_again_too(void **state)
{
    static const struct flaky_fault faults[] = {
        {"HEAD", FLAKY_STATUS, 503, NULL},
        {"HEAD", FLAKY_NO_ANSWER, 0, NULL},
    };
    enum registry_presence presence = REGISTRY_PRESENT;
    struct blob *b = *state;
    struct error err = ERROR_INIT;

    (void)START(b, faults);
    if (registry_has_blob(&b->flaky->registry, REPO, b->digest, &presence, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(presence, REGISTRY_ABSENT);
    assert_string_equal(buf_str(&b->flaky->log), "HEAD 503\nHEAD from 0\nHEAD from 0\n");
}

/* ---- cancelling ---- */

static void *throw_soon(void *cancel)
{
    (void)usleep(200000);
    cancel_throw(cancel);
    return NULL;
}

static void check_cancelled(struct blob *b)
{
    int64_t before = clock_monotonic();
    struct error err = ERROR_INIT;
    struct cancel cancel;
    pthread_t thread;

    assert_int_equal(cancel_init(&cancel, &err), 0);
    b->flaky->registry.cancel = &cancel;
    assert_int_equal(pthread_create(&thread, NULL, throw_soon, &cancel), 0);
    assert_int_equal(put(b, &err), -1);
    pthread_join(thread, NULL);
    cancel_release(&cancel);
    assert_int_equal(err.kind, ERR_SYSTEM);
    assert_non_null(strstr(err.msg, "cancelled"));
    assert_true(clock_monotonic() - before < 50 * NS_PER_SEC);
}

static void test_it_is_cancelled_while_it_waits(void **state)
{
    static const struct flaky_fault faults[] = {{"POST", FLAKY_STATUS, 503, "Retry-After: 60"}};

    (void)START(*state, faults);
    check_cancelled(*state);
}

static void test_it_is_cancelled_while_the_registry_says_nothing(void **state)
{
    static const struct flaky_fault faults[] = {{"PUT", FLAKY_SILENT, 0, NULL}};

    (void)START(*state, faults);
    check_cancelled(*state);
}

/* ---- fetching ---- */

static int get(struct blob *b, int fd, struct error *err)
{
    struct flaky *f = b->flaky;
    enum registry_presence presence = REGISTRY_ABSENT;

    if (!f->has_blob)
        buf_add(&f->blob, b->bytes.data, SIZE);
    f->has_blob = true;
    if (registry_get_blob(&f->registry, REPO, b->digest, SIZE, fd, &presence, err) < 0)
        return -1;
    assert_int_equal(presence, REGISTRY_PRESENT);
    return 0;
}

static void check_get(struct blob *b, const char *log)
{
    CLEANUP(buf_release) struct buf got = BUF_INIT(2 * SIZE);
    CLEANUP_CLOSE int fd = memfd_create("got", MFD_CLOEXEC);
    struct error err = ERROR_INIT;

    if (get(b, fd, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_str(&b->flaky->log), log);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(fd, &got, &err), 0);
    assert_int_equal(got.len, SIZE);
    assert_memory_equal(got.data, b->bytes.data, SIZE);
}

static void test_a_download_that_was_cut_off_goes_on_where_it_was(void **state)
{
    static const struct flaky_fault faults[] = {
        {"GET", FLAKY_STATUS, 503, NULL},
        {"GET", FLAKY_CUT, 1000000, NULL},
        {"GET", FLAKY_CUT, 0, NULL},
        {"GET", FLAKY_CUT, 500000, NULL},
    };

    (void)START(*state, faults);
    check_get(*state,
              "GET 503\nGET from 0\nGET from 1000000\nGET from 1000000\nGET from 1500000\n");
}

static void test_a_registry_without_ranges_sends_all_again(void **state)
{
    static const struct flaky_fault faults[] = {
        {"GET", FLAKY_CUT, 1000000, NULL},
        {"GET", FLAKY_NO_RANGE, 0, NULL},
    };

    (void)START(*state, faults);
    check_get(*state, "GET from 0\nGET from 1000000\n");
}

static void check_not_got(struct blob *b, const char *why)
{
    CLEANUP_CLOSE int fd = memfd_create("got", MFD_CLOEXEC);
    struct error err = ERROR_INIT;

    assert_int_equal(get(b, fd, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    if (!strstr(err.msg, why))
        fail_msg("%s", err.msg);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
}

static void test_another_part_than_was_asked_for_is_not_taken(void **state)
{
    static const struct flaky_fault faults[] = {
        {"GET", FLAKY_CUT, 1000000, NULL},
        {"GET", FLAKY_OTHER_PART, 0, NULL},
    };

    (void)START(*state, faults);
    check_not_got(*state, "another range");
}

static void test_other_bytes_than_the_digests_are_not_taken(void **state)
{
    static const struct flaky_fault none[] = {{.method = "none"}};
    struct blob *b = *state;

    (void)START(b, none);
    b->flaky->has_blob = true;
    buf_add(&b->flaky->blob, b->bytes.data, SIZE);
    b->flaky->blob.data[SIZE / 2] ^= 1;
    check_not_got(b, "the registry sent sha256:");
}

static int start_curl(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    return http_setup(&err);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_blob_is_sent_by_one_post_and_one_put),
        TEST(test_a_blob_is_sent_in_pieces_where_one_may_not_be_larger),
        TEST(test_an_upload_that_was_cut_off_goes_on_where_it_was),
        TEST(test_cuts_do_not_count_while_bytes_arrive),
        TEST(test_an_upload_that_the_registry_forgot_begins_anew),
        TEST(test_an_upload_that_is_refused_when_resumed_begins_anew),
        TEST(test_a_blob_that_arrived_is_not_sent_again_when_the_answer_was_lost),
        TEST(test_a_busy_registry_is_asked_again),
        TEST(test_a_retry_after_is_heeded),
        TEST(test_it_is_given_up_in_the_end),
        TEST(test_what_is_forbidden_is_not_tried_again),
        TEST(test_questions_are_asked_again_too),
        TEST(test_it_is_cancelled_while_it_waits),
        TEST(test_it_is_cancelled_while_the_registry_says_nothing),
        TEST(test_a_download_that_was_cut_off_goes_on_where_it_was),
        TEST(test_a_registry_without_ranges_sends_all_again),
        TEST(test_another_part_than_was_asked_for_is_not_taken),
        TEST(test_other_bytes_than_the_digests_are_not_taken),
    };

    return cmocka_run_group_tests(tests, start_curl, NULL);
}
