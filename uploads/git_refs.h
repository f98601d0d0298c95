/* uploads/git_refs — what a word for a version means among the refs that a server has. */
#ifndef UPLOADS_GIT_REFS_H
#define UPLOADS_GIT_REFS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/argv.h"
#include "base/buf.h"

/* What git-check-ref-format(1) lets a ref's name be, and no word that begins with "-". */
bool git_ref_is_name(const char *name);

/* A commit's id, or the beginning of one: 7 to 40 hex digits. */
bool git_ref_may_be_commit(const char *ref);
/* All 40 of them: this is never the name of a branch, which could stand for any other commit. */
bool git_ref_is_commit(const char *ref);

/* Where ref stands among names, in git's order (gitrevisions(7)): itself, refs/, refs/tags/,
 * refs/heads/; "" is HEAD.  False when it does not. */
bool git_ref_find(const struct argv *names, const char *ref, size_t *ret);

/* Appends "it has main, dev, v1.0 and 12 more": branches first, what resembles ref before all. */
void git_ref_hint(const struct argv *names, const char *ref, struct buf *out);

#endif
