/* api/watch — a build whose log is followed: looked at once for all who follow it.
 *
 * A watch is had and given back by any thread, and looked at by who has its lock. */
#ifndef API_WATCH_H
#define API_WATCH_H

#include <pthread.h>

#include "base/buf.h"
#include "worker/worker.h"

struct watches;

struct watch {
    pthread_mutex_t lock; /* over what follows, but build, users and next */
    char build[BUILD_ID];
    int64_t last;     /* the number of the log's last line, when it was looked at; 0: none */
    bool over;        /* the build was, and its status said so: no line comes after last */
    struct buf piece; /* lines that one of the followers was sent, for the others */
    int piece_form;   /* as the follower has it */
    int64_t from, to; /* they are those after from, up to to; equal: there is no piece */
    int64_t looked;   /* monotonic */
    unsigned users;
    struct watch *next;
};

/* NULL: out of memory. */
struct watches *watches_new(void);
void watches_free(struct watches *all); /* all were given back; NULL is fine */

/* The build's, for one more follower.  NULL: out of memory. */
struct watch *watch_get(struct watches *all, const char *build);
void watch_put(struct watches *all, struct watch *w);

/* Sets last and over, unless they were set a moment ago. */
MUST_CHECK int watch_look(struct watch *w, struct state *s, const struct clock *clock,
                          struct error *err);

#endif
