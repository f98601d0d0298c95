/* builder/accounts — see the header.
 *
 * The rules are those of moby/sys/user, which runc and BuildKit share: the first line whose name or
 * number is the one asked for wins, and a number is looked for as a name, too. */
#include "builder/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/text.h"

#define ID_MAX   2147483647u /* of moby/sys/user */
#define FIELDS   7           /* of passwd(5); group(5) has 4 */
#define FILE_MAX (4 << 20)   /* bytes of /etc/passwd and of /etc/group */

/* ---- lines ---- */

struct line {
    char *fields[FIELDS]; /* "" where there are fewer */
    size_t n;
};

/* Splits text (changed) at colons; what is past the last field stays in it. */
static void split(char *text, struct line *ret)
{
    static char empty[] = "";

    ret->n = 0;
    for (size_t i = 0; i < FIELDS; i++)
        ret->fields[i] = empty;
    while (text && ret->n < FIELDS)
        ret->fields[ret->n++] = strsep(&text, ":");
}

/* Calls see with every line until it returns true. */
static int each_line(const char *file, bool (*see)(void *self, const struct line *l), void *self,
                     struct error *err)
{
    CLEANUP_FREE char *copy = strdup(file);
    char *rest = copy;
    char *text;
    struct line l;

    if (!copy)
        return error_set(err, ERR_SYSTEM, "look up a user: out of memory");
    while ((text = strsep(&rest, "\n"))) {
        text += strspn(text, " \t\r");
        if (!*text)
            continue;
        split(text, &l);
        if (see(self, &l))
            break;
    }
    return 0;
}

static bool to_id(const char *text, uint32_t *ret)
{
    uint64_t v;

    if (!text_to_u64(text, ID_MAX, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* ---- looking ---- */

/* Whom we look for, and what was found. */
struct search {
    bool may_be_unknown; /* a name that is not there is no error */
    bool unknown;
    const char *name; /* "": only the number counts */
    bool by_id;
    uint32_t id;
    bool found;
    char user[256]; /* the name in the line that was found */
    struct account account;
    bool too_many;
};

static bool is_sought(const struct search *s, const char *name, uint32_t id)
{
    return (*s->name && strcmp(name, s->name) == 0) || (s->by_id && id == s->id);
}

static bool see_user(void *self, const struct line *l)
{
    struct search *s = self;
    struct account *a = &s->account;
    const char *home = l->fields[5];
    uint32_t uid;
    uint32_t gid;

    if (!to_id(l->fields[2], &uid) || !to_id(l->fields[3], &gid) ||
        !is_sought(s, l->fields[0], uid) || strlen(l->fields[0]) >= sizeof(s->user) ||
        strlen(home) >= sizeof(a->home))
        return false;
    a->uid = uid;
    a->gid = gid;
    (void)snprintf(a->home, sizeof(a->home), "%s", *home ? home : "/");
    (void)snprintf(s->user, sizeof(s->user), "%s", l->fields[0]);
    s->found = true;
    return true;
}

static bool see_group(void *self, const struct line *l)
{
    struct search *s = self;
    uint32_t gid;

    if (!to_id(l->fields[2], &gid) || !is_sought(s, l->fields[0], gid))
        return false;
    s->account.gid = gid;
    s->found = true;
    return true;
}

static bool is_member(char *list, const char *name)
{
    char *member;

    while ((member = strsep(&list, ",")))
        if (strcmp(member, name) == 0)
            return true;
    return false;
}

static bool has_group(const struct account *a, uint32_t gid)
{
    for (size_t i = 0; i < a->n_groups; i++)
        if (a->groups[i] == gid)
            return true;
    return false;
}

static bool see_membership(void *self, const struct line *l)
{
    struct search *s = self;
    uint32_t gid;

    if (!to_id(l->fields[2], &gid) || !is_member(l->fields[3], s->user) ||
        has_group(&s->account, gid))
        return false;
    s->too_many = s->account.n_groups == ACCOUNTS_GROUPS_MAX;
    if (!s->too_many)
        s->account.groups[s->account.n_groups++] = gid;
    return s->too_many;
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* ---- who is meant ---- */

/* "user:group" in two; group is NULL when there is no colon or nothing after it. */
static int split_who(const char *who, char user[256], char group[256], const char **ret_group,
                     struct error *err)
{
    size_t len = strcspn(who, ":");
    const char *after = who[len] ? who + len + 1 : "";

    if (len >= 256 || strlen(after) >= 256)
        return error_set(err, ERR_INPUT, "look up a user: its name is longer than 255 bytes");
    (void)snprintf(user, 256, "%.*s", (int)len, who);
    (void)snprintf(group, 256, "%s", after);
    *ret_group = *group ? group : NULL;
    return 0;
}

/* Root is 0 even in an image without a passwd file. */
static void seek(const char *name, struct search *s)
{
    s->name = name;
    s->found = false;
    s->by_id = to_id(name, &s->id);
    if (!*name) {
        s->by_id = true;
        s->id = 0;
    }
}

static int take_unknown(struct search *s, const char *what, const char *name, const char *file,
                        struct error *err)
{
    s->unknown = true;
    return s->may_be_unknown
               ? 0
               : error_set(err, ERR_INPUT, "unable to find %s %s: no matching entries in %s file",
                           what, name, file);
}

static int find_user(const char *passwd, const char *name, struct search *s, struct error *err)
{
    seek(name, s);
    if (each_line(passwd, see_user, s, err) < 0)
        return -1;
    if (s->found)
        return 0;
    if (!s->by_id && strcmp(name, "root") != 0)
        return take_unknown(s, "user", name, "passwd", err);
    s->account = (struct account){.uid = s->by_id ? s->id : 0, .home = "/"};
    return 0;
}

static int find_group(const char *text, const char *name, struct search *s, struct error *err)
{
    seek(name, s);
    if (each_line(text, see_group, s, err) < 0)
        return -1;
    if (s->found)
        return 0;
    if (!s->by_id && strcmp(name, "root") != 0)
        return take_unknown(s, "group", name, "group", err);
    s->account.gid = s->by_id ? s->id : 0;
    return 0;
}

int accounts_read(const char *passwd, const char *group, const char *who, struct account *ret,
                  struct error *err)
{
    char user[256];
    char text[256];
    const char *group_name;
    struct search s = {.account = {.home = "/"}};

    if (split_who(who, user, text, &group_name, err) < 0 || find_user(passwd, user, &s, err) < 0)
        return -1;
    if (group_name) {
        if (find_group(group, group_name, &s, err) < 0)
            return -1;
    } else if (s.user[0]) {
        if (each_line(group, see_membership, &s, err) < 0)
            return -1;
        if (s.too_many)
            return error_set(err, ERR_LIMIT, "look up user %s: it is in more than %d groups", user,
                             ACCOUNTS_GROUPS_MAX);
        qsort(s.account.groups, s.account.n_groups, sizeof(s.account.groups[0]), compare_ids);
    }
    *ret = s.account;
    return 0;
}

int accounts_read_owner(const char *passwd, const char *group, const char *who, uint32_t *ret_uid,
                        uint32_t *ret_gid, bool *ret_unknown, struct error *err)
{
    char user[256];
    char text[256];
    const char *group_name;
    uint32_t number;
    struct search s = {.account = {.home = "/"}, .may_be_unknown = true};

    if (split_who(who, user, text, &group_name, err) < 0)
        return -1;
    if (to_id(user, &number))
        s.account.uid = s.account.gid = number; /* BuildKit does not look a number up here */
    else if (find_user(passwd, user, &s, err) < 0)
        return -1;
    if (group_name && find_group(group, group_name, &s, err) < 0)
        return -1;
    *ret_uid = s.account.uid;
    *ret_gid = s.account.gid;
    *ret_unknown = s.unknown;
    return 0;
}

/* ---- the image's files ---- */

static int open_below(int root, const char *path, int flags)
{
    const struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* An absent file is an empty one.  It is looked at before it is opened: a device or a pipe can do
 * things when it is opened. */
static int read_below(int root, const char *path, struct buf *out, struct error *err)
{
    CLEANUP_CLOSE int look = open_below(root, path, O_PATH);
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (look < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (look < 0)
        return error_set(err, errno == ELOOP ? ERR_INPUT : ERR_SYSTEM, "open the image's /%s: %s",
                         path, strerrordesc_np(errno));
    if (fstat(look, &st) < 0)
        return error_errno(err, errno, "look at the image's /%s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INPUT, "read the image's /%s: it is not a file", path);
    fd = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_errno(err, errno, "open the image's /%s", path);
    if (fs_read_fd(fd, out, err) < 0)
        return error_wrap(err, "read the image's /%s", path);
    return 0;
}

static int read_files(int root, struct buf *passwd, struct buf *group, struct error *err)
{
    if (root == -1)
        return 0;
    if (read_below(root, "etc/passwd", passwd, err) < 0)
        return -1;
    return read_below(root, "etc/group", group, err);
}

int accounts_find(int root, const char *who, struct account *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf passwd = BUF_INIT(FILE_MAX);
    CLEANUP(buf_release) struct buf group = BUF_INIT(FILE_MAX);

    if (read_files(root, &passwd, &group, err) < 0)
        return -1;
    return accounts_read(buf_str(&passwd), buf_str(&group), who, ret, err);
}

int accounts_find_owner(int root, const char *who, uint32_t *ret_uid, uint32_t *ret_gid,
                        bool *ret_unknown, struct error *err)
{
    CLEANUP(buf_release) struct buf passwd = BUF_INIT(FILE_MAX);
    CLEANUP(buf_release) struct buf group = BUF_INIT(FILE_MAX);

    if (read_files(root, &passwd, &group, err) < 0)
        return -1;
    return accounts_read_owner(buf_str(&passwd), buf_str(&group), who, ret_uid, ret_gid,
                               ret_unknown, err);
}
