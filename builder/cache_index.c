/* builder/cache_index — see the header. */
#include "builder/cache_index.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1

void cache_index_release(struct cache_index *x)
{
    free(x->v);
    *x = (struct cache_index){.n = 0};
}

/* ---- entries ---- */

static struct cache_entry *find(const struct cache_index *x, const char *key)
{
    for (size_t i = 0; i < x->n; i++)
        if (strcmp(x->v[i].key, key) == 0)
            return &x->v[i];
    return NULL;
}

const struct cache_entry *cache_index_find(const struct cache_index *x, const char *key)
{
    return find(x, key);
}

void cache_index_forget(struct cache_index *x, const char *diff)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->n; i++)
        if (strcmp(x->v[i].record.diff, diff) != 0)
            x->v[kept++] = x->v[i];
    x->n = kept;
}

int cache_index_add(struct cache_index *x, const struct cache_entry *entry, struct error *err)
{
    struct cache_entry *there = find(x, entry->key);

    if (there) {
        *there = *entry;
        return 0;
    }
    if (x->n == x->cap) {
        size_t cap = x->cap ? 2 * x->cap : 64;
        struct cache_entry *grown = realloc(x->v, cap * sizeof(*grown));

        if (!grown)
            return error_set(err, ERR_SYSTEM, "note cached steps: out of memory");
        x->v = grown;
        x->cap = cap;
    }
    x->v[x->n++] = *entry;
    return 0;
}

/* ---- reading ---- */

static int refuse(struct error *err, const char *why)
{
    return error_set(err, ERR_INPUT, "not an index of cached steps: %s", why);
}

/* The sizes are used in sums, and bound what is fetched and unpacked. */
static bool is_sane(const struct cache_record *r)
{
    const struct layer *l = &r->layer;

    return r->bytes <= INT64_MAX && r->disk <= INT64_MAX && l->size <= LAYER_TAR_SIZE_MAX &&
           l->tar_size <= LAYER_TAR_SIZE_MAX && l->entries <= LAYER_ENTRIES_MAX &&
           (!r->has_layer || r->diff[0]);
}

static bool read_entry(const json_t *o, struct cache_entry *ret)
{
    const char *key = json_string_value(json_object_get(o, "key"));
    const json_t *used = json_object_get(o, "used");

    if (!digest_is_hex(key) || !json_is_integer(used) || json_integer_value(used) < 0 ||
        !cache_record_read(json_object_get(o, "record"), &ret->record) || !is_sane(&ret->record))
        return false;
    memcpy(ret->key, key, sizeof(ret->key));
    ret->used = json_integer_value(used);
    return true;
}

int cache_index_read(const char *text, size_t len, struct cache_index *x, struct error *err)
{
    json_auto_t *root = NULL;
    const json_t *steps, *step;
    size_t i;

    if (len > CACHE_INDEX_BYTES)
        return refuse(err, "it is too large");
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    steps = json_object_get(root, "steps");
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_array(steps))
        return refuse(err, "it is of another version, or has no steps");
    if (json_array_size(steps) > CACHE_INDEX_STEPS)
        return refuse(err, "it has too many steps");
    json_array_foreach (steps, i, step) {
        struct cache_entry entry = {.used = 0};

        if (!read_entry(step, &entry))
            return refuse(err, "a step of it is none");
        if (cache_index_add(x, &entry, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- within bounds ---- */

static int compare(const void *a, const void *b)
{
    const struct cache_entry *x = a, *y = b;

    return x->used != y->used ? (y->used > x->used) - (y->used < x->used) : strcmp(x->key, y->key);
}

static bool has_blob(const struct cache_record *r)
{
    return r->has_layer && r->layer.entries > 0;
}

/* One that an earlier entry names too costs nothing more. */
static bool is_repeated(const struct cache_index *x, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (has_blob(&x->v[k].record) &&
            strcmp(x->v[k].record.layer.digest, x->v[i].record.layer.digest) == 0)
            return true;
    return false;
}

void cache_index_trim(struct cache_index *x, int64_t now, uint64_t max)
{
    uint64_t total = 0;

    if (x->n > 0)
        qsort(x->v, x->n, sizeof(*x->v), compare);
    while (x->n > 0 && (x->n > CACHE_INDEX_STEPS || x->v[x->n - 1].used < now - CACHE_INDEX_KEPT))
        x->n--;
    for (size_t i = 0; i < x->n; i++) {
        struct cache_record *r = &x->v[i].record;

        if (!has_blob(r) || is_repeated(x, i))
            continue;
        if (r->layer.size <= max - total)
            total += r->layer.size;
        else
            r->has_layer = false;
    }
}

/* ---- writing ---- */

int cache_index_write(const struct cache_index *x, struct buf *out, struct error *err)
{
    json_auto_t *root = json_pack("{s:i}", "version", VERSION);
    json_t *steps = json_array();
    CLEANUP_FREE char *text = NULL;

    for (size_t i = 0; i < x->n; i++)
        json_array_append_new(steps, json_pack("{s:s, s:I, s:o}", "key", x->v[i].key, "used",
                                               (json_int_t)x->v[i].used, "record",
                                               cache_record_json(&x->v[i].record)));
    json_object_set_new(root, "steps", steps);
    text = json_dumps(root, JSON_COMPACT);
    if (!text)
        return error_set(err, ERR_SYSTEM, "write an index of cached steps: out of memory");
    buf_adds(out, text);
    return buf_check(out, "the index of cached steps", err);
}
