/* api/image_shares — images that several workspaces of an account see (PRODUCT.md "Sharing"). */
#include <string.h>

#include "api/call.h"

static struct target path_target(const struct api_call *c)
{
    return (struct target){c->key.workspace, c->args[0], c->args[1]};
}

/* Whoever shares has to be an admin of both workspaces, as only a key of their account is. */
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

int api_list_shares(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    json_auto_t *image = NULL;
    json_auto_t *array = json_array();
    struct listing l = {.array = array};

    if (api_load_image(c, c->args[1], NULL, &image, err) < 0)
        return -1;
    if (!image)
        return 0;
    if (state_share_list(c->config->state, &t, add_target, &l, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, array, err);
}

int api_list_pending_shares(struct api_call *c, struct error *err)
{
    json_auto_t *array = json_array();

    return api_response_json(c->resp, 200, array, err);
}

/* ---- share ---- */

static void refuse_share(struct api_call *c, enum share_outcome outcome, const char *target)
{
    const char *type = c->args[0];
    const char *name = c->args[1];

    switch (outcome) {
    case SHARE_NO_IMAGE:
        api_refuse(c->resp, 404, "image not found",
                   "This workspace has no image %.49s/%.49s of its own. What another one shares "
                   "with it is not shared on.",
                   type, name);
        break;
    case SHARE_NO_TARGET:
        api_refuse(c->resp, 404, "workspace not found",
                   "There is no other workspace \"%.49s\" in this account.", target);
        break;
    case SHARE_EXISTS:
        api_refuse(c->resp, 409, "already_shared",
                   "The image %.49s/%.49s is shared with the workspace %.49s already.", type, name,
                   target);
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

int api_post_share(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    json_auto_t *body = check_both_sides(c) ? api_body(c) : NULL;
    const char *target = json_string_value(json_object_get(body, "targetWorkspace"));
    enum share_outcome outcome;

    if (!body || !api_check_name(c, "targetWorkspace", target))
        return 0;
    if (state_share_create(c->config->state, &t, target, &outcome, err) < 0)
        return -1;
    if (outcome == SHARE_MADE)
        return answer_image(c, err);
    refuse_share(c, outcome, target);
    return 0;
}

int api_delete_share(struct api_call *c, struct error *err)
{
    const struct target t = path_target(c);
    enum presence presence;

    if (!check_both_sides(c))
        return 0;
    if (state_share_delete(c->config->state, &t, c->args[2], &presence, err) < 0)
        return -1;
    if (presence == PRESENT)
        return answer_image(c, err);
    api_refuse(c->resp, 404, "share not found",
               "The image %.49s/%.49s is not shared with a workspace %.49s.", t.type, t.name,
               c->args[2]);
    return 0;
}
