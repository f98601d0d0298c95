/* api/list_page — see the header. */
#include "api/list_page.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     200

static const char *text_param(const struct api_call *c, const char *name)
{
    const char *value = api_request_param(c->req, name);

    return value ? value : "";
}

int page_parse(struct api_call *c, struct page *ret, bool *ret_ok, struct error *err)
{
    const char *sort = text_param(c, "sort");

    *ret = (struct page){.limit = LIMIT_DEFAULT,
                         .cursor = text_param(c, "cursor"),
                         .q = text_param(c, "q"),
                         .descending = strcmp(sort, "name:desc") == 0};
    *ret_ok = !*sort || ret->descending || strcmp(sort, "name:asc") == 0;
    if (!*ret_ok) {
        api_refuse(c->resp, 400, "invalid_sort",
                   "This list is sorted by name:asc or name:desc, not by \"%.64s\".", sort);
        return 0;
    }
    if (api_request_number(c->req, "limit", INT32_MAX, &ret->limit, err) < 0)
        return -1;
    if (ret->limit == 0 || ret->limit > LIMIT_MAX)
        ret->limit = LIMIT_MAX;
    return 0;
}

static int ascending(const void *a, const void *b)
{
    return strcmp(((const struct page_item *)a)->key, ((const struct page_item *)b)->key);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

const char *page_cut(const struct page *p, struct page_item *items, size_t *n)
{
    const struct page_item last = {.key = p->cursor};
    int (*compare)(const void *, const void *) = p->descending ? descending : ascending;
    size_t first = 0, all = *n;

    qsort(items, all, sizeof(*items), compare);
    while (*p->cursor && first < all && compare(&items[first], &last) <= 0)
        first++;
    *n = all - first < p->limit ? all - first : p->limit;
    memmove(items, items + first, *n * sizeof(*items));
    return first + *n < all ? items[*n - 1].key : "";
}
