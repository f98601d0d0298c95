/* registry/pages — lists that a registry gives in pages (distribution specification 1.1, "content
 * discovery"). */
#include "registry/pages.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- Link (RFC 8288, 3) ---- */

/* A value of a parameter, quoted or not, from what stands behind its "="; returns where it ends. */
static const char *read_value(const char *p, const char **ret, size_t *ret_len)
{
    bool quoted = *p == '"';

    p += quoted;
    *ret = p;
    *ret_len = strcspn(p, quoted ? "\"" : " \t;,");
    p += *ret_len;
    return p + (quoted && *p);
}

/* "next" among the words of a rel. */
static bool has_next(const char *rel, size_t len)
{
    while (len > 0) {
        size_t blank = strspn(rel, " ");
        size_t word;

        blank = blank < len ? blank : len;
        rel += blank;
        len -= blank;
        word = strcspn(rel, " ");
        word = word < len ? word : len;
        if (word == 4 && strncasecmp(rel, "next", 4) == 0)
            return true;
        rel += word;
        len -= word;
    }
    return false;
}

/* The parameters of one link, up to the comma before another; returns where they end. */
static const char *read_parameters(const char *p, bool *ret_next)
{
    *ret_next = false;
    for (;;) {
        const char *name, *value = "";
        size_t name_len, value_len = 0;

        p += strspn(p, " \t;");
        if (!*p || *p == ',')
            return p;
        name = p;
        name_len = strcspn(p, "= \t;,");
        p += name_len;
        if (*p == '=')
            p = read_value(p + 1, &value, &value_len);
        if (name_len == 3 && strncasecmp(name, "rel", 3) == 0 && has_next(value, value_len))
            *ret_next = true;
    }
}

/* What stands between the brackets of the link to the next page, *ret_len bytes; NULL: there is
 * none. */
static const char *find_next(const char *p, size_t *ret_len)
{
    for (;;) {
        const char *target, *end;
        bool next;

        p += strspn(p, " \t,");
        end = *p == '<' ? strchr(p, '>') : NULL;
        if (!end)
            return NULL;
        target = p + 1;
        *ret_len = (size_t)(end - target);
        p = read_parameters(end + 1, &next);
        if (next)
            return target;
    }
}

/* *ret_next false: this was the last page. */
static int next_page(const struct registry *r, const struct http_response *resp,
                     char ret[REGISTRY_LOCATION_MAX], bool *ret_next, struct error *err)
{
    const char *link = http_header(resp, "link");
    size_t len = 0;
    const char *target = link ? find_next(link, &len) : NULL;
    CLEANUP_FREE char *said = NULL;

    *ret_next = target != NULL;
    if (!target)
        return 0;
    said = strndup(target, len);
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
