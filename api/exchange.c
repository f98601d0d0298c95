/* api/exchange — see the header. */
#include "api/exchange.h"

#include <string.h>

#include "api/metrics.h"

struct exchange *exchange_new(const struct api_config *config, const char *target,
                              int64_t slow_after)
{
    struct exchange *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->config = config;
    x->body = (struct buf)BUF_INIT(EXCHANGE_OPEN_MAX);
    x->resp = (struct api_response)API_RESPONSE_INIT;
    x->started = clock_monotonic();
    x->slow_after = slow_after;
    /* Told in exchange_begin: there is nobody to tell yet. */
    if (api_request_target(&x->req, target, &x->target_error) < 0 &&
        x->target_error.kind == ERR_NONE)
        x->target_error.kind = ERR_SYSTEM;
    return x;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    receive_free(x->receipt);
    buf_release(&x->body);
    api_response_release(&x->resp);
    api_request_release(&x->req);
    free(x);
}

static void refuse_large_body(struct exchange *x)
{
    api_refuse(
        &x->resp, 413, "body_too_large",
        "The body is larger than the %zu bytes that this URL takes. Archives go to the upload "
        "URL.",
        x->body.max);
}

/* The answer is known; what still comes is thrown away. */
static void refuse(struct exchange *x)
{
    x->refused = true;
    x->refused_at = x->received;
    buf_release(&x->body);
    receive_free(TAKE(x->receipt));
}

static const struct route *find_route(struct exchange *x)
{
    struct api_response unused = API_RESPONSE_INIT;
    struct api_call c = {.config = x->config, .req = &x->req, .resp = &unused};
    const struct route *route = api_route_find(&c);

    api_response_release(&unused);
    return route;
}

/* Much memory is only for who has a key. */
static bool admit_large_body(struct exchange *x, const struct route *route)
{
    struct api_call c = {.config = x->config, .req = &x->req, .resp = &x->resp, .route = route};
    struct error err = ERROR_INIT;
    bool allowed = false;

    if (api_authorize(&c, &allowed, &err) < 0)
        api_refuse_error(&x->resp, &err);
    if (allowed)
        x->body.max = route->body_max ? route->body_max : EXCHANGE_BODY_MAX;
    return allowed;
}

/* Or may become so. */
static bool is_large(const struct exchange_head *head)
{
    return head->chunked || (head->length && *head->length > EXCHANGE_OPEN_MAX);
}

static void refuse_target(struct exchange *x)
{
    if (x->target_error.kind == ERR_LIMIT)
        api_refuse(&x->resp, 414, "url_too_long",
                   "The URL may have %d bytes, %d parts and %d parameters. Make it shorter.",
                   API_TARGET_MAX, API_SEGMENTS_MAX, API_PARAMS_MAX);
    else
        api_refuse_error(&x->resp, &x->target_error);
}

static bool judge_head(struct exchange *x, const struct exchange_head *head)
{
    const struct route *route;

    if (x->target_error.kind != ERR_NONE) {
        refuse_target(x);
        return false;
    }
    if (head->headers > EXCHANGE_HEADERS_MAX) {
        api_refuse(&x->resp, 431, "too_many_headers",
                   "The request has %u headers, of %d that it may have. Send fewer.", head->headers,
                   EXCHANGE_HEADERS_MAX);
        return false;
    }
    if (head->ambiguous) {
        api_refuse(&x->resp, 400, "ambiguous_length",
                   "The request says its length twice. Send one Content-Length, or "
                   "Transfer-Encoding: chunked.");
        return false;
    }
    route = x->route = find_route(x);
    if (route && !route->open && is_large(head) && !admit_large_body(x, route))
        return false;
    if (route && route->streams) {
        struct api_call c = {.config = x->config, .req = &x->req, .resp = &x->resp};

        if (!api_rate_address(&c))
            return false;
        x->receipt = receive_begin(x->config, &x->req, head->length, &x->resp);
        return x->receipt != NULL;
    }
    if (head->length && *head->length > x->body.max) {
        refuse_large_body(x);
        return false;
    }
    return true;
}

bool exchange_begin(struct exchange *x, const struct exchange_head *head)
{
    x->begun = true;
    x->req.method = head->method;
    if (judge_head(x, head))
        return true;
    refuse(x);
    return false;
}

/* Who sends a byte now and then would hold a connection for ever (the idle timeout never fires). */
static bool is_too_slow(const struct exchange *x)
{
    int64_t elapsed = clock_monotonic() - x->started;

    return elapsed > x->slow_after &&
           x->received < (uint64_t)(elapsed / NS_PER_SEC) * EXCHANGE_RATE_MIN;
}

bool exchange_data(struct exchange *x, const void *data, size_t len)
{
    x->received += len;
    if (is_too_slow(x)) {
        metrics_note_connections(CONNECTION_TOO_SLOW, 1);
        return false;
    }
    if (x->refused)
        return x->received - x->refused_at <= EXCHANGE_DRAIN_MAX;
    if (x->receipt) {
        if (!receive_data(x->receipt, data, len, &x->resp))
            refuse(x);
        return true;
    }
    buf_add(&x->body, data, len);
    if (x->body.full) {
        refuse_large_body(x);
        refuse(x);
    }
    return true;
}

static void audit_upload(struct exchange *x)
{
    struct api_call c = {.config = x->config, .req = &x->req, .resp = &x->resp};

    if (api_route_find(&c))
        api_audit(&c);
}

void exchange_end(struct exchange *x)
{
    if (x->refused)
        return;
    if (x->receipt) {
        receive_end(x->receipt, &x->resp);
        audit_upload(x);
        return;
    }
    x->req.body = x->body.data;
    x->req.body_len = x->body.len;
    api_handle(x->config, &x->req, &x->resp);
}

/* Only what is visible ASCII, and not too much of it: the line must stay one line. */
static void copy_plain(const char *from, char *to, size_t size)
{
    size_t n = 0;

    for (; from && *from && n + 1 < size; from++) {
        to[n] = *from;
        if (*from <= 0x20 || *from >= 0x7f)
            to[n] = '?';
        n++;
    }
    to[n] = '\0';
}

static void tell(const struct exchange *x, const struct note_request *r, bool lost)
{
    char status[8], line[512];
    const struct note note = {.line = line, .workspace = x->resp.workspace, .request = r};

    (void)snprintf(status, sizeof(status), "%d", r->status);
    (void)snprintf(line, sizeof(line), "%s %s %s %llu/%llu B %lld ms %s%s", r->method, r->path,
                   r->status ? status : "-", (unsigned long long)r->received,
                   (unsigned long long)r->sent, (long long)r->ms,
                   x->resp.workspace[0] ? x->resp.workspace : "-",
                   lost ? " (connection lost)" : "");
    x->config->log(x->config->log_self, &note);
}

void exchange_log(const struct exchange *x, bool lost)
{
    const int64_t ns = clock_monotonic() - x->started;
    char method[24], path[300];
    const struct note_request request = {
        .method = x->req.method && *x->req.method ? method : "-",
        .path = path,
        .address = x->req.address.text,
        .key = x->resp.key,
        .status = x->resp.status,
        .received = x->received,
        .sent = x->sent,
        .ms = ns / NS_PER_MS,
    };

    if (!x->config->operators)
        metrics_note_request(x->route, x->resp.status, ns);
    copy_plain(x->req.method, method, sizeof(method));
    copy_plain(x->req.path, path, sizeof(path));
    if (x->config->log)
        tell(x, &request, lost);
}
