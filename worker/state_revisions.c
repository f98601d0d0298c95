/* worker/state_revisions — what a resource was, write by write.
 *
 * A revision is named as the build that was begun with it, so that events and image tags tell of
 * the same; it stands or falls with the build that the resource had from then on. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"

#define REVISIONS_KEPT 100 /* of a resource */

static void writer_of(const char *metadata, char ret[NAME_SIZE])
{
    json_t *root = json_loads(metadata, 0, NULL);
    const char *writer = json_string_value(json_object_get(root, "updatedBy"));

    (void)snprintf(ret, NAME_SIZE, "%s", writer ? writer : "");
    json_decref(root);
}

static int last_number(struct state *s, const struct target *t, int64_t *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select max(number) from revisions where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = row ? query_get_int(&q, 0) : 0;
    return 0;
}

static int drop_old(struct state *s, const struct target *t, int64_t last, struct error *err)
{
    QUERY(q, s->db,
          "delete from revisions where workspace = ? and type = ? and name = ? and number <= ?");
    bind_target(&q, t);
    query_int(&q, last - REVISIONS_KEPT);
    return query_run(&q, NULL, err);
}

int revision_add(struct state *s, const struct target *t, const char *metadata, const char *id,
                 const char *build, struct error *err)
{
    char writer[NAME_SIZE];
    int64_t number;

    writer_of(metadata, writer);
    if (last_number(s, t, &number, err) < 0)
        return -1;
    QUERY(q, s->db, "insert into revisions values (?, ?, ?, ?, ?, ?, ?, ?)");
    bind_target(&q, t);
    query_int(&q, number + 1);
    query_text(&q, id);
    query_text(&q, build);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, writer);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return drop_old(s, t, number + 1, err);
}

int revisions_forget(struct state *s, const struct target *t, struct error *err)
{
    QUERY(q, s->db, "delete from revisions where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    return query_run(&q, NULL, err);
}

int state_revision_list(struct state *s, const struct target *t,
                        void (*each)(void *self, const struct revision *r), void *self,
                        struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int rc = 0;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select number, id, build, created, created_by from revisions"
          " where workspace = ? and type = ? and name = ? order by number desc");
    bind_target(&q, t);
    while (query_row(&q, &rc, err)) {
        struct revision r = {.number = 0};

        r.number = query_get_int(&q, 0);
        COPY_TEXT(r.id, query_get_text(&q, 1));
        COPY_TEXT(r.build, query_get_text(&q, 2));
        r.created = query_get_int(&q, 3);
        COPY_TEXT(r.created_by, query_get_text(&q, 4));
        each(self, &r);
    }
    return rc;
}
