/* api/log_query — see the header.
 *
 * start and end choose the build, and end also cuts its log.  start does not: the CLI's watcher
 * starts after the upload, or when it first saw BUILDING, and still wants the lines from before
 * (PROTOCOL.md 1.4).  A build that was over a little before start counts, too, as its end is shown
 * late (worker/status.c) and clients' clocks differ from ours. */
#include "api/log_query.h"

#include <string.h>
#include <strings.h>

#define LIMIT_DEFAULT   1000
#define ANSWER_TEXT_MAX (32u << 20) /* bytes of log text in one JSON answer */
#define GRACE           (15 * 60 * NS_PER_SEC)

/* ---- severity ---- */

/* OpenTelemetry's severity numbers: four for each name. */
static const struct {
    const char *name;
    int from, to;
} severities[] = {
    {"UNKNOWN", 0, 0},   {"TRACE", 1, 4},  {"DEBUG", 5, 8},   {"INFO", 9, 12},
    {"WARNING", 13, 16}, {"WARN", 13, 16}, {"ERROR", 17, 20}, {"FATAL", 21, 24},
};

static bool is_word(const char *word, const char *text, size_t len)
{
    return strlen(word) == len && strncasecmp(word, text, len) == 0;
}

static void add_severity(struct log_query *q, const char *name, size_t len)
{
    if (is_word("all", name, len))
        q->all = true;
    for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
        if (is_word(severities[i].name, name, len))
            for (int n = severities[i].from; n <= severities[i].to; n++)
                q->levels |= 1u << n;
}

static void read_severity(struct log_query *q, const char *list)
{
    q->all = !*list;
    while (*list) {
        size_t len = strcspn(list, ",");

        add_severity(q, list, len);
        list += len + (list[len] == ',');
    }
}

/* ---- what Kiln's lines never have ---- */

/* All lines are a build's: of other types there are none. */
static bool has_build_type(const char *list)
{
    bool found = !*list;

    while (*list && !found) {
        size_t len = strcspn(list, ",");

        found = is_word("all", list, len) || is_word("build", list, len);
        list += len + (list[len] == ',');
    }
    return found;
}

static bool asks_for_nothing(const struct api_call *c)
{
    return !has_build_type(api_request_text(c->req, "type")) ||
           *api_request_text(c->req, "traceId") || *api_request_text(c->req, "taskId") ||
           *api_request_text(c->req, "executionId");
}

/* ---- time ---- */

/* ns: of the moment, or of its last one where it is told in whole seconds.  False: resp holds the
 * refusal. */
static bool read_time(struct api_call *c, const char *name, bool end, int64_t *ns)
{
    const char *text = api_request_text(c->req, name);
    int64_t at;

    if (!*text)
        return true;
    if (!clock_parse(text, &at)) {
        api_refuse(c->resp, 400, "invalid_log_query",
                   "The parameter %s must be a moment such as 2026-01-31T08:09:10 (UTC) or "
                   "2026-01-31T08:09:10.5+01:00, with + written as %%2B.",
                   name);
        return false;
    }
    *ns = end && !strchr(text, '.') ? at + NS_PER_SEC - 1 : at;
    return true;
}

/* ---- the whole ---- */

int log_query_read(struct api_call *c, struct log_query *ret, bool *ret_good, struct error *err)
{
    struct log_query q = {.build = api_request_text(c->req, "build"),
                          .until = INT64_MAX,
                          .text = api_request_text(c->req, "search")};
    uint64_t offset = 0, interval = 0;
    uint64_t limit = LIMIT_DEFAULT;

    /* interval is for counts over time, which there are none of. */
    if (api_request_number(c->req, "offset", INT32_MAX, &offset, err) < 0 ||
        api_request_number(c->req, "limit", INT32_MAX, &limit, err) < 0 ||
        api_request_number(c->req, "interval", INT32_MAX, &interval, err) < 0)
        return -1;
    *ret_good = read_time(c, "start", false, &q.since) && read_time(c, "end", true, &q.until);
    q.offset = (int64_t)offset;
    q.limit = limit < LOG_LIMIT_MAX ? (int64_t)limit : LOG_LIMIT_MAX;
    q.nothing = asks_for_nothing(c);
    read_severity(&q, api_request_text(c->req, "severity"));
    *ret = q;
    return 0;
}

bool log_query_passes(const struct log_query *q, const struct log_line *l)
{
    unsigned level = (unsigned)l->severity;

    return !q->nothing && l->time <= q->until &&
           (q->all || (level < 32 && (q->levels >> level & 1))) &&
           (!*q->text || strstr(l->text, q->text));
}

bool log_query_passes_all(const struct log_query *q)
{
    return !q->nothing && q->until == INT64_MAX && q->all && !*q->text;
}

static int find_build(struct api_call *c, const struct log_query *q, const struct target *t,
                      enum presence *ret_presence, struct build *ret, struct error *err)
{
    const int64_t until = q->until < INT64_MAX - GRACE ? q->until + GRACE : INT64_MAX;

    if (!*q->build)
        return state_build_newest_between(c->config->state, t, q->since - GRACE, until,
                                          ret_presence, ret, err);
    if (state_build_get(c->config->state, q->build, ret_presence, ret, err) < 0)
        return -1;
    if (*ret_presence == PRESENT &&
        (strcmp(ret->workspace, t->workspace) != 0 || strcmp(ret->type, t->type) != 0 ||
         strcmp(ret->name, t->name) != 0))
        *ret_presence = ABSENT;
    return 0;
}

int log_query_build(struct api_call *c, const struct log_query *q, const struct target *t,
                    enum presence *ret_presence, struct build *ret, struct error *err)
{
    if (find_build(c, q, t, ret_presence, ret, err) < 0)
        return -1;
    if (*ret_presence == ABSENT || !ret->uploaded ||
        status_is_final(build_status(ret, ret->purpose, c->now)))
        return 0;
    return state_build_log_read(c->config->state, ret->id, err);
}

/* ---- one page of lines as JSON ---- */

struct page {
    const struct log_query *q;
    int64_t matched; /* lines that passed */
    size_t bytes;
    json_t *lines;
    int bad;
};

static void add_line(void *self, const struct log_line *l)
{
    struct page *p = self;

    if (!log_query_passes(p->q, l))
        return;
    p->matched++;
    if (p->matched <= p->q->offset || p->matched > p->q->offset + p->q->limit ||
        p->bytes > ANSWER_TEXT_MAX)
        return;
    p->bytes += strlen(l->text);
    p->bad |= json_array_append_new(
        p->lines, json_pack("{s:o, s:s, s:i, s:s}", "timestamp", api_json_time(l->time), "message",
                            l->text, "severity", (int)l->severity, "trace_id", ""));
}

int log_query_page(struct api_call *c, const struct log_query *q, const struct target *t,
                   bool newest, json_t **ret, struct error *err)
{
    json_auto_t *lines = json_array();
    struct page p = {.q = q, .lines = lines};
    int64_t read_max = log_query_passes_all(q) ? q->offset + q->limit : INT64_MAX;
    int64_t total = 0;
    enum presence presence;
    struct build b;

    if (log_query_build(c, q, t, &presence, &b, err) < 0)
        return -1;
    if (presence == PRESENT &&
        state_log_read(c->config->state, b.id, 0, newest, read_max, add_line, &p, &total, err) < 0)
        return -1;
    *ret = p.bad ? NULL
                 : json_pack("{s:O, s:I}", "logs", lines, "totalCount",
                             (json_int_t)(log_query_passes_all(q) ? total : p.matched));
    return api_json_check(!*ret, err);
}
