/* registry/relay_request — what somebody on this machine asks the relay for. */
#ifndef REGISTRY_RELAY_REQUEST_H
#define REGISTRY_RELAY_REQUEST_H

#include <stdbool.h>

#define RELAY_REFERENCE 160 /* a tag or a digest */

struct relay_request {
    enum { RELAY_NOTHING, RELAY_VERSION, RELAY_MANIFEST, RELAY_BLOB } what;
    bool head; /* and not the body */
    char reference[RELAY_REFERENCE];
};

/* Reads the head of an HTTP request, which may be anybody's; the repository is named by secret.
 * RELAY_NOTHING: it asks for nothing that there is. */
void relay_request_read(const char *head, const char *secret, struct relay_request *ret);

#endif
