/* api/image_json — see the header. */
#include "api/image_json.h"

#include <string.h>

json_t *image_tag_json(const struct image_tag *g)
{
    return json_pack("{s:s, s:o, s:o, s:I}", "name", g->name, "createdAt",
                     api_json_time(g->created), "updatedAt", api_json_time(g->updated), "size",
                     (json_int_t)g->size);
}

struct tags {
    const char *only; /* NULL: all */
    json_t *array;    /* NULL: they are counted */
    size_t n;
    int bad;
};

static void add_tag(void *self, const struct image_tag *g)
{
    struct tags *tags = self;

    if (tags->only && strcmp(tags->only, g->name) != 0)
        return;
    tags->n++;
    if (tags->array)
        tags->bad |= json_array_append_new(tags->array, image_tag_json(g));
}

/* What clients are told, and that they were told it.  An image whose builds were all cancelled
 * before one succeeded has failed: whoever waits for it should stop. */
static int image_status(struct api_call *c, const struct target *t, const struct image *i,
                        const char **ret, struct error *err)
{
    enum presence presence;
    enum status status;
    struct build b;

    if (state_build_newest(c->config->state, t, &presence, &b, err) < 0)
        return -1;
    if (presence == ABSENT) {
        *ret = status_name(i->deployed ? STATUS_BUILT : STATUS_FAILED);
        return 0;
    }
    status = build_status(&b, BUILD_FOR_IMAGE, c->now);
    if (status == STATUS_BUILDING && !b.building_seen &&
        state_build_seen(c->config->state, b.id, err) < 0)
        return -1;
    *ret = status_name(status);
    return 0;
}

static bool is_of_share(const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));

    return type && strstr(type, ".imageshare.");
}

static const char *time_of(const json_t *event)
{
    const char *time = json_string_value(json_object_get(event, "time"));

    return time ? time : "";
}

/* Of an image that another workspace shares: what was built, and how it came to be shared with
 * this one; with whom else it is shared is for its owner to know. */
static int merge_events(const json_t *owners, const json_t *own, json_t *out)
{
    size_t i = 0;
    size_t j = 0;
    int bad = 0;

    while (i < json_array_size(owners) || j < json_array_size(own)) {
        json_t *a = json_array_get(owners, i);
        json_t *b = json_array_get(own, j);

        if (a && (!b || strcmp(time_of(a), time_of(b)) <= 0)) {
            bad |= is_of_share(a) ? 0 : json_array_append(out, a);
            i++;
        } else {
            bad |= is_of_share(b) ? json_array_append(out, b) : 0;
            j++;
        }
    }
    return bad;
}

static int image_events(struct api_call *c, const struct target *t, bool shared, json_t **ret,
                        struct error *err)
{
    const struct target seen = {c->key.workspace, t->type, t->name};
    json_auto_t *owners = NULL;
    json_auto_t *own = NULL;
    json_auto_t *out = json_array();

    if (!shared)
        return api_events(c, t, BUILD_FOR_IMAGE, ret, err);
    if (api_events(c, t, BUILD_FOR_IMAGE, &owners, err) < 0 ||
        api_events(c, &seen, BUILD_FOR_IMAGE, &own, err) < 0 ||
        api_json_check(merge_events(owners, own, out), err) < 0)
        return -1;
    *ret = TAKE(out);
    return 0;
}

int image_json(struct api_call *c, const struct image *i, const char *only, json_t **ret,
               size_t *ret_tags, struct error *err)
{
    struct target t = {i->workspace, i->type, i->name};
    bool shared = strcmp(i->workspace, c->key.workspace) != 0;
    json_auto_t *tag_array = c->catalog ? NULL : json_array();
    json_auto_t *events = NULL;
    struct tags tags = {.only = only, .array = tag_array};
    const char *status;
    char display[512];
    json_t *image;

    if (image_status(c, &t, i, &status, err) < 0 ||
        state_image_tags(c->config->state, &t, add_tag, &tags, err) < 0 ||
        api_json_check(tags.bad, err) < 0 || image_events(c, &t, shared, &events, err) < 0)
        return -1;
    (void)snprintf(display, sizeof(display), "%s/%s/%s/%s", c->config->registry_name, t.workspace,
                   t.type, t.name);
    image =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:s*, s:s, s:o, s:o, s:o, s:O}, s:{s:I, s:O*, s:o*}}", //
                  "metadata",                                                                     //
                  "name", i->name, "displayName", display, "resourceType", i->type,               //
                  "workspace", c->key.workspace, "sourceWorkspace", shared ? t.workspace : NULL,
                  "status", status, //
                  "createdAt", api_json_time(i->created), "updatedAt", api_json_time(i->updated),
                  "lastDeployedAt", api_json_time(i->deployed), "events", events, //
                  "spec", "size", (json_int_t)i->size, "tags", tag_array, "tagCount",
                  c->catalog ? json_integer((json_int_t)tags.n) : NULL);
    if (api_json_check(!image, err) < 0)
        return -1;
    *ret_tags = tags.n;
    *ret = image;
    return 0;
}
