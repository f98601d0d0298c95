/* builder/address — see the header. */
#include "builder/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

struct v4_net {
    uint32_t address;
    uint32_t mask;
};

static bool v4_is_in(uint32_t a, const struct v4_net *nets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((a & nets[i].mask) == nets[i].address)
            return true;
    return false;
}

static bool v4_is_forbidden(uint32_t a) /* host order */
{
    static const struct v4_net nets[] = {
        {0x00000000, 0xff000000}, /* 0.0.0.0/8: "this host", connects to loopback */
        {0x7f000000, 0xff000000}, /* 127.0.0.0/8 */
        {0xa9fe0000, 0xffff0000}, /* 169.254.0.0/16, RFC 3927 */
        {0x646464c8, 0xffffffff}, /* 100.100.100.200: metadata of Alibaba Cloud */
        {0xa83f8110, 0xffffffff}, /* 168.63.129.16: Azure's wire server */
        {0xc00000c0, 0xffffffff}, /* 192.0.0.192: metadata of Oracle Cloud */
    };

    return v4_is_in(a, nets, sizeof(nets) / sizeof(nets[0]));
}

/* RFC 6890's registry of addresses that are not for everybody. */
static bool v4_is_private(uint32_t a)
{
    static const struct v4_net nets[] = {
        {0x0a000000, 0xff000000}, /* 10.0.0.0/8 */
        {0x64400000, 0xffc00000}, /* 100.64.0.0/10 */
        {0xac100000, 0xfff00000}, /* 172.16.0.0/12 */
        {0xc0000000, 0xffffff00}, /* 192.0.0.0/24 */
        {0xc0000200, 0xffffff00}, /* 192.0.2.0/24 */
        {0xc0a80000, 0xffff0000}, /* 192.168.0.0/16 */
        {0xc6120000, 0xfffe0000}, /* 198.18.0.0/15 */
        {0xc6336400, 0xffffff00}, /* 198.51.100.0/24 */
        {0xcb007100, 0xffffff00}, /* 203.0.113.0/24 */
        {0xe0000000, 0xe0000000}, /* 224.0.0.0/3: multicast, reserved, broadcast */
    };

    return v4_is_in(a, nets, sizeof(nets) / sizeof(nets[0]));
}

/* The IPv4 address that a gateway would send it to: 64:ff9b::/96 (RFC 6052), 2002::/16 (RFC 3056),
 * or the one within it; false without one. */
static bool v6_stands_for(const struct in6_addr *a, uint32_t *ret)
{
    static const unsigned char nat64[12] = {0, 0x64, 0xff, 0x9b};
    bool is_6to4 = a->s6_addr[0] == 0x20 && a->s6_addr[1] == 0x02;

    if (!is_6to4 && !IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_V4COMPAT(a) &&
        memcmp(a->s6_addr, nat64, sizeof(nat64)) != 0)
        return false;
    memcpy(ret, a->s6_addr + (is_6to4 ? 2 : 12), sizeof(*ret));
    *ret = ntohl(*ret);
    return true;
}

static bool v6_is_private(const struct in6_addr *a)
{
    uint32_t v4;

    if (v6_stands_for(a, &v4))
        return v4_is_private(v4) || v4_is_forbidden(v4);
    return (a->s6_addr[0] & 0xfe) == 0xfc || IN6_IS_ADDR_SITELOCAL(a) || IN6_IS_ADDR_MULTICAST(a);
}

static bool v6_is_forbidden(const struct in6_addr *a)
{
    static const unsigned char aws[16] = {0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    uint32_t low;

    if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a)) {
        memcpy(&low, a->s6_addr + 12, sizeof(low));
        return v4_is_forbidden(ntohl(low));
    }
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LINKLOCAL(a) ||
           memcmp(a->s6_addr, aws, sizeof(aws)) == 0;
}

bool address_is_forbidden(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        return v4_is_forbidden(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        return v6_is_forbidden(&in6.sin6_addr);
    }
    return true;
}

bool address_is_private(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof(in));
        return v4_is_private(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof(in6));
        return v6_is_private(&in6.sin6_addr);
    }
    return true;
}

void address_name(const char *authority, char ret[ADDRESS_NAME])
{
    size_t len = strcspn(authority, ":");

    if (authority[0] == '[') {
        authority++;
        len = strcspn(authority, "]");
    }
    (void)snprintf(ret, ADDRESS_NAME, "%.*s", (int)len, authority);
}

bool address_host_is_forbidden(const char *host)
{
    char name[256];
    struct in_addr v4;
    struct in6_addr v6;
    size_t len;

    if (host[0] == '[') { /* "[::1]:5000" */
        len = strcspn(host + 1, "]%");
        if (len >= sizeof(name))
            return true;
        memcpy(name, host + 1, len);
        name[len] = '\0';
        return inet_pton(AF_INET6, name, &v6) != 1 || v6_is_forbidden(&v6);
    }
    len = strcspn(host, ":");
    while (len > 0 && host[len - 1] == '.')
        len--;
    if (len >= sizeof(name))
        return true;
    memcpy(name, host, len);
    name[len] = '\0';
    if (strcasecmp(name, "localhost") == 0 || text_ends(name, ".localhost"))
        return true;
    /* inet_aton knows every spelling that a resolver may accept: 127.1, 0x7f000001, 2130706433. */
    return inet_aton(name, &v4) != 0 && v4_is_forbidden(ntohl(v4.s_addr));
}
