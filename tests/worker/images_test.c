/* Images and their tags, and which digests nobody needs any more. */
#include "tests/worker/state_fixture.h"

#include <pthread.h>

/* A build of "one" that ends with this digest. */
static struct build push(struct fixture *f, const char *digest, uint64_t size)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = digest, .image_size = size};
    struct build b = queue_build(f, "one");
    enum lease_verdict verdict;
    enum build_phase phase;

    must_claim(f, "w");
    pass_time(f, 10);
    MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
    assert_int_equal(phase, BUILD_SUCCEEDED);
    return b;
}

static enum presence get(struct fixture *f, struct image *ret)
{
    const struct target t = sandbox("one");
    enum presence presence = ABSENT;

    MUST(f, state_image_get(f->s, &t, &presence, ret, &f->err));
    return presence;
}

static void test_an_image_is_there_from_the_first_build_asked_for(void **state)
{
    struct fixture *f = *state;
    struct image i;

    assert_int_equal(get(f, &i), ABSENT);
    begin_build(f, "one", BUILD_FOR_IMAGE);
    assert_int_equal(get(f, &i), PRESENT);
    assert_string_equal(i.type, "sandbox");
    assert_string_equal(i.name, "one");
    assert_int_equal(i.created, START);
    assert_int_equal(i.deployed, 0);
    assert_int_equal(i.size, 0);
}

static void test_a_success_dates_and_sizes_the_image(void **state)
{
    struct fixture *f = *state;
    struct image i;

    push(f, DIGEST, 111);
    push(f, "sha256:b", 222);
    assert_int_equal(get(f, &i), PRESENT);
    assert_int_equal(i.created, START);
    assert_int_equal(i.updated, START + 20);
    assert_int_equal(i.deployed, START + 20);
    assert_int_equal(i.size, 222);
}

static void test_a_failure_leaves_the_image_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct build b;
    struct image i;

    push(f, DIGEST, 111);
    b = queue_build(f, "one");
    must_claim(f, "w");
    pass_time(f, 5);
    finish_build(f, &b, "w", ERR_INPUT);
    get(f, &i);
    assert_int_equal(i.deployed, START + 10);
    assert_int_equal(i.size, 111);
}

struct list {
    int n;
    char text[512];
};

static void note_tag(void *self, const struct image_tag *g)
{
    struct list *list = self;
    size_t len = strlen(list->text);

    (void)snprintf(list->text + len, sizeof(list->text) - len, "%s=%s/%d ", g->name, g->digest,
                   (int)g->size);
    list->n++;
}

static struct list tags_of(struct fixture *f)
{
    const struct target t = sandbox("one");
    struct list list = {0};

    MUST(f, state_image_tags(f->s, &t, note_tag, &list, &f->err));
    return list;
}

static void test_a_success_is_tagged_with_its_own_tag_and_latest(void **state)
{
    struct fixture *f = *state;
    struct build first = push(f, "sha256:a", 1);
    struct build second;
    char expected[256];

    assert_int_equal(tags_of(f).n, 2);
    second = push(f, "sha256:b", 2);
    assert_int_equal(tags_of(f).n, 3);
    (void)snprintf(expected, sizeof(expected), "%s=sha256:a/1 ", first.tag);
    assert_non_null(strstr(tags_of(f).text, expected)); /* and last, being the oldest */
    assert_string_equal(strstr(tags_of(f).text, expected), expected);
    (void)snprintf(expected, sizeof(expected), "%s=sha256:b/2 ", second.tag);
    assert_non_null(strstr(tags_of(f).text, expected));
    assert_non_null(strstr(tags_of(f).text, "latest=sha256:b/2 "));
}

static void test_a_build_that_fails_tags_nothing(void **state)
{
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");

    must_claim(f, "w");
    finish_build(f, &b, "w", ERR_INPUT);
    assert_int_equal(tags_of(f).n, 0);
}

static void note_image(void *self, const struct image *i)
{
    struct list *list = self;
    size_t len = strlen(list->text);

    (void)snprintf(list->text + len, sizeof(list->text) - len, "%s/%s ", i->type, i->name);
    list->n++;
}

static void test_a_workspaces_images_are_listed_by_type_and_name(void **state)
{
    const struct target agent = {WORKSPACE, "agent", "z"};
    const struct target foreign = {"other", "agent", "z"};
    struct fixture *f = *state;
    struct list list = {0};
    struct build b;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    begin_build(f, "two", BUILD_FOR_IMAGE);
    begin_build(f, "one", BUILD_FOR_IMAGE);
    MUST(f, state_build_begin(f->s, &agent, BUILD_FOR_IMAGE, &b, &f->err));
    MUST(f, state_build_begin(f->s, &foreign, BUILD_FOR_IMAGE, &b, &f->err));
    MUST(f, state_image_list(f->s, WORKSPACE, note_image, &list, &f->err));
    assert_string_equal(list.text, "agent/z sandbox/one sandbox/two ");
}

/* ---- deletion ---- */

static void note_gone(void *self, const struct target *t, const char *digest)
{
    struct list *list = self;
    size_t len = strlen(list->text);

    (void)t;
    (void)snprintf(list->text + len, sizeof(list->text) - len, "%s ", digest);
    list->n++;
}

static void ignore_deleted(void *self, const struct target *t, const char *tag)
{
    (void)self;
    (void)t;
    (void)tag;
}

static struct list delete_tag(struct fixture *f, const char *tag, enum image_deletion expected)
{
    const struct target t = sandbox("one");
    struct list gone = {0};
    const struct image_deleter deleter = {"registry.test", ignore_deleted, note_gone, &gone};
    enum image_deletion outcome;
    struct image_user user;

    MUST(f, state_image_delete(f->s, &t, tag, &deleter, &outcome, &user, &f->err));
    assert_int_equal(outcome, expected);
    return gone;
}

static void test_a_digest_goes_with_its_last_tag(void **state)
{
    struct fixture *f = *state;
    struct build a = push(f, "sha256:a", 1);
    struct build b = push(f, "sha256:b", 1);

    assert_string_equal(delete_tag(f, b.tag, IMAGE_DELETED).text, ""); /* latest names it still */
    assert_string_equal(delete_tag(f, "latest", IMAGE_DELETED).text, "sha256:b ");
    assert_string_equal(delete_tag(f, a.tag, IMAGE_DELETED).text, "sha256:a ");
    assert_int_equal(tags_of(f).n, 0);
}

static void test_a_digest_that_two_builds_share_goes_with_the_second(void **state)
{
    struct fixture *f = *state;
    struct build a = push(f, "sha256:a", 1);
    struct build b = push(f, "sha256:a", 1);
    const struct target t = sandbox("one");
    bool used;

    delete_tag(f, "latest", IMAGE_DELETED);
    assert_int_equal(delete_tag(f, a.tag, IMAGE_DELETED).n, 0);
    MUST(f, state_digest_in_use(f->s, &t, "sha256:a", &used, &f->err));
    assert_true(used);
    assert_string_equal(delete_tag(f, b.tag, IMAGE_DELETED).text, "sha256:a ");
    MUST(f, state_digest_in_use(f->s, &t, "sha256:a", &used, &f->err));
    assert_false(used);
}

static void test_deleting_the_image_forgets_all_tags_and_names_each_digest_once(void **state)
{
    struct fixture *f = *state;
    struct list gone;
    struct image i;

    push(f, "sha256:a", 1);
    push(f, "sha256:b", 1);
    push(f, "sha256:a", 1);
    gone = delete_tag(f, NULL, IMAGE_DELETED);
    assert_int_equal(gone.n, 2);
    assert_non_null(strstr(gone.text, "sha256:a"));
    assert_non_null(strstr(gone.text, "sha256:b"));
    assert_int_equal(tags_of(f).n, 0);
    assert_int_equal(get(f, &i), ABSENT);
}

static void test_deleting_what_is_not_there_is_absent(void **state)
{
    struct fixture *f = *state;

    delete_tag(f, NULL, IMAGE_ABSENT);
    push(f, "sha256:a", 1);
    delete_tag(f, "nosuchtag", IMAGE_ABSENT);
    assert_int_equal(tags_of(f).n, 2);
}

static void test_deleting_the_image_cancels_its_builds_and_deleting_a_tag_does_not(void **state)
{
    struct fixture *f = *state;
    struct build b;
    enum lease_verdict verdict;

    push(f, "sha256:a", 1);
    b = queue_build(f, "one");
    must_claim(f, "w");
    delete_tag(f, "latest", IMAGE_DELETED);
    MUST(f, state_heartbeat(f->s, b.id, "w", LEASE, &verdict, &f->err));
    assert_int_equal(verdict, LEASE_KEPT);
    delete_tag(f, NULL, IMAGE_DELETED);
    MUST(f, state_heartbeat(f->s, b.id, "w", LEASE, &verdict, &f->err));
    assert_int_equal(verdict, LEASE_CANCELLED);
}

static void test_another_workspaces_digest_does_not_count(void **state)
{
    const struct target foreign = {"other", "sandbox", "one"};
    const struct build_result result = {.kind = ERR_NONE, .digest = "sha256:a"};
    struct fixture *f = *state;
    struct build b;
    enum lease_verdict verdict;
    enum build_phase phase;
    bool used;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    MUST(f, state_build_begin(f->s, &foreign, BUILD_FOR_IMAGE, &b, &f->err));
    accept_upload(f, &b);
    must_claim(f, "w");
    MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
    push(f, "sha256:a", 1);
    assert_string_equal(delete_tag(f, NULL, IMAGE_DELETED).text, "sha256:a ");
    MUST(f, state_digest_in_use(f->s, &foreign, "sha256:a", &used, &f->err));
    assert_true(used);
}

struct onlooker {
    struct fixture *f;
    enum presence seen;
};

/* On a thread of its own: it would wait forever if the deletion held the database. */
static void *look_at_the_image(void *self)
{
    struct onlooker *o = self;
    struct image i;

    o->seen = get(o->f, &i);
    return NULL;
}

static void note_what_others_see(void *self, const struct target *t, const char *digest)
{
    pthread_t thread;

    (void)t;
    (void)digest;
    assert_int_equal(pthread_create(&thread, NULL, look_at_the_image, self), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_nobody_waits_while_a_digest_is_deleted_elsewhere(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct onlooker o = {f, PRESENT};
    const struct image_deleter deleter = {"registry.test", ignore_deleted, note_what_others_see,
                                          &o};
    enum image_deletion outcome;
    struct image_user user;

    push(f, "sha256:a", 1);
    MUST(f, state_image_delete(f->s, &t, NULL, &deleter, &outcome, &user, &f->err));
    assert_int_equal(outcome, IMAGE_DELETED);
    assert_int_equal(o.seen, ABSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_an_image_is_there_from_the_first_build_asked_for),
        STATE_TEST(test_a_success_dates_and_sizes_the_image),
        STATE_TEST(test_a_failure_leaves_the_image_as_it_was),
        STATE_TEST(test_a_success_is_tagged_with_its_own_tag_and_latest),
        STATE_TEST(test_a_build_that_fails_tags_nothing),
        STATE_TEST(test_a_workspaces_images_are_listed_by_type_and_name),
        STATE_TEST(test_a_digest_goes_with_its_last_tag),
        STATE_TEST(test_a_digest_that_two_builds_share_goes_with_the_second),
        STATE_TEST(test_deleting_the_image_forgets_all_tags_and_names_each_digest_once),
        STATE_TEST(test_deleting_what_is_not_there_is_absent),
        STATE_TEST(test_deleting_the_image_cancels_its_builds_and_deleting_a_tag_does_not),
        STATE_TEST(test_another_workspaces_digest_does_not_count),
        STATE_TEST(test_nobody_waits_while_a_digest_is_deleted_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
