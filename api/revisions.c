/* api/revisions — GET /v0/{kind}/{name}/revisions: what a resource was, write by write (the SDKs'
 * RevisionMetadata). */
#include <string.h>

#include "api/draft.h"

#define REVISIONS_MAX 100 /* state_revision_list gives no more */

struct revisions {
    struct revision rows[REVISIONS_MAX];
    size_t n;
};

static void collect(void *self, const struct revision *r)
{
    struct revisions *all = self;

    if (all->n < REVISIONS_MAX)
        all->rows[all->n++] = *r;
}

/* What the answer has told already. */
struct telling {
    json_t *array;
    unsigned deployed; /* revisions, among them the active one */
};

static int add(struct api_call *c, const struct revision *r, struct telling *to, struct error *err)
{
    enum presence presence = ABSENT;
    enum status status = STATUS_DEPLOYED; /* where there was nothing to build */
    char id[24];
    struct build b;
    bool active, previous;

    if (r->build[0] && state_build_get(c->config->state, r->build, &presence, &b, err) < 0)
        return -1;
    if (presence == PRESENT && b.phase == BUILD_CANCELLED)
        return 0; /* a newer one took its place before it came to anything */
    if (presence == PRESENT)
        status = build_status(&b, c->kind->purpose, c->now);
    (void)snprintf(id, sizeof(id), "%s", r->id);
    if (!id[0] && presence == PRESENT && b.tag[0])
        (void)snprintf(id, sizeof(id), "%s", b.tag); /* the number of a template's version */
    if (!id[0])
        (void)snprintf(id, sizeof(id), "%lld", (long long)r->number);
    to->deployed += status == STATUS_DEPLOYED;
    active = status == STATUS_DEPLOYED && to->deployed == 1;
    previous = status == STATUS_DEPLOYED && to->deployed == 2;
    return api_json_check(
        json_array_append_new(to->array,
                              json_pack("{s:s, s:b, s:b, s:b, s:s, s:o, s:s, s:i}", //
                                        "id", id, "active", active, "previousActive", previous,
                                        "canary", false, "status", status_name(status), "createdAt",
                                        api_json_time(r->created), "createdBy", r->created_by,
                                        "trafficPercent", active ? 100 : 0)),
        err);
}

int api_list_revisions(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    const struct target t = {c->key.workspace, c->kind->type, c->args[0]};
    json_auto_t *array = json_array();
    struct telling to = {.array = array};
    struct revisions all = {.n = 0};
    enum presence presence;

    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (state_revision_list(c->config->state, &t, collect, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (add(c, &all.rows[i], &to, err) < 0)
            return -1;
    return api_response_json(c->resp, 200, array, err);
}
