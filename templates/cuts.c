/* templates/cuts — see the header.
 *
 * A cut depends on nothing behind it, and the hash that decides on nothing but the 64 bytes before
 * it.  So a chunk that cdc made once is what it would make of the same bytes again, if cdc would
 * cut at its end at all: the end of a file is none for a file that goes on. */
#include "templates/cuts.h"

#include "templates/cdc.h"
#include "templates/reach.h"

#define KNOWN_MAX (1u << 20) /* of 40 bytes: an image of some 64 GB */

static size_t slot_of(const struct cuts *c, struct address a)
{
    size_t i = (size_t)(a.low ^ a.high >> 32) & (c->n_slots - 1);

    while (c->slots[i] && !address_equal(c->v[c->slots[i] - 1].address, a))
        i = (i + 1) & (c->n_slots - 1);
    return i;
}

static int add(void *self, struct address a, const struct entry *e, struct error *err)
{
    struct cuts *c = self;

    if (!e || e->len <= CDC_MIN || c->n == KNOWN_MAX)
        return 0;
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 1024;
        struct known_cut *v = reallocarray(c->v, cap, sizeof(*v));

        if (!v)
            return error_set(err, ERR_SYSTEM, "list the cuts: out of memory");
        c->v = v;
        c->cap = cap;
    }
    c->v[c->n++] = (struct known_cut){.address = a, .len = (uint32_t)e->len};
    return 0;
}

static int index_all(struct cuts *c, struct error *err)
{
    c->n_slots = 1024;
    while (c->n_slots < c->n * 2)
        c->n_slots *= 2;
    c->slots = calloc(c->n_slots, sizeof(*c->slots));
    if (!c->slots)
        return error_set(err, ERR_SYSTEM, "list the cuts: out of memory");
    for (size_t i = 0; i < c->n; i++)
        c->slots[slot_of(c, c->v[i].address)] = (uint32_t)i + 1; /* of copies the last */
    return 0;
}

static int load(struct template_store *s, const struct view *view, const char *name, struct cuts *c,
                struct error *err)
{
    const struct reach_visitor visitor = {.each = add, .self = c};
    struct revision_root root = {.n_nodes = 0};
    struct template_info info;
    struct template_ref ref;
    struct reader reader;
    bool there;
    int result;

    if (template_get(s, name, &info, &there, err) < 0)
        return -1;
    if (!there || info.latest == 0)
        return 0;
    if (template_ref_parse(name, &ref, err) < 0)
        return -1;
    ref.revision = info.latest;
    result = catalog_load(s, &ref, &root, err);
    if (result == 0 && reader_init(&reader, view, err) == 0) {
        result = reach_revision(&reader, &root, &visitor, err);
        reader_release(&reader);
    }
    free(root.nodes);
    return result < 0 ? -1 : index_all(c, err);
}

void cuts_load(struct template_store *s, const struct view *view, const char *name,
               struct cuts *ret)
{
    struct error ignored = ERROR_INIT;

    *ret = (struct cuts){.hasher = &s->hasher};
    if (load(s, view, name, ret, &ignored) < 0 || !ret->slots)
        cuts_release(ret);
}

void cuts_release(struct cuts *c)
{
    free(c->v);
    free(c->slots);
    c->v = NULL;
    c->slots = NULL;
    c->n = c->cap = c->n_slots = 0;
}

size_t cuts_find(const struct cuts *c, size_t *next, const unsigned char *data, size_t len,
                 bool last, struct address *ret_hash, bool *ret_hashed)
{
    const struct known_cut *k = *next < c->n ? &c->v[*next] : NULL;
    size_t cut;

    *ret_hashed = false;
    if (k && (k->len < len || (k->len == len && last)) &&
        (k->len == len || cdc_ends_at(data, k->len))) {
        *ret_hash = hasher_address(c->hasher, data, k->len);
        *ret_hashed = address_equal(*ret_hash, k->address);
        if (*ret_hashed) {
            ++*next;
            return k->len;
        }
    }
    cut = cdc_cut(data, len, last);
    if (c->n > 0 && cut > CDC_MIN) {
        size_t slot;

        *ret_hash = hasher_address(c->hasher, data, cut);
        *ret_hashed = true;
        slot = slot_of(c, *ret_hash);
        /* One that is new stands most likely for the one that was expected. */
        *next = c->slots[slot] ? c->slots[slot] : *next + 1;
    }
    return cut;
}
