/* builder/stack — see the header.
 *
 * The names of lower directories must fit into one page, so each directory that is ever one gets a
 * short name, a symlink in /run/l. */
#include "builder/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"

#define NAMES   "/run/l"
#define VIEWS   "/run/v"
#define PAGE    4096
#define NOTHING NAMES "/none" /* the lower directory of a tree that has none */
/* volatile: a diff that a crash of the machine left is never used (cache_power.c) */
#define OPTIONS ",metacopy=off,index=off,volatile"

static atomic_uint n_names;
static atomic_uint n_views;

void stack_path(unsigned number, char ret[STACK_PATH])
{
    (void)snprintf(ret, STACK_PATH, NAMES "/%u", number);
}

static int name_directory(const char *path, unsigned *ret, struct error *err)
{
    char link[STACK_PATH];

    *ret = atomic_fetch_add(&n_names, 1);
    stack_path(*ret, link);
    if (mkdir(NAMES, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "make " NAMES);
    if (symlink(path, link) < 0)
        return error_errno(err, errno, "name %s", path);
    return 0;
}

void stack_release(struct stack *t)
{
    free(t->lowers);
    *t = (struct stack){.n = 0};
}

static int reserve(struct stack *t, struct error *err)
{
    if (t->lowers)
        return 0;
    t->lowers = malloc(STACK_MAX * sizeof(*t->lowers));
    return t->lowers ? 0 : error_set(err, ERR_SYSTEM, "stack layers: out of memory");
}

int stack_copy(const struct stack *from, struct stack *ret, struct error *err)
{
    *ret = (struct stack){.n = 0};
    if (reserve(ret, err) < 0)
        return -1;
    if (from->n)
        memcpy(ret->lowers, from->lowers, from->n * sizeof(*ret->lowers));
    ret->n = from->n;
    return 0;
}

int stack_add(struct stack *t, const char *path, struct error *err)
{
    if (reserve(t, err) < 0)
        return -1;
    if (t->n == STACK_MAX)
        return error_set(err, ERR_LIMIT, "more than %d layers over one another", STACK_MAX);
    if (name_directory(path, &t->lowers[t->n], err) < 0)
        return -1;
    t->n++;
    return 0;
}

/* "lowerdir=/run/l/2:/run/l/1": the highest first. */
static int add_lowers(const struct stack *t, struct buf *out, struct error *err)
{
    if (t->n == 0) {
        if ((mkdir(NAMES, 0700) < 0 && errno != EEXIST) ||
            (mkdir(NOTHING, 0755) < 0 && errno != EEXIST))
            return error_errno(err, errno, "make " NOTHING);
        buf_adds(out, "lowerdir=" NOTHING);
    }
    for (size_t i = t->n; i-- > 0;)
        buf_addf(out, "%s" NAMES "/%u", i + 1 == t->n ? "lowerdir=" : ":", t->lowers[i]);
    return buf_check(out, "the list of an overlay's layers", err);
}

static int mount_overlay(const char *at, unsigned long flags, const struct buf *options,
                         struct error *err)
{
    if (buf_check(options, "the list of an overlay's layers", err) < 0)
        return -1;
    if (mount("overlay", at, "overlay", flags, buf_str(options)) < 0)
        return error_errno(err, errno, "mount an overlay at %s", at);
    return 0;
}

static int view_one(const struct stack *t, struct stack_view *ret, struct error *err)
{
    char path[STACK_PATH];

    stack_path(t->lowers[0], path);
    ret->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ret->fd < 0 ? error_errno(err, errno, "open a layer") : 0;
}

static int make_mount_point(struct stack_view *v, struct error *err)
{
    (void)snprintf(v->at, sizeof(v->at), VIEWS "/%u", atomic_fetch_add(&n_views, 1));
    if ((mkdir(VIEWS, 0700) < 0 && errno != EEXIST) || mkdir(v->at, 0700) < 0)
        return error_errno(err, errno, "make %s", v->at);
    return 0;
}

int stack_view(const struct stack *t, bool userxattr, struct stack_view *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf options = BUF_INIT(PAGE - 1);

    *ret = (struct stack_view){.fd = -1};
    if (t->n == 0)
        return 0;
    if (t->n == 1)
        return view_one(t, ret, err);
    if (add_lowers(t, &options, err) < 0 || make_mount_point(ret, err) < 0)
        return -1;
    buf_adds(&options, userxattr ? ",userxattr" : "");
    if (mount_overlay(ret->at, MS_RDONLY | MS_NODEV, &options, err) < 0) {
        ret->at[0] = '\0';
        return -1;
    }
    ret->fd = open(ret->at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret->fd >= 0)
        return 0;
    (void)error_errno(err, errno, "open %s", ret->at);
    stack_view_release(ret);
    return -1;
}

void stack_view_release(struct stack_view *v)
{
    if (v->fd >= 0)
        close(v->fd);
    if (v->at[0])
        (void)umount2(v->at, MNT_DETACH);
    *v = (struct stack_view){.fd = -1};
}

int stack_mount(const struct stack *t, bool userxattr, const char *upper, const char *work,
                const char *at, struct error *err)
{
    CLEANUP(buf_release) struct buf options = BUF_INIT(PAGE - 1);

    if (add_lowers(t, &options, err) < 0)
        return -1;
    /* userxattr comes with redirect_dir=nofollow and takes no other */
    buf_addf(&options, ",upperdir=%s,workdir=%s" OPTIONS "%s", upper, work,
             userxattr ? ",userxattr" : ",redirect_dir=off");
    return mount_overlay(at, MS_NODEV, &options, err);
}
