/* builder/cgroup_find — where this machine lets us make groups.
 *
 * /proc/self/cgroup names our group in each hierarchy ("4:memory:/a/b", "0::/a/b" in version 2);
 * /proc/self/mountinfo says where each hierarchy is mounted.  Having the path proves nothing: a
 * container often has it read-only, an ordinary user owns it only when it was delegated.  So a
 * group is made there, looked at and removed. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "builder/cgroup_file.h"

#define PROC_MAX (4 << 20) /* bytes of mountinfo: builds of others may have many mounts */

static const char *const controller_names[CGROUP_CONTROLLERS] = {"memory", "pids", "cpu"};

/* Whether word is among those of a list with commas or blanks between them. */
static bool list_has(const char *list, const char *word)
{
    const size_t n = strlen(word);

    while (*list) {
        const size_t len = strcspn(list, ", \n");

        if (len == n && strncmp(list, word, n) == 0)
            return true;
        list += len + (list[len] != '\0');
    }
    return false;
}

/* ---- reading the two files ---- */

/* Our path in the hierarchy that has controller (NULL: version 2's). */
static bool own_path(const char *text, const char *controller, char ret[PATH_MAX])
{
    while (*text) {
        const size_t len = strcspn(text, "\n");
        const char *list = memchr(text, ':', len);
        const char *path = list ? memchr(list + 1, ':', len - (size_t)(list + 1 - text)) : NULL;
        char names[256];

        if (path) {
            (void)snprintf(names, sizeof(names), "%.*s", (int)(path - list - 1), list + 1);
            if (controller ? list_has(names, controller) : !names[0])
                return snprintf(ret, PATH_MAX, "%.*s", (int)(len - (size_t)(path + 1 - text)),
                                path + 1) < PATH_MAX;
        }
        text += len + (text[len] == '\n');
    }
    return false;
}

struct mount_line {
    char root[PATH_MAX]; /* the part of the hierarchy that is mounted */
    char at[PATH_MAX];
    char type[32];
    char options[512]; /* of the filesystem */
};

/* proc_pid_mountinfo(5).  Lines that do not fit are of no interest to us. */
static bool parse_mount(const char *line, struct mount_line *ret)
{
    const char *dash = strstr(line, " - ");

    return dash && sscanf(line, "%*s %*s %*s %4095s %4095s", ret->root, ret->at) == 2 &&
           sscanf(dash, " - %31s %*s %511s", ret->type, ret->options) == 2;
}

/* The directory of our own group, or the top of what is mounted when that cannot be told. */
static bool own_dir(const char *own_cgroup, const char *mounts, const char *controller,
                    char ret[PATH_MAX])
{
    CLEANUP_FREE char *copy = strdup(mounts);
    CLEANUP_FREE struct mount_line *m = malloc(sizeof(*m));
    char path[PATH_MAX];
    char *rest = copy;

    if (!copy || !m)
        return false;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        size_t n;

        if (!parse_mount(line, m) || strcmp(m->type, controller ? "cgroup" : "cgroup2") != 0 ||
            (controller && !list_has(m->options, controller)))
            continue;
        n = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
        if (own_path(own_cgroup, controller, path) && strncmp(path, m->root, n) == 0 &&
            snprintf(ret, PATH_MAX, "%s%s", m->at, path + n) < PATH_MAX && access(ret, F_OK) == 0) {
            while (text_ends(ret, "/"))
                ret[strlen(ret) - 1] = '\0';
            return true;
        }
        return snprintf(ret, PATH_MAX, "%s", m->at) < PATH_MAX;
    }
    return false;
}

/* ---- trying ---- */

/* Whether a group made in parent has the controller. */
static int try_parent(const char *parent, bool unified, enum cgroup_controller c, struct error *err)
{
    char dir[PATH_MAX];
    char name[32] = "kiln-try-";
    int result = 0;

    digest_random_name(name + 9, 12);
    if (snprintf(dir, sizeof(dir), "%s/%s", parent, name) >= (int)sizeof(dir))
        return error_set(err, ERR_SYSTEM, "make a control group: path too long");
    if (mkdir(dir, 0755) < 0)
        return error_errno(err, errno, "make a control group in %s", parent);
    if (!cgroup_has(dir, cgroup_limit_file(unified, c)))
        result = error_set(err, ERR_SYSTEM, "groups in %s have no %s", parent,
                           cgroup_limit_file(unified, c));
    (void)rmdir(dir);
    return result;
}

static bool take(struct cgroup_site *s, enum cgroup_controller c, const char *parent)
{
    s->why[c] = (struct error)ERROR_INIT;
    if (try_parent(parent, s->unified, c, &s->why[c]) < 0)
        return false;
    s->parents[c] = strdup(parent);
    return s->parents[c] != NULL;
}

/* ---- version 2 ---- */

/* A group whose children have controllers must hold no process itself, so ours goes one deeper. */
static int step_aside(const char *own, struct error *err)
{
    char leaf[PATH_MAX];
    char pid[16];

    if (snprintf(leaf, sizeof(leaf), "%s/kiln-self", own) >= (int)sizeof(leaf))
        return error_set(err, ERR_SYSTEM, "make a control group: path too long");
    if (mkdir(leaf, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make a control group in %s", own);
    (void)snprintf(pid, sizeof(pid), "%d", getpid());
    return cgroup_write(leaf, "cgroup.procs", pid, err);
}

static void enable(const char *own, const char *available)
{
    struct error ignored = ERROR_INIT;

    for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
        char word[16];

        (void)snprintf(word, sizeof(word), "+%s", controller_names[c]);
        if (list_has(available, controller_names[c]) &&
            cgroup_write(own, "cgroup.subtree_control", word, &ignored) < 0 &&
            step_aside(own, &ignored) == 0)
            (void)!cgroup_write(own, "cgroup.subtree_control", word, &ignored);
    }
}

/* A process that stepped aside before finds itself in the leaf. */
static void find_unified(struct cgroup_site *s, char *own)
{
    CLEANUP(buf_release) struct buf available = BUF_INIT(4096);

    if (text_ends(own, "/kiln-self"))
        own[strlen(own) - strlen("/kiln-self")] = '\0';
    if (!cgroup_read(own, "cgroup.controllers", &available))
        return;
    s->unified = true;
    for (int c = 0; c < CGROUP_CONTROLLERS; c++)
        if (list_has(buf_str(&available), controller_names[c])) {
            enable(own, buf_str(&available));
            break;
        }
    for (int c = 0; c < CGROUP_CONTROLLERS; c++)
        (void)take(s, (enum cgroup_controller)c, own);
}

/* ---- both ---- */

static bool read_proc(const char *path, struct buf *out)
{
    struct error ignored = ERROR_INIT;

    return fs_read_file(AT_FDCWD, path, out, &ignored) == 0;
}

static void find_in(const char *groups, const char *mounts, struct cgroup_site *s)
{
    char dir[PATH_MAX];
    bool any = false;

    for (int c = 0; c < CGROUP_CONTROLLERS; c++)
        if (own_dir(groups, mounts, controller_names[c], dir)) {
            any = true;
            (void)take(s, (enum cgroup_controller)c, dir);
        }
    if (!any && own_dir(groups, mounts, NULL, dir))
        find_unified(s, dir);
}

void cgroup_find(const char *own_cgroup, const char *mountinfo, struct cgroup_site *ret)
{
    CLEANUP(buf_release) struct buf groups = BUF_INIT(PROC_MAX);
    CLEANUP(buf_release) struct buf mounts = BUF_INIT(PROC_MAX);
    struct cgroup_site s = {.unified = false};

    for (int c = 0; c < CGROUP_CONTROLLERS; c++)
        error_set(&s.why[c], ERR_SYSTEM, "no control groups for %s are mounted",
                  controller_names[c]);
    if (read_proc(own_cgroup, &groups) && read_proc(mountinfo, &mounts))
        find_in(buf_str(&groups), buf_str(&mounts), &s);
    *ret = s;
}

void cgroup_site_release(struct cgroup_site *s)
{
    for (int c = 0; c < CGROUP_CONTROLLERS; c++)
        free(s->parents[c]);
    *s = (struct cgroup_site){.unified = false};
}
