/* The key of upload URLs is exchanged for everybody at once, and the one before it stays good for
 * its time. */
#include "tests/worker/state_fixture.h"
#include "worker/state_rotate.h"

#define OVERLAP (3600 * NS_PER_SEC)

static struct state_upload_keys keys_of(struct fixture *f, struct state *s)
{
    struct state_upload_keys keys;

    MUST(f, state_upload_keys(s, &keys, &f->err));
    return keys;
}

static void test_the_key_that_was_made_first_stays(void **state)
{
    struct fixture *f = *state;
    unsigned char before[STATE_KEY];
    struct state_upload_keys keys;

    /* As a Kiln without rotation made it. */
    MUST(f, state_secret(f->s, "upload key", before, sizeof(before), &f->err));
    keys = keys_of(f, f->s);
    assert_memory_equal(keys.current, before, STATE_KEY);
    assert_int_equal(keys.old_until, 0);
}

static void test_all_see_a_rotation_and_the_old_one_for_its_time(void **state)
{
    struct fixture *f = *state;
    struct state *other = fixture_open(f);
    const struct state_upload_keys first = keys_of(f, other);
    struct state_upload_keys keys;

    MUST(f, state_upload_rotate(f->s, OVERLAP, &f->err));
    keys = keys_of(f, other);
    assert_memory_not_equal(keys.current, first.current, STATE_KEY);
    assert_memory_equal(keys.old, first.current, STATE_KEY);
    assert_int_equal(keys.old_until, f->now + OVERLAP);

    /* One more would take the old one's time from it. */
    assert_int_equal(state_upload_rotate(other, OVERLAP, &f->err), -1);
    assert_int_equal(f->err.kind, ERR_INPUT);
    MUST(f, state_upload_purge(f->s, &f->err));
    assert_int_equal(keys_of(f, f->s).old_until, f->now + OVERLAP);

    pass_time(f, OVERLAP);
    MUST(f, state_upload_purge(f->s, &f->err));
    assert_int_equal(keys_of(f, other).old_until, 0);
    MUST(f, state_upload_rotate(other, OVERLAP, &f->err));
    state_close(other);
}

static void test_at_once_leaves_no_old_one(void **state)
{
    struct fixture *f = *state;
    const struct state_upload_keys first = keys_of(f, f->s);
    struct state_upload_keys keys;

    MUST(f, state_upload_rotate(f->s, OVERLAP, &f->err));
    MUST(f, state_upload_rotate(f->s, 0, &f->err));
    keys = keys_of(f, f->s);
    assert_int_equal(keys.old_until, 0);
    assert_memory_not_equal(keys.current, first.current, STATE_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_the_key_that_was_made_first_stays),
        FILE_TEST(test_all_see_a_rotation_and_the_old_one_for_its_time),
        FILE_TEST(test_at_once_leaves_no_old_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
