/* api/resource_json — a resource as its owner may see it now: what was stored, what the server
 * owns, the status of its build, and the image once that is deployed. */
#include <string.h>

#include "api/draft.h"

/* What stands for the resource's build; a resource that never asked for one has nothing to wait
 * for.
 */
struct progress {
    bool has_build;
    struct build build;
    enum status status;
};

static int load_progress(struct api_call *c, const struct resource *r, struct progress *ret,
                         struct error *err)
{
    enum presence presence = ABSENT;

    if (r->build[0] && state_build_get(c->config->state, r->build, &presence, &ret->build, err) < 0)
        return -1;
    ret->has_build = presence == PRESENT;
    ret->status =
        ret->has_build ? build_status(&ret->build, c->kind->purpose, c->now) : STATUS_DEPLOYED;
    if (ret->status == STATUS_BUILDING && !ret->build.building_seen)
        return state_build_seen(c->config->state, r->build, err);
    if (ret->status == STATUS_DEPLOYING && !ret->build.deploying_seen)
        return state_build_deploying_seen(c->config->state, r->build, err);
    return 0;
}

/* ---- the image ---- */

struct previous {
    const char *newest; /* a tag */
    char tag[BUILD_TAG];
};

static void keep_previous(void *self, const struct image_tag *g)
{
    struct previous *p = self;

    /* The newest come first. */
    if (!p->tag[0] && strcmp(g->name, "latest") != 0 && strcmp(g->name, p->newest) != 0)
        (void)snprintf(p->tag, sizeof(p->tag), "%.12s", g->name);
}

/* r->image is that of the last success, which a client must not see before DEPLOYED: until then it
 * is shown the one before. */
static int shown_image(struct api_call *c, const struct resource *r, const struct progress *p,
                       char image[256], struct error *err)
{
    struct target t = {r->workspace, r->type, r->name};
    struct previous previous = {.newest = p->build.tag};

    if (!p->has_build || p->status == STATUS_DEPLOYED || p->build.phase != BUILD_SUCCEEDED) {
        memcpy(image, r->image, sizeof(r->image));
        return 0;
    }
    if (state_image_tags(c->config->state, &t, keep_previous, &previous, err) < 0)
        return -1;
    image[0] = '\0';
    if (previous.tag[0])
        (void)snprintf(image, 256, "%s/%s:%s", r->type, r->name, previous.tag);
    return 0;
}

static int put_image(json_t *spec, const char *image)
{
    json_t *runtime = json_object_get(spec, "runtime");

    if (!image[0]) {
        if (runtime)
            (void)json_object_del(runtime, "image");
        return 0;
    }
    if (!json_is_object(runtime) && json_object_set_new(spec, "runtime", json_object()) < 0)
        return -1;
    return json_object_set_new(json_object_get(spec, "runtime"), "image", json_string(image));
}

/* ---- the whole ---- */

static int put_metadata(struct api_call *c, json_t *metadata, const struct resource *r)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(1024);
    int bad = 0;

    /* Kiln runs nothing: the URL is where the resource is described. */
    api_base_url(c, &url);
    buf_addf(&url, "/v0/%s/%s", api_kind_of_type(r->type)->plural, r->name);
    bad |= json_object_set_new(metadata, "name", json_string(r->name));
    bad |= json_object_set_new(metadata, "workspace", json_string(r->workspace));
    bad |= json_object_set_new(metadata, "createdAt", api_json_time(r->created));
    bad |= json_object_set_new(metadata, "updatedAt", api_json_time(r->updated));
    bad |= json_object_set_new(metadata, "url", json_string(buf_str(&url)));
    return bad;
}

int api_resource_json(struct api_call *c, const struct resource *r, json_t **ret, struct error *err)
{
    struct target t = {r->workspace, r->type, r->name};
    json_auto_t *metadata = json_loads(r->metadata, 0, NULL);
    json_auto_t *spec = json_loads(r->spec, 0, NULL);
    json_auto_t *others = r->others[0] ? json_loads(r->others, 0, NULL) : NULL;
    json_auto_t *events = NULL;
    struct progress progress;
    char image[256];
    json_t *answer;

    if (!json_is_object(metadata) || !json_is_object(spec))
        return error_set(err, ERR_SYSTEM, "read %s %s: what is stored is not JSON", r->type,
                         r->name);
    if (load_progress(c, r, &progress, err) < 0 || shown_image(c, r, &progress, image, err) < 0 ||
        api_events(c, &t, c->kind->purpose, &events, err) < 0 ||
        api_json_check(put_metadata(c, metadata, r), err) < 0 ||
        (c->kind->purpose == BUILD_FOR_RESOURCE && api_json_check(put_image(spec, image), err) < 0))
        return -1;
    answer = json_pack("{s:O, s:O, s:s, s:O}", "metadata", metadata, "spec", spec, "status",
                       status_name(progress.status), "events", events);
    if (api_json_check(!answer, err) < 0)
        return -1;
    if (c->kind->describe && c->kind->describe(c, r, answer, err) < 0) {
        json_decref(answer);
        return -1;
    }
    if (others && api_json_check(json_object_update_missing(answer, others), err) < 0) {
        json_decref(answer);
        return -1;
    }
    *ret = answer;
    return 0;
}
