/* api/audit — every change is noted here, once its answer is known; the table of routes says what
 * each is called.  GET /v0/audit shows them to a workspace's admin.
 *
 * What was asked for wrongly changed nothing and is not noted; what was denied is.  Of denials only
 * so many are written a second, however many there are. */
#include <string.h>

#include "api/limiter.h"
#include "api/route.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     1000

/* ---- writing ---- */

/* False: there is nothing to note. */
static bool find_outcome(const struct api_call *c, enum audit_outcome *ret)
{
    const int status = c->resp->status;

    if (c->login_refused)
        *ret = AUDIT_DENIED;
    else if (!c->route->action)
        return false;
    else if (status >= 200 && status < 300)
        *ret = AUDIT_DONE;
    else if (status == 403)
        *ret = AUDIT_DENIED;
    else if (status >= 500)
        *ret = AUDIT_FAILED;
    else
        return false;
    return true;
}

static void set_actor(const struct api_call *c, struct audit_entry *e)
{
    const struct api_key *key = &c->key;

    if (key->id[0]) {
        e->by = key->kind == KEY_API ? AUDIT_BY_KEY : AUDIT_BY_SERVICE;
        (void)snprintf(e->actor, sizeof(e->actor), "%s",
                       key->kind == KEY_TOKEN ? key->parent : key->id);
    } else {
        e->by = c->route->streams ? AUDIT_BY_URL : AUDIT_BY_NOBODY;
    }
}

/* "create" of a kind is "sandbox.create". */
static void set_action(const struct api_call *c, struct audit_entry *e)
{
    if (c->login_refused)
        (void)snprintf(e->action, sizeof(e->action), "login");
    else if (c->kind)
        (void)snprintf(e->action, sizeof(e->action), "%s.%s", c->kind->type, c->route->action);
    else
        (void)snprintf(e->action, sizeof(e->action), "%s", c->route->action);
}

static const char *member(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

/* What was made is called in the answer. */
static const char *made(const json_t *answer)
{
    const char *name = member(json_object_get(answer, "metadata"), "name");

    if (!name)
        name = member(answer, "id");
    if (!name)
        name = member(answer, "client_id");
    return name ? name : member(answer, "name");
}

static void add_object(char to[AUDIT_OBJECT], const char *word)
{
    const size_t n = strlen(to);

    for (size_t i = n; word && *word && i + 2 < AUDIT_OBJECT; word++) {
        if (i == n && n > 0)
            to[i++] = '/';
        to[i++] = (unsigned char)*word < 0x20 || *word == 0x7f ? '?' : *word;
        to[i] = '\0';
    }
}

static void set_object(const struct api_call *c, struct audit_entry *e)
{
    const struct api_response *resp = c->resp;
    json_auto_t *body = NULL;
    json_auto_t *answer = NULL;

    if (c->login_refused) {
        add_object(e->object, c->req->headers[API_HEADER_WORKSPACE]);
        return;
    }
    for (size_t i = c->route->streams; i < API_ARGS_MAX && c->args[i]; i++)
        add_object(e->object, c->args[i]);
    if (!c->args[0] && resp->body.len > 0) {
        answer = json_loadb(resp->body.data, resp->body.len, 0, NULL);
        add_object(e->object, made(answer));
    }
    if (c->route->object) {
        body = json_loadb(c->req->body ? c->req->body : "", c->req->body_len, 0, NULL);
        add_object(e->object, member(body, c->route->object));
    }
}

void api_audit(struct api_call *c)
{
    const struct api_config *config = c->config;
    struct audit_entry e = {.status = c->resp->status};
    struct error err = ERROR_INIT;
    int64_t wait;

    if (!find_outcome(c, &e.outcome) ||
        (e.outcome == AUDIT_DENIED &&
         !limiter_take(config->limiter, LIMIT_AUDIT, "", 0, clock_monotonic(), &wait)))
        return;
    set_actor(c, &e);
    set_action(c, &e);
    set_object(c, &e);
    (void)snprintf(e.account, sizeof(e.account), "%s", c->key.account);
    (void)snprintf(e.workspace, sizeof(e.workspace), "%s",
                   c->route->streams ? c->args[0] : c->key.workspace);
    (void)snprintf(e.address, sizeof(e.address), "%s", c->req->address.text);
    if (state_audit_add(config->state, &e, &err) < 0)
        api_log(config, "error: note %s of %s by %s in the audit log: %s", e.action, e.object,
                e.actor[0] ? e.actor : audit_actor_names[e.by], err.msg);
}

/* ---- reading ---- */

struct listing {
    json_t *array;
    uint64_t limit, seen;
    char last[AUDIT_ID]; /* in the array */
    int bad;
};

static void add_entry(void *self, const struct audit_entry *e)
{
    struct listing *l = self;

    if (l->seen++ >= l->limit)
        return;
    memcpy(l->last, e->id, sizeof(l->last));
    l->bad |= json_array_append_new(
        l->array,
        json_pack("{s:s, s:o, s:s, s:s?, s:{s:s, s:s?}, s:s?, s:s, s:s, s:s, s:i}", "id", e->id,
                  "time", api_json_time(e->time), "accountId", e->account, "workspace",
                  *e->workspace ? e->workspace : NULL, "actor", "type", audit_actor_names[e->by],
                  "id", *e->actor ? e->actor : NULL, "address", *e->address ? e->address : NULL,
                  "action", e->action, "object", e->object, "outcome",
                  audit_outcome_names[e->outcome], "status", e->status));
}

int api_list_audit(struct api_call *c, struct error *err)
{
    const char *since = api_request_text(c->req, "since");
    json_auto_t *array = json_array();
    struct listing l = {.array = array, .limit = LIMIT_DEFAULT};
    struct audit_query query = {.account = c->key.account,
                                .workspace = *c->key.workspace ? c->key.workspace : NULL,
                                .cursor = api_request_text(c->req, "cursor")};
    int64_t total;

    if (*since && !clock_parse(since, &query.since)) {
        api_refuse(c->resp, 400, "invalid_since",
                   "The parameter since is a moment such as 2026-01-31T08:09:10Z, not \"%.64s\".",
                   since);
        return 0;
    }
    if (api_request_number(c->req, "limit", INT32_MAX, &l.limit, err) < 0)
        return -1;
    if (l.limit > LIMIT_MAX)
        l.limit = LIMIT_MAX;
    query.limit = (int64_t)l.limit + 1;
    if (state_audit_list(c->config->state, &query, add_entry, &l, &total, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_answer_list(c, TAKE(array), l.limit > 0 && l.seen > l.limit ? l.last : "", total,
                           err);
}
