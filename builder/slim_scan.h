/* builder/slim_scan — what slimming finds in a diff: what could go from it, what must stay in
 * others because of it, and what it holds twice.  It depends on the diff, the layers below,
 * the rules, the image's $HOME and volumes and nothing else, so that it is looked for once. */
#ifndef BUILDER_SLIM_SCAN_H
#define BUILDER_SLIM_SCAN_H

#include <stdint.h>

#include "builder/slim_pins.h"
#include "builder/slim_twins.h"

#define SLIM_ROOTS_MAX 256 /* of one layer; what is beyond stays */

struct slim_root { /* a directory that a rule is about */
    char *path;
    const struct slim_rule *rule;
    uint64_t files, bytes; /* that would go, files by several names once */
    bool marks;  /* a directory in it hides what a lower layer has, or has another owner or mode */
    bool covers; /* something in it replaces another file, or another owner's, of a lower layer */
};

struct slim_facts {
    struct slim_root *roots; /* in the order of their paths in the layer */
    size_t n_roots;
    struct slim_pins pins; /* for all layers of the image */
    uint64_t twins, twin_bytes;
};
void slim_facts_release(struct slim_facts *f);

/* A root of it more; false when there are too many, or memory is short. */
bool slim_facts_add(struct slim_facts *f, const char *path, const struct slim_rule *rule);

struct slim_scan_request {
    const struct slim_config *config;
    int diff;     /* borrowed; nobody changes it meanwhile */
    bool removes; /* a command made it: rules apply.  What COPY put somewhere is wanted there */
    int below; /* borrowed: the tree of the layers below of which nothing goes; -1: there is none */
    int64_t epoch; /* as in layer_options */
};

/* ret is to be released in any case.  *ret_twins: for the layer's filter, to be freed. */
MUST_CHECK int slim_scan(const struct slim_scan_request *req, struct slim_facts *ret,
                         struct slim_twins **ret_twins, struct error *err);

#endif
