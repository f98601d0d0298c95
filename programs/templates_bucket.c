/* programs/templates_bucket — the template store of a workspace in a bucket. */
#include <limits.h>
#include <string.h>

#include "programs/installation.h"
#include "programs/templates_cli.h"

int template_open_in_bucket(const struct config *config, const char *workspace,
                            const struct template_options *options, struct template_store **ret,
                            struct error *err)
{
    struct installation i = {.config = config};
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    char url[PATH_MAX];
    int result;

    (void)snprintf(url, sizeof(url), "%s/%s", config->templates, workspace);
    result = installation_prepare_objects(&i, config->data_dir, err);
    if (result == 0)
        result = object_cache_open(i.objects_dir, (uint64_t)config->s3_cache_max, &cache, err);
    if (result == 0)
        result = installation_open_objects(&i, url, &objects, err);
    explicit_bzero(&i.s3_credentials, sizeof(i.s3_credentials));
    if (result == 0)
        return template_store_open_objects(objects, cache, options, ret, err);
    object_cache_free(cache);
    return -1;
}
