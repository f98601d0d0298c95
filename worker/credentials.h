/* worker/credentials — registry credentials that came with a request, until its build is over.
 *
 * They lie in files on a memory filesystem, one for a build, that nobody else may read; never in
 * the database.  They do not survive a restart of the machine: the registry then refuses the pull.
 */
#ifndef WORKER_CREDENTIALS_H
#define WORKER_CREDENTIALS_H

#include "base/buf.h"

#define CREDENTIALS_MAX (256U << 10) /* bytes of a docker config.json */

/* dir: made if it is not there; it must be ours alone.  ERR_SYSTEM also where it is not in memory.
 */
MUST_CHECK int credentials_keep(const char *dir, const char *build, const char *json, size_t len,
                                struct error *err);
/* Appends them; nothing when there are none. */
MUST_CHECK int credentials_read(const char *dir, const char *build, struct buf *out,
                                struct error *err);
/* Absent is fine. */
void credentials_forget(const char *dir, const char *build);
/* Forgets those of all builds that keep says no to, but not what came in the last minute: its build
 * may be about to be made. */
void credentials_sweep(const char *dir, bool (*keep)(void *self, const char *build), void *self);

#endif
