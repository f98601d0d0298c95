/* builder/cache_items — what is in a workspace's cache, and what goes first.
 *
 * It was written by jails of the workspace's builds: directories are opened without following a
 * link, and names are only ever removed.
 *
 * Builds may go on meanwhile.  They note what they use by its time, under a lock (cache_hold), and
 * what is younger than the oldest of them stays.  So a thing is looked at again when that lock is
 * held against them, and moved out of their sight; the files are removed afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/cache.h"
#include "builder/cache_keeper.h"
#include "builder/cache_measure.h"

#define BUILDS_KEPT (90 * 24 * 3600 * NS_PER_SEC) /* how long a last build is remembered */
#define PACKAGES_KEPT                                                                              \
    (24 * 3600 * NS_PER_SEC) /* how long, unused, what a base's layers say is kept */
#define LOCK_TRIES 100
#define LOCK_MS    20
#define TRASH      "trash" /* in tmp, which is swept */

/* A diff or a blob. */
struct part {
    const char *name;
    uint64_t bytes;
    size_t users; /* records that name it */
};

struct parts {
    const char *dir;
    int fd;
    struct argv names;
    struct part *v;
};

enum item_kind {
    ITEM_RECORD,
    ITEM_MOUNT,    /* a cache mount */
    ITEM_PACKAGES, /* what a layer says of packages */
    ITEM_BUILD, /* what is remembered of an image's last build, to say why steps are not cached */
};

/* What is kept or goes. */
struct item {
    const char *name; /* NULL: it has gone */
    enum item_kind kind;
    int64_t used;             /* nanoseconds since 1970 */
    uint64_t bytes;           /* its own, without the parts that it names */
    struct part *diff, *blob; /* NULL: none */
};

struct items {
    const struct builder *b;
    const char *cache;
    int64_t before; /* what was used since stays */
    int dir, records, inputs, builds, packages, mounts, tmp, trash;
    struct parts diffs, blobs;
    struct argv names[ITEM_BUILD + 1]; /* by kind */
    struct item *v;
    size_t n;
    uint64_t total;
};

static void release_parts(struct parts *p)
{
    if (p->fd >= 0)
        close(p->fd);
    argv_release(&p->names);
    free(p->v);
}

static void release(struct items *s)
{
    const int fds[] = {s->dir,      s->records, s->inputs, s->builds,
                       s->packages, s->mounts,  s->tmp,    s->trash};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    release_parts(&s->diffs);
    release_parts(&s->blobs);
    for (size_t i = 0; i <= ITEM_BUILD; i++)
        argv_release(&s->names[i]);
    free(s->v);
}

/* ---- reading ---- */

/* -1 in *ret_fd: it is not there. */
static int open_part(int dir, const char *name, int *ret_fd, struct error *err)
{
    *ret_fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "open the cache's %s", name);
    return 0;
}

static int list(int fd, struct argv *ret, struct error *err)
{
    return fd < 0 ? 0 : fs_list(fd, ".", ret, err);
}

static int read_parts(int dir, const char *name, struct parts *ret, struct error *err)
{
    ret->dir = name;
    if (open_part(dir, name, &ret->fd, err) < 0 || list(ret->fd, &ret->names, err) < 0)
        return -1;
    ret->v = calloc(ret->names.n + 1, sizeof(*ret->v));
    if (!ret->v)
        return error_set(err, ERR_SYSTEM, "look at a cache: out of memory");
    for (size_t i = 0; i < ret->names.n; i++)
        ret->v[i].name = ret->names.v[i];
    return 0;
}

static int compare_parts(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* A user more of a part that is that large; NULL: there is none of that name. */
static struct part *use_part(struct parts *p, const char *name, uint64_t bytes)
{
    const struct part key = {.name = name};
    struct part *found = NULL;

    if (*name)
        found = bsearch(&key, p->v, p->names.n, sizeof(*p->v), compare_parts);
    if (!found)
        return NULL;
    found->users++;
    if (bytes > found->bytes)
        found->bytes = bytes;
    return found;
}

static int64_t time_of(const struct stat *st)
{
    return st->st_mtim.tv_sec * NS_PER_SEC + st->st_mtim.tv_nsec;
}

static uint64_t disk_of(const struct stat *st)
{
    return (uint64_t)st->st_blocks * 512;
}

static uint64_t size_at(int dir, const char *name)
{
    struct stat st;

    return dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : disk_of(&st);
}

/* One that cannot be read has no parts, and goes in its turn. */
static void add_record(struct items *s, const char *name)
{
    struct item *item = &s->v[s->n];
    struct cache_record r = {.disk = 0};
    struct stat st;

    if (fstatat(s->records, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    *item = (struct item){
        .name = name, .used = time_of(&st), .bytes = disk_of(&st) + size_at(s->inputs, name)};
    if (S_ISREG(st.st_mode) && cache_read(s->records, name, &r)) {
        uint64_t disk = r.disk ? r.disk : r.layer.tar_size;
        const char *blob = r.has_layer && r.layer.entries ? r.layer.digest + 7 : "";

        item->diff = use_part(&s->diffs, r.diff, disk);
        item->blob = use_part(&s->blobs, blob, size_at(s->blobs.fd, blob));
    }
    s->n++;
}

static int directory_of(const struct items *s, enum item_kind kind)
{
    const int fds[] = {[ITEM_RECORD] = s->records,
                       [ITEM_MOUNT] = s->mounts,
                       [ITEM_PACKAGES] = s->packages,
                       [ITEM_BUILD] = s->builds};

    return fds[kind];
}

/* Of the other kinds. */
static void add_item(struct items *s, enum item_kind kind, const char *name)
{
    const int dir = directory_of(s, kind);
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    s->v[s->n++] = (struct item){
        .name = name, .kind = kind, .used = time_of(&st), .bytes = cache_measure(dir, name)};
}

/* What stays even of an empty cache: its directories, and the files beside it. */
static uint64_t measure_frame(const struct items *s)
{
    static const char *const beside[] = {"lock", "boot"};
    const int fds[] = {s->dir,    s->records, s->inputs,   s->builds,  s->packages,
                       s->mounts, s->tmp,     s->diffs.fd, s->blobs.fd};
    uint64_t sum = 0;

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        sum += size_at(fds[i], ".");
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        char path[PATH_MAX + 8];

        (void)snprintf(path, sizeof(path), "%s.%s", s->cache, beside[i]);
        sum += size_at(s->dir, path); /* which is absolute */
    }
    return sum;
}

static void sum_up(struct items *s)
{
    s->total = measure_frame(s);
    for (size_t i = 0; i < s->n; i++)
        s->total += s->v[i].bytes;
    for (size_t i = 0; i < s->diffs.names.n; i++)
        s->total += s->diffs.v[i].bytes;
    for (size_t i = 0; i < s->blobs.names.n; i++)
        s->total += s->blobs.v[i].bytes;
}

/* Builds hold it for a moment at a time; one that does not let go is not waited for. */
static int lock(int fd, const char *what, struct error *err)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(err, errno, "lock %s", what);
        if (i == LOCK_TRIES)
            return error_set(err, ERR_SYSTEM, "lock %s: it is held by somebody else", what);
        (void)poll(NULL, 0, LOCK_MS);
    }
    return 0;
}

/* One at a time: the directory's lock says who. */
static int open_cache(struct items *s, struct error *err)
{
    s->dir = open(s->cache, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->dir < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "open %s", s->cache);
    return lock(s->dir, s->cache, err);
}

static int add_items(struct items *s, struct error *err)
{
    size_t n = 0;

    for (size_t kind = 0; kind <= ITEM_BUILD; kind++) {
        if (list(directory_of(s, (enum item_kind)kind), &s->names[kind], err) < 0)
            return -1;
        n += s->names[kind].n;
    }
    s->v = calloc(n + 1, sizeof(*s->v));
    if (!s->v)
        return error_set(err, ERR_SYSTEM, "look at a cache: out of memory");
    for (size_t i = 0; i < s->names[ITEM_RECORD].n; i++)
        add_record(s, s->names[ITEM_RECORD].v[i]);
    for (size_t kind = ITEM_MOUNT; kind <= ITEM_BUILD; kind++)
        for (size_t i = 0; i < s->names[kind].n; i++)
            add_item(s, (enum item_kind)kind, s->names[kind].v[i]);
    return 0;
}

static int read_items(const struct builder *b, const char *cache, int64_t before, struct items *s,
                      struct error *err)
{
    s->b = b;
    s->cache = cache;
    s->before = before;
    if (open_cache(s, err) < 0)
        return -1;
    if (s->dir < 0)
        return 0;
    if (open_part(s->dir, "tmp", &s->tmp, err) < 0 ||
        open_part(s->dir, "records", &s->records, err) < 0 ||
        open_part(s->dir, "inputs", &s->inputs, err) < 0 ||
        open_part(s->dir, "builds", &s->builds, err) < 0 ||
        open_part(s->dir, "packages", &s->packages, err) < 0 ||
        open_part(s->dir, "mounts", &s->mounts, err) < 0 ||
        read_parts(s->dir, "diffs", &s->diffs, err) < 0 ||
        read_parts(s->dir, "blobs", &s->blobs, err) < 0 || add_items(s, err) < 0)
        return -1;
    sum_up(s);
    return 0;
}

#define ITEMS_INIT                                                                                 \
    {                                                                                              \
        .dir = -1, .records = -1, .inputs = -1, .builds = -1, .packages = -1, .mounts = -1,        \
        .tmp = -1, .trash = -1, .diffs = {.fd = -1}, .blobs = {.fd = -1},                          \
    }

/* ---- removing ---- */

/* What a build's other users own is removed in a jail where they are its own. */
static int remove_tree(const struct items *s, int fd, const char *dir, const char *name,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf parent = BUF_INIT(PATH_MAX + 16);

    if (s->b->ids.users != JAIL_USERS_HELPERS)
        return fs_remove_tree(fd, name, err);
    buf_addf(&parent, "%s/%s", s->cache, dir);
    return builder_remove(s->b, buf_str(&parent), name, err);
}

/* While records are held: it is gone for builds, and what it takes is to be removed. */
static int discard(struct items *s, int fd, const char *dir, const char *name, struct error *err)
{
    if (s->trash < 0 && s->tmp >= 0 && (mkdirat(s->tmp, TRASH, 0700) == 0 || errno == EEXIST))
        s->trash = openat(s->tmp, TRASH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->trash >= 0 && renameat(fd, name, s->trash, name) == 0)
        return 0;
    return remove_tree(s, fd, dir, name, err); /* such as one that another user owns */
}

static int empty_trash(struct items *s, struct error *err)
{
    return s->trash < 0 ? 0 : remove_tree(s, s->tmp, "tmp", TRASH, err);
}

/* Takes the records away from builds, until *ret_fd is closed. */
static int hold_records(const struct items *s, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (s->records < 0)
        return 0;
    if (fs_open_dir(s->records, ".", &fd, err) < 0 || lock(fd, "a cache's records", err) < 0)
        return -1;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int64_t last_change(const struct stat *st)
{
    return st->st_ctim.tv_sec * NS_PER_SEC + st->st_ctim.tv_nsec;
}

/* While records are held.  A diff that a build has just found made by another has its record by
 * now; a blob has been touched. */
static bool is_named_anew(const struct items *s, const struct parts *of, const char *name)
{
    struct stat st;

    if (s->before == INT64_MAX)
        return false;
    if (of == &s->diffs)
        return faccessat(s->records, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    return fstatat(of->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && last_change(&st) >= s->before;
}

static int discard_part(struct items *s, const struct parts *of, struct part *p, struct error *err)
{
    if (is_named_anew(s, of, p->name))
        return 0;
    if (discard(s, of->fd, of->dir, p->name, err) < 0)
        return -1;
    s->total -= p->bytes;
    p->name = NULL;
    return 0;
}

static int drop_part(struct items *s, const struct parts *of, struct part *p, struct error *err)
{
    return !p || --p->users > 0 ? 0 : discard_part(s, of, p, err);
}

/* Whether nobody has used it since it was listed. */
static bool is_old(const struct items *s, int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time_of(&st) < s->before;
}

/* Not one that somebody has locked: whoever its build belonged to. */
static int drop_mount(struct items *s, const struct item *item, struct error *err)
{
    CLEANUP_CLOSE int fd =
        openat(s->mounts, item->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if ((fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) || !is_old(s, s->mounts, item->name))
        return 0;
    if (discard(s, s->mounts, "mounts", item->name, err) < 0)
        return -1;
    s->total -= item->bytes;
    return 0;
}

static int unlink_at(int dir, const char *name, struct error *err)
{
    if (dir < 0 || unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    return error_errno(err, errno, "remove %.100s from the cache", name);
}

/* One that nobody needs, whoever misses it. */
static int drop_note(struct items *s, const struct item *item, struct error *err)
{
    const int dir = directory_of(s, item->kind);

    if (!is_old(s, dir, item->name))
        return 0;
    if (unlink_at(dir, item->name, err) < 0)
        return -1;
    s->total -= item->bytes;
    return 0;
}

/* The record first: whatever comes between, it never names what is not there. */
static int drop(struct items *s, const struct item *item, struct error *err)
{
    CLEANUP_CLOSE int hold = -1;

    if (item->kind == ITEM_MOUNT)
        return drop_mount(s, item, err);
    if (item->kind != ITEM_RECORD)
        return drop_note(s, item, err);
    if (hold_records(s, &hold, err) < 0)
        return -1;
    if (!is_old(s, s->records, item->name))
        return 0;
    if (unlink_at(s->records, item->name, err) < 0 || unlink_at(s->inputs, item->name, err) < 0)
        return -1;
    s->total -= item->bytes;
    if (drop_part(s, &s->diffs, item->diff, err) < 0)
        return -1;
    return drop_part(s, &s->blobs, item->blob, err);
}

/* Parts that no record names: a build was killed before it wrote one, or a collector after. */
static int drop_unnamed(struct items *s, struct parts *of, struct error *err)
{
    for (size_t i = 0; i < of->names.n; i++) {
        struct part *p = &of->v[i];

        if (p->name && p->users == 0 && discard_part(s, of, p, err) < 0)
            return -1;
    }
    return 0;
}

static int drop_inputs(const struct items *s, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (list(s->inputs, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if ((s->records < 0 || faccessat(s->records, names.v[i], F_OK, AT_SYMLINK_NOFOLLOW) < 0) &&
            unlink_at(s->inputs, names.v[i], err) < 0)
            return -1;
    return 0;
}

static bool is_diff(const struct items *s, const char *name)
{
    struct stat st;

    return s->diffs.fd >= 0 && fstatat(s->diffs.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Notes that nobody used for so long; those of a diff stay with it. */
static int drop_expired(struct items *s, struct error *err)
{
    const int64_t now = clock_now(&clock_system);

    for (size_t i = 0; i < s->n; i++) {
        struct item *item = &s->v[i];
        const bool expired = item->kind == ITEM_BUILD
                                 ? item->used < now - BUILDS_KEPT
                                 : item->kind == ITEM_PACKAGES &&
                                       item->used < now - PACKAGES_KEPT && !is_diff(s, item->name);

        if (!expired)
            continue;
        if (drop_note(s, item, err) < 0)
            return -1;
        item->name = NULL;
    }
    return 0;
}

/* ---- which ---- */

/* What only explains goes last: by then it is all that is left. */
static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if ((x->kind == ITEM_BUILD) != (y->kind == ITEM_BUILD))
        return x->kind == ITEM_BUILD ? 1 : -1;
    return (x->used > y->used) - (x->used < y->used);
}

static int drop_all_unnamed(struct items *s, struct error *err)
{
    CLEANUP_CLOSE int hold = -1;

    if (hold_records(s, &hold, err) < 0)
        return -1;
    if (drop_unnamed(s, &s->diffs, err) < 0 || drop_unnamed(s, &s->blobs, err) < 0 ||
        drop_inputs(s, err) < 0)
        return -1;
    return drop_expired(s, err);
}

/* Some more than has to go, so that it need not be done after each build. */
static int drop_oldest(struct items *s, uint64_t max, struct error *err)
{
    if (s->total <= max)
        return 0;
    qsort(s->v, s->n, sizeof(*s->v), compare_items);
    for (size_t i = 0; i < s->n && s->total > max - max / 10; i++)
        if (s->v[i].name && drop(s, &s->v[i], err) < 0)
            return -1;
    return 0;
}

int cache_items_trim(const struct builder *b, const char *cache, uint64_t max, int64_t before,
                     uint64_t *ret_left, struct error *err)
{
    CLEANUP(release) struct items s = ITEMS_INIT;

    if (read_items(b, cache, before, &s, err) < 0 || drop_all_unnamed(&s, err) < 0 ||
        drop_oldest(&s, max, err) < 0 || empty_trash(&s, err) < 0)
        return -1;
    *ret_left = s.total;
    return 0;
}

int cache_items_drop_since(const struct builder *b, const char *cache, int64_t since,
                           struct error *err)
{
    CLEANUP(release) struct items s = ITEMS_INIT;

    if (read_items(b, cache, INT64_MAX, &s, err) < 0)
        return -1;
    for (size_t i = 0; i < s.n; i++)
        if (s.v[i].kind == ITEM_RECORD && s.v[i].used >= since && drop(&s, &s.v[i], err) < 0)
            return -1;
    return drop_all_unnamed(&s, err) < 0 ? -1 : empty_trash(&s, err);
}
