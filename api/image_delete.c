/* api/image_delete — an image or a tag is deleted, or all that no resource uses. */
#include <string.h>

#include "api/call.h"
#include "api/image_ref.h"

/* What is told of a deletion. */
struct deletion {
    struct api_call *c;
    json_t *names; /* NULL: nobody wants them */
    int bad;
};

/* The database has forgotten the image already; a registry that is down only keeps bytes longer. */
static void delete_manifest(void *self, const struct target *t, const char *digest)
{
    const struct deletion *d = self;
    const struct api_config *config = d->c->config;
    char repository[3 * NAME_SIZE];
    struct error err = ERROR_INIT;

    (void)snprintf(repository, sizeof(repository), "%s/%s/%s", t->workspace, t->type, t->name);
    if (registry_delete_image(config->registry, repository, digest, &err) < 0)
        api_log(config, "error: delete %s@%s: %s", repository, digest, err.msg);
}

static void delete_cache(struct api_call *c, const struct target *t)
{
    struct error err = ERROR_INIT;

    if (pipeline_forget_cache(c->config->registry, t, &err) < 0)
        api_log(c->config, "error: delete the cached steps of %s/%s/%s: %s", t->workspace, t->type,
                t->name, err.msg);
}

static void note_deleted(void *self, const struct target *t, const char *tag)
{
    struct deletion *d = self;

    if (!tag)
        delete_cache(d->c, t);
    if (d->names)
        d->bad |= json_array_append_new(
            d->names, json_sprintf("%s/%s%s%s", t->type, t->name, tag ? ":" : "", tag ? tag : ""));
}

static struct image_deleter deleter_of(struct deletion *d)
{
    return (struct image_deleter){.registry = d->c->config->registry_name,
                                  .deleted = note_deleted,
                                  .gone = delete_manifest,
                                  .self = d};
}

/* ---- one ---- */

static void refuse_used(struct api_call *c, const struct target *t, const char *tag,
                        const struct image_user *user)
{
    bool foreign = strcmp(user->workspace, t->workspace) != 0;

    api_refuse(c->resp, 409, "image_in_use",
               "The %s %s%s%s uses %s/%s%s%.128s. Give it another image or delete it first.",
               user->type, user->name, foreign ? " of the workspace " : "",
               foreign ? user->workspace : "", t->type, t->name, tag ? ":" : "", tag ? tag : "");
}

static void refuse_shared(struct api_call *c, const struct target *t)
{
    api_refuse(c->resp, 409, "image_shared",
               "The image %s/%s is shared with other workspaces. Unshare it first: GET "
               "/v0/images/%s/%s/share lists them.",
               t->type, t->name, t->type, t->name);
}

/* What another workspace shares with this one is not this one's to delete. */
static bool check_owner(struct api_call *c, const json_t *image)
{
    if (!json_object_get(json_object_get(image, "metadata"), "sourceWorkspace"))
        return true;
    api_refuse(c->resp, 403, "image_shared",
               "This image is another workspace's, which shares it: it can be deleted there.");
    return false;
}

static int answer_deletion(struct api_call *c, const struct target *t, const char *tag,
                           const json_t *image, enum image_deletion outcome,
                           const struct image_user *user, struct error *err)
{
    switch (outcome) {
    case IMAGE_DELETED:
        return api_response_json(c->resp, 200, image, err);
    case IMAGE_ABSENT:
        api_refuse_image(c, t->name, tag);
        return 0;
    case IMAGE_IN_USE:
        refuse_used(c, t, tag, user);
        break;
    case IMAGE_SHARED:
        refuse_shared(c, t);
        break;
    }
    return 0;
}

static int delete_image(struct api_call *c, const char *name, const char *tag, struct error *err)
{
    const struct target t = {c->key.workspace, c->args[0], name};
    struct deletion d = {.c = c};
    const struct image_deleter deleter = deleter_of(&d);
    json_auto_t *image = NULL;
    enum image_deletion outcome;
    struct image_user user;

    if (api_load_image(c, name, tag, &image, err) < 0)
        return -1;
    if (!image || !check_owner(c, image))
        return 0;
    if (state_image_delete(c->config->state, &t, tag, &deleter, &outcome, &user, err) < 0)
        return -1;
    return answer_deletion(c, &t, tag, image, outcome, &user, err);
}

int api_delete_image(struct api_call *c, struct error *err)
{
    struct image_ref ref;

    if (!image_ref_parse(c->args[1], &ref)) {
        api_refuse_image(c, c->args[1], NULL);
        return 0;
    }
    return delete_image(c, ref.name, ref.tag, err);
}

int api_delete_image_tag(struct api_call *c, struct error *err)
{
    return delete_image(c, c->args[1], c->args[2], err);
}

int api_make_way(struct api_call *c, const struct target *t, bool *ret_gone, struct error *err)
{
    struct deletion d = {.c = c};
    const struct image_deleter deleter = deleter_of(&d);
    enum image_deletion outcome;
    struct image_user user;

    if (state_image_delete(c->config->state, t, NULL, &deleter, &outcome, &user, err) < 0)
        return -1;
    *ret_gone = outcome == IMAGE_DELETED || outcome == IMAGE_ABSENT;
    if (outcome == IMAGE_IN_USE)
        refuse_used(c, t, NULL, &user);
    if (outcome == IMAGE_SHARED)
        refuse_shared(c, t);
    return 0;
}

/* ---- all that nobody uses ---- */

/* The SDKs read deleted, a number, and message (PROTOCOL.md 5). */
int api_clean_images(struct api_call *c, struct error *err)
{
    json_auto_t *names = json_array();
    json_auto_t *answer = NULL;
    struct deletion d = {.c = c, .names = names};
    const struct image_deleter deleter = deleter_of(&d);
    size_t n;

    if (api_json_check(!names, err) < 0 ||
        state_image_clean(c->config->state, c->key.workspace, &deleter, err) < 0 ||
        api_json_check(d.bad, err) < 0)
        return -1;
    n = json_array_size(names);
    answer = json_pack("{s:I, s:o, s:O}", "deleted", (json_int_t)n, "message",
                       n ? json_sprintf("Deleted %zu unused image%s or tag%s", n, n == 1 ? "" : "s",
                                        n == 1 ? "" : "s")
                         : json_string("There are no unused images"),
                       "images", names);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
