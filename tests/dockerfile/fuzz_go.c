/* Whatever a Go project holds, it gets a Dockerfile that parses or an error that can be shown.
 *
 * The input is parted at NULs: the start command and the files, in the order of paths[]. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/generate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const paths[] = {"go.mod",  "main.go",    "cmd/a/a.go",
                                    "go.work", "lib/go.mod", "lib/x.go"};
#define N_PATHS (sizeof(paths) / sizeof(paths[0]))

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_line(const char *s)
{
    return *s && !text_has_control(s, strlen(s)) && text_is_utf8(s, strlen(s));
}

static void look_at(const struct dockerfile_generation *g)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    must(dockerfile_parse(buf_str(&g->text), g->text.len, &dockerfile_limits_default, &d, &err) ==
         0);
    dockerfile_free(d);
    for (size_t i = 0; i < g->notes.n; i++)
        must(is_line(g->notes.v[i]));
    for (size_t i = 0; i < g->warnings.n; i++)
        must(is_line(g->warnings.v[i]));
}

static void generate(const char *prod, const struct dockerfile_source_files *files)
{
    struct dockerfile_source source = dockerfile_source_memory(files);
    struct dockerfile_settings settings = {.entrypoint_prod = (char *)prod, .entrypoint_line = 1};
    struct dockerfile_generation g;
    struct error err = ERROR_INIT;

    dockerfile_generation_init(&g);
    if (dockerfile_generate(&source, &settings, "agent", &g, &err) == 0)
        look_at(&g);
    else
        must(err.kind != ERR_SYSTEM && is_line(err.msg));
    dockerfile_generation_release(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dockerfile_source_file v[N_PATHS];
    struct dockerfile_source_files files = {.v = v};
    char *text = malloc(size + 1), *end = text + size, *p;

    must(text);
    memcpy(text, data, size);
    *end = '\0';
    for (p = text + strlen(text) + 1; p <= end && files.n < N_PATHS; p += strlen(p) + 1) {
        v[files.n].path = paths[files.n];
        v[files.n++].text = p;
    }
    /* A blaxel.toml is UTF-8, or it was refused. */
    if (text_is_utf8(text, strlen(text)))
        generate(text, &files);
    free(text);
    return 0;
}
