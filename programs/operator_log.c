/* programs/operator_log — see the header. */
#include "programs/operator_log.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define LINE_MAX_BYTES 65536

/* "error: no room" is an error that says "no room". */
static const char *level_of(const char **line)
{
    static const char *const levels[] = {"error", "warning"};

    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        const size_t n = strlen(levels[i]);

        if (strncmp(*line, levels[i], n) == 0 && strncmp(*line + n, ": ", 2) == 0) {
            *line += n + 2;
            return levels[i];
        }
    }
    return "info";
}

static void set_text(json_t *o, const char *key, const char *text)
{
    if (text && *text)
        (void)json_object_set_new(o, key, json_string(text));
}

static void set_request(json_t *o, const struct note_request *r)
{
    set_text(o, "method", r->method);
    set_text(o, "path", r->path);
    set_text(o, "address", r->address);
    set_text(o, "key", r->key);
    (void)json_object_set_new(o, "status", json_integer(r->status));
    (void)json_object_set_new(o, "received", json_integer((json_int_t)r->received));
    (void)json_object_set_new(o, "sent", json_integer((json_int_t)r->sent));
    (void)json_object_set_new(o, "ms", json_integer(r->ms));
}

/* What programs say need not be UTF-8; JSON has to be. */
static json_t *message_of(const char *line)
{
    json_t *message = json_string(line);
    CLEANUP_FREE char *plain = message ? NULL : strdup(line);

    for (char *at = plain; at && *at; at++)
        if (*at & 0x80)
            *at = '?';
    return message ? message : json_string(plain ? plain : "");
}

static void format_json(const struct operator_log *log, const struct note *note, const char *now,
                        struct buf *out)
{
    const char *line = note->line;
    const char *level = level_of(&line);
    json_auto_t *o =
        json_pack("{s:s, s:s, s:o}", "time", now, "level", level, "message", message_of(line));
    CLEANUP_FREE char *text = NULL;

    set_text(o, "workspace", note->workspace);
    set_text(o, "build", note->build);
    set_text(o, "worker", log->worker);
    if (o && note->request)
        set_request(o, note->request);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    buf_addf(out, "%s\n", text ? text : "{}");
}

void operator_log_format(const struct operator_log *log, const struct note *note, int64_t now,
                         struct buf *out)
{
    char time[CLOCK_TEXT];

    if (log && log->json) {
        clock_format(now, time);
        format_json(log, note, time, out);
        return;
    }
    buf_addf(out, "%s %s\n", clock_format_seconds(now, time), note->line);
}

void operator_log(void *self, const struct note *note)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(LINE_MAX_BYTES);

    operator_log_format(self, note, clock_now(&clock_system), &out);
    (void)fwrite(buf_str(&out), 1, out.len, stderr);
}
