/* Keys in files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/es256.h"
#include "base/fs.h"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/kiln-es256-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    struct error err;

    (void)state;
    return fs_remove_tree(AT_FDCWD, dir, &err);
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void test_a_key_is_made_once_and_for_its_owner_only(void **state)
{
    struct es256_key *first, *second;
    struct argv names = ARGV_INIT;
    struct error err;
    struct stat st;

    (void)state;
    assert_int_equal(es256_open(path_of("key.pem"), &first, &err), 0);
    assert_int_equal(es256_open(path_of("key.pem"), &second, &err), 0);
    assert_int_equal(strlen(es256_id(first)), ES256_ID - 1);
    assert_string_equal(es256_id(first), es256_id(second));
    assert_memory_equal(es256_secret(first), es256_secret(second), ES256_SECRET);
    assert_int_equal(stat(path_of("key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fs_list(AT_FDCWD, dir, &names, &err), 0);
    assert_int_equal(names.n, 1);
    argv_release(&names);
    es256_free(first);
    es256_free(second);
}

static void test_keys_differ(void **state)
{
    struct es256_key *one, *other;
    struct error err;

    (void)state;
    assert_int_equal(es256_open(path_of("one.pem"), &one, &err), 0);
    assert_int_equal(es256_open(path_of("other.pem"), &other, &err), 0);
    assert_string_not_equal(es256_id(one), es256_id(other));
    assert_memory_not_equal(es256_secret(one), es256_secret(other), ES256_SECRET);
    es256_free(one);
    es256_free(other);
}

static void test_what_is_no_key_is_refused_by_its_name(void **state)
{
    static const char *const texts[] = {
        "", "hello", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        /* Of another kind: Ed25519. */
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
        "-----END PRIVATE KEY-----\n"};
    struct es256_key *key;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(
            fs_write_file(AT_FDCWD, path_of("bad.pem"), texts[i], strlen(texts[i]), 0600, &err), 0);
        assert_int_equal(es256_open(path_of("bad.pem"), &key, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.msg, "bad.pem"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_made_once_and_for_its_owner_only),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_what_is_no_key_is_refused_by_its_name),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
