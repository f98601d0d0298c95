/* worker/state_images — images and their tags, as the registry holds them. */
#include "worker/state_internal.h"

static int tag_put(struct state *s, const struct build *b, const char *tag, int64_t now,
                   struct error *err)
{
    struct target t = build_target(b);

    QUERY(q, s->db,
          "insert into image_tags values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)"
          " on conflict do update set digest = excluded.digest, size = excluded.size,"
          " updated = excluded.updated");
    bind_target(&q, &t);
    query_text(&q, tag);
    query_text(&q, b->digest);
    query_int(&q, (int64_t)b->image_size);
    query_int(&q, now);
    return query_run(&q, NULL, err);
}

int image_record(struct state *s, const struct build *b, struct error *err)
{
    struct target t = build_target(b);
    int64_t now = clock_now(&s->clock);
    char image[256];

    QUERY(q, s->db,
          "insert into images values (?1, ?2, ?3, ?4, ?4, ?4, ?5)"
          " on conflict do update set updated = ?4, deployed = ?4, size = ?5");
    bind_target(&q, &t);
    query_int(&q, now);
    query_int(&q, (int64_t)b->image_size);
    if (query_run(&q, NULL, err) < 0 || tag_put(s, b, b->tag, now, err) < 0 ||
        tag_put(s, b, "latest", now, err) < 0)
        return -1;
    if (b->purpose != BUILD_FOR_RESOURCE)
        return 0;
    (void)snprintf(image, sizeof(image), "%s/%s:%s", b->type, b->name, b->tag);
    /* A resource without a build was given another image while this one was made. */
    QUERY(use, s->db,
          "update resources set image = ?, updated = ? where workspace = ? and type = ? and "
          "name = ? and build <> ''");
    query_text(&use, image);
    query_int(&use, now);
    bind_target(&use, &t);
    return query_run(&use, NULL, err);
}

#define IMAGE_COLUMNS "type, name, created, updated, deployed, size, workspace"

/* The images that a workspace (?1) sees: its own, and those that others share with it, unless it
 * came to have its own of that name. */
#define IMAGES_SEEN                                                                                \
    " from (select " IMAGE_COLUMNS " from images where workspace = ?1"                             \
    " union all select i.type, i.name, i.created, i.updated, i.deployed, i.size, i.workspace"      \
    " from image_shares s join images i using (workspace, type, name) where s.target = ?1"         \
    " and not exists (select 1 from images o where o.workspace = ?1 and o.type = i.type"           \
    " and o.name = i.name))"

static void image_from_row(struct query *q, struct image *ret)
{
    COPY_TEXT(ret->type, query_get_text(q, 0));
    COPY_TEXT(ret->name, query_get_text(q, 1));
    ret->created = query_get_int(q, 2);
    ret->updated = query_get_int(q, 3);
    ret->deployed = query_get_int(q, 4);
    ret->size = (uint64_t)query_get_int(q, 5);
    COPY_TEXT(ret->workspace, query_get_text(q, 6));
}

int state_image_get(struct state *s, const struct target *t, enum presence *ret_presence,
                    struct image *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " IMAGE_COLUMNS IMAGES_SEEN " where type = ?2 and name = ?3");
    bind_target(&q, t);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        image_from_row(&q, ret);
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

int state_image_list(struct state *s, const char *workspace,
                     void (*each)(void *self, const struct image *i), void *self, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " IMAGE_COLUMNS IMAGES_SEEN " order by type, name");
    query_text(&q, workspace);
    for (;;) {
        struct image i = {.created = 0};

        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        image_from_row(&q, &i);
        each(self, &i);
    }
}

int state_image_tags(struct state *s, const struct target *t,
                     void (*each)(void *self, const struct image_tag *g), void *self,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select tag, digest, size, created, updated from image_tags"
          " where workspace = ? and type = ? and name = ? order by updated desc, tag");
    bind_target(&q, t);
    for (;;) {
        struct image_tag g = {.created = 0};

        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        COPY_TEXT(g.name, query_get_text(&q, 0));
        COPY_TEXT(g.digest, query_get_text(&q, 1));
        g.size = (uint64_t)query_get_int(&q, 2);
        g.created = query_get_int(&q, 3);
        g.updated = query_get_int(&q, 4);
        each(self, &g);
    }
}

int state_digest_in_use(struct state *s, const struct target *t, const char *digest, bool *ret,
                        struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select 1 from image_tags where workspace = ? and type = ? and name = ? and digest = ?");
    bind_target(&q, t);
    query_text(&q, digest);
    return query_next(&q, ret, err);
}

/* The digests of one tag, or of all. */
static int digests_of(struct state *s, const struct target *t, const char *tag, struct argv *ret,
                      struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select distinct digest from image_tags where workspace = ? and type = ? and name = ?"
          " and (?4 is null or tag = ?4)");
    bind_target(&q, t);
    query_text(&q, tag);
    for (;;) {
        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        argv_push1(ret, query_get_text(&q, 0));
    }
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

int state_image_delete(struct state *s, const struct target *t, const char *tag,
                       void (*gone)(void *self, const char *digest), void *self,
                       enum presence *ret_presence, struct error *err)
{
    CLEANUP(argv_release) struct argv digests = ARGV_INIT;
    CLEANUP(tx_end) struct tx tx = {0};
    bool removed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || digests_of(s, t, tag, &digests, err) < 0 ||
        remove_rows(s, t, tag, &removed, err) < 0)
        return -1;
    if (!tag && builds_cancel(s, t, INT64_MAX, "its image was deleted", err) < 0)
        return -1;
    if (tx_commit(&tx, err) < 0)
        return -1;
    tx_end(&tx); /* gone talks to the registry: nobody shall wait for that */
    for (size_t i = 0; i < digests.n; i++) {
        bool used;

        if (state_digest_in_use(s, t, digests.v[i], &used, err) < 0)
            return -1;
        if (!used)
            gone(self, digests.v[i]);
    }
    *ret_presence = removed ? PRESENT : ABSENT;
    return 0;
}
