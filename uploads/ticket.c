/* uploads/ticket — what makes a URL good for one PUT of one object of one workspace.
 *
 * The signed text is the four fields, a line each.  None of them can hold a line end, so no two
 * tickets have the same text. */
#include <inttypes.h>

#include "uploads/object_name.h"
#include "uploads/uploads.h"

static bool is_well_formed(const struct upload_ticket *t)
{
    return object_name_is_valid(t->method) && object_name_is_valid(t->workspace) &&
           object_name_is_valid(t->object);
}

/* False when the fields are longer than any real ones. */
static bool sign(const unsigned char key[UPLOAD_KEY_SIZE], const struct upload_ticket *t,
                 char hex[SHA256_HEX])
{
    unsigned char mac[SHA256_SIZE];
    char text[1024];
    int n = snprintf(text, sizeof(text), "%s\n%s\n%s\n%" PRId64 "\n", t->method, t->workspace,
                     t->object, t->expires);

    if (n < 0 || (size_t)n >= sizeof(text))
        return false;
    digest_hmac_sha256(key, UPLOAD_KEY_SIZE, text, (size_t)n, mac);
    digest_hex(mac, sizeof(mac), hex);
    return true;
}

void upload_ticket_url(const unsigned char key[UPLOAD_KEY_SIZE], const struct upload_ticket *t,
                       const char *base, struct buf *out)
{
    char hex[SHA256_HEX];

    /* A caller's mistake must not become a URL that signs something else. */
    if (!is_well_formed(t) || !sign(key, t, hex)) {
        out->full = true;
        return;
    }
    buf_addf(out, "%s/uploads/%s/%s?expires=%" PRId64 "&signature=%s", base, t->workspace,
             t->object, t->expires, hex);
}

enum upload_ticket_verdict upload_ticket_check(const unsigned char key[UPLOAD_KEY_SIZE],
                                               const struct upload_ticket *t, const char *signature,
                                               int64_t now_seconds)
{
    char hex[SHA256_HEX];

    if (!signature || strlen(signature) != SHA256_HEX - 1 || !is_well_formed(t) ||
        !sign(key, t, hex) || !digest_equal(hex, signature, SHA256_HEX - 1))
        return UPLOAD_TICKET_FORGED;
    return now_seconds > t->expires ? UPLOAD_TICKET_EXPIRED : UPLOAD_TICKET_VALID;
}
