/* worker/state_resources — sandboxes, agents, functions and jobs as their owners described them. */
#include <jansson.h>
#include <string.h>

#include "worker/state_internal.h"

#define RESOURCE_COLUMNS "workspace, type, name, metadata, spec, build, image, created, updated"

void resource_release(struct resource *r)
{
    free(r->metadata);
    free(r->spec);
    r->metadata = r->spec = NULL;
}

static int resource_from_row(struct query *q, struct resource *ret, struct error *err)
{
    struct resource r = {.created = query_get_int(q, 7), .updated = query_get_int(q, 8)};

    COPY_TEXT(r.workspace, query_get_text(q, 0));
    COPY_TEXT(r.type, query_get_text(q, 1));
    COPY_TEXT(r.name, query_get_text(q, 2));
    r.metadata = strdup(query_get_text(q, 3));
    r.spec = strdup(query_get_text(q, 4));
    COPY_TEXT(r.build, query_get_text(q, 5));
    COPY_TEXT(r.image, query_get_text(q, 6));
    if (!r.metadata || !r.spec) {
        resource_release(&r);
        return error_set(err, ERR_SYSTEM, "read resource %s: out of memory", r.name);
    }
    *ret = r;
    return 0;
}

static int resource_load(struct state *s, const struct target *t, enum presence *ret_presence,
                         struct resource *ret, struct error *err)
{
    bool row;

    QUERY(q, s->db,
          "select " RESOURCE_COLUMNS
          " from resources where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    if (query_next(&q, &row, err) < 0 || (row && resource_from_row(&q, ret, err) < 0))
        return -1;
    *ret_presence = row ? PRESENT : ABSENT;
    return 0;
}

/* spec.runtime.image as the client sent it; "" without. */
static void image_of_spec(const char *spec, char image[256])
{
    json_t *root = json_loads(spec, 0, NULL);
    const char *text =
        json_string_value(json_object_get(json_object_get(root, "runtime"), "image"));

    (void)snprintf(image, 256, "%s", text ? text : "");
    json_decref(root);
}

/* There, but only as the husk of a first upload that has not come, or never will. */
static int awaits_first_upload(struct state *s, const struct resource *r, bool *ret,
                               struct error *err)
{
    struct build b = {.created = 0};
    enum presence presence = ABSENT;

    if (r->build[0] && build_load(s, r->build, &presence, &b, err) < 0)
        return -1;
    *ret = presence == PRESENT && !b.uploaded && !r->image[0];
    return 0;
}

static int judge_write(struct state *s, const struct target *t, bool create,
                       enum resource_outcome *ret_outcome, struct error *err)
{
    CLEANUP(resource_release) struct resource old = {.created = 0};
    enum presence presence;
    bool husk = false;

    if (resource_load(s, t, &presence, &old, err) < 0)
        return -1;
    if (presence == PRESENT && create && awaits_first_upload(s, &old, &husk, err) < 0)
        return -1;
    if (create && presence == PRESENT && !husk)
        *ret_outcome = RESOURCE_EXISTS;
    else if (!create && presence == ABSENT)
        *ret_outcome = RESOURCE_ABSENT;
    else
        *ret_outcome = RESOURCE_WRITTEN;
    return 0;
}

static int resource_upsert(struct state *s, const struct target *t, const char *metadata,
                           const char *spec, const struct build *b, struct error *err)
{
    char image[256] = "";

    if (!b)
        image_of_spec(spec, image);
    QUERY(q, s->db,
          "insert into resources values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)"
          " on conflict do update set metadata = excluded.metadata, spec = excluded.spec,"
          " build = case when excluded.build = '' and excluded.image = '' then build"
          "  else excluded.build end,"
          " image = case excluded.image when '' then image else excluded.image end,"
          " updated = excluded.updated");
    bind_target(&q, t);
    query_text(&q, metadata);
    query_text(&q, spec);
    query_text(&q, b ? b->id : "");
    query_text(&q, image);
    query_int(&q, clock_now(&s->clock));
    return query_run(&q, NULL, err);
}

/* The build that a resource is written with. */
struct order {
    bool upload;
    const char *source, *id; /* NULL: none */
};

static int begin_build(struct state *s, const struct target *t, const struct order *o,
                       struct build *ret, struct error *err)
{
    return o->upload
               ? state_build_begin(s, t, BUILD_FOR_RESOURCE, ret, err)
               : state_build_from_source_as(s, t, BUILD_FOR_RESOURCE, o->source, o->id, ret, err);
}

static int write_with(struct state *s, const struct target *t, const char *metadata,
                      const char *spec, bool create, const struct order *o,
                      enum resource_outcome *ret_outcome, struct resource *ret,
                      struct build *ret_build, struct error *err)
{
    const bool built = o->upload || o->source;
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    struct resource r = {.created = 0};
    enum resource_outcome outcome;
    enum presence presence;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0 || judge_write(s, t, create, &outcome, err) < 0)
        return -1;
    if (outcome != RESOURCE_WRITTEN) {
        *ret_outcome = outcome;
        return 0;
    }
    if (built && begin_build(s, t, o, &b, err) < 0)
        return -1;
    if (resource_upsert(s, t, metadata, spec, built ? &b : NULL, err) < 0 ||
        resource_load(s, t, &presence, &r, err) < 0)
        return -1;
    if (tx_commit(&tx, err) < 0) {
        resource_release(&r);
        return -1;
    }
    tx_end(&tx);
    *ret_outcome = outcome;
    *ret = r;
    if (built)
        *ret_build = b;
    if (o->source)
        state_wake(s);
    return 0;
}

int state_resource_write(struct state *s, const struct target *t, const char *metadata,
                         const char *spec, bool create, bool upload,
                         enum resource_outcome *ret_outcome, struct resource *ret,
                         struct build *ret_build, struct error *err)
{
    const struct order o = {.upload = upload};

    return write_with(s, t, metadata, spec, create, &o, ret_outcome, ret, ret_build, err);
}

int state_resource_import(struct state *s, const struct target *t, const char *metadata,
                          const char *spec, bool create, const char *source, const char *id,
                          enum resource_outcome *ret_outcome, struct resource *ret,
                          struct build *ret_build, struct error *err)
{
    const struct order o = {.source = source, .id = id};

    return write_with(s, t, metadata, spec, create, &o, ret_outcome, ret, ret_build, err);
}

int state_resource_get(struct state *s, const struct target *t, enum presence *ret_presence,
                       struct resource *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    return resource_load(s, t, ret_presence, ret, err);
}

static int resource_count(struct state *s, const char *workspace, const char *type, int64_t *ret,
                          struct error *err)
{
    bool row;

    QUERY(q, s->db, "select count(*) from resources where workspace = ? and type = ?");
    query_text(&q, workspace);
    query_text(&q, type);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = query_get_int(&q, 0);
    return 0;
}

int state_resource_list(struct state *s, const char *workspace, const char *type, const char *after,
                        int64_t limit, void (*each)(void *self, const struct resource *r),
                        void *self, int64_t *ret_total, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0 ||
        resource_count(s, workspace, type, ret_total, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select " RESOURCE_COLUMNS
          " from resources where workspace = ? and type = ? and name > ? order by name limit ?");
    query_text(&q, workspace);
    query_text(&q, type);
    query_text(&q, after);
    query_int(&q, limit);
    for (;;) {
        CLEANUP(resource_release) struct resource r = {.created = 0};

        if (query_next(&q, &row, err) < 0)
            return -1;
        if (!row)
            return 0;
        if (resource_from_row(&q, &r, err) < 0)
            return -1;
        each(self, &r);
    }
}

int state_resource_delete(struct state *s, const struct target *t, enum presence *ret_presence,
                          struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t changed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db, "delete from resources where workspace = ? and type = ? and name = ?");
    bind_target(&q, t);
    if (query_run(&q, &changed, err) < 0)
        return -1;
    if (changed && builds_cancel(s, t, INT64_MAX, "its resource was deleted", err) < 0)
        return -1;
    if (tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}
