/* registry/relay_request — see the header. */
#include "registry/relay_request.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "registry/names.h"

/* What stands behind word at *at, which is moved there. */
static bool skip(const char **at, const char *word)
{
    if (!text_starts(*at, word))
        return false;
    *at += strlen(word);
    return true;
}

static void read_name(const char *at, struct relay_request *ret)
{
    const bool manifest = skip(&at, "/manifests/");
    char name[RELAY_REFERENCE];

    if (!manifest && !skip(&at, "/blobs/"))
        return;
    if (snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, " ?\r\n"), at) >= (int)sizeof(name))
        return;
    if (!registry_digest_is_valid(name) && !(manifest && registry_tag_is_valid(name)))
        return;
    ret->what = manifest ? RELAY_MANIFEST : RELAY_BLOB;
    (void)snprintf(ret->reference, sizeof(ret->reference), "%s", name);
}

void relay_request_read(const char *head, const char *secret, struct relay_request *ret)
{
    *ret = (struct relay_request){.what = RELAY_NOTHING, .head = text_starts(head, "HEAD ")};
    if (!skip(&head, "GET ") && !skip(&head, "HEAD "))
        return;
    if (!skip(&head, "/v2/"))
        return;
    if (*head == ' ')
        ret->what = RELAY_VERSION;
    else if (skip(&head, secret))
        read_name(head, ret);
}
