/* api/followers — who follows a log just now: each keeps a connection for as long as a build may
 * take, so there are only so many of them. */
#ifndef API_FOLLOWERS_H
#define API_FOLLOWERS_H

#include "worker/worker.h"

struct followers;

/* max in all, and for each workspace.  NULL: out of memory. */
struct followers *followers_new(unsigned max, unsigned max_each);
void followers_free(struct followers *f); /* nobody follows any more; NULL is fine */

/* From any thread.  False: there are as many as there may be.  Each true needs one followers_leave.
 */
bool followers_enter(struct followers *f, const char *workspace);
void followers_leave(struct followers *f, const char *workspace);

#endif
