/* api/followers — who follows a log just now: each keeps a connection for as long as a build may
 * take, so there are only so many of them. */
#ifndef API_FOLLOWERS_H
#define API_FOLLOWERS_H

#include "worker/worker.h"

struct followers;

/* max in all, for each workspace, and of those that keep a thread of the server's.  NULL: out of
 * memory. */
struct followers *followers_new(unsigned max, unsigned max_each, unsigned max_held);
void followers_free(struct followers *f); /* nobody follows any more; NULL is fine */

/* max, or as many as there are descriptors for, besides those that others need. */
unsigned followers_that_fit(unsigned max, unsigned others);

/* From any thread.  held: it keeps a thread.  False: there are as many as there may be.  Each true
 * needs one followers_leave, with the same. */
bool followers_enter(struct followers *f, const char *workspace, bool held);
void followers_leave(struct followers *f, const char *workspace, bool held);

#endif
