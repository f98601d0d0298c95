/* api/resource_list — GET /v0/{kind} and GET /v0/{kind}/by-external-id/{externalId}.
 *
 * A plain list is read from the database page by page; of one that is searched or sorted all rows
 * are looked at for each page: there are hundreds of them, not millions. */
#include <string.h>

#include "api/draft.h"
#include "api/list_query.h"

#define LIST_LIMIT_MAX 1000

struct resource_rows {
    const struct list_query *q;
    struct resource *rows;
    size_t n, cap;
    bool failed;
};

static void rows_release(struct resource_rows *all)
{
    for (size_t i = 0; i < all->n; i++)
        resource_release(&all->rows[i]);
    free(all->rows);
}

static void add_row(void *self, const struct resource *r)
{
    struct resource_rows *all = self;
    struct resource copy = *r;

    if (!list_query_fits(all->q, r))
        return;
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct resource *rows = reallocarray(all->rows, cap, sizeof(*rows));

        all->failed |= !rows;
        if (!rows)
            return;
        all->rows = rows;
        all->cap = cap;
    }
    copy.metadata = strdup(r->metadata);
    copy.spec = strdup(r->spec);
    copy.others = strdup(r->others);
    all->failed |= !copy.metadata || !copy.spec || !copy.others;
    all->rows[all->n++] = copy;
}

static int load_rows(struct api_call *c, const struct list_query *q, struct resource_rows *all,
                     int64_t *ret_total, struct error *err)
{
    const bool plain = list_query_is_plain(q);

    if (state_resource_list(c->config->state, c->key.workspace, c->kind->type,
                            plain ? q->cursor : "", plain ? (int64_t)q->limit + 1 : INT64_MAX,
                            add_row, all, ret_total, err) < 0 ||
        api_json_check(all->failed, err) < 0)
        return -1;
    if (!plain && all->n > 0)
        qsort_r(all->rows, all->n, sizeof(*all->rows), list_query_order, (void *)q);
    return 0;
}

/* ---- one page ---- */

struct page {
    json_t *array;
    int64_t matched;             /* of the rows that were looked at */
    const struct resource *last; /* that is shown */
    char next[LIST_CURSOR];
};

/* Whether a row has the status can only be told of what would be shown of it. */
static int add(struct api_call *c, const struct list_query *q, const struct resource *r,
               struct page *page, struct error *err)
{
    const bool after = list_query_is_after(q, r);
    const bool shown = after && json_array_size(page->array) < q->limit;
    json_auto_t *one = NULL;

    if ((shown || *q->statuses) && api_resource_json(c, r, &one, err) < 0)
        return -1;
    if (one && !list_query_fits_status(q, json_string_value(json_object_get(one, "status"))))
        return 0;
    page->matched++;
    if (after && !shown && page->last && !q->from_end)
        list_query_cursor(q, page->last, page->next);
    if (!shown)
        return 0;
    page->last = r;
    return api_json_check(q->from_end ? json_array_insert(page->array, 0, one)
                                      : json_array_append(page->array, one),
                          err);
}

/* A list without an envelope cannot say that there is more, so it has all unless a limit is asked
 * for. */
int api_list_resources(struct api_call *c, struct error *err)
{
    const uint64_t max = c->enveloped && !c->kind->bare ? LIST_LIMIT_MAX : INT64_MAX - 1;
    struct list_query q;
    CLEANUP(rows_release) struct resource_rows all = {.q = &q};
    json_auto_t *array = json_array();
    struct page page = {.array = array};
    int64_t total;
    bool good;

    if (!api_check_host(c))
        return 0;
    if (list_query_read(c, max, &q, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    if (load_rows(c, &q, &all, &total, err) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (add(c, &q, &all.rows[i], &page, err) < 0)
            return -1;
    c->enveloped = c->enveloped && !c->kind->bare;
    return api_answer_list(c, json_incref(array), page.next,
                           list_query_is_plain(&q) ? total : page.matched, err);
}

/* ---- one, by the name that its owner has for it ---- */

int api_get_by_external_id(struct api_call *c, struct error *err)
{
    const struct list_query q = {
        .text = "", .external_id = c->args[0], .statuses = "", .cursor = "", .sort = SORT_CREATED};
    CLEANUP(rows_release) struct resource_rows all = {.q = &q};
    int64_t total;

    if (!api_check_host(c))
        return 0;
    if (load_rows(c, &q, &all, &total, err) < 0)
        return -1;
    if (all.n > 0)
        return api_answer_resource(c, &all.rows[0], NULL, err);
    api_refuse(c->resp, 404, "external id not found",
               "There is no %s in this workspace whose metadata.externalId is that.",
               c->kind->type);
    return 0;
}
