/* worker/push — the image goes to the registry: its manifest, and those of its blobs that are not
 * there yet. */
#include "worker/push.h"

#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "worker/cache_registry.h"
#include "worker/steps.h"

#define MANIFEST_MAX (4 << 20) /* registries take no more */

/* Image manifest version 2, schema 2 (distribution's specification), and the OCI image
 * specification 1.1. */
static const struct format {
    const char *manifest, *config;
    const char *layers[BUILDER_NOT_PACKED + 1]; /* NULL: it has none of that kind */
} docker = {"application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            {"application/vnd.docker.image.rootfs.diff.tar.gzip", NULL,
             "application/vnd.docker.image.rootfs.diff.tar"}},
  oci = {"application/vnd.oci.image.manifest.v1+json",
         "application/vnd.oci.image.config.v1+json",
         {"application/vnd.oci.image.layer.v1.tar+gzip",
          "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.v1.tar"}};

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
    return json_pack("{s:s, s:I, s:s}", "mediaType", type, "size", (json_int_t)size, "digest",
                     digest);
}

/* The packing of each layer, and a format that has them all. */
static int find_format(const struct builder_job *job, const struct builder_image *image,
                       enum builder_packing *ret_packed, const struct format **ret,
                       struct error *err)
{
    *ret = &docker;
    for (size_t i = 0; i < image->n_layers; i++) {
        if (builder_packing_of(job, &image->layers[i], &ret_packed[i], err) < 0)
            return -1;
        if (!docker.layers[ret_packed[i]])
            *ret = &oci;
    }
    return 0;
}

int push_write_manifest(const struct builder_job *job, const struct builder_image *image,
                        struct buf *out, const char **ret_type, struct error *err)
{
    char digest[SHA256_HEX + 8] = "sha256:";
    CLEANUP_FREE enum builder_packing *packed = calloc(image->n_layers + 1, sizeof(*packed));
    json_auto_t *o = json_pack("{s:i}", "schemaVersion", 2);
    json_t *layers = json_array();
    const struct format *format;
    CLEANUP_FREE char *text = NULL;

    json_object_set_new(o, "layers", layers);
    if (!packed)
        return error_set(err, ERR_SYSTEM, "write the manifest: out of memory");
    if (find_format(job, image, packed, &format, err) < 0)
        return -1;
    digest_sha256_hex(buf_str(&image->config), image->config.len, digest + strlen("sha256:"));
    for (size_t i = 0; i < image->n_layers; i++)
        json_array_append_new(layers, descriptor(format->layers[packed[i]], image->layers[i].digest,
                                                 image->layers[i].size));
    json_object_set_new(o, "mediaType", json_string(format->manifest));
    json_object_set_new(o, "config", descriptor(format->config, digest, image->config.len));
    text = json_dumps(o, JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_SYSTEM, "write the manifest: out of memory");
    buf_adds(out, text);
    *ret_type = format->manifest;
    return buf_check(out, "the manifest", err);
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
               const char *cache, const struct argv *known, struct registry_pushed *ret,
               struct error *err)
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
                                  .n_layers = n};

    if (push_write_manifest(job, image, &manifest, &what.media_type, err) < 0)
        return -1;
    if (!layers || !blobs)
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
        if (!image->layers[i].away && known && known->v[i][0])
            layers[i].mount_from = known->v[i];
    }
    return registry_push(registry, &what, ret, err);
}

/* known, and for layers of the base that the workspace has nowhere yet the image that it stands on:
 * an own one or a shared one, which ret thus does not copy. */
static int add_mounts(const struct run *r, const struct argv *known, struct argv *ret,
                      struct error *err)
{
    for (size_t i = 0; i < known->n; i++) {
        bool from_base = !known->v[i][0] && r->image.layers[i].base && r->open.n > 0;

        argv_push1(ret, from_base ? r->open.v[0] : known->v[i]);
    }
    return ret->failed ? error_set(err, ERR_SYSTEM, "push the image: out of memory") : 0;
}

/* Other images of the workspace may have its layers: what was pushed once is mounted. */
static int push_with_known(struct run *r, const struct registry *registry, const char *repository,
                           const char *cache, struct registry_pushed *ret, struct error *err)
{
    const struct target t = {r->build.workspace, r->build.type, r->build.name};
    CLEANUP(argv_release) struct argv digests = ARGV_INIT, known = ARGV_INIT, from = ARGV_INIT;

    for (size_t i = 0; i < r->image.n_layers; i++)
        argv_push1(&digests, r->image.layers[i].digest);
    if (digests.failed)
        return error_set(err, ERR_SYSTEM, "push the image: out of memory");
    if (state_layers_find(r->config->state, t.workspace, &digests, &known, err) < 0 ||
        add_mounts(r, &known, &from, err) < 0 ||
        push_image(registry, r->job, &r->image, repository, r->build.tag, cache, &from, ret, err) <
            0)
        return -1;
    return state_layers_keep(r->config->state, &t, &digests, err);
}

static int begin_attest(struct run *r, struct error *err)
{
    CLEANUP(buf_release) struct buf manifest = BUF_INIT(MANIFEST_MAX);
    const char *type;

    if (push_write_manifest(r->job, &r->image, &manifest, &type, err) < 0)
        return -1;
    return attest_begin(r, type, &manifest, err);
}

int step_push(struct run *r, struct error *err)
{
    const struct registry registry = run_registry(r);
    struct registry_pushed pushed;
    char repository[3 * NAME_SIZE], cache[CACHE_REPOSITORY];
    char sent[TEXT_SIZE], skipped[TEXT_SIZE];

    pipeline_repository(&r->build, repository);
    cache_repository(&r->build, cache);
    plain_log_begin(&r->plain_log, "pushing image to %s/%s:%s", r->config->registry_name,
                    repository, r->build.tag);
    if (begin_attest(r, err) < 0 ||
        push_with_known(r, &registry, repository, cache, &pushed, err) < 0)
        return -1;
    (void)snprintf(r->digest, sizeof(r->digest), "%s", pushed.digest);
    text_size(pushed.sent, sent);
    text_size(pushed.skipped, skipped);
    journal_addf(&r->journal, LOG_INFO, "#%d %s sent, %s were there already", r->plain_log.number,
                 sent, skipped);
    return 0;
}
