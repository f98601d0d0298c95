/* What resources use of images is not deleted; what none uses is cleaned up. */
#include "tests/worker/state_fixture.h"
#include "worker/state_shares.h"

#define REGISTRY "registry.test"
#define OTHER    "globex"

/* A build of that image that ends with the digest; its tag in tag, which may be NULL. */
static void push_to(struct fixture *f, const char *workspace, const char *name,
                    enum build_purpose purpose, const char *digest, char tag[BUILD_TAG])
{
    const struct target t = {workspace, "sandbox", name};
    const struct build_result result = {.kind = ERR_NONE, .digest = digest, .image_size = 1};
    struct build b = {.created = 0};
    enum lease_verdict verdict;
    enum build_phase phase;

    MUST(f, state_build_begin(f->s, &t, purpose, &b, &f->err));
    assert_int_equal(accept_upload(f, &b), UPLOAD_ACCEPTED);
    must_claim(f, "w");
    pass_time(f, 10);
    MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
    assert_int_equal(phase, BUILD_SUCCEEDED);
    if (tag)
        memcpy(tag, b.tag, BUILD_TAG);
}

static void push(struct fixture *f, const char *name, const char *digest, char tag[BUILD_TAG])
{
    push_to(f, WORKSPACE, name, BUILD_FOR_IMAGE, digest, tag);
}

/* An agent whose description names the image; once more for another image. */
static void use_in(struct fixture *f, const char *workspace, const char *agent, const char *image)
{
    const struct target t = {workspace, "agent", agent};
    enum resource_outcome outcome = RESOURCE_ABSENT;
    struct resource r;
    char spec[512];

    (void)snprintf(spec, sizeof(spec), "{\"runtime\":{\"image\":\"%s\"}}", image);
    MUST(f, state_resource_write(f->s, &t, &(const struct resource_body){"{}", spec, NULL}, true,
                                 false, &outcome, &r, NULL, &f->err));
    if (outcome == RESOURCE_EXISTS)
        MUST(f, state_resource_write(f->s, &t, &(const struct resource_body){"{}", spec, NULL},
                                     false, false, &outcome, &r, NULL, &f->err));
    assert_int_equal(outcome, RESOURCE_WRITTEN);
    resource_release(&r);
}

static void use(struct fixture *f, const char *agent, const char *image)
{
    use_in(f, WORKSPACE, agent, image);
}

/* ---- deletion ---- */

struct told {
    char deleted[1024];
    char gone[1024];
};

static void add_word(char text[1024], const char *a, const char *separator, const char *b)
{
    size_t len = strlen(text);

    (void)snprintf(text + len, 1024 - len, "%s%s%s ", a, separator, b);
}

static void note_deleted(void *self, const struct target *t, const char *tag)
{
    struct told *told = self;

    assert_string_equal(t->workspace, WORKSPACE);
    add_word(told->deleted, t->name, tag ? ":" : "", tag ? tag : "");
}

static void note_gone(void *self, const struct target *t, const char *digest)
{
    struct told *told = self;

    add_word(told->gone, t->name, "@", digest);
}

static enum image_deletion delete_image(struct fixture *f, const char *name, const char *tag,
                                        struct image_user *ret_user)
{
    const struct target t = sandbox(name);
    struct told told = {.deleted = ""};
    const struct image_deleter deleter = {REGISTRY, note_deleted, note_gone, &told};
    enum image_deletion outcome = IMAGE_ABSENT;

    MUST(f, state_image_delete(f->s, &t, tag, &deleter, &outcome, ret_user, &f->err));
    return outcome;
}

static void test_an_image_is_used_however_it_is_named(void **state)
{
    static const struct {
        const char *image;
        bool whole, latest;
    } cases[] = {
        {"sandbox/one", true, true},
        {"sandbox/one:latest", true, true},
        {"sandbox/one:other", true, false},
        {"sandbox/one@sha256:a", true, true},
        {"sandbox/one:other@sha256:a", true, true},
        {"sandbox/one@sha256:b", true, false},
        {"acme/sandbox/one", true, true},
        {"registry.test/acme/sandbox/one:latest", true, true},
        {"Registry.Test/acme/sandbox/one", true, true},
        {"registry.test/globex/sandbox/one", false, false},
        {"globex/sandbox/one", false, false},
        {"ghcr.io/acme/sandbox/one:latest", false, false},
        {"ghcr.io/sandbox/one", false, false},
        {"sandbox/one-more:latest", false, false},
        {"agent/one:latest", false, false},
        {"one:latest", false, false},
        {"", false, false},
    };
    struct fixture *f = *state;
    struct image_user user;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        push(f, "one", "sha256:a", NULL);
        use(f, "user", cases[i].image[0] ? cases[i].image : "alpine");
        if ((delete_image(f, "one", "latest", &user) == IMAGE_IN_USE) != cases[i].latest)
            fail_msg("%s: latest is used: %d", cases[i].image, !cases[i].latest);
        if ((delete_image(f, "one", NULL, &user) == IMAGE_IN_USE) != cases[i].whole)
            fail_msg("%s: the image is used: %d", cases[i].image, !cases[i].whole);
        if (cases[i].whole)
            assert_string_equal(user.name, "user");
    }
}

static void test_what_a_resources_build_made_is_used_and_what_it_made_before_is_not(void **state)
{
    const struct target t = sandbox("app");
    struct fixture *f = *state;
    char old[BUILD_TAG], now[BUILD_TAG];
    enum resource_outcome outcome;
    struct image_user user;
    struct resource r;
    struct build b;

    push(f, "app", "sha256:a", old);
    MUST(f, state_resource_write(f->s, &t, &(const struct resource_body){"{}", "{}", NULL}, true,
                                 true, &outcome, &r, &b, &f->err));
    resource_release(&r);
    push_to(f, WORKSPACE, "app", BUILD_FOR_RESOURCE, "sha256:b", now);
    assert_int_equal(delete_image(f, "app", now, &user), IMAGE_IN_USE);
    assert_string_equal(user.workspace, WORKSPACE);
    assert_string_equal(user.type, "sandbox");
    assert_string_equal(user.name, "app");
    assert_int_equal(delete_image(f, "app", NULL, &user), IMAGE_IN_USE);
    assert_int_equal(delete_image(f, "app", old, &user), IMAGE_DELETED);
    assert_int_equal(delete_image(f, "app", "latest", &user), IMAGE_DELETED);
}

static void share(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    enum share_outcome outcome;

    MUST(f, state_workspace_ensure(f->s, OTHER, &f->err));
    MUST(f, state_share_create(f->s, &t, OTHER, &outcome, &f->err));
    assert_int_equal(outcome, SHARE_MADE);
}

static void test_a_resource_of_a_workspace_that_it_is_shared_with_uses_it(void **state)
{
    struct fixture *f = *state;
    struct image_user user;

    push(f, "one", "sha256:a", NULL);
    MUST(f, state_workspace_ensure(f->s, OTHER, &f->err));
    use_in(f, OTHER, "far", "sandbox/one:latest");
    share(f, "one");
    assert_int_equal(delete_image(f, "one", NULL, &user), IMAGE_IN_USE);
    assert_string_equal(user.workspace, OTHER);
    assert_string_equal(user.name, "far");
    /* By a name of its own it then means its own; but not by the whole name. */
    push_to(f, OTHER, "one", BUILD_FOR_IMAGE, "sha256:c", NULL);
    assert_int_equal(delete_image(f, "one", NULL, &user), IMAGE_SHARED);
    use_in(f, OTHER, "far", REGISTRY "/acme/sandbox/one");
    assert_int_equal(delete_image(f, "one", "latest", &user), IMAGE_IN_USE);
}

/* ---- clean ---- */

static struct told clean(struct fixture *f)
{
    struct told told = {.deleted = ""};
    const struct image_deleter deleter = {REGISTRY, note_deleted, note_gone, &told};

    MUST(f, state_image_clean(f->s, WORKSPACE, &deleter, &f->err));
    return told;
}

static void test_images_that_nobody_uses_go_and_others_stay(void **state)
{
    const struct target foreign = {OTHER, "sandbox", "old"};
    struct fixture *f = *state;
    enum presence presence;
    struct image i;
    struct told told;

    push(f, "old", "sha256:a", NULL);
    push(f, "old", "sha256:b", NULL);
    push(f, "used", "sha256:c", NULL);
    push(f, "shared", "sha256:d", NULL);
    push(f, "busy", "sha256:e", NULL);
    share(f, "shared");
    push_to(f, OTHER, "old", BUILD_FOR_IMAGE, "sha256:a", NULL);
    use(f, "user", "sandbox/used:latest");
    (void)begin_build(f, "busy", BUILD_FOR_IMAGE);
    told = clean(f);
    assert_string_equal(told.deleted, "old ");
    assert_non_null(strstr(told.gone, "old@sha256:a "));
    assert_non_null(strstr(told.gone, "old@sha256:b "));
    assert_null(strstr(told.gone, "sha256:c"));
    MUST(f, state_image_get(f->s, &foreign, &presence, &i, &f->err));
    assert_int_equal(presence, PRESENT);
    assert_string_equal(clean(f).deleted, "");
}

static void test_an_image_whose_build_has_ended_is_busy_no_more(void **state)
{
    struct fixture *f = *state;
    struct build b;

    push(f, "busy", "sha256:a", NULL);
    b = queue_build(f, "busy");
    assert_string_equal(clean(f).deleted, "");
    must_claim(f, "w");
    assert_string_equal(clean(f).deleted, "");
    finish_build(f, &b, "w", ERR_INPUT);
    assert_string_equal(clean(f).deleted, "busy ");
}

static void test_of_an_image_in_use_the_tags_go_that_neither_a_resource_nor_latest_needs(
    void **state)
{
    struct fixture *f = *state;
    char first[BUILD_TAG], second[BUILD_TAG], same[BUILD_TAG], newest[BUILD_TAG];
    char image[64], expected[64];
    struct told told;

    push(f, "one", "sha256:a", first);
    push(f, "one", "sha256:b", second);
    push(f, "one", "sha256:b", same);
    push(f, "one", "sha256:c", newest);
    (void)snprintf(image, sizeof(image), "sandbox/one:%s", second);
    use(f, "user", image);
    told = clean(f);
    (void)snprintf(expected, sizeof(expected), "one:%s ", first);
    assert_string_equal(told.deleted, expected);
    assert_string_equal(told.gone, "one@sha256:a ");
    use(f, "user", "sandbox/one@sha256:c");
    told = clean(f);
    assert_non_null(strstr(told.deleted, second));
    assert_non_null(strstr(told.deleted, same));
    assert_null(strstr(told.deleted, newest));
    assert_string_equal(told.gone, "one@sha256:b ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_an_image_is_used_however_it_is_named),
        STATE_TEST(test_what_a_resources_build_made_is_used_and_what_it_made_before_is_not),
        STATE_TEST(test_a_resource_of_a_workspace_that_it_is_shared_with_uses_it),
        STATE_TEST(test_images_that_nobody_uses_go_and_others_stay),
        STATE_TEST(test_an_image_whose_build_has_ended_is_busy_no_more),
        STATE_TEST(test_of_an_image_in_use_the_tags_go_that_neither_a_resource_nor_latest_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
