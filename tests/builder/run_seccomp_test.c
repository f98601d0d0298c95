/* The list of system calls: what of containers-common's form applies to a RUN, and what we add. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/run_inside.h"

/* The caller releases it. */
static json_t *read_text(const char *text, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("profile", MFD_CLOEXEC);
    json_t *seccomp = NULL;
    char path[64];

    assert_int_equal(fs_write_all(fd, text, strlen(text), err), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return run_seccomp_read(path, &seccomp, err) < 0 ? NULL : seccomp;
}

/* The first rule that has the name, NULL if none has. */
static json_t *rule_for(const json_t *seccomp, const char *name)
{
    size_t i;
    size_t k;
    json_t *rule;
    json_t *word;

    json_array_foreach (json_object_get(seccomp, "syscalls"), i, rule)
        json_array_foreach (json_object_get(rule, "names"), k, word)
            if (strcmp(json_string_value(word), name) == 0)
                return rule;
    return NULL;
}

static const char *action(const json_t *rule)
{
    return json_string_value(json_object_get(rule, "action"));
}

static void test_rules_apply_by_capability_and_machine(void **state)
{
    static const char text[] =
        "{\"syscalls\":["
        "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[],\"includes\":{},"
        "\"excludes\":{}},"
        "{\"names\":[\"chroot\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"includes\":{\"caps\":[\"CAP_SYS_CHROOT\"]}},"
        "{\"names\":[\"reboot\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"includes\":{\"caps\":[\"CAP_SYS_BOOT\"]}},"
        "{\"names\":[\"both\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"includes\":{\"caps\":[\"CAP_SYS_CHROOT\",\"CAP_SYS_BOOT\"]}},"
        "{\"names\":[\"acct\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1,"
        "\"excludes\":{\"caps\":[\"CAP_SYS_PACCT\"]}},"
        "{\"names\":[\"kill\"],\"action\":\"SCMP_ACT_ERRNO\","
        "\"excludes\":{\"caps\":[\"CAP_KILL\"]}},"
        "{\"names\":[\"s390_x\"],\"action\":\"SCMP_ACT_ALLOW\","
        "\"includes\":{\"arches\":[\"s390\"]}},"
        "{\"names\":[\"here\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,\"value\":8,"
        "\"valueTwo\":0,\"op\":\"SCMP_CMP_EQ\"}],"
        "\"includes\":{\"arches\":[\"amd64\",\"arm64\"]}},"
        "{\"names\":[\"unshare\",\"mount\",\"close\",7],\"action\":\"SCMP_ACT_ALLOW\"}]}";
    struct error err = ERROR_INIT;
    json_t *s = read_text(text, &err);

    (void)state;
    assert_non_null(s);
    assert_string_equal(action(rule_for(s, "read")), "SCMP_ACT_ALLOW");
    assert_null(json_object_get(rule_for(s, "read"), "args"));
    assert_non_null(rule_for(s, "chroot"));
    assert_null(rule_for(s, "reboot"));
    assert_null(rule_for(s, "both"));
    assert_int_equal(json_integer_value(json_object_get(rule_for(s, "acct"), "errnoRet")), 1);
    assert_null(rule_for(s, "kill"));
    assert_null(rule_for(s, "s390_x"));
    assert_int_equal(json_array_size(json_object_get(rule_for(s, "here"), "args")), 1);
    assert_int_equal(json_array_size(json_object_get(rule_for(s, "close"), "names")), 1);
    assert_string_equal(json_string_value(json_object_get(s, "defaultAction")), "SCMP_ACT_ERRNO");
    json_decref(s);
}

static void test_mounts_and_namespaces_are_refused_whatever_the_list_says(void **state)
{
    static const char *const names[] = {"mount",  "unshare",        "setns",
                                        "keyctl", "io_uring_setup", "clone3"};
    struct error err = ERROR_INIT;
    json_t *s = NULL;

    (void)state;
    if (run_seccomp_read("/usr/share/containers/seccomp.json", &s, &err) < 0)
        fail_msg("%s", err.msg);
    assert_non_null(s); /* buildah's package brings it */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_string_equal(action(rule_for(s, names[i])), "SCMP_ACT_ERRNO");
    assert_int_equal(json_array_size(json_object_get(rule_for(s, "clone"), "args")), 1);
    assert_string_equal(action(rule_for(s, "openat")), "SCMP_ACT_ALLOW");
    json_decref(s);
}

static void test_without_the_file_there_is_no_filter(void **state)
{
    json_t *s = json_null();
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(run_seccomp_read("/no/such/file", &s, &err), 0);
    assert_null(s);
}

static void test_a_damaged_file_is_an_error_and_not_no_filter(void **state)
{
    static const char *const texts[] = {
        "", "{", "[]", "{}", "{\"syscalls\":1}", "{\"syscalls\":[}"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct error err = ERROR_INIT;

        assert_null(read_text(texts[i], &err));
        assert_int_equal(err.kind, ERR_SYSTEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_apply_by_capability_and_machine),
        cmocka_unit_test(test_mounts_and_namespaces_are_refused_whatever_the_list_says),
        cmocka_unit_test(test_without_the_file_there_is_no_filter),
        cmocka_unit_test(test_a_damaged_file_is_an_error_and_not_no_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
