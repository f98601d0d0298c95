/* Anything may come as a source: the pattern up to a NUL byte, the path behind it. */
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "builder/copy_glob.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Every directory above what matches leads to it, where something is below it. */
static void ask(const struct copy_glob *g, const char *path)
{
    char above[512];

    if (!copy_glob_matches(g, path))
        return;
    (void)snprintf(above, sizeof(above), "%s", path);
    if (text_ends(path, "/"))
        return;
    for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
        *slash = '\0';
        must(copy_glob_leads_below(g, above));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    const char *path;

    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    path = strlen(text) < size ? text + strlen(text) + 1 : "src/main.c";
    for (int deep = 0; deep < 2; deep++) {
        CLEANUP(copy_glob_freep) struct copy_glob *g = NULL;
        struct error err = ERROR_INIT;

        if (copy_glob_compile(text, deep, &g, &err) < 0)
            must(err.kind == ERR_INPUT);
        else
            ask(g, path);
        /* Without a wildcard, and without an escape, it is a name. */
        if (!strpbrk(text, "*?[\\"))
            must(g && copy_glob_matches(g, text));
    }
    return 0;
}
