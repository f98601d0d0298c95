/* builder/events — see the header. */
#include "builder/events.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

#define TEXT_MAX 60000 /* bytes in a line: longer ones come in several events */

static const char letters[] = {
    [BUILDER_EVENT_BEGIN] = 'B', [BUILDER_EVENT_CACHED] = 'C', [BUILDER_EVENT_NOTE] = 'N',
    [BUILDER_EVENT_LINE] = 'L',  [BUILDER_EVENT_DONE] = 'D',   [BUILDER_EVENT_FAILED] = 'F',
};
#define ERROR_LETTER 'E'

/* ---- inside ---- */

static long long index_number(size_t i)
{
    return i == BUILDER_NO_STEP ? -1 : (long long)i;
}

/* A line end in the text would begin another event; it becomes a blank. */
static void write_line(const char *head, const char *text, size_t len)
{
    flockfile(stdout);
    (void)fputs(head, stdout);
    for (size_t at = 0; at < len; at++) {
        size_t n = 0;

        while (at + n < len && text[at + n] != '\n' && text[at + n] != '\r')
            n++;
        (void)fwrite_unlocked(text + at, 1, n, stdout);
        at += n;
        if (at < len)
            (void)putc_unlocked(' ', stdout);
    }
    (void)putc_unlocked('\n', stdout);
    (void)fflush(stdout);
    funlockfile(stdout);
}

void events_say(const struct builder_event *e)
{
    const char *text = e->text ? e->text : "";
    size_t len = strlen(text);
    char head[128];
    long long number = e->kind == BUILDER_EVENT_LINE   ? (long long)e->stream
                       : e->kind == BUILDER_EVENT_DONE ? (long long)e->bytes
                                                       : (long long)e->code;

    (void)snprintf(head, sizeof(head), "%c %lld %lld %lld ", letters[e->kind],
                   index_number(e->stage), index_number(e->step), number);
    for (size_t at = 0; at == 0 || at < len; at += TEXT_MAX)
        write_line(head, text + at, len - at < TEXT_MAX ? len - at : TEXT_MAX);
}

void events_say_error(const struct error *err)
{
    char head[64];

    (void)snprintf(head, sizeof(head), "%c -1 -1 %d ", ERROR_LETTER, (int)err->kind);
    write_line(head, err->msg, strlen(err->msg));
}

/* ---- outside ---- */

void events_init(struct events *e, const struct builder_watch *watch)
{
    *e = (struct events){.watch = watch,
                         .failure = {.step = BUILDER_NO_STEP, .exit_code = -1},
                         .step = BUILDER_NO_STEP};
}

static bool find_kind(char letter, enum builder_event_kind *ret)
{
    for (size_t i = 0; i < sizeof(letters); i++)
        if (letters[i] == letter) {
            *ret = (enum builder_event_kind)i;
            return true;
        }
    return false;
}

static void keep_error(struct events *e, long long kind, const char *text)
{
    const bool known = kind > ERR_NONE && kind <= ERR_SYSTEM;

    if (e->error.kind == ERR_NONE)
        error_set(&e->error, known ? (enum error_kind)kind : ERR_SYSTEM, "%s", text);
}

/* Of several stages that failed, the first one counts: others were stopped. */
static void keep_failure(struct events *e, const struct builder_event *event)
{
    if (e->failure.reason[0])
        return;
    e->failure.stage = event->stage;
    e->failure.step = event->step;
    e->failure.exit_code = event->code;
    (void)snprintf(e->failure.reason, sizeof(e->failure.reason), "%s", event->text);
}

static void keep_begin(struct events *e, const struct builder_event *event)
{
    e->stage = event->stage;
    e->step = event->step;
    (void)snprintf(e->title, sizeof(e->title), "%s", event->text);
}

static void read_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct events *e = self;
    struct builder_event event = {.kind = BUILDER_EVENT_NOTE};
    long long stage, step, number;
    char letter;
    int at = 0;

    (void)len;
    if (stream != PROCESS_STDOUT ||
        sscanf(text, "%c %lld %lld %lld%n", &letter, &stage, &step, &number, &at) != 4 ||
        text[at] != ' ') {
        keep_error(e, ERR_SYSTEM, text); /* of the jail, which writes to stderr why it failed */
        return;
    }
    event.text = text + at + 1;
    if (letter == ERROR_LETTER) {
        keep_error(e, number, event.text);
        return;
    }
    if (!find_kind(letter, &event.kind))
        return;
    event.stage = stage < 0 ? BUILDER_NO_STAGE : (size_t)stage;
    event.step = step < 0 ? BUILDER_NO_STEP : (size_t)step;
    event.stream = number == PROCESS_STDERR ? PROCESS_STDERR : PROCESS_STDOUT;
    event.bytes = (uint64_t)number;
    event.code = (int)number;
    if (event.kind == BUILDER_EVENT_FAILED)
        keep_failure(e, &event);
    else if (event.kind == BUILDER_EVENT_BEGIN)
        keep_begin(e, &event);
    if (e->watch)
        e->watch->event(e->watch->self, &event);
}

struct process_sink events_sink(struct events *e)
{
    return (struct process_sink){.line = read_line, .self = e};
}
