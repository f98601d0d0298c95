/* Bundles: what is no image and lies in a repository all the same, with a real registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/digest.h"
#include "tests/registry/fixture.h"

#define REPO  "ws/cache"
#define TYPE  "application/vnd.kiln.test.v1+json"
#define LAYER "application/vnd.oci.image.layer.v1.tar+gzip"

static int open_text(void *self, int *ret_fd, struct error *err)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);

    (void)err;
    assert_int_equal(write(fd, self, strlen(self)), (ssize_t)strlen(self));
    *ret_fd = fd;
    return 0;
}

static void put(const struct fixture *f, const char *tag, const char *config, const char *layer,
                int64_t created, struct registry_pushed *ret)
{
    char digest[REGISTRY_DIGEST] = "sha256:";
    struct registry_layer l = {
        .digest = digest, .size = strlen(layer), .open = open_text, .self = (void *)layer};
    const struct registry_image image = {.repository = REPO,
                                         .tag = tag,
                                         .config = config,
                                         .config_len = strlen(config),
                                         .layers = &l,
                                         .n_layers = 1};
    struct error err = ERROR_INIT;

    digest_sha256_hex(layer, strlen(layer), digest + 7);
    if (registry_put_bundle(&f->registry, &image, TYPE, LAYER, created, ret, &err) < 0)
        fail_msg("%s", err.msg);
}

static int get(const struct fixture *f, const char *tag, const char *type, size_t max,
               enum registry_presence *ret_presence, struct registry_bundle *ret, struct error *err)
{
    *err = (struct error)ERROR_INIT;
    return registry_get_bundle(&f->registry, REPO, tag, type, max, ret_presence, ret, err);
}

static enum registry_presence presence_of(const struct fixture *f, const char *reference)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    enum registry_presence presence;
    struct error err = ERROR_INIT;

    if (registry_get_manifest(&f->registry, REPO, reference, &presence, &m, &err) < 0)
        fail_msg("%s", err.msg);
    return presence;
}

static void test_what_was_put_is_read_again(void **state)
{
    struct fixture *f = *state;
    CLEANUP(registry_bundle_release) struct registry_bundle a = {.digest = ""};
    CLEANUP(registry_bundle_release) struct registry_bundle none = {.digest = ""};
    enum registry_presence presence;
    struct registry_pushed pushed;
    struct error err;

    put(f, "one", "{\"a\":1}", "layer", 1, &pushed);
    assert_int_equal(get(f, "one", TYPE, 100, &presence, &a, &err), 0);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_string_equal(buf_str(&a.config), "{\"a\":1}");
    assert_string_equal(a.digest, pushed.digest);
    assert_int_equal(get(f, "two", TYPE, 100, &presence, &none, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
}

static void test_what_is_of_another_type_or_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    CLEANUP(registry_bundle_release) struct registry_bundle a = {.digest = ""};
    enum registry_presence presence;
    struct registry_pushed pushed;
    char digest[REGISTRY_DIGEST];
    struct error err;

    put(f, "one", "{\"a\":1}", "layer", 1, &pushed);
    fixture_push_image(f, REPO, "image", "layer", digest);
    assert_int_equal(get(f, "one", TYPE, 6, &presence, &a, &err), -1);
    assert_non_null(strstr(err.msg, "larger than 6 bytes"));
    assert_int_equal(get(f, "image", TYPE, 100, &presence, &a, &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_int_equal(get(f, "../x", TYPE, 100, &presence, &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
}

static void test_the_manifest_that_a_tag_named_before_is_removed(void **state)
{
    struct fixture *f = *state;
    struct registry_pushed first, other, second;

    put(f, "one", "{}", "layer", 1, &first);
    put(f, "other", "{}", "layer", 1, &other);
    assert_string_not_equal(first.digest, other.digest);
    put(f, "one", "{\"b\":2}", "layer", 2, &second);
    assert_int_equal(presence_of(f, first.digest), REGISTRY_ABSENT);
    assert_int_equal(presence_of(f, second.digest), REGISTRY_PRESENT);
    assert_int_equal(presence_of(f, "other"), REGISTRY_PRESENT);
    put(f, "one", "{\"b\":2}", "layer", 2, &second);
    assert_int_equal(presence_of(f, "one"), REGISTRY_PRESENT);
}

static void test_those_made_first_go_when_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    struct registry_pushed pushed;
    struct error err = ERROR_INIT;
    size_t removed;
    char tag[16];

    assert_int_equal(registry_trim_bundles(&f->registry, REPO, 3, 2, &removed, &err), 0);
    assert_int_equal(removed, 0);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(tag, sizeof(tag), "t%d", i);
        put(f, tag, "{}", "layer", 100 - i, &pushed);
    }
    assert_int_equal(registry_trim_bundles(&f->registry, REPO, 4, 2, &removed, &err), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(registry_trim_bundles(&f->registry, REPO, 3, 2, &removed, &err), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(presence_of(f, "t0"), REGISTRY_PRESENT);
    assert_int_equal(presence_of(f, "t1"), REGISTRY_PRESENT);
    assert_int_equal(presence_of(f, "t2"), REGISTRY_ABSENT);
    assert_int_equal(presence_of(f, "t3"), REGISTRY_ABSENT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_put_is_read_again),
        TEST(test_what_is_of_another_type_or_too_large_is_refused),
        TEST(test_the_manifest_that_a_tag_named_before_is_removed),
        TEST(test_those_made_first_go_when_there_are_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
