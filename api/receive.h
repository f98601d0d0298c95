/* api/receive — an archive on its way from a presigned URL into the upload store.
 *
 *   receive_begin → receive_data… → receive_end → receive_free
 *
 * Each of the first three may refuse: then resp holds the answer, nothing was changed, and the rest
 * of the body is of no interest.  receive_free at any moment forgets what came so far. */
#ifndef API_RECEIVE_H
#define API_RECEIVE_H

#include "api/call.h"

struct receipt;

/* Judges the URL before a byte of the body is read.  length: of the body, if the client said it
 * (NULL otherwise).  NULL: refused. */
struct receipt *receive_begin(const struct api_config *config, const struct api_request *req,
                              const uint64_t *length, struct api_response *resp);
/* False: refused. */
bool receive_data(struct receipt *r, const void *data, size_t len, struct api_response *resp);

/* The body is whole: the build is queued, 200 with an empty body; or it is not, and resp says why.
 */
void receive_end(struct receipt *r, struct api_response *resp);

void receive_free(struct receipt *r);

#endif
