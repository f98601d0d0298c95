/* builder/jail_ids — which host ids a jail's ids are, and telling the kernel so.
 *
 * user_namespaces(7): a process with CAP_SETUID in the parent namespace may write any mapping at
 * once; an ordinary user's goes through newuidmap(1), which allows what /etc/subuid grants. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/jail_inside.h"

struct jail_ids jail_ids_for_root(enum jail_users users, uint32_t uid_base)
{
    uint32_t base = users == JAIL_USERS_NONE ? 0 : uid_base;

    return (struct jail_ids){users, base, base + 1, base, base + 1};
}

/* The owner field of a subid line is a login name or a number. */
static bool is_ours(const char *owner, const char *login)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%u", getuid());
    return strcmp(owner, number) == 0 || (login && strcmp(owner, login) == 0);
}

/* One line "owner:first:count" (subuid(5)). */
static bool parse_line(char *line, const char *login, uint32_t *ret_first)
{
    char *rest = line;
    const char *owner = strsep(&rest, ":");
    const char *first = strsep(&rest, ":");
    const char *count = strsep(&rest, ":");
    uint64_t from;
    uint64_t n;

    if (!first || !count || !is_ours(owner, login))
        return false;
    if (!text_to_u64(first, UINT32_MAX, &from) || !text_to_u64(count, UINT32_MAX, &n))
        return false;
    if (n < JAIL_IDS - 1 || from == 0 || from + JAIL_IDS > UINT32_MAX)
        return false;
    *ret_first = (uint32_t)from;
    return true;
}

static int find_range(const char *path, const char *login, uint32_t *ret_first, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    char *rest;

    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return error_wrap(err, "find subordinate ids");
    rest = text.data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (parse_line(line, login, ret_first))
            return 0;
    return error_set(err, ERR_SYSTEM,
                     "find subordinate ids: %s has no range of %d for user %s (%u); add a line "
                     "\"%s:100000:65536\"",
                     path, JAIL_IDS - 1, login ? login : "", getuid(), login ? login : "USER");
}

int jail_ids_for_user(const char *subuid, const char *subgid, struct jail_ids *ret,
                      struct error *err)
{
    struct jail_ids ids = {.users = JAIL_USERS_HELPERS, .root_uid = getuid(), .root_gid = getgid()};
    CLEANUP(buf_release) struct buf login = BUF_INIT(256);
    char scratch[4096];
    struct passwd entry;
    struct passwd *found = NULL;

    if (getpwuid_r(getuid(), &entry, scratch, sizeof(scratch), &found) == 0 && found)
        buf_adds(&login, found->pw_name);
    if (find_range(subuid, found ? buf_str(&login) : NULL, &ids.first_uid, err) < 0 ||
        find_range(subgid, found ? buf_str(&login) : NULL, &ids.first_gid, err) < 0)
        return -1;
    *ret = ids;
    return 0;
}

/* ---- the kernel's side ---- */

static int write_map(pid_t pid, const char *file, uint32_t root, uint32_t first, struct error *err)
{
    char path[64];
    char text[96];
    CLEANUP_CLOSE int fd = -1;
    int len = snprintf(text, sizeof(text), "0 %u 1\n1 %u %d\n", root, first, JAIL_IDS - 1);

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    if (write(fd, text, (size_t)len) != len)
        return error_errno(err, errno, "write %s", path);
    return 0;
}

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_add(self, text, len);
    buf_addc(self, ' ');
}

static int run_helper(const char *helper, pid_t pid, uint32_t root, uint32_t first,
                      struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(buf_release) struct buf said = BUF_INIT(512);
    const struct process_sink sink = {keep_line, &said};
    const struct process_request req = {
        .argv = &argv, .stdin_fd = -1, .timeout_ms = 10000, .sink = &sink};
    struct process_end end;

    argv_push(&argv, helper, NULL);
    argv_pushf(&argv, "%d", pid);
    argv_push(&argv, "0", NULL);
    argv_pushf(&argv, "%u", root);
    argv_push(&argv, "1", "1", NULL);
    argv_pushf(&argv, "%u", first);
    argv_pushf(&argv, "%d", JAIL_IDS - 1);
    if (process_run(&req, &end, err) < 0)
        return -1;
    if (!process_succeeded(&end)) {
        char how[PROCESS_TEXT];

        process_describe(&end, how);
        return error_set(err, ERR_SYSTEM, "%s %s: %s", helper, how, buf_str(&said));
    }
    return 0;
}

int jail_ids_map(const struct jail_ids *ids, pid_t pid, struct error *err)
{
    switch (ids->users) {
    case JAIL_USERS_NONE:
        return 0;
    case JAIL_USERS_DIRECT:
        if (write_map(pid, "gid_map", ids->root_gid, ids->first_gid, err) < 0)
            return -1;
        return write_map(pid, "uid_map", ids->root_uid, ids->first_uid, err);
    case JAIL_USERS_HELPERS:
        if (run_helper("newgidmap", pid, ids->root_gid, ids->first_gid, err) < 0)
            return -1;
        return run_helper("newuidmap", pid, ids->root_uid, ids->first_uid, err);
    }
    abort();
}
