/* api/list_query — see the header. */
#include "api/list_query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define TEXT_MIN 2 /* bytes: a shorter search finds everything, as the platform has it */

static const char *const sorts[] = {[SORT_NAME] = "name:asc",
                                    [SORT_NAME_DOWN] = "name:desc",
                                    [SORT_CREATED] = "createdAt:asc",
                                    [SORT_CREATED_DOWN] = "createdAt:desc"};

/* All that any client may ask about, though Kiln has some of them never. */
static const char *const statuses[] = {"DELETING",     "TERMINATED", "FAILED",   "DEACTIVATED",
                                       "DEACTIVATING", "UPLOADING",  "BUILDING", "DEPLOYING",
                                       "DEPLOYED",     "BUILT",      NULL};

/* ---- reading ---- */

static bool read_sort(struct api_call *c, enum list_sort *sort)
{
    const char *text = api_request_text(c->req, "sort");

    if (!*text)
        return true;
    for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++)
        if (strcmp(text, sorts[i]) == 0) {
            *sort = (enum list_sort)i;
            return true;
        }
    api_refuse(c->resp, 400, "invalid_sort",
               "The parameter sort must be name:asc, name:desc, createdAt:asc or createdAt:desc.");
    return false;
}

/* In any case, as the platform has it. */
static bool is_status(const char *word)
{
    for (size_t i = 0; statuses[i]; i++)
        if (strcasecmp(word, statuses[i]) == 0)
            return true;
    return false;
}

static bool check_statuses(struct api_call *c, const char *list)
{
    while (*list) {
        const size_t len = strcspn(list, ",");
        char word[16];

        (void)snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 0, list);
        if (!is_status(word)) {
            api_refuse(c->resp, 400, "invalid_status",
                       "The parameter status must be a list of statuses, such as "
                       "DEPLOYED,FAILED.");
            return false;
        }
        list += len + (list[len] == ',');
    }
    return true;
}

static bool is_by_time(const struct list_query *q)
{
    return q->sort == SORT_CREATED || q->sort == SORT_CREATED_DOWN;
}

/* The last page of a list by time, which without a sort has the newest first. */
static bool read_anchor(struct api_call *c, struct list_query *q)
{
    const char *anchor = api_request_text(c->req, "anchor");

    if (!*anchor)
        return true;
    if (!*api_request_text(c->req, "sort"))
        q->sort = SORT_CREATED_DOWN;
    q->from_end = strcmp(anchor, "end") == 0 && is_by_time(q) && !*q->cursor;
    if (!q->from_end)
        api_refuse(c->resp, 400, "invalid_anchor",
                   "The parameter anchor must be end, with a sort by createdAt and without cursor: "
                   "it asks for the last page.");
    return q->from_end;
}

/* "1767225600000000000:name", or the name alone where that is the order. */
static bool read_cursor(const struct list_query *q, struct resource *ret)
{
    const size_t len = strcspn(q->cursor, ":");
    char number[24];
    uint64_t created = 0;

    if (is_by_time(q)) {
        (void)snprintf(number, sizeof(number), "%.*s", len < sizeof(number) ? (int)len : 0,
                       q->cursor);
        if (!q->cursor[len] || !text_to_u64(number, INT64_MAX, &created))
            return false;
    }
    ret->created = (int64_t)created;
    (void)snprintf(ret->name, sizeof(ret->name), "%s", q->cursor + (is_by_time(q) ? len + 1 : 0));
    return true;
}

static bool check_cursor(struct api_call *c, const struct list_query *q)
{
    struct resource unused = {.created = 0};

    if (!*q->cursor || read_cursor(q, &unused))
        return true;
    api_refuse(c->resp, 400, "invalid_cursor",
               "The parameter cursor must be meta.nextCursor of an answer with the same sort.");
    return false;
}

int list_query_read(struct api_call *c, uint64_t limit_max, struct list_query *ret, bool *ret_good,
                    struct error *err)
{
    struct list_query q = {.text = "",
                           .external_id = "",
                           .statuses = "",
                           .cursor = api_request_text(c->req, "cursor"),
                           .limit = limit_max};

    if (api_request_number(c->req, "limit", INT32_MAX, &q.limit, err) < 0)
        return -1;
    *ret_good = true;
    if (c->enveloped && !c->kind->bare) { /* before that version nobody sends them */
        q.text =
            strlen(api_request_text(c->req, "q")) < TEXT_MIN ? "" : api_request_text(c->req, "q");
        q.external_id = api_request_text(c->req, "externalId");
        *ret_good = read_sort(c, &q.sort) && read_anchor(c, &q) && check_cursor(c, &q);
    }
    if (*ret_good && !c->kind->bare) { /* of sandboxes older clients ask for statuses, too */
        q.statuses = api_request_text(c->req, "status");
        *ret_good = check_statuses(c, q.statuses);
        if (!c->enveloped && strcmp(c->kind->type, "sandbox") != 0)
            q.statuses = "";
    }
    *ret = q;
    return 0;
}

bool list_query_is_plain(const struct list_query *q)
{
    return !*q->text && !*q->external_id && !*q->statuses && q->sort == SORT_NAME;
}

/* ---- judging ---- */

static bool holds(const char *text, const char *wanted)
{
    return text && strcasestr(text, wanted);
}

static bool holds_text(const struct list_query *q, const struct resource *r, const json_t *metadata)
{
    const char *key;
    json_t *value;

    if (holds(r->name, q->text) ||
        holds(json_string_value(json_object_get(metadata, "displayName")), q->text))
        return true;
    json_object_foreach (json_object_get(metadata, "labels"), key, value)
        if (holds(key, q->text) || holds(json_string_value(value), q->text))
            return true;
    return false;
}

bool list_query_fits(const struct list_query *q, const struct resource *r)
{
    json_auto_t *metadata = NULL;
    const char *id;

    if (!*q->text && !*q->external_id)
        return true;
    metadata = json_loads(r->metadata, 0, NULL);
    id = json_string_value(json_object_get(metadata, "externalId"));
    return (!*q->external_id || (id && strcmp(id, q->external_id) == 0)) &&
           (!*q->text || holds_text(q, r, metadata));
}

bool list_query_fits_status(const struct list_query *q, const char *status)
{
    const char *list = q->statuses;

    while (*list) {
        const size_t len = strcspn(list, ",");

        if (strlen(status) == len && strncasecmp(status, list, len) == 0)
            return true;
        list += len + (list[len] == ',');
    }
    return !*q->statuses;
}

/* ---- order ---- */

int list_query_order(const void *a, const void *b, void *self)
{
    const struct list_query *q = self;
    const struct resource *one = a, *other = b;
    int order = 0;

    if (is_by_time(q))
        order = (one->created > other->created) - (one->created < other->created);
    if (order == 0)
        order = strcmp(one->name, other->name);
    if (q->sort == SORT_NAME_DOWN || q->sort == SORT_CREATED_DOWN)
        order = -order;
    return q->from_end ? -order : order;
}

void list_query_cursor(const struct list_query *q, const struct resource *r, char ret[LIST_CURSOR])
{
    if (is_by_time(q))
        (void)snprintf(ret, LIST_CURSOR, "%lld:%s", (long long)r->created, r->name);
    else
        (void)snprintf(ret, LIST_CURSOR, "%s", r->name);
}

bool list_query_is_after(const struct list_query *q, const struct resource *r)
{
    struct resource at = {.created = 0};

    return !*q->cursor || !read_cursor(q, &at) || list_query_order(r, &at, (void *)q) > 0;
}
