/* dockerfile/stages — the second step of parsing: instructions.Parse. */
#include "dockerfile/stages.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/flags.h"
#include "dockerfile/grammar.h"

bool stages_name_is_valid(const char *name)
{
    for (const char *p = name; *p; p++) {
        int c = tolower((unsigned char)*p);
        bool letter = c >= 'a' && c <= 'z';
        bool inner = (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';

        if (!letter && (p == name || !inner))
            return false;
    }
    return *name != '\0';
}

/* How many of d->named come before stage n of that name, if it had it.  Names of stages are in
 * lower case. */
static size_t count_before(const struct dockerfile *d, const char *name, size_t n)
{
    size_t low = 0, high = d->n_named;

    while (low < high) {
        size_t middle = low + (high - low) / 2, stage = d->named[middle];
        int order = strcasecmp(d->stages[stage].name, name);

        if (order < 0 || (order == 0 && stage < n))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t stages_find(const struct dockerfile *d, const char *name, size_t n, bool any_case)
{
    size_t before = count_before(d, name, n);
    size_t stage = before > 0 ? d->named[before - 1] : NO_STAGE;
    const char *have = stage == NO_STAGE ? NULL : d->stages[stage].name;

    return have && (any_case ? strcasecmp(have, name) : strcmp(have, name)) == 0 ? stage : NO_STAGE;
}

static int add_name(struct dockerfile *d, size_t stage, struct error *err)
{
    size_t at = count_before(d, d->stages[stage].name, stage);

    d->named = arena_grow(&d->arena, d->named, d->n_named, &d->cap_named, sizeof(*d->named));
    if (!d->named)
        return arena_check(&d->arena, err);
    memmove(d->named + at + 1, d->named + at, (d->n_named++ - at) * sizeof(*d->named));
    d->named[at] = stage;
    return 0;
}

static char *lower(struct arena *a, const char *s)
{
    char *copy = arena_string(a, s, strlen(s));

    for (char *p = copy; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

static int add_stage(struct dockerfile *d, const struct dockerfile_instruction *from, size_t *cap,
                     struct error *err)
{
    if (d->n_stages == d->limits.stages_max)
        return error_set(err, ERR_LIMIT, "more than %zu stages", d->limits.stages_max);
    d->stages = arena_grow(&d->arena, d->stages, d->n_stages, cap, sizeof(*d->stages));
    if (!d->stages)
        return arena_check(&d->arena, err);
    d->stages[d->n_stages++] = (struct dockerfile_stage){
        .base = from->words.v[0],
        .name = from->words.n == 3 ? lower(&d->arena, from->words.v[2]) : NULL,
        .platform = flags_value(&from->flags, "platform"),
        .instructions = from,
    };
    if (arena_check(&d->arena, err) < 0)
        return -1;
    return from->words.n == 3 ? add_name(d, d->n_stages - 1, err) : 0;
}

static int add_instruction(struct dockerfile *d, const struct dockerfile_instruction *i,
                           size_t *cap, struct error *err)
{
    if (grammar_check(i, err) < 0)
        return -1;
    if (instruction_is(i, "FROM") && add_stage(d, i, cap, err) < 0)
        return -1;
    if (d->n_stages > 0) {
        d->stages[d->n_stages - 1].n_instructions++;
        return 0;
    }
    if (!instruction_is(i, "ARG"))
        return error_set(err, ERR_INPUT, "no build stage in current context");
    d->n_global++;
    return 0;
}

int stages_build(struct dockerfile *d, struct fault *fault, struct error *err)
{
    size_t cap = 0;

    for (size_t k = 0; k < d->n_instructions; k++) {
        const struct dockerfile_instruction *i = &d->instructions[k];

        d->n_checked = k + 1;
        if (add_instruction(d, i, &cap, err) < 0) {
            *fault = (struct fault){i->first_line, i->first_line};
            return -1;
        }
    }
    return 0;
}
