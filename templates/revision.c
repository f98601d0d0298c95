/* templates/revision — reading an image.
 *
 * The root says where nodes begin; a node is read when a byte below it is asked for, and stays.
 * One reader, under a mutex: what is read again soon is in its last frames. */
#include <string.h>

#include "templates/catalog.h"

struct node {
    struct entry *entries; /* NULL: not read yet */
    uint64_t *starts;      /* n + 1 */
    size_t n;
};

struct template_revision {
    struct template_store *store;
    struct view view;
    struct reader reader;
    struct revision_root root;
    struct node *nodes;
    pthread_mutex_t mutex; /* over reader and nodes */
    bool has_reader;
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read a revision: out of memory");
}

static int open_revision(struct template_store *s, struct template_ref ref,
                         struct template_revision *r, struct error *err)
{
    /* Packs after the root: those it was made with are there, or newer ones with the same. */
    if (catalog_resolve(s, &ref, err) < 0 || catalog_load(s, &ref, &r->root, err) < 0 ||
        view_open(s, true, &r->view, err) < 0 || reader_init(&r->reader, &r->view, err) < 0)
        return -1;
    r->has_reader = true;
    r->store = s;
    r->nodes = calloc(r->root.n_nodes + 1, sizeof(*r->nodes));
    return r->nodes ? 0 : out_of_memory(err);
}

int template_revision_open(struct template_store *s, const struct template_ref *ref,
                           struct template_revision **ret, struct error *err)
{
    struct template_revision *r = calloc(1, sizeof(*r));

    if (!r)
        return out_of_memory(err);
    (void)pthread_mutex_init(&r->mutex, NULL);
    if (open_revision(s, *ref, r, err) < 0) {
        template_revision_free(r);
        return -1;
    }
    *ret = r;
    return 0;
}

void template_revision_free(struct template_revision *r)
{
    if (!r)
        return;
    for (size_t i = 0; r->nodes && i < r->root.n_nodes; i++) {
        free(r->nodes[i].entries);
        free(r->nodes[i].starts);
    }
    free(r->nodes);
    free(r->root.nodes);
    if (r->has_reader)
        reader_release(&r->reader);
    view_release(&r->view);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

const struct template_revision_info *template_revision_info(const struct template_revision *r)
{
    return &r->root.info;
}

/* ---- nodes ---- */

static int keep_entry(void *self, uint64_t offset, const struct entry *e, struct error *err)
{
    struct node *n = self;

    (void)err;
    n->starts[n->n] = offset;
    n->entries[n->n++] = *e;
    return 0;
}

static int read_node(struct template_revision *r, size_t i, struct error *err)
{
    const struct node_ref *ref = &r->root.nodes[i];
    struct node *n = &r->nodes[i];
    const unsigned char *data = NULL;
    uint32_t len;

    if (n->entries)
        return 0;
    if (reader_address(&r->reader, ref->address, &data, &len, err) < 0)
        return -1;
    n->entries = calloc(NODE_ENTRIES_MAX, sizeof(*n->entries));
    n->starts = calloc(NODE_ENTRIES_MAX + 1, sizeof(*n->starts));
    n->n = 0;
    if (!n->entries || !n->starts ||
        node_walk(data, len, ref->start, ref[1].start, keep_entry, n, err) < 0) {
        bool memory = !n->entries || !n->starts;

        free(TAKE(n->entries));
        free(TAKE(n->starts));
        return memory ? out_of_memory(err) : -1;
    }
    n->starts[n->n] = ref[1].start;
    n->entries = reallocarray(n->entries, n->n, sizeof(*n->entries));
    n->starts = reallocarray(n->starts, n->n + 1, sizeof(*n->starts));
    return 0;
}

/* The last of n ascending numbers that is not above x, where the first is not. */
static size_t last_not_above(const uint64_t *v, size_t n, size_t stride, uint64_t x)
{
    size_t low = 0, high = n;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (v[middle * stride] <= x)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* With the mutex. */
static int find_entry(struct template_revision *r, uint64_t offset, const struct entry **ret,
                      uint64_t *ret_start, uint64_t *ret_end, struct error *err)
{
    size_t stride = sizeof(struct node_ref) / sizeof(uint64_t);
    size_t i, k;

    if (offset >= r->root.info.image_size)
        return error_set(err, ERR_SYSTEM, "read a revision: past its end");
    i = last_not_above(&r->root.nodes[0].start, r->root.n_nodes, stride, offset);
    if (read_node(r, i, err) < 0)
        return -1;
    k = last_not_above(r->nodes[i].starts, r->nodes[i].n, 1, offset);
    *ret = &r->nodes[i].entries[k];
    *ret_start = r->nodes[i].starts[k];
    *ret_end = r->nodes[i].starts[k + 1];
    return 0;
}

/* ---- reading ---- */

/* What of the entry is asked for; *ret_len bytes of it are put into data. */
static int read_entry(struct template_revision *r, uint64_t offset, unsigned char *data, size_t len,
                      size_t *ret_len, struct error *err)
{
    const struct entry *e = NULL;
    const unsigned char *chunk = NULL;
    uint64_t start, end;
    uint32_t chunk_len = 0;
    size_t n, from_chunk;

    if (find_entry(r, offset, &e, &start, &end, err) < 0)
        return -1;
    n = end - offset < len ? (size_t)(end - offset) : len;
    *ret_len = n;
    if (e->zero) {
        memset(data, 0, n);
        return 0;
    }
    if (reader_address(&r->reader, e->address, &chunk, &chunk_len, err) < 0)
        return -1;
    if (chunk_len != e->len)
        return error_set(err, ERR_SYSTEM, "a chunk has %u bytes, and the revision says %llu",
                         chunk_len, (unsigned long long)e->len);
    from_chunk = start + chunk_len > offset ? (size_t)(start + chunk_len - offset) : 0;
    from_chunk = from_chunk < n ? from_chunk : n;
    memcpy(data,
           chunk + (chunk_len - (start + chunk_len > offset ? start + chunk_len - offset : 0)),
           from_chunk);
    memset(data + from_chunk, 0, n - from_chunk);
    return 0;
}

/* With the mutex.  Where packs are elsewhere, one that is open cannot be read after its removal: a
 * collector may have put the chunks into another one meanwhile. */
static bool look_again(struct template_revision *r)
{
    struct error ignored = ERROR_INIT;
    struct reader reader;
    struct view view;
    size_t i = 0;

    while (i < r->view.n_packs && !r->view.packs[i].origin.fill)
        i++;
    if (i == r->view.n_packs || view_open(r->store, true, &view, &ignored) < 0)
        return false;
    if (reader_init(&reader, &r->view, &ignored) < 0) {
        view_release(&view);
        return false;
    }
    reader_release(&r->reader);
    view_release(&r->view);
    r->view = view;
    r->reader = reader;
    return true;
}

int template_revision_read(struct template_revision *r, uint64_t offset, void *data, size_t len,
                           struct error *err)
{
    int result = 0;

    (void)pthread_mutex_lock(&r->mutex);
    while (len > 0 && result == 0) {
        struct error first = ERROR_INIT;
        size_t n = 0;

        result = read_entry(r, offset, data, len, &n, &first);
        if (result < 0 && look_again(r))
            result = read_entry(r, offset, data, len, &n, err);
        else if (result < 0)
            *err = first;
        data = (char *)data + n;
        offset += n;
        len -= n;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return result < 0 ? error_wrap(err, "revision %s:%llu at byte %llu", r->root.info.ref.name,
                                   (unsigned long long)r->root.info.ref.revision,
                                   (unsigned long long)offset)
                      : 0;
}

int template_revision_extent(struct template_revision *r, uint64_t offset, uint64_t *ret_len,
                             bool *ret_zero, struct error *err)
{
    const struct entry *e = NULL;
    struct error first = ERROR_INIT;
    uint64_t start = 0, end = 0;
    int result;

    (void)pthread_mutex_lock(&r->mutex);
    result = find_entry(r, offset, &e, &start, &end, &first);
    if (result < 0 && look_again(r))
        result = find_entry(r, offset, &e, &start, &end, err);
    else if (result < 0)
        *err = first;
    if (result == 0) {
        *ret_zero = e->zero;
        *ret_len = end - offset;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return result;
}
