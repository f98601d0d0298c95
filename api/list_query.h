/* api/list_query — which resources a list is to show, and in what order (the SDKs' list options).
 */
#ifndef API_LIST_QUERY_H
#define API_LIST_QUERY_H

#include "api/call.h"

enum list_sort { SORT_NAME, SORT_NAME_DOWN, SORT_CREATED, SORT_CREATED_DOWN };

struct list_query {          /* borrows from the request */
    const char *text;        /* that name, displayName or a label hold; "": any */
    const char *external_id; /* "": any */
    const char *statuses;    /* a list with commas; "": any */
    const char *cursor;      /* "": from the start */
    uint64_t limit;
    enum list_sort sort;
    bool from_end; /* the last page is wanted, whose rows are collected from the end */
};

/* False in *ret_good: resp holds the refusal.  limit_max: also where none is asked for. */
MUST_CHECK int list_query_read(struct api_call *c, uint64_t limit_max, struct list_query *ret,
                               bool *ret_good, struct error *err);

/* Whether it is a plain list: everything, by name. */
bool list_query_is_plain(const struct list_query *q);

/* Whether the resource is to be shown as far as its description tells. */
bool list_query_fits(const struct list_query *q, const struct resource *r);
bool list_query_fits_status(const struct list_query *q, const char *status);

/* As qsort_r wants it; self is the query. */
int list_query_order(const void *a, const void *b, void *self);

/* The cursor that goes on after r. */
#define LIST_CURSOR (NAME_SIZE + 24)
void list_query_cursor(const struct list_query *q, const struct resource *r, char ret[LIST_CURSOR]);
/* Whether r comes after the query's cursor. */
bool list_query_is_after(const struct list_query *q, const struct resource *r);

#endif
