/* api/etag — answers that clients may keep, and ask whether they changed (RFC 9110, 13.1.2). */
#ifndef API_ETAG_H
#define API_ETAG_H

#include "api/call.h"

#define ETAG_SIZE 20 /* with quotes and the NUL */

/* Of bytes; the same for the same bytes. */
void etag_of(const void *data, size_t len, char ret[ETAG_SIZE]);
/* Tells the client the tag, and to ask again every time.  True: it has that already, and resp holds
 * the answer, 304. */
bool etag_answers(struct api_call *c, const char *etag);

#endif
