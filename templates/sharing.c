/* templates/sharing — which revisions have chunks in common, and how much. */
#include <string.h>

#include "templates/reach.h"

struct one {
    struct template_ref ref;
    struct address_set chunks; /* a: raw bytes */
};

static int keep(void *self, struct address a, const struct entry *e, struct error *err)
{
    struct one *o = self;
    struct address_row *row;
    bool fresh;

    if (!e)
        return 0;
    row = address_set_add(&o->chunks, a, &fresh);
    if (!row)
        return error_set(err, ERR_SYSTEM, "compare revisions: out of memory");
    row->a = (uint32_t)e->len;
    return 0;
}

static int load(struct template_store *s, struct reader *r, struct one *o, struct error *err)
{
    const struct reach_visitor visitor = {.each = keep, .self = o};
    struct revision_root root = {.n_nodes = 0};
    int result = catalog_resolve(s, &o->ref, err);

    if (result == 0)
        result = catalog_load(s, &o->ref, &root, err);
    if (result == 0)
        result = reach_revision(r, &root, &visitor, err);
    free(root.nodes);
    return result;
}

static int with_reader(struct template_store *s,
                       int (*f)(struct template_store *s, struct reader *r, void *self,
                                struct error *err),
                       void *self, struct error *err)
{
    struct view view;
    struct reader reader;
    int result = -1;

    if (view_open(s, true, &view, err) < 0)
        return -1;
    if (reader_init(&reader, &view, err) == 0) {
        result = f(s, &reader, self, err);
        reader_release(&reader);
    }
    view_release(&view);
    return result;
}

/* ---- two ---- */

struct pair {
    struct one a, b;
    struct template_difference *ret;
};

static void compare_sets(const struct pair *p)
{
    struct template_difference d = {.both = 0};

    for (size_t i = 0; i < p->a.chunks.cap; i++) {
        const struct address_row *row = &p->a.chunks.rows[i];
        bool both = row->used && address_set_find(&p->b.chunks, row->address);

        if (!row->used)
            continue;
        *(both ? &d.both : &d.only_a) += row->a;
        ++*(both ? &d.chunks_both : &d.chunks_only_a);
    }
    for (size_t i = 0; i < p->b.chunks.cap; i++) {
        const struct address_row *row = &p->b.chunks.rows[i];

        if (!row->used || address_set_find(&p->a.chunks, row->address))
            continue;
        d.only_b += row->a;
        d.chunks_only_b++;
    }
    *p->ret = d;
}

static int compare_pair(struct template_store *s, struct reader *r, void *self, struct error *err)
{
    struct pair *p = self;

    if (load(s, r, &p->a, err) < 0 || load(s, r, &p->b, err) < 0)
        return -1;
    compare_sets(p);
    return 0;
}

int template_compare(struct template_store *s, const struct template_ref *a,
                     const struct template_ref *b, struct template_difference *ret,
                     struct error *err)
{
    struct pair pair = {.a = {.ref = *a}, .b = {.ref = *b}, .ret = ret};
    int result = with_reader(s, compare_pair, &pair, err);

    address_set_release(&pair.a.chunks);
    address_set_release(&pair.b.chunks);
    return result;
}

/* ---- every two of a template ---- */

struct family {
    struct one *all; /* a ring: the newest `cap` of the n that were seen */
    size_t n, cap;
    void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes);
    void *self;
};

static void add_member(void *self, const struct template_revision_info *info)
{
    struct family *f = self;

    f->all[f->n++ % f->cap] = (struct one){.ref = info->ref};
}

static uint64_t bytes_in_both(const struct address_set *a, const struct address_set *b)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < a->cap; i++)
        if (a->rows[i].used && (a == b || address_set_find(b, a->rows[i].address)))
            bytes += a->rows[i].a;
    return bytes;
}

static int compare_family(struct template_store *s, struct reader *r, void *self, struct error *err)
{
    struct family *f = self;

    for (size_t i = f->n > f->cap ? f->n - f->cap : 0; i < f->n; i++) {
        struct one *b = &f->all[i % f->cap];

        if (load(s, r, b, err) < 0)
            return -1;
        for (size_t k = f->n > f->cap ? f->n - f->cap : 0; k <= i; k++) {
            const struct one *a = &f->all[k % f->cap];

            f->each(f->self, a->ref.revision, b->ref.revision,
                    bytes_in_both(&a->chunks, &b->chunks));
        }
    }
    return 0;
}

int template_overlaps(struct template_store *s, const char *name, size_t newest,
                      void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes), void *self,
                      struct error *err)
{
    struct family f = {
        .all = calloc(newest, sizeof(struct one)), .cap = newest, .each = each, .self = self};
    int result = -1;

    if (!f.all)
        return error_set(err, ERR_SYSTEM, "compare revisions: out of memory");
    if (template_revisions(s, name, add_member, &f, err) == 0)
        result = with_reader(s, compare_family, &f, err);
    for (size_t i = 0; i < f.cap; i++)
        address_set_release(&f.all[i].chunks);
    free(f.all);
    return result;
}

/* ---- all ---- */

struct everybody {
    struct one *all;
    size_t n, cap;
    struct address_set
        everywhere; /* a: revisions that have it; b: the last template seen, plus 1 */
    void (*each)(void *self, const struct template_sharing *sharing);
    void *self;
    bool failed;
};

static void add_one(void *self, const struct template_revision_info *info)
{
    struct everybody *e = self;

    if (e->n == e->cap) {
        size_t cap = e->cap ? e->cap * 2 : 16;
        struct one *all = reallocarray(e->all, cap, sizeof(*all));

        if (!all) {
            e->failed = true;
            return;
        }
        e->all = all;
        e->cap = cap;
    }
    e->all[e->n++] = (struct one){.ref = info->ref};
}

static int load_all(struct template_store *s, struct reader *r, struct everybody *e,
                    struct error *err)
{
    for (size_t i = 0; i < e->n; i++) {
        if (load(s, r, &e->all[i], err) < 0)
            return -1;
        for (size_t k = 0; k < e->all[i].chunks.cap; k++) {
            struct address_row *row = &e->all[i].chunks.rows[k];
            struct address_row *sum;
            bool fresh;

            if (!row->used)
                continue;
            sum = address_set_add(&e->everywhere, row->address, &fresh);
            if (!sum)
                return error_set(err, ERR_SYSTEM, "compare revisions: out of memory");
            sum->a++;
        }
    }
    return 0;
}

static bool in_same_template(const struct everybody *e, size_t i, struct address a)
{
    for (size_t k = 0; k < e->n; k++)
        if (k != i && strcmp(e->all[k].ref.name, e->all[i].ref.name) == 0 &&
            address_set_find(&e->all[k].chunks, a))
            return true;
    return false;
}

static uint64_t stored_share(struct reader *r, struct address a)
{
    struct pack_chunk c;
    struct pack_frame f;

    if (!view_find(r->view, a, &r->near, &c))
        return 0;
    f = pack_frame(&r->view->packs[r->near], c.frame);
    return f.raw ? (uint64_t)c.len * f.stored / f.raw + PACK_CHUNK_SIZE : 0;
}

static struct template_sharing share_of(const struct everybody *e, size_t i, struct reader *r)
{
    struct template_sharing s = {.ref = e->all[i].ref};

    for (size_t k = 0; k < e->all[i].chunks.cap; k++) {
        const struct address_row *row = &e->all[i].chunks.rows[k];

        if (!row->used)
            continue;
        s.bytes += row->a;
        if (address_set_find(&e->everywhere, row->address)->a == 1) {
            s.only_here += row->a;
            s.stored_only_here += stored_share(r, row->address);
        } else if (in_same_template(e, i, row->address)) {
            s.same_template += row->a;
        } else {
            s.others += row->a;
        }
    }
    return s;
}

static int share_all(struct template_store *s, struct reader *r, void *self, struct error *err)
{
    struct everybody *e = self;

    if (template_revisions(s, NULL, add_one, e, err) < 0)
        return -1;
    if (e->failed)
        return error_set(err, ERR_SYSTEM, "compare revisions: out of memory");
    if (load_all(s, r, e, err) < 0)
        return -1;
    for (size_t i = 0; i < e->n; i++) {
        struct template_sharing sharing = share_of(e, i, r);

        e->each(e->self, &sharing);
    }
    return 0;
}

int template_sharing(struct template_store *s,
                     void (*each)(void *self, const struct template_sharing *sharing), void *self,
                     struct error *err)
{
    struct everybody e = {.each = each, .self = self};
    int result = with_reader(s, share_all, &e, err);

    for (size_t i = 0; i < e.n; i++)
        address_set_release(&e.all[i].chunks);
    free(e.all);
    address_set_release(&e.everywhere);
    return result;
}
