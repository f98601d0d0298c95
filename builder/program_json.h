/* builder/program_json — a program on its way into the jail, with what is known of its images. */
#ifndef BUILDER_PROGRAM_JSON_H
#define BUILDER_PROGRAM_JSON_H

#include <jansson.h>

#include "base/buf.h"
#include "builder/bases.h"
#include "builder/program.h"

#define PROGRAM_MAX (256u << 20) /* bytes of JSON */

struct program_image { /* one that the program names */
    const char *name;
    const char *config; /* JSON */
    const char *digest; /* of the manifest */
    struct bases_layer *layers; /* the lowest first */
    size_t n_layers;
};

struct program_document {
    struct builder_program program;
    struct program_image *images;
    size_t n_images;
    bool userxattr; /* overlay's attributes are the user's: the jail has a user namespace */
    int threads;    /* to use */
    json_t *root;   /* read: owns the strings */
};

/* Appends it as JSON.  ERR_SYSTEM: out of memory. */
MUST_CHECK int program_write(const struct program_document *d, struct buf *out, struct error *err);

/* Reads what program_write wrote; ret is to be released in any case. */
MUST_CHECK int program_read(const char *text, size_t len, struct program_document *ret,
                            struct error *err);
void program_release(struct program_document *d);

/* NULL: the program names no such image. */
const struct program_image *program_find_image(const struct program_document *d, const char *name);

#endif
