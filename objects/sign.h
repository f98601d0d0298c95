/* objects/sign — AWS Signature Version 4, of a request's headers and of a presigned URL.
 *
 * "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference. */
#ifndef OBJECTS_SIGN_H
#define OBJECTS_SIGN_H

#include "objects/objects.h"

#define SIGN_UNSIGNED "UNSIGNED-PAYLOAD"

struct sign_key { /* borrowed */
    const struct objects_credentials *credentials;
    const char *region;
};

struct sign_request { /* borrowed */
    const char *method;
    const char *host;           /* as the Host header says it */
    const char *path;           /* encoded */
    const struct argv *query;   /* "name=value", both encoded; NULL: none */
    const struct argv *headers; /* "name: value", names in lower case; all are signed */
    const char *payload;        /* SHA-256 of the body in hex, or SIGN_UNSIGNED */
    int64_t now;                /* seconds since 1970 */
};

/* Adds x-amz-date, x-amz-content-sha256, the session's token and Authorization to out. */
MUST_CHECK int sign_headers(const struct sign_key *key, const struct sign_request *r,
                            struct argv *out, struct error *err);

/* Appends the query of a URL that is good for so many seconds. */
MUST_CHECK int sign_query(const struct sign_key *key, const struct sign_request *r, int64_t seconds,
                          struct buf *out, struct error *err);

/* Appends text with all but [A-Za-z0-9._~-] as %XX; slash too unless keep_slash. */
void sign_encode(const char *text, bool keep_slash, struct buf *out);

#endif
