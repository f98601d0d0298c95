/* api/workspaces — the workspaces that a key opens, and what clients ask about on their way. */
#include <string.h>

#include "api/call.h"

int api_list_models(struct api_call *c, struct error *err)
{
    return api_answer_list(c, json_array(), "", 0, err);
}

/* Null: it may have as much as it likes. */
static json_t *limit_json(int64_t max)
{
    return max ? json_integer((json_int_t)max) : json_null();
}

static int workspace_json(struct api_call *c, const struct workspace *w, json_t **ret,
                          struct error *err)
{
    struct workspace_limits may;
    struct workspace_use has;

    if (state_limits_get(c->config->state, w->name, &may, err) < 0 ||
        places_use(c->config->places, c->config->state, w->name, &has, err) < 0)
        return -1;
    *ret = json_pack("{s:s, s:s, s:s, s:o, s:{s:o, s:o, s:o}, s:{s:I, s:I, s:I}}", //
                     "name", w->name, "displayName", w->name, "accountId", w->account, "createdAt",
                     api_json_time(w->created), "limits", "builds", limit_json(may.builds),
                     "images", limit_json(may.images), "templates", limit_json(may.templates),
                     "usage", "builds", (json_int_t)has.builds, "images", (json_int_t)has.images,
                     "templates", (json_int_t)has.templates);
    return api_json_check(!*ret, err);
}

/* ---- looking ---- */

/* Collected first: what each takes is not looked up while the database is held. */
struct listing {
    const char *only; /* the one to show; "": all */
    struct workspace *rows;
    size_t n;
    bool failed;
};

static void listing_release(struct listing *l)
{
    free(l->rows);
}

static void add_workspace(void *self, const struct workspace *w)
{
    struct listing *l = self;
    struct workspace *rows;

    if (*l->only && strcmp(l->only, w->name) != 0)
        return;
    rows = reallocarray(l->rows, l->n + 1, sizeof(*rows));
    l->failed |= !rows;
    if (!rows)
        return;
    l->rows = rows;
    l->rows[l->n++] = *w;
}

int api_list_workspaces(struct api_call *c, struct error *err)
{
    CLEANUP(listing_release) struct listing l = {.only = c->key.workspace};
    json_auto_t *array = json_array();

    if (state_workspace_list(c->config->state, c->key.account, add_workspace, &l, err) < 0 ||
        api_json_check(l.failed, err) < 0)
        return -1;
    for (size_t i = 0; i < l.n; i++) {
        json_t *one;

        if (workspace_json(c, &l.rows[i], &one, err) < 0 ||
            api_json_check(json_array_append_new(array, one), err) < 0)
            return -1;
    }
    return api_response_json(c->resp, 200, array, err);
}

/* The one in the path, if the key opens it; otherwise resp holds the refusal. */
static int find(struct api_call *c, bool *ret_found, struct workspace *ret, struct error *err)
{
    const char *name = c->args[0];
    enum presence presence;

    *ret_found = false;
    if (*c->key.workspace && strcmp(c->key.workspace, name) != 0) {
        api_refuse(c->resp, 403, "forbidden",
                   "This API key belongs to another workspace than the one you asked for.");
        return 0;
    }
    if (state_workspace_get(c->config->state, name, &presence, ret, err) < 0)
        return -1;
    *ret_found = presence == PRESENT && strcmp(ret->account, c->key.account) == 0;
    if (!*ret_found)
        api_refuse(c->resp, 404, "workspace not found",
                   "There is no workspace of that name in this account.");
    return 0;
}

static int answer(struct api_call *c, const struct workspace *w, struct error *err)
{
    json_auto_t *body = NULL;

    if (workspace_json(c, w, &body, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, body, err);
}

int api_get_workspace(struct api_call *c, struct error *err)
{
    struct workspace w;
    bool found;

    if (find(c, &found, &w, err) < 0)
        return -1;
    return found ? answer(c, &w, err) : 0;
}

/* ---- changing ---- */

static bool check_account_key(struct api_call *c)
{
    if (c->whole_account)
        return true;
    api_refuse(c->resp, 403, "forbidden",
               "Workspaces are made and deleted with a key of their account: `kiln key create "
               "--account NAME --role admin` makes one.");
    return false;
}

int api_post_workspace(struct api_call *c, struct error *err)
{
    json_auto_t *body = check_account_key(c) ? api_body(c) : NULL;
    const char *name = json_string_value(json_object_get(body, "name"));
    enum presence presence;
    struct workspace w;
    bool made;

    if (!body || !api_check_name(c, "name", name))
        return 0;
    if (state_workspace_create(c->config->state, c->key.account, name, &made, err) < 0)
        return -1;
    if (!made) {
        api_refuse(c->resp, 409, "workspace_exists", "The workspace name %s is taken.", name);
        return 0;
    }
    if (state_workspace_get(c->config->state, name, &presence, &w, err) < 0)
        return -1;
    return answer(c, &w, err);
}

int api_delete_workspace(struct api_call *c, struct error *err)
{
    enum workspace_deletion outcome;
    struct workspace w;
    bool found = false;

    if (!check_account_key(c))
        return 0;
    if (find(c, &found, &w, err) < 0)
        return -1;
    if (!found)
        return 0;
    if (state_workspace_delete(c->config->state, w.name, &outcome, err) < 0)
        return -1;
    if (outcome == WORKSPACE_IN_USE) {
        api_refuse(c->resp, 409, "workspace_in_use",
                   "The workspace %s still has resources or images: delete them first.", w.name);
        return 0;
    }
    return answer(c, &w, err);
}
