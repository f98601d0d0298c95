/* What a jail says to those outside: the first line says what is read ("events", "pull", "runc"),
 * the rest are lines of it. */
#include <string.h>

#include "base/text.h"
#include "builder/events.h"
#include "builder/progress.h"
#include "builder/run_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_event(void *self, const struct builder_event *e)
{
    size_t *n = self;

    must(e->text && strlen(e->text) < 1 << 20 && e->kind <= BUILDER_EVENT_FAILED);
    must(e->stream == PROCESS_STDOUT || e->stream == PROCESS_STDERR);
    ++*n;
}

/* As process_run hands them over. */
static void feed(const struct process_sink *sink, char *text)
{
    enum process_stream stream = PROCESS_STDOUT;

    for (char *line = strsep(&text, "\r\n"); line; line = strsep(&text, "\r\n")) {
        stream = *line == '!' ? PROCESS_STDERR : PROCESS_STDOUT;
        sink->line(sink->self, stream, line, strlen(line));
    }
}

static void try_events(char *text)
{
    size_t n = 0;
    const struct builder_watch watch = {.event = check_event, .self = &n};
    struct events events;
    struct process_sink sink;

    events_init(&events, &watch);
    sink = events_sink(&events);
    feed(&sink, text);
    must(memchr(events.title, '\0', sizeof(events.title)) != NULL);
    must(memchr(events.failure.reason, '\0', sizeof(events.failure.reason)) != NULL);
    must(events.error.kind >= ERR_NONE && events.error.kind <= ERR_SYSTEM);
}

static void try_pull(char *text)
{
    struct progress progress;
    struct process_sink sink;

    progress_init(&progress, NULL);
    sink = progress_sink(&progress);
    feed(&sink, text);
    must(memchr(progress.fault, '\0', sizeof(progress.fault)) != NULL);
    must(memchr(progress.last, '\0', sizeof(progress.last)) != NULL);
}

static void try_runc(char *text)
{
    CLEANUP(buf_release) struct buf message = BUF_INIT(64 << 10);
    static char sh[] = "sh";
    char *words[] = {sh, NULL};
    const struct argv argv = {.v = words, .n = 1};
    const struct run_request req = {.argv = &argv};
    struct error err = ERROR_INIT;

    if (run_verdict_read(text, &message))
        must(run_verdict_error(&req, buf_str(&message), &err) < 0 && err.msg[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
        void (*try)(char *text);
    } kinds[] = {{"events\n", try_events}, {"pull\n", try_pull}, {"runc\n", try_runc}};
    CLEANUP_FREE char *text = strndup((const char *)data, size);

    must(text != NULL);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (text_starts(text, kinds[i].name))
            kinds[i].try(text + strlen(kinds[i].name));
    return 0;
}
