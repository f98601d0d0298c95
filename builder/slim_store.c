/* builder/slim_store — see the header. */
#include "builder/slim_store.h"

#include <jansson.h>
#include <string.h>

#include "base/fs.h"

#define FACTS_MAX (4U << 20) /* bytes of JSON */

/* ---- writing ---- */

static json_t *write_root(const struct slim_root *r)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:b, s:b}", "path", r->path, "rule",
                     (json_int_t)(r->rule - slim_rules), "files", (json_int_t)r->files, "bytes",
                     (json_int_t)r->bytes, "marks", (int)r->marks, "covers", (int)r->covers);
}

static json_t *write_words(const struct argv *words)
{
    json_t *a = json_array();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(a, json_string(words->v[i]));
    return a;
}

static json_t *write_facts(const struct slim_facts *f)
{
    json_t *roots = json_array();

    for (size_t i = 0; i < f->n_roots; i++)
        json_array_append_new(roots, write_root(&f->roots[i]));
    return json_pack("{s:o, s:o, s:o, s:b, s:I, s:I}", "roots", roots, "at",
                     write_words(&f->pins.at), "by", write_words(&f->pins.by), "many",
                     (int)f->pins.many, "twins", (json_int_t)f->twins, "twin_bytes",
                     (json_int_t)f->twin_bytes);
}

int slim_facts_store(const struct cache *c, const char *key, const struct cache_record *of,
                     const struct slim_facts *f, struct error *err)
{
    json_auto_t *o = write_facts(f);
    CLEANUP_FREE char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    struct cache_record record = {.disk = of->disk};

    if (!text)
        return error_set(err, ERR_SYSTEM, "write to the cache: out of memory");
    memcpy(record.key, key, sizeof(record.key));
    memcpy(record.diff, of->diff, sizeof(record.diff));
    if (cache_write(c, c->inputs, key, text, strlen(text), err) < 0)
        return -1;
    return cache_store(c, key, &record, err);
}

/* ---- reading ---- */

static uint64_t number_of(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

static bool read_root(const json_t *o, struct slim_facts *f)
{
    const char *path = json_string_value(json_object_get(o, "path"));
    uint64_t rule = number_of(o, "rule");
    struct slim_root *r;

    if (!path || rule >= slim_n_rules || !slim_facts_add(f, path, &slim_rules[rule]))
        return false;
    r = &f->roots[f->n_roots - 1];
    r->files = number_of(o, "files");
    r->bytes = number_of(o, "bytes");
    r->marks = json_is_true(json_object_get(o, "marks"));
    r->covers = json_is_true(json_object_get(o, "covers"));
    return true;
}

static bool read_pins(const json_t *o, struct slim_pins *pins)
{
    const json_t *at = json_object_get(o, "at"), *by = json_object_get(o, "by");

    for (size_t i = 0; i < json_array_size(at); i++) {
        const char *a = json_string_value(json_array_get(at, i));
        const char *b = json_string_value(json_array_get(by, i));

        if (!a || !b)
            return false;
        slim_pins_add(pins, a, b);
    }
    pins->many |= !json_is_array(at) || json_is_true(json_object_get(o, "many"));
    return true;
}

static bool read_facts(const json_t *o, struct slim_facts *f)
{
    const json_t *roots = json_object_get(o, "roots");
    const json_t *root;
    size_t i;

    if (!json_is_array(roots) || !read_pins(o, &f->pins))
        return false;
    json_array_foreach (roots, i, root)
        if (!read_root(root, f))
            return false;
    f->twins = number_of(o, "twins");
    f->twin_bytes = number_of(o, "twin_bytes");
    return true;
}

int slim_facts_load(const struct cache *c, const char *key, bool *ret_found, struct slim_facts *ret,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FACTS_MAX);
    struct error ignored = ERROR_INIT;
    struct cache_record record;
    json_auto_t *o = NULL;

    *ret = (struct slim_facts){.n_roots = 0};
    if (cache_find(c, key, ret_found, &record, err) < 0)
        return -1;
    if (!*ret_found)
        return 0;
    if (fs_read_file(c->inputs, key, &text, &ignored) == 0)
        o = json_loadb(buf_str(&text), text.len, 0, NULL);
    *ret_found = o && read_facts(o, ret);
    if (!*ret_found)
        slim_facts_release(ret);
    return 0;
}
