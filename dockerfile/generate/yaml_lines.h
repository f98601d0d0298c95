/* dockerfile/generate/yaml_lines — the few facts that are asked of a YAML file which a tool has
 * written: a scalar and a list of scalars at its top level.
 *
 * It is no YAML parser: anchors, block scalars, nested values and keys in quotes are passed over,
 * and what is not found is as good as absent. */
#ifndef DOCKERFILE_GENERATE_YAML_LINES_H
#define DOCKERFILE_GENERATE_YAML_LINES_H

#include "base/argv.h"

/* The value of "key: value", without its quotes and without a comment; false, and ret empty, when
 * there is none or it does not fit. */
bool yaml_scalar(const char *text, const char *key, char *ret, size_t size);

/* The elements of "key: [a, b]" on one line or of the lines "- a" below "key:".  ERR_LIMIT: more
 * than max. */
MUST_CHECK int yaml_list(const char *text, const char *key, size_t max, struct argv *ret,
                         struct error *err);

/* The first key of the top level that is not among names (up to NULL); false when there is none. */
bool yaml_other_key(const char *text, const char *const *names, char *ret, size_t size);

#endif
