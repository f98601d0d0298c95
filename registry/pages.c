/* registry/pages — lists that a registry gives in pages (distribution specification 1.1, "content
 * discovery"; RFC 8288 for the Link that leads to the next one). */
#include "registry/pages.h"

#include <string.h>

#include "base/text.h"

/* "</v2/x/tags/list?n=100&last=b>; rel=\"next\"": what stands between the brackets, which is the
 * registry's.  *ret_next false: this was the last page. */
static int next_page(const struct registry *r, const struct http_response *resp,
                     char ret[REGISTRY_LOCATION_MAX], bool *ret_next, struct error *err)
{
    const char *link = http_header(resp, "link");
    const char *end = link && *link == '<' ? strchr(link, '>') : NULL;
    CLEANUP_FREE char *said = NULL;

    *ret_next = end && strstr(end, "rel=\"next\"");
    if (!*ret_next)
        return 0;
    said = strndup(link + 1, (size_t)(end - link - 1));
    if (!said)
        return error_set(err, ERR_SYSTEM, "read a list: out of memory");
    return registry_own_url(r, said, ret, err);
}

int registry_get_pages(const struct registry *r, const char *first, const char *accept,
                       enum registry_presence *ret, registry_page *page, void *self,
                       struct error *err)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    char url[REGISTRY_LOCATION_MAX];
    bool next = true;

    if (accept)
        argv_push1(&headers, accept);
    (void)snprintf(url, sizeof(url), "%s", first);
    for (int n = 0; next; n++) {
        CLEANUP(http_response_release) struct http_response resp = HTTP_RESPONSE_INIT(PAGE_MAX);
        const struct http_request req = {.method = "GET", .url = url, .headers = &headers};

        if (n == PAGES_MAX)
            return error_set(err, ERR_REMOTE, "the list has more than %d pages", PAGES_MAX);
        if (registry_ask(r, &req, &resp, err) < 0)
            return -1;
        if (resp.status == 404 && n == 0) {
            *ret = REGISTRY_ABSENT;
            return 0;
        }
        if (resp.status != 200)
            return registry_unexpected(&resp, err);
        if (page(self, buf_str(&resp.body), resp.body.len, err) < 0 ||
            next_page(r, &resp, url, &next, err) < 0)
            return -1;
    }
    *ret = REGISTRY_PRESENT;
    return 0;
}
