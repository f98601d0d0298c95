/* builder/execute_known — what became of an image's layers once they were looked into: which ones
 * slimming made, what it left out, and the list of packages.
 *
 * All of that follows from the keys of the image's steps and from its configuration; so under a key
 * that is made of these it is found by other workers, who then need not fetch what they would look
 * into.  It is JSON, in a blob of its own:
 *
 *   {"layers": [the key of a slim layer's record; "": the whole layer], "packages": …, "report": …}
 *
 * with a layer for each step that made files, in the image's order.  The records of that key and of
 * slim layers lie in the index among those of steps (builder/cache_index.h). */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "builder/execute.h"

#define KNOWN_MAX  (32U << 20) /* bytes of JSON */
#define REPORT_MAX (64U << 10)

/* ---- the steps of the image ---- */

typedef bool each_made(void *self, struct made *made);

/* False: one said so. */
static bool go_through(struct execution *x, size_t stage, each_made *each, void *self)
{
    struct stage_run *s = &x->stages[stage];
    const size_t base = s->stage->base.stage;

    if (base != BUILDER_NO_STAGE && !go_through(x, base, each, self))
        return false;
    for (size_t i = 0; i < s->n_made; i++)
        if (s->made[i].record.diff[0] && !each(self, &s->made[i]))
            return false;
    return true;
}

static bool is_here(void *self, struct made *made)
{
    (void)self;
    return !made->record.away;
}

static bool keep_last(void *self, struct made *made)
{
    *(struct made **)self = made;
    return true;
}

/* ---- the key ---- */

/* All that it depends on beside the code; a change of that needs a new number. */
static int make_key(const struct execution *x, char ret[SHA256_HEX], struct error *err)
{
    const struct builder_program *p = &x->doc.program;
    CLEANUP(cache_key_release) struct cache_key key = {.hash = NULL};

    if (cache_key_begin(&key, "known image 1", x->stages[p->target].key, err) < 0)
        return -1;
    cache_key_add_number(&key, p->packages);
    cache_key_add_number(&key, p->epoch);
    cache_key_add_number(&key, x->slim != NULL);
    if (x->slim)
        slim_add_to_key(x->slim, &key);
    cache_key_end(&key, ret);
    return 0;
}

static bool is_of_use(const struct execution *x)
{
    const struct builder_program *p = &x->doc.program;

    return (p->slim || p->packages) && x->remote.link.fd >= 0 &&
           x->stages[p->target].state == STAGE_DONE;
}

/* ---- found ---- */

struct taking {
    struct execution *x;
    const json_t *layers;
    size_t next;
};

/* A slim layer, here or at other workers. */
static bool find_layer(struct execution *x, const char *key, struct known_layer *ret)
{
    struct cache_record record;
    struct error ignored = ERROR_INIT;
    bool found = false;

    *ret = (struct known_layer){.is_slim = true};
    memcpy(ret->key, key, sizeof(ret->key));
    if (cache_find(&x->cache, key, &found, &record, &ignored) == 0 && found && record.has_layer) {
        ret->layer = record.layer;
        return true;
    }
    ret->away = true;
    return cache_remote_layer(&x->remote, key, &ret->layer);
}

static bool take_layer(void *self, struct made *made)
{
    struct taking *t = self;
    const char *key = json_string_value(json_array_get(t->layers, t->next++));

    if (!key)
        return false;
    made->known = (struct known_layer){.is_slim = false};
    if (*key && (!digest_is_hex(key) || !find_layer(t->x, key, &made->known)))
        return false;
    made->is_known = true;
    return true;
}

static bool forget(void *self, struct made *made)
{
    (void)self;
    made->is_known = false;
    return true;
}

static bool take(struct execution *x, const json_t *o)
{
    const size_t target = x->doc.program.target;
    const json_t *packages = json_object_get(o, "packages");
    const char *report = json_string_value(json_object_get(o, "report"));
    struct taking t = {.x = x, .layers = json_object_get(o, "layers")};

    if (!json_is_string(packages) || !report || !go_through(x, target, take_layer, &t) ||
        t.next != json_array_size(t.layers)) {
        (void)go_through(x, target, forget, NULL);
        return false;
    }
    buf_add(&x->packages.list, json_string_value(packages), json_string_length(packages));
    buf_adds(&x->known.report, report);
    return true;
}

static json_t *fetch(struct execution *x, const struct layer *layer)
{
    CLEANUP(buf_release) struct buf what = BUF_INIT(200), text = BUF_INIT(KNOWN_MAX);
    CLEANUP_CLOSE int fd = memfd_create("known", MFD_CLOEXEC);
    struct error ignored = ERROR_INIT;
    bool found = false;

    buf_addf(&what, "blob %s %" PRIu64, layer->digest, layer->size);
    if (fd < 0 || layer->size > KNOWN_MAX ||
        cache_link_ask(&x->remote.link, buf_str(&what), fd, &found, &ignored) < 0 || !found ||
        lseek(fd, 0, SEEK_SET) < 0 || fs_read_fd(fd, &text, &ignored) < 0)
        return NULL;
    return json_loadb(buf_str(&text), text.len, 0, NULL);
}

static bool find(struct execution *x)
{
    struct error ignored = ERROR_INIT;
    json_auto_t *o = NULL;
    struct layer layer;

    if (make_key(x, x->known.key, &ignored) < 0 ||
        !cache_remote_layer(&x->remote, x->known.key, &layer) || layer.entries == 0)
        return false;
    x->packages.list = (struct buf)BUF_INIT(KNOWN_MAX);
    x->known.report = (struct buf)BUF_INIT(REPORT_MAX);
    o = fetch(x, &layer);
    x->known.layer = layer;
    return o && take(x, o);
}

bool execute_find_known(struct execution *x)
{
    if (!is_of_use(x) || go_through(x, x->doc.program.target, is_here, NULL))
        return false;
    execute_end_layers(x); /* its thread looks at the same steps */
    x->known.found = find(x);
    return x->known.found;
}

/* ---- left ---- */

static bool add_layer(void *self, struct made *made)
{
    struct known_layer layer;

    json_array_append_new(self, json_string(execute_slim_layer(made, &layer) ? layer.key : ""));
    return true;
}

/* As a layer's, so that it is pushed as one. */
static int write_blob(struct execution *x, const char *text, struct layer *ret, struct error *err)
{
    const size_t len = strlen(text);

    *ret = (struct layer){.size = len, .tar_size = len, .entries = 1};
    memcpy(ret->digest, "sha256:", 7);
    digest_sha256_hex(text, len, ret->digest + 7);
    memcpy(ret->diff_id, ret->digest, sizeof(ret->diff_id));
    return cache_write(&x->cache, x->cache.blobs, ret->digest + 7, text, len, err);
}

/* It goes with the files of the uppermost step. */
static int store(struct execution *x, const struct made *last, const char *report,
                 struct error *err)
{
    json_t *layers = json_array();
    json_auto_t *o = json_pack("{s:o, s:s%, s:s}", "layers", layers, "packages",
                               buf_str(&x->packages.list), x->packages.list.len, "report", report);
    struct cache_record record = {.disk = last->record.disk, .has_layer = true};
    CLEANUP_FREE char *text = NULL;
    CLEANUP_CLOSE int hold = -1;

    (void)go_through(x, x->doc.program.target, add_layer, layers);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text || strlen(text) > KNOWN_MAX)
        return error_set(err, ERR_SYSTEM, "note what is known of an image: it is too much");
    memcpy(record.key, x->known.key, sizeof(record.key));
    memcpy(record.diff, last->record.diff, sizeof(record.diff));
    if (cache_hold(&x->cache, &hold, err) < 0 || write_blob(x, text, &record.layer, err) < 0 ||
        cache_store(&x->cache, x->known.key, &record, err) < 0)
        return -1;
    x->known.layer = record.layer;
    x->known.found = true;
    return 0;
}

void execute_leave_known(struct execution *x, const char *report)
{
    const struct builder_program *p = &x->doc.program;
    struct error ignored = ERROR_INIT;
    struct cache_record record;
    struct made *last = NULL;
    bool found = false;

    if (x->known.found || !is_of_use(x) || (p->packages && x->packages.error.kind != ERR_NONE))
        return;
    (void)go_through(x, p->target, keep_last, &last);
    if (!last || make_key(x, x->known.key, &ignored) < 0)
        return;
    if (cache_find(&x->cache, x->known.key, &found, &record, &ignored) == 0 && found &&
        record.has_layer) {
        x->known.layer = record.layer;
        x->known.found = true;
        return;
    }
    (void)!store(x, last, report, &ignored);
}
