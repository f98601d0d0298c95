/* worker/attest — see the header.
 *
 * A build does not wait for any of it that it can do without: the SBOM is written while the image
 * is pushed, and both are attached once the build's end is known.  Who is killed between these two
 * leaves an image that has nothing attached, and the API tells what is kept. */
#include "worker/attest.h"

#include <string.h>

#include "base/digest.h"
#include "worker/provenance.h"
#include "worker/sbom.h"

static int64_t moment_of(const struct run *r)
{
    return r->epoch >= 0 ? r->epoch * NS_PER_SEC : r->build.started;
}

/* The thread's main, of a struct run. */
static void *write_sbom(void *self)
{
    struct run *r = self;
    struct attest *a = &r->attest;
    const struct sbom_subject subject = {a->name, a->digest, r->config->program, moment_of(r)};

    a->has_sbom = r->image.packages.len > 0 && sbom_write(&subject, &r->image.packages, &a->sbom,
                                                          &a->packages, &a->sbom_error) == 0;
    return NULL;
}

int attest_begin(struct run *r, const char *media_type, const struct buf *manifest,
                 struct error *err)
{
    struct attest *a = &r->attest;

    if (!r->config->attest)
        return 0;
    *a = (struct attest){.digest = "sha256:",
                         .media_type = media_type,
                         .size = manifest->len,
                         .sbom = BUF_INIT(SBOM_MAX),
                         .provenance = BUF_INIT(PROVENANCE_MAX)};
    pipeline_repository(&r->build, a->repository);
    (void)snprintf(a->name, sizeof(a->name), "%.120s/%s", r->config->registry_name, a->repository);
    digest_sha256_hex(buf_str(manifest), manifest->len, a->digest + strlen("sha256:"));
    if (provenance_write(r, a->name, a->digest, &a->provenance, err) < 0)
        return -1;
    a->begun = true;
    a->started = pthread_create(&a->thread, NULL, write_sbom, r) == 0;
    if (!a->started)
        (void)write_sbom(r);
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
}

int attest_end(struct run *r, struct error *err)
{
    struct attest *a = &r->attest;

    if (!a->begun)
        return 0;
    join(a);
    tell(r);
    return keep(r, err);
}

void attest_attach(struct run *r)
{
    const struct attest *a = &r->attest;
    struct registry registry = *r->config->registry;
    const struct registry_subject subject = {a->media_type, a->digest, a->size};
    const struct registry_artifact artifacts[] = {
        {PROVENANCE_TYPE, buf_str(&a->provenance), a->provenance.len},
        {SBOM_TYPE, buf_str(&a->sbom), a->sbom.len},
    };
    struct error err = ERROR_INIT;

    registry.tries = 3; /* the worker has other things to do */
    if (!a->begun || registry_attach(&registry, a->repository, &subject, artifacts,
                                     a->has_sbom ? 2 : 1, &err) == 0)
        return;
    journal_addf(&r->journal, LOG_WARNING,
                 "warning: SBOM and provenance are kept, but not attached to the image: %s",
                 err.msg);
    (void)!journal_flush(&r->journal, &err); /* the build is done, and stays so */
}

void attest_release(struct attest *a)
{
    join(a);
    buf_release(&a->sbom);
    buf_release(&a->provenance);
}
