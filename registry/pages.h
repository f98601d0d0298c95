/* registry/pages — lists that a registry gives in pages. */
#ifndef REGISTRY_PAGES_H
#define REGISTRY_PAGES_H

#include "registry/exchange.h"

#define PAGE_MAX  (4 << 20) /* bytes */
#define PAGES_MAX 10000

typedef int registry_page(void *self, const char *bytes, size_t len, struct error *err);

/* Calls page for each, beginning with the URL first; none leads to another host.  *ret: ABSENT when
 * the first is not there.  accept: a header, or NULL. */
MUST_CHECK int registry_get_pages(const struct registry *r, const char *first, const char *accept,
                                  enum registry_presence *ret, registry_page *page, void *self,
                                  struct error *err);

#endif
