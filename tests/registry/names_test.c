/* What may stand in a registry's URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "registry/names.h"

static const char *const good_repositories[] = {
    "a", "0", "workspace/sandbox/name", "a-b", "a--b", "a---b/c", "a.b", "a_b", "a__b", "a1/b2",
};
static const char *const bad_repositories[] = {
    "",    "/",      "/a",   "a/",    "a//b", "A",        "a/B",  "-a",  "a-",    "a.",
    "..",  "a/../b", "a..b", "a___b", "a.-b", "a_.b",     "_a",   ".a",  "a b",   "a%2fb",
    "a?b", "a#b",    "a:b",  "a@b",   "a\nb", "\xc3\xa9", "a\\b", "a/.", "a/-/b",
};
static const char *const good_tags[] = {"latest", "_", "A.b-c_9", "9", "a..b"};
static const char *const bad_tags[] = {
    "", ".", "..", ".a", "-a", "a/b", "a b", "a?b", "a%41", "a:b", "a@b", "a\n", "\xc3\xa9",
};

#define EACH(list) (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)

static void test_repositories_follow_the_specification(void **state)
{
    char text[300];

    (void)state;
    for
        EACH(good_repositories)
    if (!registry_repository_is_valid(good_repositories[i]))
        fail_msg("\"%s\" is refused", good_repositories[i]);
    for
        EACH(bad_repositories)
    if (registry_repository_is_valid(bad_repositories[i]))
        fail_msg("\"%s\" is taken", bad_repositories[i]);
    memset(text, 'a', sizeof(text));
    text[255] = '\0';
    assert_true(registry_repository_is_valid(text));
    text[255] = 'a';
    text[256] = '\0';
    assert_false(registry_repository_is_valid(text));
}

static void test_tags_follow_the_specification(void **state)
{
    char text[200];

    (void)state;
    for
        EACH(good_tags)
    if (!registry_tag_is_valid(good_tags[i]))
        fail_msg("\"%s\" is refused", good_tags[i]);
    for
        EACH(bad_tags)
    if (registry_tag_is_valid(bad_tags[i]))
        fail_msg("\"%s\" is taken", bad_tags[i]);
    memset(text, 'a', sizeof(text));
    text[128] = '\0';
    assert_true(registry_tag_is_valid(text));
    text[128] = 'a';
    text[129] = '\0';
    assert_false(registry_tag_is_valid(text));
}

static void test_digests_are_sha256_in_lower_case(void **state)
{
    static const char hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    char text[100];

    (void)state;
    (void)snprintf(text, sizeof(text), "sha256:%s", hex);
    assert_true(registry_digest_is_valid(text));
    text[7] = 'B';
    assert_false(registry_digest_is_valid(text));
    (void)snprintf(text, sizeof(text), "sha512:%s", hex);
    assert_false(registry_digest_is_valid(text));
    (void)snprintf(text, sizeof(text), "sha256:%sa", hex);
    assert_false(registry_digest_is_valid(text));
    (void)snprintf(text, sizeof(text), "sha256:%.63s", hex);
    assert_false(registry_digest_is_valid(text));
    assert_false(registry_digest_is_valid(hex));
    assert_false(registry_digest_is_valid(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repositories_follow_the_specification),
        cmocka_unit_test(test_tags_follow_the_specification),
        cmocka_unit_test(test_digests_are_sha256_in_lower_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
