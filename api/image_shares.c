/* api/image_shares — images that several workspaces see (PRODUCT.md "Sharing"). */
#include <string.h>

#include "api/call.h"

#define OFFER_STANDS (INT64_C(7) * 86400 * NS_PER_SEC)

static struct target path_target(const struct api_call *c)
{
    return (struct target){c->key.workspace, c->args[0], c->args[1]};
}

/* Whoever shares within the account has to be an admin of both workspaces, as only a key of it is.
 * With another account, one of either side has to agree. */
static bool check_both_sides(struct api_call *c)
{
    if (c->whole_account)
        return true;
    api_refuse(c->resp, 403, "forbidden",
               "Sharing is for who is admin of both workspaces: use a key of their account, from "
               "`kiln key create --account NAME`.");
    return false;
}

static int answer_image(struct api_call *c, struct error *err)
{
    json_auto_t *image = NULL;

    if (api_load_image(c, c->args[1], NULL, &image, err) < 0)
        return -1;
    return image ? api_response_json(c->resp, 200, image, err) : 0;
}

/* ---- list ---- */

struct listing {
    const struct target *image;
    json_t *array;
    int bad;
};

static void add_target(void *self, const struct workspace *w)
{
    struct listing *l = self;

    l->bad |= json_array_append_new(l->array, json_pack("{s:s, s:s, s:s, s:s}", "workspace",
                                                        w->name, "accountId", w->account, "status",
                                                        "active", "workspaceDisplayName", w->name));
}

static void add_offer(void *self, const struct pending_share *p)
{
    struct listing *l = self;

    if (strcmp(p->type, l->image->type) != 0 || strcmp(p->name, l->image->name) != 0)
        return;
    l->bad |= json_array_append_new(l->array, json_pack("{s:s, s:s, s:s, s:s, s:s}", "workspace",
                                                        p->target, "accountId", p->target_account,
                                                        "status", "pending", "workspaceDisplayName",
                                                        p->target, "pendingShareId", p->id));
}

int api_list_shares(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    json_auto_t *image = NULL;
    json_auto_t *array = json_array();
    struct listing l = {.image = &t, .array = array};

    if (api_load_image(c, c->args[1], NULL, &image, err) < 0)
        return -1;
    if (!image)
        return 0;
    if (state_share_list(c->config->state, &t, add_target, &l, err) < 0 ||
        state_pending_share_list(c->config->state, t.workspace, false, add_offer, &l, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, array, err);
}

/* ---- share ---- */

void api_refuse_share(struct api_call *c, enum share_outcome outcome, const struct target *t,
                      const char *target)
{
    const char *type = t->type;
    const char *name = t->name;

    switch (outcome) {
    case SHARE_NO_IMAGE:
        api_refuse(
            c->resp, 404, "image not found",
            "The workspace %.49s has no image %.49s/%.49s of its own. What another one shares "
            "with it is not shared on.",
            t->workspace, type, name);
        break;
    case SHARE_NO_TARGET:
        api_refuse(c->resp, 404, "workspace not found",
                   "There is no other workspace \"%.49s\" in this account, or in the one that "
                   "targetAccountId names.",
                   target);
        break;
    case SHARE_EXISTS:
        api_refuse(
            c->resp, 409, "already_shared",
            "The image %.49s/%.49s is shared with the workspace %.49s already, or offered to "
            "it.",
            type, name, target);
        break;
    case SHARE_TAKEN:
        api_refuse(c->resp, 409, "image_exists",
                   "The workspace %.49s has an image %.49s/%.49s already, which this one would "
                   "hide.",
                   target, type, name);
        break;
    case SHARE_MADE:
        break;
    }
}

static int share(struct api_call *c, const struct target *t, const char *target, struct error *err)
{
    enum share_outcome outcome;

    if (!check_both_sides(c))
        return 0;
    if (state_share_create(c->config->state, t, target, &outcome, err) < 0)
        return -1;
    if (outcome == SHARE_MADE)
        return answer_image(c, err);
    api_refuse_share(c, outcome, t, target);
    return 0;
}

static int offer(struct api_call *c, const struct target *t, const char *account,
                 const char *target, struct error *err)
{
    const struct share_offer o = {account, target, c->key.label[0] ? c->key.label : c->key.id,
                                  OFFER_STANDS};
    json_auto_t *answer = NULL;
    enum share_outcome outcome;
    struct pending_share made;

    if (state_share_offer(c->config->state, t, &o, &outcome, &made, err) < 0)
        return -1;
    if (outcome != SHARE_MADE) {
        api_refuse_share(c, outcome, t, target);
        return 0;
    }
    answer = api_pending_share_json(&made);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 202, answer, err);
}

int api_post_share(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    json_auto_t *body = api_body(c);
    const char *target = json_string_value(json_object_get(body, "targetWorkspace"));
    const char *account = json_string_value(json_object_get(body, "targetAccountId"));

    if (!body || !api_check_name(c, "targetWorkspace", target))
        return 0;
    if (!account || !*account || strcmp(account, c->key.account) == 0)
        return share(c, &t, target, err);
    return api_check_name(c, "targetAccountId", account) ? offer(c, &t, account, target, err) : 0;
}

/* A share with another account is for the source's admins to end. */
static int may_unshare(struct api_call *c, const char *target, bool *ret, struct error *err)
{
    enum presence presence;
    struct workspace w;

    if (state_workspace_get(c->config->state, target, &presence, &w, err) < 0)
        return -1;
    *ret = (presence == PRESENT && strcmp(w.account, c->key.account) != 0) || check_both_sides(c);
    return 0;
}

static void refuse_absent(struct api_call *c, const struct target *t, const char *target)
{
    api_refuse(c->resp, 404, "share not found",
               "The image %.49s/%.49s is not shared with a workspace %.49s.", t->type, t->name,
               target);
}

/* The workspace of the call ends what is shared with it: its own admin is enough for that. */
static int leave(struct api_call *c, struct error *err)
{
    const struct target seen = path_target(c);
    char source[NAME_SIZE];
    const struct target theirs = {source, seen.type, seen.name};
    json_auto_t *image = NULL;
    enum presence presence;

    if (state_share_source(c->config->state, &seen, &presence, source, err) < 0)
        return -1;
    if (presence == PRESENT) {
        if (api_load_image(c, seen.name, NULL, &image, err) < 0)
            return -1;
        if (!image)
            return 0;
        if (state_share_delete(c->config->state, &theirs, seen.workspace, true, &presence, err) < 0)
            return -1;
    }
    if (presence == PRESENT)
        return api_response_json(c->resp, 200, image, err);
    refuse_absent(c, &seen, seen.workspace);
    return 0;
}

int api_delete_share(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    enum presence presence;
    bool may;

    if (strcmp(c->args[2], t.workspace) == 0)
        return leave(c, err);
    if (may_unshare(c, c->args[2], &may, err) < 0)
        return -1;
    if (!may)
        return 0;
    if (state_share_delete(c->config->state, &t, c->args[2], false, &presence, err) < 0)
        return -1;
    if (presence == PRESENT)
        return answer_image(c, err);
    refuse_absent(c, &t, c->args[2]);
    return 0;
}
