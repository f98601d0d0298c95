/* registry — what is attached to a manifest (distribution specification 1.1, "referrers").
 *
 * A registry that knows referrers says so when it takes a manifest that has a subject
 * (OCI-Subject).  With any other the client keeps the list itself, as an index whose tag is the
 * subject's digest with a dash for the colon.  Nobody else may write to that list at the same time:
 * the API has no way to see it. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "registry/client.h"
#include "registry/listing.h"
#include "registry/manifest.h"
#include "registry/names.h"
#include "registry/pages.h"

#define INDEX_MAX     (4 << 20)
#define ARTIFACTS_MAX 4

static void fallback_tag(const char *digest, char ret[REGISTRY_DIGEST])
{
    (void)snprintf(ret, REGISTRY_DIGEST, "%s", digest);
    *strchr(ret, ':') = '-';
}

/* ---- attaching ---- */

static int put_bytes(const struct registry *r, const char *repository, const char *digest,
                     const void *bytes, size_t len, struct error *err)
{
    CLEANUP_CLOSE int fd = -1;

    if (fs_memory_file("artifact", bytes, len, &fd, err) < 0)
        return -1;
    return registry_put_blob(r, repository, digest, fd, len, err);
}

static int put_empty(const struct registry *r, const char *repository, struct error *err)
{
    enum registry_presence presence = REGISTRY_ABSENT;

    if (registry_has_blob(r, repository, registry_empty_digest, &presence, err) < 0)
        return -1;
    return presence == REGISTRY_PRESENT
               ? 0
               : put_bytes(r, repository, registry_empty_digest, registry_empty,
                           sizeof(registry_empty) - 1, err);
}

/* One of them; each is sent by a thread of its own, as a registry takes its time for each request.
 */
struct task {
    const struct registry *r;
    const char *repository;
    const struct registry_subject *subject;
    const struct registry_artifact *artifact;
    pthread_t thread;
    bool started;
    struct registry_referrer sent;
    bool known; /* the registry lists it itself */
    int result;
    struct error err;
};

static int put_artifact(struct task *t, struct error *err)
{
    const struct registry_artifact *artifact = t->artifact;
    CLEANUP(buf_release) struct buf manifest = BUF_INIT(INDEX_MAX);
    char blob[REGISTRY_DIGEST] = "sha256:";

    digest_sha256_hex(artifact->bytes, artifact->len, blob + strlen(blob));
    if (registry_artifact_write(t->subject, artifact, blob, &manifest, err) < 0 ||
        put_bytes(t->r, t->repository, blob, artifact->bytes, artifact->len, err) < 0)
        return -1;
    t->sent = (struct registry_referrer){.digest = "sha256:", .size = manifest.len};
    (void)snprintf(t->sent.type, sizeof(t->sent.type), "%s", artifact->type);
    digest_sha256_hex(buf_str(&manifest), manifest.len, t->sent.digest + strlen("sha256:"));
    return registry_put_seeing(t->r, t->repository, t->sent.digest, REGISTRY_OCI_MANIFEST,
                               buf_str(&manifest), manifest.len, &t->known, err);
}

static void *run_task(void *self)
{
    struct task *t = self;

    t->result = put_artifact(t, &t->err);
    return NULL;
}

static int put_artifacts(struct task *tasks, size_t n, struct error *err)
{
    int result = 0;

    for (size_t i = 0; i + 1 < n; i++)
        tasks[i].started = pthread_create(&tasks[i].thread, NULL, run_task, &tasks[i]) == 0;
    for (size_t i = 0; i < n; i++)
        if (!tasks[i].started)
            (void)run_task(&tasks[i]);
    for (size_t i = 0; i < n; i++) {
        if (tasks[i].started)
            pthread_join(tasks[i].thread, NULL);
        if (tasks[i].result < 0 && result == 0) {
            *err = tasks[i].err;
            result = -1;
        }
    }
    return result;
}

static int add_to_fallback(const struct registry *r, const char *repository,
                           const struct registry_subject *subject,
                           const struct registry_referrer *added, size_t n, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest before = {.size = 0};
    CLEANUP(buf_release) struct buf index = BUF_INIT(INDEX_MAX);
    enum registry_presence presence = REGISTRY_ABSENT;
    char tag[REGISTRY_DIGEST], digest[REGISTRY_DIGEST];

    fallback_tag(subject->digest, tag);
    if (registry_get_manifest(r, repository, tag, &presence, &before, err) < 0 ||
        registry_index_add(buf_str(&before.body), before.body.len, added, n, &index, err) < 0)
        return -1;
    return registry_put_manifest(r, repository, tag, REGISTRY_OCI_INDEX, buf_str(&index), index.len,
                                 digest, err);
}

static int attach(const struct registry *r, const char *repository,
                  const struct registry_subject *subject, const struct registry_artifact *artifacts,
                  size_t n, struct error *err)
{
    struct registry_referrer unknown[ARTIFACTS_MAX];
    struct task tasks[ARTIFACTS_MAX];
    size_t n_unknown = 0;

    if (registry_check_blob(repository, subject->digest, err) < 0)
        return -1;
    if (n > ARTIFACTS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d at once", ARTIFACTS_MAX);
    for (size_t i = 0; i < n; i++)
        tasks[i] = (struct task){
            .r = r, .repository = repository, .subject = subject, .artifact = &artifacts[i]};
    if (put_empty(r, repository, err) < 0 || put_artifacts(tasks, n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (!tasks[i].known)
            unknown[n_unknown++] = tasks[i].sent;
    return n_unknown ? add_to_fallback(r, repository, subject, unknown, n_unknown, err) : 0;
}

int registry_attach(const struct registry *r, const char *repository,
                    const struct registry_subject *subject,
                    const struct registry_artifact *artifacts, size_t n, struct error *err)
{
    if (attach(r, repository, subject, artifacts, n, err) < 0)
        return error_wrap(err, "attach to %s@%s", repository, subject->digest);
    return 0;
}

/* ---- listing ---- */

struct listing {
    const char *type; /* NULL: all */
    void (*each)(void *self, const struct registry_referrer *r);
    void *self;
};

static void pass(void *self, const struct registry_referrer *r)
{
    const struct listing *l = self;

    if (!l->type || strcmp(l->type, r->type) == 0)
        l->each(l->self, r);
}

static int take(void *self, const char *bytes, size_t len, struct error *err)
{
    return registry_referrers_read(bytes, len, pass, self, err);
}

static int list_fallback(const struct registry *r, const char *repository, const char *digest,
                         struct listing *l, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest index = {.size = 0};
    enum registry_presence presence = REGISTRY_ABSENT;
    char tag[REGISTRY_DIGEST];

    fallback_tag(digest, tag);
    if (registry_get_manifest(r, repository, tag, &presence, &index, err) < 0)
        return -1;
    return presence == REGISTRY_ABSENT ? 0 : take(l, buf_str(&index.body), index.body.len, err);
}

int registry_list_referrers(const struct registry *r, const char *repository, const char *digest,
                            const char *type,
                            void (*each)(void *self, const struct registry_referrer *r), void *self,
                            struct error *err)
{
    struct listing l = {type, each, self};
    enum registry_presence presence = REGISTRY_ABSENT;
    char url[REGISTRY_URL_MAX];

    if (registry_check_blob(repository, digest, err) < 0)
        return -1;
    if (snprintf(url, sizeof(url), "%s/v2/%s/referrers/%s", r->url, repository, digest) >=
        (int)sizeof(url))
        return error_set(err, ERR_SYSTEM, "the registry's URL is too long");
    if (registry_get_pages(r, url, "Accept: " REGISTRY_OCI_INDEX, &presence, take, &l, err) < 0 ||
        (presence == REGISTRY_ABSENT && list_fallback(r, repository, digest, &l, err) < 0))
        return error_wrap(err, "list what is attached to %s@%s", repository, digest);
    return 0;
}

/* ---- deleting ---- */

static void remember(void *self, const struct registry_referrer *r)
{
    argv_push1(self, r->digest);
}

/* By its tag where that can be, and by its digest, with which its tag goes elsewhere. */
static int delete_fallback(const struct registry *r, const char *repository, const char *digest,
                           struct error *err)
{
    char tag[REGISTRY_DIGEST], index[REGISTRY_DIGEST];
    enum registry_presence presence = REGISTRY_ABSENT;
    bool can;

    fallback_tag(digest, tag);
    if (registry_head_manifest(r, repository, tag, &presence, index, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return 0;
    if (registry_delete_tag(r, repository, tag, &can, err) < 0)
        return -1;
    return registry_delete_manifest(r, repository, index, err);
}

static int delete_attached(const struct registry *r, const char *repository, const char *digest,
                           struct error *err)
{
    CLEANUP(argv_release) struct argv attached = ARGV_INIT;

    if (registry_list_referrers(r, repository, digest, NULL, remember, &attached, err) < 0)
        return -1;
    for (size_t i = 0; i < attached.n; i++)
        if (registry_delete_manifest(r, repository, attached.v[i], err) < 0)
            return -1;
    return delete_fallback(r, repository, digest, err);
}

/* Whatever becomes of what is attached, the image goes. */
int registry_delete_image(const struct registry *r, const char *repository, const char *digest,
                          struct error *err)
{
    struct registry once = *r;
    struct error ignored = ERROR_INIT;

    once.tries = 1;
    if (delete_attached(&once, repository, digest, err) == 0)
        return registry_delete_manifest(&once, repository, digest, err);
    (void)!registry_delete_manifest(&once, repository, digest, &ignored);
    return -1;
}
