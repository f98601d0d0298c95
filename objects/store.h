/* objects/store — what the files of the store share: one request to it, signed, and tried again. */
#ifndef OBJECTS_STORE_H
#define OBJECTS_STORE_H

#include "objects/answer.h"
#include "objects/objects.h"

#define STORE_PREFIX 256
#define STORE_SCHEME "s3://"

struct objects {
    struct objects_config config; /* its texts are those below */
    char url[512], endpoint[256], region[64], ca_file[4096];
    struct objects_credentials credentials;
    char bucket[64];
    char prefix[STORE_PREFIX]; /* "" or "a/b/" */
    char origin[300];          /* "https://host:port" */
    char host[300];            /* as the Host header says it, with the bucket in host style */
    char where[512];
};

/* url.c: whether it may be a key, or a prefix. */
bool store_path_is_valid(const char *path);

struct store_request { /* borrowed */
    const char *method;
    const char *key;            /* below the prefix; NULL: the bucket itself */
    const struct argv *query;   /* "name=value", encoded; NULL: none */
    const struct argv *headers; /* "name: value", names in lower case; NULL: none */
    const void *body;
    size_t body_len;
    const struct http_source *source; /* instead of body */
    const char *payload;              /* SHA-256 of either in hex; NULL: of no body */
    const struct http_sink *sink;     /* then there is one try, for who knows what arrived */
};

/* The last answer, whatever its status.  -1: there was none. */
MUST_CHECK int store_exchange(struct objects *o, const struct store_request *r,
                              struct http_response *resp, struct error *err);

/* What an answer that is none of the expected ones means.  Returns -1. */
int store_refused(const struct objects *o, const struct http_response *resp, struct error *err);

/* "https://host/bucket/prefix/key"; *ret_path: where the path begins in it. */
MUST_CHECK int store_url(const struct objects *o, const char *key, struct buf *ret,
                         size_t *ret_path, struct error *err);

/* Whether the answer has that code. */
bool store_says(const struct http_response *resp, const char *code);

/* Seconds between the moment (since 1970; 0: not known) and the answer's Date: never below 0. */
int64_t store_age(const struct http_response *resp, int64_t moment);

/* An HTTP date (RFC 9110, 5.6.7, the form that is sent) in seconds since 1970; 0 when it is none.
 */
int64_t store_date(const char *text);

#endif
