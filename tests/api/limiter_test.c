/* Token buckets, and what clients are told when theirs is empty. */
#include "fixture.h"

#include <string.h>

#include "api/limiter.h"

#define START (1000 * NS_PER_SEC)

static struct limiter *make(int64_t rate)
{
    struct limiter *l = limiter_new(&(const struct api_rates){rate, rate, rate, rate});

    assert_non_null(l);
    return l;
}

static int take_all(struct limiter *l, enum limit limit, const char *who, int64_t now)
{
    int64_t wait;
    int n = 0;

    while (n < 100000 && limiter_take(l, limit, who, strlen(who), now, &wait))
        n++;
    return n;
}

static void test_a_bucket_holds_a_burst_and_fills_again(void **state)
{
    struct limiter *l = make(5);
    int64_t wait;

    (void)state;
    assert_int_equal(take_all(l, LIMIT_KEY, "a", START), 5 * LIMIT_BURST);
    assert_false(limiter_has(l, LIMIT_KEY, "a", 1, START, &wait));
    assert_int_equal(wait, NS_PER_SEC / 5);
    assert_int_equal(take_all(l, LIMIT_KEY, "b", START), 5 * LIMIT_BURST);     /* another's */
    assert_int_equal(take_all(l, LIMIT_ADDRESS, "a", START), 5 * LIMIT_BURST); /* another limit */
    assert_int_equal(take_all(l, LIMIT_KEY, "a", START + NS_PER_SEC), 5);
    assert_int_equal(take_all(l, LIMIT_KEY, "a", START + 100 * NS_PER_SEC), 5 * LIMIT_BURST);
    limiter_free(l);
}

static void test_no_rate_is_no_limit(void **state)
{
    struct limiter *l = make(0);
    int64_t wait;

    (void)state;
    assert_int_equal(take_all(l, LIMIT_KEY, "a", START), 100000);
    assert_true(limiter_take(NULL, LIMIT_KEY, "a", 1, START, &wait));
    limiter_free(l);
}

/* The table stays as large as it is; who keeps asking keeps their place. */
static void test_many_others_do_not_free_who_asks_too_much(void **state)
{
    struct limiter *l = make(1);
    int64_t wait;

    (void)state;
    assert_int_equal(take_all(l, LIMIT_ADDRESS, "greedy", START), LIMIT_BURST);
    for (int i = 0; i < 200000; i++)
        (void)limiter_take(l, LIMIT_ADDRESS, &i, sizeof(i), START, &wait);
    assert_false(limiter_has(l, LIMIT_ADDRESS, "greedy", 6, START, &wait));
    limiter_free(l);
}

static void test_what_was_seen_is_remembered_for_a_time(void **state)
{
    struct limiter *l = make(1);

    (void)state;
    assert_false(limiter_remembers(l, "a", 1, START));
    limiter_remember(l, "a", 1, START, NS_PER_SEC);
    assert_true(limiter_remembers(l, "a", 1, START + NS_PER_SEC - 1));
    assert_false(limiter_remembers(l, "a", 1, START + NS_PER_SEC));
    assert_false(limiter_remembers(l, "b", 1, START));
    limiter_free(l);
}

/* ---- answers ---- */

static void limit(struct fixture *f, struct api_rates rates)
{
    f->config.limiter = limiter_new(&rates);
    assert_non_null(f->config.limiter);
}

static void unlimit(struct fixture *f)
{
    limiter_free(f->config.limiter);
    f->config.limiter = NULL;
}

static const char *retry_after(const struct reply *r)
{
    return api_response_find(&r->resp, "Retry-After");
}

static void test_a_key_that_asks_too_much_is_told_to_wait(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct reply *r;

    limit(f, (struct api_rates){.key = 1});
    for (int i = 0; i < LIMIT_BURST; i++)
        assert_int_equal(ask(f, "GET", "/v0/builds", NULL)->status, 200);
    r = ask(f, "GET", "/v0/builds", NULL);
    assert_error(r, 429, "too_many_requests");
    assert_string_equal(retry_after(r), "1");
    assert_int_equal(ask_as(f, f->other_key, "GET", "/v0/builds", NULL)->status, 200);
    assert_int_equal(ask(f, "GET", "/healthz", NULL)->status, 200);
    unlimit(f);
}

static void test_keys_of_a_workspace_share_its_rate(void **state)
{
    const struct key_draft draft = {.workspace = "acme", .role = ROLE_MEMBER};
    struct fixture *f = fixture_of(state);
    char second[API_KEY_TEXT];
    struct api_key key;
    struct error err;

    assert_int_equal(state_key_create(f->config.state, &draft, second, &key, &err), 0);
    limit(f, (struct api_rates){.workspace = 1});
    for (int i = 0; i < LIMIT_BURST; i++)
        assert_int_equal(ask(f, "GET", "/v0/builds", NULL)->status, 200);
    assert_error(ask_as(f, second, "GET", "/v0/builds", NULL), 429, "too_many_requests");
    assert_int_equal(ask_as(f, f->other_key, "GET", "/v0/builds", NULL)->status, 200);
    unlimit(f);
}

static void test_without_a_key_the_address_counts(void **state)
{
    struct fixture *f = fixture_of(state);

    limit(f, (struct api_rates){.address = 1});
    f->headers[API_HEADER_AUTHORIZATION] = NULL;
    for (int i = 0; i < LIMIT_BURST; i++)
        assert_int_equal(ask(f, "GET", i % 2 ? "/healthz" : "/v0/builds", NULL)->status,
                         i % 2 ? 200 : 401);
    assert_error(ask(f, "GET", "/healthz", NULL), 429, "too_many_requests");
    assert_error(ask(f, "GET", "/v0/builds", NULL), 429, "too_many_requests");
    assert_int_equal(ask_as(f, f->key, "GET", "/v0/builds", NULL)->status, 200);
    unlimit(f);
}

/* Even a right key is not tried then, if it is new there; one that was good there before goes on.
 */
static void test_wrong_keys_are_not_tried_for_ever(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct reply *r;

    limit(f, (struct api_rates){.failed_logins = 3});
    assert_int_equal(ask(f, "GET", "/v0/builds", NULL)->status, 200);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_as(f, "bl_wrong", "GET", "/v0/builds", NULL)->status, 401);
    r = ask_as(f, "bl_wrong", "GET", "/v0/builds", NULL);
    assert_error(r, 429, "too_many_requests");
    assert_string_equal(retry_after(r), "20");
    assert_error(ask_as(f, f->other_key, "GET", "/v0/builds", NULL), 429, "too_many_requests");
    assert_int_equal(ask(f, "GET", "/v0/builds", NULL)->status, 200);
    unlimit(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket_holds_a_burst_and_fills_again),
        cmocka_unit_test(test_no_rate_is_no_limit),
        cmocka_unit_test(test_many_others_do_not_free_who_asks_too_much),
        cmocka_unit_test(test_what_was_seen_is_remembered_for_a_time),
        TEST(test_a_key_that_asks_too_much_is_told_to_wait),
        TEST(test_keys_of_a_workspace_share_its_rate),
        TEST(test_without_a_key_the_address_counts),
        TEST(test_wrong_keys_are_not_tried_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
