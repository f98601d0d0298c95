/* dockerfile/vars — a sorted index: nobody can choose names that make looking one up slow. */
#include "dockerfile/vars.h"

#include <stdbool.h>
#include <string.h>

static int compare(const char *name, size_t len, const char *other)
{
    int r = strncmp(name, other, len);

    return r ? r : other[len] ? -1 : 0;
}

/* Where in the index name is, or would go; *ret_found says which. */
static size_t find(const struct vars *v, const char *name, size_t len, bool *ret_found)
{
    size_t low = 0, high = v->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = compare(name, len, v->v[v->sorted[middle]].name);

        if (r == 0) {
            *ret_found = true;
            return middle;
        }
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int reserve(struct vars *v, struct error *err)
{
    size_t cap = v->cap ? v->cap * 2 : 16;
    struct var *grown;
    uint16_t *sorted;

    if (v->n == VARS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d variables", VARS_MAX);
    if (v->n < v->cap)
        return 0;
    grown = arena_alloc(v->arena, cap * sizeof(*grown));
    sorted = arena_alloc(v->arena, cap * sizeof(*sorted));
    if (!grown || !sorted)
        return arena_check(v->arena, err);
    if (v->n > 0) {
        memcpy(grown, v->v, v->n * sizeof(*grown));
        memcpy(sorted, v->sorted, v->n * sizeof(*sorted));
    }
    v->v = grown;
    v->sorted = sorted;
    v->cap = cap;
    return 0;
}

static int insert(struct vars *v, size_t at, struct var var, struct error *err)
{
    if (reserve(v, err) < 0)
        return -1;
    memmove(&v->sorted[at + 1], &v->sorted[at], (v->n - at) * sizeof(*v->sorted));
    v->sorted[at] = (uint16_t)v->n;
    v->v[v->n++] = var;
    return 0;
}

int vars_fill(struct vars *v, const struct var *sorted, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (insert(v, i, sorted[i], err) < 0)
            return -1;
    return 0;
}

int vars_set(struct vars *v, const char *name, size_t len, const char *value, struct error *err)
{
    bool found;
    size_t at = find(v, name, len, &found);
    struct var var = {.name = NULL};

    /* What is set to the same value again and again takes no memory for it. */
    if (found && strcmp(v->v[v->sorted[at]].value, value) == 0)
        return 0;
    var.name = found ? v->v[v->sorted[at]].name : arena_string(v->arena, name, len);
    var.value = arena_string(v->arena, value, strlen(value));
    if (!var.name || !var.value)
        return arena_check(v->arena, err);
    if (!found)
        return insert(v, at, var, err);
    v->v[v->sorted[at]] = var;
    return 0;
}

int vars_copy(struct vars *to, const struct vars *from, struct error *err)
{
    for (size_t i = 0; i < from->n; i++) {
        bool found;
        size_t at = find(to, from->v[i].name, strlen(from->v[i].name), &found);

        if (found)
            to->v[to->sorted[at]].value = from->v[i].value;
        else if (insert(to, at, from->v[i], err) < 0)
            return -1;
    }
    return 0;
}

size_t vars_size(const struct vars *v)
{
    size_t size = 0;

    for (size_t i = 0; i < v->n; i++)
        size += strlen(v->v[i].name) + strlen(v->v[i].value);
    return size;
}

const char *vars_get(void *self, const char *name, size_t len)
{
    const struct vars *v = self;
    bool found;
    size_t at = find(v, name, len, &found);

    return found ? v->v[v->sorted[at]].value : NULL;
}
