/* api/version — the dated versions of the API that clients ask for (PROTOCOL.md 4.2). */
#include <string.h>

#include "api/call.h"

static const struct version {
    const char *name;
    bool enveloped, catalog;
} versions[] = {
    {"2026-04-16", false, false}, /* what a client without the header gets */
    {"2026-04-28", true, false},
    {"2026-09-22", true, true},
};

bool api_negotiate(struct api_call *c)
{
    const char *asked = c->req->headers[API_HEADER_VERSION];

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (!asked || !*asked || strcmp(asked, versions[i].name) == 0) {
            c->enveloped = versions[i].enveloped;
            c->catalog = versions[i].catalog;
            return true;
        }
    }
    api_refuse(c->resp, 400, "invalid_api_version",
               "This Blaxel-Version is not known. Send 2026-09-22, 2026-04-28, or 2026-04-16 for "
               "lists without an envelope.");
    return false;
}
