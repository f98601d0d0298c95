/* builder/run_seccomp — which system calls a command may make.
 *
 * containers-common brings the list (seccomp.json): rules that apply or not by capability and
 * machine.  Those that apply to a RUN are kept.  The list lets everybody make user namespaces and
 * mount in them, because podman is meant to run in podman; Docker's and BuildKit's do not, and
 * here neither do we: in a namespace of one's own most of the kernel is open to attack. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/run_inside.h"

#define PROFILE_MAX (1 << 20)

/* As Go calls this machine in rules, and libseccomp in the OCI's list of architectures. */
#if defined(__x86_64__)
static const char *const go_arches[] = {"amd64", "x86", "x32", NULL};
static const char *const scmp_arches[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
                                          NULL};
#elif defined(__aarch64__)
static const char *const go_arches[] = {"arm64", "arm", NULL};
static const char *const scmp_arches[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL};
#else
#error "name this machine's architectures"
#endif

/* What Docker's list gives to CAP_SYS_ADMIN or to nobody. */
static const char *const refused[] = {"add_key",
                                      "clone",
                                      "clone3",
                                      "fsconfig",
                                      "fsmount",
                                      "fsopen",
                                      "fspick",
                                      "keyctl",
                                      "mount",
                                      "open_tree",
                                      "mount_setattr",
                                      "move_mount",
                                      "pivot_root",
                                      "request_key",
                                      "setns",
                                      "umount",
                                      "umount2",
                                      "unshare",
                                      "io_uring_enter",
                                      "io_uring_setup",
                                      "io_uring_register",
                                      NULL};

/* clone(2) without CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; clone3 hides
 * its flags from a filter, so it is not there (ENOSYS), and C libraries fall back. */
#define NEW_NAMESPACES 0x7e020000
#define EPERM_NUMBER   1
#define ENOSYS_NUMBER  38

static bool any_among(const json_t *list, const char *const *words)
{
    size_t i;
    const json_t *word;

    json_array_foreach (list, i, word)
        if (json_is_string(word) && text_is_among(json_string_value(word), words))
            return true;
    return false;
}

static bool all_among(const json_t *list, const char *const *words)
{
    size_t i;
    const json_t *word;

    json_array_foreach (list, i, word)
        if (!json_is_string(word) || !text_is_among(json_string_value(word), words))
            return false;
    return true;
}

static bool applies(const json_t *rule)
{
    const json_t *includes = json_object_get(rule, "includes");
    const json_t *excludes = json_object_get(rule, "excludes");
    const json_t *arches = json_object_get(includes, "arches");

    return all_among(json_object_get(includes, "caps"), run_capabilities) &&
           (json_array_size(arches) == 0 || any_among(arches, go_arches)) &&
           !any_among(json_object_get(excludes, "caps"), run_capabilities) &&
           !any_among(json_object_get(excludes, "arches"), go_arches);
}

/* The rule without the names that are refused; NULL when nothing is left of it. */
static json_t *keep_rule(const json_t *rule)
{
    json_t *names = json_array();
    const json_t *args = json_object_get(rule, "args");
    const json_t *errno_ret = json_object_get(rule, "errnoRet");
    json_t *kept;
    json_t *name;
    size_t i;

    json_array_foreach (json_object_get(rule, "names"), i, name)
        if (json_is_string(name) && !text_is_among(json_string_value(name), refused))
            json_array_append(names, name);
    if (json_array_size(names) == 0) {
        json_decref(names);
        return NULL;
    }
    kept = json_pack("{s:o, s:O}", "names", names, "action", json_object_get(rule, "action"));
    if (json_array_size(args) > 0)
        json_object_set(kept, "args", (json_t *)args);
    if (json_is_integer(errno_ret))
        json_object_set(kept, "errnoRet", (json_t *)errno_ret);
    return kept;
}

static json_t *words_of(const char *const *words)
{
    json_t *list = json_array();

    for (; *words; words++)
        json_array_append_new(list, json_string(*words));
    return list;
}

static void add_own_rules(json_t *rules)
{
    json_t *names = json_array();

    json_array_append_new(rules, json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names",
                                           "clone", "action", "SCMP_ACT_ALLOW", "args", "index", 0,
                                           "value", (json_int_t)NEW_NAMESPACES, "valueTwo",
                                           (json_int_t)0, "op", "SCMP_CMP_MASKED_EQ"));
    json_array_append_new(rules, json_pack("{s:[s], s:s, s:i}", "names", "clone3", "action",
                                           "SCMP_ACT_ERRNO", "errnoRet", ENOSYS_NUMBER));
    for (const char *const *name = refused; *name; name++)
        if (!text_starts(*name, "clone"))
            json_array_append_new(names, json_string(*name));
    json_array_append_new(rules, json_pack("{s:o, s:s, s:i}", "names", names, "action",
                                           "SCMP_ACT_ERRNO", "errnoRet", EPERM_NUMBER));
}

static json_t *translate(const json_t *profile)
{
    json_t *rules = json_array();
    const json_t *rule;
    size_t i;

    json_array_foreach (json_object_get(profile, "syscalls"), i, rule) {
        json_t *kept = applies(rule) ? keep_rule(rule) : NULL;

        if (kept)
            json_array_append_new(rules, kept);
    }
    add_own_rules(rules);
    return json_pack("{s:s, s:i, s:o, s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet",
                     ENOSYS_NUMBER, "architectures", words_of(scmp_arches), "syscalls", rules);
}

int run_seccomp_read(const char *path, json_t **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PROFILE_MAX);
    json_t *profile;
    json_error_t problem;
    json_t *seccomp;

    if (access(path, F_OK) < 0 && errno == ENOENT) {
        *ret = NULL;
        return 0;
    }
    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    profile = json_loadb(buf_str(&text), text.len, 0, &problem);
    if (!json_is_array(json_object_get(profile, "syscalls"))) {
        json_decref(profile);
        return error_set(err, ERR_SYSTEM, "read %s: it is no list of system calls", path);
    }
    seccomp = translate(profile);
    json_decref(profile);
    if (!seccomp)
        return error_set(err, ERR_SYSTEM, "read %s: out of memory", path);
    *ret = seccomp;
    return 0;
}
