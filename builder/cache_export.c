/* builder/cache_export — what of a build other workers shall find; the outside of it.
 *
 * First the registry is asked what it has, then the layers that are missing are made in a jail
 * (builder/cache_save.h), and then an index is made of both. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/fs.h"
#include "builder/cache_index.h"
#include "builder/cache_mount.h"
#include "builder/cache_save.h"
#include "builder/run.h"
#include "builder/state.h"

#define SAVED_MAX (16U << 20) /* bytes of JSON */
#define THREADS   2

struct exporting {
    struct builder_job *j;
    const struct builder_image *image;
    const struct builder_export_options *options;
    const struct builder_io *io;
    struct cache_index index, before;
    json_t *slim;   /* keys of steps that the image has slim layers of */
    json_t *wanted; /* what the jail is asked for */
    json_t *saved;  /* what it answered; NULL: nothing was asked for */
    struct builder_export *ret;
};

static void release(struct exporting *e)
{
    cache_index_release(&e->index);
    cache_index_release(&e->before);
    json_decref(e->slim);
    json_decref(e->wanted);
    json_decref(e->saved);
}

void builder_export_release(struct builder_export *e)
{
    for (size_t i = 0; i < e->n; i++) {
        buf_release(&e->v[i].text);
        free(e->v[i].layers);
    }
    free(e->v);
    argv_release(&e->notes);
    *e = (struct builder_export){.n = 0};
}

/* ---- what there is ---- */

/* What is wrong with what the registry has is as if it had nothing. */
static void read_before(struct exporting *e)
{
    const struct builder_remote *r = e->j->remote;
    CLEANUP(buf_release) struct buf text = BUF_INIT(CACHE_INDEX_BYTES);
    struct error ignored = ERROR_INIT;
    bool found = false;

    if (r && r->look_up(r->self, BUILDER_REMOTE_STEPS, &text, &found, &ignored) == 0 && found &&
        cache_index_read(buf_str(&text), text.len, &e->before, &ignored) < 0)
        cache_index_release(&e->before);
}

static void read_mark(const struct exporting *e, const char *mount, char ret[SHA256_HEX])
{
    const struct builder_remote *r = e->j->remote;
    CLEANUP(buf_release) struct buf name = BUF_INIT(200), text = BUF_INIT(CACHE_MOUNT_BYTES);
    struct error ignored = ERROR_INIT;
    struct cache_mount saved;
    bool found = false;

    ret[0] = '\0';
    buf_addf(&name, BUILDER_REMOTE_MOUNT "%s", mount);
    if (r && r->look_up(r->self, buf_str(&name), &text, &found, &ignored) == 0 && found &&
        cache_mount_read(buf_str(&text), text.len, &saved, &ignored) == 0)
        memcpy(ret, saved.mark, SHA256_HEX);
}

static int read_keys(struct exporting *e, struct error *err)
{
    json_auto_t *keys = json_loadb(buf_str(&e->image->keys), e->image->keys.len, 0, NULL);
    const json_t *o;
    size_t i;

    json_array_foreach (keys, i, o) {
        const char *key = json_string_value(json_object_get(o, "key"));
        struct cache_entry entry = {.used = e->options->now};

        if (!digest_is_hex(key) || !cache_record_read(json_object_get(o, "record"), &entry.record))
            return error_set(err, ERR_SYSTEM, "the build's steps are none");
        memcpy(entry.key, key, sizeof(entry.key));
        entry.record.away = json_is_true(json_object_get(o, "away"));
        if (json_is_true(json_object_get(o, "slim")))
            json_object_set_new(e->slim, entry.record.key, json_true());
        if (cache_index_add(&e->index, &entry, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- what is to be made ---- */

/* The image's steps, whose whole layers slimming left unmade, and, if asked for, all. */
static void want_steps(struct exporting *e)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < e->index.n; i++) {
        const struct cache_entry *x = &e->index.v[i];

        if ((e->options->all || json_object_get(e->slim, x->record.key)) && x->record.diff[0] &&
            !x->record.has_layer && !x->record.away)
            json_array_append_new(steps, json_string(x->record.key));
    }
    json_object_set_new(e->wanted, "steps", steps);
}

static void want_mounts(struct exporting *e)
{
    const struct argv *names = &e->image->mounts;
    json_t *mounts = json_array();
    char mark[SHA256_HEX];

    for (size_t i = 0; e->options->mounts_max && i < names->n; i++) {
        if (!digest_is_hex(names->v[i])) /* a further copy of a private one */
            continue;
        read_mark(e, names->v[i], mark);
        json_array_append_new(mounts, json_pack("{s:s, s:s}", "name", names->v[i], "mark", mark));
    }
    json_object_set_new(e->wanted, "mounts", mounts);
}

static bool wants_nothing(const struct exporting *e)
{
    return json_array_size(json_object_get(e->wanted, "steps")) == 0 &&
           json_array_size(json_object_get(e->wanted, "mounts")) == 0;
}

/* ---- the jail ---- */

static int write_request(const struct exporting *e, int *ret_fd, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(e->wanted, JSON_COMPACT);

    if (!text)
        return error_set(err, ERR_SYSTEM, "ask for layers: out of memory");
    return fs_memory_file("save", text, strlen(text), ret_fd, err);
}

/* The rights are the build's, so that all of a diff's attributes are seen. */
static void describe_jail(const struct builder_job *j, struct jail_spec *s)
{
    builder_describe_inner(j, NULL, s);
    jail_spec_add(s, JAIL_BIND, "kiln/cache", j->cache);
    argv_push(&s->argv, BUILDER_EXECUTE, j->id, CACHE_SAVE, NULL);
}

static int make_layers(struct exporting *e, struct error *err)
{
    CLEANUP(jail_spec_release) struct jail_spec spec = {.inner = true};
    CLEANUP(buf_release) struct buf text = BUF_INIT(SAVED_MAX);
    CLEANUP_CLOSE int input = -1;
    enum builder_outcome outcome = BUILDER_KILLED;
    int code = -1;

    json_object_set_new(e->wanted, "epoch", json_integer(e->image->epoch));
    json_object_set_new(e->wanted, "threads", json_integer(THREADS));
    json_object_set_new(e->wanted, "mounts_max", json_integer((json_int_t)e->options->mounts_max));
    describe_jail(e->j, &spec);
    if (write_request(e, &input, err) < 0 ||
        builder_run_inner(e->j, &spec, input, &text, e->io, &outcome, &code, err) < 0)
        return -1;
    if (outcome != BUILDER_DONE || code != 0)
        return error_set(err, ERR_SYSTEM, "make layers for other workers: stopped");
    e->saved = json_loadb(buf_str(&text), text.len, 0, NULL);
    return json_is_object(e->saved) ? 0 : error_set(err, ERR_SYSTEM, "the layers made are none");
}

/* ---- what comes of it ---- */

static struct builder_artifact *add_artifact(struct builder_export *ret, const char *name,
                                             size_t text_max, size_t n_layers)
{
    struct builder_artifact *grown = realloc(ret->v, (ret->n + 1) * sizeof(*grown));
    struct builder_artifact *a;

    if (!grown)
        return NULL;
    ret->v = grown;
    a = &grown[ret->n];
    *a = (struct builder_artifact){.text = BUF_INIT(text_max)};
    (void)snprintf(a->name, sizeof(a->name), "%s", name);
    a->layers = calloc(n_layers + 1, sizeof(*a->layers));
    if (!a->layers)
        return NULL;
    ret->n++;
    return a;
}

static void add_layer(struct builder_artifact *a, const struct layer *layer, bool away)
{
    struct builder_layer *l = &a->layers[a->n_layers];

    for (size_t i = 0; i < a->n_layers; i++)
        if (strcmp(a->layers[i].digest, layer->digest) == 0)
            return;
    *l = (struct builder_layer){.size = layer->size, .away = away};
    (void)snprintf(l->digest, sizeof(l->digest), "%s", layer->digest);
    (void)snprintf(l->diff_id, sizeof(l->diff_id), "%s", layer->diff_id);
    a->n_layers++;
}

/* Steps that were made just now have their layers by now. */
static void fill_in(struct exporting *e)
{
    const json_t *steps = json_object_get(e->saved, "steps");

    for (size_t i = 0; i < e->index.n; i++) {
        struct cache_record *r = &e->index.v[i].record;

        if (!r->has_layer && r->diff[0])
            r->has_layer = cache_layer_read(json_object_get(steps, r->key), &r->layer);
    }
}

/* What this build says counts: layers of its steps were made on each other. */
static int join_before(struct exporting *e, struct error *err)
{
    for (size_t i = 0; i < e->before.n; i++) {
        struct cache_entry entry = e->before.v[i];

        entry.record.away = true;
        if (!cache_index_find(&e->index, entry.key) && cache_index_add(&e->index, &entry, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_same(const struct cache_index *a, const struct cache_index *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct cache_entry *there = cache_index_find(b, a->v[i].key);

        if (!there || a->v[i].used - there->used > CACHE_INDEX_KEPT / 30 ||
            a->v[i].record.has_layer != there->record.has_layer ||
            strcmp(a->v[i].record.key, there->record.key) != 0 ||
            strcmp(a->v[i].record.layer.digest, there->record.layer.digest) != 0)
            return false;
    }
    return true;
}

static int write_steps(struct exporting *e, struct error *err)
{
    struct builder_artifact *a;

    if (join_before(e, err) < 0)
        return -1;
    cache_index_trim(&e->index, e->options->now, e->options->size_max);
    if (is_same(&e->index, &e->before))
        return 0;
    a = add_artifact(e->ret, BUILDER_REMOTE_STEPS, CACHE_INDEX_BYTES, e->index.n);
    if (!a)
        return error_set(err, ERR_SYSTEM, "export cached steps: out of memory");
    for (size_t i = 0; i < e->index.n; i++) {
        const struct cache_record *r = &e->index.v[i].record;

        if (r->has_layer && r->layer.entries)
            add_layer(a, &r->layer, r->away);
    }
    return cache_index_write(&e->index, &a->text, err);
}

static int write_mount(struct exporting *e, const char *name, const json_t *o, struct error *err)
{
    CLEANUP_FREE char *text = json_dumps(o, JSON_COMPACT);
    CLEANUP(buf_release) struct buf full = BUF_INIT(200);
    struct builder_artifact *a;
    struct cache_mount m;

    buf_addf(&full, BUILDER_REMOTE_MOUNT "%s", name);
    if (!text || !digest_is_hex(name) || cache_mount_read(text, strlen(text), &m, err) < 0)
        return error_set(err, ERR_SYSTEM, "what was saved is no cache mount");
    a = add_artifact(e->ret, buf_str(&full), CACHE_MOUNT_BYTES, 1);
    if (!a)
        return error_set(err, ERR_SYSTEM, "export a cache mount: out of memory");
    buf_adds(&a->text, text);
    if (m.layer.entries)
        add_layer(a, &m.layer, false);
    return buf_check(&a->text, "the description of a cache mount", err);
}

static int write_mounts(struct exporting *e, struct error *err)
{
    const char *name;
    json_t *o;

    json_object_foreach (json_object_get(e->saved, "mounts"), name, o)
        if (write_mount(e, name, o, err) < 0)
            return -1;
    return 0;
}

static void write_notes(struct exporting *e)
{
    const json_t *o;
    size_t i;

    json_array_foreach (json_object_get(e->saved, "notes"), i, o)
        if (json_is_string(o))
            argv_push1(&e->ret->notes, json_string_value(o));
}

static int export(struct exporting *e, struct error *err)
{
    if (!e->wanted || !e->slim)
        return error_set(err, ERR_SYSTEM, "export the cache: out of memory");
    read_before(e);
    if (read_keys(e, err) < 0)
        return -1;
    want_steps(e);
    want_mounts(e);
    if (!wants_nothing(e) && make_layers(e, err) < 0)
        return -1;
    fill_in(e);
    write_notes(e);
    return write_steps(e, err) < 0 ? -1 : write_mounts(e, err);
}

int builder_export(struct builder_job *j, const struct builder_image *image,
                   const struct builder_export_options *options, const struct builder_io *io,
                   struct builder_export *ret, struct error *err)
{
    CLEANUP(release)
    struct exporting e = {.j = j,
                          .image = image,
                          .options = options,
                          .io = io,
                          .slim = json_object(),
                          .wanted = json_object(),
                          .ret = ret};

    *ret = (struct builder_export){.n = 0};
    if (export(&e, err) == 0)
        return 0;
    builder_export_release(ret);
    return -1;
}
