/* worker/attest — see the header.
 *
 * The thread needs nothing but the digest of the manifest, and the registry takes what refers to a
 * manifest before the manifest itself: so it runs beside the push, and costs a build no time of its
 * own. */
#include "worker/attest.h"

#include <string.h>

#include "base/digest.h"
#include "worker/provenance.h"
#include "worker/sbom.h"

static int64_t moment_of(const struct run *r)
{
    return r->epoch >= 0 ? r->epoch * NS_PER_SEC : r->build.started;
}

static void write_sbom(struct run *r)
{
    struct attest *a = &r->attest;
    const struct sbom_subject subject = {a->name, a->digest, r->config->program, moment_of(r)};

    a->has_sbom = r->image.packages.len > 0 && sbom_write(&subject, &r->image.packages, &a->sbom,
                                                          &a->packages, &a->sbom_error) == 0;
}

static void *work(void *self)
{
    struct run *r = self;
    struct attest *a = &r->attest;
    struct registry_artifact artifacts[2] = {
        {PROVENANCE_TYPE, buf_str(&a->provenance), a->provenance.len}};
    size_t n = 1;

    write_sbom(r);
    if (a->has_sbom)
        artifacts[n++] = (struct registry_artifact){SBOM_TYPE, buf_str(&a->sbom), a->sbom.len};
    (void)!registry_attach(&a->registry, a->repository, &a->subject, artifacts, n,
                           &a->attach_error);
    return NULL;
}

int attest_begin(struct run *r, const char *media_type, const struct buf *manifest,
                 struct error *err)
{
    struct attest *a = &r->attest;

    if (!r->config->attest)
        return 0;
    *a = (struct attest){.registry = *r->config->registry,
                         .digest = "sha256:",
                         .sbom = BUF_INIT(SBOM_MAX),
                         .provenance = BUF_INIT(PROVENANCE_MAX)};
    a->registry.cancel = &r->cancel;
    pipeline_repository(&r->build, a->repository);
    (void)snprintf(a->name, sizeof(a->name), "%.120s/%s", r->config->registry_name, a->repository);
    digest_sha256_hex(buf_str(manifest), manifest->len, a->digest + strlen("sha256:"));
    a->subject = (struct registry_subject){media_type, a->digest, manifest->len};
    if (provenance_write(r, a->name, a->digest, &a->provenance, err) < 0)
        return -1;
    a->begun = true;
    a->started = pthread_create(&a->thread, NULL, work, r) == 0;
    if (!a->started)
        (void)work(r);
    return 0;
}

static void join(struct attest *a)
{
    if (a->started)
        pthread_join(a->thread, NULL);
    a->started = false;
}

static int keep(struct run *r, struct error *err)
{
    const struct attest *a = &r->attest;

    if (state_attestation_keep(r->config->state, r->build.id, ATTESTATION_PROVENANCE,
                               buf_str(&a->provenance), err) < 0)
        return -1;
    return a->has_sbom ? state_attestation_keep(r->config->state, r->build.id, ATTESTATION_SBOM,
                                                buf_str(&a->sbom), err)
                       : 0;
}

static void tell(struct run *r)
{
    const struct attest *a = &r->attest;
    const int n = r->plain_log.number;

    if (a->has_sbom)
        journal_addf(&r->journal, LOG_INFO, "#%d SLSA provenance, and SPDX SBOM of %zu package%s",
                     n, a->packages, a->packages == 1 ? "" : "s");
    else
        journal_addf(&r->journal, LOG_INFO, "#%d SLSA provenance", n);
    if (a->sbom_error.kind != ERR_NONE)
        journal_addf(&r->journal, LOG_WARNING, "#%d warning: there is no SBOM: %s", n,
                     a->sbom_error.msg);
    if (a->attach_error.kind != ERR_NONE)
        journal_addf(&r->journal, LOG_WARNING,
                     "#%d warning: they are kept, but not attached to the image: %s", n,
                     a->attach_error.msg);
}

int attest_end(struct run *r, struct error *err)
{
    struct attest *a = &r->attest;

    if (!a->begun)
        return 0;
    join(a);
    if (cancel_is_thrown(&r->cancel)) {
        err->kind = ERR_NONE;
        return -1;
    }
    tell(r);
    return keep(r, err);
}

void attest_release(struct attest *a)
{
    join(a);
    buf_release(&a->sbom);
    buf_release(&a->provenance);
}
