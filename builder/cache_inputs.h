/* builder/cache_inputs — what a step's key was made of, by name, so that it can be said why the
 * step is not cached: "not cached: package.json changed".
 *
 *   inputs/<key>        the names, each with a mark of its value (JSON); beside the step's record
 *   builds/<hex>        of the last build of an image: the keys of its steps, by stage (JSON)
 *
 * They explain and decide nothing: where one is missing, or not what it should be, less is said. */
#ifndef BUILDER_CACHE_INPUTS_H
#define BUILDER_CACHE_INPUTS_H

#include <jansson.h>

#include "base/argv.h"
#include "builder/cache.h"

#define CACHE_INPUTS_BYTES (4U << 20) /* of names; what is beyond is not told of */

struct cache_inputs {
    struct buf names; /* each with its NUL and, before it, its mark */
};
#define CACHE_INPUTS_INIT                                                                          \
    {                                                                                              \
        .names = BUF_INIT(CACHE_INPUTS_BYTES)                                                      \
    }

void cache_inputs_release(struct cache_inputs *in);
void cache_inputs_clear(struct cache_inputs *in);

/* kind: "", or a word before the name ("variable"). */
void cache_inputs_add(struct cache_inputs *in, const char *kind, const char *name, uint64_t mark);
/* The same with the mark of a text (NULL is another than "") or of a list. */
void cache_inputs_add_text(struct cache_inputs *in, const char *kind, const char *name,
                           const char *value);
void cache_inputs_add_words(struct cache_inputs *in, const char *name, const struct argv *words);

MUST_CHECK int cache_inputs_store(const struct cache *c, const char *key,
                                  const struct cache_inputs *in, struct error *err);

/* Appends how they differ from those of the step `before` ("package.json changed, b was added and 3
 * more"), or why there is nothing to compare.  before: a key; NULL or "": there was no such step.
 */
void cache_inputs_compare(const struct cache *c, const char *before, const char *key,
                          const struct cache_inputs *in, struct buf *out);

/* ---- the last build of an image ---- */

/* NULL-safe: what cannot be read is empty.  To be given to json_decref. */
json_t *cache_last_load(const struct cache *c, const char *image);
/* The key of a stage's nth step; NULL: there was none. */
const char *cache_last_key(const json_t *last, const char *stage, size_t n);
/* Notes one; later steps of an earlier build stay. */
void cache_last_set(json_t *last, const char *stage, size_t n, const char *key);
MUST_CHECK int cache_last_store(const struct cache *c, const char *image, const json_t *last,
                                struct error *err);

#endif
