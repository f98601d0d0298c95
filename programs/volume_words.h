/* programs/volume_words — what the verbs of `kiln volume` share. */
#ifndef PROGRAMS_VOLUME_WORDS_H
#define PROGRAMS_VOLUME_WORDS_H

#include <limits.h>

#include "programs/templates_cli.h"

/* What NAME, --template and --overlay ask for; strings are borrowed. */
struct volume_choice {
    struct template_disk_request req;
    char overlay[PATH_MAX]; /* req.overlay, unless that is NULL */
    char name[80];          /* for a socket or a message: NAME, or the template's */
};

/* A NAME is an overlay in DATA/volumes/WORKSPACE, whose directory is made. */
MUST_CHECK int volume_choose(const struct config *config, const struct template_words *w,
                             struct volume_choice *ret, struct error *err);

/* ERR_INPUT when the overlay that was asked for is not there: it is not made for being looked at.
 */
MUST_CHECK int volume_check_there(const struct volume_choice *c, struct error *err);

int volume_serve_command(const struct config *config, struct template_store *s,
                         const struct template_words *w, struct error *err);
/* Becomes what argv says, with default signals, and files for the owner alone. */
MUST_CHECK int volume_become(const struct argv *argv, struct error *err);
/* Runs nbdkit, as argv says but for its store, until it ends. */
MUST_CHECK IN_WHOLE int volume_serve_bucket(const struct config *config, const char *workspace,
                                            struct argv *argv, struct error *err);
IN_WHOLE int volume_export_command(const struct config *config, struct template_store *s,
                                   const struct template_words *w, struct error *err);

#endif
