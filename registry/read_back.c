/* registry — an image is read back: whether the registry has all of what was pushed. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "registry/exchange.h"

#define CONFIG_MAX (8 << 20)

struct reading {
    const struct registry *r;
    const char *repository;
    struct buf *missing; /* text; empty: all that was looked at is there */
};

/* The manifest's descriptors were checked when it was read. */
static const char *digest_of(const json_t *descriptor)
{
    return json_string_value(json_object_get(descriptor, "digest"));
}

static uint64_t size_of(const json_t *descriptor)
{
    return (uint64_t)json_integer_value(json_object_get(descriptor, "size"));
}

/* Its digest is checked on the way. */
static int read_config(const struct reading *rd, const json_t *config, size_t n_layers,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CONFIG_MAX);
    enum registry_presence presence;
    json_auto_t *o = NULL;
    const json_t *ids;

    if (registry_read_blob(rd->r, rd->repository, digest_of(config), size_of(config), &presence,
                           &text, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT) {
        buf_addf(rd->missing, "its configuration %s is not there", digest_of(config));
        return 0;
    }
    o = json_loadb(buf_str(&text), text.len, 0, NULL);
    ids = json_object_get(json_object_get(o, "rootfs"), "diff_ids");
    if (json_array_size(ids) != n_layers)
        buf_addf(rd->missing, "its configuration is that of %zu layers, and it has %zu",
                 json_array_size(ids), n_layers);
    return 0;
}

static int look_at_layer(const struct reading *rd, const json_t *layer, struct error *err)
{
    enum registry_presence presence;
    uint64_t size;

    if (registry_touch_blob(rd->r, rd->repository, digest_of(layer), size_of(layer), &presence,
                            &size, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        buf_addf(rd->missing, "its layer %s is not there", digest_of(layer));
    else if (size != UINT64_MAX && size != size_of(layer))
        buf_addf(rd->missing, "its layer %s has %" PRIu64 " bytes there and not %" PRIu64,
                 digest_of(layer), size, size_of(layer));
    return 0;
}

static int look(const struct reading *rd, const struct registry_manifest *m, struct error *err)
{
    json_auto_t *root = json_loadb(buf_str(&m->body), m->body.len, 0, NULL);
    const json_t *layers = json_object_get(root, "layers");
    const json_t *config = json_object_get(root, "config");

    if (!config)
        return error_set(err, ERR_REMOTE, "it is no image's manifest");
    if (read_config(rd, config, json_array_size(layers), err) < 0)
        return -1;
    for (size_t i = 0; i < json_array_size(layers) && rd->missing->len == 0; i++)
        if (look_at_layer(rd, json_array_get(layers, i), err) < 0)
            return -1;
    return 0;
}

int registry_read_back(const struct registry *r, const char *repository, const char *digest,
                       struct registry_manifest *ret, struct buf *ret_missing, struct error *err)
{
    CLEANUP(registry_manifest_release) struct registry_manifest m = {.size = 0};
    const struct reading rd = {r, repository, ret_missing};
    enum registry_presence presence;

    if (registry_get_manifest(r, repository, digest, &presence, &m, err) < 0)
        return -1;
    if (presence == REGISTRY_ABSENT)
        buf_addf(ret_missing, "its manifest %s is not there", digest);
    else if (look(&rd, &m, err) < 0)
        return error_wrap(err, "read back %s@%s", repository, digest);
    *ret = m;
    m.body = (struct buf)BUF_INIT(0);
    return 0;
}
