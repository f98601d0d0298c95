/* dockerfile/practices/bases — FROM: which image it will be next month. */
#include <string.h>

#include "dockerfile/practices/practice.h"
#include "dockerfile/reference.h"

/* The reference of a base that is an image and does not depend on a variable. */
static bool read_base(const struct practice *p, struct dockerfile_reference *ret)
{
    const char *base = practice_base(p);
    struct error ignored = ERROR_INIT;

    if (strchr(base, '$') || reference_is_scratch(base) ||
        practice_stage_named(p, base) < p->n_stages)
        return false;
    return dockerfile_parse_reference(base, ret, &ignored) == 0;
}

/* A tag or digest that was written: the reference has "latest" also when none was. */
static bool is_pinned(const char *base)
{
    const char *slash = strrchr(base, '/');

    return strchr(slash ? slash : base, ':') != NULL;
}

static void look_untagged(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *base = practice_base(p);
    struct dockerfile_reference ref;

    (void)i;
    if (!is_pinned(base) && read_base(p, &ref))
        practice_found(p, "the base image %.200s has no tag", base);
}

static void look_latest(struct practice *p, const struct dockerfile_instruction *i)
{
    const char *base = practice_base(p);
    struct dockerfile_reference ref;

    (void)i;
    if (is_pinned(base) && read_base(p, &ref) && !ref.digest[0] && strcmp(ref.tag, "latest") == 0)
        practice_found(p, "the base image %.200s is another one after each release", base);
}

const struct practice_rule practice_bases[] = {
    {{.name = "DL3006",
      .description = "A base image without a tag is whatever is newest when it is pulled.",
      .advice = "write a tag, as in FROM debian:bookworm-slim",
      .url = HADOLINT("DL3006")},
     "FROM",
     look_untagged},
    {{.name = "DL3007",
      .description = "The tag latest moves, and what was built on it may not build again.",
      .advice = "write the tag of a release",
      .url = HADOLINT("DL3007")},
     "FROM",
     look_latest},
    {.keyword = NULL},
};
