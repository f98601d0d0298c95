/* Anything may come as an ignore file: the patterns up to a NUL or 0xff byte, the path behind it.
 */
#include <stdint.h>
#include <string.h>

#include "dockerfile/dockerfile.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What is ignored is so with all below it, as far as no "!" can reach there. */
static void ask(const struct dockerfile_ignore *g, const char *path)
{
    char below[4096];
    bool ignored = dockerfile_ignore_matches(g, path);

    must(!ignored || dockerfile_ignore_may_reinclude(g, path) == false ||
         dockerfile_ignore_has_exceptions(g));
    (void)snprintf(below, sizeof(below), "%s/x", path);
    if (ignored && *path && !dockerfile_ignore_may_reinclude(g, path))
        must(dockerfile_ignore_matches(g, below));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct dockerfile_ignore *g = NULL;
    struct error err = ERROR_INIT;
    char path[1024] = "src/main.c";
    size_t len = 0;

    while (len < size && data[len] != 0 && data[len] != 0xff)
        len++;
    if (len < size)
        (void)snprintf(path, sizeof(path), "%.*s", (int)(size - len - 1), text + len + 1);
    for (int anywhere = 0; anywhere < 2; anywhere++) {
        int r = anywhere ? dockerfile_ignore_parse_blaxel(text, len, &g, &err)
                         : dockerfile_ignore_parse(text, len, &g, &err);

        if (r < 0) {
            must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT);
            continue;
        }
        ask(g, path);
        dockerfile_ignore_free(g);
    }
    return 0;
}
