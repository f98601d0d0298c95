/* builder/build_result — see the header. */
#include "builder/build_result.h"

#include <jansson.h>
#include <string.h>

#include "base/digest.h"

#define LAYERS_MAX 1000

static bool read_layer(const json_t *o, struct builder_layer *ret)
{
    const char *digest = json_string_value(json_object_get(o, "digest"));
    const char *diff_id = json_string_value(json_object_get(o, "diff_id"));

    *ret = (struct builder_layer){.size = (uint64_t)json_integer_value(json_object_get(o, "size")),
                                  .base = json_is_true(json_object_get(o, "base")),
                                  .away = json_is_true(json_object_get(o, "away"))};
    if (!digest_is_sha256(digest) || !digest_is_sha256(diff_id))
        return false;
    (void)snprintf(ret->digest, sizeof(ret->digest), "%s", digest);
    (void)snprintf(ret->diff_id, sizeof(ret->diff_id), "%s", diff_id);
    return true;
}

static bool read_keys(const json_t *o, struct builder_image *ret)
{
    CLEANUP_FREE char *text = json_dumps(json_object_get(o, "keys"), JSON_COMPACT);

    buf_adds(&ret->keys, text ? text : "");
    return text && !ret->keys.full;
}

/* The buffers are there. */
static bool read_image(const json_t *o, struct builder_image *ret)
{
    const json_t *config = json_object_get(o, "config");
    const json_t *layers = json_object_get(o, "layers");
    const json_t *packages = json_object_get(o, "packages");
    const json_t *mount;
    size_t n = json_array_size(layers);

    if (!json_is_string(config) || n > LAYERS_MAX)
        return false;
    buf_add(&ret->config, json_string_value(config), json_string_length(config));
    ret->layers = calloc(n + 1, sizeof(*ret->layers));
    if (!ret->layers || ret->config.full)
        return false;
    for (; ret->n_layers < n; ret->n_layers++)
        if (!read_layer(json_array_get(layers, ret->n_layers), &ret->layers[ret->n_layers]))
            return false;
    if (json_is_string(packages))
        buf_add(&ret->packages, json_string_value(packages), json_string_length(packages));
    ret->n_steps = (size_t)json_integer_value(json_object_get(o, "steps"));
    ret->n_cached = (size_t)json_integer_value(json_object_get(o, "cached"));
    ret->epoch = json_integer_value(json_object_get(o, "epoch"));
    json_array_foreach (json_object_get(o, "mounts"), n, mount)
        argv_push1(&ret->mounts, json_string_value(mount) ? json_string_value(mount) : "");
    return !ret->mounts.failed && read_keys(o, ret);
}

int build_result_read(const char *text, size_t len, struct builder_image *ret, struct error *err)
{
    json_auto_t *o = json_loadb(text, len, 0, NULL);

    *ret = (struct builder_image){.config = BUF_INIT(BUILD_RESULT_MAX),
                                  .packages = BUF_INIT(BUILD_RESULT_MAX),
                                  .keys = BUF_INIT(BUILD_RESULT_MAX)};
    if (read_image(o, ret))
        return 0;
    builder_image_release(ret);
    return error_set(err, ERR_SYSTEM, "read what was built: it is no image");
}

void build_result_read_steps(char *text, struct builder_image *ret)
{
    json_auto_t *all = json_array();
    CLEANUP_FREE char *dump = NULL;

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        json_auto_t *steps = json_loads(line, 0, NULL);

        if (json_is_array(steps))
            json_array_extend(all, steps);
    }
    dump = json_dumps(all, JSON_COMPACT);
    if (json_array_size(all) > 0 && dump)
        buf_adds(&ret->keys, dump);
}

void builder_image_release(struct builder_image *image)
{
    buf_release(&image->config);
    buf_release(&image->packages);
    buf_release(&image->keys);
    argv_release(&image->mounts);
    free(image->layers);
    *image = (struct builder_image){.n_layers = 0};
}
