/* api/list_page — one page of a list that is in memory: sorted by name, searched, cut. */
#ifndef API_LIST_PAGE_H
#define API_LIST_PAGE_H

#include "api/call.h"

struct page {
    uint64_t limit;
    const char *cursor; /* the key of the last item of the page before; "": from the start */
    const char *q;      /* "": all */
    bool descending;
};

/* From limit, cursor, sort ("name:asc", "name:desc") and q of the request, to whose parameters the
 * texts belong.  *ret_ok false: resp holds the refusal. */
MUST_CHECK int page_parse(struct api_call *c, struct page *ret, bool *ret_ok, struct error *err);

struct page_item {
    const char *key; /* unique in its list */
    const void *of;
};

/* Sorts the items and moves those of the page to the front; *n: how many there are.  Returns the
 * cursor of the next page, "" when there is none. */
const char *page_cut(const struct page *p, struct page_item *items, size_t *n);

#endif
