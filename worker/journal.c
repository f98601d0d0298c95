/* worker/journal — see the header. */
#include "worker/journal.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

#define LINE_BYTES    8192
#define PENDING_BYTES (32 << 20) /* between two flushes */
#define ERROR_BYTES   (64 << 10)
#define SECRET_MIN    8

void journal_init(struct journal *j, struct state *state, const struct clock *clock,
                  const char *build, uint64_t max)
{
    *j = (struct journal){.state = state,
                          .clock = *clock,
                          .max = max,
                          .pending.text = BUF_INIT(PENDING_BYTES),
                          .writing.text = BUF_INIT(PENDING_BYTES)};
    (void)snprintf(j->build, sizeof(j->build), "%s", build);
    pthread_mutex_init(&j->lock, NULL);
}

static void batch_release(struct journal_batch *b)
{
    buf_release(&b->text);
    free(b->lines);
}

void journal_release(struct journal *j)
{
    argv_release(&j->secrets);
    batch_release(&j->pending);
    batch_release(&j->writing);
    pthread_mutex_destroy(&j->lock);
}

void journal_hide(struct journal *j, const char *value)
{
    pthread_mutex_lock(&j->lock);
    if (strlen(value) >= SECRET_MIN)
        argv_push1(&j->secrets, value);
    pthread_mutex_unlock(&j->lock);
}

/* Bytes of the terminal escape sequence at s (ECMA-48: CSI, OSC, and two-byte ones), 0 if none. */
static size_t escape_length(const char *s, size_t len)
{
    size_t i = 2;

    if (len < 2 || s[0] != 0x1b)
        return 0;
    if (s[1] == '[') {
        while (i < len && (unsigned char)s[i] >= 0x20 && (unsigned char)s[i] <= 0x3f)
            i++;
        return i < len ? i + 1 : i;
    }
    if (s[1] == ']') {
        while (i < len && s[i] != 0x07 && s[i] != 0x1b)
            i++;
        return i < len ? i + 1 : i;
    }
    return 2;
}

static void add_clean(struct buf *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t escape = escape_length(s + i, len - i);
        size_t n = text_utf8_length(s + i, len - i);
        bool control = n == 1 && text_has_control(s + i, 1) && s[i] != '\t';

        if (escape) {
            i += escape;
            continue;
        }
        if (n == 0 || control)
            buf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
        else
            buf_add(out, s + i, n);
        i += n ? n : 1;
    }
}

/* Replaces every secret in line. */
static void mask(const struct argv *secrets, struct buf *line)
{
    for (size_t i = 0; i < secrets->n; i++) {
        const char *secret = secrets->v[i];
        size_t len = strlen(secret);
        char *at = line->len ? memmem(line->data, line->len, secret, len) : NULL;

        while (at) {
            size_t rest = line->len - (size_t)(at - line->data) - len;

            memcpy(at, "***", 3);
            memmove(at + 3, at + len, rest + 1);
            line->len -= len - 3;
            at = memmem(at + 3, rest, secret, len);
        }
    }
}

static bool reserve_line(struct journal_batch *b)
{
    size_t cap = b->cap ? b->cap * 2 : 64;
    struct log_line *lines;

    if (b->n < b->cap)
        return true;
    lines = realloc(b->lines, cap * sizeof(*lines));
    if (!lines)
        return false;
    b->lines = lines;
    b->cap = cap;
    return true;
}

static void push(struct journal *j, enum log_severity severity, const struct log_event *event,
                 const char *text, size_t len)
{
    struct journal_batch *b = &j->pending;

    if (!reserve_line(b) || b->text.len + len + 1 > b->text.max)
        return;
    b->lines[b->n++] =
        (struct log_line){.severity = severity, .time = clock_now(&j->clock), .event = *event};
    buf_add(&b->text, text, len);
    buf_addc(&b->text, '\0');
}

static const struct log_event nothing;

/* Says once why nothing more is kept. */
static void cut(struct journal *j, bool too_fast)
{
    char said[112];
    int n;

    if (j->cut)
        return;
    j->cut = true;
    if (too_fast)
        n = snprintf(said, sizeof(said),
                     "[the log ends here: it grew faster than it can be stored]");
    else
        n = snprintf(said, sizeof(said), "[the log ends here: it reached its limit of %llu bytes]",
                     (unsigned long long)j->max);
    push(j, LOG_WARNING, &nothing, said, (size_t)n);
}

/* Errors have a little room of their own: what a build failed of is said in any case. */
static void push_bounded(struct journal *j, enum log_severity severity,
                         const struct log_event *event, const char *text, size_t len)
{
    const struct buf *pending = &j->pending.text;
    const bool is_error = severity == LOG_ERROR;
    uint64_t *used = is_error ? &j->used_by_errors : &j->used;
    const uint64_t max = is_error && j->max > ERROR_BYTES ? ERROR_BYTES : j->max;

    *used += len + 1;
    if (*used <= max && pending->len + len + 512 <= pending->max - (is_error ? 0 : ERROR_BYTES))
        push(j, severity, event, text, len);
    else
        cut(j, *used <= max);
}

/* The longest piece of at most LINE_BYTES that does not cut a character in two. */
static size_t piece(const char *s, size_t len)
{
    size_t n = LINE_BYTES;

    if (len <= n)
        return len;
    while (n > LINE_BYTES - 4 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static bool is_cut(struct journal *j)
{
    bool yes;

    pthread_mutex_lock(&j->lock);
    yes = j->cut;
    pthread_mutex_unlock(&j->lock);
    return yes;
}

static void add(struct journal *j, enum log_severity severity, const struct log_event *event,
                const char *text, size_t len)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(1 << 20);
    struct log_event e = *event;
    size_t done = 0;

    if (severity != LOG_ERROR && is_cut(j))
        return; /* a build may print gigabytes more */
    add_clean(&line, text, len);
    pthread_mutex_lock(&j->lock);
    mask(&j->secrets, &line);
    do {
        size_t n = piece(buf_str(&line) + done, line.len - done);

        push_bounded(j, severity, &e, buf_str(&line) + done, n);
        done += n;
        e.state = LOG_STEP_NONE; /* what follows is more of the same line */
        e.skip = 0;
    } while (done < line.len);
    pthread_mutex_unlock(&j->lock);
}

void journal_add(struct journal *j, enum log_severity severity, const char *text, size_t len)
{
    add(j, severity, &nothing, text, len);
}

static void add_format(struct journal *j, enum log_severity severity, const struct log_event *event,
                       const char *fmt, va_list ap)
{
    char *text = NULL;
    int n = vasprintf(&text, fmt, ap);

    if (n >= 0)
        add(j, severity, event, text, (size_t)n);
    free(n >= 0 ? text : NULL);
}

void journal_addf(struct journal *j, enum log_severity severity, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_format(j, severity, &nothing, fmt, ap);
    va_end(ap);
}

void journal_say(struct journal *j, enum log_severity severity, const struct log_event *event,
                 const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_format(j, severity, event, fmt, ap);
    va_end(ap);
}

void journal_add_text(struct journal *j, enum log_severity severity, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        journal_add(j, severity, text, n);
        text += n + (text[n] == '\n');
    }
}

int journal_flush(struct journal *j, struct error *err)
{
    struct journal_batch *b = &j->writing;
    const char *at;

    if (b->n == 0) { /* else an earlier flush failed */
        struct journal_batch empty = *b;

        pthread_mutex_lock(&j->lock);
        *b = j->pending;
        j->pending = empty;
        pthread_mutex_unlock(&j->lock);
    }
    if (b->n == 0)
        return 0;
    at = buf_str(&b->text);
    for (size_t i = 0; i < b->n; i++) {
        b->lines[i].text = at;
        at += strlen(at) + 1;
    }
    if (state_log_append(j->state, j->build, b->lines, b->n, err) < 0)
        return -1;
    b->n = 0;
    buf_clear(&b->text);
    return 0;
}
