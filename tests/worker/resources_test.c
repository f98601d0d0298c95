/* Sandboxes, agents, functions and jobs as they are stored, and the image each of them runs. */
#include "tests/worker/state_fixture.h"

#define METADATA "{\"name\":\"one\",\"labels\":{\"x-blaxel-auto-generated\":\"true\"}}"
#define SPEC     "{\"runtime\":{\"memory\":4096}}"

enum { CREATE = 1, UPDATE = 0, UPLOAD = 1, NO_UPLOAD = 0 };

static enum resource_outcome write_full(struct fixture *f, const char *name, const char *metadata,
                                        const char *spec, int create, int upload, struct build *b)
{
    const struct target t = sandbox(name);
    enum resource_outcome outcome = RESOURCE_ABSENT;
    struct resource r = {.created = 0};

    MUST(f, state_resource_write(f->s, &t, &(const struct resource_body){metadata, spec, NULL},
                                 create, upload, &outcome, &r, b, &f->err));
    resource_release(&r); /* was left alone unless RESOURCE_WRITTEN */
    return outcome;
}

static enum resource_outcome write_one(struct fixture *f, int create, int upload, struct build *b)
{
    return write_full(f, "one", METADATA, SPEC, create, upload, b);
}

static struct build must_write(struct fixture *f, int create, int upload)
{
    struct build b = {.created = 0};

    assert_int_equal(write_one(f, create, upload, &b), RESOURCE_WRITTEN);
    return b;
}

/* The caller releases it. */
static struct resource get(struct fixture *f, const char *name)
{
    const struct target t = sandbox(name);
    struct resource r = {.created = 0};
    enum presence presence = ABSENT;

    MUST(f, state_resource_get(f->s, &t, &presence, &r, &f->err));
    assert_int_equal(presence, PRESENT);
    return r;
}

static void assert_image(struct fixture *f, const char *image)
{
    struct resource r = get(f, "one");

    assert_string_equal(r.image, image);
    resource_release(&r);
}

static void assert_image_of(struct fixture *f, const struct build *b)
{
    char image[256];

    (void)snprintf(image, sizeof(image), "sandbox/one:%s", b->tag);
    assert_image(f, image);
}

static void assert_build(struct fixture *f, const char *id)
{
    struct resource r = get(f, "one");

    assert_string_equal(r.build, id);
    resource_release(&r);
}

static void run_to_end(struct fixture *f, struct build *b, enum error_kind kind)
{
    assert_int_equal(accept_upload(f, b), UPLOAD_ACCEPTED);
    assert_string_equal(must_claim(f, "w").id, b->id);
    finish_build(f, b, "w", kind);
}

static void test_a_resource_is_kept_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);
    struct resource r = get(f, "one");

    assert_string_equal(r.workspace, WORKSPACE);
    assert_string_equal(r.type, "sandbox");
    assert_string_equal(r.name, "one");
    assert_string_equal(r.metadata, METADATA);
    assert_string_equal(r.spec, SPEC);
    assert_string_equal(r.build, b.id);
    assert_string_equal(r.image, "");
    assert_int_equal(r.created, START);
    assert_int_equal(r.updated, START);
    assert_int_equal(b.purpose, BUILD_FOR_RESOURCE);
    resource_release(&r);
}

static void test_unknown_fields_are_kept(void **state)
{
    static const char spec[] =
        "{\"new\":{\"deep\":[1,null,\"\\u00e9\"]},\"runtime\":{\"ports\":[]}}";
    struct fixture *f = *state;
    struct resource r;

    assert_int_equal(write_full(f, "one", "{\"x\":1.5}", spec, CREATE, NO_UPLOAD, NULL),
                     RESOURCE_WRITTEN);
    r = get(f, "one");
    assert_string_equal(r.metadata, "{\"x\":1.5}");
    assert_string_equal(r.spec, spec);
    resource_release(&r);
}

static void test_an_update_replaces_all_but_the_moment_of_creation(void **state)
{
    struct fixture *f = *state;
    struct resource r;

    must_write(f, CREATE, UPLOAD);
    pass_time(f, 10);
    assert_int_equal(write_full(f, "one", "{}", "{\"a\":1}", UPDATE, NO_UPLOAD, NULL),
                     RESOURCE_WRITTEN);
    r = get(f, "one");
    assert_string_equal(r.metadata, "{}");
    assert_string_equal(r.spec, "{\"a\":1}");
    assert_int_equal(r.created, START);
    assert_int_equal(r.updated, START + 10);
    resource_release(&r);
}

static void test_an_update_of_nothing_is_absent_and_begins_no_build(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build b = {.id = "untouched"};
    enum presence presence;

    assert_int_equal(write_one(f, UPDATE, UPLOAD, &b), RESOURCE_ABSENT);
    assert_string_equal(b.id, "untouched");
    MUST(f, state_build_newest(f->s, &t, &presence, &b, &f->err));
    assert_int_equal(presence, ABSENT);
}

static void test_a_resource_with_an_image_cannot_be_created_again(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);
    struct resource r;

    run_to_end(f, &b, ERR_NONE);
    assert_int_equal(write_one(f, CREATE, UPLOAD, &b), RESOURCE_EXISTS);
    assert_build(f, b.id);
    assert_int_equal(write_full(f, "one", "{\"x\":1}", "{}", CREATE, NO_UPLOAD, NULL),
                     RESOURCE_EXISTS);
    r = get(f, "one");
    assert_string_equal(r.metadata, METADATA);
    resource_release(&r);
}

static void test_a_resource_whose_build_runs_or_failed_cannot_be_created_again(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);

    accept_upload(f, &b);
    assert_int_equal(write_one(f, CREATE, UPLOAD, &b), RESOURCE_EXISTS);
    must_claim(f, "w");
    assert_int_equal(write_one(f, CREATE, UPLOAD, &b), RESOURCE_EXISTS);
    finish_build(f, &b, "w", ERR_INPUT);
    assert_int_equal(write_one(f, CREATE, UPLOAD, &b), RESOURCE_EXISTS);
}

static void test_a_resource_without_any_build_cannot_be_created_again(void **state)
{
    struct fixture *f = *state;

    must_write(f, CREATE, NO_UPLOAD);
    assert_int_equal(write_one(f, CREATE, NO_UPLOAD, NULL), RESOURCE_EXISTS);
}

static void test_a_husk_whose_upload_has_not_come_may_be_created_again(void **state)
{
    struct fixture *f = *state;
    struct build old = must_write(f, CREATE, UPLOAD);
    struct build new = must_write(f, CREATE, UPLOAD);

    assert_int_equal(accept_upload(f, &old), UPLOAD_SUPERSEDED);
    assert_int_equal(accept_upload(f, &new), UPLOAD_ACCEPTED);
    assert_build(f, new.id);
}

static void test_a_husk_whose_upload_never_came_may_be_created_again(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);

    pass_time(f, UPLOAD_TIME);
    MUST(f, state_expire(f->s, &f->err));
    assert_int_equal(phase_of(f, &b), BUILD_FAILED);
    must_write(f, CREATE, UPLOAD);
    begin_build(f, "one", BUILD_FOR_IMAGE); /* takes the husk's URL away */
    must_write(f, CREATE, UPLOAD);
}

static void test_a_rebuild_keeps_the_image_until_it_succeeds(void **state)
{
    struct fixture *f = *state;
    struct build first = must_write(f, CREATE, UPLOAD);
    struct build bad;
    struct build good;

    assert_image(f, "");
    run_to_end(f, &first, ERR_NONE);
    assert_image_of(f, &first);
    bad = must_write(f, UPDATE, UPLOAD);
    assert_image_of(f, &first);
    run_to_end(f, &bad, ERR_INPUT);
    assert_image_of(f, &first);
    good = must_write(f, UPDATE, UPLOAD);
    run_to_end(f, &good, ERR_NONE);
    assert_image_of(f, &good);
    assert_build(f, good.id);
}

static void test_a_success_is_an_update(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);
    struct resource r;

    pass_time(f, 44);
    run_to_end(f, &b, ERR_NONE);
    r = get(f, "one");
    assert_int_equal(r.updated, START + 44);
    resource_release(&r);
}

static void test_a_pushed_image_does_not_become_the_resources(void **state)
{
    struct fixture *f = *state;
    struct build first = must_write(f, CREATE, UPLOAD);
    struct build pushed;

    run_to_end(f, &first, ERR_NONE);
    pushed = begin_build(f, "one", BUILD_FOR_IMAGE);
    run_to_end(f, &pushed, ERR_NONE);
    assert_image_of(f, &first);
    assert_build(f, first.id);
}

static void test_a_resource_takes_the_image_that_its_spec_names(void **state)
{
    static const struct {
        const char *spec;
        const char *image;
    } cases[] = {
        {"{\"runtime\":{\"image\":\"sandbox/x:latest\"}}", "sandbox/x:latest"},
        {"{\"runtime\":{}}", "sandbox/x:latest"}, /* names none: stays */
        {"{\"runtime\":{\"image\":7}}", "sandbox/x:latest"},
        {"{\"runtime\":7}", "sandbox/x:latest"},
        {"{\"runtime\":{\"image\":\"y\"}}", "y"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(write_full(f, "one", METADATA, cases[i].spec, i == 0, NO_UPLOAD, NULL),
                         RESOURCE_WRITTEN);
        assert_image(f, cases[i].image);
        assert_build(f, "");
    }
}

static void test_an_image_in_the_spec_of_an_upload_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct build b;

    assert_int_equal(
        write_full(f, "one", METADATA, "{\"runtime\":{\"image\":\"old\"}}", CREATE, UPLOAD, &b),
        RESOURCE_WRITTEN);
    assert_image(f, "");
}

static void test_an_update_without_upload_and_image_keeps_the_build(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);

    accept_upload(f, &b);
    must_write(f, UPDATE, NO_UPLOAD); /* a label changes while the build runs */
    assert_build(f, b.id);
    must_claim(f, "w");
    finish_build(f, &b, "w", ERR_NONE);
    assert_image_of(f, &b);
}

static void test_an_image_given_during_a_build_is_not_replaced_by_it(void **state)
{
    struct fixture *f = *state;
    struct build b = must_write(f, CREATE, UPLOAD);

    accept_upload(f, &b);
    must_claim(f, "w");
    assert_int_equal(write_full(f, "one", METADATA, "{\"runtime\":{\"image\":\"mine\"}}", UPDATE,
                                NO_UPLOAD, NULL),
                     RESOURCE_WRITTEN);
    finish_build(f, &b, "w", ERR_NONE);
    assert_image(f, "mine");
    assert_build(f, "");
}

static void test_a_deleted_resource_is_gone(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    enum presence presence;
    struct resource r;

    must_write(f, CREATE, UPLOAD);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(presence, PRESENT);
    MUST(f, state_resource_get(f->s, &t, &presence, &r, &f->err));
    assert_int_equal(presence, ABSENT);
    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(presence, ABSENT);
    must_write(f, CREATE, UPLOAD);
}

static void test_deleting_what_is_no_resource_does_not_stop_an_image_build(void **state)
{
    const struct target t = sandbox("one");
    struct fixture *f = *state;
    struct build b = queue_build(f, "one");
    enum presence presence;

    MUST(f, state_resource_delete(f->s, &t, &presence, &f->err));
    assert_int_equal(presence, ABSENT);
    assert_int_equal(phase_of(f, &b), BUILD_QUEUED);
}

static void test_workspaces_and_types_do_not_see_each_other(void **state)
{
    const struct target others[] = {{WORKSPACE, "agent", "one"}, {"other", "sandbox", "one"}};
    struct fixture *f = *state;
    enum presence presence;
    struct resource r;

    MUST(f, state_workspace_ensure(f->s, "other", &f->err));
    must_write(f, CREATE, NO_UPLOAD);
    for (int i = 0; i < 2; i++) {
        MUST(f, state_resource_get(f->s, &others[i], &presence, &r, &f->err));
        assert_int_equal(presence, ABSENT);
        MUST(f, state_resource_delete(f->s, &others[i], &presence, &f->err));
        assert_int_equal(presence, ABSENT);
    }
    r = get(f, "one");
    resource_release(&r);
}

/* ---- lists ---- */

struct list {
    int64_t total;
    int n;
    char names[256];
};

static void note_name(void *self, const struct resource *r)
{
    struct list *list = self;
    size_t len = strlen(list->names);

    (void)snprintf(list->names + len, sizeof(list->names) - len, "%s ", r->name);
    list->n++;
}

static struct list list_of(struct fixture *f, const char *after, int64_t limit)
{
    struct list list = {0};

    MUST(f, state_resource_list(f->s, WORKSPACE, "sandbox", after, limit, note_name, &list,
                                &list.total, &f->err));
    return list;
}

static void test_a_list_is_read_page_by_page(void **state)
{
    static const char *const names[] = {"d", "a", "c-1", "e", "b", "c"};
    static const struct {
        const char *after;
        int64_t limit;
        const char *names;
    } cases[] = {
        {"", 100, "a b c c-1 d e "},
        {"", 2, "a b "},
        {"b", 2, "c c-1 "},
        {"c-1", 100, "d e "},
        {"e", 100, ""},
        {"bb", 1, "c "},
        {"", 0, ""},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < 6; i++)
        write_full(f, names[i], METADATA, SPEC, CREATE, NO_UPLOAD, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct list list = list_of(f, cases[i].after, cases[i].limit);

        assert_string_equal(list.names, cases[i].names);
        assert_int_equal(list.total, 6);
    }
}

static void test_a_list_of_nothing_is_empty(void **state)
{
    const struct target agent = {WORKSPACE, "agent", "one"};
    struct fixture *f = *state;
    enum resource_outcome outcome;
    struct resource r;
    struct list list;

    MUST(f, state_resource_write(f->s, &agent, &(const struct resource_body){"{}", "{}", NULL},
                                 true, false, &outcome, &r, NULL, &f->err));
    resource_release(&r);
    list = list_of(f, "", 10);
    assert_int_equal(list.n, 0);
    assert_int_equal(list.total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_resource_is_kept_as_it_was_written),
        STATE_TEST(test_unknown_fields_are_kept),
        STATE_TEST(test_an_update_replaces_all_but_the_moment_of_creation),
        STATE_TEST(test_an_update_of_nothing_is_absent_and_begins_no_build),
        STATE_TEST(test_a_resource_with_an_image_cannot_be_created_again),
        STATE_TEST(test_a_resource_whose_build_runs_or_failed_cannot_be_created_again),
        STATE_TEST(test_a_resource_without_any_build_cannot_be_created_again),
        STATE_TEST(test_a_husk_whose_upload_has_not_come_may_be_created_again),
        STATE_TEST(test_a_husk_whose_upload_never_came_may_be_created_again),
        STATE_TEST(test_a_rebuild_keeps_the_image_until_it_succeeds),
        STATE_TEST(test_a_success_is_an_update),
        STATE_TEST(test_a_pushed_image_does_not_become_the_resources),
        STATE_TEST(test_a_resource_takes_the_image_that_its_spec_names),
        STATE_TEST(test_an_image_in_the_spec_of_an_upload_is_not_taken),
        STATE_TEST(test_an_update_without_upload_and_image_keeps_the_build),
        STATE_TEST(test_an_image_given_during_a_build_is_not_replaced_by_it),
        STATE_TEST(test_a_deleted_resource_is_gone),
        STATE_TEST(test_deleting_what_is_no_resource_does_not_stop_an_image_build),
        STATE_TEST(test_workspaces_and_types_do_not_see_each_other),
        STATE_TEST(test_a_list_is_read_page_by_page),
        STATE_TEST(test_a_list_of_nothing_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
