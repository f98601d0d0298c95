/* tests/dockerfile/conformance — the data beside the project, and scores on it.
 *
 * A score counts how many cases agree; the tests state the exact number, so that one that no
 * longer agrees fails them, and so does one more that does. */
#ifndef TESTS_DOCKERFILE_CONFORMANCE_H
#define TESTS_DOCKERFILE_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"

/* Reads a file of shared/conformance; the test fails when it is not there. */
void conformance_read(const char *path, struct buf *out);

/* An array of the objects in a .jsonl file, for json_decref. */
json_t *conformance_lines(const char *path);

/* Names in a folder of it, sorted, "." and ".." left out; each is freed with the array. */
json_t *conformance_names(const char *path);

const char *text_of(const json_t *object, const char *key);
bool is_true(const json_t *object, const char *key);

struct score {
    const char *what;
    size_t agree, all;
};

/* Counts one case and prints the name of one that does not agree. */
void score_add(struct score *s, bool agrees, const char *name);

/* Fails unless exactly agree of all cases agreed. */
void score_is(const struct score *s, size_t agree, size_t all);

#endif
