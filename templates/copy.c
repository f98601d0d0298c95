/* templates/copy — a copy of a store, taken beside those who pack and collect.
 *
 * Packs never change, so it is enough that none goes before it was copied: a session that names all
 * of them sees to that, as it does for packers.  What is small is copied with the lock, and so are
 * the revisions: they need no pack that came after it was taken. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "templates/store.h"

#define SETTING_MAX 4096
#define SMALL_MAX   (64 << 20) /* revisions list nodes, a hundred of them for a terabyte */

struct copy {
    struct template_store *store;
    const struct template_taker *taker;
    struct argv packs;
};

static const struct {
    enum storage_area area;
    const char *name;
} small_areas[] = {{AREA_TEMPLATES, "templates"},
                   {AREA_HOLDS, "holds"},
                   {AREA_REVISIONS, "revisions"},
                   {AREA_CONDEMNED, "condemned"}};

static int take(struct copy *c, const char *area, const char *name, int fd, struct error *err)
{
    char path[300];

    if (snprintf(path, sizeof(path), "%s%s%s", area, *area ? "/" : "", name) >= (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "%s: a name that is too long", area);
    return c->taker->file(c->taker->self, path, fd, strcmp(area, "packs") == 0, err);
}

static int take_file(struct copy *c, enum storage_area area, const char *folder, const char *name,
                     struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (storage_open(c->store->storage, area, name, &fd, err) < 0)
        return -1;
    return fd < 0 ? 0 : take(c, folder, name, fd, err);
}

static int take_setting(struct copy *c, const char *name, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SETTING_MAX);
    CLEANUP_CLOSE int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "make a file in memory");
    if (storage_get_setting(c->store->storage, name, &text, err) < 0 ||
        fs_write_all(fd, buf_str(&text), text.len, err) < 0)
        return -1;
    return take(c, "", name, fd, err);
}

/* With the lock. */
static int take_small(struct copy *c, struct error *err)
{
    if (take_setting(c, "secret", err) < 0 || take_setting(c, "format", err) < 0)
        return -1;
    for (size_t a = 0; a < sizeof(small_areas) / sizeof(small_areas[0]); a++) {
        CLEANUP(argv_release) struct argv names = ARGV_INIT;

        if (c->taker->directory(c->taker->self, small_areas[a].name, err) < 0 ||
            storage_list(c->store->storage, small_areas[a].area, &names, err) < 0)
            return -1;
        for (size_t i = 0; i < names.n; i++)
            if (take_file(c, small_areas[a].area, small_areas[a].name, names.v[i], err) < 0)
                return -1;
    }
    return 0;
}

/* With the lock: from now on these packs stay. */
static int begin_session(struct copy *c, int *ret_session, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SMALL_MAX);

    if (storage_list(c->store->storage, AREA_PACKS, &c->packs, err) < 0)
        return -1;
    for (size_t i = 0; i < c->packs.n; i++)
        buf_addf(&text, "%s\n", c->packs.v[i]);
    if (buf_check(&text, "a list of packs", err) < 0)
        return -1;
    return storage_session_begin(c->store->storage, buf_str(&text), ret_session, err);
}

static int begin(struct copy *c, int *ret_session, struct error *err)
{
    int lock = -1;
    int result;

    if (storage_lock(c->store->storage, false, &lock, err) < 0)
        return -1;
    result = begin_session(c, ret_session, err);
    if (result == 0)
        result = take_small(c, err);
    storage_unlock(c->store->storage, &lock);
    return result;
}

static int take_packs(struct copy *c, struct error *err)
{
    if (c->taker->directory(c->taker->self, "packs", err) < 0)
        return -1;
    for (size_t i = 0; i < c->packs.n; i++)
        if (take_file(c, AREA_PACKS, "packs", c->packs.v[i], err) < 0)
            return -1;
    return 0;
}

int template_copy(struct template_store *s, const struct template_taker *taker, struct error *err)
{
    struct copy c = {.store = s, .taker = taker};
    int session = -1;
    int result = begin(&c, &session, err);

    if (result == 0)
        result = take_packs(&c, err);
    if (session >= 0)
        storage_session_end(s->storage, &session);
    argv_release(&c.packs);
    return result < 0 ? error_wrap(err, "copy %s", storage_where(s->storage)) : 0;
}
