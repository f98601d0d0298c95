/* api/held_stream — see the header. */
#include "api/held_stream.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"

#define PIECE_MAX (1u << 20) /* bytes of what comes at once */
#define LOOK_MS   500        /* between looks for more */

struct held_stream *held_stream_new(struct api_response *resp, const struct held_stream *like)
{
    struct held_stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    *s = *like;
    s->piece = (struct buf)BUF_INIT(PIECE_MAX);
    s->source = resp->stream;
    resp->stream = (struct api_stream){.read = NULL};
    s->last = clock_monotonic();
    return s;
}

void held_stream_free(struct held_stream *s)
{
    if (!s)
        return;
    api_stream_release(&s->source);
    buf_release(&s->piece);
    free(s);
}

static ssize_t take(struct held_stream *s, char *to, size_t max)
{
    size_t n = s->piece.len - s->at < max ? s->piece.len - s->at : max;

    memcpy(to, buf_str(&s->piece) + s->at, n);
    s->at += n;
    s->last = clock_monotonic();
    *s->sent += n;
    if (s->deadline)
        atomic_store(s->deadline, s->last + s->patience);
    return (ssize_t)n;
}

/* Whether the client still listens, after a moment. */
static bool wait_a_moment(const struct held_stream *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLRDHUP};

    return poll(&p, 1, LOOK_MS) <= 0;
}

static int read_more(struct held_stream *s, struct error *err)
{
    buf_clear(&s->piece);
    s->at = 0;
    if (s->source.read(s->source.self, &s->piece, &s->ended, err) < 0)
        return -1;
    if (s->piece.len == 0 && !s->ended && clock_monotonic() - s->last >= s->beat_ns)
        s->source.beat(s->source.self, &s->piece);
    return 0;
}

ssize_t held_stream_fill(struct held_stream *s, char *to, size_t max, struct error *err)
{
    if (s->deadline)
        atomic_store(s->deadline, 0);
    for (;;) {
        if (s->at < s->piece.len)
            return take(s, to, max);
        if (s->ended)
            return 0;
        if (read_more(s, err) < 0)
            return -1;
        if (s->piece.len > 0 || s->ended)
            continue;
        if (atomic_load(s->stopping) || !wait_a_moment(s)) {
            err->kind = ERR_NONE;
            return -1;
        }
    }
}
