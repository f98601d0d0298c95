/* The client against an S3 server, whole and under faults. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tests/objects/fixture.h"

static int open_scene(void **state)
{
    static struct objects_scene scene;

    objects_scene_open(&scene);
    *state = &scene;
    return 0;
}

static int close_scene(void **state)
{
    objects_scene_close(*state);
    return 0;
}

static void put(struct objects_scene *s, const char *key, const char *text)
{
    struct error err = ERROR_INIT;
    bool there;

    if (objects_put(s->store, key, NULL, text, strlen(text), NULL, &there, &err) < 0)
        fail_msg("%s", err.msg);
}

static void expect(struct objects_scene *s, const char *key, const char *text)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    bool there;

    if (objects_read(s->store, key, &out, &there, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(there, text != NULL);
    assert_string_equal(buf_str(&out), text ? text : "");
}

/* With nobody there, and an hour before the second try. */
static void a_store_that_is_cancelled_keeps_nobody_waiting(void **state)
{
    const struct objects_scene *s = *state;
    struct objects_config config = s->config;
    struct cancel cancel = {.fd = -1};
    struct error err = ERROR_INIT;
    struct objects *store;
    struct object_info info;

    assert_int_equal(cancel_init(&cancel, &err), 0);
    config.endpoint = "http://127.0.0.1:1";
    config.wait_ms = 3600000;
    config.cancel = &cancel;
    assert_int_equal(objects_open(&config, &store, &err), 0);
    cancel_throw(&cancel);
    assert_int_equal(objects_head(store, "a", &info, &err), -1);
    objects_free(store);
    cancel_release(&cancel);
}

static void an_object_is_put_read_headed_copied_and_deleted(void **state)
{
    struct objects_scene *s = *state;
    struct error err = ERROR_INIT;
    struct object_info info;
    bool there;

    expect(s, "t/name:1=@gone", NULL);
    put(s, "t/name:1=@gone", "hello");
    expect(s, "t/name:1=@gone", "hello");
    assert_int_equal(objects_head(s->store, "t/name:1=@gone", &info, &err), 0);
    assert_true(info.there);
    assert_int_equal(info.size, 5);
    if (objects_copy(s->store, "t/name:1=@gone", info.etag, "u", &there, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(there);
    expect(s, "u", "hello");
    assert_int_equal(objects_copy(s->store, "u", "\"0123\"", "v", &there, &err), 0);
    assert_false(there);
    assert_int_equal(objects_delete(s->store, "u", &err), 0);
    assert_int_equal(objects_delete(s->store, "u", &err), 0);
    expect(s, "u", NULL);
    assert_int_equal(objects_head(s->store, "u", &info, &err), 0);
    assert_false(info.there);
}

static void a_put_with_a_condition_replaces_nothing_else(void **state)
{
    char etag[OBJECT_ETAG];
    struct objects_scene *s = *state;
    struct error err = ERROR_INIT;
    bool there;

    assert_int_equal(objects_put(s->store, "k", OBJECT_ABSENT, "a", 1, etag, &there, &err), 0);
    assert_false(there);
    assert_int_equal(objects_put(s->store, "k", OBJECT_ABSENT, "b", 1, NULL, &there, &err), 0);
    assert_true(there);
    expect(s, "k", "a");
    assert_int_equal(objects_put(s->store, "k", etag, "c", 1, NULL, &there, &err), 0);
    assert_false(there);
    assert_int_equal(objects_put(s->store, "k", etag, "d", 1, NULL, &there, &err), 0);
    assert_true(there);
    assert_int_equal(objects_put(s->store, "none", etag, "d", 1, NULL, &there, &err), 0);
    assert_true(there);
    expect(s, "k", "c");
}

static int count(void *self, const struct object_listed *l, struct error *err)
{
    char expected[32];
    size_t *n = self;

    (void)err;
    (void)snprintf(expected, sizeof(expected), "list/%03zu", (*n)++);
    assert_string_equal(l->key, expected);
    assert_int_equal(l->size, 1);
    return 0;
}

/* The server has pages of 7. */
static void a_list_goes_over_its_pages(void **state)
{
    struct objects_scene *s = *state;
    struct error err = ERROR_INIT;
    char key[32];
    size_t n = 0;

    for (size_t i = 0; i < 23; i++) {
        (void)snprintf(key, sizeof(key), "list/%03zu", i);
        put(s, key, "x");
    }
    put(s, "other", "x");
    assert_int_equal(objects_list(s->store, "list/", count, &n, &err), 0);
    assert_int_equal(n, 23);
}

/* A file of so many bytes that differ everywhere. */
static int make_file(size_t size)
{
    CLEANUP_FREE uint32_t *data = malloc(size);
    struct error err;
    int fd = memfd_create("test", MFD_CLOEXEC);

    for (size_t i = 0; i < size / 4; i++)
        data[i] = (uint32_t)i * 2654435761u;
    assert_int_equal(fs_write_all(fd, data, size, &err), 0);
    return fd;
}

static void assert_same(int a, int b, size_t size)
{
    CLEANUP_FREE char *x = malloc(size);
    CLEANUP_FREE char *y = malloc(size);

    assert_int_equal(fs_pread(a, x, size, 0), size);
    assert_int_equal(fs_pread(b, y, size, 0), size);
    assert_memory_equal(x, y, size);
}

static void check_large(struct objects_scene *s, const char *faults)
{
    const size_t size = 11u << 20;
    CLEANUP_CLOSE int fd = make_file(size);
    CLEANUP_CLOSE int back = memfd_create("back", MFD_CLOEXEC);
    struct error err = ERROR_INIT;
    struct object_info info;

    objects_scene_fault(s, faults);
    if (objects_put_file(s->store, "large", fd, &err) < 0)
        fail_msg("%s", err.msg);
    objects_scene_fault(s, "[]");
    assert_int_equal(objects_head(s->store, "large", &info, &err), 0);
    assert_int_equal(info.size, size);
    objects_scene_fault(s, faults);
    if (objects_get(s->store, "large", info.etag, 0, size / 2, back, &err) < 0 ||
        objects_get(s->store, "large", info.etag, size / 2, size - size / 2, back, &err) < 0)
        fail_msg("%s", err.msg);
    assert_same(fd, back, size);
}

static void a_large_file_goes_in_parts_and_comes_in_ranges(void **state)
{
    check_large(*state, "[]");
}

static void what_is_cut_or_busy_is_tried_again(void **state)
{
    check_large(*state, "[{\"status\":503,\"retry_after\":0,\"count\":2},{\"cut_request\":1},"
                        "{\"cut_answer\":1000000,\"method\":\"GET\",\"count\":3},"
                        "{\"cut_done\":1,\"method\":\"PUT\",\"count\":2},"
                        "{\"status\":429,\"count\":1}]");
}

static void a_completion_whose_answer_is_lost_is_one(void **state)
{
    check_large(*state, "[{\"cut_done\":1,\"method\":\"POST\",\"path\":\"uploadId\"}]");
}

static int count_any(void *self, const struct object_listed *l, struct error *err)
{
    (void)l;
    (void)err;
    ++*(size_t *)self;
    return 0;
}

static void an_upload_in_parts_that_fails_leaves_nothing(void **state)
{
    struct objects_scene *s = *state;
    CLEANUP_CLOSE int fd = make_file(11u << 20);
    struct error err = ERROR_INIT;
    size_t n = 0;

    objects_scene_fault(
        s, "[{\"status\":500,\"method\":\"PUT\",\"path\":\"partNumber=2\",\"count\":100}]");
    assert_int_equal(objects_put_file(s->store, "large", fd, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    objects_scene_fault(s, "[]");
    assert_int_equal(objects_list(s->store, "", count_any, &n, &err), 0);
    assert_int_equal(n, 0);
}

static size_t abort_unfinished(struct objects_scene *s)
{
    struct error err = ERROR_INIT;
    size_t n;

    if (objects_abort_unfinished(s->store, 24 * 3600, &n, &err) < 0)
        fail_msg("%s", err.msg);
    return n;
}

static void an_upload_in_parts_that_nobody_ends_is_taken_back_after_its_time(void **state)
{
    static const char tomorrow[] = "[{\"later\":90000,\"method\":\"GET\",\"path\":\"uploads=\"}]";
    struct objects_scene *s = *state;
    CLEANUP_CLOSE int fd = make_file(11u << 20);
    struct error err = ERROR_INIT;

    objects_scene_fault(s, "[{\"cut_done\":1,\"method\":\"POST\",\"path\":\"uploads=\"}]");
    if (objects_put_file(s->store, "large", fd, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(abort_unfinished(s), 0);
    objects_scene_fault(s, tomorrow);
    assert_int_equal(abort_unfinished(s), 1);
    objects_scene_fault(s, tomorrow);
    assert_int_equal(abort_unfinished(s), 0);
}

static void an_object_that_was_replaced_is_not_read_on(void **state)
{
    struct objects_scene *s = *state;
    CLEANUP_CLOSE int back = memfd_create("back", MFD_CLOEXEC);
    struct error err = ERROR_INIT;
    struct object_info info;

    put(s, "k", "first");
    assert_int_equal(objects_head(s->store, "k", &info, &err), 0);
    put(s, "k", "other");
    assert_int_equal(objects_get(s->store, "k", info.etag, 0, 5, back, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_non_null(strstr(err.msg, "replaced"));
}

static void a_small_object_that_was_damaged_on_its_way_is_noticed(void **state)
{
    struct objects_scene *s = *state;
    CLEANUP(buf_release) struct buf out = BUF_INIT(4096);
    struct error err = ERROR_INIT;
    bool there;

    put(s, "k", "hello");
    objects_scene_fault(s, "[{\"flip\":2,\"method\":\"GET\"}]");
    assert_int_equal(objects_read(s->store, "k", &out, &there, &err), -1);
    assert_non_null(strstr(err.msg, "checksum"));
}

/* ---- what is not configured right ---- */

static void expect_failure(const struct objects_config *config, const char *word)
{
    struct objects *o = NULL;
    struct error err = ERROR_INIT;
    bool conditions;

    assert_int_equal(objects_open(config, &o, &err), 0);
    assert_int_equal(objects_probe(o, &conditions, &err), -1);
    objects_free(o);
    assert_int_equal(err.kind, ERR_SYSTEM);
    if (!strstr(err.msg, word) || strstr(err.msg, config->credentials->secret) ||
        strstr(err.msg, config->credentials->access))
        fail_msg("%s", err.msg);
}

static void the_probe_says_what_is_not_right(void **state)
{
    struct objects_scene *s = *state;
    struct objects_credentials wrong = s->credentials;
    struct objects_config config = s->config;
    struct error err = ERROR_INIT;
    bool conditions;

    assert_int_equal(objects_probe(s->store, &conditions, &err), 0);
    assert_true(conditions);
    config.url = "s3://kiln-other";
    expect_failure(&config, "no such bucket");
    config = s->config;
    config.region = "us-west-1";
    expect_failure(&config, "s3_region");
    config = s->config;
    config.credentials = &wrong;
    wrong.secret[3] ^= 1;
    expect_failure(&config, "s3_credentials: the secret key");
    wrong.access[3] ^= 1;
    expect_failure(&config, "s3_credentials: it does not know");
}

/* libcurl takes every name below "localhost" for this machine. */
static void the_bucket_may_be_part_of_the_host(void **state)
{
    struct objects_scene *s = *state;
    struct objects_config config = s->config;
    struct objects *o = NULL;
    struct error err = ERROR_INIT;
    char endpoint[128];
    bool conditions;

    (void)snprintf(endpoint, sizeof(endpoint), "http://localhost%s", strrchr(s->endpoint, ':'));
    config.endpoint = endpoint;
    config.host_style = true;
    assert_int_equal(objects_open(&config, &o, &err), 0);
    if (objects_probe(o, &conditions, &err) < 0)
        fail_msg("%s", err.msg);
    objects_free(o);
    put(s, "k", "by path");
    expect(s, "k", "by path");
}

/* ---- presigned URLs ---- */

static int put_to_url(const char *url, const char *label)
{
    CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(1 << 20);
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    struct error err = ERROR_INIT;
    const struct http_request req = {
        .method = "PUT", .url = url, .headers = &headers, .body = "zip", .body_len = 3};

    argv_push1(&headers, "Content-Type: application/zip");
    if (label)
        argv_push1(&headers, label);
    assert_int_equal(http_curl.request(http_curl.self, &req, &resp, &err), 0);
    return resp.status;
}

static void a_presigned_url_is_good_for_its_key_and_labels(void **state)
{
    struct objects_scene *s = *state;
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;
    struct error err = ERROR_INIT;
    struct object_info info;
    char *key;

    argv_push1(&labels, "x-blaxel-build-memory: 4096");
    assert_int_equal(objects_presign_put(s->store, "incoming/b1", 3600, &labels, &url, &err), 0);
    assert_int_equal(put_to_url(buf_str(&url), NULL), 403);
    assert_int_equal(put_to_url(buf_str(&url), "x-amz-meta-x-blaxel-build-memory: 8192"), 403);
    assert_int_equal(put_to_url(buf_str(&url), "x-amz-meta-x-blaxel-build-memory: 4096"), 200);
    assert_int_equal(objects_head(s->store, "incoming/b1", &info, &err), 0);
    assert_int_equal(info.size, 3);
    assert_int_equal(info.labels.n, 1);
    assert_string_equal(info.labels.v[0], "x-blaxel-build-memory: 4096");
    argv_release(&info.labels);
    key = strstr(url.data, "incoming/b1");
    key[10] = '2';
    assert_int_equal(put_to_url(buf_str(&url), "x-amz-meta-x-blaxel-build-memory: 4096"), 403);
}

static int64_t two_hours_ago(void *self)
{
    (void)self;
    return clock_now(&clock_system) - 7200 * NS_PER_SEC;
}

static void a_presigned_url_expires(void **state)
{
    struct objects_scene *s = *state;
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);
    const struct clock late = {.now = two_hours_ago};
    struct objects_config config = s->config;
    struct objects *o = NULL;
    struct error err = ERROR_INIT;

    config.clock = &late;
    assert_int_equal(objects_open(&config, &o, &err), 0);
    assert_int_equal(objects_presign_put(o, "incoming/b1", 3600, NULL, &url, &err), 0);
    assert_int_equal(put_to_url(buf_str(&url), NULL), 403);
    objects_free(o);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_scene, close_scene)
    const struct CMUnitTest tests[] = {
        TEST(a_store_that_is_cancelled_keeps_nobody_waiting),
        TEST(an_object_is_put_read_headed_copied_and_deleted),
        TEST(a_put_with_a_condition_replaces_nothing_else),
        TEST(a_list_goes_over_its_pages),
        TEST(a_large_file_goes_in_parts_and_comes_in_ranges),
        TEST(what_is_cut_or_busy_is_tried_again),
        TEST(a_completion_whose_answer_is_lost_is_one),
        TEST(an_upload_in_parts_that_fails_leaves_nothing),
        TEST(an_upload_in_parts_that_nobody_ends_is_taken_back_after_its_time),
        TEST(an_object_that_was_replaced_is_not_read_on),
        TEST(a_small_object_that_was_damaged_on_its_way_is_noticed),
        TEST(the_probe_says_what_is_not_right),
        TEST(the_bucket_may_be_part_of_the_host),
        TEST(a_presigned_url_is_good_for_its_key_and_labels),
        TEST(a_presigned_url_expires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
