/* api/credentials — see the header. */
#include "api/credentials.h"

#include <string.h>
#include <strings.h>

#include "base/digest.h"

/* What follows the scheme's name, whose case does not matter. */
static const char *after(const char *header, const char *scheme)
{
    size_t len = strlen(scheme);

    if (!header || strncasecmp(header, scheme, len) != 0 || header[len] != ' ')
        return NULL;
    return header + len + strspn(header + len, " ");
}

const char *api_bearer(const char *header)
{
    return after(header, "Bearer");
}

bool api_basic_read(const char *header, struct api_basic *ret)
{
    const char *coded = after(header, "Basic");
    CLEANUP(buf_release) struct buf plain = BUF_INIT(API_BASIC_MAX - 1);
    char *colon;

    if (!coded || !digest_unbase64(coded, &plain) || plain.full ||
        memchr(buf_str(&plain), '\0', plain.len))
        return false;
    memcpy(ret->text, buf_str(&plain), plain.len + 1);
    colon = strchr(ret->text, ':');
    if (!colon)
        return false;
    *colon = '\0';
    ret->user = ret->text;
    ret->password = colon + 1;
    return true;
}
