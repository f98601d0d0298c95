/* worker/state_image_delete — images and tags are deleted: one by name, or all that nobody uses.
 *
 * The database decides in one transaction; what then is to go in the registry, which is slow or
 * down, goes when that is over. */
#include <stdlib.h>
#include <string.h>

#include "worker/state_internal.h"
#include "worker/state_shares.h"

/* What a transaction removes. */
struct removal {
    struct argv named;   /* type, name, tag ("" for all of the image), and so on */
    struct argv digests; /* type, name, digest */
};

static void removal_release(struct removal *r)
{
    argv_release(&r->named);
    argv_release(&r->digests);
}

static int check_memory(const struct argv *a, struct error *err)
{
    return a->failed ? error_set(err, ERR_SYSTEM, "delete images: out of memory") : 0;
}

/* The digests of one tag, or of all. */
static int digests_of(struct state *s, const struct target *t, const char *tag, struct argv *ret,
                      struct error *err)
{
    QUERY(q, s->db,
          "select distinct digest from image_tags where workspace = ? and type = ? and name = ?"
          " and (?4 is null or tag = ?4)");
    bind_target(&q, t);
    query_text(&q, tag);
    return query_list(&q, "digests", ret, err);
}

static int forget_layers(struct state *s, const struct target *t, struct error *err)
{
    QUERY(q, s->db, "delete from layers where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    return query_run(&q, NULL, err);
}

static int remove_rows(struct state *s, const struct target *t, const char *tag, bool *ret_removed,
                       struct error *err)
{
    int64_t changed;

    QUERY(q, s->db,
          tag ? "delete from image_tags where workspace = ? and type = ? and name = ? and tag = ?"
              : "delete from images where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    if (tag)
        query_text(&q, tag);
    if (query_run(&q, &changed, err) < 0)
        return -1;
    *ret_removed = changed > 0;
    return tag ? 0 : forget_layers(s, t, err);
}

/* Two tags that go may name the same.  Those of an image stand together. */
static void add_digest(struct removal *r, const struct target *t, const char *digest)
{
    for (size_t i = r->digests.n; i >= 3; i -= 3) {
        char **last = r->digests.v + i - 3;

        if (strcmp(last[0], t->type) != 0 || strcmp(last[1], t->name) != 0)
            break;
        if (strcmp(last[2], digest) == 0)
            return;
    }
    argv_push(&r->digests, t->type, t->name, digest, NULL);
}

/* Within the caller's transaction. */
static int remove_image(struct state *s, const struct target *t, const char *tag, struct removal *r,
                        bool *ret_removed, struct error *err)
{
    CLEANUP(argv_release) struct argv digests = ARGV_INIT;

    if (digests_of(s, t, tag, &digests, err) < 0 || remove_rows(s, t, tag, ret_removed, err) < 0)
        return -1;
    if (!*ret_removed)
        return 0;
    argv_push(&r->named, t->type, t->name, tag ? tag : "", NULL);
    for (size_t i = 0; i < digests.n; i++)
        add_digest(r, t, digests.v[i]);
    return check_memory(&r->named, err) < 0 ? -1 : check_memory(&r->digests, err);
}

/* When the transaction is over. */
static int tell(struct state *s, const char *workspace, const struct removal *r,
                const struct image_deleter *d, struct error *err)
{
    for (size_t i = 0; i + 2 < r->digests.n; i += 3) {
        const struct target t = {workspace, r->digests.v[i], r->digests.v[i + 1]};
        bool used;

        if (state_digest_in_use(s, &t, r->digests.v[i + 2], &used, err) < 0)
            return -1;
        if (!used)
            d->gone(d->self, &t, r->digests.v[i + 2]);
    }
    for (size_t i = 0; i + 2 < r->named.n; i += 3) {
        const struct target t = {workspace, r->named.v[i], r->named.v[i + 1]};
        const char *tag = r->named.v[i + 2];

        d->deleted(d->self, &t, *tag ? tag : NULL);
    }
    return 0;
}

/* ---- one ---- */

static int judge(struct state *s, const struct target *t, const char *tag, const char *registry,
                 enum image_deletion *ret, struct image_user *ret_user, struct error *err)
{
    CLEANUP(argv_release) struct argv digests = ARGV_INIT;
    bool used, shared;

    if (digests_of(s, t, tag, &digests, err) < 0 ||
        image_find_user(s, t, tag, &digests, registry, &used, ret_user, err) < 0 ||
        state_share_exists(s, t, NULL, &shared, err) < 0)
        return -1;
    if (used)
        *ret = IMAGE_IN_USE;
    else
        *ret = shared ? IMAGE_SHARED : IMAGE_DELETED;
    return 0;
}

int state_image_delete(struct state *s, const struct target *t, const char *tag,
                       const struct image_deleter *deleter, enum image_deletion *ret,
                       struct image_user *ret_user, struct error *err)
{
    CLEANUP(removal_release) struct removal r = {.named = ARGV_INIT, .digests = ARGV_INIT};
    CLEANUP(tx_end) struct tx tx = {0};
    enum image_deletion verdict;
    struct image_user user;
    bool removed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        judge(s, t, tag, deleter->registry, &verdict, &user, err) < 0)
        return -1;
    if (verdict != IMAGE_DELETED) {
        if (verdict == IMAGE_IN_USE)
            *ret_user = user;
        *ret = verdict;
        return 0;
    }
    if (remove_image(s, t, tag, &r, &removed, err) < 0 ||
        (!tag && builds_cancel(s, t, INT64_MAX, "its image was deleted", err) < 0) ||
        tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    if (tell(s, t->workspace, &r, deleter, err) < 0)
        return -1;
    *ret = removed ? IMAGE_DELETED : IMAGE_ABSENT;
    return 0;
}

/* ---- all that nobody uses ---- */

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_used(const struct argv *uses, const char *word)
{
    return uses->n && bsearch(&word, uses->v, uses->n, sizeof(*uses->v), compare_words);
}

static bool names_tag(const struct argv *uses, const struct target *t, const char *tag,
                      const char *digest)
{
    char by_tag[3 * NAME_SIZE + 80], by_digest[2 * NAME_SIZE + DIGEST_SIZE + 2];

    (void)snprintf(by_tag, sizeof(by_tag), "%s/%s:%s", t->type, t->name, tag);
    (void)snprintf(by_digest, sizeof(by_digest), "%s/%s@%s", t->type, t->name, digest);
    return is_used(uses, by_tag) || is_used(uses, by_digest);
}

static void add_tag(void *self, const struct image_tag *g)
{
    argv_push(self, g->name, g->digest, NULL);
}

/* Tags of a digest that stays cost nothing, and stay too. */
static int clean_tags(struct state *s, const struct target *t, const struct argv *uses,
                      struct removal *r, struct error *err)
{
    CLEANUP(argv_release) struct argv tags = ARGV_INIT; /* name, digest, … */
    CLEANUP(argv_release) struct argv kept = ARGV_INIT; /* digests */
    bool removed;

    if (state_image_tags(s, t, add_tag, &tags, err) < 0 || check_memory(&tags, err) < 0)
        return -1;
    for (size_t i = 0; i + 1 < tags.n; i += 2)
        if (strcmp(tags.v[i], "latest") == 0 || names_tag(uses, t, tags.v[i], tags.v[i + 1]))
            argv_push1(&kept, tags.v[i + 1]);
    if (check_memory(&kept, err) < 0)
        return -1;
    for (size_t i = 0; i + 1 < tags.n; i += 2)
        if (!argv_contains(&kept, tags.v[i + 1]) &&
            remove_image(s, t, tags.v[i], r, &removed, err) < 0)
            return -1;
    return 0;
}

static int clean_image(struct state *s, const struct target *t, const struct argv *uses,
                       struct removal *r, struct error *err)
{
    char image[2 * NAME_SIZE];
    bool removed;

    (void)snprintf(image, sizeof(image), "%s/%s", t->type, t->name);
    return is_used(uses, image) ? clean_tags(s, t, uses, r, err)
                                : remove_image(s, t, NULL, r, &removed, err);
}

/* Type and name of the images that may go at all. */
static int list_candidates(struct state *s, const char *workspace, struct argv *ret,
                           struct error *err)
{
    int rc = 0;

    QUERY(q, s->db,
          "select type, name from images i where workspace = ?1 and not exists"
          " (select 1 from image_shares h"
          "  where h.workspace = ?1 and h.type = i.type and h.name = i.name) and not exists"
          " (select 1 from builds b where b.workspace = ?1 and b.type = i.type and b.name = i.name"
          "  and b.phase in (0, 1, 2)) order by type, name");
    query_text(&q, workspace);
    while (query_row(&q, &rc, err)) {
        argv_push(ret, query_get_text(&q, 0), query_get_text(&q, 1), NULL);
    }
    if (rc < 0)
        return -1;
    return check_memory(ret, err);
}

int state_image_clean(struct state *s, const char *workspace, const struct image_deleter *deleter,
                      struct error *err)
{
    CLEANUP(removal_release) struct removal r = {.named = ARGV_INIT, .digests = ARGV_INIT};
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    CLEANUP(argv_release) struct argv uses = ARGV_INIT;
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 ||
        list_candidates(s, workspace, &images, err) < 0 ||
        image_uses(s, workspace, deleter->registry, &uses, err) < 0)
        return -1;
    for (size_t i = 0; i + 1 < images.n; i += 2) {
        const struct target t = {workspace, images.v[i], images.v[i + 1]};

        if (clean_image(s, &t, &uses, &r, err) < 0)
            return -1;
    }
    if (tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx);
    return tell(s, workspace, &r, deleter, err);
}
