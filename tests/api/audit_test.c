/* Who did what: what is noted of requests, and who reads it. */
#include "fixture.h"

#include <string.h>

#include "api/limiter.h"
#include "api/route.h"

/* The entries as GET /v0/audit tells them, oldest first: "key sandbox.create demo done". */
static void read_entries(struct fixture *f, struct buf *out)
{
    const struct reply *r = ask(f, "GET", "/v0/audit?limit=100", NULL);
    const json_t *data = at(r, "data");

    assert_int_equal(r->status, 200);
    for (size_t i = json_array_size(data); i-- > 0;) {
        const json_t *e = json_array_get(data, i);

        buf_addf(out, "%s %s %s %s\n",
                 json_string_value(json_object_get(json_object_get(e, "actor"), "type")),
                 json_string_value(json_object_get(e, "action")),
                 json_string_value(json_object_get(e, "object")),
                 json_string_value(json_object_get(e, "outcome")));
    }
}

static void assert_entries(struct fixture *f, const char *expected)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);

    read_entries(f, &text);
    assert_string_equal(buf_str(&text), expected);
}

/* A second later than the one before. */
static const struct reply *change(struct fixture *f, const char *method, const char *target,
                                  const char *body)
{
    const struct reply *r = ask(f, method, target, body);

    f->now += NS_PER_SEC;
    assert_int_equal(r->status, 200);
    return r;
}

static void test_changes_are_noted_and_looking_is_not(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct reply *r;
    char target[128];

    change(f, "POST", "/v0/sandboxes", "{\"metadata\":{\"name\":\"demo\"},\"spec\":{}}");
    assert_int_equal(ask(f, "GET", "/v0/sandboxes/demo", NULL)->status, 200);
    assert_int_equal(ask(f, "GET", "/v0/sandboxes", NULL)->status, 200);
    change(f, "PUT", "/v0/sandboxes/demo", "{\"metadata\":{\"name\":\"demo\"},\"spec\":{}}");
    assert_int_equal(ask(f, "PUT", "/v0/sandboxes/none", "{\"metadata\":{},\"spec\":{}}")->status,
                     404);
    assert_int_equal(ask(f, "POST", "/v0/sandboxes", "{")->status, 400);
    change(f, "DELETE", "/v0/sandboxes/demo", NULL);
    change(f, "POST", "/v0/images?upload=true", "{\"name\":\"app\",\"resourceType\":\"agent\"}");
    r = change(f, "POST", "/v0/api_keys", "{\"name\":\"ci\"}");
    (void)snprintf(target, sizeof(target), "/v0/api_keys/%s", text_at(r, "id"));
    change(f, "DELETE", target, NULL);
    {
        CLEANUP(buf_release) struct buf expected = BUF_INIT(4096);

        buf_addf(&expected,
                 "key sandbox.create demo done\n"
                 "key sandbox.update demo done\n"
                 "key sandbox.delete demo done\n"
                 "key image.build app done\n"
                 "key key.create %s done\nkey key.revoke %s done\n",
                 text_at(r, "id"), text_at(r, "id"));
        assert_entries(f, buf_str(&expected));
    }
    assert_null(strstr(buf_str(&ask(f, "GET", "/v0/audit", NULL)->resp.body), "bl_"));
}

static void test_what_is_denied_is_noted_and_seen_by_admins_alone(void **state)
{
    const struct key_draft draft = {.workspace = "acme", .role = ROLE_MEMBER};
    struct fixture *f = fixture_of(state);
    char member[API_KEY_TEXT];
    struct api_key key;
    struct error err;

    assert_int_equal(state_key_create(f->config.state, &draft, member, &key, &err), 0);
    assert_error(ask_as(f, member, "POST", "/v0/api_keys", "{}"), 403, "forbidden");
    assert_error(ask_as(f, member, "GET", "/v0/audit", NULL), 403, "forbidden");
    assert_entries(f, "key key.create  denied\n");
    assert_string_equal(text_at(ask(f, "GET", "/v0/audit", NULL), "data.0.actor.id"), key.id);
    assert_int_equal(
        json_integer_value(at(ask_as(f, f->other_key, "GET", "/v0/audit", NULL), "meta.total")), 0);
}

static void count(void *self, const struct audit_entry *e)
{
    struct audit_entry *last = self;

    last->status++;
    memcpy(last->action, e->action, sizeof(last->action));
    memcpy(last->object, e->object, sizeof(last->object));
    assert_int_equal(e->by, AUDIT_BY_NOBODY);
}

/* Of a wrong key nobody knows whose it is: only the operator sees it.  A flood of them is not all
 * written. */
static void test_wrong_keys_are_noted_up_to_a_rate(void **state)
{
    const struct audit_query all = {.cursor = "", .limit = 10000};
    struct audit_entry seen = {.status = 0};
    struct fixture *f = fixture_of(state);
    struct error err;

    f->config.limiter = limiter_new(&(const struct api_rates){.key = 0});
    f->headers[API_HEADER_WORKSPACE] = "acme";
    for (int i = 0; i < 300; i++)
        assert_int_equal(ask_as(f, "bl_wrong", "GET", "/v0/builds", NULL)->status, 401);
    limiter_free(f->config.limiter);
    f->config.limiter = NULL;
    assert_int_equal(state_audit_list(f->config.state, &all, count, &seen, NULL, &err), 0);
    assert_in_range(seen.status, 100, 250); /* and what came back meanwhile */
    assert_string_equal(seen.action, "login");
    assert_string_equal(seen.object, "acme");
    assert_entries(f, "");
}

static void test_a_list_has_pages_and_a_beginning(void **state)
{
    struct fixture *f = fixture_of(state);
    const struct reply *r;
    char target[200], since[CLOCK_TEXT];

    for (int i = 0; i < 5; i++) {
        f->now += NS_PER_SEC;
        (void)snprintf(target, sizeof(target), "{\"metadata\":{\"name\":\"a%d\"},\"spec\":{}}", i);
        assert_int_equal(ask(f, "POST", "/v0/jobs", target)->status, 200);
    }
    r = ask(f, "GET", "/v0/audit?limit=2", NULL);
    assert_string_equal(text_at(r, "data.0.object"), "a4");
    assert_int_equal(json_integer_value(at(r, "meta.total")), 5);
    (void)snprintf(target, sizeof(target), "/v0/audit?limit=10&cursor=%s",
                   text_at(r, "meta.nextCursor"));
    r = ask(f, "GET", target, NULL);
    assert_string_equal(text_at(r, "data.0.object"), "a2");
    assert_string_equal(text_at(r, "data.2.object"), "a0");
    assert_false(json_is_true(at(r, "meta.hasMore")));
    clock_format(f->now, since);
    (void)snprintf(target, sizeof(target), "/v0/audit?since=%s", since);
    r = ask(f, "GET", target, NULL);
    assert_int_equal(json_array_size(at(r, "data")), 1);
    assert_error(ask(f, "GET", "/v0/audit?since=yesterday", NULL), 400, "invalid_since");
}

static void test_old_entries_go(void **state)
{
    struct fixture *f = fixture_of(state);
    struct audit_entry e = {.workspace = "acme", .action = "x", .by = AUDIT_BY_COMMAND};
    struct error err;
    bool more = true;

    assert_int_equal(state_audit_add(f->config.state, &e, &err), 0);
    f->now += NS_PER_SEC;
    assert_int_equal(state_audit_add(f->config.state, &e, &err), 0);
    assert_int_equal(state_audit_remove_old(f->config.state, f->now, &more, &err), 0);
    assert_false(more);
    assert_entries(f, "operator x  done\n");
}

/* Whoever adds a route that changes something names it; what is asked for by POST, PUT or DELETE
 * and changes nothing is here. */
static void test_every_route_that_changes_something_has_a_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes_count; i++) {
        const struct route *r = &api_routes[i];
        const bool looks = strcmp(r->method, "GET") == 0 || strcmp(r->pattern, "/v0/plan") == 0;

        if (looks != (r->action == NULL))
            fail_msg("%s %s: .action", r->method, r->pattern);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_changes_are_noted_and_looking_is_not),
        TEST(test_what_is_denied_is_noted_and_seen_by_admins_alone),
        TEST(test_wrong_keys_are_noted_up_to_a_rate),
        TEST(test_a_list_has_pages_and_a_beginning),
        TEST(test_old_entries_go),
        cmocka_unit_test(test_every_route_that_changes_something_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
