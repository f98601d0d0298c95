/* api/stream — see the header. */
#include "api/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PIECE_MAX (1u << 20) /* bytes of what comes at once */
#define FRAME_MAX 64         /* bytes around it */
#define TURN_MAX  8          /* sends and reads, until it is another's turn */

/* ---- bytes ---- */

static void add_head(struct buf *out, const struct api_response *r, bool chunked)
{
    time_t now = time(NULL);
    struct tm tm;
    char date[40];

    (void)gmtime_r(&now, &tm);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    buf_addf(out, "HTTP/1.1 %d OK\r\nDate: %s\r\nConnection: close\r\n%s", r->status, date,
             chunked ? "Transfer-Encoding: chunked\r\n" : "");
    for (size_t i = 0; i + 1 < r->headers.n; i += 2)
        buf_addf(out, "%s: %s\r\n", r->headers.v[i], r->headers.v[i + 1]);
    buf_adds(out, "\r\n");
}

/* RFC 9112, 7.1.  A chunk of no bytes would be the last one. */
static void add_piece(struct stream *s, const struct buf *piece)
{
    if (piece->len > 0 && s->chunked)
        buf_addf(&s->out, "%zx\r\n", piece->len);
    buf_add(&s->out, buf_str(piece), piece->len);
    if (piece->len > 0 && s->chunked)
        buf_adds(&s->out, "\r\n");
    if (s->ended && s->chunked)
        buf_adds(&s->out, "0\r\n\r\n");
    s->exchange->sent += piece->len;
}

/* ---- life ---- */

struct stream *stream_new(struct exchange *x, int fd, bool chunked)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->exchange = x;
    s->fd = fd;
    s->chunked = chunked;
    s->out = (struct buf)BUF_INIT(PIECE_MAX + FRAME_MAX);
    s->told = s->moved = clock_monotonic();
    add_head(&s->out, &x->resp, chunked);
    return s;
}

/* Closed with unread bytes in it, the socket would be reset, and the end of the answer lost. */
static void close_gently(int fd)
{
    char scrap[4096];

    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < 16 && recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) > 0; i++)
        ;
    close(fd);
}

void stream_free(struct stream *s, bool over)
{
    if (!s)
        return;
    exchange_log(s->exchange, !over);
    exchange_free(s->exchange);
    if (over)
        close_gently(s->fd);
    else
        close(s->fd);
    buf_release(&s->out);
    free(s);
}

/* ---- a turn ---- */

static enum stream_turn send_some(struct stream *s, int64_t now)
{
    ssize_t n = send(s->fd, s->out.data + s->at, s->out.len - s->at, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0) {
        s->at += (size_t)n;
        s->moved = now;
        return STREAM_AGAIN;
    }
    if (n < 0 && errno == EINTR)
        return STREAM_AGAIN;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && now - s->moved < s->silence_ns)
        return STREAM_BLOCKED;
    return STREAM_LOST;
}

static enum stream_turn read_some(struct stream *s, int64_t now, struct error *err)
{
    CLEANUP(buf_release) struct buf piece = BUF_INIT(PIECE_MAX);
    const struct api_stream *source = &s->exchange->resp.stream;

    buf_clear(&s->out);
    s->at = 0;
    if (source->read(source->self, &piece, &s->ended, err) < 0)
        return STREAM_LOST;
    if (piece.len == 0 && !s->ended) {
        if (now - s->told < s->beat_ns)
            return STREAM_WAITS;
        source->beat(source->self, &piece);
    }
    s->told = s->moved = now;
    add_piece(s, &piece);
    return buf_check(&s->out, "a piece of an answer", err) < 0 ? STREAM_LOST : STREAM_AGAIN;
}

enum stream_turn stream_turn(struct stream *s, int64_t now, struct error *err)
{
    enum stream_turn turn = STREAM_AGAIN;

    for (int i = 0; i < TURN_MAX && turn == STREAM_AGAIN; i++) {
        if (s->at < s->out.len)
            turn = send_some(s, now);
        else if (s->ended)
            turn = STREAM_OVER;
        else
            turn = read_some(s, now, err);
    }
    return turn;
}
