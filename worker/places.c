/* worker/places — see the header. */
#include "worker/places.h"

#include <string.h>

#include "base/fs.h"
#include "base/text.h"

static const char *const verbs[] = {[VOLUME_CREATE] = "create", [VOLUME_GROW] = "grow"};

/* Names of workspaces and volumes are checked where they come in; this is the last line. */
static int join(char ret[PATH_MAX], const char *dir, const char *workspace, const char *name,
                const char *end, struct error *err)
{
    if (!name_is_valid(workspace) || (name[0] && !name_is_valid(name)) ||
        snprintf(ret, PATH_MAX, "%s/%s%s%s%s", dir, workspace, name[0] ? "/" : "", name, end) >=
            PATH_MAX)
        return error_set(err, ERR_SYSTEM, "no place for %.64s of the workspace %.64s", name,
                         workspace);
    return 0;
}

int places_volume(const struct places *p, const char *workspace, const char *name,
                  char ret[PATH_MAX], struct error *err)
{
    return join(ret, p->volumes, workspace, name, name[0] ? ".img" : "", err);
}

/* ---- stores ---- */

int places_store(const struct places *p, const char *workspace, char ret[PATH_MAX],
                 struct error *err)
{
    return join(ret, p->templates, workspace, "", "", err);
}

static int open_objects(const struct places *p, const char *workspace, struct objects **ret,
                        struct error *err)
{
    struct objects_config config = *p->objects;
    char url[PATH_MAX];

    if (join(url, p->objects->url, workspace, "", "", err) < 0)
        return -1;
    config.url = url;
    return objects_open(&config, ret, err);
}

/* Both parts of a store in a bucket. */
static int open_parts(const struct places *p, const char *workspace, struct objects **ret_objects,
                      struct object_cache **ret_cache, struct error *err)
{
    if (object_cache_open(p->objects_cache, p->objects_cache_max, ret_cache, err) < 0)
        return -1;
    if (open_objects(p, workspace, ret_objects, err) < 0) {
        object_cache_free(*ret_cache);
        return -1;
    }
    return 0;
}

static int open_in_bucket(const struct places *p, const char *workspace,
                          const struct template_options *options, struct template_store **ret,
                          struct error *err)
{
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    bool made = false;
    int result;

    if (open_parts(p, workspace, &objects, &cache, err) < 0)
        return -1;
    result = template_store_is_made(objects, &made, err);
    if (result == 0 && made)
        return template_store_open_objects(objects, cache, options, ret, err);
    objects_free(objects);
    object_cache_free(cache);
    return result;
}

int places_open_store(const struct places *p, const char *workspace, struct template_store **ret,
                      struct error *err)
{
    const struct template_options options = {.revisions_max = p->revisions_max};
    char dir[PATH_MAX], format[PATH_MAX + 16];

    *ret = NULL;
    if (p->objects)
        return open_in_bucket(p, workspace, &options, ret, err);
    if (places_store(p, workspace, dir, err) < 0)
        return -1;
    (void)snprintf(format, sizeof(format), "%s/format", dir);
    if (access(format, F_OK) < 0)
        return 0;
    return template_store_open(dir, &options, ret, err);
}

static void add_revision(void *self, const struct template_revision_info *i)
{
    uint64_t *used = self;

    *used += i->bytes_added;
}

int places_templates_size(const struct places *p, const char *workspace, uint64_t *ret,
                          struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    uint64_t used = 0;

    if (places_open_store(p, workspace, &s, err) < 0 ||
        (s && template_revisions(s, NULL, add_revision, &used, err) < 0))
        return -1;
    *ret = used;
    return 0;
}

int places_use(const struct places *p, struct state *s, const char *workspace,
               struct workspace_use *ret, struct error *err)
{
    struct workspace_use use;

    if (state_builds_running(s, workspace, &use.builds, err) < 0 ||
        state_images_size(s, workspace, &use.images, err) < 0 ||
        places_templates_size(p, workspace, &use.templates, err) < 0)
        return -1;
    *ret = use;
    return 0;
}

int places_lend_store(const struct places *p, const char *workspace, const char *job,
                      struct template_gate gate, struct store_loan *ret, struct error *err)
{
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;

    ret->broker = NULL;
    if (!p->objects)
        return places_store(p, workspace, ret->dir, err);
    if (snprintf(ret->dir, sizeof(ret->dir), "%s/" PLACES_LENT "/%s", p->templates, job) >=
        (int)sizeof(ret->dir))
        return error_set(err, ERR_SYSTEM, "lend a store: the path is too long");
    if (fs_mkdirs(ret->dir, 0700, err) < 0 || open_parts(p, workspace, &objects, &cache, err) < 0)
        return -1;
    return template_broker_start(objects, cache, ret->dir, gate, &ret->broker, err);
}

void places_loan_end(struct store_loan *l)
{
    struct error ignored = ERROR_INIT;

    if (!l->broker)
        return;
    template_broker_stop(l->broker);
    (void)!fs_remove_tree(AT_FDCWD, l->dir, &ignored);
}

int places_collect_later(struct state *s, const char *workspace, struct error *err)
{
    const struct target t = {workspace, TYPE_STORE, "store"};
    struct build b;

    return state_build_from_source(s, &t, BUILD_TO_COLLECT, "collect", &b, err);
}

/* ---- orders ---- */

void volume_order_write(const struct volume_order *o, char ret[BUILD_SOURCE])
{
    (void)snprintf(ret, BUILD_SOURCE, "%s %s %llu", verbs[o->verb], o->template,
                   (unsigned long long)o->size_mb);
}

int volume_order_read(const char *text, struct volume_order *ret, struct error *err)
{
    const char *rest = text + strcspn(text, " ");
    struct volume_order o = {.size_mb = 0};

    o.verb = text_starts(text, "grow ") ? VOLUME_GROW : VOLUME_CREATE;
    if (strncmp(text, verbs[o.verb], strlen(verbs[o.verb])) != 0 || *rest != ' ' ||
        !volume_made_read(rest + 1, &o))
        return error_set(err, ERR_SYSTEM, "read what to do with a volume: \"%.100s\" is nothing",
                         text);
    *ret = o;
    return 0;
}

void volume_made_write(const struct volume_order *o, char ret[256])
{
    (void)snprintf(ret, 256, "%s %llu", o->template, (unsigned long long)o->size_mb);
}

bool volume_made_read(const char *image, struct volume_order *ret)
{
    size_t len = strcspn(image, " ");

    if (len == 0 || !image[len] || len >= sizeof(ret->template) ||
        !text_to_u64(image + len + 1, INT64_MAX, &ret->size_mb))
        return false;
    memcpy(ret->template, image, len);
    ret->template[len] = '\0';
    return true;
}
