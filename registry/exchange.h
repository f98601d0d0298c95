/* registry/exchange — one request to the registry, or as many as it takes. */
#ifndef REGISTRY_EXCHANGE_H
#define REGISTRY_EXCHANGE_H

#include "base/retry.h"
#include "registry/registry.h"

#define REGISTRY_URL_MAX      1024
#define REGISTRY_LOCATION_MAX 4096 /* docker-registry keeps its state in there */

/* One request: every one passes here, and gets its token, as no URL is ever another host's than the
 * registry's (but with a login, which sees to it itself). */
MUST_CHECK int registry_exchange(const struct registry *r, const struct http_request *req,
                                 struct http_response *resp, struct error *err);

/* The same until there is an answer that is not worth another try, or no try is left. */
MUST_CHECK int registry_ask(const struct registry *r, const struct http_request *req,
                            struct http_response *resp, struct error *err);
/* The same for what changes a tag. */
MUST_CHECK int registry_ask_to_tag(const struct registry *r, const struct http_request *req,
                                   struct http_response *resp, struct error *err);

/* token.c: adds the request's headers, and one with a token for what it does. */
MUST_CHECK int registry_authorize(const struct registry *r, const struct http_request *req,
                                  struct argv *headers, struct error *err);

/* login.c: the request as the registry wants it, wherever it leads.  ERR_INPUT: it is refused, for
 * want of credentials, or leads to where it must not. */
MUST_CHECK int registry_login_exchange(const struct registry *r, const struct http_request *req,
                                       struct http_response *resp, struct error *err);

/* An answer that is none of the expected ones: ERR_REMOTE with what it says. */
int registry_unexpected(const struct http_response *resp, struct error *err);

/* ERR_REMOTE when the answer names another digest in Docker-Content-Digest; it need name none. */
MUST_CHECK int registry_check_said_digest(const struct http_response *resp, const char *digest,
                                          struct error *err);

/* ERR_INPUT for names that are none. */
MUST_CHECK int registry_check_blob(const char *repository, const char *digest, struct error *err);

/* Bytes of "scheme://host:port" at the beginning of a URL, 0 when there is none. */
size_t registry_origin_length(const char *url);

/* blobs.c: adds the blob to ret.  ERR_REMOTE also when size, as the manifest has it, is more than
 * that holds. */
MUST_CHECK int registry_read_blob(const struct registry *r, const char *repository,
                                  const char *digest, uint64_t size,
                                  enum registry_presence *ret_presence, struct buf *ret,
                                  struct error *err);

/* blobs.c: reads the last byte of a blob that should be so large.  *ret_size: how large it is,
 * UINT64_MAX where the registry does not say. */
MUST_CHECK int registry_touch_blob(const struct registry *r, const char *repository,
                                   const char *digest, uint64_t size,
                                   enum registry_presence *ret_presence, uint64_t *ret_size,
                                   struct error *err);

/* The URL in the answer's Location, which may leave out the registry's part.  ERR_REMOTE when it is
 * not there, or names another host or scheme: what is sent there is not for others. */
MUST_CHECK int registry_location(const struct registry *r, const struct http_response *resp,
                                 char ret[REGISTRY_LOCATION_MAX], struct error *err);

/* The same of an address that the registry gives, in ret. */
MUST_CHECK int registry_own_url(const struct registry *r, const char *said,
                                char ret[REGISTRY_LOCATION_MAX], struct error *err);

/* ---- another try ---- */

struct registry_tries {
    const struct registry *r;
    int made; /* without progress; whoever sees some sets it to 0 */
};

/* Counts a failed try, and waits for the next: false when there is to be none. */
bool registry_try_again(struct registry_tries *t, const struct http_response *resp);

/* -1 with what came of the last try; or with the news that it was cancelled. */
int registry_give_up(const struct registry *r, const struct error *last, struct error *err);

#endif
