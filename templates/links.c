/* templates/links — does a symbolic link stay within the template?
 *
 * A link is followed as the kernel would with the template's root as "/": through other links too,
 * since a/../.. is harmless by its text and leads out when a is a link to the root.  What is not
 * there ends the walk: then only the remaining text can lead out. */
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "templates/tree.h"

#define HOPS_MAX 40 /* as Linux */

struct walk {
    const struct tree *tree;
    uint32_t node;  /* where we are; valid while missing is 0 */
    size_t missing; /* components below it that are not in the tree */
    unsigned hops;
};

/* Binary search: the hash table is gone once the tree is finished. */
static uint32_t find_child(const struct tree *t, uint32_t parent, const char *name, size_t len)
{
    const struct node *d = &t->nodes[parent];
    uint32_t low = d->child, high = d->child + d->n_children;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *there = nodes_name(t, t->order[middle]);
        int order = strncmp(there, name, len);

        if (order == 0 && there[len] == '\0')
            return t->order[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return TREE_NONE;
}

/* False: it leads out. */
static bool follow(struct walk *w, const char *target);

static bool step_down(struct walk *w, const char *name, size_t len)
{
    uint32_t child;
    const struct node *n;

    if (w->missing > 0 || w->tree->nodes[w->node].type != NODE_DIRECTORY) {
        w->missing++;
        return true;
    }
    child = find_child(w->tree, w->node, name, len);
    if (child == TREE_NONE) {
        w->missing++;
        return true;
    }
    n = &w->tree->nodes[child];
    if (n->type == NODE_HARDLINK) {
        child = (uint32_t)n->data;
        n = &w->tree->nodes[child];
    }
    if (n->type == NODE_SYMLINK)
        return follow(w, w->tree->names.data + n->data);
    w->node = child;
    return true;
}

static bool step_up(struct walk *w)
{
    if (w->missing > 0) {
        w->missing--;
        return true;
    }
    if (w->node == 0)
        return false;
    w->node = w->tree->nodes[w->node].parent;
    return true;
}

static bool follow(struct walk *w, const char *target)
{
    const char *name;
    size_t len;

    if (target[0] == '/')
        return false;
    if (++w->hops > HOPS_MAX)
        return true; /* a loop leads nowhere */
    while (path_next(&target, &name, &len)) {
        const bool up = len == 2 && memcmp(name, "..", 2) == 0;

        if (!(up ? step_up(w) : step_down(w, name, len)))
            return false;
        if (w->hops > HOPS_MAX)
            break;
    }
    return true;
}

int nodes_check_links(const struct tree *t, struct error *err)
{
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        struct walk w = {.tree = t, .node = t->nodes[i].parent};
        const char *target = t->names.data + t->nodes[i].data;
        char path[PATH_MAX];

        if (t->nodes[i].type != NODE_SYMLINK || follow(&w, target))
            continue;
        nodes_path(t, i, path);
        return entry_refuse(err, ERR_INPUT, path,
                            "it is a symbolic link to %s, outside of the template; make the link "
                            "relative and point inside, or put a copy of the file in its place",
                            text_show(target).text);
    }
    return 0;
}
