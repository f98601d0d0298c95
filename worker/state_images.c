/* worker/state_images — images and their tags, as the registry holds them. */
#include "worker/state_internal.h"

static int tag_put(struct state *s, const struct build *b, const char *tag, int64_t now,
                   struct error *err)
{
    struct target t = build_target(b);

    QUERY(q, s->db,
          "insert into image_tags values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)"
          " on conflict (workspace, type, name, tag) do update set digest = excluded.digest, size "
          "= excluded.size,"
          " updated = excluded.updated");
    bind_target(&q, &t);
    query_text(&q, tag);
    query_text(&q, b->digest);
    query_int(&q, (int64_t)b->image_size);
    query_int(&q, now);
    return query_run(&q, NULL, err);
}

int image_keep(struct state *s, const struct build *b, struct error *err)
{
    struct target t = build_target(b);
    int64_t now = clock_now(&s->clock);

    QUERY(q, s->db,
          "insert into images values (?1, ?2, ?3, ?4, ?4, 0, ?5)"
          " on conflict (workspace, type, name) do update set updated = ?4, size = ?5");
    bind_target(&q, &t);
    query_int(&q, now);
    query_int(&q, (int64_t)b->image_size);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tag_put(s, b, b->tag, now, err);
}

int image_record(struct state *s, const struct build *b, struct error *err)
{
    struct target t = build_target(b);
    int64_t now = clock_now(&s->clock);
    char image[256];

    if (image_keep(s, b, err) < 0 || tag_put(s, b, "latest", now, err) < 0)
        return -1;
    QUERY(q, s->db,
          "update images set deployed = ?4 where workspace = ?1 and type = ?2 and name = ?3");
    bind_target(&q, &t);
    query_int(&q, now);
    if (query_run(&q, NULL, err) < 0)
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
    " and o.name = i.name)) seen"

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
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select " IMAGE_COLUMNS IMAGES_SEEN " order by type, name");
    query_text(&q, workspace);
    while (query_row(&q, &rc, err)) {
        struct image i = {.created = 0};

        image_from_row(&q, &i);
        each(self, &i);
    }
    return rc;
}

int state_image_tags(struct state *s, const struct target *t,
                     void (*each)(void *self, const struct image_tag *g), void *self,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select tag, digest, size, created, updated from image_tags"
          " where workspace = ? and type = ? and name = ? order by updated desc, tag");
    bind_target(&q, t);
    while (query_row(&q, &rc, err)) {
        struct image_tag g = {.created = 0};

        COPY_TEXT(g.name, query_get_text(&q, 0));
        COPY_TEXT(g.digest, query_get_text(&q, 1));
        g.size = (uint64_t)query_get_int(&q, 2);
        g.created = query_get_int(&q, 3);
        g.updated = query_get_int(&q, 4);
        each(self, &g);
    }
    return rc;
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
