/* Who a USER or a --chown names, by the files of an image that may mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "builder/accounts.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
                             "  indented:x:2:3::/in:/bin/sh\n"
                             "\n"
                             "# a comment\n"
                             "short:x:5:6\n"
                             "nameless\n"
                             "bad:x:minus:7::/bad:\n"
                             "neg:x:-5:7::/neg:\n"
                             "huge:x:4294967296:7::/huge:\n"
                             "node:x:1000:1001:Node:/home/node:/bin/sh:more:fields\n"
                             "twin:x:1000:7::/home/twin:\n"
                             "1001:x:42:43::/home/number:\n"
                             "empty:x:60:60:::\n"
                             "last:x:99:99::/last:/bin/sh";
static const char group[] = "root:x:0:\n"
                            "node:x:1001:\n"
                            "wheel:x:10:node,daemon\n"
                            "again:x:10:node\n"
                            "audio:x:5:daemon,node\n"
                            "bad:x:z:node\n"
                            "nodes:x:77:nodejs,anode\n"
                            "1002:x:8:\n";

static void test_users_are_found_by_name_and_number(void **state)
{
    static const struct {
        const char *who;
        uint32_t uid, gid;
        const char *home;
        size_t n_groups;
        uint32_t groups[2];
    } cases[] = {
        {"", 0, 0, "/root", 0, {0}},
        {"root", 0, 0, "/root", 0, {0}},
        {"0", 0, 0, "/root", 0, {0}},
        {"daemon", 1, 1, "/usr/sbin", 2, {5, 10}},
        {"indented", 2, 3, "/in", 0, {0}},
        {"short", 5, 6, "/", 0, {0}},
        {"node", 1000, 1001, "/home/node", 2, {5, 10}},
        {"1000", 1000, 1001, "/home/node", 2, {5, 10}},
        {"twin", 1000, 7, "/home/twin", 0, {0}},
        {"1001", 42, 43, "/home/number", 0, {0}},
        {"12345", 12345, 0, "/", 0, {0}},
        {"node:wheel", 1000, 10, "/home/node", 0, {0}},
        {"node:10", 1000, 10, "/home/node", 0, {0}},
        {"node:4242", 1000, 4242, "/home/node", 0, {0}},
        {"12345:audio", 12345, 5, "/", 0, {0}},
        {"7:8", 7, 8, "/", 0, {0}},
        {":wheel", 0, 10, "/root", 0, {0}},
        {"node:", 1000, 1001, "/home/node", 2, {5, 10}},
        {"node:1002", 1000, 8, "/home/node", 0, {0}},
        {"empty", 60, 60, "/", 0, {0}},
        {"last", 99, 99, "/last", 0, {0}},
        {"2147483647", 2147483647, 0, "/", 0, {0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct account a;
        struct error err = ERROR_INIT;

        if (accounts_read(passwd, group, cases[i].who, &a, &err) < 0)
            fail_msg("%s: %s", cases[i].who, err.msg);
        if (a.uid != cases[i].uid || a.gid != cases[i].gid || strcmp(a.home, cases[i].home) != 0 ||
            a.n_groups != cases[i].n_groups)
            fail_msg("%s: %u:%u %s with %zu groups", cases[i].who, a.uid, a.gid, a.home,
                     a.n_groups);
        assert_memory_equal(a.groups, cases[i].groups, a.n_groups * sizeof(a.groups[0]));
    }
}

static void test_unknown_names_are_said(void **state)
{
    static const struct {
        const char *who;
        const char *text;
    } cases[] = {
        {"nobody", "unable to find user nobody: no matching entries in passwd file"},
        {"node:staff", "unable to find group staff: no matching entries in group file"},
        {"bad", "unable to find user bad"},
        {"neg", "unable to find user neg"},
        {"huge", "unable to find user huge"},
        {"-1", "unable to find user -1"},
        {"2147483648", "unable to find user 2147483648"},
        {"nameless", "unable to find user nameless"},
        {"node:wheel:x", "unable to find group wheel:x"},
        {" node", "unable to find user  node"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct account a = {.uid = 77};
        struct error err = ERROR_INIT;

        assert_int_equal(accounts_read(passwd, group, cases[i].who, &a, &err), -1);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_non_null(strstr(err.msg, cases[i].text));
        assert_int_equal(a.uid, 77);
    }
}

static void test_owners_are_found_as_buildkit_does(void **state)
{
    static const struct {
        const char *who;
        uint32_t uid, gid;
    } cases[] = {
        {"node", 1000, 1001}, {"1000", 1000, 1000}, {"1001", 1001, 1001}, {"node:wheel", 1000, 10},
        {"5:6", 5, 6},        {"root", 0, 0},       {"5:wheel", 5, 10},   {"node:0", 1000, 0},
    };
    static const struct {
        const char *who;
        uint32_t uid, gid;
    } unknown[] = {
        {"nobody", 0, 0}, {"node:nobody", 1000, 1001}, {"1:nobody", 1, 1}, {"nobody:wheel", 0, 10}};
    struct error err = ERROR_INIT;
    bool is_unknown;
    uint32_t uid;
    uint32_t gid;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (accounts_read_owner(passwd, group, cases[i].who, &uid, &gid, &is_unknown, &err) < 0)
            fail_msg("%s: %s", cases[i].who, err.msg);
        if (uid != cases[i].uid || gid != cases[i].gid || is_unknown)
            fail_msg("%s: %u:%u", cases[i].who, uid, gid);
    }
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        if (accounts_read_owner(passwd, group, unknown[i].who, &uid, &gid, &is_unknown, &err) < 0)
            fail_msg("%s: %s", unknown[i].who, err.msg);
        if (uid != unknown[i].uid || gid != unknown[i].gid || !is_unknown)
            fail_msg("%s: %u:%u", unknown[i].who, uid, gid);
    }
}

static void test_root_needs_no_files(void **state)
{
    struct account a;
    struct error err = ERROR_INIT;
    bool is_unknown;
    uint32_t uid = 1;
    uint32_t gid = 1;

    (void)state;
    assert_int_equal(accounts_read("", "", "root:root", &a, &err), 0);
    assert_int_equal(a.uid + a.gid, 0);
    assert_string_equal(a.home, "/");
    assert_int_equal(accounts_read("", "", "", &a, &err), 0);
    assert_int_equal(accounts_read_owner("", "", "root:root", &uid, &gid, &is_unknown, &err), 0);
    assert_int_equal(uid + gid, 0);
}

static void test_too_many_groups_are_refused(void **state)
{
    CLEANUP(buf_release) struct buf many = BUF_INIT(1 << 20);
    struct account a;
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < ACCOUNTS_GROUPS_MAX; i++)
        buf_addf(&many, "g%d:x:%d:node\n", i, 1000 - i);
    assert_int_equal(accounts_read(passwd, buf_str(&many), "node", &a, &err), 0);
    assert_int_equal(a.n_groups, ACCOUNTS_GROUPS_MAX);
    for (size_t i = 1; i < a.n_groups; i++)
        assert_true(a.groups[i - 1] < a.groups[i]);
    buf_adds(&many, "more:x:5:node\n");
    assert_int_equal(accounts_read(passwd, buf_str(&many), "node", &a, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

static void test_long_names_and_homes_do_no_harm(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf name = BUF_INIT(1 << 20);
    struct account a;
    struct error err = ERROR_INIT;

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_addc(&name, 'n');
    buf_addf(&text, "%s:x:1:1::/:\nhomely:x:2:2::/%s:\nfine:x:3:3::/fine:\n", buf_str(&name),
             buf_str(&name));
    assert_int_equal(accounts_read(buf_str(&text), "", buf_str(&name), &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_int_equal(accounts_read(buf_str(&text), "", "homely", &a, &err), -1);
    assert_int_equal(accounts_read(buf_str(&text), "", "fine", &a, &err), 0);
    assert_int_equal(a.uid, 3);
}

/* ---- the files ---- */

struct image {
    char dir[64];
    int root;
};

static int start(void **state)
{
    struct image *i = calloc(1, sizeof(*i));
    struct error err = ERROR_INIT;
    char path[128];

    assert_non_null(i);
    (void)snprintf(i->dir, sizeof(i->dir), "/var/tmp/kiln-accounts-XXXXXX");
    assert_non_null(mkdtemp(i->dir));
    (void)snprintf(path, sizeof(path), "%s/root/etc", i->dir);
    assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/secret", i->dir);
    assert_int_equal(fs_write_file(AT_FDCWD, path, "me:x:9:9::/:\n", 13, 0644, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/root", i->dir);
    assert_int_equal(fs_open_dir(AT_FDCWD, path, &i->root, &err), 0);
    *state = i;
    return 0;
}

static int stop(void **state)
{
    struct image *i = *state;
    struct error err = ERROR_INIT;
    int result = fs_remove_tree(AT_FDCWD, i->dir, &err);

    close(i->root);
    free(i);
    return result;
}

static void test_an_image_without_the_files_has_numbers_only(void **state)
{
    const struct image *i = *state;
    struct account a;
    struct error err = ERROR_INIT;

    assert_int_equal(accounts_find(i->root, "5:6", &a, &err), 0);
    assert_int_equal(a.gid, 6);
    assert_int_equal(accounts_find(i->root, "node", &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
}

static void test_links_lead_nowhere_out_of_the_image(void **state)
{
    const struct image *i = *state;
    struct account a;
    struct error err = ERROR_INIT;

    assert_int_equal(symlinkat("../../secret", i->root, "etc/passwd"), 0);
    assert_int_equal(accounts_find(i->root, "me", &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_int_equal(fs_write_file(i->root, "secret", "me:x:8:8::/:\n", 13, 0644, &err), 0);
    assert_int_equal(accounts_find(i->root, "me", &a, &err), 0);
    assert_int_equal(a.uid, 8);
}

static void test_what_is_no_file_is_refused_without_being_opened(void **state)
{
    const struct image *i = *state;
    struct account a;
    struct error err = ERROR_INIT;

    assert_int_equal(mkfifoat(i->root, "etc/passwd", 0644), 0);
    assert_int_equal(accounts_find(i->root, "me", &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_int_equal(unlinkat(i->root, "etc/passwd", 0), 0);
    assert_int_equal(symlinkat("passwd", i->root, "etc/passwd"), 0);
    assert_int_equal(accounts_find(i->root, "me", &a, &err), -1);
    assert_int_equal(err.kind, ERR_INPUT);
}

static void test_a_huge_file_is_refused(void **state)
{
    const struct image *i = *state;
    struct account a;
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = openat(i->root, "etc/group", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
    assert_int_equal(accounts_find(i->root, "5", &a, &err), -1);
    assert_int_equal(err.kind, ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users_are_found_by_name_and_number),
        cmocka_unit_test(test_unknown_names_are_said),
        cmocka_unit_test(test_owners_are_found_as_buildkit_does),
        cmocka_unit_test(test_root_needs_no_files),
        cmocka_unit_test(test_too_many_groups_are_refused),
        cmocka_unit_test(test_long_names_and_homes_do_no_harm),
        cmocka_unit_test_setup_teardown(test_an_image_without_the_files_has_numbers_only, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_links_lead_nowhere_out_of_the_image, start, stop),
        cmocka_unit_test_setup_teardown(test_what_is_no_file_is_refused_without_being_opened, start,
                                        stop),
        cmocka_unit_test_setup_teardown(test_a_huge_file_is_refused, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
