/* templates/reach — see the header. */
#include "templates/reach.h"

/* ---- sets ---- */

void address_set_release(struct address_set *s)
{
    free(s->rows);
    *s = (struct address_set){.n = 0};
}

static size_t slot_of(const struct address_set *s, struct address a)
{
    uint64_t mixed =
        (a.low ^ (a.high * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(mixed >> 16) & (s->cap - 1);

    while (s->rows[i].used && !address_equal(s->rows[i].address, a))
        i = (i + 1) & (s->cap - 1);
    return i;
}

struct address_row *address_set_find(const struct address_set *s, struct address a)
{
    struct address_row *row = s->cap ? &s->rows[slot_of(s, a)] : NULL;

    return row && row->used ? row : NULL;
}

static bool grow(struct address_set *s)
{
    struct address_set bigger = {.cap = s->cap ? s->cap * 2 : 1024, .n = s->n};

    if (s->cap && s->n < s->cap / 4 * 3)
        return true;
    bigger.rows = calloc(bigger.cap, sizeof(*bigger.rows));
    if (!bigger.rows)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->rows[i].used)
            bigger.rows[slot_of(&bigger, s->rows[i].address)] = s->rows[i];
    free(s->rows);
    *s = bigger;
    return true;
}

struct address_row *address_set_add(struct address_set *s, struct address a, bool *ret_new)
{
    struct address_row *row;

    if (!grow(s))
        return NULL;
    row = &s->rows[slot_of(s, a)];
    *ret_new = !row->used;
    if (!row->used) {
        *row = (struct address_row){.address = a, .used = true};
        s->n++;
    }
    return row;
}

/* ---- walking ---- */

static int each_entry(void *self, uint64_t offset, const struct entry *e, struct error *err)
{
    const struct reach_visitor *v = *(const struct reach_visitor **)self;

    (void)offset;
    return e->zero ? 0 : v->each(v->self, e->address, e, err);
}

int reach_revision(struct reader *r, const struct revision_root *root,
                   const struct reach_visitor *v, struct error *err)
{
    for (size_t i = 0; i < root->n_nodes; i++) {
        const struct node_ref *ref = &root->nodes[i];
        const unsigned char *data = NULL;
        uint32_t len;

        if (v->skip && v->skip(v->self, ref->address))
            continue;
        if (reader_address(r, ref->address, &data, &len, err) < 0 ||
            v->each(v->self, ref->address, NULL, err) < 0 ||
            node_walk(data, len, ref->start, ref[1].start, each_entry, &v, err) < 0)
            return -1;
    }
    return 0;
}

static int add_to_set(void *self, struct address a, const struct entry *e, struct error *err)
{
    bool fresh;

    (void)e;
    return address_set_add(self, a, &fresh)
               ? 0
               : error_set(err, ERR_SYSTEM, "list the chunks in use: out of memory");
}

static bool is_in_set(void *self, struct address node)
{
    return address_set_find(self, node) != NULL;
}

int reach_all(struct template_store *s, struct reader *r, const struct template_progress *progress,
              struct address_set *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    const struct reach_visitor visitor = {.each = add_to_set, .skip = is_in_set, .self = ret};

    if (catalog_roots(s, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        struct revision_root root = {.n_nodes = 0};
        struct template_ref ref;
        int result = 0;

        if (!catalog_parse(names.v[i], &ref))
            continue;
        result = catalog_load(s, &ref, &root, err);
        if (result == 0)
            result = reach_revision(r, &root, &visitor, err);
        free(root.nodes);
        if (result < 0)
            return error_wrap(err, "revision %s", names.v[i]);
        if (progress)
            progress->report(progress->self, TEMPLATE_LOOKING, i + 1, names.n);
    }
    return 0;
}
