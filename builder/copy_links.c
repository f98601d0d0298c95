/* builder/copy_links — a hash table, open and half empty. */
#include "builder/copy_links.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct copy_link {
    dev_t dev;
    ino_t ino;
    char *path; /* NULL: free */
};

void copy_links_release(struct copy_links *l)
{
    for (size_t i = 0; i < l->cap; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct copy_links){0};
}

/* The slot that has it, or the one that would. */
static struct copy_link *slot(const struct copy_links *l, dev_t dev, ino_t ino)
{
    uint64_t hash = ((uint64_t)ino + (uint64_t)dev * 31) * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(hash >> 32) & (l->cap - 1);

    while (l->v[i].path && (l->v[i].ino != ino || l->v[i].dev != dev))
        i = (i + 1) & (l->cap - 1);
    return &l->v[i];
}

const char *copy_links_find(const struct copy_links *l, const struct stat *st)
{
    return l->n > 0 ? slot(l, st->st_dev, st->st_ino)->path : NULL;
}

static bool grow(struct copy_links *l)
{
    struct copy_links bigger = {.n = l->n, .cap = l->cap ? l->cap * 2 : 64};

    bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
    if (!bigger.v)
        return false;
    for (size_t i = 0; i < l->cap; i++)
        if (l->v[i].path)
            *slot(&bigger, l->v[i].dev, l->v[i].ino) = l->v[i];
    free(l->v);
    *l = bigger;
    return true;
}

void copy_links_add(struct copy_links *l, const struct stat *st, const char *path)
{
    struct copy_link *at;
    char *kept;

    if (l->n >= COPY_LINKS_MAX || (l->n * 2 >= l->cap && !grow(l)))
        return;
    at = slot(l, st->st_dev, st->st_ino);
    kept = strdup(path);
    if (!kept)
        return;
    l->n += at->path == NULL;
    free(at->path);
    *at = (struct copy_link){st->st_dev, st->st_ino, kept};
}
