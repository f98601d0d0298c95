/* builder/document — a program on its way into the jail, with what is known of its images. */
#ifndef BUILDER_DOCUMENT_H
#define BUILDER_DOCUMENT_H

#include <jansson.h>

#include "base/buf.h"
#include "builder/bases.h"
#include "builder/program.h"

#define DOCUMENT_MAX (256u << 20) /* bytes of JSON */

struct document_image { /* one that the program names */
    const char *name;
    const char *config;         /* JSON */
    const char *digest;         /* of the manifest */
    struct bases_layer *layers; /* the lowest first */
    size_t n_layers;
};

struct document {
    struct builder_program program;
    struct document_image *images;
    size_t n_images;
    bool userxattr;    /* overlay's attributes are the user's: the jail has a user namespace */
    bool no_egress;    /* the jail's network is lo alone */
    uint64_t disk_max; /* bytes that all its steps may make; 0: not limited */
    uint64_t git_max;  /* bytes that a git server may send; 0: the default */
    int threads;       /* to use */
    json_t *root;      /* read: owns the strings */
};

/* Appends it as JSON.  ERR_SYSTEM: out of memory. */
MUST_CHECK int document_write(const struct document *d, struct buf *out, struct error *err);

/* Reads what program_write wrote; ret is to be released in any case. */
MUST_CHECK int document_read(const char *text, size_t len, struct document *ret, struct error *err);
void document_release(struct document *d);

/* NULL: the program names no such image. */
const struct document_image *document_find_image(const struct document *d, const char *name);

#endif
