/* worker/deploy — an image becomes what is deployed: it is read back from where it was pushed to,
 * and, where the operator wants that, started once. */
#include <string.h>

#include "base/text.h"
#include "worker/steps.h"

/* The tag is what users pull. */
static int check_tag(struct run *r, const char *repository, struct error *err)
{
    const struct registry registry = run_registry(r);
    CLEANUP(registry_manifest_release) struct registry_manifest tagged = {.size = 0};
    enum registry_presence presence;

    if (registry_get_manifest(&registry, repository, r->build.tag, &presence, &tagged, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return error_set(err, ERR_REMOTE, "read back %s:%s: the registry does not have it",
                         repository, r->build.tag);
    if (strcmp(tagged.digest, r->digest) != 0)
        return error_set(err, ERR_REMOTE, "read back %s:%s: it is %s, and %s was pushed",
                         repository, r->build.tag, tagged.digest, r->digest);
    return 0;
}

/* The registry has it, whole. */
static int read_back(struct run *r, const char *repository, struct registry_manifest *ret,
                     struct error *err)
{
    const struct registry registry = run_registry(r);
    CLEANUP(buf_release) struct buf missing = BUF_INIT(1024);

    if (check_tag(r, repository, err) < 0 ||
        registry_read_back(&registry, repository, r->digest, ret, &missing, err) < 0)
        return -1;
    if (missing.len > 0)
        return error_set(err, ERR_REMOTE, "read back %s:%s: the registry has lost a part of it: %s",
                         repository, r->build.tag, buf_str(&missing));
    return 0;
}

static void tell_image(struct run *r)
{
    char size[TEXT_SIZE];

    text_size(r->image_size, size);
    journal_addf(&r->journal, LOG_INFO, "#%d %s, %s", r->plain_log.number, r->digest, size);
}

int step_deploy(struct run *r, struct error *err)
{
    const struct registry registry = run_registry(r);
    CLEANUP(registry_manifest_release) struct registry_manifest manifest = {.size = 0};
    const uint16_t port = r->reused ? 0 : probe_port(r); /* a reused one was started then */
    char repository[3 * NAME_SIZE];

    pipeline_repository(&r->build, repository);
    if (read_back(r, repository, &manifest, err) < 0)
        return -1;
    r->image_size = manifest.size;
    r->pushed = true;
    tell_image(r);
    if (attest_end(r, err) < 0)
        return -1;
    plain_log_done(&r->plain_log);
    if (port && probe_image(r, port, err) < 0)
        return -1;
    return registry_tag(&registry, repository, &manifest, "latest", err);
}
