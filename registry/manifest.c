/* registry/manifest — the place that reads manifests (and registry/listing lists).
 *
 * A manifest that can be read in two ways is refused (CVE-2021-41190): the text's mediaType must be
 * the Content-Type, no key may stand twice, and an image may not also be an index. */
#include "registry/manifest.h"

#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "registry/names.h"

#define OCI_MANIFEST    REGISTRY_OCI_MANIFEST
#define OCI_INDEX       REGISTRY_OCI_INDEX
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"

#define ERROR_TEXT_MAX 200

const char registry_manifest_accept[] =
    "Accept: " OCI_MANIFEST ", " OCI_INDEX ", " DOCKER_MANIFEST ", " DOCKER_LIST;

static const struct {
    const char *name;
    bool is_index;
} media_types[] = {
    {OCI_MANIFEST, false}, {OCI_INDEX, true}, {DOCKER_MANIFEST, false}, {DOCKER_LIST, true}};

#define N_MEDIA_TYPES (sizeof(media_types) / sizeof(media_types[0]))

static void json_release(json_t **j)
{
    json_decref(*j);
}

static int refuse(struct error *err, const char *why)
{
    return error_set(err, ERR_REMOTE, "not a manifest: %s", why);
}

/* The entry of media_types that a Content-Type names, its parameters aside; N_MEDIA_TYPES if none.
 */
static size_t find_media_type(const char *text)
{
    size_t len = strcspn(text, "; \t");
    size_t i = 0;

    while (i < N_MEDIA_TYPES && !(strlen(media_types[i].name) == len &&
                                  strncasecmp(media_types[i].name, text, len) == 0))
        i++;
    return i;
}

static int choose_media_type(const json_t *root, const char *content_type, size_t *ret_type,
                             struct error *err)
{
    const json_t *member = json_object_get(root, "mediaType");
    const char *text = json_string_value(member);
    size_t type;

    if (member && !text)
        return refuse(err, "mediaType is no string");
    if (!content_type && !text)
        return refuse(err, "it has no media type");
    type = find_media_type(content_type ? content_type : text);
    if (type == N_MEDIA_TYPES)
        return refuse(err, "its media type is none of an image's or an index's");
    if (text && strcmp(text, media_types[type].name) != 0)
        return refuse(err, "its mediaType is not its Content-Type");
    *ret_type = type;
    return 0;
}

/* Adds a descriptor's size. */
static int add_descriptor(const json_t *descriptor, uint64_t *total, struct error *err)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    const json_t *size = json_object_get(descriptor, "size");

    if (!digest || !registry_digest_is_valid(digest))
        return refuse(err, "a descriptor has no sha256 digest");
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return refuse(err, "a descriptor has no size");
    if (__builtin_add_overflow(*total, (uint64_t)json_integer_value(size), total))
        return refuse(err, "its sizes overflow");
    return 0;
}

static int add_descriptors(const json_t *array, uint64_t *total, struct error *err)
{
    const json_t *descriptor;
    size_t i;

    json_array_foreach (array, i, descriptor)
        if (add_descriptor(descriptor, total, err) < 0)
            return -1;
    return 0;
}

static int read_image(const json_t *root, uint64_t *ret_size, struct error *err)
{
    const json_t *layers = json_object_get(root, "layers");
    uint64_t size = 0;

    if (!json_is_array(layers) || json_object_get(root, "manifests"))
        return refuse(err, "an image has layers and no manifests");
    if (add_descriptor(json_object_get(root, "config"), &size, err) < 0 ||
        add_descriptors(layers, &size, err) < 0)
        return -1;
    *ret_size = size;
    return 0;
}

/* An index does not tell the size of its images: 0 stands for unknown. */
static int read_index(const json_t *root, uint64_t *ret_size, struct error *err)
{
    const json_t *manifests = json_object_get(root, "manifests");
    uint64_t ignored = 0;

    if (!json_is_array(manifests) || json_object_get(root, "layers") ||
        json_object_get(root, "config"))
        return refuse(err, "an index has manifests, no layers and no config");
    if (add_descriptors(manifests, &ignored, err) < 0)
        return -1;
    *ret_size = 0;
    return 0;
}

int registry_manifest_read(const char *bytes, size_t len, const char *content_type,
                           struct registry_manifest *ret, struct error *err)
{
    CLEANUP(json_release) json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
    uint64_t size = 0;
    size_t type = 0;

    if (!json_is_object(root))
        return refuse(err, "it is no JSON object");
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2)
        return refuse(err, "its schemaVersion is not 2");
    if (choose_media_type(root, content_type, &type, err) < 0)
        return -1;
    if ((media_types[type].is_index ? read_index : read_image)(root, &size, err) < 0)
        return -1;
    memcpy(ret->digest, "sha256:", 7);
    digest_sha256_hex(bytes, len, ret->digest + 7);
    (void)snprintf(ret->media_type, sizeof(ret->media_type), "%s", media_types[type].name);
    ret->size = size;
    return 0;
}

/* Image specification 1.1, "non-distributable layers"; and Docker's before them. */
static bool is_foreign(const json_t *descriptor)
{
    const char *type = json_string_value(json_object_get(descriptor, "mediaType"));

    return json_object_get(descriptor, "urls") ||
           (type && (strstr(type, ".foreign.") || strstr(type, ".nondistributable.")));
}

static struct registry_blob blob_of(const json_t *descriptor, bool layer)
{
    return (struct registry_blob){
        .digest = json_string_value(json_object_get(descriptor, "digest")),
        .size = (uint64_t)json_integer_value(json_object_get(descriptor, "size")),
        .layer = layer,
        .foreign = is_foreign(descriptor),
    };
}

int registry_manifest_blobs(const struct registry_manifest *m,
                            int (*each)(void *self, const struct registry_blob *b,
                                        struct error *err),
                            void *self, struct error *err)
{
    CLEANUP(json_release) json_t *root = json_loadb(buf_str(&m->body), m->body.len, 0, NULL);
    const json_t *config = json_object_get(root, "config");
    struct registry_blob blob = blob_of(config, false);
    const json_t *layer;
    size_t i;

    if (config && each(self, &blob, err) < 0)
        return -1;
    json_array_foreach (json_object_get(root, "layers"), i, layer) {
        blob = blob_of(layer, true);
        if (each(self, &blob, err) < 0)
            return -1;
    }
    return 0;
}

/* At most ERROR_TEXT_MAX bytes of text, if all of it is printable. */
static bool is_showable(const char *text)
{
    return text && strlen(text) <= ERROR_TEXT_MAX && !text_has_control(text, strlen(text));
}

void registry_error_read(const char *bytes, size_t len, struct buf *out)
{
    CLEANUP(json_release) json_t *root = json_loadb(bytes, len, 0, NULL);
    const json_t *first = json_array_get(json_object_get(root, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code"));
    const char *message = json_string_value(json_object_get(first, "message"));

    if (is_showable(code))
        buf_adds(out, code);
    if (is_showable(code) && is_showable(message) && *message)
        buf_addf(out, ": %s", message);
}
