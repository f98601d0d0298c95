/* api/volume_templates — what volume templates have besides other resources: their versions, which
 * are the revisions in the workspace's store (PROTOCOL.md 2.7, 5). */
#include <string.h>

#include "api/draft.h"
#include "base/text.h"

bool api_size_of_spec(struct api_call *c, const json_t *spec, const char *field, uint64_t *ret)
{
    const json_t *value = json_object_get(spec, field);
    const json_int_t size = json_integer_value(value);
    const uint64_t max = c->config->places->volume_max;

    *ret = 0;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_integer(value) || size < 1) {
        api_refuse(c->resp, 400, "invalid_size",
                   "The field spec.%s must be a number of MB, such as 2048.", field);
        return false;
    }
    if ((uint64_t)size > max) {
        api_refuse(c->resp, 400, "QUOTA_EXCEEDED",
                   "The field spec.%s is %lld MB, and this server allows volumes of %llu MB.",
                   field, (long long)size, (unsigned long long)max);
        return false;
    }
    *ret = (uint64_t)size;
    return true;
}

bool api_check_template(struct api_call *c, const json_t *spec)
{
    uint64_t size;

    return api_size_of_spec(c, spec, "defaultSize", &size);
}

/* ---- showing ---- */

struct versions {
    const struct resource *resource;
    json_t *array;
    struct template_revision_info latest;
    int bad;
};

static void add_version(void *self, const struct template_revision_info *i)
{
    struct versions *v = self;

    v->bad |= json_array_append_new(
        v->array,
        json_pack("{s:o, s:s, s:I, s:s, s:o, s:s, s:o, s:I, s:I, s:I}", //
                  "name", api_json_number_text(i->ref.revision), "templateName", i->ref.name,
                  "contentSize", (json_int_t)i->content_size, "status", "READY", "versionId",
                  json_sprintf("sha256:%s", i->digest), "workspace", v->resource->workspace,
                  "createdAt", api_json_time(i->created), "imageSize", (json_int_t)i->image_size,
                  "bytesAdded", (json_int_t)i->bytes_added, "bytesShared",
                  (json_int_t)i->bytes_shared));
    v->latest = *i;
}

/* Whether the newest upload came to nothing. */
static int last_failed(struct api_call *c, const struct resource *r, bool *ret, struct error *err)
{
    enum presence presence = ABSENT;
    struct build b;

    if (r->build[0] && state_build_get(c->config->state, r->build, &presence, &b, err) < 0)
        return -1;
    *ret = presence == PRESENT && b.phase == BUILD_FAILED;
    return 0;
}

int api_describe_template(struct api_call *c, const struct resource *r, json_t *answer,
                          struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    struct versions v = {.resource = r};
    json_auto_t *array = v.array = json_array();
    const char *status;
    json_t *state;
    size_t n;
    bool failed;

    if (places_open_store(c->config->places, r->workspace, &s, err) < 0 ||
        (s && template_revisions(s, r->name, add_version, &v, err) < 0) ||
        last_failed(c, r, &failed, err) < 0 || api_json_check(v.bad, err) < 0)
        return -1;
    n = json_array_size(array);
    status = failed ? "error" : n ? "ready" : "created";
    state = json_pack("{s:s, s:o, s:I, s:o}", "status", status, "latestVersion",
                      n ? api_json_number_text(v.latest.ref.revision) : json_null(), "versionCount",
                      (json_int_t)n, "lastVersionUploadedAt", api_json_time(v.latest.created));
    return api_json_check(json_object_set_new(answer, "state", state) |
                              json_object_set(answer, "versions", array),
                          err);
}

/* ---- deleting ---- */

/* revision 0: all.  What is gone already is fine.  Its bytes are collected later. */
static int remove_revision(struct api_call *c, const char *name, uint64_t revision,
                           struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    struct template_ref ref = {.revision = revision};

    (void)snprintf(ref.name, sizeof(ref.name), "%.49s", name);
    if (places_open_store(c->config->places, c->key.workspace, &s, err) < 0)
        return -1;
    if (!s)
        return 0;
    if (template_remove(s, &ref, err) < 0 && err->kind != ERR_INPUT)
        return -1;
    err->kind = ERR_NONE;
    return places_collect_later(c->config->state, c->key.workspace, err);
}

/* The versions first, so that whoever asks again after a crash finds the resource; and once more,
 * as a pack may have ended in between. */
int api_delete_template(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    enum presence presence;

    c->kind = api_kind_of_type(TYPE_TEMPLATE);
    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (remove_revision(c, r.name, 0, err) < 0 || api_delete_resource(c, err) < 0)
        return -1;
    return remove_revision(c, r.name, 0, err);
}

struct wanted {
    uint64_t revision;
    size_t n;
    bool there;
};

static void look_for(void *self, const struct template_revision_info *i)
{
    struct wanted *w = self;

    w->n++;
    w->there = w->there || i->ref.revision == w->revision;
}

static int find_version(struct api_call *c, const char *name, const char *version,
                        struct wanted *ret, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;

    *ret = (struct wanted){.there = false};
    if (!text_to_u64(version, UINT32_MAX, &ret->revision))
        return 0;
    if (places_open_store(c->config->places, c->key.workspace, &s, err) < 0)
        return -1;
    return s ? template_revisions(s, name, look_for, ret, err) : 0;
}

static int delete_version(struct api_call *c, const struct resource *r, uint64_t revision,
                          struct error *err)
{
    json_auto_t *answer = NULL;
    json_t *shown;

    if (remove_revision(c, r->name, revision, err) < 0 || api_resource_json(c, r, &shown, err) < 0)
        return -1;
    answer = json_pack(
        "{s:o, s:o}", "message",
        json_sprintf("Version %llu of %s is deleted", (unsigned long long)revision, r->name),
        "template", shown);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_delete_template_version(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    enum presence presence;
    struct wanted w;

    c->kind = api_kind_of_type(TYPE_TEMPLATE);
    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (find_version(c, r.name, c->args[1], &w, err) < 0)
        return -1;
    if (!w.there) {
        api_refuse(c->resp, 404, "version not found",
                   "The volume template %.64s has no version %.32s. Its versions are listed by GET "
                   "/v0/volume_templates/%.64s.",
                   r.name, c->args[1], r.name);
        return 0;
    }
    if (w.n == 1) {
        api_refuse(
            c->resp, 400, "cannot delete the only version",
            "Version %s is the only one of the volume template. Delete the template instead: "
            "DELETE /v0/volume_templates/%.64s.",
            c->args[1], r.name);
        return 0;
    }
    return delete_version(c, &r, w.revision, err);
}
