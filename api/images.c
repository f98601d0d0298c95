/* api/images — images as PROTOCOL.md 1.2, 2.8 and 5 show them. */
#include <string.h>

#include "api/call.h"
#include "api/image_ref.h"

static json_t *tag_json(const struct image_tag *g)
{
    return json_pack("{s:s, s:o, s:o, s:I}", "name", g->name, "createdAt",
                     api_json_time(g->created), "updatedAt", api_json_time(g->updated), "size",
                     (json_int_t)g->size);
}

struct tags {
    const char *only; /* NULL: all */
    json_t *array;
    int bad;
};

static void add_tag(void *self, const struct image_tag *g)
{
    struct tags *tags = self;

    if (!tags->only || strcmp(tags->only, g->name) == 0)
        tags->bad |= json_array_append_new(tags->array, tag_json(g));
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

/* only: the one tag to show, NULL for all.  *ret_tags: how many are shown. */
static int image_json(struct api_call *c, const struct image *i, const char *only, json_t **ret,
                      size_t *ret_tags, struct error *err)
{
    struct target t = {i->workspace, i->type, i->name};
    bool shared = strcmp(i->workspace, c->key.workspace) != 0;
    json_auto_t *tag_array = json_array();
    json_auto_t *events = NULL;
    struct tags tags = {.only = only, .array = tag_array};
    const char *status;
    char display[512];
    json_t *image;

    if (image_status(c, &t, i, &status, err) < 0 ||
        state_image_tags(c->config->state, &t, add_tag, &tags, err) < 0 ||
        api_json_check(tags.bad, err) < 0 || api_events(c, &t, BUILD_FOR_IMAGE, &events, err) < 0)
        return -1;
    (void)snprintf(display, sizeof(display), "%s/%s/%s/%s", c->config->registry_name, t.workspace,
                   t.type, t.name);
    image =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:s*, s:s, s:o, s:o, s:o, s:O}, s:{s:I, s:O}}", //
                  "metadata",                                                              //
                  "name", i->name, "displayName", display, "resourceType", i->type,        //
                  "workspace", c->key.workspace, "sourceWorkspace", shared ? t.workspace : NULL,
                  "status", status, //
                  "createdAt", api_json_time(i->created), "updatedAt", api_json_time(i->updated),
                  "lastDeployedAt", api_json_time(i->deployed), "events", events, //
                  "spec", "size", (json_int_t)i->size, "tags", tag_array);
    if (api_json_check(!image, err) < 0)
        return -1;
    *ret_tags = json_array_size(tag_array);
    *ret = image;
    return 0;
}

/* ---- lists ---- */

struct image_rows {
    struct image *rows;
    size_t n, cap;
    bool failed;
};

static void rows_release(struct image_rows *all)
{
    free(all->rows);
}

static void add_row(void *self, const struct image *i)
{
    struct image_rows *all = self;

    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct image *rows = reallocarray(all->rows, cap, sizeof(*rows));

        if (!rows) {
            all->failed = true;
            return;
        }
        all->rows = rows;
        all->cap = cap;
    }
    all->rows[all->n++] = *i;
}

int api_list_images(struct api_call *c, struct error *err)
{
    CLEANUP(rows_release) struct image_rows all = {.n = 0};
    json_auto_t *list = json_array();
    size_t n_tags;

    if (state_image_list(c->config->state, c->key.workspace, add_row, &all, err) < 0 ||
        api_json_check(all.failed, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++) {
        json_t *image;

        if (image_json(c, &all.rows[i], NULL, &image, &n_tags, err) < 0 ||
            api_json_check(json_array_append_new(list, image), err) < 0)
            return -1;
    }
    return api_response_json(c->resp, 200, list, err); /* bare in every version */
}

/* ---- one image ---- */

void api_refuse_image(struct api_call *c, const char *name, const char *tag)
{
    if (tag)
        api_refuse(c->resp, 404, "image tag not found",
                   "There is no tag %.128s of image %.49s/%.49s in this workspace. List its tags "
                   "with GET /v0/images/%.49s/%.49s.",
                   tag, c->args[0], name, c->args[0], name);
    else
        api_refuse(c->resp, 404, "image not found",
                   "There is no image %.49s/%.49s in this workspace. List the images with GET "
                   "/v0/images.",
                   c->args[0], name);
}

int api_load_image(struct api_call *c, const char *name, const char *tag, json_t **ret,
                   struct error *err)
{
    struct target t = {c->key.workspace, c->args[0], name};
    enum presence presence;
    struct image i;
    size_t n_tags;

    *ret = NULL;
    if (state_image_get(c->config->state, &t, &presence, &i, err) < 0)
        return -1;
    if (presence == ABSENT) {
        api_refuse_image(c, name, NULL);
        return 0;
    }
    if (image_json(c, &i, tag, ret, &n_tags, err) < 0)
        return -1;
    if (tag && n_tags == 0) {
        json_decref(*ret);
        *ret = NULL;
        api_refuse_image(c, name, tag);
    }
    return 0;
}

int api_get_image(struct api_call *c, struct error *err)
{
    json_auto_t *image = NULL;
    struct image_ref ref;

    if (!image_ref_parse(c->args[1], &ref)) {
        api_refuse_image(c, c->args[1], NULL);
        return 0;
    }
    if (api_load_image(c, ref.name, ref.tag, &image, err) < 0)
        return -1;
    return image ? api_response_json(c->resp, 200, image, err) : 0;
}

static void refuse_without_dockerfile(struct api_call *c, const char *name)
{
    api_refuse(c->resp, 404, "dockerfile not found",
               "No build of %.32s %.64s has come so far that its Dockerfile is known.", c->args[0],
               name);
}

int api_get_image_dockerfile(struct api_call *c, struct error *err)
{
    struct target t = {c->key.workspace, c->args[0], c->args[1]};
    enum presence presence;
    struct build b;

    if (state_build_newest(c->config->state, &t, &presence, &b, err) < 0)
        return -1;
    if (presence == PRESENT &&
        state_build_dockerfile(c->config->state, b.id, &c->resp->body, err) < 0)
        return -1;
    if (c->resp->body.len == 0) {
        refuse_without_dockerfile(c, t.name);
        return 0;
    }
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "text/plain; charset=utf-8");
    return 0;
}
