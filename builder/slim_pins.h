/* builder/slim_pins — what must stay although a rule takes it, because something in the image
 * points to it: its configuration, or a symbolic link in a layer. */
#ifndef BUILDER_SLIM_PINS_H
#define BUILDER_SLIM_PINS_H

#include "base/argv.h"
#include "builder/program.h"
#include "builder/slim_rules.h"

#define SLIM_PINS_MAX 64 /* of one layer; with more of them, nothing goes */

#define SLIM_PIN_PNP "*" /* instead of a path: all places that a .pnp.cjs needs */

/* A place that stays, or a directory above it that a link leads to. */
struct slim_pins {
    struct argv at; /* paths */
    struct argv by; /* what points there, for the log: as many */
    bool many;      /* more than could be told */
};
void slim_pins_release(struct slim_pins *p);

void slim_pins_add(struct slim_pins *p, const char *at, const char *by);
void slim_pins_add_all(struct slim_pins *p, const struct slim_pins *more);

/* Who wants the place of a rule at path to stay; NULL: nobody. */
const char *slim_pins_find(const struct slim_pins *p, const struct slim_rule *rule,
                           const char *path);

/* What of an image's configuration matters to slimming. */
struct slim_config {
    struct slim_places places;
    struct slim_pins pins; /* what its variables, its command and its directory name */
    struct argv commands;  /* the words of its command, without their directories */
    struct argv volumes;   /* paths */
};
/* config: the image's "config" object, JSON.  ret is to be released in any case. */
MUST_CHECK int slim_config_read(const char *config, struct slim_config *ret, struct error *err);
void slim_config_release(struct slim_config *c);

/* The command that uses what the rule takes; NULL: there is none. */
const char *slim_config_runs(const struct slim_config *c, const struct slim_rule *rule);

/* A symbolic link at path (relative to the root) leads to target: pins what that means. */
void slim_pins_add_link(struct slim_pins *p, const struct slim_places *places, const char *path,
                        const char *target);

/* path is the directory or lies below it; both are clean and relative, "" is the root. */
bool slim_is_below(const char *path, const char *directory);

#endif
