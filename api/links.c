/* api/links — URLs that Kiln hands out. */
#include <string.h>

#include "api/call.h"
#include "base/text.h"

/* A Host header goes into URLs, so it must be nothing but a host and a port. */
static bool host_is_plain(const char *host)
{
    size_t len = strlen(host);

    return len > 0 && len < 256 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
               len;
}

bool api_check_host(struct api_call *c)
{
    const char *host = c->req->headers[API_HEADER_HOST];

    if (c->config->public_url || (host && host_is_plain(host)))
        return true;
    api_refuse(c->resp, 400, "invalid_host",
               "The Host header must name this server, such as \"127.0.0.1:8080\": the URLs in the "
               "answer are made from it.");
    return false;
}

void api_base_url(struct api_call *c, struct buf *out)
{
    if (c->config->public_url)
        buf_adds(out, c->config->public_url);
    else
        buf_addf(out, "http%s://%s", c->config->tls_key ? "s" : "",
                 c->req->headers[API_HEADER_HOST]);
}

/* ---- uploads ---- */

#define LABEL     "x-blaxel-build" /* what clients repeat in the PUT: PROTOCOL.md 1.9 */
#define LABEL_MAX 64               /* bytes of a value */

/* A header could not hold the others. */
static bool is_label(const char *name, const char *value)
{
    return text_starts(name, LABEL) && strlen(name) <= LABEL_MAX &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0' && value &&
           strlen(value) <= LABEL_MAX && *value && !text_has_control(value, strlen(value)) &&
           value[0] != ' ' && value[strlen(value) - 1] != ' ';
}

/* Of an image in "labels", of a resource in "metadata.labels". */
static void add_labels(struct api_call *c, struct argv *out)
{
    json_auto_t *body = api_body(c);
    json_t *labels = json_object_get(body, "labels");
    const char *name;
    json_t *value;

    if (!labels)
        labels = json_object_get(json_object_get(body, "metadata"), "labels");
    json_object_foreach (labels, name, value)
        if (is_label(name, json_string_value(value)))
            argv_pushf(out, "%s: %s", name, json_string_value(value));
}

static int presign(struct api_call *c, const struct build *b, struct buf *url, struct error *err)
{
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;

    add_labels(c, &labels);
    if (labels.failed)
        return error_set(err, ERR_SYSTEM, "make an upload URL: out of memory");
    return upload_store_presign(c->config->uploads, b->id, c->config->upload_seconds, &labels, url,
                                err);
}

/* A URL of this server's. */
static int make_ticket(struct api_call *c, const struct build *b, struct buf *url,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf base = BUF_INIT(1024);
    struct state_upload_keys keys;
    struct upload_ticket ticket = {
        .method = "PUT",
        .workspace = b->workspace,
        .object = b->id,
        .expires = c->now / NS_PER_SEC + c->config->upload_seconds,
    };

    if (state_upload_keys(c->config->state, &keys, err) < 0)
        return -1;
    api_base_url(c, &base);
    upload_ticket_url(keys.current, &ticket, buf_str(&base), url);
    return buf_check(&base, "the public URL", err) < 0 ? -1 : buf_check(url, "an upload URL", err);
}

int api_answer_upload_url(struct api_call *c, const struct build *b, struct error *err)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(8192);

    if ((upload_store_remote(c->config->uploads) ? presign : make_ticket)(c, b, &url, err) < 0)
        return error_wrap(err, "make an upload URL");
    api_response_header(c->resp, "X-Blaxel-Upload-Url", buf_str(&url));
    return 0;
}
