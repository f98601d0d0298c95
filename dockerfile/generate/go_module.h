/* dockerfile/generate/go_module — what a go.mod or go.work says that a build has to know.
 *
 * The grammar is the Go modules reference's ("go.mod files", "Workspaces").  What cannot be read is
 * passed over: the go command refuses it in the build, with words of its own. */
#ifndef DOCKERFILE_GENERATE_GO_MODULE_H
#define DOCKERFILE_GENERATE_GO_MODULE_H

#include "dockerfile/arena.h"
#include "dockerfile/generate/generator.h"

struct go_entry {
    const char *value;  /* NULL: not in the file */
    const char *target; /* of a replacement: the directory */
    int line;
};

struct go_entries {
    struct go_entry *v;
    size_t n, cap;
};

struct go_module {
    struct arena arena;
    const char *file; /* "go.mod": borrowed */
    struct go_entry module, go, toolchain;
    struct go_entries required; /* module paths */
    struct go_entries replaced; /* module paths whose replacement is a directory */
    struct go_entries used;     /* go.work: directories as written */
};

#define GO_MODULE_INIT                                                                             \
    {                                                                                              \
        .arena = {.blocks = NULL }                                                                 \
    }

void go_module_release(struct go_module *m);

/* Into an initialised ret, whose file is path.  Fails only when memory ran out. */
MUST_CHECK int go_module_parse(const char *path, const char *text, size_t len,
                               struct go_module *ret, struct error *err);

/* The same of a file of the project, which there need not be. */
MUST_CHECK int go_module_read(struct generator *g, const char *path, struct go_module *ret,
                              bool *ret_found, struct error *err);

/* Whether it requires the module, or one of its major versions ("path/v2"). */
bool go_module_requires(const struct go_module *m, const char *path);

#endif
