/* Whatever a jail says that it has built: an image whose digests are such, or an error.  And the
 * same as what it says of an image that it started. */
#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "builder/build_result.h"
#include "builder/cache.h"
#include "builder/trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The steps that it says were made, as they are read for other workers. */
static void try_keys(const struct builder_image *image)
{
    json_auto_t *keys = json_loadb(buf_str(&image->keys), image->keys.len, 0, NULL);
    const json_t *o;
    size_t i;

    json_array_foreach (keys, i, o) {
        struct cache_record record;

        if (cache_record_read(json_object_get(o, "record"), &record) && record.has_layer)
            must(digest_is_sha256(record.layer.digest));
    }
}

static void try_trial(const char *text, size_t len)
{
    struct builder_trial_result result;
    struct error err = ERROR_INIT;

    if (trial_read_result(text, len, &result, &err) == 0)
        must(memchr(result.listens, '\0', sizeof(result.listens)) != NULL);
    else
        must(err.kind != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    CLEANUP(builder_image_release)
    struct builder_image steps = {.keys = BUF_INIT(BUILD_RESULT_MAX)};
    struct error err = ERROR_INIT;
    struct builder_image image;

    must(text != NULL);
    if (build_result_read((const char *)data, size, &image, &err) == 0) {
        for (size_t i = 0; i < image.n_layers; i++)
            must(digest_is_sha256(image.layers[i].digest) &&
                 digest_is_sha256(image.layers[i].diff_id));
        try_keys(&image);
        builder_image_release(&image);
    } else {
        must(err.kind == ERR_SYSTEM);
    }
    build_result_read_steps(text, &steps);
    try_keys(&steps);
    try_trial((const char *)data, size);
    return 0;
}
