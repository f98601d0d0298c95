/* api/errors — what a client reads when it does not get what it asked for (PROTOCOL.md 6.4). */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "api/response.h"
#include "base/text.h"

/* Written without a JSON tree, so that running out of memory can be told too.  What is cut in the
 * middle of a character, or was none, loses its high bytes. */
static void add_quoted(struct buf *out, const char *text)
{
    bool utf8 = text_is_utf8(text, strlen(text));

    buf_addc(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '"' || *p == '\\')
            buf_addf(out, "\\%c", *p);
        else if (*p < 0x20)
            buf_addf(out, "\\u%04x", *p);
        else if (*p >= 0x80 && !utf8)
            buf_addc(out, '?');
        else
            buf_addc(out, (char)*p);
    }
    buf_addc(out, '"');
}

void api_refuse(struct api_response *r, int status, const char *code, const char *fmt, ...)
{
    char message[1400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    argv_release(&r->headers);
    buf_clear(&r->body);
    r->status = status;
    buf_addf(&r->body, "{\"code\":%d,\"error\":", status);
    add_quoted(&r->body, code);
    buf_adds(&r->body, ",\"message\":");
    add_quoted(&r->body, message);
    buf_adds(&r->body, "}\n");
    api_response_header(r, "Content-Type", "application/json");
    /* The Go SDK would ask twice more (PROTOCOL.md 2.3), and get the same. */
    if (status == 409)
        api_response_header(r, "x-should-retry", "false");
}

/* Library texts are lower case without a full stop; people read sentences. */
static void refuse_sentence(struct api_response *r, int status, const char *code, const char *text)
{
    api_refuse(r, status, code, "%c%s.", toupper((unsigned char)text[0]), *text ? text + 1 : "");
}

void api_refuse_error(struct api_response *r, const struct error *err)
{
    switch (err->kind) {
    case ERR_INPUT:
        refuse_sentence(r, 400, "invalid_request", err->msg);
        break;
    case ERR_LIMIT:
        refuse_sentence(r, 413, "too_large", err->msg);
        break;
    case ERR_REMOTE:
        api_refuse(r, 502, "bad_gateway",
                   "A service that Kiln depends on did not answer. Try again in a moment; the "
                   "operator's log has the details.");
        break;
    case ERR_NONE:
    case ERR_SYSTEM:
        api_refuse(r, 500, "internal_error",
                   "Kiln could not do this. Try again in a moment; if it stays so, the operator's "
                   "log has the details.");
        break;
    }
}
