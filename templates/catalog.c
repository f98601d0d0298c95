/* templates/catalog — see the header. */
#include "templates/catalog.h"

#include <string.h>

#include "base/text.h"
#include "templates/record.h"

#define GONE          "@gone"
#define REVISIONS_MAX 10

/* ---- names ---- */

static bool is_name(const char *s, size_t len)
{
    if (len == 0 || len >= TEMPLATE_NAME || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-'))
            return false;
    return true;
}

static int bad_name(const char *text, struct error *err)
{
    return error_set(
        err, ERR_INPUT,
        "\"%.100s\" is no template: write NAME, NAME:latest or NAME:NUMBER, the name in "
        "at most 49 lower-case letters, digits and hyphens",
        text);
}

int template_ref_parse(const char *text, struct template_ref *ret, struct error *err)
{
    size_t len = strcspn(text, ":");
    const char *revision = text + len + (text[len] == ':');
    struct template_ref ref = {.revision = 0};

    if (!is_name(text, len))
        return bad_name(text, err);
    memcpy(ref.name, text, len);
    if (text[len] && strcmp(revision, "latest") != 0 &&
        (!text_to_u64(revision, UINT32_MAX, &ref.revision) || ref.revision == 0))
        return bad_name(text, err);
    *ret = ref;
    return 0;
}

bool catalog_parse(const char *name, struct template_ref *ret)
{
    struct error err;

    return strchr(name, ':') && template_ref_parse(name, ret, &err) == 0 && ret->revision > 0;
}

void catalog_name(const struct template_ref *ref, char ret[REVISION_NAME])
{
    (void)snprintf(ret, REVISION_NAME, "%s:%llu", ref->name, (unsigned long long)ref->revision);
}

/* ---- holds ---- */

/* Of the names in holds, whether one is NAME:N=who; who NULL: any but GONE. */
static bool has_hold(const struct argv *holds, const char *revision, const char *who)
{
    size_t len = strlen(revision);

    for (size_t i = 0; i < holds->n; i++) {
        const char *h = holds->v[i];

        if (strncmp(h, revision, len) != 0 || h[len] != '=')
            continue;
        if (who ? strcmp(h + len + 1, who) == 0 : strcmp(h + len + 1, GONE) != 0)
            return true;
    }
    return false;
}

bool catalog_is_holder(const char *name)
{
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              *p == '-'))
            return false;
    return *name != '\0';
}

static int hold_name(const struct template_ref *ref, const char *holder, char ret[256],
                     struct error *err)
{
    char name[REVISION_NAME];

    catalog_name(ref, name);
    if (!catalog_is_holder(holder) || snprintf(ret, 256, "%s=%s", name, holder) >= 256)
        return error_set(err, ERR_INPUT, "\"%.100s\" is no name of a volume", holder);
    return 0;
}

/* ---- listing ---- */

static int compare_refs(const void *a, const void *b)
{
    const struct template_ref *x = a;
    const struct template_ref *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (x->revision > y->revision) - (x->revision < y->revision);
}

struct refs {
    struct template_ref *v;
    size_t n;
};

static void refs_release(struct refs *r)
{
    free(r->v);
}

/* All that are listed, of one template (NULL: of all), in order. */
static int list_refs(struct template_store *s, const char *name, struct refs *ret,
                     struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;

    if (storage_list(s->storage, AREA_REVISIONS, &names, err) < 0 ||
        storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    ret->v = calloc(names.n + 1, sizeof(*ret->v));
    if (!ret->v)
        return error_set(err, ERR_SYSTEM, "list revisions: out of memory");
    for (size_t i = 0; i < names.n; i++)
        if (catalog_parse(names.v[i], &ret->v[ret->n]) &&
            (!name || strcmp(ret->v[ret->n].name, name) == 0) &&
            !has_hold(&holds, names.v[i], GONE))
            ret->n++;
    qsort(ret->v, ret->n, sizeof(*ret->v), compare_refs);
    return 0;
}

int template_get(struct template_store *s, const char *name, struct template_info *ret,
                 bool *ret_there, struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};
    struct record record;

    if (!is_name(name, strlen(name)))
        return bad_name(name, err);
    if (record_read(s, name, &record, err) < 0 || list_refs(s, name, &refs, err) < 0)
        return -1;
    *ret_there = record.there;
    *ret = (struct template_info){.latest = refs.n ? refs.v[refs.n - 1].revision : 0,
                                  .revisions = refs.n,
                                  .default_size_mb = record.size};
    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    return 0;
}

int template_list(struct template_store *s,
                  void (*each)(void *self, const struct template_info *info), void *self,
                  struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (storage_list(s->storage, AREA_TEMPLATES, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct template_info info;
        bool there;

        if (template_get(s, names.v[i], &info, &there, err) < 0)
            return -1;
        if (there)
            each(self, &info);
    }
    return 0;
}

int catalog_load(struct template_store *s, const struct template_ref *ref,
                 struct revision_root *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf data = BUF_INIT(REVISION_FILE_MAX);
    char name[REVISION_NAME];
    bool there;

    *ret = (struct revision_root){.n_nodes = 0};
    catalog_name(ref, name);
    if (storage_get(s->storage, AREA_REVISIONS, name, &data, &there, err) < 0)
        return -1;
    if (!there)
        return error_set(err, ERR_INPUT, "there is no revision %s; kiln template ls shows all",
                         name);
    if (revision_read(&s->hasher, buf_str(&data), data.len, ret, err) < 0)
        return error_wrap(err, "revision %s", name);
    ret->info.ref = *ref;
    return 0;
}

int template_revisions(struct template_store *s, const char *name,
                       void (*each)(void *self, const struct template_revision_info *info),
                       void *self, struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};

    if (list_refs(s, name, &refs, err) < 0)
        return -1;
    for (size_t i = 0; i < refs.n; i++) {
        struct revision_root root;
        int result = catalog_load(s, &refs.v[i], &root, err);

        free(root.nodes);
        if (result < 0)
            return -1;
        each(self, &root.info);
    }
    return 0;
}

int catalog_resolve(struct template_store *s, struct template_ref *ref, struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};

    if (ref->revision > 0)
        return 0;
    if (list_refs(s, ref->name, &refs, err) < 0)
        return -1;
    if (refs.n == 0)
        return error_set(err, ERR_INPUT,
                         "the template %s has no revision; kiln template ls shows all", ref->name);
    ref->revision = refs.v[refs.n - 1].revision;
    return 0;
}

int catalog_roots(struct template_store *s, struct argv *ret, struct error *err)
{
    return storage_list(s->storage, AREA_REVISIONS, ret, err);
}

/* ---- changing, with the lock ---- */

static int drop(struct template_store *s, const struct template_ref *ref, struct error *err)
{
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;
    char name[REVISION_NAME], gone[REVISION_NAME + sizeof(GONE) + 1];

    catalog_name(ref, name);
    if (storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    if (!has_hold(&holds, name, NULL))
        return storage_remove(s->storage, AREA_RAW, name, err) < 0
                   ? -1
                   : storage_remove(s->storage, AREA_REVISIONS, name, err);
    (void)snprintf(gone, sizeof(gone), "%s=" GONE, name);
    return storage_put(s->storage, AREA_HOLDS, gone, "", 0, err);
}

/* The oldest go first; those that are held do not count as droppable. */
static int drop_old(struct template_store *s, const char *name, unsigned *ret_dropped,
                    struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;
    size_t max = s->options.revisions_max ? s->options.revisions_max : REVISIONS_MAX;
    size_t left;

    *ret_dropped = 0;
    if (list_refs(s, name, &refs, err) < 0 || storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    left = refs.n;
    for (size_t i = 0; i + 1 < refs.n && left > max; i++) {
        char revision[REVISION_NAME];

        catalog_name(&refs.v[i], revision);
        if (has_hold(&holds, revision, NULL))
            continue;
        if (drop(s, &refs.v[i], err) < 0)
            return -1;
        left--;
        ++*ret_dropped;
    }
    return 0;
}

/* No number is given twice, even if the record that counts them was lost. */
static int skip_taken(struct template_store *s, const char *name, uint64_t *next, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (catalog_roots(s, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct template_ref ref;

        if (catalog_parse(names.v[i], &ref) && strcmp(ref.name, name) == 0 && ref.revision >= *next)
            *next = ref.revision + 1;
    }
    return 0;
}

/* The revision that the holder holds, listed or not. */
static int find_held(struct template_store *s, const char *name, const char *holder,
                     struct template_ref *ret, bool *ret_there, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;

    *ret_there = false;
    if (storage_list(s->storage, AREA_REVISIONS, &names, err) < 0 ||
        storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n && !*ret_there; i++)
        *ret_there = catalog_parse(names.v[i], ret) && strcmp(ret->name, name) == 0 &&
                     has_hold(&holds, names.v[i], holder);
    return 0;
}

static int put_hold(struct template_store *s, const struct template_ref *ref, const char *holder,
                    struct error *err)
{
    char name[256];

    if (hold_name(ref, holder, name, err) < 0)
        return -1;
    return storage_put(s->storage, AREA_HOLDS, name, "", 0, err);
}

static int publish(struct template_store *s, struct revision_root *root,
                   const struct catalog_publication *p, unsigned *ret_dropped, struct error *err)
{
    CLEANUP(buf_release) struct buf data = BUF_INIT(REVISION_FILE_MAX);
    char name[REVISION_NAME];
    struct record record;

    if (record_read(s, root->info.ref.name, &record, err) < 0 ||
        skip_taken(s, root->info.ref.name, &record.next, err) < 0)
        return -1;
    root->info.ref.revision = record.next++;
    if (p->default_size_mb)
        record.size = p->default_size_mb;
    root->info.default_size_mb = record.size;
    catalog_name(&root->info.ref, name);
    /* The number is used up before anything has it: it is never given twice. */
    if (revision_write(&s->hasher, root, &data, err) < 0 ||
        record_write(s, root->info.ref.name, &record, err) < 0 ||
        (p->holder && put_hold(s, &root->info.ref, p->holder, err) < 0) ||
        storage_put(s->storage, AREA_REVISIONS, name, data.data, data.len, err) < 0)
        return -1;
    return drop_old(s, root->info.ref.name, ret_dropped, err);
}

/* With the lock, under which a hold and its revision are put: whoever put the one died before the
 * other. */
int catalog_sweep_holds(struct template_store *s, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;

    if (storage_list(s->storage, AREA_REVISIONS, &names, err) < 0 ||
        storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    for (size_t i = 0; i < holds.n; i++) {
        char revision[REVISION_NAME];
        const size_t len = strcspn(holds.v[i], "=");

        if (len >= sizeof(revision))
            continue;
        (void)snprintf(revision, sizeof(revision), "%.*s", (int)len, holds.v[i]);
        if (!argv_contains(&names, revision) &&
            storage_remove(s->storage, AREA_HOLDS, holds.v[i], err) < 0)
            return -1;
    }
    return 0;
}

/* A holder has one revision of a template, however often it is packed. */
static int publish_once(struct template_store *s, struct revision_root *root,
                        const struct catalog_publication *p, unsigned *ret_dropped,
                        struct error *err)
{
    struct template_ref held;
    bool there = false;

    if (p->holder && find_held(s, root->info.ref.name, p->holder, &held, &there, err) < 0)
        return -1;
    if (!there)
        return publish(s, root, p, ret_dropped, err);
    root->info.ref = held;
    *ret_dropped = 0;
    return 0;
}

int catalog_publish(struct template_store *s, struct revision_root *root,
                    const struct catalog_publication *p, unsigned *ret_dropped, struct error *err)
{
    int lock = -1;
    int result;

    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = publish_once(s, root, p, ret_dropped, err);
    storage_unlock(s->storage, &lock);
    return result;
}

int template_set(struct template_store *s, const char *name, uint64_t default_size_mb,
                 struct error *err)
{
    struct record record;
    int lock = -1;
    int result;

    if (!is_name(name, strlen(name)))
        return bad_name(name, err);
    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = record_read(s, name, &record, err);
    if (result == 0) {
        record.size = default_size_mb ? default_size_mb : record.size;
        result = record_write(s, name, &record, err);
    }
    storage_unlock(s->storage, &lock);
    return result;
}

static int remove_all(struct template_store *s, const char *name, struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};
    struct record record;

    if (record_read(s, name, &record, err) < 0 || list_refs(s, name, &refs, err) < 0)
        return -1;
    if (!record.there && refs.n == 0)
        return error_set(err, ERR_INPUT, "there is no template %s; kiln template ls shows all",
                         name);
    for (size_t i = 0; i < refs.n; i++)
        if (drop(s, &refs.v[i], err) < 0)
            return -1;
    return storage_remove(s->storage, AREA_TEMPLATES, name, err);
}

static int remove_one(struct template_store *s, const struct template_ref *ref, struct error *err)
{
    CLEANUP(refs_release) struct refs refs = {.n = 0};
    bool there = false;

    if (list_refs(s, ref->name, &refs, err) < 0)
        return -1;
    for (size_t i = 0; i < refs.n; i++)
        there = there || refs.v[i].revision == ref->revision;
    if (!there)
        return error_set(err, ERR_INPUT, "there is no revision %s:%llu; kiln template ls shows all",
                         ref->name, (unsigned long long)ref->revision);
    if (refs.n == 1)
        return error_set(err, ERR_INPUT,
                         "%s:%llu is the only revision of the template: remove the whole template "
                         "instead, as %s",
                         ref->name, (unsigned long long)ref->revision, ref->name);
    return drop(s, ref, err);
}

int template_remove(struct template_store *s, const struct template_ref *ref, struct error *err)
{
    int lock = -1;
    int result;

    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = ref->revision ? remove_one(s, ref, err) : remove_all(s, ref->name, err);
    storage_unlock(s->storage, &lock);
    return result;
}

/* ---- holding ---- */

int template_hold(struct template_store *s, const struct template_ref *ref, const char *holder,
                  struct error *err)
{
    struct template_ref exact = *ref;
    struct revision_root root = {.n_nodes = 0};
    int lock = -1;
    int result;

    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = catalog_resolve(s, &exact, err);
    if (result == 0)
        result = catalog_load(s, &exact, &root, err);
    if (result == 0)
        result = put_hold(s, &exact, holder, err);
    storage_unlock(s->storage, &lock);
    free(root.nodes);
    return result;
}

static int let_go(struct template_store *s, const struct template_ref *ref, const char *holder,
                  struct error *err)
{
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;
    char name[256], revision[REVISION_NAME];

    catalog_name(ref, revision);
    if (hold_name(ref, holder, name, err) < 0 ||
        storage_remove(s->storage, AREA_HOLDS, name, err) < 0 ||
        storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    if (has_hold(&holds, revision, NULL) || !has_hold(&holds, revision, GONE))
        return 0;
    (void)snprintf(name, sizeof(name), "%s=" GONE, revision);
    if (storage_remove(s->storage, AREA_RAW, revision, err) < 0 ||
        storage_remove(s->storage, AREA_REVISIONS, revision, err) < 0)
        return -1;
    return storage_remove(s->storage, AREA_HOLDS, name, err);
}

int template_let_go(struct template_store *s, const struct template_ref *ref, const char *holder,
                    struct error *err)
{
    struct template_ref exact = *ref;
    int lock = -1;
    int result;

    if (storage_lock(s->storage, true, &lock, err) < 0)
        return -1;
    result = catalog_resolve(s, &exact, err);
    if (result == 0)
        result = let_go(s, &exact, holder, err);
    storage_unlock(s->storage, &lock);
    return result;
}

int template_holds(struct template_store *s,
                   void (*each)(void *self, const struct template_ref *ref, const char *holder),
                   void *self, struct error *err)
{
    CLEANUP(argv_release) struct argv holds = ARGV_INIT;

    if (storage_list(s->storage, AREA_HOLDS, &holds, err) < 0)
        return -1;
    for (size_t i = 0; i < holds.n; i++) {
        char *equals = strchr(holds.v[i], '=');
        struct template_ref ref;

        if (!equals || strcmp(equals + 1, GONE) == 0)
            continue;
        *equals = '\0';
        if (catalog_parse(holds.v[i], &ref))
            each(self, &ref, equals + 1);
    }
    return 0;
}

int template_find_held(struct template_store *s, const char *name, const char *holder,
                       bool *ret_there, struct template_revision_info *ret, struct error *err)
{
    struct revision_root root = {.n_nodes = 0};
    struct template_ref ref;
    bool there;

    if (find_held(s, name, holder, &ref, &there, err) < 0 ||
        (there && catalog_load(s, &ref, &root, err) < 0))
        return -1;
    if (there)
        *ret = root.info;
    free(root.nodes);
    *ret_there = there;
    return 0;
}
