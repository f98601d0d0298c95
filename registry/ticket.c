/* registry/ticket — the password of a build that pulls from its workspace's own repositories:
 * "pull.<workspace>.<seconds since 1970>.<HMAC of what is before, in hex>". */
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"
#include "registry/registry.h"

#define PREFIX "pull."

static void seal(const struct es256_key *k, const char *text, size_t len,
                 char ret[2 * SHA256_SIZE + 1])
{
    unsigned char mac[SHA256_SIZE];

    digest_hmac_sha256(es256_secret(k), ES256_SECRET, text, len, mac);
    digest_hex(mac, sizeof(mac), ret);
}

void registry_ticket(const struct es256_key *k, const char *workspace, int64_t until,
                     char ret[REGISTRY_TICKET])
{
    int len = snprintf(ret, REGISTRY_TICKET, PREFIX "%.63s.%lld", workspace,
                       (long long)(until / NS_PER_SEC));
    char mac[2 * SHA256_SIZE + 1];

    seal(k, ret, (size_t)len, mac);
    (void)snprintf(ret + len, (size_t)(REGISTRY_TICKET - len), ".%s", mac);
}

bool registry_ticket_check(const struct es256_key *k, const char *text, int64_t now,
                           char ret_workspace[REGISTRY_WORKSPACE])
{
    const char *mac = strrchr(text, '.');
    char expected[2 * SHA256_SIZE + 1];
    char until[24];
    uint64_t seconds;
    const char *workspace = text + strlen(PREFIX);
    size_t len;

    if (!mac || !text_starts(text, PREFIX))
        return false;
    seal(k, text, (size_t)(mac - text), expected);
    if (strlen(mac + 1) != strlen(expected) || !digest_equal(mac + 1, expected, strlen(expected)))
        return false;
    len = strcspn(workspace, ".");
    if (len >= REGISTRY_WORKSPACE || workspace + len >= mac)
        return false;
    (void)snprintf(until, sizeof(until), "%.*s", (int)(mac - (workspace + len + 1)),
                   workspace + len + 1);
    if (!text_to_u64(until, (uint64_t)(INT64_MAX / NS_PER_SEC), &seconds) ||
        (int64_t)seconds < now / NS_PER_SEC)
        return false;
    (void)snprintf(ret_workspace, REGISTRY_WORKSPACE, "%.*s", (int)len, workspace);
    return true;
}
