/* registry/listing — the JSON of a registry's lists, and of what is attached to a manifest. */
#include "registry/listing.h"

#include <jansson.h>
#include <string.h>

#include "registry/manifest.h"
#include "registry/names.h"

#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"

const char registry_empty[3] = "{}";
const char registry_empty_digest[] =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

static json_t *read_object(const char *bytes, size_t len, struct error *err)
{
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(root))
        return root;
    json_decref(root);
    (void)error_set(err, ERR_REMOTE, "the registry's list is no JSON object");
    return NULL;
}

static int write_json(const json_t *root, struct buf *out, struct error *err)
{
    CLEANUP_FREE char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (!text)
        return error_set(err, ERR_SYSTEM, "write a manifest: out of memory");
    buf_adds(out, text);
    return buf_check(out, "a manifest", err);
}

/* ---- tags ---- */

int registry_tags_read(const char *bytes, size_t len, void (*each)(void *self, const char *tag),
                       void *self, struct error *err)
{
    json_auto_t *root = read_object(bytes, len, err);
    const json_t *tags = json_object_get(root, "tags");
    const json_t *tag;
    size_t i;

    if (!root)
        return -1;
    if (tags && !json_is_array(tags) && !json_is_null(tags))
        return error_set(err, ERR_REMOTE, "the registry's list of tags is none");
    json_array_foreach (tags, i, tag)
        if (json_is_string(tag) && registry_tag_is_valid(json_string_value(tag)))
            each(self, json_string_value(tag));
    return 0;
}

/* ---- referrers ---- */

static void copy_text(const json_t *o, const char *key, char *ret, size_t room)
{
    const char *text = json_string_value(json_object_get(o, key));

    (void)snprintf(ret, room, "%s", text && strlen(text) < room ? text : "");
}

static bool read_descriptor(const json_t *o, struct registry_referrer *ret)
{
    const json_t *size = json_object_get(o, "size");

    *ret = (struct registry_referrer){.size = (uint64_t)json_integer_value(size)};
    copy_text(o, "digest", ret->digest, sizeof(ret->digest));
    copy_text(o, "artifactType", ret->type, sizeof(ret->type));
    return json_is_integer(size) && json_integer_value(size) >= 0 &&
           registry_digest_is_valid(ret->digest);
}

/* Some say null for none (olareg 0.1). */
static const json_t *manifests_of(const json_t *root, struct error *err)
{
    const json_t *manifests = json_object_get(root, "manifests");

    if ((json_is_array(manifests) || json_is_null(manifests)) && !json_object_get(root, "layers"))
        return manifests;
    (void)error_set(err, ERR_REMOTE, "the registry's list of what is attached is no index");
    return NULL;
}

int registry_referrers_read(const char *bytes, size_t len,
                            void (*each)(void *self, const struct registry_referrer *r), void *self,
                            struct error *err)
{
    json_auto_t *root = read_object(bytes, len, err);
    const json_t *manifests = root ? manifests_of(root, err) : NULL;
    const json_t *one;
    size_t i;

    if (!manifests)
        return -1;
    json_array_foreach (manifests, i, one) {
        struct registry_referrer r;

        if (read_descriptor(one, &r))
            each(self, &r);
    }
    return 0;
}

static bool is_among(const json_t *descriptor, const struct registry_referrer *v, size_t n)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));

    for (size_t i = 0; digest && i < n; i++)
        if (strcmp(v[i].digest, digest) == 0)
            return true;
    return false;
}

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size",
                     (json_int_t)size);
}

int registry_index_add(const char *bytes, size_t len, const struct registry_referrer *added,
                       size_t n, struct buf *out, struct error *err)
{
    json_auto_t *before = len ? read_object(bytes, len, err) : json_pack("{s:[]}", "manifests");
    const json_t *manifests = before ? manifests_of(before, err) : NULL;
    json_auto_t *root = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
                                  REGISTRY_OCI_INDEX, "manifests");
    json_t *list = json_object_get(root, "manifests");
    json_t *one;
    size_t i;

    if (!manifests)
        return -1;
    json_array_foreach (manifests, i, one)
        if (!is_among(one, added, n))
            json_array_append(list, one);
    for (i = 0; i < n; i++) {
        one = descriptor(REGISTRY_OCI_MANIFEST, added[i].digest, added[i].size);
        json_object_set_new(one, "artifactType", json_string(added[i].type));
        json_array_append_new(list, one);
    }
    return write_json(root, out, err);
}

/* ---- artifacts ---- */

int registry_artifact_write(const struct registry_subject *subject,
                            const struct registry_artifact *artifact, const char *digest,
                            struct buf *out, struct error *err)
{
    json_auto_t *root =
        json_pack("{s:i, s:s, s:s, s:o, s:[o], s:o}", "schemaVersion", 2, "mediaType",
                  REGISTRY_OCI_MANIFEST, "artifactType", artifact->type, "config",
                  descriptor(EMPTY_TYPE, registry_empty_digest, sizeof(registry_empty) - 1),
                  "layers", descriptor(artifact->type, digest, artifact->len), "subject",
                  descriptor(subject->media_type, subject->digest, subject->size));

    return write_json(root, out, err);
}
