/* api/stream — sends a body that comes bit by bit: waits for more, shows that the connection lives,
 * and notices that the client is gone. */
#ifndef API_STREAM_H
#define API_STREAM_H

#include <stdatomic.h>
#include <sys/types.h>

#include "api/api.h"
#include "api/response.h"

struct stream {
    struct api_stream source; /* owned */
    const struct api_config *config;
    int fd;                      /* of the connection, to see whether the client is there */
    int64_t beat_ns;             /* of silence, before a heartbeat */
    const atomic_bool *stopping; /* the server is: the client may come back for the rest */
    size_t *sent;                /* counts bytes; NULL: nobody does */
    _Atomic int64_t *deadline;   /* for what was given out last (clock_monotonic); NULL: none */
    int64_t patience;            /* ns that it may take */
    struct buf piece;
    size_t at; /* of piece, that is sent */
    int64_t last;
    bool ended;
};

/* Takes over the response's stream and what body it has already.  NULL: out of memory. */
struct stream *stream_new(struct api_response *resp, const struct stream *like);
void stream_free(struct stream *s);

/* At most max bytes, once there are some; 0: that was all.  -1: the connection is to be cut, so
 * that nobody takes this for the end.  With ERR_NONE it was the client or the server that stops. */
MUST_CHECK ssize_t stream_fill(struct stream *s, char *to, size_t max, struct error *err);

#endif
