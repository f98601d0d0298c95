/* api/resources — all kinds of resources: one implementation, since most differ in their names only
 * (kind.c).  What a client sends is draft.c's, what it is shown resource_json.c's. */
#include <string.h>

#include "api/draft.h"

static struct target target_of(const struct api_call *c, const char *name)
{
    return (struct target){c->key.workspace, c->kind->type, name};
}

void api_refuse_absent(struct api_call *c, const char *name)
{
    char error[160];

    (void)snprintf(error, sizeof(error), "%s %.64s not found", c->kind->plural, name);
    api_refuse(c->resp, 404, error,
               "There is no %s called %.64s in this workspace. Create it with POST /v0/%s.",
               c->kind->type, name, c->kind->plural);
}

int api_answer_resource(struct api_call *c, const struct resource *r, const char *status,
                        struct error *err)
{
    json_auto_t *answer = NULL;

    if (api_resource_json(c, r, &answer, err) < 0)
        return -1;
    if (status &&
        api_json_check(json_object_set_new(answer, "status", json_string(status)), err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_load_resource(struct api_call *c, const char *name, enum presence *ret_presence,
                      struct resource *ret, struct error *err)
{
    struct target t = target_of(c, name);

    *ret_presence = ABSENT;
    if (!api_check_host(c))
        return 0;
    if (state_resource_get(c->config->state, &t, ret_presence, ret, err) < 0)
        return -1;
    if (*ret_presence == ABSENT)
        api_refuse_absent(c, name);
    return 0;
}

int api_answer_named(struct api_call *c, const char *name, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    enum presence presence;

    if (api_load_resource(c, name, &presence, &r, err) < 0)
        return -1;
    return presence == PRESENT ? api_answer_resource(c, &r, NULL, err) : 0;
}

int api_get_resource(struct api_call *c, struct error *err)
{
    return api_answer_named(c, c->args[0], err);
}

int api_delete_resource(struct api_call *c, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    struct target t = target_of(c, c->args[0]);
    enum presence presence;

    if (api_load_resource(c, c->args[0], &presence, &r, err) < 0)
        return -1;
    if (presence == ABSENT)
        return 0;
    if (api_answer_resource(c, &r, "DELETING", err) < 0 ||
        state_resource_delete(c->config->state, &t, &presence, err) < 0)
        return -1;
    if (presence == ABSENT)
        api_refuse_absent(c, c->args[0]);
    return 0;
}

/* ---- write ---- */

static void refuse_existing(struct api_call *c, const char *name)
{
    char error[NAME_SIZE];

    (void)snprintf(error, sizeof(error), "%s_already_exists", c->kind->type);
    api_refuse(
        c->resp, 409, error,
        "There is a %s called %s already. Replace it with PUT /v0/%s/%s, or delete it first.",
        c->kind->type, name, c->kind->plural, name);
}

static int upload_resource(struct api_call *c, const struct draft *d, bool create,
                           enum resource_outcome *ret_outcome, struct resource *ret,
                           struct build *ret_build, struct error *err)
{
    const struct resource_body body = draft_body(d);
    struct target t = target_of(c, d->name);

    return state_resource_write(c->config->state, &t, &body, create,
                                api_request_flag(c->req, "upload"), ret_outcome, ret, ret_build,
                                err);
}

static int import_resource(struct api_call *c, const struct draft *d, bool create,
                           enum resource_outcome *ret_outcome, struct resource *ret,
                           struct build *ret_build, struct error *err)
{
    const struct resource_body body = draft_body(d);
    struct target t = target_of(c, d->name);
    char id[BUILD_ID], source[BUILD_SOURCE];
    int result;

    if (api_import_prepare(c, &d->import, id, source, err) < 0)
        return -1;
    result = state_resource_import(c->config->state, &t, &body, create, source, id, ret_outcome,
                                   ret, ret_build, err);
    if (result < 0 || *ret_outcome != RESOURCE_WRITTEN)
        credentials_forget(c->config->credentials_dir, id);
    return result;
}

/* Of a write that begins a build; what is there already is not made again. */
static int check_quota(struct api_call *c, const struct draft *d, bool create, bool *ret_allowed,
                       struct error *err)
{
    CLEANUP(resource_release) struct resource old = {.created = 0};
    struct target t = target_of(c, d->name);
    enum presence presence = ABSENT;

    *ret_allowed = true;
    if (!api_request_flag(c->req, "upload") && d->import.kind != IMPORT_PULL)
        return 0;
    if (create && state_resource_get(c->config->state, &t, &presence, &old, err) < 0)
        return -1;
    return presence == PRESENT ? 0 : api_check_quota(c, t.type, ret_allowed, err);
}

static int write_resource(struct api_call *c, const struct draft *d, bool create, struct error *err)
{
    CLEANUP(resource_release) struct resource r = {.created = 0};
    bool upload = api_request_flag(c->req, "upload");
    enum resource_outcome outcome;
    struct build b;
    bool allowed;

    if (check_quota(c, d, create, &allowed, err) < 0)
        return -1;
    if (!allowed)
        return 0;
    if ((d->import.kind == IMPORT_PULL ? import_resource(c, d, create, &outcome, &r, &b, err)
                                       : upload_resource(c, d, create, &outcome, &r, &b, err)) < 0)
        return -1;
    if (outcome == RESOURCE_EXISTS && api_request_flag(c->req, "createIfNotExist"))
        return api_answer_named(c, d->name, err);
    if (outcome == RESOURCE_EXISTS)
        refuse_existing(c, d->name);
    if (outcome == RESOURCE_ABSENT)
        api_refuse_absent(c, d->name);
    if (outcome != RESOURCE_WRITTEN)
        return 0;
    if (upload && api_answer_upload_url(c, &b, err) < 0)
        return -1;
    return api_answer_resource(c, &r, NULL, err);
}

int api_post_resource(struct api_call *c, struct error *err)
{
    CLEANUP(draft_release) struct draft d = {.metadata = NULL};
    bool accepted;

    if (!api_check_host(c))
        return 0;
    if (api_draft(c, NULL, &d, &accepted, err) < 0)
        return -1;
    return accepted ? write_resource(c, &d, true, err) : 0;
}

int api_put_resource(struct api_call *c, struct error *err)
{
    CLEANUP(draft_release) struct draft d = {.metadata = NULL};
    bool accepted;

    if (!api_check_host(c))
        return 0;
    if (api_draft(c, c->args[0], &d, &accepted, err) < 0)
        return -1;
    return accepted ? write_resource(c, &d, false, err) : 0;
}
