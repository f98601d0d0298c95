/* dockerfile/rules/commands — CMD, ENTRYPOINT, HEALTHCHECK, WORKDIR, COPY and ADD. */
#include <string.h>

#include "base/path.h"
#include "dockerfile/quote.h"
#include "dockerfile/rules/rule.h"

/* Who chose a shell wants it. */
void rule_json_arguments(struct check *c, const struct dockerfile_step *s)
{
    if ((instruction_is(s->instruction, "CMD") || instruction_is(s->instruction, "ENTRYPOINT")) &&
        !s->instruction->json && !s->shell_set)
        CHECK_WARN_HERE(c, s,
                        "JSON arguments recommended for %s to prevent unintended behavior related "
                        "to OS signals",
                        s->instruction->written);
}

/* The line is that of the earlier one, which does nothing. */
void rule_once(struct check *c, const struct dockerfile_step *s)
{
    if (!instruction_is(s->instruction, "CMD") && !instruction_is(s->instruction, "ENTRYPOINT") &&
        !instruction_is(s->instruction, "HEALTHCHECK"))
        return;
    for (const struct dockerfile_step *before = s; before-- > c->outcome->steps;) {
        if (!instruction_is(before->instruction, s->instruction->keyword))
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

    if (instruction_is(s->instruction, "WORKDIR") && !s->workdir_set && s->words.n == 1 &&
        s->words.v[0][0] != '/')
        CHECK_WARN_HERE(c, s,
                        "Relative workdir %s can have unexpected results if the base image changes",
                        quote_short(s->words.v[0], quoted));
}
