/* layer_scratch — a directory of a test's own for layers, and what is in a diff as text.
 *
 *   scratch/diff      what becomes a layer
 *   scratch/blobs
 *   scratch/back      where it is unpacked
 *   scratch/outside   a file that nothing may touch
 */
#ifndef TESTS_BUILDER_LAYER_SCRATCH_H
#define TESTS_BUILDER_LAYER_SCRATCH_H

#include "base/argv.h"
#include "builder/layer.h"

struct layer_scratch {
    char path[64];
    int fd; /* scratch */
    int diff, blobs, back;
};

/* For cmocka's setup and teardown; *state is a struct layer_scratch. */
int layer_scratch_setup(void **state);
int layer_scratch_setup_in(const char *parent, void **state);
int layer_scratch_teardown(void **state);

/* Empties a directory of it: "diff", "blobs" or "back". */
void layer_scratch_clear(struct layer_scratch *s, const char *name);

/* True while there is nothing but these four, and outside is as it was. */
bool layer_scratch_is_contained(const struct layer_scratch *s);

/* A line for each entry below dir, sorted: type, mode, owner, size, whole seconds, name, and what
 * it holds: a short content or its digest, a link's target, another name of it, attributes. */
void layer_scratch_list(int dir, struct buf *out);

/* Runs a program and adds what it prints, a line each, to out; fails the test if it does. */
void layer_scratch_run(const struct argv *argv, struct argv *out);

#endif
