/* dockerfile/vars — a sorted array: nobody can choose names that make looking one up slow. */
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
    *v = (struct vars){.v = NULL};
}

static int compare(const char *name, size_t len, const char *other)
{
    int r = strncmp(name, other, len);

    return r ? r : other[len] ? -1 : 0;
}

/* Where name is, or would go; *ret_found says which. */
static size_t find(const struct vars *v, const char *name, size_t len, bool *ret_found)
{
    size_t low = 0, high = v->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = compare(name, len, v->v[middle].name);

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
    size_t cap = v->cap ? v->cap * 2 : 32;
    struct var *grown;

    if (v->n == VARS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d variables", VARS_MAX);
    if (v->n < v->cap)
        return 0;
    grown = realloc(v->v, cap * sizeof(*grown));
    if (!grown)
        return error_set(err, ERR_SYSTEM, "set a variable: out of memory");
    v->v = grown;
    v->cap = cap;
    return 0;
}

int vars_set(struct vars *v, const char *name, size_t len, const char *value, struct error *err)
{
    bool found;
    size_t at = find(v, name, len, &found);
    char *copy;

    if (!found && reserve(v, err) < 0)
        return -1;
    copy = strdup(value);
    if (copy && !found) {
        char *key = strndup(name, len);

        if (key) {
            memmove(&v->v[at + 1], &v->v[at], (v->n - at) * sizeof(*v->v));
            v->v[at] = (struct var){.name = key};
            v->n++;
            found = true;
        }
    }
    if (!copy || !found) {
        free(copy);
        return error_set(err, ERR_SYSTEM, "set a variable: out of memory");
    }
    free(v->v[at].value);
    v->v[at].value = copy;
    return 0;
}

const char *vars_get(void *self, const char *name, size_t len)
{
    const struct vars *v = self;
    bool found;
    size_t at = find(v, name, len, &found);

    return found ? v->v[at].value : NULL;
}
