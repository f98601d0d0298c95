/* dockerfile/rules/commands — CMD, ENTRYPOINT, HEALTHCHECK, WORKDIR, COPY and ADD. */
#include <string.h>

#include "base/path.h"
#include "dockerfile/quote.h"
#include "dockerfile/rules/rule.h"

static bool keyword_is(const struct dockerfile_step *s, const char *keyword)
{
    return strcmp(s->instruction->keyword, keyword) == 0;
}

/* Who chose a shell wants it. */
void rule_json_arguments(struct check *c, const struct dockerfile_step *s)
{
    if ((keyword_is(s, "CMD") || keyword_is(s, "ENTRYPOINT")) && !s->instruction->json &&
        !s->shell_set)
        CHECK_WARN_HERE(c, s,
                        "JSON arguments recommended for %s to prevent unintended behavior related "
                        "to OS signals",
                        s->instruction->written);
}

/* The line is that of the earlier one, which does nothing. */
void rule_once(struct check *c, const struct dockerfile_step *s)
{
    if (!keyword_is(s, "CMD") && !keyword_is(s, "ENTRYPOINT") && !keyword_is(s, "HEALTHCHECK"))
        return;
    for (const struct dockerfile_step *before = s; before-- > c->outcome->steps;) {
        if (!keyword_is(before, s->instruction->keyword))
            continue;
        CHECK_WARN_HERE(c, before,
                        "Multiple %s instructions should not be used in the same stage because "
                        "only the last one will be used",
                        s->instruction->written);
        return;
    }
}

void rule_relative_workdir(struct check *c, const struct dockerfile_step *s)
{
    char quoted[QUOTE_SIZE];

    if (keyword_is(s, "WORKDIR") && !s->workdir_set && s->words.n == 1 && s->words.v[0][0] != '/')
        CHECK_WARN_HERE(c, s,
                        "Relative workdir %s can have unexpected results if the base image changes",
                        quote_short(s->words.v[0], quoted));
}
