/* programs/transfer_line — see the header. */
#include "programs/transfer_line.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define SHOW_EVERY (200 * NS_PER_MS)

void transfer_line_init(struct transfer_line *t, bool quiet)
{
    *t = (struct transfer_line){
        .what = "", .started = clock_monotonic(), .quiet = quiet || !isatty(STDERR_FILENO)};
}

void transfer_line_begin(struct transfer_line *t, const char *what)
{
    t->what = what;
    t->shown = 0;
    transfer_line_bytes(t, 0);
}

static double seconds_of(const struct transfer_line *t)
{
    const double s = (double)(clock_monotonic() - t->started) / (double)NS_PER_SEC;

    return s > 0.001 ? s : 0.001;
}

static void show(struct transfer_line *t)
{
    const int64_t now = clock_monotonic();
    char done[TEXT_SIZE], rate[TEXT_SIZE];

    if (t->quiet || now - t->shown < SHOW_EVERY)
        return;
    t->shown = now;
    t->visible = true;
    text_size(t->bytes, done);
    text_size((uint64_t)((double)t->bytes / seconds_of(t)), rate);
    fprintf(stderr, "\r\033[K%s: %s, %s/s", t->what, done, rate);
    if (t->rows)
        fprintf(stderr, ", %llu rows", (unsigned long long)t->rows);
}

void transfer_line_bytes(void *self, uint64_t bytes)
{
    struct transfer_line *t = self;

    t->bytes += bytes;
    show(t);
}

void transfer_line_rows(void *self, const char *table, uint64_t rows)
{
    struct transfer_line *t = self;

    (void)table;
    t->rows += rows;
    show(t);
}

void transfer_line_end(struct transfer_line *t)
{
    if (t->visible)
        fprintf(stderr, "\r\033[K");
    t->visible = false;
}

void transfer_line_sum(const struct transfer_line *t, char text[TRANSFER_TEXT])
{
    char done[TEXT_SIZE], rate[TEXT_SIZE];

    text_size(t->bytes, done);
    text_size((uint64_t)((double)t->bytes / seconds_of(t)), rate);
    (void)snprintf(text, TRANSFER_TEXT, "%s in %.0f s, %s/s", done, seconds_of(t), rate);
}
