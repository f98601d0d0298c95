/* Keys of tokens change in files, and everybody who has them open signs with the new one; a kill in
 * the middle leaves what the next rotation goes on from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "registry/registry.h"

#define OVERLAP (60 * NS_PER_SEC)

struct fixture {
    char dir[40], path[64];
    struct registry_keys *keys, *other; /* of two processes */
    struct error err;
};

#define MUST(f, call)                                                                              \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            fail_msg("%s: %s", #call, (f)->err.msg);                                               \
    } while (0)

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-keys-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    (void)snprintf(f->path, sizeof(f->path), "%s/key.pem", f->dir);
    *state = f;
    return registry_keys_open(f->path, OVERLAP, &f->keys, &f->err) < 0 ||
                   registry_keys_open(f->path, OVERLAP, &f->other, &f->err) < 0
               ? -1
               : 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    registry_keys_free(f->keys);
    registry_keys_free(f->other);
    (void)!fs_remove_tree(AT_FDCWD, f->dir, &f->err);
    free(f);
    return 0;
}

static const char *current(struct registry_keys *k)
{
    return es256_id(registry_keys_current(k));
}

static int certificates(struct fixture *f)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(65536);
    int n = 0;

    MUST(f, registry_keys_certificates(f->other, "kiln", &pem, &f->err));
    for (const char *at = buf_str(&pem); (at = strstr(at, "BEGIN CERTIFICATE")); at++)
        n++;
    return n;
}

/* As if the rotation had been so long ago. */
static void age(struct fixture *f, int64_t seconds)
{
    const struct timespec then = {.tv_sec = clock_now(&clock_system) / NS_PER_SEC - seconds};
    const struct timespec times[2] = {then, then};
    char path[80];

    (void)snprintf(path, sizeof(path), "%s.old", f->path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_the_next_key_is_trusted_before_it_signs(void **state)
{
    struct fixture *f = *state;
    const char *first = current(f->keys);
    const char *next;

    assert_int_equal(certificates(f), 1);
    MUST(f, registry_keys_tend(f->keys, &f->err));
    assert_int_equal(certificates(f), 2);
    next = es256_id(registry_keys_next(f->other));
    MUST(f, registry_keys_rotate(f->keys, false, &f->err));
    assert_string_equal(current(f->other), next);
    assert_string_equal(es256_id(registry_keys_old(f->other)), first);
    assert_string_not_equal(es256_id(registry_keys_next(f->other)), next);
    assert_int_equal(certificates(f), 3);
}

static void test_the_old_key_is_accepted_for_its_time(void **state)
{
    struct fixture *f = *state;
    const struct registry_signer signer = {.keys = f->other, .issuer = "kiln", .service = "r"};
    const int64_t now = clock_now(&clock_system);
    char ticket[REGISTRY_TICKET], workspace[REGISTRY_WORKSPACE], repository[REGISTRY_REPOSITORY];

    registry_ticket(registry_signer_key(&signer), "acme", "acme/sandbox/a", now + OVERLAP, ticket);
    MUST(f, registry_keys_rotate(f->keys, false, &f->err));
    assert_true(registry_ticket_check(&signer, ticket, now, workspace, repository));
    assert_int_equal(registry_keys_rotate(f->keys, false, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_INPUT);
    age(f, 59);
    MUST(f, registry_keys_tend(f->keys, &f->err));
    assert_true(registry_ticket_check(&signer, ticket, now, workspace, repository));
    age(f, 61);
    assert_false(registry_ticket_check(&signer, ticket, now, workspace, repository));
    MUST(f, registry_keys_tend(f->keys, &f->err));
    assert_int_equal(registry_keys_old_until(f->keys), 0);
    MUST(f, registry_keys_rotate(f->keys, false, &f->err));
}

static void test_at_once_ends_what_was_signed_before(void **state)
{
    struct fixture *f = *state;
    const char *first = current(f->keys);

    MUST(f, registry_keys_rotate(f->keys, false, &f->err));
    MUST(f, registry_keys_rotate(f->keys, true, &f->err));
    assert_null(registry_keys_old(f->other));
    assert_string_not_equal(current(f->other), first);
}

/* What a kill between two steps leaves. */
static void test_a_rotation_that_was_killed_is_done_again(void **state)
{
    struct fixture *f = *state;
    const char *first = current(f->keys);
    char old[80], next[80];

    (void)snprintf(old, sizeof(old), "%s.old", f->path);
    (void)snprintf(next, sizeof(next), "%s.next", f->path);
    MUST(f, registry_keys_tend(f->keys, &f->err));
    assert_int_equal(link(f->path, old), 0);
    assert_string_equal(current(f->other), first);
    MUST(f, registry_keys_rotate(f->keys, false, &f->err));
    assert_string_not_equal(current(f->other), first);
    assert_string_equal(es256_id(registry_keys_old(f->other)), first);

    assert_int_equal(unlink(next), 0);
    assert_null(registry_keys_next(f->other));
    MUST(f, registry_keys_tend(f->keys, &f->err));
    assert_non_null(registry_keys_next(f->other));
}

/* An operator may put a key of their own there, and may be slow at it. */
static void test_a_file_that_is_no_key_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const char *first = current(f->keys);

    MUST(f, fs_write_file(AT_FDCWD, f->path, "none", 4, 0600, &f->err));
    assert_string_equal(current(f->other), first);
    assert_int_equal(unlink(f->path), 0);
    assert_string_equal(current(f->other), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_next_key_is_trusted_before_it_signs, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_the_old_key_is_accepted_for_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once_ends_what_was_signed_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_rotation_that_was_killed_is_done_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_no_key_changes_nothing, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
