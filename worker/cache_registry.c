/* worker/cache_registry — see the header. */
#include "worker/cache_registry.h"

#include <string.h>

#include "base/text.h"

#define CONFIG_TYPE "application/vnd.kiln.cache.v1+json"
#define LAYER_TYPE  "application/vnd.oci.image.layer.v1.tar+gzip"
#define TRIES       2   /* a build does without rather than waiting */
#define TAG_SIZE    129 /* with the NUL */
#define TAGS_MAX    400
#define TAGS_KEPT   300

static void name_repository(const char *workspace, char ret[CACHE_REPOSITORY])
{
    (void)snprintf(ret, CACHE_REPOSITORY, "%s/cache", workspace);
}

void cache_repository(const struct build *b, char ret[CACHE_REPOSITORY])
{
    name_repository(b->workspace, ret);
}

/* "steps-sandbox-app"; false: it is too long for a tag. */
static bool name_steps(const char *type, const char *name, char ret[TAG_SIZE])
{
    return snprintf(ret, TAG_SIZE, BUILDER_REMOTE_STEPS "-%s-%s", type, name) < TAG_SIZE;
}

/* Or "mount-<64 hex digits>". */
static bool name_tag(const struct build *b, const char *name, char ret[TAG_SIZE])
{
    if (strcmp(name, BUILDER_REMOTE_STEPS) != 0)
        return snprintf(ret, TAG_SIZE, "%s", name) < TAG_SIZE;
    return name_steps(b->type, b->name, ret);
}

static int forget(const struct registry *r, const char *repository, const char *tag,
                  struct error *err)
{
    enum registry_presence presence = REGISTRY_ABSENT;
    char digest[REGISTRY_DIGEST];

    if (registry_head_manifest(r, repository, tag, &presence, digest, err) < 0)
        return -1;
    return presence == REGISTRY_PRESENT ? registry_delete_manifest(r, repository, digest, err) : 0;
}

int pipeline_forget_cache(const struct registry *registry, const struct target *t,
                          struct error *err)
{
    char repository[CACHE_REPOSITORY], tag[TAG_SIZE];

    name_repository(t->workspace, repository);
    return name_steps(t->type, t->name, tag) ? forget(registry, repository, tag, err) : 0;
}

/* ---- looking up ---- */

/* What a try that failed relied on is not asked for by the next one. */
static bool is_wanted(const struct run *r, const char *name)
{
    if (r->build.attempts > 1 && !r->cache.exporting)
        return false;
    return r->config->cache.mounts_max > 0 || !text_starts(name, BUILDER_REMOTE_MOUNT);
}

static int look_up(void *self, const char *name, struct buf *ret, bool *ret_found,
                   struct error *err)
{
    const struct run *r = self;
    CLEANUP(registry_bundle_release) struct registry_bundle found = {.digest = ""};
    enum registry_presence presence;
    char repository[CACHE_REPOSITORY], tag[TAG_SIZE];

    *ret_found = false;
    if (!is_wanted(r, name) || !name_tag(&r->build, name, tag))
        return 0;
    cache_repository(&r->build, repository);
    if (registry_get_bundle(&r->cache.registry, repository, tag, CONFIG_TYPE, ret->max, &presence,
                            &found, err) < 0)
        return -1;
    *ret_found = presence == REGISTRY_PRESENT;
    buf_add(ret, buf_str(&found.config), found.config.len);
    return buf_check(ret, tag, err);
}

static int fetch(void *self, const char *digest, uint64_t size, int fd, bool *ret_found,
                 struct error *err)
{
    const struct run *r = self;
    enum registry_presence presence;
    char repository[CACHE_REPOSITORY];

    cache_repository(&r->build, repository);
    if (registry_get_blob(&r->cache.registry, repository, digest, size, fd, &presence, err) < 0)
        return -1;
    *ret_found = presence == REGISTRY_PRESENT;
    return 0;
}

void cache_registry_use(struct run *r)
{
    if (r->config->cache.mode == WORKER_CACHE_OFF)
        return;
    r->cache.registry = *r->config->registry;
    r->cache.registry.cancel = &r->cancel;
    r->cache.registry.tries = TRIES;
    r->cache.remote = (struct builder_remote){look_up, fetch, r};
    builder_job_use_remote(r->job, &r->cache.remote);
}

/* ---- export ---- */

struct blob {
    struct run *run;
    const struct builder_layer *layer;
    bool *missing;
};

/* What the registry was said to have, and does not. */
static int open_blob(void *self, int *ret_fd, struct error *err)
{
    const struct blob *b = self;

    if (builder_open_blob(b->run->job, b->layer, ret_fd, err) == 0)
        return 0;
    *b->missing = *b->missing || b->layer->away;
    return -1;
}

/* An index that names what is not there would never be right again. */
static void drop_broken(struct run *r, const char *repository, const char *tag)
{
    struct error ignored = ERROR_INIT;

    (void)!forget(&r->cache.registry, repository, tag, &ignored);
}

static int push(struct run *r, const struct builder_artifact *a, uint64_t *sent, struct error *err)
{
    CLEANUP_FREE struct registry_layer *layers = calloc(a->n_layers + 1, sizeof(*layers));
    CLEANUP_FREE struct blob *blobs = calloc(a->n_layers + 1, sizeof(*blobs));
    char repository[CACHE_REPOSITORY], image[3 * NAME_SIZE], tag[TAG_SIZE];
    struct registry_image what = {.repository = repository,
                                  .tag = tag,
                                  .config = buf_str(&a->text),
                                  .config_len = a->text.len,
                                  .layers = layers,
                                  .n_layers = a->n_layers};
    struct registry_pushed pushed;
    bool missing = false;

    if (!layers || !blobs)
        return error_set(err, ERR_SYSTEM, "export the cache: out of memory");
    if (!name_tag(&r->build, a->name, tag))
        return 0;
    cache_repository(&r->build, repository);
    pipeline_repository(&r->build, image);
    for (size_t i = 0; i < a->n_layers; i++) {
        blobs[i] = (struct blob){r, &a->layers[i], &missing};
        layers[i] = (struct registry_layer){.digest = a->layers[i].digest,
                                            .size = a->layers[i].size,
                                            .open = open_blob,
                                            .self = &blobs[i],
                                            .mount_from = image};
    }
    if (registry_put_bundle(&r->cache.registry, &what, CONFIG_TYPE, LAYER_TYPE,
                            clock_now(&clock_system) / NS_PER_SEC, &pushed, err) < 0) {
        if (missing)
            drop_broken(r, repository, tag);
        return -1;
    }
    *sent += pushed.sent;
    return 0;
}

static void trim(struct run *r)
{
    char repository[CACHE_REPOSITORY];
    struct error err = ERROR_INIT;
    size_t removed;

    cache_repository(&r->build, repository);
    if (registry_trim_bundles(&r->cache.registry, repository, TAGS_MAX, TAGS_KEPT, &removed, &err) <
        0)
        run_log(r->config, &r->build, "build %s: trim %s: %s", r->build.id, repository, err.msg);
}

static void push_all(struct run *r, const struct builder_export *e, int64_t began)
{
    struct error err = ERROR_INIT;
    char size[TEXT_SIZE];
    uint64_t sent = 0;

    for (size_t i = 0; i < e->notes.n; i++)
        run_log(r->config, &r->build, "build %s: not kept for other workers: %s", r->build.id,
                e->notes.v[i]);
    for (size_t i = 0; i < e->n; i++)
        if (push(r, &e->v[i], &sent, &err) < 0) {
            run_log(r->config, &r->build, "build %s: keep its cache in the registry: %s",
                    r->build.id, err.msg);
            return;
        }
    if (e->n == 0)
        return;
    trim(r);
    text_size(sent, size);
    run_log(r->config, &r->build, "build %s: its cache is in the registry, %s sent, in %.1f s",
            r->build.id, size, (double)(clock_monotonic() - began) / (double)NS_PER_SEC);
}

void cache_registry_export(struct run *r, const struct cancel *stop)
{
    const struct worker_cache *c = &r->config->cache;
    const struct builder_io io = {.cancel = stop};
    const struct builder_export_options options = {.all = c->mode == WORKER_CACHE_MAX,
                                                   .size_max = c->size_max,
                                                   .mounts_max = c->mounts_max,
                                                   .now = clock_now(&clock_system) / NS_PER_SEC};
    CLEANUP(builder_export_release) struct builder_export e = {.n = 0};
    int64_t began = clock_monotonic();
    struct error err = ERROR_INIT;

    if (c->mode == WORKER_CACHE_OFF || !r->job || r->reused || r->image.keys.len == 0)
        return;
    r->cache.registry.cancel = stop;
    r->cache.exporting = true;
    if (builder_export(r->job, &r->image, &options, &io, &e, &err) < 0)
        run_log(r->config, &r->build, "build %s: keep its cache for other workers: %s", r->build.id,
                err.msg);
    else
        push_all(r, &e, began);
}
