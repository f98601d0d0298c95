/* templates/store_objects — a store in a bucket.  By itself, so that a program that opens none is
 * not linked with what speaks HTTP. */
#include "templates/store.h"

int template_store_open_objects(struct objects *objects, struct object_cache *cache,
                                const struct template_options *options, struct template_store **ret,
                                struct error *err)
{
    struct storage *storage = NULL;

    if (storage_open_objects(objects, cache, &storage, err) < 0 ||
        store_open(storage, options, ret, err) < 0)
        return error_wrap(err, "open the template store");
    return 0;
}

int template_store_is_made(struct objects *objects, bool *ret, struct error *err)
{
    struct object_info format;

    if (objects_head(objects, "format", &format, err) < 0)
        return -1;
    argv_release(&format.labels);
    *ret = format.there;
    return 0;
}
