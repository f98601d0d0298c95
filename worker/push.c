/* worker/push — the image goes to the registry: its manifest, and those of its blobs that are not
 * there yet. */
#include "worker/push.h"

#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "worker/cache_registry.h"
#include "worker/steps.h"

#define MANIFEST_MAX  (4 << 20) /* registries take no more */
#define MANIFEST_TYPE "application/vnd.docker.distribution.manifest.v2+json"
#define CONFIG_TYPE   "application/vnd.docker.container.image.v1+json"
#define LAYER_TYPE    "application/vnd.docker.image.rootfs.diff.tar.gzip"

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
    return json_pack("{s:s, s:I, s:s}", "mediaType", type, "size", (json_int_t)size, "digest",
                     digest);
}

/* Image manifest version 2, schema 2 (distribution's specification).  "" in ret: out of memory. */
static void write_manifest(const struct builder_image *image, struct buf *ret)
{
    char digest[SHA256_HEX + 8] = "sha256:";
    json_auto_t *o = json_pack("{s:i, s:s}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE);
    json_t *layers = json_array();
    CLEANUP_FREE char *text = NULL;

    digest_sha256_hex(buf_str(&image->config), image->config.len, digest + strlen("sha256:"));
    for (size_t i = 0; i < image->n_layers; i++)
        json_array_append_new(
            layers, descriptor(LAYER_TYPE, image->layers[i].digest, image->layers[i].size));
    json_object_set_new(o, "config", descriptor(CONFIG_TYPE, digest, image->config.len));
    json_object_set_new(o, "layers", layers);
    text = json_dumps(o, JSON_COMPACT);
    buf_adds(ret, text ? text : "");
}

struct blob {
    const struct builder_job *job;
    const struct builder_layer *layer;
};

static int open_blob(void *self, int *ret_fd, struct error *err)
{
    const struct blob *b = self;

    return builder_open_blob(b->job, b->layer, ret_fd, err);
}

int push_image(const struct registry *registry, const struct builder_job *job,
               const struct builder_image *image, const char *repository, const char *tag,
               const char *cache, struct registry_pushed *ret, struct error *err)
{
    size_t n = image->n_layers;
    CLEANUP(buf_release) struct buf manifest = BUF_INIT(MANIFEST_MAX);
    CLEANUP_FREE struct registry_layer *layers = calloc(n + 1, sizeof(*layers));
    CLEANUP_FREE struct blob *blobs = calloc(n + 1, sizeof(*blobs));
    struct registry_image what = {.repository = repository,
                                  .tag = tag,
                                  .config = buf_str(&image->config),
                                  .config_len = image->config.len,
                                  .layers = layers,
                                  .n_layers = n,
                                  .media_type = MANIFEST_TYPE};

    write_manifest(image, &manifest);
    if (!layers || !blobs || !manifest.len)
        return error_set(err, ERR_SYSTEM, "push the image: out of memory");
    what.manifest = buf_str(&manifest);
    what.manifest_len = manifest.len;
    for (size_t i = 0; i < n; i++) {
        blobs[i] = (struct blob){job, &image->layers[i]};
        layers[i] = (struct registry_layer){.digest = image->layers[i].digest,
                                            .size = image->layers[i].size,
                                            .open = open_blob,
                                            .self = &blobs[i],
                                            .mount_from = image->layers[i].away ? cache : NULL};
    }
    return registry_push(registry, &what, ret, err);
}

int step_push(struct run *r, struct error *err)
{
    struct registry registry = *r->config->registry;
    struct registry_pushed pushed;
    char repository[3 * NAME_SIZE], cache[CACHE_REPOSITORY];
    char sent[TEXT_SIZE], skipped[TEXT_SIZE];

    registry.cancel = &r->cancel;
    pipeline_repository(&r->build, repository);
    cache_repository(&r->build, cache);
    plain_log_begin(&r->plain_log, "pushing image to %s/%s:%s", r->config->registry_name,
                    repository, r->build.tag);
    if (push_image(&registry, r->job, &r->image, repository, r->build.tag, cache, &pushed, err) <
        0) {
        if (cancel_is_thrown(&r->cancel))
            err->kind = ERR_NONE;
        return -1;
    }
    (void)snprintf(r->digest, sizeof(r->digest), "%s", pushed.digest);
    text_size(pushed.sent, sent);
    text_size(pushed.skipped, skipped);
    journal_addf(&r->journal, LOG_INFO, "#%d %s sent, %s were there already", r->plain_log.number,
                 sent, skipped);
    return 0;
}
