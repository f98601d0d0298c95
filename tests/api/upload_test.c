/* The presigned URL: good for one PUT of one archive, and for nothing else. */
#include "fixture.h"

#include <string.h>

static struct reply *announce(struct fixture *f, const char *name)
{
    char body[128];

    (void)snprintf(body, sizeof(body), "{\"name\":\"%s\",\"resourceType\":\"sandbox\"}", name);
    return ask(f, "POST", "/v0/images?upload=true", body);
}

static const char *status_of(struct fixture *f, const char *name)
{
    char target[128];

    (void)snprintf(target, sizeof(target), "/v0/images/sandbox/%s", name);
    return text_at(ask(f, "GET", target, NULL), "metadata.status");
}

static void test_an_upload_is_answered_with_an_empty_200(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *target = upload_target(announce(f, "a"));
    struct reply *r;

    memset(f->headers, 0, sizeof(f->headers)); /* the URL carries all it needs */
    r = ask(f, "PUT", target, "PK-archive");
    assert_int_equal(r->status, 200);
    assert_string_equal(r->text, "");
    assert_int_equal(archives(f), 1);
}

static void test_what_was_uploaded_is_what_the_build_gets(void **state)
{
    struct fixture *f = fixture_of(state);
    struct build b;
    struct error err;
    char text[32] = "";
    int fd;

    (void)ask(f, "PUT", upload_target(announce(f, "a")), "PK-archive");
    b = claim(f);
    assert_int_equal(b.archive_size, 10);
    assert_int_equal(upload_store_get(f->config.uploads, b.archive, &fd, &err), 0);
    assert_int_equal(read(fd, text, sizeof(text)), 10);
    assert_string_equal(text, "PK-archive");
    close(fd);
}

static void test_a_used_url_is_a_conflict(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = announce(f, "a");

    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    assert_error(ask(f, "PUT", upload_target(r), "other"), 409, "upload_url_used");
    assert_int_equal(archives(f), 1);
}

/* Each change to the URL, one at a time. */
static void test_a_changed_url_is_refused(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *target = upload_target(announce(f, "a"));
    const char *other = upload_target(announce(f, "b"));
    char changed[6][512];

    for (size_t i = 0; i < 6; i++)
        (void)snprintf(changed[i], sizeof(changed[i]), "%s", target);
    memcpy(strstr(changed[0], "acme"), "acmd", 4);        /* workspace */
    *(strchr(changed[1], '?') - 1) ^= 1;                  /* object */
    memcpy(changed[2] + 14, other + 14, 32);              /* object of another build */
    strchr(strstr(changed[3], "expires="), '=')[1] = '9'; /* a longer life */
    *strstr(changed[4], "&signature=") = '\0';            /* no signature */
    changed[5][strlen(changed[5]) - 1] ^= 1;              /* another signature */
    for (size_t i = 0; i < 6; i++)
        assert_error(ask(f, "PUT", changed[i], "PK"), 403, "upload_url_invalid");
    assert_int_equal(archives(f), 0);
    assert_string_equal(status_of(f, "a"), "UPLOADING");
    assert_int_equal(ask(f, "PUT", target, "PK")->status, 200);
}

static void test_an_expired_url_says_how_to_get_another(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *announced = announce(f, "a");
    struct reply *r;

    f->now += 3601 * NS_PER_SEC;
    r = ask(f, "PUT", upload_target(announced), "PK");
    assert_error(r, 403, "upload_url_expired");
    assert_non_null(strstr(text_at(r, "message"), "new upload URL by repeating the POST"));
    assert_int_equal(archives(f), 0);
}

static void test_a_deleted_resource_takes_no_upload(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r = ask(f, "POST", "/v0/agents?upload=true", "{\"metadata\":{\"name\":\"a\"}}");

    (void)ask(f, "DELETE", "/v0/agents/a", NULL);
    assert_error(ask(f, "PUT", upload_target(r), "PK"), 409, "upload_superseded");
    assert_int_equal(archives(f), 0);
}

/* A well-signed URL of a build that the database does not know. */
static void test_an_unknown_build_is_not_found(void **state)
{
    struct fixture *f = fixture_of(state);
    CLEANUP(buf_release) struct buf url = BUF_INIT(512);
    struct upload_ticket t = {"PUT", "acme", "0123456789abcdef0123456789abcdef",
                              f->now / NS_PER_SEC + 10};

    upload_ticket_url(f->upload_key, &t, "", &url);
    assert_error(ask(f, "PUT", buf_str(&url), "PK"), 404, "upload_not_found");
}

static void test_an_oversized_upload_changes_nothing(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *target = upload_target(announce(f, "a"));
    char *body = malloc(1000002);

    assert_non_null(body);
    memset(body, 'x', 1000001);
    body[1000001] = '\0';
    assert_error(ask(f, "PUT", target, body), 413, "upload_too_large");
    assert_int_equal(archives(f), 0);
    assert_string_equal(status_of(f, "a"), "UPLOADING");
    body[1000000] = '\0';
    assert_int_equal(ask(f, "PUT", target, body)->status, 200);
    free(body);
}

static void test_an_empty_upload_leaves_the_url_good(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *target = upload_target(announce(f, "a"));

    assert_error(ask(f, "PUT", target, NULL), 400, "upload_empty");
    assert_error(ask(f, "PUT", target, ""), 400, "upload_empty");
    assert_int_equal(archives(f), 0);
    assert_int_equal(ask(f, "PUT", target, "PK")->status, 200);
}

static void test_the_signature_is_never_repeated(void **state)
{
    static const char *const methods[] = {"GET", "PUT", "PUT", "DELETE"};
    struct fixture *f = fixture_of(state);
    struct reply *announced = announce(f, "a");
    const char *signature = strstr(upload_target(announced), "signature=") + 10;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        assert_null(strstr(ask(f, methods[i], upload_target(announced), "PK")->text, signature));
    assert_null(strstr(buf_str(&f->log), signature));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_upload_is_answered_with_an_empty_200),
        TEST(test_what_was_uploaded_is_what_the_build_gets),
        TEST(test_a_used_url_is_a_conflict),
        TEST(test_a_changed_url_is_refused),
        TEST(test_an_expired_url_says_how_to_get_another),
        TEST(test_a_deleted_resource_takes_no_upload),
        TEST(test_an_unknown_build_is_not_found),
        TEST(test_an_oversized_upload_changes_nothing),
        TEST(test_an_empty_upload_leaves_the_url_good),
        TEST(test_the_signature_is_never_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
