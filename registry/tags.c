/* registry — the tags of a repository (distribution specification 1.1, "listing tags"). */
#include <string.h>

#include "registry/listing.h"
#include "registry/names.h"
#include "registry/pages.h"

#define IN_A_PAGE 1000 /* asked for; a registry may give fewer */

struct tags {
    void (*each)(void *self, const char *tag);
    void *self;
};

static int take(void *self, const char *bytes, size_t len, struct error *err)
{
    const struct tags *t = self;

    return registry_tags_read(bytes, len, t->each, t->self, err);
}

int registry_list_tags(const struct registry *r, const char *repository,
                       enum registry_presence *ret, void (*each)(void *self, const char *tag),
                       void *self, struct error *err)
{
    struct tags t = {each, self};
    char url[REGISTRY_URL_MAX];

    if (!registry_repository_is_valid(repository))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no valid repository name", repository);
    if (snprintf(url, sizeof(url), "%s/v2/%s/tags/list?n=%d", r->url, repository, IN_A_PAGE) >=
        (int)sizeof(url))
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    if (registry_get_pages(r, url, NULL, ret, take, &t, err) < 0)
        return error_wrap(err, "list the tags of %s", repository);
    return 0;
}
