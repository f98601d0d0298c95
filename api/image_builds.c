/* api/image_builds — POST /v0/images: the build of an image is asked for, of an archive that is to
 * be uploaded (PROTOCOL.md 1.2), of a git source, which needs no upload, or of another registry's
 * image, which is imported (1.6). */
#include <string.h>

#include "api/import.h"

#define DEFAULT_TYPE "sandbox"

/* Which image, and of what; borrowed from the body. */
struct order {
    const char *type, *name;
    const json_t *source;   /* spec.source; NULL: none */
    const json_t *image;    /* to import; NULL: none */
    const json_t *no_cache; /* NULL: not said */
};

/* The clients say name and resourceType at the top; an image as it is shown has them in metadata.
 */
static const char *text_of(const json_t *body, const char *field)
{
    const json_t *metadata = json_object_get(body, "metadata");
    const char *top = json_string_value(json_object_get(body, field));

    return top ? top : json_string_value(json_object_get(metadata, field));
}

static struct order read_order(const json_t *body)
{
    struct order o = {.type = text_of(body, "resourceType"), .name = text_of(body, "name")};

    o.no_cache = json_object_get(body, "noCache");
    o.source = json_object_get(json_object_get(body, "spec"), "source");
    if (json_is_null(o.source))
        o.source = NULL;
    o.image = json_object_get(body, "image");
    if (json_is_null(o.image))
        o.image = NULL;
    if (o.source && !o.type)
        o.type = DEFAULT_TYPE;
    return o;
}

static bool check_order(struct api_call *c, const struct order *o)
{
    const bool upload = api_request_flag(c->req, "upload");

    if (!upload && !o->source && !o->image) {
        api_refuse(c->resp, 400, "invalid_source",
                   "There is nothing to build: ask with POST /v0/images?upload=true and upload the "
                   "sources, name a git repository in spec.source.git, or another registry's image "
                   "in image.");
        return false;
    }
    if (upload && o->source) {
        api_refuse(c->resp, 400, "invalid_source",
                   "A build is of an upload or of spec.source: leave out upload=true or the "
                   "source.");
        return false;
    }
    if (!o->type || !api_kind_of_image(o->type)) {
        api_refuse(c->resp, 400, "invalid_resource_type",
                   "The field resourceType must be sandbox, agent, function or job.");
        return false;
    }
    if (o->no_cache && !json_is_boolean(o->no_cache)) {
        api_refuse(c->resp, 400, "invalid_no_cache", "The field noCache must be true or false.");
        return false;
    }
    return api_check_name(c, "name", o->name);
}

/* The text of spec.source.git, when it is one that can be built; otherwise NULL, and resp holds the
 * refusal. */
static const char *check_source(struct api_call *c, const json_t *source)
{
    const json_t *git = json_object_get(source, "git");
    const char *text = json_string_value(git);
    struct error why = ERROR_INIT;
    struct upload_git parsed;

    if (!text || strlen(text) != json_string_length(git)) {
        api_refuse(c->resp, 400, "invalid_source",
                   "The field spec.source.git must be a string such as "
                   "https://host/repo.git#ref:subdir.");
        return NULL;
    }
    if (upload_git_parse(text, &parsed, &why) < 0) {
        api_refuse(c->resp, 400, "invalid_source", "The field spec.source.git: %s.", why.msg);
        return NULL;
    }
    return text;
}

static int build_upload(struct api_call *c, const struct target *t, bool no_cache,
                        struct error *err)
{
    json_auto_t *answer = NULL;
    struct build b;
    bool allowed;

    if (!api_check_host(c))
        return 0;
    if (api_check_quota(c, t->type, &allowed, err) < 0)
        return -1;
    if (!allowed)
        return 0;
    if (state_build_ask(
            c->config->state, t,
            &(struct build_order){.purpose = BUILD_FOR_IMAGE, .source = NULL, .no_cache = no_cache},
            &b, err) < 0)
        return -1;
    answer = json_pack("{s:s, s:s, s:s}", "message", "Image build initiated", "name", t->name,
                       "resourceType", t->type);
    if (api_json_check(!answer, err) < 0 || api_answer_upload_url(c, &b, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

static int build_source(struct api_call *c, const struct target *t, const json_t *source,
                        bool no_cache, struct error *err)
{
    const char *git = check_source(c, source);
    json_auto_t *answer = NULL;
    struct build b;
    bool allowed;

    if (!git)
        return 0;
    if (api_check_quota(c, t->type, &allowed, err) < 0)
        return -1;
    if (!allowed)
        return 0;
    if (state_build_ask(
            c->config->state, t,
            &(struct build_order){.purpose = BUILD_FOR_IMAGE, .source = git, .no_cache = no_cache},
            &b, err) < 0)
        return -1;
    answer = json_pack("{s:s, s:s, s:s, s:s, s:{s:s}}", "message", "Image build initiated", "name",
                       t->name, "resourceType", t->type, "tag", b.tag, "source", "git", git);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

static int answer_import(struct api_call *c, const struct target *t, const struct import *i,
                         struct error *err)
{
    const bool pull = i->kind == IMPORT_PULL;
    json_auto_t *answer =
        json_pack("{s:s, s:s, s:s, s:s, s:b}", "message",
                  pull ? "Image import initiated" : "Image registered as it is", "name", t->name,
                  "resourceType", t->type, "image", i->image, "build", (int)pull);

    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

static int import_image(struct api_call *c, const struct target *t, const json_t *body,
                        struct error *err)
{
    CLEANUP(import_release) struct import i;
    char id[BUILD_ID], source[BUILD_SOURCE];
    bool allowed = true;
    struct build b;

    if (api_import_read(c, json_object_get(body, "image"), json_object_get(body, "dockerConfig"),
                        api_request_flag(c->req, "skip-build"), &i, err) < 0)
        return -1;
    if (i.kind == IMPORT_PULL && api_check_quota(c, t->type, &allowed, err) < 0)
        return -1;
    if (i.kind == IMPORT_NOTHING || !allowed)
        return 0;
    if (i.kind == IMPORT_PULL &&
        (api_import_prepare(c, &i, id, source, err) < 0 ||
         state_build_ask(
             c->config->state, t,
             &(const struct build_order){.purpose = BUILD_FOR_IMAGE, .source = source, .id = id},
             &b, err) < 0))
        return -1;
    return answer_import(c, t, &i, err);
}

int api_post_image(struct api_call *c, struct error *err)
{
    json_auto_t *body = api_body(c);
    struct order o;

    if (!body)
        return 0;
    o = read_order(body);
    if (!check_order(c, &o))
        return 0;
    const struct target t = {c->key.workspace, o.type, o.name};

    if (o.source)
        return build_source(c, &t, o.source, json_is_true(o.no_cache), err);
    if (api_request_flag(c->req, "upload"))
        return build_upload(c, &t, json_is_true(o.no_cache), err);
    return import_image(c, &t, body, err);
}
