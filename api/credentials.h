/* api/credentials — the two ways a secret comes in a header (RFC 6750, RFC 7617). */
#ifndef API_CREDENTIALS_H
#define API_CREDENTIALS_H

#include "base/buf.h"

/* The token of "Bearer <token>", NULL if the header is something else. */
const char *api_bearer(const char *header);

/* "Basic <user:password>" taken apart; into text, which holds both.  False: it is none. */
#define API_BASIC_MAX 1024
struct api_basic {
    char text[API_BASIC_MAX];
    const char *user, *password;
};
bool api_basic_read(const char *header, struct api_basic *ret);

#endif
