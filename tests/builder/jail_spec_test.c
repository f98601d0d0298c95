/* The specification survives the way to the second life of the binary, or is refused. */
#include "machine.h"

#include <string.h>

static void describe(struct jail_spec *s)
{
    *s = (struct jail_spec){.ids = {JAIL_USERS_DIRECT, 10, 11, 20, 21},
                            .net = JAIL_NET_NAT,
                            .rights = JAIL_RIGHTS_BUILD,
                            .inner = true,
                            .out = true,
                            .grace_ms = 1234};
    jail_spec_add(s, JAIL_FILE, "etc/x", "line\nline\n");
    jail_spec_add(s, JAIL_DIR, "a/b", NULL);
    argv_push(&s->argv, "program", "", "word", NULL);
    argv_push(&s->env, "A=b", NULL);
    argv_push(&s->routes, "192.0.2.0/24", NULL);
    argv_push(&s->limits.groups, "/one", "/two", NULL);
    argv_push(&s->limits.disk_dir, "/dir", NULL);
    s->limits.disk = UINT64_C(5) << 32 | 7;
    s->limits.processes = 99;
}

static void test_a_specification_comes_back_as_it_was(void **state)
{
    struct jail_spec a;
    struct jail_spec b;
    struct buf bytes = BUF_INIT(1 << 16);
    struct error err = ERROR_INIT;

    (void)state;
    describe(&a);
    jail_spec_write(&a, &bytes);
    assert_int_equal(jail_spec_read(bytes.data, bytes.len, &b, &err), 0);
    assert_memory_equal(&a.ids, &b.ids, sizeof(a.ids));
    assert_int_equal(b.net, JAIL_NET_NAT);
    assert_int_equal(b.rights, JAIL_RIGHTS_BUILD);
    assert_true(b.inner && b.out);
    assert_int_equal(b.grace_ms, 1234);
    assert_int_equal(b.n_entries, 2);
    assert_int_equal(b.entries[0].kind, JAIL_FILE);
    assert_string_equal(b.entries[0].path, "etc/x");
    assert_string_equal(b.entries[0].from, "line\nline\n");
    assert_string_equal(b.entries[1].from, "");
    assert_int_equal(b.argv.n, 3);
    assert_string_equal(b.argv.v[1], "");
    assert_string_equal(b.argv.v[2], "word");
    assert_string_equal(b.env.v[0], "A=b");
    assert_string_equal(b.routes.v[0], "192.0.2.0/24");
    assert_int_equal(b.limits.groups.n, 2);
    assert_string_equal(b.limits.groups.v[1], "/two");
    assert_string_equal(b.limits.disk_dir.v[0], "/dir");
    assert_int_equal(b.limits.disk, UINT64_C(5) << 32 | 7);
    assert_int_equal(b.limits.processes, 99);
    jail_spec_release(&a);
    jail_spec_release(&b);
    buf_release(&bytes);
}

static void test_a_specification_cut_anywhere_or_with_more_behind_is_refused(void **state)
{
    struct jail_spec a;
    struct jail_spec b;
    struct buf bytes = BUF_INIT(1 << 16);

    (void)state;
    describe(&a);
    jail_spec_write(&a, &bytes);
    buf_addc(&bytes, 'x');
    for (size_t len = 0; len <= bytes.len; len++) {
        struct error err = ERROR_INIT;

        if (len == bytes.len - 1)
            continue; /* the whole of it */
        assert_int_equal(jail_spec_read(bytes.data, len, &b, &err), -1);
        assert_int_equal(err.kind, ERR_SYSTEM);
    }
    jail_spec_release(&a);
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_specification_comes_back_as_it_was),
        cmocka_unit_test(test_a_specification_cut_anywhere_or_with_more_behind_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
