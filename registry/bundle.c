/* registry — bundles: artifacts that are found by a tag (OCI image specification 1.1, manifest.md,
 * "Guidelines for Artifact Usage"): a manifest as an image has, whose config is of a type of its
 * own, and layers. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "registry/exchange.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_MAX  (4 << 20)
#define CREATED       "io.kiln.created" /* annotation: seconds since 1970 */

void registry_bundle_release(struct registry_bundle *a)
{
    buf_release(&a->config);
}

/* ---- reading ---- */

/* Its descriptor was checked with the manifest. */
static int read_descriptor(const struct registry_manifest *m, const char *type, size_t max,
                           char ret_digest[REGISTRY_DIGEST], uint64_t *ret_size, struct error *err)
{
    json_auto_t *root = json_loadb(buf_str(&m->body), m->body.len, 0, NULL);
    const json_t *config = json_object_get(root, "config");
    const char *said = json_string_value(json_object_get(config, "mediaType"));
    const char *digest = json_string_value(json_object_get(config, "digest"));

    if (!said || strcmp(said, type) != 0 || !digest)
        return error_set(err, ERR_REMOTE, "it is no %s", type);
    *ret_size = (uint64_t)json_integer_value(json_object_get(config, "size"));
    if (*ret_size > max)
        return error_set(err, ERR_REMOTE, "its config is larger than %zu bytes", max);
    (void)snprintf(ret_digest, REGISTRY_DIGEST, "%s", digest);
    return 0;
}

static int read_config(const struct registry *r, const char *repository, const char *digest,
                       uint64_t size, struct buf *ret, struct error *err)
{
    enum registry_presence presence;

    if (registry_read_blob(r, repository, digest, size, &presence, ret, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return error_set(err, ERR_REMOTE, "the registry does not have its config");
    return 0;
}

static int get(const struct registry *r, const char *repository, const char *tag, const char *type,
               size_t max, enum registry_presence *ret_presence, struct registry_bundle *ret,
               struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    char digest[REGISTRY_DIGEST];
    uint64_t size = 0;

    if (registry_get_manifest(r, repository, tag, ret_presence, &m, err) < 0)
        return -1;
    if (*ret_presence == REGISTRY_ABSENT)
        return 0;
    memcpy(ret->digest, m.digest, sizeof(ret->digest));
    if (read_descriptor(&m, type, max, digest, &size, err) < 0)
        return -1;
    ret->config = (struct buf)BUF_INIT(max);
    return read_config(r, repository, digest, size, &ret->config, err);
}

int registry_get_bundle(const struct registry *r, const char *repository, const char *tag,
                        const char *type, size_t max, enum registry_presence *ret_presence,
                        struct registry_bundle *ret, struct error *err)
{
    CLEANUP(registry_bundle_release) struct registry_bundle a = {.digest = ""};
    enum registry_presence presence;

    if (get(r, repository, tag, type, max, &presence, &a, err) < 0)
        return error_wrap(err, "read %s:%s", repository, tag);
    *ret = a;
    a.config = (struct buf)BUF_INIT(0);
    *ret_presence = presence;
    return 0;
}

/* ---- writing ---- */

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size",
                     (json_int_t)size);
}

/* NULL: out of memory. */
static char *write_manifest(const struct registry_image *image, const char *type,
                            const char *layer_type, int64_t created)
{
    char digest[SHA256_HEX + 8] = "sha256:";
    json_auto_t *o =
        json_pack("{s:i, s:s, s:s, s:{s:s, s:o}}", "schemaVersion", 2, "mediaType", MANIFEST_TYPE,
                  "artifactType", type, "annotations", "org.opencontainers.image.title", image->tag,
                  CREATED, json_sprintf("%lld", (long long)created));
    json_t *layers = json_array();

    digest_sha256_hex(image->config, image->config_len, digest + strlen("sha256:"));
    for (size_t i = 0; i < image->n_layers; i++)
        json_array_append_new(
            layers, descriptor(layer_type, image->layers[i].digest, image->layers[i].size));
    json_object_set_new(o, "config", descriptor(type, digest, image->config_len));
    json_object_set_new(o, "layers", layers);
    return json_dumps(o, JSON_COMPACT);
}

/* Without the old one, if there is one and it can be removed: not every registry lets us. */
static void remove_old(const struct registry *r, const char *repository, const char *old,
                       const char *new)
{
    struct error ignored = ERROR_INIT;

    if (*old && strcmp(old, new) != 0)
        (void)!registry_delete_manifest(r, repository, old, &ignored);
}

int registry_put_bundle(const struct registry *r, const struct registry_image *image,
                        const char *type, const char *layer_type, int64_t created,
                        struct registry_pushed *ret, struct error *err)
{
    CLEANUP_FREE char *manifest = write_manifest(image, type, layer_type, created);
    enum registry_presence presence = REGISTRY_ABSENT;
    struct registry_image what = *image;
    struct error ignored = ERROR_INIT;
    char old[REGISTRY_DIGEST] = "";

    if (!manifest)
        return error_set(err, ERR_SYSTEM, "write a manifest: out of memory");
    if (strlen(manifest) > MANIFEST_MAX)
        return error_set(err, ERR_LIMIT, "the manifest is larger than registries take");
    what.media_type = MANIFEST_TYPE;
    what.manifest = manifest;
    what.manifest_len = strlen(manifest);
    (void)!registry_head_manifest(r, image->repository, image->tag, &presence, old, &ignored);
    if (registry_push(r, &what, ret, err) < 0)
        return -1;
    remove_old(r, image->repository, old, ret->digest);
    return 0;
}

/* ---- tags ---- */

static void add_tag(void *self, const char *tag)
{
    argv_push1(self, tag);
}

struct aged {
    const char *tag;
    char digest[REGISTRY_DIGEST];
    int64_t created;
};

static int compare(const void *a, const void *b)
{
    const struct aged *x = a, *y = b;

    return (x->created > y->created) - (x->created < y->created);
}

/* One that does not say when it was made was made first. */
static int look_at(const struct registry *r, const char *repository, const char *tag,
                   struct aged *ret, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    enum registry_presence presence;
    json_auto_t *root = NULL;
    const char *created;

    *ret = (struct aged){.tag = tag};
    if (registry_get_manifest(r, repository, tag, &presence, &m, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        return 0;
    memcpy(ret->digest, m.digest, sizeof(ret->digest));
    root = json_loadb(buf_str(&m.body), m.body.len, 0, NULL);
    created = json_string_value(json_object_get(json_object_get(root, "annotations"), CREATED));
    ret->created = created ? strtoll(created, NULL, 10) : 0;
    return 0;
}

int registry_trim_bundles(const struct registry *r, const char *repository, size_t max, size_t keep,
                          size_t *ret_removed, struct error *err)
{
    CLEANUP(argv_release) struct argv tags = ARGV_INIT;
    CLEANUP_FREE struct aged *v = NULL;
    enum registry_presence presence;

    *ret_removed = 0;
    if (registry_list_tags(r, repository, &presence, add_tag, &tags, err) < 0)
        return -1;
    if (tags.failed)
        return error_set(err, ERR_SYSTEM, "list tags: out of memory");
    if (tags.n <= max)
        return 0;
    v = calloc(tags.n, sizeof(*v));
    if (!v)
        return error_set(err, ERR_SYSTEM, "look at bundles: out of memory");
    for (size_t i = 0; i < tags.n; i++)
        if (look_at(r, repository, tags.v[i], &v[i], err) < 0)
            return -1;
    qsort(v, tags.n, sizeof(*v), compare);
    for (; *ret_removed < tags.n - keep; ++*ret_removed)
        if (v[*ret_removed].digest[0] &&
            registry_delete_manifest(r, repository, v[*ret_removed].digest, err) < 0)
            return -1;
    return 0;
}
