/* Whatever a jail says that it has built: an image whose digests are such, or an error.  And the
 * same as what it says of an image that it started. */
#include <string.h>

#include "base/digest.h"
#include "builder/build_result.h"
#include "builder/trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
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
        builder_image_release(&image);
    } else {
        must(err.kind == ERR_SYSTEM);
    }
    build_result_read_steps(text, &steps);
    try_trial((const char *)data, size);
    return 0;
}
