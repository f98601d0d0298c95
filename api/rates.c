/* api/rates — who asks too much, or tries too many keys, gets 429 with Retry-After.
 *
 * Once an address has used up its refused logins, keys that are new from there are not looked at
 * for a while.  Those that were good there within the hour are, so that one wrong key does not shut
 * out everybody behind the same NAT. */
#include <string.h>

#include "api/call.h"
#include "api/limiter.h"
#include "api/metrics.h"

#define REMEMBER (3600 * NS_PER_SEC)

static void refuse(struct api_call *c, enum limit limit, int64_t wait, const char *who)
{
    char seconds[24];

    (void)snprintf(seconds, sizeof(seconds), "%lld",
                   (long long)((wait + NS_PER_SEC - 1) / NS_PER_SEC));
    api_refuse(c->resp, 429, "too_many_requests",
               "%s. Wait %s s, and ask less often; the operator can raise the limit.", who,
               seconds);
    api_response_header(c->resp, "Retry-After", seconds);
    metrics_note_limited(limit);
}

bool api_rate_address(struct api_call *c)
{
    unsigned char bits[ADDRESS_BITS];
    int64_t wait;

    address_of_client(&c->req->address, bits);
    if (limiter_take(c->config->limiter, LIMIT_ADDRESS, bits, sizeof(bits), clock_monotonic(),
                     &wait))
        return true;
    refuse(c, LIMIT_ADDRESS, wait, "Too many requests without a key come from this address");
    return false;
}

bool api_rate_key(struct api_call *c)
{
    const int64_t now = clock_monotonic();
    int64_t wait;

    if (!limiter_take(c->config->limiter, LIMIT_KEY, c->key.id, strlen(c->key.id), now, &wait))
        refuse(c, LIMIT_KEY, wait, "Too many requests come with this API key");
    else if (*c->key.workspace &&
             !limiter_take(c->config->limiter, LIMIT_WORKSPACE, c->key.workspace,
                           strlen(c->key.workspace), now, &wait))
        refuse(c, LIMIT_WORKSPACE, wait, "Too many requests come for this workspace");
    else
        return true;
    return false;
}

/* ---- logins ---- */

struct login {
    unsigned char address[ADDRESS_BITS];
    char secret[128];
};

static size_t login_of(const struct api_call *c, const char *secret, struct login *ret)
{
    memset(ret, 0, sizeof(*ret));
    address_of_client(&c->req->address, ret->address);
    (void)snprintf(ret->secret, sizeof(ret->secret), "%s", secret);
    return sizeof(*ret);
}

bool api_login_may_try(struct api_call *c, const char *secret)
{
    const int64_t now = clock_monotonic();
    struct login login;
    const size_t len = login_of(c, secret, &login);
    int64_t wait;

    if (limiter_has(c->config->limiter, LIMIT_LOGIN, login.address, sizeof(login.address), now,
                    &wait) ||
        limiter_remembers(c->config->limiter, &login, len, now))
        return true;
    refuse(c, LIMIT_LOGIN, wait, "Too many wrong keys came from this address");
    return false;
}

void api_login_passed(struct api_call *c, const char *secret)
{
    struct login login;
    const size_t len = login_of(c, secret, &login);

    limiter_remember(c->config->limiter, &login, len, clock_monotonic(), REMEMBER);
}

void api_login_refused(struct api_call *c)
{
    unsigned char bits[ADDRESS_BITS];
    int64_t wait;

    c->login_refused = true;
    address_of_client(&c->req->address, bits);
    (void)limiter_take(c->config->limiter, LIMIT_LOGIN, bits, sizeof(bits), clock_monotonic(),
                       &wait);
}
