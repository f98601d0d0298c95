/* A ticket is good for exactly what it was signed for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "uploads/uploads.h"

static const unsigned char KEY[UPLOAD_KEY_SIZE] = {1, 2, 3};
static const struct upload_ticket TICKET = {
    .method = "PUT", .workspace = "acme", .object = "img-0-a_B", .expires = 1000};

/* Signs t; sig has 65 bytes. */
static void sign(const struct upload_ticket *t, char *sig)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(4096);
    const char *found;

    upload_ticket_url(KEY, t, "http://kiln.test:1", &url);
    found = strstr(buf_str(&url), "&signature=");
    assert_non_null(found);
    (void)snprintf(sig, 65, "%s", found + strlen("&signature="));
}

static void test_a_url_names_workspace_object_and_expiry_and_is_valid_until_then(void **state)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(4096);
    const char *prefix = "http://kiln.test:1/uploads/acme/img-0-a_B?expires=1000&signature=";
    char sig[65];

    (void)state;
    upload_ticket_url(KEY, &TICKET, "http://kiln.test:1", &url);
    assert_int_equal(strncmp(buf_str(&url), prefix, strlen(prefix)), 0);
    assert_int_equal(url.len, strlen(prefix) + 64);
    sign(&TICKET, sig);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, sig, 0), UPLOAD_TICKET_VALID);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, sig, 1000), UPLOAD_TICKET_VALID);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, sig, 1001), UPLOAD_TICKET_EXPIRED);
}

static void test_no_field_can_be_changed_without_forging(void **state)
{
    static const struct upload_ticket others[] = {
        {"GET", "acme", "img-0-a_B", 1000},   {"PUT", "acm", "eimg-0-a_B", 1000},
        {"PUT", "acme", "img-0-a_C", 1000},   {"PUT", "acme", "img-0-a_B", 1001},
        {"PUT", "acme", "img-0-a_B", 999},    {"PUT", "evil", "img-0-a_B", 1000},
        {"PUT", "acme", "img-0-a_B/", 1000},  {"PUT", "acme/", "img-0-a_B", 1000},
        {"PUT", "", "acme/img-0-a_B", 1000},  {"PUT", "acme\nimg", "0-a_B", 1000},
        {"PUT", "acme", "img-0-a_B\n", 1000}, {"PUT", "acme", "../img-0-a_B", 1000},
    };
    char sig[65];

    (void)state;
    sign(&TICKET, sig);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(upload_ticket_check(KEY, &others[i], sig, 5000), UPLOAD_TICKET_FORGED);
}

static void test_a_missing_short_altered_or_foreign_signature_is_forged(void **state)
{
    static const unsigned char other_key[UPLOAD_KEY_SIZE] = {1, 2, 4};
    char sig[65], bad[80];

    (void)state;
    sign(&TICKET, sig);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, NULL, 0), UPLOAD_TICKET_FORGED);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, "", 0), UPLOAD_TICKET_FORGED);
    assert_int_equal(upload_ticket_check(other_key, &TICKET, sig, 0), UPLOAD_TICKET_FORGED);
    for (size_t i = 0; i < 64; i++) {
        (void)snprintf(bad, sizeof(bad), "%s", sig);
        bad[i] = bad[i] == '0' ? '1' : '0';
        assert_int_equal(upload_ticket_check(KEY, &TICKET, bad, 0), UPLOAD_TICKET_FORGED);
    }
    (void)snprintf(bad, sizeof(bad), "%.63s", sig);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, bad, 0), UPLOAD_TICKET_FORGED);
    (void)snprintf(bad, sizeof(bad), "%s0", sig);
    assert_int_equal(upload_ticket_check(KEY, &TICKET, bad, 0), UPLOAD_TICKET_FORGED);
}

static void test_a_ticket_that_could_not_be_read_back_is_not_issued(void **state)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(4096);
    struct upload_ticket t = TICKET;
    struct error err;

    (void)state;
    t.workspace = "a/b";
    upload_ticket_url(KEY, &t, "http://kiln.test:1", &url);
    assert_int_equal(url.len, 0);
    assert_int_equal(buf_check(&url, "the URL", &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_url_names_workspace_object_and_expiry_and_is_valid_until_then),
        cmocka_unit_test(test_no_field_can_be_changed_without_forging),
        cmocka_unit_test(test_a_missing_short_altered_or_foreign_signature_is_forged),
        cmocka_unit_test(test_a_ticket_that_could_not_be_read_back_is_not_issued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
