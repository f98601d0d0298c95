/* dockerfile/rules/forms — ways of writing that are old, or easily misread. */
#include <string.h>

#include "dockerfile/rules/rule.h"

void rule_empty_continuation(struct check *c, const struct dockerfile_instruction *i)
{
    if (i->empty_continuation)
        check_warn(c, i->text_end, i->text_end, "Empty continuation line");
}

void rule_maintainer(struct check *c, const struct dockerfile_instruction *i)
{
    if (instruction_is(i, "MAINTAINER"))
        CHECK_WARN_HERE(c, i, "Maintainer instruction is deprecated in favor of using label");
}

void rule_legacy_pair(struct check *c, const struct dockerfile_step *s)
{
    const char *written = s->instruction->written;

    if (s->done && s->instruction->legacy)
        CHECK_WARN_HERE(c, s,
                        "\"%s key=value\" should be used instead of legacy \"%s key value\" format",
                        written, written);
}

/* ---- descriptions ---- */

/* Does the comment begin with that word? */
static bool begins_with(const char *comment, const char *word, size_t len)
{
    size_t n = strcspn(comment, " ");

    return n == len && memcmp(comment, word, len) == 0;
}

/* The last comment above, whatever it is. */
static const char *description(const struct dockerfile_instruction *i)
{
    return i->comments.n ? i->comments.v[i->comments.n - 1] : NULL;
}

static void check_arg(struct check *c, const struct dockerfile_instruction *i, const char *comment)
{
    const char *first = i->words.v[0];

    for (size_t k = 0; k < i->words.n; k++)
        if (begins_with(comment, i->words.v[k], strcspn(i->words.v[k], "=")))
            return;
    if (i->words.n > 1)
        CHECK_WARN_HERE(c, i,
                        "Comment for ARG should follow the format: `# <arg_key> <description>`");
    else
        CHECK_WARN_HERE(c, i, "Comment for ARG should follow the format: `# %.*s <description>`",
                        (int)strcspn(first, "="), first);
}

static void check_from(struct check *c, const struct dockerfile_instruction *i, const char *comment)
{
    char name[256];

    (void)snprintf(name, sizeof(name), "%s", i->words.v[2]);
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + 'a' - 'A');
    if (!begins_with(comment, name, strlen(name)))
        CHECK_WARN_HERE(c, i, "Comment for FROM should follow the format: `# %s <description>`",
                        name);
}

/* An instruction that is refused is not looked at. */
void rule_description(struct check *c, const struct dockerfile_instruction *i)
{
    const char *comment = description(i);
    bool last = i == &c->d->instructions[c->d->n_checked - 1];

    if (!comment || (last && c->out->failure.kind && !c->d->n_stages))
        return;
    if (instruction_is(i, "ARG") && i->words.n > 0)
        check_arg(c, i, comment);
    else if (instruction_is(i, "FROM") && i->words.n == 3)
        check_from(c, i, comment);
}

/* ---- EXPOSE ---- */

void rule_expose_format(struct check *c, const struct dockerfile_step *s)
{
    struct port_range range;
    struct error ignored;

    if (!instruction_is(s->instruction, "EXPOSE"))
        return;
    for (size_t k = 0; k < s->words.n; k++) {
        int r = port_parse(s->words.v[k], &range, &ignored);

        if (range.whole && range.has_prefix)
            CHECK_WARN_HERE(c, s,
                            "EXPOSE instruction should not define an IP address or host-port "
                            "mapping, found '%s'",
                            s->words.v[k]);
        if (r < 0)
            return;
    }
}
