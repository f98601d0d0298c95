/* What a workspace may take: its own limits, else the server's. */
#include "tests/worker/state_fixture.h"

#define OTHER "globex"

static const struct workspace_limits keep = {LIMIT_KEPT, LIMIT_KEPT, LIMIT_KEPT};

static void set(struct fixture *f, const char *workspace, struct workspace_limits own)
{
    enum presence presence;

    MUST(f, state_limits_set(f->s, workspace, &own, &presence, &f->err));
    assert_int_equal(presence, PRESENT);
}

static void limit_builds(struct fixture *f, const char *workspace, int64_t builds)
{
    struct workspace_limits own = keep;

    own.builds = builds;
    set(f, workspace, own);
}

static struct build queue_for(struct fixture *f, const char *workspace, const char *type,
                              const char *name, enum build_purpose purpose)
{
    const struct target t = {workspace, type, name};
    struct build b = {.created = 0};

    MUST(f, state_workspace_ensure(f->s, workspace, &f->err));
    MUST(f, state_build_begin(f->s, &t, purpose, &b, &f->err));
    assert_int_equal(accept_upload(f, &b), UPLOAD_ACCEPTED);
    pass_time(f, 1);
    return b;
}

static struct build queue(struct fixture *f, const char *workspace, const char *name)
{
    return queue_for(f, workspace, "sandbox", name, BUILD_FOR_IMAGE);
}

static void must_claim_of(struct fixture *f, const char *workspace, const char *name)
{
    struct build b = must_claim(f, "w");

    assert_string_equal(b.workspace, workspace);
    assert_string_equal(b.name, name);
}

static void test_a_workspace_at_its_limit_waits_and_others_pass_it_by(void **state)
{
    struct fixture *f = *state;
    struct build first = queue(f, WORKSPACE, "a"), b;

    (void)queue(f, WORKSPACE, "b");
    (void)queue(f, WORKSPACE, "c");
    (void)queue(f, WORKSPACE, "d");
    (void)queue(f, OTHER, "z");
    limit_builds(f, WORKSPACE, 2);
    must_claim_of(f, WORKSPACE, "a");
    must_claim_of(f, OTHER, "z");
    must_claim_of(f, WORKSPACE, "b");
    assert_false(claim_build(f, "w", &b));
    finish_build(f, &first, "w", ERR_NONE);
    must_claim_of(f, WORKSPACE, "c");
    assert_false(claim_build(f, "w", &b));
    limit_builds(f, WORKSPACE, 0);
    must_claim_of(f, WORKSPACE, "d");
}

static void test_templates_count_as_builds_and_volumes_do_not(void **state)
{
    struct fixture *f = *state;
    struct build b;

    limit_builds(f, WORKSPACE, 1);
    (void)queue_for(f, WORKSPACE, TYPE_VOLUME, "u", BUILD_FOR_VOLUME);
    (void)queue_for(f, WORKSPACE, TYPE_TEMPLATE, "t", BUILD_FOR_TEMPLATE);
    (void)queue(f, WORKSPACE, "a");
    (void)queue_for(f, WORKSPACE, TYPE_VOLUME, "v", BUILD_FOR_VOLUME);
    must_claim_of(f, WORKSPACE, "u");
    must_claim_of(f, WORKSPACE, "t");
    must_claim_of(f, WORKSPACE, "v");
    assert_false(claim_build(f, "w", &b));
}

static void test_a_lost_lease_makes_room(void **state)
{
    struct fixture *f = *state;
    struct build b;

    limit_builds(f, WORKSPACE, 1);
    (void)queue(f, WORKSPACE, "a");
    (void)queue(f, WORKSPACE, "b");
    must_claim_of(f, WORKSPACE, "a");
    assert_false(claim_build(f, "w", &b));
    MUST(f, state_worker_died(f->s, "w", &f->err));
    must_claim(f, "w2");
}

static void reopen_with(struct fixture *f, struct workspace_limits limits)
{
    const struct state_config config = {.path = f->path,
                                        .clock = &f->clock,
                                        .attempts_max = ATTEMPTS_MAX,
                                        .upload_ns = UPLOAD_TIME,
                                        .limits = limits};

    fixture_close(f);
    MUST(f, state_open(&config, &f->s, &f->err));
}

static void assert_limits(struct fixture *f, const char *workspace, struct workspace_limits wanted)
{
    struct workspace_limits l;

    MUST(f, state_limits_get(f->s, workspace, &l, &f->err));
    assert_int_equal(l.builds, wanted.builds);
    assert_int_equal(l.images, wanted.images);
    assert_int_equal(l.templates, wanted.templates);
}

static void test_the_servers_limits_hold_where_a_workspace_has_none_of_its_own(void **state)
{
    const struct workspace_limits of_server = {1, 1000, 2000};
    struct fixture *f = *state;
    enum presence presence;
    struct build b;

    reopen_with(f, of_server);
    assert_limits(f, WORKSPACE, of_server);
    (void)queue(f, WORKSPACE, "a");
    (void)queue(f, WORKSPACE, "b");
    must_claim(f, "w");
    assert_false(claim_build(f, "w", &b));
    set(f, WORKSPACE, (struct workspace_limits){2, LIMIT_KEPT, 0});
    assert_limits(f, WORKSPACE, (struct workspace_limits){2, 1000, 0});
    must_claim(f, "w");
    set(f, WORKSPACE, (struct workspace_limits){LIMIT_OF_SERVER, 7, LIMIT_KEPT});
    assert_limits(f, WORKSPACE, (struct workspace_limits){1, 7, 0});
    set(f, WORKSPACE, keep);
    assert_limits(f, WORKSPACE, (struct workspace_limits){1, 7, 0});
    MUST(f, state_limits_set(f->s, "nosuch", &keep, &presence, &f->err));
    assert_int_equal(presence, ABSENT);
}

static void push(struct fixture *f, const char *workspace, const char *name, const char *digest,
                 uint64_t size)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = digest, .image_size = size};
    struct build b = queue(f, workspace, name);
    enum lease_verdict verdict;
    enum build_phase phase;

    must_claim(f, "w");
    MUST(f, state_finish(f->s, b.id, "w", &result, &verdict, &phase, &f->err));
    assert_int_equal(phase, BUILD_SUCCEEDED);
}

static void test_an_image_counts_once_however_many_tags_name_it(void **state)
{
    struct fixture *f = *state;
    uint64_t size;

    MUST(f, state_images_size(f->s, WORKSPACE, &size, &f->err));
    assert_int_equal(size, 0);
    push(f, WORKSPACE, "a", "sha256:a", 100);
    push(f, WORKSPACE, "a", "sha256:a", 100);
    push(f, WORKSPACE, "a", "sha256:b", 20);
    push(f, WORKSPACE, "b", "sha256:c", 3);
    push(f, OTHER, "a", "sha256:d", 5000);
    MUST(f, state_images_size(f->s, WORKSPACE, &size, &f->err));
    assert_int_equal(size, 123);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_a_workspace_at_its_limit_waits_and_others_pass_it_by),
        STATE_TEST(test_templates_count_as_builds_and_volumes_do_not),
        STATE_TEST(test_a_lost_lease_makes_room),
        FILE_TEST(test_the_servers_limits_hold_where_a_workspace_has_none_of_its_own),
        STATE_TEST(test_an_image_counts_once_however_many_tags_name_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
