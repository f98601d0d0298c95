/* worker/state_resources — sandboxes, agents, functions and jobs as their owners described them. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "worker/state_internal.h"

#define RESOURCE_COLUMNS                                                                           \
    "workspace, type, name, metadata, spec, build, image, created, updated, others"

void resource_release(struct resource *r)
{
    free(r->metadata);
    free(r->spec);
    free(r->others);
    r->metadata = r->spec = r->others = NULL;
}

static int resource_from_row(struct query *q, struct resource *ret, struct error *err)
{
    struct resource r = {.created = query_get_int(q, 7), .updated = query_get_int(q, 8)};

    COPY_TEXT(r.workspace, query_get_text(q, 0));
    COPY_TEXT(r.type, query_get_text(q, 1));
    COPY_TEXT(r.name, query_get_text(q, 2));
    r.metadata = strdup(query_get_text(q, 3));
    r.spec = strdup(query_get_text(q, 4));
    r.others = strdup(query_get_text(q, 9));
    COPY_TEXT(r.build, query_get_text(q, 5));
    COPY_TEXT(r.image, query_get_text(q, 6));
    if (!r.metadata || !r.spec || !r.others) {
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

static bool is_unfinished(const struct build *b)
{
    return b->phase == BUILD_UPLOADING || b->phase == BUILD_QUEUED || b->phase == BUILD_RUNNING;
}

/* How a write comes with a build. */
struct write_request {
    const struct resource_body *body;
    bool create;
    bool upload;        /* one that waits for an upload */
    const char *source; /* one that does not; NULL: none */
    const char *id;     /* of an import, whose id was drawn before; NULL: of none */
};

/* A volume whose making failed is as good as none. */
static int judge_order(struct state *s, const struct resource *old, bool create,
                       enum resource_outcome *ret_outcome, struct error *err)
{
    struct build b = {.created = 0};
    enum presence presence = ABSENT;

    if (old->build[0] && build_load(s, old->build, &presence, &b, err) < 0)
        return -1;
    if (create)
        *ret_outcome = presence == PRESENT && !old->image[0] && !is_unfinished(&b)
                           ? RESOURCE_WRITTEN
                           : RESOURCE_EXISTS;
    else
        *ret_outcome = presence == PRESENT && is_unfinished(&b) ? RESOURCE_BUSY : RESOURCE_WRITTEN;
    return 0;
}

static int judge_write(struct state *s, const struct target *t, const struct write_request *w,
                       enum resource_outcome *ret_outcome, struct error *err)
{
    CLEANUP(resource_release) struct resource old = {.created = 0};
    enum presence presence;
    bool husk = false;

    if (resource_load(s, t, &presence, &old, err) < 0)
        return -1;
    if (presence == PRESENT && w->source && !w->id)
        return judge_order(s, &old, w->create, ret_outcome, err);
    if (presence == PRESENT && w->create && awaits_first_upload(s, &old, &husk, err) < 0)
        return -1;
    if (w->create && presence == PRESENT && !husk)
        *ret_outcome = RESOURCE_EXISTS;
    else if (!w->create && presence == ABSENT)
        *ret_outcome = RESOURCE_ABSENT;
    else
        *ret_outcome = RESOURCE_WRITTEN;
    return 0;
}

static int resource_upsert(struct state *s, const struct target *t, const struct write_request *w,
                           const struct build *b, struct error *err)
{
    char image[256] = "";

    if (!b->id[0])
        image_of_spec(w->body->spec, image);
    QUERY(q, s->db,
          "insert into resources values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)"
          " on conflict (workspace, type, name) do update set metadata = excluded.metadata,"
          " spec = excluded.spec, others = excluded.others,"
          " build = case when excluded.build = '' and excluded.image = '' then resources.build"
          "  else excluded.build end,"
          " image = case excluded.image when '' then resources.image else excluded.image end,"
          " updated = excluded.updated");
    bind_target(&q, t);
    query_text(&q, w->body->metadata);
    query_text(&q, w->body->spec);
    query_text(&q, b->id);
    query_text(&q, image);
    query_int(&q, clock_now(&s->clock));
    query_text(&q, w->body->others ? w->body->others : "");
    return query_run(&q, NULL, err);
}

static enum build_purpose purpose_of(const struct target *t)
{
    if (strcmp(t->type, TYPE_TEMPLATE) == 0)
        return BUILD_FOR_TEMPLATE;
    return strcmp(t->type, TYPE_VOLUME) == 0 ? BUILD_FOR_VOLUME : BUILD_FOR_RESOURCE;
}

/* ret_build->id stays "" without a build. */
static int begin_build(struct state *s, const struct target *t, const struct write_request *w,
                       struct build *ret_build, struct error *err)
{
    if (w->upload)
        return state_build_begin(s, t, purpose_of(t), ret_build, err);
    if (w->source && w->source[0])
        return state_build_ask(
            s, t,
            &(const struct build_order){.purpose = purpose_of(t), .source = w->source, .id = w->id},
            ret_build, err);
    return 0;
}

/* That it is changed, before what comes of that. */
static int tell_change(struct state *s, const struct target *t, const struct write_request *w,
                       struct error *err)
{
    const bool builds = w->upload || (w->source && w->source[0]);
    char message[NAME_SIZE + 8];
    const struct event_draft e = {.type = "api.update",
                                  .status = builds ? "UPDATING" : "UPDATED",
                                  .message = message,
                                  .of_resource = true};

    (void)snprintf(message, sizeof(message), "Update %s", t->type);
    return w->create ? 0 : event_add(s, t, NULL, &e, err);
}

/* Without a build of its own it is deployed at once, unless what the resource has is not: that is
 * being built, or failed. */
static int is_deployed(struct state *s, const struct resource *r, bool *ret, struct error *err)
{
    struct build b = {.created = 0};
    enum presence presence = ABSENT;

    if (r->build[0] && build_load(s, r->build, &presence, &b, err) < 0)
        return -1;
    *ret = presence == ABSENT || b.phase == BUILD_SUCCEEDED;
    return 0;
}

static int tell_deployment(struct state *s, const struct target *t, const struct resource *r,
                           const char *revision, struct error *err)
{
    static const struct event_draft told[] = {
        {"deployment.created", "BUILT", "", true, true},
        {"deployment.ready", "DEPLOYED", "Deployment ready on a cluster", true, true},
        {"deployment.succeeded", "DEPLOYED", "Deployments successfully done", true, true},
    };
    struct build of = {.created = 0};
    bool deployed;

    COPY_TEXT(of.id, r->build);
    COPY_TEXT(of.tag, revision);
    if (is_deployed(s, r, &deployed, err) < 0)
        return -1;
    if (!deployed)
        return 0;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        if (event_add(s, t, &of, &told[i], err) < 0)
            return -1;
    return webhook_tell(s,
                        &(const struct webhook_news){.type = "deployment.succeeded",
                                                     .of = *t,
                                                     .build = "",
                                                     .revision = revision,
                                                     .status = "DEPLOYED",
                                                     .image = r->image},
                        err);
}

/* b: the build that was begun; b->id "": none was. */
static int add_revision(struct state *s, const struct target *t, const struct write_request *w,
                        const struct resource *r, const struct build *b, struct error *err)
{
    char id[BUILD_TAG] = "";

    if (b->id[0])
        COPY_TEXT(id, b->tag);
    else if (purpose_of(t) == BUILD_FOR_RESOURCE)
        digest_random_name(id, sizeof(id) - 1);
    if (revision_add(s, t, w->body->metadata, id, r->build, err) < 0)
        return -1;
    return !b->id[0] && id[0] ? tell_deployment(s, t, r, id, err) : 0;
}

static int write_once(struct state *s, const struct target *t, const struct write_request *w,
                      enum resource_outcome *ret_outcome, struct resource *ret,
                      struct build *ret_build, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    struct build b = {.created = 0};
    struct resource r = {.created = 0};
    enum resource_outcome outcome;
    enum presence presence;

    if (tx_begin_in(&tx, s->db, TX_WRITE, t->workspace, err) < 0 ||
        judge_write(s, t, w, &outcome, err) < 0)
        return -1;
    if (outcome != RESOURCE_WRITTEN) {
        *ret_outcome = outcome;
        return 0;
    }
    if (tell_change(s, t, w, err) < 0 || begin_build(s, t, w, &b, err) < 0 ||
        resource_upsert(s, t, w, &b, err) < 0 || resource_load(s, t, &presence, &r, err) < 0)
        return -1;
    if (add_revision(s, t, w, &r, &b, err) < 0 || tx_commit(&tx, err) < 0) {
        resource_release(&r);
        return -1;
    }
    tx_end(&tx);
    *ret_outcome = outcome;
    *ret = r;
    if (b.id[0])
        *ret_build = b;
    return 0;
}

static int write_resource(struct state *s, const struct target *t, const struct write_request *w,
                          enum resource_outcome *ret_outcome, struct resource *ret,
                          struct build *ret_build, struct error *err)
{
    return DB_RETRY(s->db, err, write_once(s, t, w, ret_outcome, ret, ret_build, err));
}

int state_resource_write(struct state *s, const struct target *t, const struct resource_body *body,
                         bool create, bool upload, enum resource_outcome *ret_outcome,
                         struct resource *ret, struct build *ret_build, struct error *err)
{
    const struct write_request w = {body, create, upload, NULL, NULL};

    return write_resource(s, t, &w, ret_outcome, ret, ret_build, err);
}

int state_resource_order(struct state *s, const struct target *t, const struct resource_body *body,
                         bool create, const char *source, enum resource_outcome *ret_outcome,
                         struct resource *ret, struct build *ret_build, struct error *err)
{
    const struct write_request w = {body, create, false, source, NULL};
    int result = write_resource(s, t, &w, ret_outcome, ret, ret_build, err);

    state_wake(s); /* not before the resource and its build are both there */
    return result;
}

int resource_record(struct state *s, const struct build *b, const char *image, struct error *err)
{
    struct target t = build_target(b);
    const char *colon = b->purpose == BUILD_FOR_TEMPLATE && image ? strrchr(image, ':') : NULL;
    struct build made = *b;
    char version[256]; /* "name:1"; of an empty volume there is none */

    if (!image)
        return 0;
    if (colon)
        COPY_TEXT(made.tag, colon + 1);
    QUERY(use, s->db,
          "update resources set image = ?, updated = ? where workspace = ? and type = ? and "
          "name = ?");
    query_text(&use, image);
    query_int(&use, clock_now(&s->clock));
    bind_target(&use, &t);
    if (query_run(&use, NULL, err) < 0)
        return -1;
    QUERY(q, s->db, "update builds set tag = ? where id = ?");
    query_text(&q, made.tag);
    query_text(&q, b->id);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    if (event_add_progress(s, &made, TOLD_DONE, image, err) < 0)
        return -1;
    (void)snprintf(version, sizeof(version), "%.*s", (int)strcspn(image, " "), image);
    return webhook_add(s, &made, strchr(version, ':') ? version : "", "", true, err);
}

int state_resource_import(struct state *s, const struct target *t, const struct resource_body *body,
                          bool create, const char *source, const char *id,
                          enum resource_outcome *ret_outcome, struct resource *ret,
                          struct build *ret_build, struct error *err)
{
    const struct write_request w = {body, create, false, source, id};
    int result = write_resource(s, t, &w, ret_outcome, ret, ret_build, err);

    state_wake(s);
    return result;
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
    int rc = 0;

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
    while (query_row(&q, &rc, err)) {
        CLEANUP(resource_release) struct resource r = {.created = 0};

        if (resource_from_row(&q, &r, err) < 0)
            return -1;
        each(self, &r);
    }
    return rc;
}

static int tell_deletion(struct state *s, const struct target *t, struct error *err)
{
    static const char *const types[] = {[BUILD_FOR_RESOURCE] = "deployment.deleted",
                                        [BUILD_FOR_TEMPLATE] = "volumetemplate.deleted",
                                        [BUILD_FOR_VOLUME] = "volume.deleted"};

    return webhook_tell(
        s,
        &(const struct webhook_news){
            .type = types[purpose_of(t)], .of = *t, .build = "", .status = "DELETED"},
        err);
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
    if (changed && (builds_cancel(s, t, INT64_MAX, "its resource was deleted", err) < 0 ||
                    revisions_forget(s, t, err) < 0 || tell_deletion(s, t, err) < 0))
        return -1;
    if (tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}
