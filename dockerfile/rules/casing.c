/* dockerfile/rules/casing — upper and lower case. */
#include <ctype.h>
#include <string.h>

#include "dockerfile/rules/rule.h"

static bool is_lower(const char *s)
{
    for (; *s; s++)
        if (isupper((unsigned char)*s))
            return false;
    return true;
}

static bool is_upper(const char *s)
{
    for (; *s; s++)
        if (islower((unsigned char)*s))
            return false;
    return true;
}

static bool is_from(const struct dockerfile_instruction *i)
{
    return instruction_is(i, "FROM");
}

void rule_stage_name_casing(struct check *c, const struct dockerfile_instruction *i)
{
    if (is_from(i) && i->words.n == 3 && !is_lower(i->words.v[2]))
        CHECK_WARN_HERE(c, i, "Stage name '%s' should be lowercase", i->words.v[2]);
}

/* A FROM that mixes cases itself is another rule's. */
void rule_from_as_casing(struct check *c, const struct dockerfile_instruction *i)
{
    const char *as = i->words.n > 2 ? i->words.v[1] : NULL;

    if (!is_from(i) || !as)
        return;
    if (is_lower(i->written) ? !is_lower(as) : is_upper(i->written) && !is_upper(as))
        CHECK_WARN_HERE(c, i, "'%s' and '%s' keywords' casing do not match", as, i->written);
}

/* The global ARGs do not count: BuildKit looks at stages. */
void rule_consistent_casing(struct check *c)
{
    const struct dockerfile *d = c->d;
    size_t lower = 0, upper = 0;
    bool wants_lower;

    for (size_t k = d->n_global; k < d->n_instructions; k++) {
        lower += is_lower(d->instructions[k].written);
        upper += is_upper(d->instructions[k].written);
    }
    wants_lower = lower > upper;
    for (size_t k = d->n_global; k < d->n_instructions; k++) {
        const struct dockerfile_instruction *i = &d->instructions[k];

        if (!(wants_lower ? is_lower(i->written) : is_upper(i->written)))
            CHECK_WARN_HERE(c, i, "Command '%s' should match the case of the command majority (%s)",
                            i->written, wants_lower ? "lowercase" : "uppercase");
    }
}

void rule_expose_casing(struct check *c, const struct dockerfile_step *s)
{
    struct port_range range = {.whole = true};
    struct error ignored;

    if (!instruction_is(s->instruction, "EXPOSE"))
        return;
    for (size_t k = 0; k < s->words.n; k++) {
        int r = port_parse(s->words.v[k], &range, &ignored);

        if (range.whole && range.odd_case)
            CHECK_WARN_HERE(c, s, "Defined protocol '%s' in EXPOSE instruction should be lowercase",
                            s->words.v[k]);
        if (r < 0)
            return;
    }
}
