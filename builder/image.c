/* builder/image — an image's configuration (OCI image specification; moby's form has the same
 * members and more, which are kept where the config object has them). */
#include <string.h>
#include <time.h>

#include "builder/execute.h"

static void format_time(int64_t epoch, char ret[32])
{
    time_t now = epoch >= 0 ? (time_t)epoch : time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    (void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static json_t *text(const char *s)
{
    return json_stringn_nocheck(s, strlen(s));
}

static json_t *write_rootfs(const struct image_layer *layers, size_t n)
{
    json_t *o = json_object();
    json_t *ids = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(ids, text(layers[i].diff_id));
    json_object_set_new(o, "type", text("layers"));
    json_object_set_new(o, "diff_ids", ids);
    return o;
}

static json_t *write_history(const json_t *base, const struct image_history *history, size_t n,
                             const char *created)
{
    json_t *a = json_is_array(base) ? json_deep_copy(base) : json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();

        json_object_set_new(o, "created", text(created));
        json_object_set_new(o, "created_by", text(history[i].created_by));
        json_object_set_new(o, "comment", text("kiln"));
        if (history[i].empty_layer)
            json_object_set_new(o, "empty_layer", json_true());
        json_array_append_new(a, o);
    }
    return a;
}

static void copy_member(json_t *to, const json_t *from, const char *key, const char *otherwise)
{
    json_t *value = json_object_get(from, key);

    if (json_is_string(value) && *json_string_value(value))
        json_object_set(to, key, value);
    else if (*otherwise)
        json_object_set_new(to, key, text(otherwise));
}

static int dump_to(const char *bytes, size_t len, void *self)
{
    buf_add(self, bytes, len);
    return 0;
}

int image_write_config(const struct builder_program *p, const char *base_config,
                       const struct image_layer *layers, size_t n_layers,
                       const struct image_history *history, size_t n_history, struct buf *out,
                       struct error *err)
{
    json_auto_t *base = json_loads(base_config, 0, NULL);
    json_auto_t *root = json_object();
    json_t *config = json_loads(p->config, 0, NULL);
    char created[32];

    format_time(p->epoch, created);
    json_object_set_new(root, "created", text(created));
    if (*p->author)
        json_object_set_new(root, "author", text(p->author));
    copy_member(root, base, "architecture", p->architecture);
    copy_member(root, base, "os", p->os);
    copy_member(root, base, "variant", "");
    copy_member(root, base, "os.version", "");
    if (config)
        json_object_set_new(root, "config", config);
    json_object_set_new(root, "rootfs", write_rootfs(layers, n_layers));
    json_object_set_new(
        root, "history",
        write_history(json_object_get(base, "history"), history, n_history, created));
    if (!root || json_dump_callback(root, dump_to, out, JSON_COMPACT) < 0)
        return error_set(err, ERR_SYSTEM, "write the image's configuration: out of memory");
    return buf_check(out, "the image's configuration", err);
}
