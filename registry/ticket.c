/* registry/ticket — the password of a build that pulls one image from Kiln's own registry:
 * "pull.<workspace>.<seconds since 1970>.<repository>.<HMAC of what is before, in hex>".  Of these
 * only the repository may have dots. */
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

void registry_ticket(const struct es256_key *k, const char *workspace, const char *repository,
                     int64_t until, char ret[REGISTRY_TICKET])
{
    int len = snprintf(ret, REGISTRY_TICKET, PREFIX "%.63s.%lld.%.255s", workspace,
                       (long long)(until / NS_PER_SEC), repository);
    char mac[2 * SHA256_SIZE + 1];

    seal(k, ret, (size_t)len, mac);
    (void)snprintf(ret + len, (size_t)(REGISTRY_TICKET - len), ".%s", mac);
}

/* Copies what is before end, or before the next dot, and returns what is behind it; NULL: there is
 * none, or no room. */
static const char *take(const char *from, const char *end, char *ret, size_t size)
{
    size_t len = end ? (size_t)(end - from) : strcspn(from, ".");

    if (len >= size || !from[len])
        return NULL;
    (void)snprintf(ret, size, "%.*s", (int)len, from);
    return from + len + 1;
}

static bool is_sealed(const struct es256_key *k, const char *text, const char *mac)
{
    char expected[2 * SHA256_SIZE + 1];

    if (!k)
        return false;
    seal(k, text, (size_t)(mac - text), expected);
    return strlen(mac + 1) == strlen(expected) && digest_equal(mac + 1, expected, strlen(expected));
}

bool registry_ticket_check(const struct registry_signer *s, const char *text, int64_t now,
                           char ret_workspace[REGISTRY_WORKSPACE],
                           char ret_repository[REGISTRY_REPOSITORY])
{
    const char *mac = strrchr(text, '.');
    const char *rest = text + strlen(PREFIX);
    char until[24];
    uint64_t seconds;

    if (!mac || !text_starts(text, PREFIX))
        return false;
    if (!is_sealed(registry_signer_key(s), text, mac) &&
        !(s->keys && is_sealed(registry_keys_old(s->keys), text, mac)))
        return false;
    rest = take(rest, NULL, ret_workspace, REGISTRY_WORKSPACE);
    rest = rest && rest < mac ? take(rest, NULL, until, sizeof(until)) : NULL;
    rest = rest && rest < mac ? take(rest, mac, ret_repository, REGISTRY_REPOSITORY) : NULL;
    return rest && *ret_repository &&
           text_to_u64(until, (uint64_t)(INT64_MAX / NS_PER_SEC), &seconds) &&
           (int64_t)seconds >= now / NS_PER_SEC;
}
