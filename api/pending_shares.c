/* api/pending_shares — images that an account offers another (PROTOCOL.md 5, PendingImageShare): an
 * admin of the source workspace offers, one of the target accepts or declines, the source may take
 * it back by unsharing. */
#include <string.h>

#include "api/call.h"

json_t *api_pending_share_json(const struct pending_share *p)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:s}", //
                     "id", p->id, "imageName", p->name, "resourceType", p->type, "sharedBy",
                     p->shared_by, "sourceAccountId", p->account, "sourceWorkspace", p->workspace,
                     "targetAccountId", p->target_account, "targetWorkspace", p->target,
                     "createdAt", api_json_time(p->created), "updatedAt", api_json_time(p->created),
                     "expiresAt", api_json_time(p->expires), "createdBy", p->shared_by, "updatedBy",
                     p->shared_by);
}

/* ---- looking ---- */

struct listing {
    json_t *array;
    int bad;
};

static void add(void *self, const struct pending_share *p)
{
    struct listing *l = self;

    l->bad |= json_array_append_new(l->array, api_pending_share_json(p));
}

int api_list_pending_shares(struct api_call *c, struct error *err)
{
    const char *direction = api_request_param(c->req, "direction");
    const bool outgoing = direction && strcmp(direction, "outgoing") == 0;
    json_auto_t *array = json_array();
    struct listing l = {.array = array};

    if (direction && *direction && !outgoing && strcmp(direction, "incoming") != 0) {
        api_refuse(c->resp, 400, "invalid_direction",
                   "The parameter direction must be incoming or outgoing.");
        return 0;
    }
    if (state_pending_share_list(c->config->state, c->key.workspace, !outgoing, add, &l, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, array, err);
}

/* ---- answering ---- */

typedef int answer_offer(struct api_call *c, const struct pending_share *p, struct error *err);

/* Gives what says yes or no the offer in the path, if it is made to the workspace of the call;
 * otherwise resp holds the refusal.  Who is not part of it learns nothing. */
static int with_offer(struct api_call *c, answer_offer *answer, struct error *err)
{
    struct pending_share p;
    enum presence presence;

    if (state_pending_share_get(c->config->state, c->args[0], &presence, &p, err) < 0)
        return -1;
    if (presence == PRESENT && strcmp(p.target, c->key.workspace) == 0)
        return answer(c, &p, err);
    if (presence == PRESENT && strcmp(p.workspace, c->key.workspace) == 0)
        api_refuse(c->resp, 403, "forbidden",
                   "This image is offered to the workspace %.49s, whose admins accept or decline. "
                   "Take it back with DELETE /v0/images/%s/%.49s/share/%.49s.",
                   p.target, p.type, p.name, p.target);
    else
        api_refuse(c->resp, 404, "pending share not found",
                   "No image is offered to this workspace under that id: GET "
                   "/v0/pending-image-shares lists those that are.");
    return 0;
}

static int answer_image(struct api_call *c, const struct pending_share *p, struct error *err)
{
    json_auto_t *image = NULL;
    struct api_call of_image = *c;

    of_image.args[0] = p->type;
    if (api_load_image(&of_image, p->name, NULL, &image, err) < 0)
        return -1;
    return image ? api_response_json(c->resp, 200, image, err) : 0;
}

static int accept_standing(struct api_call *c, const struct pending_share *p, struct error *err)
{
    const struct target theirs = {p->workspace, p->type, p->name};
    const struct target own = {p->target, p->type, p->name};
    const bool force = api_request_flag(c->req, "force");
    enum share_outcome outcome;
    bool gone = false;

    if (state_pending_share_accept(c->config->state, p, force, &outcome, err) < 0)
        return -1;
    if (outcome == SHARE_TAKEN && force) {
        if (api_make_way(c, &own, &gone, err) < 0)
            return -1;
        if (!gone)
            return 0;
        if (state_pending_share_accept(c->config->state, p, force, &outcome, err) < 0)
            return -1;
    }
    if (outcome == SHARE_MADE || outcome == SHARE_EXISTS)
        return answer_image(c, p, err);
    api_refuse_share(c, outcome, &theirs, p->target);
    return 0;
}

static int accept_offer(struct api_call *c, const struct pending_share *p, struct error *err)
{
    if (p->expires > c->now)
        return accept_standing(c, p, err);
    api_refuse(c->resp, 410, "pending_share_expired",
               "The time for accepting this image is over. Ask an admin of the workspace %.49s to "
               "share it again.",
               p->workspace);
    return 0;
}

int api_accept_share(struct api_call *c, struct error *err)
{
    return with_offer(c, accept_offer, err);
}

static int decline_offer(struct api_call *c, const struct pending_share *p, struct error *err)
{
    c->resp->status = 204;
    return state_pending_share_delete(c->config->state, p->id, err);
}

int api_decline_share(struct api_call *c, struct error *err)
{
    return with_offer(c, decline_offer, err);
}
