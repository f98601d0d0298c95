/* programs/templates_bucket — the template store of a workspace in a bucket. */
#include <limits.h>
#include <string.h>

#include "programs/installation.h"
#include "programs/templates_cli.h"

int template_open_objects(const struct config *config, const char *workspace, struct objects **ret,
                          struct object_cache **ret_cache, struct error *err)
{
    struct installation i = {.config = config};
    char url[PATH_MAX];
    int result;

    (void)snprintf(url, sizeof(url), "%s/%s", config->templates, workspace);
    result = installation_prepare_objects(&i, config->data_dir, err);
    if (result == 0)
        result = object_cache_open(i.objects_dir, (uint64_t)config->s3_cache_max, ret_cache, err);
    if (result == 0 && installation_open_objects(&i, url, ret, err) < 0) {
        object_cache_free(*ret_cache);
        result = -1;
    }
    explicit_bzero(&i.s3_credentials, sizeof(i.s3_credentials));
    return result;
}

int template_open_in_bucket(const struct config *config, const char *workspace,
                            const struct template_options *options, struct template_store **ret,
                            struct error *err)
{
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;

    if (template_open_objects(config, workspace, &objects, &cache, err) < 0)
        return -1;
    return template_store_open_objects(objects, cache, options, ret, err);
}
