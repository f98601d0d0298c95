/* api/stream — one answer that comes bit by bit, on a socket of its own: its head, pieces of its
 * body as its source has them, heartbeats, and the last chunk.
 *
 * It never waits.  Whoever has it (api/streams.h) gives it turns. */
#ifndef API_STREAM_H
#define API_STREAM_H

#include <stdint.h>

#include "api/exchange.h"

struct stream {
    struct exchange *exchange; /* owned: its response has the source; told when it is over */
    int fd;                    /* owned, non-blocking */
    bool chunked;              /* HTTP/1.0 has none: the connection's end is the body's */
    int64_t beat_ns;           /* of silence, before a heartbeat */
    int64_t silence_ns;        /* how long the client may take nothing of what is there */
    struct buf out;            /* what is sent next, in its chunk */
    size_t at;                 /* of out, that is sent */
    int64_t told, moved;       /* monotonic: the last piece, and the last byte that went */
    bool ended;                /* out has the last chunk */
};

enum stream_turn {
    STREAM_AGAIN,   /* there may be more at once */
    STREAM_WAITS,   /* for its source */
    STREAM_BLOCKED, /* until the socket takes more */
    STREAM_OVER,    /* all is sent */
    STREAM_LOST,    /* it is to be cut, so that nobody takes this for the end */
};

/* The exchange's response has a source, and status and headers are whole.  Takes the exchange and
 * fd; NULL, and neither taken: out of memory. */
struct stream *stream_new(struct exchange *x, int fd, bool chunked);
/* Tells the operator of the request, and closes.  over: the answer is whole. */
void stream_free(struct stream *s, bool over);

/* Sends what there is, a few pieces at most.  LOST with an err->kind: the source's fault. */
enum stream_turn stream_turn(struct stream *s, int64_t now, struct error *err);

#endif
