/* worker/pull_credentials — what a pull may show to registries: what the user brought, and for
 * Kiln's own registry a password that opens the image's repository to the build's workspace, if
 * that may have it, for as long as a pull may take. */
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "worker/steps.h"

int pull_credentials(struct run *r, struct buf *ret, struct error *err)
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

bool pull_is_own(const struct run *r, const char *image, char ret_repository[REGISTRY_REPOSITORY])
{
    struct dockerfile_reference ref;
    struct error ignored = ERROR_INIT;

    if (dockerfile_parse_reference(image, &ref, &ignored) < 0 ||
        strcasecmp(ref.host, r->config->registry_name) != 0)
        return false;
    (void)snprintf(ret_repository, REGISTRY_REPOSITORY, "%s", ref.path);
    return true;
}

/* The entry of Kiln's own registry, in place of what the user may have for it. */
static int add_own(struct run *r, const char *repository, json_t *config, struct error *err)
{
    CLEANUP(buf_release) struct buf plain = BUF_INIT(REGISTRY_TICKET + 8);
    CLEANUP(buf_release) struct buf coded = BUF_INIT(2 * REGISTRY_TICKET);
    char ticket[REGISTRY_TICKET];
    json_t *entry;

    registry_ticket(registry_signer_key(r->config->registry->signer), r->build.workspace,
                    repository, clock_now(&clock_system) + r->config->pull_ns, ticket);
    buf_addf(&plain, "build:%s", ticket);
    digest_base64(buf_str(&plain), plain.len, &coded);
    entry = json_pack("{s:s}", "auth", buf_str(&coded));
    if (json_object_set_new(json_object_get(config, "auths"), r->config->registry_name, entry) < 0)
        return error_set(err, ERR_SYSTEM, "a build's credentials: out of memory");
    return 0;
}

int pull_credentials_for(struct run *r, const char *image, const char *users, struct buf *ret,
                         struct error *err)
{
    json_auto_t *config = json_loads(users, 0, NULL);
    char repository[REGISTRY_REPOSITORY];
    CLEANUP_FREE char *text = NULL;

    if (config && r->config->registry->signer && pull_is_own(r, image, repository) &&
        add_own(r, repository, config, err) < 0)
        return -1;
    text = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!text)
        return error_set(err, ERR_SYSTEM, "a build's credentials: out of memory");
    buf_adds(ret, text);
    return buf_check(ret, "a build's credentials", err);
}
