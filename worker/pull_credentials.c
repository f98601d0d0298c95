/* worker/pull_credentials — what a pull may show to registries: what the user brought, and for
 * Kiln's own registry a password that opens the repositories of the build's workspace, for the
 * build's time. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "worker/steps.h"

#define TICKET_NS (24 * 3600 * NS_PER_SEC) /* longer than any build */

static int clean(struct run *r, struct buf *ret, struct error *err)
{
    if (!r->report.has_docker_config) {
        buf_adds(ret, "{\"auths\":{}}");
        return 0;
    }
    if (upload_clean_docker_config(buf_str(&r->report.docker_config), r->report.docker_config.len,
                                   ret, err) < 0) {
        journal_addf(&r->journal, LOG_ERROR, "error: %s", err->msg);
        return -1;
    }
    return 0;
}

/* The entry of Kiln's own registry, in place of what the user may have for it. */
static int add_own(struct run *r, json_t *config, struct error *err)
{
    CLEANUP(buf_release) struct buf plain = BUF_INIT(REGISTRY_TICKET + 8);
    CLEANUP(buf_release) struct buf coded = BUF_INIT(2 * REGISTRY_TICKET);
    char ticket[REGISTRY_TICKET];
    json_t *entry;

    registry_ticket(r->config->registry->signer->key, r->build.workspace,
                    clock_now(&clock_system) + TICKET_NS, ticket);
    buf_addf(&plain, "build:%s", ticket);
    digest_base64(buf_str(&plain), plain.len, &coded);
    entry = json_pack("{s:s}", "auth", buf_str(&coded));
    if (json_object_set_new(json_object_get(config, "auths"), r->config->registry_name, entry) < 0)
        return error_set(err, ERR_SYSTEM, "a build's credentials: out of memory");
    return 0;
}

int run_credentials(struct run *r, struct buf *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf users = BUF_INIT(1 << 20);
    json_auto_t *config = NULL;
    CLEANUP_FREE char *text = NULL;

    if (clean(r, &users, err) < 0)
        return -1;
    config = json_loads(buf_str(&users), 0, NULL);
    if (r->config->registry->signer && config && add_own(r, config, err) < 0)
        return -1;
    text = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text)
        return error_set(err, ERR_SYSTEM, "a build's credentials: out of memory");
    buf_adds(ret, text);
    return buf_check(ret, "a build's credentials", err);
}
