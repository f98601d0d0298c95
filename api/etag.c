/* api/etag — see the header. */
#include "api/etag.h"

#include <string.h>

#include "base/digest.h"

void etag_of(const void *data, size_t len, char ret[ETAG_SIZE])
{
    char hex[SHA256_HEX];

    digest_sha256_hex(data, len, hex);
    (void)snprintf(ret, ETAG_SIZE, "\"%.16s\"", hex);
}

/* A list of tags, of which weak ones count too, or "*". */
static bool has_it(const struct api_call *c, const char *etag)
{
    const char *tags = c->req->headers[API_HEADER_IF_NONE_MATCH];

    return tags && (strcmp(tags, "*") == 0 || strstr(tags, etag));
}

bool etag_answers(struct api_call *c, const char *etag)
{
    api_response_header(c->resp, "ETag", etag);
    api_response_header(c->resp, "Cache-Control", "no-cache");
    if (!has_it(c, etag))
        return false;
    c->resp->status = 304;
    return true;
}
