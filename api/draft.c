/* api/draft — what a client says about a resource, checked and cleaned (PROTOCOL.md 2.2, 5).
 *
 * Clients send more than the published schema knows, so the rule is to keep what is not understood.
 * Taken out are the fields that the server fills in, and registry credentials, which have no
 * business in a database. */
#include <string.h>

#include "api/draft.h"

#define DISPLAY_NAME_MAX 63
#define EXTERNAL_ID_MAX  64
#define OTHERS_MAX       16384 /* bytes of JSON */

void draft_release(struct draft *d)
{
    free(d->metadata);
    free(d->spec);
    free(d->others);
    d->metadata = d->spec = d->others = NULL;
    import_release(&d->import);
}

static void drop_server_fields(json_t *metadata)
{
    static const char *const owned[] = {"name",      "workspace", "createdAt", "updatedAt",
                                        "createdBy", "updatedBy", "url",       "plan"};

    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        (void)json_object_del(metadata, owned[i]);
}

static bool check_labels(struct api_call *c, const json_t *labels)
{
    const char *key;
    json_t *value;

    if (!labels || json_is_null(labels))
        return true;
    if (!json_is_object(labels)) {
        api_refuse(
            c->resp, 400, "invalid_labels",
            "The field metadata.labels must be an object of strings, such as {\"team\":\"core\"}.");
        return false;
    }
    json_object_foreach ((json_t *)labels, key, value) {
        if (json_is_string(value))
            continue;
        api_refuse(c->resp, 400, "invalid_labels",
                   "The value of the label %.64s must be a string: put it in quotes.", key);
        return false;
    }
    return true;
}

static bool check_text(struct api_call *c, const json_t *metadata, const char *field, size_t max)
{
    const json_t *value = json_object_get(metadata, field);

    if (!value || json_is_null(value) ||
        (json_is_string(value) && json_string_length(value) <= max))
        return true;
    api_refuse(c->resp, 400, "invalid_metadata",
               "The field metadata.%s must be a string of at most %zu bytes.", field, max);
    return false;
}

/* An optional member that must be an object; *ret is an empty one without it. */
static bool take_object(struct api_call *c, json_t *parent, const char *where, const char *field,
                        json_t **ret)
{
    json_t *value = json_object_get(parent, field);

    if (!value || json_is_null(value)) {
        *ret = json_object();
        return true;
    }
    if (!json_is_object(value)) {
        api_refuse(c->resp, 400, "invalid_body", "The field %s%s must be an object, {…}.", where,
                   field);
        return false;
    }
    *ret = json_incref(value);
    return true;
}

static bool take_name(struct api_call *c, const json_t *metadata, const char *path_name,
                      struct draft *d)
{
    const json_t *value = json_object_get(metadata, "name");
    const char *said = json_string_value(value);
    const char *name = path_name && !value ? path_name : said;

    if (!api_check_name(c, "metadata.name", name))
        return false;
    if (path_name && strcmp(name, path_name) != 0) {
        api_refuse(c->resp, 400, "invalid_name",
                   "The field metadata.name is not the name in the URL. A name cannot be changed: "
                   "send the "
                   "same in both, or create another resource.");
        return false;
    }
    (void)snprintf(d->name, sizeof(d->name), "%s", name);
    return true;
}

static const char *writer_of(const struct api_call *c)
{
    return c->key.label[0] ? c->key.label : c->key.id;
}

/* Who made it stays, whoever changes it.  old: what is there now, or all NULL. */
static int stamp(struct api_call *c, const struct resource *old, json_t *metadata,
                 struct error *err)
{
    json_auto_t *old_metadata = old->metadata ? json_loads(old->metadata, 0, NULL) : NULL;
    const char *creator = json_string_value(json_object_get(old_metadata, "createdBy"));
    int bad;

    bad = json_object_set_new(metadata, "createdBy", json_string(creator ? creator : writer_of(c)));
    bad |= json_object_set_new(metadata, "updatedBy", json_string(writer_of(c)));
    return api_json_check(bad, err);
}

/* What the body says beside metadata and spec, but for what the server fills in. */
static void drop_known_members(json_t *body)
{
    static const char *const known[] = {"metadata",   "spec",           "status",      "state",
                                        "events",     "errors",         "versions",    "expiresIn",
                                        "lastUsedAt", "nodeGeneration", "terminatedAt"};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        (void)json_object_del(body, known[i]);
}

/* An update leaves those that it does not name, as a client that does not know them would drop
 * them; null removes one. */
static int merge_others(const char *old, json_t *others)
{
    json_auto_t *before = old && *old ? json_loads(old, 0, NULL) : NULL;
    const char *key;
    json_t *value;
    void *next;

    if (before && json_object_update_missing(others, before) < 0)
        return -1;
    json_object_foreach_safe(others, next, key, value) if (json_is_null(value))(void)
        json_object_del(others, key);
    return 0;
}

static int keep_others(struct api_call *c, json_t *body, const char *old, struct draft *d,
                       bool *ret_accepted, struct error *err)
{
    drop_known_members(body);
    if (api_json_check(merge_others(old, body), err) < 0)
        return -1;
    if (json_object_size(body) == 0)
        return 0;
    d->others = json_dumps(body, JSON_COMPACT);
    if (api_json_check(!d->others, err) < 0)
        return -1;
    if (strlen(d->others) <= OTHERS_MAX)
        return 0;
    *ret_accepted = false;
    api_refuse(c->resp, 400, "too_many_fields",
               "The fields beside metadata and spec, which Kiln keeps as they are, have %zu bytes; "
               "they may have %d.",
               strlen(d->others), OTHERS_MAX);
    return 0;
}

static int store(struct draft *d, const json_t *metadata, const json_t *spec, struct error *err)
{
    d->metadata = json_dumps(metadata, JSON_COMPACT);
    d->spec = json_dumps(spec, JSON_COMPACT);
    return api_json_check(!d->metadata || !d->spec, err);
}

/* skipBuild is the string "true" (PROTOCOL.md 2.6). */
static bool is_true(const json_t *value)
{
    const char *text = json_string_value(value);

    return json_is_true(value) || (text && strcmp(text, "true") == 0);
}

/* With an upload the image is what comes of that, whatever the spec names. */
static int read_import(struct api_call *c, const json_t *runtime, struct draft *d,
                       bool *ret_accepted, struct error *err)
{
    const json_t *image = json_object_get(runtime, "image");
    const char *text = json_string_value(image);

    if (!text || !*text || api_request_flag(c->req, "upload"))
        return 0;
    if (api_import_read(c, image, json_object_get(runtime, "dockerConfig"),
                        is_true(json_object_get(runtime, "skipBuild")), &d->import, err) < 0)
        return -1;
    *ret_accepted = d->import.kind != IMPORT_NOTHING;
    return 0;
}

int api_draft(struct api_call *c, const char *name, struct draft *ret, bool *ret_accepted,
              struct error *err)
{
    json_auto_t *body = api_body(c);
    json_auto_t *metadata = NULL;
    json_auto_t *spec = NULL;
    json_auto_t *runtime = NULL;
    CLEANUP(resource_release) struct resource old = {.created = 0};
    struct target t = {c->key.workspace, c->kind->type, ret->name};
    enum presence presence;

    *ret_accepted = body && take_object(c, body, "", "metadata", &metadata) &&
                    take_object(c, body, "", "spec", &spec) &&
                    take_object(c, spec, "spec.", "runtime", &runtime) &&
                    take_name(c, metadata, name, ret) &&
                    check_labels(c, json_object_get(metadata, "labels")) &&
                    check_text(c, metadata, "displayName", DISPLAY_NAME_MAX) &&
                    check_text(c, metadata, "externalId", EXTERNAL_ID_MAX) &&
                    (!c->kind->check || c->kind->check(c, spec));
    if (!*ret_accepted)
        return 0;
    if (read_import(c, runtime, ret, ret_accepted, err) < 0)
        return -1;
    if (!*ret_accepted)
        return 0;
    drop_server_fields(metadata);
    (void)json_object_del(runtime, "dockerConfig");
    (void)json_object_del(runtime, "skipBuild");
    if (state_resource_get(c->config->state, &t, &presence, &old, err) < 0 ||
        keep_others(c, body, name ? old.others : NULL, ret, ret_accepted, err) < 0)
        return -1;
    if (!*ret_accepted)
        return 0;
    return stamp(c, &old, metadata, err) < 0 ? -1 : store(ret, metadata, spec, err);
}
