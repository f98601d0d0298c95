/* api/logs — the log of a target's current build, in the two forms of PROTOCOL.md 1.4 and 2.10, or
 * of an earlier one where ?build= names it.
 *
 * "Current" is the newest build that was not cancelled, whatever start the client names: the CLI's
 * start lies after the upload, and lines of an earlier build would be wrong for every client. */
#include <string.h>
#include <strings.h>

#include "api/call.h"

#define LIMIT_DEFAULT   1000
#define LIMIT_MAX       10000
#define WORKLOADS_MAX   16
#define ANSWER_TEXT_MAX (32u << 20) /* bytes of log text in one JSON answer */

/* ---- which lines ---- */

/* OpenTelemetry's severity numbers: four for each name. */
static const struct {
    const char *name;
    int from, to;
} severities[] = {
    {"UNKNOWN", 0, 0},   {"TRACE", 1, 4},  {"DEBUG", 5, 8},   {"INFO", 9, 12},
    {"WARNING", 13, 16}, {"WARN", 13, 16}, {"ERROR", 17, 20}, {"FATAL", 21, 24},
};

struct filter {
    bool all;         /* no severity is asked for */
    unsigned levels;  /* bit n: severity n passes */
    const char *text; /* "" passes all */
};

static void add_severity(struct filter *f, const char *name, size_t len)
{
    if (len == 3 && strncasecmp(name, "all", 3) == 0)
        f->all = true;
    for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++)
        if (strlen(severities[i].name) == len && strncasecmp(severities[i].name, name, len) == 0)
            for (int n = severities[i].from; n <= severities[i].to; n++)
                f->levels |= 1u << n;
}

static struct filter filter_of(const struct api_request *req)
{
    const char *list = api_request_param(req, "severity");
    const char *text = api_request_param(req, "search");
    struct filter f = {.all = !list || !*list, .text = text ? text : ""};

    while (list && *list) {
        size_t len = strcspn(list, ",");

        add_severity(&f, list, len);
        list += len + (list[len] == ',');
    }
    return f;
}

static bool passes(const struct filter *f, const struct log_line *l)
{
    unsigned level = (unsigned)l->severity;

    return (f->all || (level < 32 && (f->levels >> level & 1))) &&
           (!*f->text || strstr(l->text, f->text));
}

static bool passes_all(const struct filter *f)
{
    return f->all && !*f->text;
}

/* ---- one page of lines as JSON ---- */

struct page {
    struct filter filter;
    int64_t offset, limit;
    int64_t matched; /* lines that passed the filter */
    size_t bytes;
    json_t *lines;
    int bad;
};

static void add_line(void *self, const struct log_line *l)
{
    struct page *p = self;

    if (!passes(&p->filter, l))
        return;
    p->matched++;
    if (p->matched <= p->offset || p->matched > p->offset + p->limit || p->bytes > ANSWER_TEXT_MAX)
        return;
    p->bytes += strlen(l->text);
    p->bad |= json_array_append_new(
        p->lines, json_pack("{s:o, s:s, s:i, s:s}", "timestamp", api_json_time(l->time), "message",
                            l->text, "severity", (int)l->severity, "trace_id", ""));
}

/* The build that the request names, if the target has it; without a name the current one. */
static int find_build(struct api_call *c, const struct target *t, enum presence *ret_presence,
                      struct build *ret, struct error *err)
{
    const char *id = api_request_param(c->req, "build");

    if (!id || !*id)
        return state_build_newest(c->config->state, t, ret_presence, ret, err);
    if (state_build_get(c->config->state, id, ret_presence, ret, err) < 0)
        return -1;
    if (*ret_presence == PRESENT &&
        (strcmp(ret->workspace, t->workspace) != 0 || strcmp(ret->type, t->type) != 0 ||
         strcmp(ret->name, t->name) != 0))
        *ret_presence = ABSENT;
    return 0;
}

/* The target's build.  Whoever follows its log is noted while the end is not visible, for
 * build_status to wait for. */
static int current_build(struct api_call *c, const struct target *t, enum presence *ret_presence,
                         struct build *ret, struct error *err)
{
    if (find_build(c, t, ret_presence, ret, err) < 0)
        return -1;
    if (*ret_presence == ABSENT || !ret->uploaded ||
        status_is_final(build_status(ret, ret->purpose, c->now)))
        return 0;
    return state_build_log_read(c->config->state, ret->id, err);
}

/* {"logs":[…],"totalCount":n}; no lines for a target that has no build. */
static int page_json(struct api_call *c, const struct target *t, const struct page *wanted,
                     bool newest, json_t **ret, struct error *err)
{
    json_auto_t *lines = json_array();
    struct page p = *wanted;
    int64_t read_max = passes_all(&p.filter) ? p.offset + p.limit : INT64_MAX;
    int64_t total = 0;
    enum presence presence;
    struct build b;

    p.lines = lines;
    if (current_build(c, t, &presence, &b, err) < 0)
        return -1;
    if (presence == PRESENT &&
        state_log_read(c->config->state, b.id, 0, newest, read_max, add_line, &p, &total, err) < 0)
        return -1;
    *ret = p.bad ? NULL
                 : json_pack("{s:O, s:I}", "logs", lines, "totalCount",
                             (json_int_t)(passes_all(&p.filter) ? total : p.matched));
    return api_json_check(!*ret, err);
}

static int page_of(struct api_call *c, struct page *ret, struct error *err)
{
    uint64_t offset = 0;
    uint64_t limit = LIMIT_DEFAULT;

    if (api_request_number(c->req, "offset", INT32_MAX, &offset, err) < 0 ||
        api_request_number(c->req, "limit", INT32_MAX, &limit, err) < 0)
        return -1;
    ret->filter = filter_of(c->req);
    ret->offset = (int64_t)offset;
    ret->limit = limit < LIMIT_MAX ? (int64_t)limit : LIMIT_MAX;
    return 0;
}

/* ---- GET /v0/observability/logs ---- */

/* The plural that the CLI sends, or the singular. */
static const struct kind *kind_asked(const struct api_call *c)
{
    const char *type = api_request_param(c->req, "resourceType");
    const struct kind *kind = type ? api_kind_of_plural(type) : NULL;

    return kind || !type ? kind : api_kind_of_type(type);
}

static int add_workload(struct api_call *c, const struct kind *kind, const char *name, size_t len,
                        const struct page *page, json_t *answer, struct error *err)
{
    char text[NAME_SIZE];
    struct target t = {c->key.workspace, kind->type, text};
    json_t *logs;

    if (len >= sizeof(text))
        return error_set(err, ERR_INPUT, "workloadIds holds a name longer than %d bytes",
                         NAME_SIZE - 1);
    memcpy(text, name, len);
    text[len] = '\0';
    if (page_json(c, &t, page, true, &logs, err) < 0)
        return -1;
    return api_json_check(json_object_set_new(answer, text, logs), err);
}

static int add_workloads(struct api_call *c, const struct kind *kind, const char *names,
                         json_t *answer, struct error *err)
{
    struct page page = {.lines = NULL};
    int n = 0;

    if (page_of(c, &page, err) < 0)
        return -1;
    while (*names) {
        size_t len = strcspn(names, ",");

        if (n++ == WORKLOADS_MAX)
            return error_set(err, ERR_INPUT, "workloadIds holds more than %d names", WORKLOADS_MAX);
        if (len > 0 && add_workload(c, kind, names, len, &page, answer, err) < 0)
            return -1;
        names += len + (names[len] == ',');
    }
    return 0;
}

int api_get_logs(struct api_call *c, struct error *err)
{
    const char *names = api_request_param(c->req, "workloadIds");
    const struct kind *kind = kind_asked(c);
    json_auto_t *answer = json_object();

    if (!kind || !names || !*names) {
        api_refuse(
            c->resp, 400, "invalid_log_query",
            "Say whose log: workloadIds=<name> and resourceType=sandboxes, agents, functions "
            "or jobs.");
        return 0;
    }
    if (add_workloads(c, kind, names, answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

/* ---- GET /v0/{kind}/{name}/build-logs ---- */

static void add_text(void *self, const struct log_line *l)
{
    struct buf *out = self;

    buf_adds(out, l->text);
    buf_addc(out, '\n');
}

static int answer_text(struct api_call *c, const struct build *b, struct error *err)
{
    int64_t total;

    if (state_log_read(c->config->state, b->id, 0, false, INT64_MAX, add_text, &c->resp->body,
                       &total, err) < 0 ||
        buf_check(&c->resp->body, "the build log", err) < 0)
        return -1;
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "text/plain; charset=utf-8");
    return 0;
}

struct json_lines {
    struct buf *out;
    struct error err; /* the first; ERR_NONE: none */
};

static void add_json_line(void *self, const struct log_line *l)
{
    struct json_lines *j = self;

    if (j->err.kind == ERR_NONE)
        (void)!log_line_json(l, j->out, &j->err);
}

/* The events, after the one whose seq the client has already. */
static int answer_json_lines(struct api_call *c, const struct build *b, struct error *err)
{
    struct json_lines j = {.out = &c->resp->body};
    uint64_t after = 0;
    int64_t total;

    if (api_request_number(c->req, "after", INT32_MAX, &after, err) < 0 ||
        state_log_read(c->config->state, b->id, (int64_t)after, false, INT64_MAX, add_json_line, &j,
                       &total, err) < 0)
        return -1;
    if (j.err.kind != ERR_NONE) {
        *err = j.err;
        return -1;
    }
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "application/jsonl");
    return 0;
}

static int answer_json(struct api_call *c, const struct target *t, struct error *err)
{
    struct page page = {.limit = LIMIT_MAX};
    json_auto_t *answer = NULL;

    if (page_of(c, &page, err) < 0 || page_json(c, t, &page, false, &answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_get_build_logs(struct api_call *c, struct error *err)
{
    struct target t = {c->key.workspace, c->kind->type, c->args[0]};
    const char *accept = c->req->headers[API_HEADER_ACCEPT];
    const char *format = api_request_param(c->req, "format");
    enum presence presence;
    struct build b;

    if (current_build(c, &t, &presence, &b, err) < 0)
        return -1;
    if (presence == ABSENT) {
        api_refuse(
            c->resp, 404, "build not found",
            "No such build of %s %.64s was asked for. Ask for one with POST /v0/%s?upload=true.",
            c->kind->type, t.name, c->kind->plural);
        return 0;
    }
    if (format && strcmp(format, "jsonl") == 0)
        return answer_json_lines(c, &b, err);
    if (accept && strstr(accept, "application/json"))
        return answer_json(c, &t, err);
    return answer_text(c, &b, err);
}
