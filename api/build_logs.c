/* api/build_logs — GET /v0/{kind}/{name}/build-logs: the log of the target's current build, in
 * three forms, whole or from some line on; and followed until the build is over.
 *
 * A line's number (seq) is its place in the log for ever, so whoever lost the connection goes on
 * after the last number it has, or after as many lines: nothing is lost or sent twice. X-Kiln-Build
 * says which build it is, as there may be another by then. */
#include <string.h>

#include "api/followers.h"
#include "api/log_query.h"
#include "api/watch.h"

#define STREAM_LINES 16 /* of at most 8 KiB, in one piece of a stream */

enum form { FORM_TEXT, FORM_EVENTS };

/* ---- lines ---- */

struct lines {
    enum form form;
    int64_t seq; /* of the last line */
    int64_t n;
    struct buf *out;
    struct error err; /* the first; ERR_NONE: none */
};

/* An empty line is one blank: where the log is followed, what is empty is no line of it. */
static void add_text(struct lines *to, const struct log_line *l)
{
    buf_adds(to->out, l->text[0] ? l->text : " ");
    buf_addc(to->out, '\n');
}

static void add_line(void *self, const struct log_line *l)
{
    struct lines *to = self;

    to->seq = l->seq;
    to->n++;
    if (to->form == FORM_TEXT)
        add_text(to, l);
    else if (to->err.kind == ERR_NONE)
        (void)!log_line_json(l, to->out, &to->err);
}

/* Those after to->seq, at most limit. */
static int read_lines(struct state *s, const char *build, int64_t limit, struct lines *to,
                      struct error *err)
{
    int64_t total;

    to->n = 0;
    if (state_log_read(s, build, to->seq, false, limit, add_line, to, &total, err) < 0 ||
        buf_check(to->out, "the build log", err) < 0)
        return -1;
    if (to->err.kind == ERR_NONE)
        return 0;
    *err = to->err;
    return -1;
}

/* ---- following ---- */

struct follow {
    const struct api_config *config;
    struct watch *watch;
    char workspace[NAME_SIZE];
    bool held;          /* it keeps a thread of the server's */
    struct lines lines; /* .out is set for each call */
};

static void follow_free(void *self)
{
    struct follow *f = self;

    if (f->watch)
        watch_put(f->config->watches, f->watch);
    followers_leave(f->config->followers, f->workspace, f->held);
    free(f);
}

/* The next lines into the watch's piece, unless they are there, from another who follows. */
static int read_piece(struct follow *f, struct error *err)
{
    struct watch *w = f->watch;
    struct lines lines = {.form = f->lines.form, .seq = f->lines.seq, .out = &w->piece};

    if (w->from < w->to && w->piece_form == (int)lines.form && w->from == lines.seq)
        return 0;
    buf_clear(&w->piece);
    w->from = w->to = lines.seq;
    w->piece_form = (int)lines.form;
    if (read_lines(f->config->state, w->build, STREAM_LINES, &lines, err) < 0)
        return -1;
    w->to = lines.seq;
    return 0;
}

static int read_watch(struct follow *f, struct buf *out, bool *ret_ended, struct error *err)
{
    struct watch *w = f->watch;
    const int64_t before = f->lines.seq;

    if (watch_look(w, f->config->state, f->config->clock, err) < 0)
        return -1;
    if (before < w->last) {
        if (read_piece(f, err) < 0)
            return -1;
        buf_add(out, buf_str(&w->piece), w->piece.len);
        f->lines.seq = w->to;
    }
    *ret_ended = w->over && (f->lines.seq >= w->last || f->lines.seq == before);
    return 0;
}

static int follow_read(void *self, struct buf *out, bool *ret_ended, struct error *err)
{
    struct follow *f = self;
    int result;

    pthread_mutex_lock(&f->watch->lock);
    result = read_watch(f, out, ret_ended, err);
    pthread_mutex_unlock(&f->watch->lock);
    return result;
}

/* An empty line; of JSON lines, one more object, which repeats the last line's number. */
static void follow_beat(void *self, struct buf *out)
{
    const struct follow *f = self;
    char now[CLOCK_TEXT];

    if (f->lines.form == FORM_TEXT) {
        buf_addc(out, '\n');
        return;
    }
    clock_format(clock_now(f->config->clock), now);
    buf_addf(out, "{\"seq\":%lld,\"time\":\"%s\",\"heartbeat\":true}\n", (long long)f->lines.seq,
             now);
}

static void refuse_follower(struct api_call *c)
{
    api_refuse(c->resp, 429, "too_many_followers",
               "This workspace follows as many logs as it may, or the server's share of "
               "connections for that is used up. Wait until a build ends, or ask without follow "
               "now and then.");
    api_response_header(c->resp, "Retry-After", "5");
}

static int follow(struct api_call *c, const struct build *b, const struct lines *from,
                  struct error *err)
{
    struct follow *f;

    if (!followers_enter(c->config->followers, c->key.workspace, c->req->held)) {
        refuse_follower(c);
        return 0;
    }
    f = calloc(1, sizeof(*f));
    if (!f) {
        followers_leave(c->config->followers, c->key.workspace, c->req->held);
        return error_set(err, ERR_SYSTEM, "follow a log: out of memory");
    }
    f->config = c->config;
    f->held = c->req->held;
    f->lines = *from;
    memcpy(f->workspace, c->key.workspace, sizeof(f->workspace));
    f->watch = watch_get(c->config->watches, b->id);
    if (!f->watch) {
        follow_free(f);
        return error_set(err, ERR_SYSTEM, "follow a log: out of memory");
    }
    c->resp->stream = (struct api_stream){follow_read, follow_beat, follow_free, f};
    api_response_header(c->resp, "X-Accel-Buffering", "no"); /* to nginx, which else keeps it */
    return 0;
}

/* ---- the answer ---- */

static bool wants_to_follow(const struct api_call *c)
{
    return api_request_flag(c->req, "follow") && c->config->followers &&
           strcmp(c->req->method, "HEAD") != 0;
}

/* after, or offset, which is the same: the n-th line has the number n. */
static int answer_lines(struct api_call *c, const struct build *b, enum form form,
                        struct error *err)
{
    static const char *const types[] = {
        [FORM_TEXT] = "text/plain; charset=utf-8", [FORM_EVENTS] = "application/jsonl"};
    struct lines lines = {.form = form, .out = &c->resp->body};
    uint64_t after = 0, offset = 0, limit = INT32_MAX;

    if (api_request_number(c->req, "after", INT32_MAX, &after, err) < 0 ||
        api_request_number(c->req, "offset", INT32_MAX, &offset, err) < 0 ||
        api_request_number(c->req, "limit", INT32_MAX, &limit, err) < 0)
        return -1;
    lines.seq = (int64_t)(after > offset ? after : offset);
    if ((wants_to_follow(c) ? follow(c, b, &lines, err)
                            : read_lines(c->config->state, b->id, (int64_t)limit, &lines, err)) < 0)
        return -1;
    if (c->resp->status)
        return 0; /* refused */
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", types[form]);
    api_response_header(c->resp, "X-Kiln-Build", b->id);
    return 0;
}

static int answer_page(struct api_call *c, const struct log_query *q, const struct target *t,
                       struct error *err)
{
    json_auto_t *answer = NULL;

    if (log_query_page(c, q, t, false, &answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

static void refuse_absent(struct api_call *c, const struct target *t)
{
    api_refuse(
        c->resp, 404, "build not found",
        "No build of %s %.64s was asked for, or none of that id or time. Ask for one with POST "
        "/v0/%s?upload=true.",
        c->kind->type, t->name, c->kind->plural);
}

static void refuse_removed(struct api_call *c, const struct build *b)
{
    char when[CLOCK_TEXT];

    api_refuse(c->resp, 410, "log_removed",
               "The log of this build was removed at %s, as it was older than logs are kept "
               "here (log_retention). A new build has a new log.",
               clock_format_seconds(b->log_removed, when));
}

int api_get_build_logs(struct api_call *c, struct error *err)
{
    struct target t = {c->key.workspace, c->kind->type, c->args[0]};
    const char *accept = c->req->headers[API_HEADER_ACCEPT];
    const char *format = api_request_param(c->req, "format");
    enum presence presence;
    struct log_query q;
    struct build b;
    bool good;

    if (log_query_read(c, &q, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    if (log_query_build(c, &q, &t, &presence, &b, err) < 0)
        return -1;
    if (presence == ABSENT)
        refuse_absent(c, &t);
    else if (b.log_removed)
        refuse_removed(c, &b);
    else if (format && strcmp(format, "jsonl") == 0)
        return answer_lines(c, &b, FORM_EVENTS, err);
    else if (accept && strstr(accept, "application/json"))
        return answer_page(c, &q, &t, err);
    else
        return answer_lines(c, &b, FORM_TEXT, err);
    return 0;
}
