/* dockerfile/dispatch_metadata — EXPOSE, HEALTHCHECK and STOPSIGNAL: what a container's host will
 * be told. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/duration.h"
#include "dockerfile/evaluator.h"
#include "dockerfile/flags.h"
#include "dockerfile/quote.h"

void add_list(struct buf *out, const struct argv *words, bool quoted)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < words->n; i++) {
        if (i)
            buf_addc(out, ' ');
        if (quoted)
            quote_add(out, words->v[i]);
        else
            buf_adds(out, words->v[i]);
    }
    buf_addc(out, ']');
}

/* ---- EXPOSE ---- */

/* The words in byte order, each cut where variables brought white space in. */
static int expand_ports(struct dispatcher *d, struct error *err)
{
    const struct argv *words = &d->step->instruction->words;
    struct arena *arena = &d->e->arena;
    struct argv sorted = {.v = arena_alloc(arena, (words->n + 1) * sizeof(*sorted.v)),
                          .n = words->n};
    struct argv expanded = ARGV_INIT;

    if (!sorted.v)
        return arena_check(arena, err);
    memcpy(sorted.v, words->v, words->n * sizeof(*sorted.v));
    argv_sort(&sorted);
    for (size_t i = 0; i < words->n; i++)
        if (scope_expand_words(&d->e->scope, sorted.v[i], &expanded, err) < 0)
            return -1;
    d->step->words = expanded;
    return 0;
}

static void add_range(struct buf *line, const struct port_range *range)
{
    for (unsigned n = range->first; n <= range->last && !line->full; n++)
        buf_addf(line, "%s%u/%s", line->data[line->len - 1] == '[' ? "" : " ", n,
                 protocol_names[range->protocol]);
}

int dispatch_expose(struct dispatcher *d, struct error *err)
{
    struct ports *ports = own_ports(d->state, &d->e->arena);
    struct buf *line = dispatch_line(d);
    struct port_range range;

    if (!ports)
        return arena_check(&d->e->arena, err);
    if (expand_ports(d, err) < 0)
        return -1;
    buf_adds(line, " [");
    for (size_t i = 0; i < d->step->words.n; i++) {
        if (port_parse(d->step->words.v[i], &range, err) < 0)
            return -1;
        ports_add(ports, &range);
        add_range(line, &range);
    }
    buf_addc(line, ']');
    return dispatch_commit(d, err);
}

/* ---- HEALTHCHECK ---- */

static int64_t interval(const struct dockerfile_instruction *i, const char *flag)
{
    const char *value = flags_value(&i->flags, flag);
    struct error ignored;
    int64_t ns = 0;

    /* That it is one was checked when the file was read. */
    if (!value || !*value || duration_parse(value, &ns, &ignored) < 0)
        return 0;
    return ns;
}

static int read_retries(const struct dockerfile_instruction *i)
{
    const char *value = flags_value(&i->flags, "retries");
    uint64_t n = 0;

    if (value && text_to_u64(value + (*value == '+'), INT32_MAX, &n))
        return (int)n;
    return 0;
}

/* What is tested: NONE, or the command behind CMD or CMD-SHELL. */
static void set_test(struct dispatcher *d, struct argv *test)
{
    const struct dockerfile_instruction *i = d->step->instruction;
    const char *type = strcasecmp(i->words.v[0], "NONE") == 0 ? "NONE"
                       : i->json                              ? "CMD"
                                                              : "CMD-SHELL";

    arena_push(&d->e->arena, test, arena_string(&d->e->arena, type, strlen(type)));
    for (size_t k = 1; k < i->words.n; k++)
        arena_push(&d->e->arena, test, i->words.v[k]);
}

int dispatch_healthcheck(struct dispatcher *d, struct error *err)
{
    struct buf *line = dispatch_line(d);
    const struct dockerfile_instruction *i = d->step->instruction;
    struct dockerfile_health *h = &d->state->config.health;
    bool none = strcasecmp(i->words.v[0], "NONE") == 0;

    *h = (struct dockerfile_health){.retries = 0};
    set_test(d, &h->test);
    d->step->words = h->test;
    if (!none) {
        h->interval = interval(i, "interval");
        h->timeout = interval(i, "timeout");
        h->start_period = interval(i, "start-period");
        h->start_interval = interval(i, "start-interval");
        h->retries = read_retries(i);
    }
    buf_adds(line, " {Test:");
    add_list(line, &h->test, false);
    buf_adds(line, " Interval:");
    duration_add(line, h->interval);
    buf_adds(line, " Timeout:");
    duration_add(line, h->timeout);
    buf_adds(line, " StartPeriod:");
    duration_add(line, h->start_period);
    buf_adds(line, " StartInterval:");
    duration_add(line, h->start_interval);
    buf_addf(line, " Retries:%d}", h->retries);
    return dispatch_commit(d, err);
}

/* ---- STOPSIGNAL ---- */

/* RTMIN+1…RTMIN+15, RTMAX-14…RTMAX-1 */
static bool is_real_time(const char *name)
{
    uint64_t n;

    if (strcmp(name, "RTMIN") == 0 || strcmp(name, "RTMAX") == 0)
        return true;
    if (name[0] == '\0' || (!text_starts(name, "RTMIN+") && !text_starts(name, "RTMAX-")) ||
        name[6] == '0')
        return false;
    return text_to_u64(name + 6, name[5] == '+' ? 15 : 14, &n);
}

static bool is_signal(const char *text)
{
    static const char *const names[] = {
        "ABRT", "ALRM",   "BUS",  "CHLD",   "CLD",   "CONT", "FPE",  "HUP",  "ILL",
        "INT",  "IO",     "IOT",  "KILL",   "PIPE",  "POLL", "PROF", "PWR",  "QUIT",
        "SEGV", "STKFLT", "STOP", "SYS",    "TERM",  "TRAP", "TSTP", "TTIN", "TTOU",
        "URG",  "USR1",   "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", NULL,
    };
    const char *digits = text + (*text == '-' || *text == '+');
    char upper[16] = "";
    uint64_t n;

    if (text_to_u64(digits, INT64_MAX, &n))
        return n != 0;
    for (size_t i = 0; text[i] && i < sizeof(upper) - 1; i++)
        upper[i] = (char)toupper((unsigned char)text[i]);
    if (strlen(text) >= sizeof(upper))
        return false;
    digits = text_starts(upper, "SIG") ? upper + 3 : upper;
    for (size_t i = 0; names[i]; i++)
        if (strcmp(names[i], digits) == 0)
            return true;
    return is_real_time(digits);
}

int dispatch_stopsignal(struct dispatcher *d, struct error *err)
{
    struct buf *line;
    char *text;

    if (dispatch_expand(d, d->step->instruction->words.v[0], &text, err) < 0)
        return -1;
    arena_push(&d->e->arena, &d->step->words, text);
    if (!is_signal(text))
        return error_set(err, ERR_INPUT, "invalid signal: %.200s", text);
    d->state->config.stop_signal = text;
    line = dispatch_line(d);
    buf_addc(line, ' ');
    buf_adds(line, text);
    return dispatch_commit(d, err);
}
