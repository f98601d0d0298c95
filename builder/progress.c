/* builder/progress — see the header.
 *
 * buildah 1.28 announces an instruction on stdout as "STEP 2/5: RUN make", with "[1/2] " before it
 * when there are several stages, and a RUN that ended without a line end is glued in front of that.
 * A failure is one line on stderr:
 *
 *   Error: building at STEP "RUN make": exit status 2
 *
 * A command that died by a signal has exit status 1 there; the line before it tells the truth:
 *
 *   subprocess exited on killed
 *
 * A RUN can print lines that look like these; it fools the account of its own build, no more. */
#include "builder/progress.h"

#include <ctype.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

static const char *number(const char *s, int *ret)
{
    int n = 0;

    if (!isdigit((unsigned char)*s))
        return NULL;
    for (; isdigit((unsigned char)*s); s++)
        if (n < 1000000)
            n = n * 10 + (*s - '0');
    *ret = n;
    return s;
}

/* "STEP 2/5: " at s; the text behind it, or NULL. */
static const char *step_at(const char *s, int *ret_step, int *ret_steps)
{
    int step;
    int total;

    if (!text_starts(s, "STEP "))
        return NULL;
    s = number(s + 5, &step);
    if (!s || *s != '/')
        return NULL;
    s = number(s + 1, &total);
    if (!s || !text_starts(s, ": "))
        return NULL;
    *ret_step = step;
    *ret_steps = total;
    return s + 2;
}

/* The stage of a "[2/3] " that ends at s, from 0; 0 without one. */
static int stage_before(const char *line, const char *s)
{
    const char *open = s;
    int stage;

    while (open > line && open[-1] != '[' && s - open < 24)
        open--;
    if (open == line || !number(open, &stage) || s - open < 5 || strncmp(s - 2, "] ", 2) != 0)
        return 0;
    return stage > 0 ? stage - 1 : 0;
}

static void follow(struct progress *p, const char *line)
{
    for (const char *s = strstr(line, "STEP "); s; s = strstr(s + 1, "STEP ")) {
        int step;
        int steps;
        const char *text = step_at(s, &step, &steps);

        if (!text)
            continue;
        p->step = step;
        p->steps = steps;
        p->signal = 0;
        p->stage = stage_before(line, s);
        (void)snprintf(p->text, sizeof(p->text), "%s", text);
    }
}

/* Go's names (syscall.Signal.String), which are strsignal's in lower case. */
static int signal_named(const char *name)
{
    for (int s = 1; s < 32; s++)
        if (strcasecmp(name, sigdescr_np(s)) == 0)
            return s;
    return 0;
}

static void note_fault(struct progress *p, const char *line)
{
    const char *at = strstr(line, "Error: ");

    if (text_starts(line, "subprocess exited on ") && p->signal == 0)
        p->signal = signal_named(line + strlen("subprocess exited on "));
    if (*line)
        (void)snprintf(p->last, sizeof(p->last), "%s", line);
    if (at)
        (void)snprintf(p->fault, sizeof(p->fault), "%s", at + 7);
}

/* A copy of line in which "?…" up to a quote, a blank or the end is "?…". */
static void hide_queries(const char *line, struct buf *out)
{
    while (*line) {
        buf_addc(out, *line);
        if (*line++ != '?')
            continue;
        buf_adds(out, "…");
        line += strcspn(line, "\" \t,");
    }
}

static void on_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct progress *p = self;
    CLEANUP(buf_release) struct buf clean = BUF_INIT(2 * len + 16);

    if (p->hide_queries && strstr(text, "://") && strchr(text, '?')) {
        hide_queries(text, &clean);
        text = buf_str(&clean);
        len = clean.len;
    }
    if (stream == PROCESS_STDOUT)
        follow(p, text);
    else
        note_fault(p, text);
    if (p->next)
        p->next->line(p->next->self, stream, text, len);
}

void progress_init(struct progress *p, const struct process_sink *next)
{
    *p = (struct progress){.next = next, .stage = -1};
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

static int exit_code(const char *fault)
{
    const char *at = NULL;
    int code;

    for (const char *s = strstr(fault, "exit status "); s; s = strstr(s + 1, "exit status "))
        at = s;
    return at && number(at + 12, &code) ? code : -1;
}

void progress_read_failure(const struct progress *p, struct builder_failure *ret)
{
    struct builder_failure f = {
        .stage = p->stage, .step = p->step, .steps = p->steps, .exit_code = -1};

    (void)snprintf(f.text, sizeof(f.text), "%s", p->text);
    f.exit_code = p->signal ? 128 + p->signal : exit_code(p->fault);
    *ret = f;
}

bool progress_was_killed(const struct progress *p)
{
    /* the command, or the helper of buildah's that started it */
    return p->signal == SIGKILL || text_ends(p->fault, ": signal: killed");
}
