/* worker/current — a base that is here already need not be pulled, if the registry says that it is
 * still the same.  Whatever is odd about the answer is left to a pull to find out and to tell. */
#include <string.h>

#include "worker/steps.h"

/* Who signs tokens for Kiln's own registry: for what the workspace may pull. */
static const struct registry_signer *signer_for(const struct run *r,
                                                const struct builder_base_place *place)
{
    bool may = strcmp(place->url, r->config->registry->url) == 0 &&
               argv_contains(&r->open, place->repository);

    return may ? r->config->registry->signer : NULL;
}

/* The digest that the image's name means now; false when its registry does not say. */
static bool ask(struct run *r, const struct builder_base_place *place,
                char ret_digest[REGISTRY_DIGEST])
{
    const struct registry registry = {
        .url = place->url,
        .http = r->config->registry->http,
        .signer = signer_for(r, place),
        .ca_file = r->config->registry->ca_file,
        .cancel = &r->cancel,
    };
    enum registry_presence presence = REGISTRY_ABSENT;
    struct error ignored = ERROR_INIT;

    return registry_head_manifest(&registry, place->repository, place->tag, &presence, ret_digest,
                                  &ignored) == 0 &&
           presence == REGISTRY_PRESENT;
}

bool base_is_current(struct run *r, const char *image)
{
    struct builder_base_place place;
    enum builder_currency currency;
    struct error ignored = ERROR_INIT;
    char digest[REGISTRY_DIGEST];
    bool same = false;

    if (builder_base_currency(r->job, image, &currency, &place, &ignored) < 0 ||
        currency == BUILDER_BASE_UNKNOWN)
        return false;
    if (currency == BUILDER_BASE_CURRENT)
        return true;
    if (!ask(r, &place, digest) ||
        builder_base_came_as(r->job, image, digest, &same, &ignored) < 0 || !same)
        return false;
    journal_addf(&r->journal, LOG_INFO, "#%d %s is still %s", r->plain_log.number, image, digest);
    return true;
}
