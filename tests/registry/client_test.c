/* The client against a real registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/text.h"
#include "tests/registry/fixture.h"

#define REPO "team/sandbox/demo"

static void get(const struct fixture *f, const char *repository, const char *reference,
                enum registry_presence expected, struct registry_manifest *m)
{
    struct error err = ERROR_INIT;
    enum registry_presence presence;

    if (registry_get_manifest(&f->registry, repository, reference, &presence, m, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(presence, expected);
}

static void test_a_pushed_image_is_read_by_tag_and_by_digest(void **state)
{
    struct fixture *f = *state;
    const char *references[2] = {"v1", NULL};
    char digest[REGISTRY_DIGEST];

    fixture_push_image(f, REPO, "v1", "layer one", digest);
    references[1] = digest;
    for (int i = 0; i < 2; i++) {
        struct registry_manifest m;

        get(f, REPO, references[i], REGISTRY_PRESENT, &m);
        assert_string_equal(m.digest, digest);
        assert_string_equal(m.media_type, OCI_MANIFEST);
        assert_int_equal(m.size, 2 + 9);
        assert_true(text_starts(buf_str(&m.body), "{\"schemaVersion\":2"));
        registry_manifest_release(&m);
    }
}

static void test_an_index_is_read_as_an_index(void **state)
{
    struct fixture *f = *state;
    char child[REGISTRY_DIGEST];
    char digest[REGISTRY_DIGEST];
    char json[500];
    struct registry_manifest m;

    fixture_push_image(f, REPO, "child", "layer", child);
    get(f, REPO, "child", REGISTRY_PRESENT, &m);
    (void)snprintf(json, sizeof(json),
                   "{\"schemaVersion\":2,\"mediaType\":\"" OCI_INDEX "\",\"manifests\":[{"
                   "\"mediaType\":\"" OCI_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu,"
                   "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                   child, m.body.len);
    registry_manifest_release(&m);
    assert_int_equal(fixture_push_manifest(f, REPO, "multi", OCI_INDEX, json, digest), 201);
    get(f, REPO, "multi", REGISTRY_PRESENT, &m);
    assert_string_equal(m.digest, digest);
    assert_string_equal(m.media_type, OCI_INDEX);
    assert_int_equal(m.size, 0);
    registry_manifest_release(&m);
}

static void test_what_is_not_there_is_absent_and_no_error(void **state)
{
    struct fixture *f = *state;
    struct registry_manifest untouched = {.size = 77};
    char digest[REGISTRY_DIGEST];

    get(f, "no/such/repository", "latest", REGISTRY_ABSENT, &untouched);
    fixture_push_image(f, REPO, "v1", "layer", digest);
    get(f, REPO, "v2", REGISTRY_ABSENT, &untouched);
    digest[10] = digest[10] == '0' ? '1' : '0';
    get(f, REPO, digest, REGISTRY_ABSENT, &untouched);
    assert_int_equal(untouched.size, 77);
}

static void test_a_manifest_gets_one_more_tag(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    struct registry_manifest m;
    struct registry_manifest tagged;
    struct error err = ERROR_INIT;

    fixture_push_image(f, REPO, "abc123def456", "layer", digest);
    get(f, REPO, "abc123def456", REGISTRY_PRESENT, &m);
    if (registry_tag(&f->registry, REPO, &m, "latest", &err) < 0)
        fail_msg("%s", err.msg);
    get(f, REPO, "latest", REGISTRY_PRESENT, &tagged);
    assert_string_equal(tagged.digest, digest);
    registry_manifest_release(&tagged);
    registry_manifest_release(&m);
}

static void test_a_tag_moves_to_the_newer_image(void **state)
{
    struct fixture *f = *state;
    char first[REGISTRY_DIGEST];
    char second[REGISTRY_DIGEST];
    struct registry_manifest m;
    struct error err = ERROR_INIT;

    fixture_push_image(f, REPO, "latest", "layer one", first);
    fixture_push_image(f, REPO, "v2", "layer two", second);
    get(f, REPO, "v2", REGISTRY_PRESENT, &m);
    assert_int_equal(registry_tag(&f->registry, REPO, &m, "latest", &err), 0);
    registry_manifest_release(&m);
    get(f, REPO, "latest", REGISTRY_PRESENT, &m);
    assert_string_equal(m.digest, second);
    assert_string_not_equal(m.digest, first);
    registry_manifest_release(&m);
}

static void test_tagging_into_a_repository_without_the_layers_says_why_not(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    struct registry_manifest m;
    struct error err = ERROR_INIT;

    fixture_push_image(f, REPO, "v1", "layer", digest);
    get(f, REPO, "v1", REGISTRY_PRESENT, &m);
    assert_int_equal(registry_tag(&f->registry, "other/repository", &m, "v1", &err), -1);
    assert_int_equal(err.kind, ERR_REMOTE);
    assert_true(text_starts(err.msg, "tag other/repository:v1: HTTP 400 MANIFEST_BLOB_UNKNOWN"));
    registry_manifest_release(&m);
}

static void test_deleting_a_manifest_drops_all_its_tags(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    char other[REGISTRY_DIGEST];
    struct registry_manifest m;
    struct error err = ERROR_INIT;

    fixture_push_image(f, REPO, "v1", "layer", digest);
    fixture_push_image(f, REPO, "latest", "layer", digest);
    fixture_push_image(f, REPO, "v2", "layer two", other);
    if (registry_delete_manifest(&f->registry, REPO, digest, &err) < 0)
        fail_msg("%s", err.msg);
    get(f, REPO, "v1", REGISTRY_ABSENT, &m);
    get(f, REPO, "latest", REGISTRY_ABSENT, &m);
    get(f, REPO, digest, REGISTRY_ABSENT, &m);
    get(f, REPO, "v2", REGISTRY_PRESENT, &m);
    registry_manifest_release(&m);
    assert_int_equal(registry_delete_manifest(&f->registry, REPO, digest, &err), 0);
    assert_int_equal(registry_delete_manifest(&f->registry, "no/such", digest, &err), 0);
}

static void test_a_registry_answers_a_ping(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;

    if (registry_ping(&f->registry, &err) < 0)
        fail_msg("%s", err.msg);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_pushed_image_is_read_by_tag_and_by_digest),
        TEST(test_an_index_is_read_as_an_index),
        TEST(test_what_is_not_there_is_absent_and_no_error),
        TEST(test_a_manifest_gets_one_more_tag),
        TEST(test_a_tag_moves_to_the_newer_image),
        TEST(test_tagging_into_a_repository_without_the_layers_says_why_not),
        TEST(test_deleting_a_manifest_drops_all_its_tags),
        TEST(test_a_registry_answers_a_ping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
