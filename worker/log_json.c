/* worker/log_json — see the header. */
#include "worker/log_json.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/text.h"

static const char *const states[] = {[LOG_STEP_RUNNING] = "running",
                                     [LOG_STEP_CACHED] = "cached",
                                     [LOG_STEP_DONE] = "done",
                                     [LOG_STEP_FAILED] = "failed"};

static const char *severity_name(enum log_severity severity)
{
    return severity >= LOG_ERROR     ? "ERROR"
           : severity >= LOG_WARNING ? "WARNING"
           : severity >= LOG_INFO    ? "INFO"
                                     : "DEBUG";
}

static void set_time(json_t *o, const char *key, int64_t ns)
{
    char text[CLOCK_TEXT];

    clock_format(ns, text);
    json_object_set_new(o, key, json_string(text));
}

/* A remark of ours about a step has its number in the text alone: "#5 warning: …". */
static void complete(const struct log_line *l, struct log_event *e)
{
    size_t n = 1;

    if (e->step || l->text[0] != '#')
        return;
    while (isdigit((unsigned char)l->text[n]) && n < 8)
        e->step = e->step * 10 + (l->text[n++] - '0');
    e->skip = (int)n + (l->text[n] == ' ');
}

static void set_state(json_t *o, const struct log_line *l, const struct log_event *e)
{
    json_object_set_new(o, "state", json_string(states[e->state]));
    if (e->state == LOG_STEP_RUNNING) {
        set_time(o, "start", l->time);
        return;
    }
    set_time(o, "start", e->began);
    set_time(o, "end", l->time);
    if (e->state == LOG_STEP_DONE)
        json_object_set_new(o, "bytes", json_integer((json_int_t)e->bytes));
    if (e->code >= 0)
        json_object_set_new(o, "exitCode", json_integer(e->code));
}

static void set_text(json_t *o, const struct log_line *l, const struct log_event *e)
{
    size_t len = strlen(l->text);
    const char *text = l->text + ((size_t)e->skip <= len ? (size_t)e->skip : 0);

    if (e->state == LOG_STEP_RUNNING)
        json_object_set_new(o, "name", json_string(text));
    else if (e->state == LOG_STEP_NONE || e->state == LOG_STEP_FAILED)
        json_object_set_new(o, "text", json_string(text));
}

static const char *stream_name(enum log_stream stream)
{
    return stream == LOG_STDERR ? "stderr" : "stdout";
}

int log_line_json(const struct log_line *l, struct buf *out, struct error *err)
{
    json_auto_t *o = json_pack("{s:I}", "seq", (json_int_t)l->seq);
    CLEANUP_FREE char *text = NULL;
    struct log_event e = l->event;

    complete(l, &e);
    set_time(o, "time", l->time);
    json_object_set_new(o, "severity", json_string(severity_name(l->severity)));
    if (e.step)
        json_object_set_new(o, "step", json_integer(e.step));
    if (e.stream != LOG_NO_STREAM)
        json_object_set_new(o, "stream", json_string(stream_name(e.stream)));
    if (e.state != LOG_STEP_NONE)
        set_state(o, l, &e);
    set_text(o, l, &e);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (!text)
        return error_set(err, ERR_SYSTEM, "show the log: out of memory");
    buf_adds(out, text);
    buf_addc(out, '\n');
    return buf_check(out, "the log", err);
}
