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

size_t stages_find(const struct dockerfile *d, const char *name, size_t n, bool any_case)
{
    while (n-- > 0) {
        const char *have = d->stages[n].name;

        if (have && (any_case ? strcasecmp(have, name) : strcmp(have, name)) == 0)
            return n;
    }
    return NO_STAGE;
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
    return arena_check(&d->arena, err);
}

static int add_instruction(struct dockerfile *d, const struct dockerfile_instruction *i,
                           size_t *cap, struct error *err)
{
    if (grammar_check(i, err) < 0)
        return -1;
    if (strcmp(i->keyword, "FROM") == 0 && add_stage(d, i, cap, err) < 0)
        return -1;
    if (d->n_stages > 0) {
        d->stages[d->n_stages - 1].n_instructions++;
        return 0;
    }
    if (strcmp(i->keyword, "ARG") != 0)
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
