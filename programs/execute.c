/* programs/execute — the inside of a build, with .dockerignore's language for COPY --exclude, and
 * git for ADD. */
#include "builder/builder.h"
#include "dockerfile/dockerfile.h"
#include "programs/commands.h"

static void *compile(const struct argv *patterns, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(DOCKERFILE_IGNORE_TEXT_MAX);
    struct dockerfile_ignore *compiled = NULL;

    for (size_t i = 0; i < patterns->n; i++)
        buf_addf(&text, "%s\n", patterns->v[i]);
    if (buf_check(&text, "the list of --exclude", err) < 0 ||
        dockerfile_ignore_parse(buf_str(&text), text.len, &compiled, err) < 0)
        return NULL;
    return compiled;
}

static bool matches(const void *compiled, const char *path)
{
    return dockerfile_ignore_matches(compiled, path);
}

static bool may_reinclude(const void *compiled, const char *path)
{
    return dockerfile_ignore_may_reinclude(compiled, path);
}

static void release(void *compiled)
{
    dockerfile_ignore_free(compiled);
}

int inner_execute(int argc, char **argv)
{
    static const struct builder_patterns patterns = {compile, matches, may_reinclude, release};

    return builder_execute_main(&patterns, &add_git, argc, argv);
}
