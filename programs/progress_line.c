/* programs/progress_line — see the header. */
#include "programs/progress_line.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/progress_text.h"

/* What ends soon shows nothing. */
#define SHOW_EVERY    (200 * NS_PER_MS)
#define SHOW_AT_FIRST (500 * NS_PER_MS)
#define TELL_EVERY    (10 * NS_PER_SEC)

static void report(void *self, enum template_phase phase, uint64_t done, uint64_t total)
{
    struct progress_line *p = self;
    const int64_t now = clock_monotonic();
    char text[PROGRESS_TEXT];

    if (now - p->started < (p->terminal ? SHOW_AT_FIRST : TELL_EVERY) ||
        now - p->shown < (p->terminal ? SHOW_EVERY : TELL_EVERY))
        return;
    p->shown = now;
    progress_text(phase, (double)(now - p->started) / (double)NS_PER_SEC, done, total, text);
    if (!p->terminal) {
        fprintf(stderr, "%s: %s\n", p->what, text);
        return;
    }
    p->visible = true;
    fprintf(stderr, "\r\033[K%s: %s", p->what, text);
}

void progress_line_init(struct progress_line *p, const char *what, bool quiet)
{
    *p = (struct progress_line){
        .what = what, .started = clock_monotonic(), .terminal = isatty(STDERR_FILENO)};
    p->progress.self = p;
    if (!quiet)
        p->progress.report = report;
}

const struct template_progress *progress_line_of(const struct progress_line *p)
{
    return p->progress.report ? &p->progress : NULL;
}

void progress_line_end(struct progress_line *p)
{
    if (p->visible)
        fprintf(stderr, "\r\033[K");
    p->visible = false;
}
