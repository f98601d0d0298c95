/* dockerfile/arena — blocks of doubling size, each cut from its start. */
#include "dockerfile/arena.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_MIN 4096
#define BLOCK_MAX (1U << 20)

struct arena_block {
    struct arena_block *older;
    size_t size;
    _Alignas(max_align_t) char data[];
};

void arena_release(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *older = a->blocks->older;

        free(a->blocks);
        a->blocks = older;
    }
    a->next = a->end = NULL;
    a->failed = false;
}

static bool add_block(struct arena *a, size_t need)
{
    size_t size = a->blocks ? a->blocks->size * 2 : BLOCK_MIN;
    struct arena_block *b;

    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    if (size < need)
        size = need;
    b = size > SIZE_MAX - sizeof(*b) ? NULL : malloc(sizeof(*b) + size);
    if (!b) {
        a->failed = true;
        return false;
    }
    b->older = a->blocks;
    b->size = size;
    a->blocks = b;
    a->next = b->data;
    a->end = b->data + size;
    return true;
}

char *arena_room(struct arena *a, size_t size)
{
    char *p;

    if ((size_t)(a->end - a->next) < size && !add_block(a, size))
        return NULL;
    p = a->next;
    a->next += size;
    return p;
}

static void *aligned_room(struct arena *a, size_t size)
{
    size_t align = _Alignof(max_align_t);
    size_t skew = (align - (uintptr_t)a->next % align) % align;

    if (size > SIZE_MAX - align) {
        a->failed = true;
        return NULL;
    }
    /* A new block starts aligned. */
    if ((size_t)(a->end - a->next) >= skew + size)
        a->next += skew;
    else if (!add_block(a, size))
        return NULL;
    return arena_room(a, size);
}

void *arena_alloc(struct arena *a, size_t size)
{
    void *p = aligned_room(a, size);

    return p ? memset(p, 0, size) : NULL;
}

char *arena_string(struct arena *a, const char *s, size_t len)
{
    char *p = arena_room(a, len + 1);

    if (!p)
        return NULL;
    if (len)
        memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *arena_grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 4;
    void *moved;

    if (n < *cap)
        return array;
    moved = arena_alloc(a, more * size);
    if (!moved)
        return NULL;
    if (n)
        memcpy(moved, array, n * size);
    *cap = more;
    return moved;
}

void arena_push(struct arena *a, struct argv *list, char *s)
{
    if (list->n + 2 > list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        char **v = aligned_room(a, cap * sizeof(*v));

        if (v) {
            if (list->n)
                memcpy(v, list->v, list->n * sizeof(*v));
            list->v = v;
            list->cap = cap;
        }
    }
    if (!s || list->n + 2 > list->cap) {
        list->failed = true;
        return;
    }
    list->v[list->n++] = s;
    list->v[list->n] = NULL;
}

int arena_check(const struct arena *a, struct error *err)
{
    return a->failed ? error_set(err, ERR_SYSTEM, "parse the Dockerfile: out of memory") : 0;
}
