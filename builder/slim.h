/* builder/slim — keeps what nobody misses out of the layers that a build makes: caches and lists of
 * package managers, and files that it holds twice.
 *
 * Only the image's layers are made without them.  The files of a step, which later steps, stages
 * and builds see, stay whole: they are the same with slimming and without, and so are their keys.
 * A base's layers are never touched, and nothing of an image is run.
 *
 * First all layers of an image are looked at (slim_look), as a link in one may lead to what another
 * has; then they are made.
 *
 *   slim_rules.c   what goes: the table
 *   slim_pins.c    what stays nevertheless, because something names it
 *   slim_scan.c    what of that a diff has
 *   slim_twins.c   files that are the same
 *   slim_store.c   keeps what was found in the cache
 *   slim.c         puts it together; the report */
#ifndef BUILDER_SLIM_H
#define BUILDER_SLIM_H

#include "builder/cache.h"
#include "builder/cache_key.h"
#include "builder/program.h"

struct slim;      /* an image's */
struct slim_step; /* what is known of one of its layers */

MUST_CHECK int slim_new(const struct builder_program *p, struct slim **ret, struct error *err);
void slim_free(struct slim *s);

struct slim_look_request {
    const struct cache *cache;
    const struct cache_record *record; /* whose diff is not "" */
    bool is_run;                       /* a command made it */
    /* Opens the tree of the layers below of which nothing goes: *ret_fd, the caller's; -1: there
     * are none.  Called when the diff has to be looked through. */
    int (*open_below)(void *self, int *ret_fd, struct error *err);
    void *self;
};
/* Finds out what can go, from what is known or from the diff.  Not for two threads at once. */
MUST_CHECK int slim_look(struct slim *s, const struct slim_look_request *req,
                         struct slim_step **ret, struct error *err);
void slim_step_free(struct slim_step *step);

/* Whether the step's layer is another than without slimming, as far as layers were looked at. */
bool slim_step_changes(const struct slim *s, const struct slim_step *step);
/* Makes that layer, unless it is there: the caller has looked at all, or asks again after that.
 * Call it only where slim_step_changes.  ret->entries 0: nothing is left. */
MUST_CHECK int slim_make_layer(const struct slim *s, struct slim_step *step,
                               const struct slim_look_request *req,
                               const struct layer_options *options, struct layer *ret,
                               struct error *err);

/* The layer that was made for it last, and the key of its record.  False: there is none. */
bool slim_step_layer(const struct slim_step *step, char ret_key[SHA256_HEX], struct layer *ret);

/* Adds to a key all that is decided by besides what layers hold. */
void slim_add_to_key(const struct slim *s, struct cache_key *key);

/* Appends lines, each ended, that say what of these steps' layers went and what stayed, and why. */
void slim_report(const struct slim *s, struct slim_step *const *steps, size_t n, struct buf *out);

#endif
