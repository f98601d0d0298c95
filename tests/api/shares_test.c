/* Images that another workspace of the account sees. */
#include "fixture.h"

#include <string.h>

#define SHARE "/v0/images/sandbox/app/share"
#define IMAGE "/v0/images/sandbox/app"

static void build_image(struct fixture *f)
{
    struct reply *r =
        ask(f, "POST", "/v0/images?upload=true", "{\"name\":\"app\",\"resourceType\":\"sandbox\"}");
    struct build b;

    assert_int_equal(ask(f, "PUT", upload_target(r), "PK")->status, 200);
    b = claim(f);
    succeed(f, &b);
    f->now += 60 * NS_PER_SEC;
}

/* acme's image sandbox/app, with tags; returns a key of the account, which acme and globex share.
 */
static const char *make_image(struct fixture *f)
{
    static char account_key[API_KEY_TEXT];
    const struct key_draft draft = {.account = "default", .role = ROLE_ADMIN};
    struct api_key made;
    struct error err;

    assert_int_equal(state_key_create(f->config.state, &draft, account_key, &made, &err), 0);
    build_image(f);
    return account_key;
}

static struct reply *as_account(struct fixture *f, const char *key, const char *workspace,
                                const char *method, const char *target, const char *body)
{
    struct reply *r;

    f->headers[API_HEADER_WORKSPACE] = workspace;
    r = ask_as(f, key, method, target, body);
    f->headers[API_HEADER_WORKSPACE] = NULL;
    return r;
}

#define TO_GLOBEX "{\"targetWorkspace\":\"globex\"}"

static void test_the_other_workspace_sees_it_with_its_tags(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);
    struct reply *r;

    assert_error(ask_as(f, f->other_key, "GET", IMAGE, NULL), 404, "image not found");
    r = as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.name"), "app");
    r = ask_as(f, f->other_key, "GET", IMAGE, NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.workspace"), "globex");
    assert_string_equal(text_at(r, "metadata.sourceWorkspace"), "acme");
    assert_string_equal(text_at(r, "metadata.displayName"), "registry.test/acme/sandbox/app");
    assert_int_equal(json_array_size(at(r, "spec.tags")), 2);
    r = ask_as(f, f->other_key, "GET", "/v0/images", NULL);
    assert_int_equal(json_array_size(r->json), 1);
    r = ask(f, "GET", IMAGE, NULL);
    assert_null(at(r, "metadata.sourceWorkspace"));
    r = ask(f, "GET", SHARE, NULL);
    assert_int_equal(json_array_size(r->json), 1);
    assert_string_equal(text_at(r, "0.workspace"), "globex");
    assert_string_equal(text_at(r, "0.accountId"), "default");
    assert_string_equal(text_at(r, "0.status"), "active");
}

static void test_new_tags_follow(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);

    (void)as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX);
    build_image(f);
    assert_int_equal(json_array_size(at(ask_as(f, f->other_key, "GET", IMAGE, NULL), "spec.tags")),
                     3);
}

static void test_what_is_shared_cannot_be_deleted_or_shared_on(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);
    bool made;
    struct error err;

    assert_int_equal(state_workspace_create(f->config.state, "default", "third", &made, &err), 0);
    (void)as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX);
    assert_error(ask(f, "DELETE", IMAGE, NULL), 409, "image_shared");
    assert_error(ask(f, "DELETE", IMAGE ":latest", NULL), 409, "image_shared");
    assert_error(ask(f, "DELETE", IMAGE "/tags/latest", NULL), 409, "image_shared");
    assert_error(ask_as(f, f->other_key, "DELETE", IMAGE, NULL), 403, "image_shared");
    assert_error(as_account(f, key, "globex", "POST", SHARE, "{\"targetWorkspace\":\"third\"}"),
                 404, "image not found");
    assert_int_equal(as_account(f, key, "acme", "DELETE", SHARE "/globex", NULL)->status, 200);
    assert_error(ask_as(f, f->other_key, "GET", IMAGE, NULL), 404, "image not found");
    assert_error(as_account(f, key, "acme", "DELETE", SHARE "/globex", NULL), 404,
                 "share not found");
    assert_int_equal(ask(f, "DELETE", IMAGE, NULL)->status, 200);
}

static void test_a_deletion_is_refused_by_whoever_uses_it_elsewhere(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);
    struct reply *r;

    (void)as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX);
    r = ask_as(f, f->other_key, "POST", "/v0/jobs",
               "{\"metadata\":{\"name\":\"nightly\"},"
               "\"spec\":{\"runtime\":{\"image\":\"sandbox/app:latest\"}}}");
    assert_int_equal(r->status, 200);
    r = ask(f, "DELETE", IMAGE, NULL);
    assert_error(r, 409, "image_in_use");
    assert_non_null(strstr(text_at(r, "message"), "The job nightly of the workspace globex uses"));
    assert_int_equal(json_integer_value(at(ask(f, "DELETE", "/v0/images", NULL), "deleted")), 0);
    assert_int_equal(
        json_integer_value(at(ask_as(f, f->other_key, "DELETE", "/v0/images", NULL), "deleted")),
        0);
}

static void test_only_an_admin_of_both_sides_shares_within_the_account(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);
    struct error err;
    bool made;

    assert_int_equal(state_account_ensure(f->config.state, "foreign", &err), 0);
    assert_int_equal(state_workspace_create(f->config.state, "foreign", "initech", &made, &err), 0);
    assert_error(ask(f, "POST", SHARE, TO_GLOBEX), 403, "forbidden");
    assert_error(as_account(f, key, "acme", "POST", SHARE, "{\"targetWorkspace\":\"initech\"}"),
                 404, "workspace not found");
    assert_error(as_account(f, key, "acme", "POST", SHARE, "{\"targetWorkspace\":\"acme\"}"), 404,
                 "workspace not found");
    assert_error(as_account(f, key, "acme", "POST", SHARE, "{}"), 400, "invalid_name");
    assert_error(as_account(f, key, "acme", "POST", "/v0/images/sandbox/none/share", TO_GLOBEX),
                 404, "image not found");
    assert_int_equal(as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX)->status, 200);
    assert_error(as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX), 409, "already_shared");
}

static void test_an_image_of_its_own_is_not_hidden_by_a_share(void **state)
{
    struct fixture *f = fixture_of(state);
    const char *key = make_image(f);
    const char *own = "{\"name\":\"app\",\"resourceType\":\"sandbox\"}";

    (void)ask_as(f, f->other_key, "POST", "/v0/images?upload=true", own);
    assert_error(as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX), 409, "image_exists");
    (void)ask_as(f, f->other_key, "DELETE", IMAGE, NULL);
    assert_int_equal(as_account(f, key, "acme", "POST", SHARE, TO_GLOBEX)->status, 200);
    (void)ask_as(f, f->other_key, "POST", "/v0/images?upload=true", own);
    assert_null(at(ask_as(f, f->other_key, "GET", IMAGE, NULL), "metadata.sourceWorkspace"));
    assert_int_equal(json_array_size(ask_as(f, f->other_key, "GET", "/v0/images", NULL)->json), 1);
}

/* ---- between accounts ---- */

/* What make_image has, and a workspace of another account with an admin and a member. */
struct foreign {
    char admin[API_KEY_TEXT], member[API_KEY_TEXT];
};

static struct foreign make_foreign(struct fixture *f)
{
    struct foreign them;
    struct key_draft draft = {.workspace = "initech", .label = "peter", .role = ROLE_ADMIN};
    struct api_key made;
    struct error err;
    bool is_new;

    assert_int_equal(state_account_ensure(f->config.state, "foreign", &err), 0);
    assert_int_equal(state_workspace_create(f->config.state, "foreign", "initech", &is_new, &err),
                     0);
    assert_int_equal(state_key_create(f->config.state, &draft, them.admin, &made, &err), 0);
    draft.role = ROLE_MEMBER;
    assert_int_equal(state_key_create(f->config.state, &draft, them.member, &made, &err), 0);
    return them;
}

#define TO_INITECH "{\"targetWorkspace\":\"initech\",\"targetAccountId\":\"foreign\"}"
#define PENDING    "/v0/pending-image-shares"

/* The path of an answer to the offer that f's account is the source of. */
static const char *answer_path(struct reply *offer, const char *verb)
{
    static char path[128];

    assert_int_equal(offer->status, 202);
    (void)snprintf(path, sizeof(path), PENDING "/%s/%s", text_at(offer, "id"), verb);
    return path;
}

static void test_another_account_is_offered_it_and_accepts(void **state)
{
    struct fixture *f = fixture_of(state);
    struct foreign them = make_foreign(f);
    struct reply *offer, *r;

    build_image(f);
    offer = ask(f, "POST", SHARE, TO_INITECH);
    assert_int_equal(offer->status, 202);
    assert_string_equal(text_at(offer, "imageName"), "app");
    assert_string_equal(text_at(offer, "resourceType"), "sandbox");
    assert_string_equal(text_at(offer, "sourceAccountId"), "default");
    assert_string_equal(text_at(offer, "sourceWorkspace"), "acme");
    assert_string_equal(text_at(offer, "targetAccountId"), "foreign");
    assert_string_equal(text_at(offer, "targetWorkspace"), "initech");
    assert_error(ask(f, "POST", SHARE, TO_INITECH), 409, "already_shared");
    r = ask(f, "GET", SHARE, NULL);
    assert_string_equal(text_at(r, "0.status"), "pending");
    assert_string_equal(text_at(r, "0.pendingShareId"), text_at(offer, "id"));
    assert_error(ask_as(f, them.admin, "GET", IMAGE, NULL), 404, "image not found");

    r = ask_as(f, them.member, "GET", PENDING, NULL);
    assert_string_equal(text_at(r, "0.id"), text_at(offer, "id"));
    assert_int_equal(json_array_size(ask(f, "GET", PENDING, NULL)->json), 0);
    r = ask(f, "GET", PENDING "?direction=outgoing", NULL);
    assert_string_equal(text_at(r, "0.id"), text_at(offer, "id"));
    assert_error(ask(f, "GET", PENDING "?direction=up", NULL), 400, "invalid_direction");

    assert_error(ask_as(f, them.member, "POST", answer_path(offer, "accept"), NULL), 403,
                 "forbidden");
    assert_error(ask(f, "POST", answer_path(offer, "accept"), NULL), 403, "forbidden");
    assert_error(ask_as(f, f->other_key, "POST", answer_path(offer, "accept"), NULL), 404,
                 "pending share not found");
    r = ask_as(f, them.admin, "POST", answer_path(offer, "accept"), NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.sourceWorkspace"), "acme");
    assert_int_equal(ask_as(f, them.member, "GET", IMAGE, NULL)->status, 200);
    assert_string_equal(text_at(ask(f, "GET", SHARE, NULL), "0.status"), "active");
    assert_string_equal(text_at(ask(f, "GET", SHARE, NULL), "0.accountId"), "foreign");
    assert_int_equal(json_array_size(ask_as(f, them.admin, "GET", PENDING, NULL)->json), 0);
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "accept"), NULL), 404,
                 "pending share not found");

    assert_error(ask(f, "DELETE", IMAGE, NULL), 409, "image_shared");
    assert_int_equal(ask(f, "DELETE", SHARE "/initech", NULL)->status, 200);
    assert_error(ask_as(f, them.admin, "GET", IMAGE, NULL), 404, "image not found");
}

static const char *newest_event(struct reply *image, const char *field)
{
    const json_t *events = at(image, "metadata.events");

    return json_string_value(
        json_object_get(json_array_get(events, json_array_size(events) - 1), field));
}

static void test_a_workspace_leaves_what_it_accepted(void **state)
{
    struct fixture *f = fixture_of(state);
    struct foreign them = make_foreign(f);
    struct error err;
    struct reply *r;
    bool may;

    build_image(f);
    (void)ask_as(f, them.admin, "POST", answer_path(ask(f, "POST", SHARE, TO_INITECH), "accept"),
                 NULL);
    r = ask(f, "GET", IMAGE, NULL);
    assert_string_equal(newest_event(r, "message"), "Shared with the workspace initech");
    r = ask_as(f, them.admin, "GET", IMAGE, NULL);
    assert_string_equal(newest_event(r, "type"), "ai.blaxel.controlplane.imageshare.created");
    assert_string_equal(newest_event(r, "message"), "The workspace acme shares it");
    assert_null(strstr(r->text, "Shared with the workspace"));

    assert_error(ask_as(f, them.member, "DELETE", SHARE "/initech", NULL), 403, "forbidden");
    assert_error(ask_as(f, f->other_key, "DELETE", SHARE "/globex", NULL), 404, "share not found");
    assert_error(ask(f, "DELETE", SHARE "/acme", NULL), 404, "share not found");
    r = ask_as(f, them.admin, "DELETE", SHARE "/initech", NULL);
    assert_int_equal(r->status, 200);
    assert_string_equal(text_at(r, "metadata.sourceWorkspace"), "acme");
    assert_error(ask_as(f, them.admin, "DELETE", SHARE "/initech", NULL), 404, "share not found");
    assert_error(ask_as(f, them.admin, "GET", IMAGE, NULL), 404, "image not found");
    assert_int_equal(state_may_pull(f->config.state, "initech", "acme/sandbox/app", &may, &err), 0);
    assert_false(may);
    r = ask(f, "GET", IMAGE, NULL);
    assert_string_equal(newest_event(r, "status"), "UNSHARED");
    assert_string_equal(newest_event(r, "message"), "The workspace initech left");
    assert_int_equal(ask(f, "DELETE", IMAGE, NULL)->status, 200);
}

static void test_an_offer_is_declined_taken_back_or_expires(void **state)
{
    struct fixture *f = fixture_of(state);
    struct foreign them = make_foreign(f);
    struct reply *offer, *r;

    build_image(f);
    offer = ask(f, "POST", SHARE, TO_INITECH);
    assert_error(ask(f, "POST", answer_path(offer, "decline"), NULL), 403, "forbidden");
    r = ask_as(f, them.admin, "POST", answer_path(offer, "decline"), NULL);
    assert_int_equal(r->status, 204);
    assert_int_equal(r->resp.body.len, 0);
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "decline"), NULL), 404,
                 "pending share not found");
    assert_int_equal(json_array_size(ask(f, "GET", SHARE, NULL)->json), 0);

    offer = ask(f, "POST", SHARE, TO_INITECH);
    assert_int_equal(ask(f, "DELETE", SHARE "/initech", NULL)->status, 200);
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "accept"), NULL), 404,
                 "pending share not found");

    offer = ask(f, "POST", SHARE, TO_INITECH);
    f->now += INT64_C(7) * 86400 * NS_PER_SEC;
    assert_int_equal(json_array_size(ask_as(f, them.admin, "GET", PENDING, NULL)->json), 0);
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "accept"), NULL), 410,
                 "pending_share_expired");
    assert_int_equal(ask(f, "POST", SHARE, TO_INITECH)->status, 202);

    /* A deleted image is offered no more, not even when there is another of its name. */
    assert_int_equal(ask(f, "DELETE", IMAGE, NULL)->status, 200);
    build_image(f);
    assert_int_equal(json_array_size(ask_as(f, them.admin, "GET", PENDING, NULL)->json), 0);
}

static void test_what_cannot_be_offered_is_refused(void **state)
{
    struct fixture *f = fixture_of(state);
    struct reply *r;

    (void)make_foreign(f);
    assert_error(ask(f, "POST", SHARE, TO_INITECH), 404, "image not found");
    build_image(f);
    r = ask(f, "POST", SHARE, "{\"targetWorkspace\":\"initech\",\"targetAccountId\":\"nosuch\"}");
    assert_error(r, 404, "workspace not found");
    r = ask(f, "POST", SHARE, "{\"targetWorkspace\":\"globex\",\"targetAccountId\":\"foreign\"}");
    assert_error(r, 404, "workspace not found");
    r = ask(f, "POST", SHARE, "{\"targetWorkspace\":\"initech\",\"targetAccountId\":\"A B\"}");
    assert_error(r, 400, "invalid_name");
}

static void test_an_own_image_makes_way_only_where_that_is_forced(void **state)
{
    struct fixture *f = fixture_of(state);
    struct foreign them = make_foreign(f);
    struct reply *offer;

    build_image(f);
    offer = ask(f, "POST", SHARE, TO_INITECH);
    (void)ask_as(f, them.admin, "POST", "/v0/images?upload=true",
                 "{\"name\":\"app\",\"resourceType\":\"sandbox\"}");
    (void)ask_as(f, them.admin, "POST", "/v0/jobs",
                 "{\"metadata\":{\"name\":\"nightly\"},"
                 "\"spec\":{\"runtime\":{\"image\":\"sandbox/app:latest\"}}}");
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "accept"), NULL), 409,
                 "image_exists");
    assert_error(ask_as(f, them.admin, "POST", answer_path(offer, "accept?force=true"), NULL), 409,
                 "image_in_use");
    (void)ask_as(f, them.admin, "DELETE", "/v0/jobs/nightly", NULL);
    assert_int_equal(
        ask_as(f, them.admin, "POST", answer_path(offer, "accept?force=true"), NULL)->status, 200);
    assert_string_equal(
        text_at(ask_as(f, them.admin, "GET", IMAGE, NULL), "metadata.sourceWorkspace"), "acme");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_other_workspace_sees_it_with_its_tags),
        TEST(test_new_tags_follow),
        TEST(test_what_is_shared_cannot_be_deleted_or_shared_on),
        TEST(test_a_deletion_is_refused_by_whoever_uses_it_elsewhere),
        TEST(test_only_an_admin_of_both_sides_shares_within_the_account),
        TEST(test_an_image_of_its_own_is_not_hidden_by_a_share),
        TEST(test_another_account_is_offered_it_and_accepts),
        TEST(test_a_workspace_leaves_what_it_accepted),
        TEST(test_an_offer_is_declined_taken_back_or_expires),
        TEST(test_what_cannot_be_offered_is_refused),
        TEST(test_an_own_image_makes_way_only_where_that_is_forced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
