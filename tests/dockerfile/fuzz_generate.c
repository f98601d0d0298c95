/* Any files may come as a project; what is generated for them is a Dockerfile that parses, and
 * whose images are known.
 *
 * The input is files in turn, each after a line "=== PATH"; "=== !type" and "=== !prod" give the
 * type and [entrypoint] prod instead. */
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/generate.h"

#define FILES_MAX 64

struct project {
    struct dockerfile_source_file files[FILES_MAX];
    size_t n;
    const char *type, *prod;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const char *known_type(const char *text)
{
    static const char *const types[] = {"agent", "function", "job", "sandbox"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (text_starts(text, types[i]))
            return types[i];
    return types[0];
}

/* A path as a source has them: neither absolute nor with "..". */
static bool is_path(const char *path)
{
    return *path && *path != '/' && !strstr(path, "..") && !strstr(path, "//") &&
           !text_ends(path, "/");
}

static void add(struct project *p, const char *path, const char *text)
{
    if (strcmp(path, "!type") == 0)
        p->type = known_type(text);
    else if (strcmp(path, "!prod") == 0)
        p->prod = text;
    else if (p->n < FILES_MAX && is_path(path))
        p->files[p->n++] = (struct dockerfile_source_file){path, text};
}

/* Cuts text where it stands. */
static void read_project(char *text, struct project *p)
{
    while (text && text_starts(text, "=== ")) {
        char *path = text + strlen("=== "), *content = strchr(path, '\n'), *next;

        if (!content)
            return;
        *content++ = '\0';
        next = text_starts(content, "=== ") ? content : strstr(content, "\n=== ");
        if (next == content) {
            add(p, path, "");
        } else {
            if (next)
                *next++ = '\0';
            add(p, path, content);
        }
        text = next;
    }
}

static void check_generated(const struct dockerfile_generation *g)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    struct argv no_args = ARGV_INIT;
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    must(dockerfile_parse(buf_str(&g->text), g->text.len, &dockerfile_limits_default, &d, &err) ==
         0);
    must(dockerfile_images(d, &no_args, &images, &err) == 0);
    must(images.n > 0 && g->notes.n > 0 && *g->language);
    dockerfile_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
    struct project p = {.n = 0, .type = "agent"};
    struct dockerfile_settings settings = {.entrypoint_line = 1};
    struct dockerfile_source_files files;
    struct dockerfile_source source;
    struct error err = ERROR_INIT;

    dockerfile_generation_init(&g);
    must(text != NULL);
    read_project(text, &p);
    settings.entrypoint_prod = (char *)p.prod;
    files = (struct dockerfile_source_files){p.files, p.n};
    source = dockerfile_source_memory(&files);
    if (dockerfile_generate(&source, &settings, p.type, &g, &err) < 0)
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT);
    else
        check_generated(&g);
    return 0;
}
