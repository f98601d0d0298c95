/* builder/cache_inputs — see the header. */
#include "builder/cache_inputs.h"

#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/fs.h"

#define FILE_MAX  (16U << 20) /* bytes of JSON */
#define SAID_MAX  3           /* differences that are named */
#define SHOWN_MAX 300         /* bytes of a name that are shown */

/* ---- gathering ---- */

void cache_inputs_release(struct cache_inputs *in)
{
    buf_release(&in->names);
}

void cache_inputs_clear(struct cache_inputs *in)
{
    buf_clear(&in->names);
}

void cache_inputs_add(struct cache_inputs *in, const char *kind, const char *name, uint64_t mark)
{
    char head[sizeof(mark)];

    memcpy(head, &mark, sizeof(mark));
    if (in->names.len + sizeof(head) + strlen(kind) + strlen(name) + 2 > in->names.max)
        return;
    buf_add(&in->names, head, sizeof(head));
    buf_addf(&in->names, "%s%s%s", kind, *kind ? " " : "", name);
    buf_addc(&in->names, '\0');
}

static uint64_t mark_of(const void *data, size_t len)
{
    unsigned char digest[SHA256_SIZE];
    uint64_t mark;

    digest_sha256(data, len, digest);
    memcpy(&mark, digest, sizeof(mark));
    return mark;
}

void cache_inputs_add_text(struct cache_inputs *in, const char *kind, const char *name,
                           const char *value)
{
    cache_inputs_add(in, kind, name, value ? mark_of(value, strlen(value)) : 0);
}

void cache_inputs_add_words(struct cache_inputs *in, const char *name, const struct argv *words)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(CACHE_INPUTS_BYTES);

    for (size_t i = 0; i < words->n; i++)
        buf_add(&all, words->v[i], strlen(words->v[i]) + 1);
    cache_inputs_add(in, "", name, mark_of(buf_str(&all), all.len));
}

/* One input, and where the next begins. */
static const char *next_input(const struct cache_inputs *in, size_t *at, uint64_t *ret_mark)
{
    const char *name;

    if (*at + sizeof(*ret_mark) >= in->names.len)
        return NULL;
    memcpy(ret_mark, in->names.data + *at, sizeof(*ret_mark));
    name = in->names.data + *at + sizeof(*ret_mark);
    *at += sizeof(*ret_mark) + strlen(name) + 1;
    return name;
}

/* ---- keeping ---- */

/* A name that is no UTF-8 is left out: JSON has none. */
static json_t *to_json(const struct cache_inputs *in)
{
    json_t *o = json_object();
    uint64_t mark;
    size_t at = 0;

    for (const char *name = next_input(in, &at, &mark); name; name = next_input(in, &at, &mark))
        (void)json_object_set_new(o, name, json_integer((json_int_t)mark));
    return o;
}

static int store(const struct cache *c, int dir, const char *name, const json_t *o,
                 struct error *err)
{
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    if (!text)
        return error_set(err, ERR_SYSTEM, "write to the cache: out of memory");
    return cache_write(c, dir, name, text, strlen(text), err);
}

static json_t *load(int dir, const char *name)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    struct error ignored = ERROR_INIT;
    json_t *o;

    if (fs_read_file(dir, name, &text, &ignored) < 0)
        return NULL;
    o = json_loadb(buf_str(&text), text.len, 0, NULL);
    if (json_is_object(o))
        return o;
    json_decref(o);
    return NULL;
}

int cache_inputs_store(const struct cache *c, const char *key, const struct cache_inputs *in,
                       struct error *err)
{
    json_auto_t *o = to_json(in);

    return store(c, c->inputs, key, o, err);
}

/* ---- comparing ---- */

struct differences {
    struct buf *out;
    size_t n;
};

static void differ(struct differences *d, const char *name, const char *how)
{
    if (d->n++ < SAID_MAX)
        buf_addf(d->out, "%s%.*s %s", d->n > 1 ? ", " : "", SHOWN_MAX, name, how);
}

/* Takes what is in both out of old, so that what was removed stays. */
static void compare(json_t *old, const struct cache_inputs *in, struct differences *d)
{
    const char *name;
    json_t *value;
    uint64_t mark;
    size_t at = 0;

    for (name = next_input(in, &at, &mark); name; name = next_input(in, &at, &mark)) {
        value = json_object_get(old, name);
        if (!value)
            differ(d, name, "was added");
        else if ((uint64_t)json_integer_value(value) != mark)
            differ(d, name, "changed");
        (void)json_object_del(old, name);
    }
    json_object_foreach (old, name, value)
        differ(d, name, "was removed");
}

void cache_inputs_compare(const struct cache *c, const char *before, const char *key,
                          const struct cache_inputs *in, struct buf *out)
{
    struct differences d = {.out = out};
    json_auto_t *old = NULL;

    if (!before || !*before) {
        buf_adds(out, "not built before");
        return;
    }
    old = strcmp(before, key) == 0 ? NULL : load(c->inputs, before);
    if (!old) {
        buf_adds(out, "the last build's result is not in the cache any more");
        return;
    }
    compare(old, in, &d);
    if (d.n > SAID_MAX)
        buf_addf(out, " and %zu more", d.n - SAID_MAX);
    if (d.n == 0)
        buf_adds(out, "something changed that has no name");
}

/* ---- the last build of an image ---- */

json_t *cache_last_load(const struct cache *c, const char *image)
{
    char hex[SHA256_HEX];
    json_t *o;

    digest_sha256_hex(image, strlen(image), hex);
    o = load(c->builds, hex);
    return o ? o : json_object();
}

const char *cache_last_key(const json_t *last, const char *stage, size_t n)
{
    const char *key = json_string_value(json_array_get(json_object_get(last, stage), n));

    return digest_is_hex(key) ? key : NULL;
}

void cache_last_set(json_t *last, const char *stage, size_t n, const char *key)
{
    json_t *keys = json_object_get(last, stage);

    if (!json_is_array(keys)) {
        keys = json_array();
        if (json_object_set_new(last, stage, keys) < 0)
            return;
    }
    while (json_array_size(keys) <= n)
        if (json_array_append_new(keys, json_string("")) < 0)
            return;
    (void)json_array_set_new(keys, n, json_string(key));
}

int cache_last_store(const struct cache *c, const char *image, const json_t *last,
                     struct error *err)
{
    char hex[SHA256_HEX];

    digest_sha256_hex(image, strlen(image), hex);
    return store(c, c->builds, hex, last, err);
}
