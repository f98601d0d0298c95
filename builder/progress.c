/* builder/progress — see the header.  A failure is one line on stderr: "Error: …". */
#include "builder/progress.h"

#include <stdarg.h>
#include <string.h>

static void note_fault(struct progress *p, const char *line)
{
    const char *at = strstr(line, "Error: ");

    if (*line)
        (void)snprintf(p->last, sizeof(p->last), "%s", line);
    if (at)
        (void)snprintf(p->fault, sizeof(p->fault), "%s", at + 7);
}

static void on_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct progress *p = self;

    if (stream == PROCESS_STDERR)
        note_fault(p, text);
    if (p->next)
        p->next->line(p->next->self, stream, text, len);
}

void progress_init(struct progress *p, const struct process_sink *next)
{
    *p = (struct progress){.next = next};
}

struct process_sink progress_sink(struct progress *p)
{
    return (struct process_sink){on_line, p};
}

void progress_say(const struct progress *p, const char *fmt, ...)
{
    char line[2048];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (len >= (int)sizeof(line))
        len = (int)sizeof(line) - 1;
    if (p->next && len >= 0)
        p->next->line(p->next->self, PROCESS_STDERR, line, (size_t)len);
}
