/* registry/exchange — one request to the registry, or as many as it takes. */
#ifndef REGISTRY_EXCHANGE_H
#define REGISTRY_EXCHANGE_H

#include "base/retry.h"
#include "registry/registry.h"

#define REGISTRY_URL_MAX      1024
#define REGISTRY_LOCATION_MAX 4096 /* docker-registry keeps its state in there */

/* One request: every one passes here, and gets its token, as no URL is ever another host's than the
 * registry's. */
MUST_CHECK int registry_exchange(const struct registry *r, const struct http_request *req,
                                 struct http_response *resp, struct error *err);

/* The same until there is an answer that is not worth another try, or no try is left. */
MUST_CHECK int registry_ask(const struct registry *r, const struct http_request *req,
                            struct http_response *resp, struct error *err);

/* token.c: adds the request's headers, and one with a token for what it does. */
MUST_CHECK int registry_authorize(const struct registry *r, const struct http_request *req,
                                  struct argv *headers, struct error *err);

/* An answer that is none of the expected ones: ERR_REMOTE with what it says. */
int registry_unexpected(const struct http_response *resp, struct error *err);

/* ERR_REMOTE when the answer names another digest in Docker-Content-Digest; it need name none. */
MUST_CHECK int registry_check_said_digest(const struct http_response *resp, const char *digest,
                                          struct error *err);

/* ERR_INPUT for names that are none. */
MUST_CHECK int registry_check_blob(const char *repository, const char *digest, struct error *err);

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
