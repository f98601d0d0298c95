/* api/links — URLs that Kiln hands out. */
#include <string.h>

#include "api/call.h"

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
        buf_addf(out, "http://%s", c->req->headers[API_HEADER_HOST]);
}

int api_answer_upload_url(struct api_call *c, const struct build *b, struct error *err)
{
    CLEANUP(buf_release) struct buf base = BUF_INIT(1024);
    CLEANUP(buf_release) struct buf url = BUF_INIT(2048);
    struct upload_ticket ticket = {
        .method = "PUT",
        .workspace = b->workspace,
        .object = b->id,
        .expires = c->now / NS_PER_SEC + c->config->upload_seconds,
    };

    api_base_url(c, &base);
    upload_ticket_url(c->config->upload_key, &ticket, buf_str(&base), &url);
    if (buf_check(&base, "the public URL", err) < 0 || buf_check(&url, "an upload URL", err) < 0)
        return error_wrap(err, "make an upload URL");
    api_response_header(c->resp, "X-Blaxel-Upload-Url", buf_str(&url));
    return 0;
}
