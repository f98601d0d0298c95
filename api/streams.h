/* api/streams — all answers that come bit by bit, sent by one thread.
 *
 * A log is followed for as long as its build takes, by any number of clients: a thread for each, as
 * requests have them, would be one that waits.  So a connection whose answer is a stream leaves the
 * server's hands (api/server.c) and comes here, where each costs a descriptor and little memory. */
#ifndef API_STREAMS_H
#define API_STREAMS_H

#include "api/stream.h"

struct streams;

/* Starts the thread.  max: streams at once. */
MUST_CHECK int streams_new(const struct api_config *config, unsigned max, struct streams **ret,
                           struct error *err);
/* From any thread: takes the stream, and cuts it at once if streams_stop was called or there are
 * max. */
void streams_add(struct streams *all, struct stream *s);
/* Cuts all, and ends the thread; again is fine, and so is NULL. */
void streams_stop(struct streams *all);
/* After streams_stop.  NULL is fine. */
void streams_free(struct streams *all);

#endif
