/* The head of a request to the relay: what is understood of it names a manifest or a blob. */
#include <string.h>

#include "base/cleanup.h"
#include "registry/names.h"
#include "registry/relay_request.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    CLEANUP_FREE char *head = strndup((const char *)data, size);
    struct relay_request req;

    if (!head)
        return 0;
    relay_request_read(head, "secret", &req);
    if ((req.what == RELAY_BLOB && !registry_digest_is_valid(req.reference)) ||
        (req.what == RELAY_MANIFEST && !registry_digest_is_valid(req.reference) &&
         !registry_tag_is_valid(req.reference)))
        abort();
    if ((req.what == RELAY_BLOB || req.what == RELAY_MANIFEST) && !strstr(head, "/v2/secret/"))
        abort();
    return 0;
}
