/* What is ordered for a volume is queued with it, one order at a time, and comes to no image. */
#include "tests/worker/state_fixture.h"

#include "worker/places.h"

static const struct target volume = {WORKSPACE, TYPE_VOLUME, "vol"};

static enum resource_outcome order(struct fixture *f, bool create, const char *source,
                                   struct build *ret)
{
    struct resource r = {.created = 0};
    enum resource_outcome outcome;

    MUST(f, state_resource_order(f->s, &volume, &(const struct resource_body){"{}", "{}", NULL},
                                 create, source, &outcome, &r, ret, &f->err));
    resource_release(&r);
    return outcome;
}

static enum build_phase finish(struct fixture *f, const struct build *b, const char *image)
{
    const struct build_result result = {.kind = image ? ERR_NONE : ERR_INPUT,
                                        .message = "it went wrong",
                                        .digest = "",
                                        .image = image};
    enum lease_verdict verdict;
    enum build_phase phase;

    MUST(f, state_finish(f->s, b->id, "w", &result, &verdict, &phase, &f->err));
    return phase;
}

static void load(struct fixture *f, struct resource *ret)
{
    enum presence presence;

    MUST(f, state_resource_get(f->s, &volume, &presence, ret, &f->err));
    assert_int_equal(presence, PRESENT);
}

static void test_an_order_is_queued_and_makes_no_image(void **state)
{
    struct fixture *f = *state;
    struct resource r;
    enum presence presence;
    struct image image;
    struct build b;

    assert_int_equal(order(f, true, "create - 64", &b), RESOURCE_WRITTEN);
    assert_int_equal(b.phase, BUILD_QUEUED);
    assert_int_equal(b.purpose, BUILD_FOR_VOLUME);
    assert_string_equal(must_claim(f, "w").source, "create - 64");
    assert_int_equal(finish(f, &b, "- 64"), BUILD_SUCCEEDED);
    load(f, &r);
    assert_string_equal(r.image, "- 64");
    resource_release(&r);
    MUST(f, state_image_get(f->s, &volume, &presence, &image, &f->err));
    assert_int_equal(presence, ABSENT);
}

static void test_orders_come_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    struct build b, other;

    assert_int_equal(order(f, false, "grow - 64", &b), RESOURCE_ABSENT);
    assert_int_equal(order(f, true, "create - 64", &b), RESOURCE_WRITTEN);
    assert_int_equal(order(f, true, "create - 64", &other), RESOURCE_EXISTS);
    assert_int_equal(order(f, false, "grow - 96", &other), RESOURCE_BUSY);
    (void)must_claim(f, "w");
    assert_int_equal(order(f, false, "grow - 96", &other), RESOURCE_BUSY);
    finish(f, &b, "- 64");
    assert_int_equal(order(f, true, "create - 64", &other), RESOURCE_EXISTS);
    assert_int_equal(order(f, false, "grow - 96", &other), RESOURCE_WRITTEN);
    assert_string_equal(must_claim(f, "w").source, "grow - 96");
}

static void test_what_failed_may_be_made_anew_but_not_what_was_made(void **state)
{
    struct fixture *f = *state;
    struct build b;

    (void)order(f, true, "create - 64", &b);
    (void)must_claim(f, "w");
    assert_int_equal(finish(f, &b, NULL), BUILD_FAILED);
    assert_int_equal(order(f, true, "create - 64", &b), RESOURCE_WRITTEN);
    (void)must_claim(f, "w");
    finish(f, &b, "- 64");
    (void)order(f, false, "grow - 96", &b);
    (void)must_claim(f, "w");
    assert_int_equal(finish(f, &b, NULL), BUILD_FAILED);
    assert_int_equal(order(f, true, "create - 64", &b), RESOURCE_EXISTS);
}

static void test_a_change_without_an_order_queues_nothing(void **state)
{
    struct fixture *f = *state;
    struct build b, none = {.id = ""};
    struct resource r;

    (void)order(f, true, "create - 64", &b);
    (void)must_claim(f, "w");
    finish(f, &b, "- 64");
    assert_int_equal(order(f, false, "", &none), RESOURCE_WRITTEN);
    assert_string_equal(none.id, "");
    assert_false(claim_build(f, "w", &none));
    load(f, &r);
    assert_string_equal(r.image, "- 64");
    assert_string_equal(r.build, b.id);
    resource_release(&r);
}

static void test_deleting_cancels_it(void **state)
{
    struct fixture *f = *state;
    enum presence presence;
    struct build b;

    (void)order(f, true, "create - 64", &b);
    (void)must_claim(f, "w");
    MUST(f, state_resource_delete(f->s, &volume, &presence, &f->err));
    assert_int_equal(finish(f, &b, "- 64"), BUILD_CANCELLED);
    assert_int_equal(order(f, true, "create - 64", &b), RESOURCE_WRITTEN);
}

static void test_orders_are_read_as_they_are_written(void **state)
{
    static const char *const bad[] = {"",
                                      "create",
                                      "create -",
                                      "create - x",
                                      "grow",
                                      "shrink - 64",
                                      "create - -1",
                                      "create  64",
                                      "create -  64",
                                      "create - 64 "};
    const struct volume_order o = {.verb = VOLUME_GROW, .template = "deps:3", .size_mb = 2048};
    struct volume_order read;
    struct error err;
    char text[BUILD_SOURCE], image[256];

    (void)state;
    volume_order_write(&o, text);
    assert_string_equal(text, "grow deps:3 2048");
    assert_int_equal(volume_order_read(text, &read, &err), 0);
    assert_int_equal(read.verb, VOLUME_GROW);
    assert_string_equal(read.template, "deps:3");
    volume_made_write(&o, image);
    assert_true(volume_made_read(image, &read));
    assert_int_equal(read.size_mb, 2048);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(volume_order_read(bad[i], &read, &err), -1);
}

static void test_places_are_below_their_workspace(void **state)
{
    const struct places p = {.templates = "/data/templates", .volumes = "/data/volumes"};
    struct error err;
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(places_volume(&p, "acme", "v", path, &err), 0);
    assert_string_equal(path, "/data/volumes/acme/v.img");
    assert_int_equal(places_store(&p, "acme", path, &err), 0);
    assert_string_equal(path, "/data/templates/acme");
    assert_int_equal(places_volume(&p, "..", "v", path, &err), -1);
    assert_int_equal(places_volume(&p, "acme", "../v", path, &err), -1);
    assert_int_equal(places_store(&p, "", path, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STATE_TEST(test_an_order_is_queued_and_makes_no_image),
        STATE_TEST(test_orders_come_one_after_the_other),
        STATE_TEST(test_what_failed_may_be_made_anew_but_not_what_was_made),
        STATE_TEST(test_a_change_without_an_order_queues_nothing),
        STATE_TEST(test_deleting_cancels_it),
        cmocka_unit_test(test_orders_are_read_as_they_are_written),
        cmocka_unit_test(test_places_are_below_their_workspace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
