/* dockerfile/vars — a sorted index: nobody can choose names that make looking one up slow. */
#include "dockerfile/vars.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void vars_release(struct vars *v)
{
    for (size_t i = 0; i < v->n; i++) {
        free(v->v[i].name);
        free(v->v[i].value);
    }
    free(v->v);
    free(v->sorted);
    *v = (struct vars){.v = NULL};
}

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

static int out_of_memory(struct error *err)
{
    return error_set(err, ERR_SYSTEM, "set a variable: out of memory");
}

static int reserve(struct vars *v, struct error *err)
{
    size_t cap = v->cap ? v->cap * 2 : 32;
    struct var *grown;
    uint16_t *sorted;

    if (v->n == VARS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d variables", VARS_MAX);
    if (v->n < v->cap)
        return 0;
    grown = realloc(v->v, cap * sizeof(*grown));
    if (!grown)
        return out_of_memory(err);
    v->v = grown;
    sorted = realloc(v->sorted, cap * sizeof(*sorted));
    if (!sorted)
        return out_of_memory(err);
    v->sorted = sorted;
    v->cap = cap;
    return 0;
}

static int insert(struct vars *v, size_t at, const char *name, size_t len, struct error *err)
{
    char *key;

    if (reserve(v, err) < 0)
        return -1;
    key = strndup(name, len);
    if (!key)
        return out_of_memory(err);
    memmove(&v->sorted[at + 1], &v->sorted[at], (v->n - at) * sizeof(*v->sorted));
    v->sorted[at] = (uint16_t)v->n;
    v->v[v->n++] = (struct var){.name = key};
    return 0;
}

int vars_set(struct vars *v, const char *name, size_t len, const char *value, struct error *err)
{
    CLEANUP_FREE char *copy = strdup(value);
    struct var *var;
    bool found;
    size_t at = find(v, name, len, &found);

    if (!copy)
        return out_of_memory(err);
    if (!found && insert(v, at, name, len, err) < 0)
        return -1;
    var = &v->v[v->sorted[at]];
    free(var->value);
    var->value = TAKE(copy);
    return 0;
}

int vars_copy(struct vars *to, const struct vars *from, struct error *err)
{
    for (size_t i = 0; i < from->n; i++)
        if (vars_set(to, from->v[i].name, strlen(from->v[i].name), from->v[i].value, err) < 0)
            return -1;
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
