/* dockerfile/rules/copies — what COPY and ADD take from the context. */
#include <string.h>

#include "base/path.h"
#include "dockerfile/origin.h"
#include "dockerfile/quote.h"
#include "dockerfile/rules/rule.h"

static void check_source(struct check *c, const struct dockerfile_step *s, const char *source)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(1 << 20);
    const struct dockerfile_ignore *ignore = c->request->ignore;
    bool add = instruction_is(s->instruction, "ADD");
    char quoted[QUOTE_SIZE];
    const char *path;

    path_clean(&clean, source);
    path = buf_str(&clean);
    /* The root itself is never ignored, only all that is in it. */
    if ((strcmp(path, ".") == 0 || strcmp(path, "/") == 0) && !dockerfile_ignore_has_all(ignore))
        return;
    if (dockerfile_ignore_matches(ignore, path))
        CHECK_WARN_HERE(c, s, "Attempting to %s file %s that is excluded by .dockerignore",
                        add ? "Add" : "Copy", quote_short(path, quoted));
}

/* What a "!" brings back can not be told from the patterns alone. */
void rule_ignored_file(struct check *c, const struct dockerfile_step *s)
{
    bool copy = instruction_is(s->instruction, "COPY");
    struct error ignored;
    enum origin origin;

    if ((!copy && !instruction_is(s->instruction, "ADD")) || !s->done || *s->from ||
        !c->request->ignore || dockerfile_ignore_has_exceptions(c->request->ignore))
        return;
    for (size_t k = 0; k + 1 < s->words.n; k++)
        if (origin_of(s->words.v[k], &origin, &ignored) == 0 &&
            (origin == ORIGIN_CONTEXT || origin == ORIGIN_GIT_LIKE))
            check_source(c, s, s->words.v[k]);
}
