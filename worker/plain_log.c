/* worker/plain_log — see the header.  One vertex runs at a time here; worker/build_log has those of
 * a build. */
#include "worker/plain_log.h"

#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"

static double seconds_since(int64_t began)
{
    return (double)(clock_monotonic() - began) / (double)NS_PER_SEC;
}

int plain_log_prefix(int number)
{
    return snprintf(NULL, 0, "#%d ", number);
}

int plain_log_line_prefix(int number, double seconds)
{
    return snprintf(NULL, 0, "#%d %.3f ", number, seconds);
}

void plain_log_begin(struct plain_log *p, const char *fmt, ...)
{
    CLEANUP_FREE char *title = NULL;
    va_list ap;

    plain_log_done(p);
    va_start(ap, fmt);
    if (vasprintf(&title, fmt, ap) < 0)
        title = NULL;
    va_end(ap);
    p->number++;
    p->running = true;
    p->began = clock_monotonic();
    p->at = clock_now(&p->journal->clock);
    p->code = -1;
    p->last[0] = '\0';
    journal_say(p->journal, LOG_INFO,
                &(struct log_event){.step = p->number,
                                    .state = LOG_STEP_RUNNING,
                                    .skip = plain_log_prefix(p->number)},
                "#%d %s", p->number, title ? title : "");
}

/* Lines of buildah's that say nothing: "-->" and bare image ids are for scripts. */
static bool is_chatter(const char *text)
{
    static const char *const starts[] = {
        "Getting image source signatures",
        "Writing manifest to image destination",
        "Storing signatures",
        "Trying to pull ",
        "--> ",
    };

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (text_starts(text, starts[i]))
            return true;
    return digest_is_hex(text);
}

void plain_log_line(struct plain_log *p, enum process_stream stream, const char *text, size_t len)
{
    if (!is_chatter(text))
        plain_log_output(p, stream, text, len);
}

void plain_log_output(struct plain_log *p, enum process_stream stream, const char *text, size_t len)
{
    /* progress and warnings of tools go to stderr: it does not mean failure */
    const double seconds = seconds_since(p->began);

    if (len > 0)
        (void)snprintf(p->last, sizeof(p->last), "%s", text);
    journal_say(p->journal, LOG_INFO,
                &(struct log_event){.step = p->number,
                                    .stream = stream == PROCESS_STDERR ? LOG_STDERR : LOG_STDOUT,
                                    .skip = plain_log_line_prefix(p->number, seconds)},
                "#%d %.3f %.*s", p->number, seconds, (int)len, text);
}

void plain_log_done(struct plain_log *p)
{
    if (!p->running)
        return;
    p->running = false;
    journal_say(
        p->journal, LOG_INFO,
        &(struct log_event){.step = p->number, .state = LOG_STEP_DONE, .began = p->at, .code = -1},
        "#%d DONE %.1fs", p->number, seconds_since(p->began));
}

void plain_log_error(struct plain_log *p, const char *fmt, ...)
{
    CLEANUP_FREE char *reason = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&reason, fmt, ap) < 0)
        reason = NULL;
    va_end(ap);
    p->running = false;
    journal_say(p->journal, LOG_ERROR,
                &(struct log_event){.step = p->number,
                                    .state = LOG_STEP_FAILED,
                                    .began = p->at,
                                    .code = p->code,
                                    .skip = plain_log_prefix(p->number) + (int)strlen("ERROR: ")},
                "#%d ERROR: %s", p->number, reason ? reason : "");
}

static void pass_on(void *self, enum process_stream stream, const char *text, size_t len)
{
    plain_log_line(self, stream, text, len);
}

struct process_sink plain_log_sink(struct plain_log *p)
{
    return (struct process_sink){.line = pass_on, .self = p};
}
