/* templates/tree — see the header. */
#include "templates/tree.h"

#include <string.h>

#include "base/text.h"

#define NAMES_MAX      (UINT32_MAX - (1u << 20))
#define XATTR_MAX      4000 /* bytes of all of one entry: a block of ext4 has no room for more */
#define SLOTS_INITIAL  1024
#define LINK_MAX_BYTES 4096 /* a block holds the target and its NUL */

const struct template_limits template_limits_default = {
    .entries_max = 20000000,
    .bytes_max = UINT64_C(1) << 42,
    .depth_max = 200,
};

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "read the archive: out of memory");
}

/* ---- storage ---- */

static int add_name(struct tree *t, const void *bytes, size_t len, uint32_t *ret, struct error *err)
{
    *ret = (uint32_t)t->names.len;
    buf_add(&t->names, bytes, len);
    buf_addc(&t->names, '\0');
    return buf_check(&t->names, "the archive's list of names", err);
}

static size_t slot_of(const struct tree *t, uint32_t parent, const char *name, size_t len)
{
    uint64_t mixed = hasher_checksum(&t->hasher, name, len) + parent * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed ^ mixed >> 32) & (t->n_slots - 1);
}

const char *nodes_name(const struct tree *t, uint32_t node)
{
    return t->names.data + t->nodes[node].name;
}

uint32_t nodes_child(const struct tree *t, uint32_t parent, const char *name, size_t len)
{
    for (size_t i = slot_of(t, parent, name, len); t->slots[i] != TREE_NONE;
         i = (i + 1) & (t->n_slots - 1)) {
        const struct node *n = &t->nodes[t->slots[i]];

        if (n->parent == parent && n->name_len == len &&
            memcmp(t->names.data + n->name, name, len) == 0)
            return t->slots[i];
    }
    return TREE_NONE;
}

static void fill_slot(struct tree *t, uint32_t node)
{
    const struct node *n = &t->nodes[node];
    size_t i = slot_of(t, n->parent, t->names.data + n->name, n->name_len);

    while (t->slots[i] != TREE_NONE)
        i = (i + 1) & (t->n_slots - 1);
    t->slots[i] = node;
}

static int grow_slots(struct tree *t, struct error *err)
{
    size_t n = t->n_slots ? t->n_slots * 2 : SLOTS_INITIAL;

    if (t->n_slots && t->n_nodes < t->n_slots / 4 * 3)
        return 0;
    free(t->slots);
    t->slots = malloc(n * sizeof(*t->slots));
    t->n_slots = n;
    if (!t->slots)
        return out_of_memory(err);
    memset(t->slots, 0xff, n * sizeof(*t->slots));
    for (uint32_t i = 1; i < t->n_nodes; i++)
        fill_slot(t, i);
    return 0;
}

static int new_node(struct tree *t, uint32_t parent, const char *name, size_t len,
                    const char *whole, uint32_t *ret, struct error *err)
{
    struct node *n;

    if (t->n_nodes > t->limits->entries_max)
        return entry_refuse(err, ERR_LIMIT, whole,
                            "the archive has more than %llu entries; leave out what is not needed",
                            (unsigned long long)t->limits->entries_max);
    if (t->n_nodes == t->cap_nodes) {
        size_t cap = t->cap_nodes ? t->cap_nodes + t->cap_nodes / 2 : 1024;
        struct node *nodes = reallocarray(t->nodes, cap, sizeof(*nodes));

        if (!nodes)
            return out_of_memory(err);
        t->nodes = nodes;
        t->cap_nodes = cap;
    }
    n = &t->nodes[t->n_nodes];
    *n = (struct node){.parent = parent,
                       .type = NODE_DIRECTORY,
                       .mode = 0755,
                       .links = 1,
                       .name_len = (uint8_t)len};
    if (add_name(t, name, len, &n->name, err) < 0)
        return -1;
    *ret = t->n_nodes++;
    if (grow_slots(t, err) < 0)
        return -1;
    if (*ret > 0 && nodes_child(t, parent, name, len) == TREE_NONE)
        fill_slot(t, *ret);
    return 0;
}

int nodes_init(struct tree *t, const struct template_limits *limits, struct error *err)
{
    uint32_t root;

    *t = (struct tree){.limits = limits, .names = BUF_INIT(NAMES_MAX)};
    digest_random(t->hasher.secret, sizeof(t->hasher.secret));
    t->extras = calloc(1, sizeof(*t->extras));
    t->n_extras = 1;
    if (!t->extras)
        return out_of_memory(err);
    return new_node(t, 0, "", 0, "", &root, err);
}

void nodes_release(struct tree *t)
{
    free(t->nodes);
    buf_release(&t->names);
    free(t->extras);
    free(t->xattrs);
    free(t->segments);
    free(t->slots);
    free(t->order);
    free(t->preorder);
    *t = (struct tree){.limits = NULL};
}

void nodes_path(const struct tree *t, uint32_t node, char ret[PATH_MAX])
{
    size_t at = PATH_MAX - 1;
    char path[PATH_MAX];

    path[at] = '\0';
    for (; node != 0; node = t->nodes[node].parent) {
        const struct node *n = &t->nodes[node];

        if (at < (size_t)n->name_len + 1)
            break;
        at -= n->name_len;
        memcpy(path + at, t->names.data + n->name, n->name_len);
        if (n->parent != 0)
            path[--at] = '/';
    }
    memcpy(ret, path + at, PATH_MAX - at);
}

/* ---- adding ---- */

/* The directory that holds the last component of path, made where it is missing. */
static int find_parent(struct tree *t, const struct tree_entry *e, uint32_t *ret,
                       const char **ret_last, struct error *err)
{
    const char *last = strrchr(e->path, '/');
    size_t len = last ? (size_t)(last - e->path) : 0;
    uint32_t node = 0;

    *ret_last = last ? last + 1 : e->path;
    if (len > 0 && strncmp(t->last_path, e->path, len) == 0 && t->last_path[len] == '\0') {
        *ret = t->last_parent;
        return 0;
    }
    for (size_t at = 0; at < len;) {
        size_t part = strcspn(e->path + at, "/");
        uint32_t child = nodes_child(t, node, e->path + at, part);

        if (child == TREE_NONE && new_node(t, node, e->path + at, part, e->name, &child, err) < 0)
            return -1;
        if (t->nodes[child].type != NODE_DIRECTORY)
            return entry_refuse(err, ERR_INPUT, e->name,
                                "%s in its path is no folder in this archive; remove one of the "
                                "two and make the archive again",
                                text_show(nodes_name(t, child)).text);
        node = child;
        at += part + 1;
    }
    memcpy(t->last_path, e->path, len);
    t->last_path[len] = '\0';
    t->last_parent = node;
    *ret = node;
    return 0;
}

static int count_bytes(struct tree *t, const struct tree_entry *e, struct error *err)
{
    if (e->type != NODE_FILE)
        return 0;
    t->bytes += e->size;
    if (e->size > INT64_MAX / 2)
        return entry_refuse(err, ERR_LIMIT, e->name, "it says to be %llu bytes long",
                            (unsigned long long)e->size);
    return 0;
}

static int link_target(struct tree *t, const struct tree_entry *e, struct node *n,
                       struct error *err)
{
    uint32_t target = 0;

    for (const char *part = e->target; *part;) {
        size_t len = strcspn(part, "/");

        target = nodes_child(t, target, part, len);
        if (target == TREE_NONE)
            return entry_refuse(err, ERR_INPUT, e->name,
                                "it is a hard link to %s, which is not in the template (or comes "
                                "later); add the file, or replace the link by a copy",
                                text_show(e->target).text);
        part += len;
        part += *part == '/';
    }
    if (t->nodes[target].type == NODE_HARDLINK)
        target = (uint32_t)t->nodes[target].data;
    if (t->nodes[target].type == NODE_DIRECTORY)
        return entry_refuse(err, ERR_INPUT, e->name, "it is a hard link to a folder; remove it");
    if (&t->nodes[target] == n)
        return 0; /* a link to itself changes nothing */
    if (++t->nodes[target].links > 65000)
        return entry_refuse(err, ERR_LIMIT, e->name,
                            "more than 65000 hard links to one file; ext4 takes no more");
    n->type = NODE_HARDLINK;
    n->data = target;
    return 0;
}

static int fill_node(struct tree *t, const struct tree_entry *e, uint32_t node, struct error *err)
{
    struct node *n = &t->nodes[node];
    uint32_t target;

    if (e->type == NODE_HARDLINK)
        return link_target(t, e, n, err);
    n->type = (uint8_t)e->type;
    n->mode = e->mode;
    n->uid = e->uid;
    n->gid = e->gid;
    n->mtime = e->mtime;
    n->nsec = e->nsec;
    n->size = e->type == NODE_FILE ? e->size : 0;
    n->data = e->data;
    if (e->type != NODE_SYMLINK)
        return 0;
    n->size = strlen(e->target);
    if (n->size == 0 || n->size >= LINK_MAX_BYTES)
        return entry_refuse(err, ERR_INPUT, e->name,
                            "it is a symbolic link with a target of %llu bytes; remove it",
                            (unsigned long long)n->size);
    if (add_name(t, e->target, n->size, &target, err) < 0)
        return -1;
    n->data = target;
    return 0;
}

/* What an earlier entry of the same path left is undone. */
static int replace(struct tree *t, const struct tree_entry *e, struct node *n, struct error *err)
{
    bool was_directory = n->type == NODE_DIRECTORY;

    if (was_directory != (e->type == NODE_DIRECTORY))
        return entry_refuse(err, ERR_INPUT, e->name,
                            "it is a folder and a file in the same archive; remove one of the two");
    if (!was_directory && n->links > 1 && e->type != NODE_HARDLINK)
        return entry_refuse(err, ERR_INPUT, e->name,
                            "it is in the archive twice, and hard links point to it; make the "
                            "archive again");
    if (n->type == NODE_FILE)
        t->bytes -= n->size;
    if (n->type == NODE_HARDLINK && t->nodes[n->data].links > 1)
        t->nodes[n->data].links--;
    n->extra = 0;
    return 0;
}

int nodes_add(struct tree *t, const struct tree_entry *e, uint32_t *ret, struct error *err)
{
    const char *last = NULL;
    uint32_t parent = 0, node = 0;

    if (*e->path && find_parent(t, e, &parent, &last, err) < 0)
        return -1;
    if (*e->path)
        node = nodes_child(t, parent, last, strlen(last));
    if (node == TREE_NONE) {
        if (new_node(t, parent, last, strlen(last), e->name, &node, err) < 0)
            return -1;
    } else if (e->type == NODE_HARDLINK && t->nodes[node].links > 1) {
        return entry_refuse(err, ERR_INPUT, e->name, "it is in the archive twice, as a hard link");
    } else if (replace(t, e, &t->nodes[node], err) < 0) {
        return -1;
    }
    t->nodes[node].stated = true;
    if (fill_node(t, e, node, err) < 0 || count_bytes(t, e, err) < 0)
        return -1;
    *ret = node;
    return 0;
}

/* ---- extras ---- */

static int extra_of(struct tree *t, uint32_t node, struct extra **ret, struct error *err)
{
    if (t->nodes[node].extra == 0) {
        struct extra *extras = reallocarray(t->extras, t->n_extras + 1, sizeof(*extras));

        if (!extras)
            return out_of_memory(err);
        t->extras = extras;
        t->extras[t->n_extras] = (struct extra){.xattrs = t->n_xattrs, .segments = t->n_segments};
        t->nodes[node].extra = t->n_extras++;
    }
    *ret = &t->extras[t->nodes[node].extra];
    return 0;
}

/* Grows an array that holds n elements by one, in steps. */
static int grow(void **array, uint32_t n, size_t size, struct error *err)
{
    void *bigger;

    if (n & (n - 1))
        return 0;
    bigger = reallocarray(*array, n ? (size_t)n * 2 : 1, size);
    if (!bigger)
        return out_of_memory(err);
    *array = bigger;
    return 0;
}

int nodes_add_xattr(struct tree *t, uint32_t node, const char *name, const void *value, size_t len,
                    struct error *err)
{
    struct extra *x;
    struct xattr *a;
    size_t total = len + strlen(name) + 32;

    if (extra_of(t, node, &x, err) < 0 ||
        grow((void **)&t->xattrs, t->n_xattrs, sizeof(*a), err) < 0)
        return -1;
    for (uint32_t i = 0; i < x->n_xattrs; i++) {
        a = &t->xattrs[x->xattrs + i];
        total += a->len + strlen(t->names.data + a->name) + 32;
    }
    if (total > XATTR_MAX || strlen(name) > ENTRY_COMPONENT_MAX) {
        char path[PATH_MAX];

        nodes_path(t, node, path);
        return entry_refuse(err, ERR_LIMIT, path,
                            "its extended attributes have more than %d bytes, and ext4 has no room "
                            "for more; remove some",
                            XATTR_MAX);
    }
    a = &t->xattrs[t->n_xattrs];
    a->len = (uint32_t)len;
    if (add_name(t, name, strlen(name), &a->name, err) < 0 ||
        add_name(t, value, len, &a->value, err) < 0)
        return -1;
    t->n_xattrs++;
    x->n_xattrs++;
    return 0;
}

int nodes_set_sparse(struct tree *t, uint32_t node, struct error *err)
{
    struct extra *x;

    if (extra_of(t, node, &x, err) < 0)
        return -1;
    x->sparse = true;
    t->bytes -= t->nodes[node].size;
    return 0;
}

int nodes_add_segment(struct tree *t, uint32_t node, uint64_t offset, uint64_t len,
                      struct error *err)
{
    struct extra *x;
    const struct segment *before;

    if (len == 0)
        return 0;
    if (extra_of(t, node, &x, err) < 0 ||
        grow((void **)&t->segments, t->n_segments, sizeof(*t->segments), err) < 0)
        return -1;
    before = x->n_segments ? &t->segments[t->n_segments - 1] : NULL;
    if (offset > t->nodes[node].size || len > t->nodes[node].size - offset ||
        (before && offset < before->offset + before->len)) {
        char path[PATH_MAX];

        nodes_path(t, node, path);
        return entry_refuse(err, ERR_INPUT, path,
                            "the map of its holes makes no sense; make the archive again");
    }
    t->segments[t->n_segments++] = (struct segment){.offset = offset, .len = len};
    x->n_segments++;
    t->bytes += len;
    return 0;
}

/* ---- order ---- */

static int compare_siblings(const void *a, const void *b, void *self)
{
    const struct tree *t = self;
    const struct node *x = &t->nodes[*(const uint32_t *)a];
    const struct node *y = &t->nodes[*(const uint32_t *)b];

    if (x->parent != y->parent)
        return x->parent < y->parent ? -1 : 1;
    return strcmp(t->names.data + x->name, t->names.data + y->name);
}

/* Children wait on a stack that is the rest of the array itself: parents hold ranges of `order`. */
static int walk(struct tree *t, struct error *err)
{
    CLEANUP_FREE uint32_t *stack = calloc((size_t)t->n_nodes + 1, sizeof(*stack));
    size_t depth = 0, n = 0;

    if (!stack)
        return out_of_memory(err);
    stack[depth++] = 0;
    while (depth > 0) {
        uint32_t node = stack[--depth];
        const struct node *d = &t->nodes[node];

        t->preorder[n++] = node;
        for (uint32_t i = d->n_children; i-- > 0;)
            stack[depth++] = t->order[d->child + i];
    }
    return 0;
}

int nodes_finish(struct tree *t, struct error *err)
{
    free(t->slots);
    t->slots = NULL;
    t->order = calloc(t->n_nodes, sizeof(*t->order));
    t->preorder = calloc(t->n_nodes, sizeof(*t->preorder));
    if (!t->order || !t->preorder)
        return out_of_memory(err);
    if (t->bytes > t->limits->bytes_max)
        return error_set(err, ERR_LIMIT,
                         "the archive holds %llu bytes of files, the limit is %llu: leave out what "
                         "is not needed",
                         (unsigned long long)t->bytes, (unsigned long long)t->limits->bytes_max);
    for (uint32_t i = 1; i < t->n_nodes; i++)
        t->order[i - 1] = i;
    qsort_r(t->order, t->n_nodes - 1, sizeof(*t->order), compare_siblings, t);
    for (uint32_t i = 0; i + 1 < t->n_nodes; i++) {
        struct node *parent = &t->nodes[t->nodes[t->order[i]].parent];

        if (parent->n_children++ == 0)
            parent->child = i;
    }
    if (walk(t, err) < 0)
        return -1;
    return nodes_check_links(t, err);
}
