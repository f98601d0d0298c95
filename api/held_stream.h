/* api/held_stream — an answer that comes bit by bit over a connection that libmicrohttpd does not
 * let go of, as it is encrypted: the connection's thread waits for it.  Others are of
 * api/streams.h. */
#ifndef API_HELD_STREAM_H
#define API_HELD_STREAM_H

#include <stdatomic.h>
#include <sys/types.h>

#include "api/api.h"
#include "api/response.h"

struct held_stream {
    struct api_stream source; /* owned */
    const struct api_config *config;
    int fd;                      /* of the connection, to see whether the client is there */
    int64_t beat_ns;             /* of silence, before a heartbeat */
    const atomic_bool *stopping; /* the server is: the client may come back for the rest */
    size_t *sent;                /* counts bytes */
    _Atomic int64_t *deadline;   /* for what was given out last (clock_monotonic); NULL: none */
    int64_t patience;            /* ns that it may take */
    struct buf piece;
    size_t at; /* of piece, that is sent */
    int64_t last;
    bool ended;
};

/* Takes over the response's source.  NULL: out of memory. */
struct held_stream *held_stream_new(struct api_response *resp, const struct held_stream *like);
void held_stream_free(struct held_stream *s);

/* At most max bytes, once there are some; 0: that was all.  -1: the connection is to be cut, so
 * that nobody takes this for the end.  With ERR_NONE it was the client or the server that stops. */
MUST_CHECK ssize_t held_stream_fill(struct held_stream *s, char *to, size_t max, struct error *err);

#endif
