/* builder/jail_routes — which addresses a jail's network reaches, by routes in it.
 *
 * Nobody in the jail has the right to change them (CAP_NET_ADMIN).  A route of type "prohibit"
 * answers EACCES to whoever connects there (rtnetlink(7)), and the most specific route counts:
 *
 *   NAT    everything by slirp4netns' default route; private networks refused; the routes of the
 *          specification allowed; the host's and the clouds' addresses refused
 *   LIST   everything refused; the routes of the specification allowed; the same refused again
 *
 * A route tells addresses apart and not ports.  IPv6 is refused as a whole: slirp4netns does not
 * carry it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"
#include "builder/jail_inside.h"

#define SLIRP_GATEWAY "10.0.2.2"

struct net {
    const char *address;
    unsigned char bits;
};

static const struct net private_nets[] = {
    {"10.0.0.0", 8},     /* RFC 1918 */
    {"172.16.0.0", 12},  /* likewise */
    {"192.168.0.0", 16}, /* likewise */
    {"100.64.0.0", 10},  /* RFC 6598, behind carriers' NAT; also clouds' inner services */
};

static const struct net never[] = {
    {"169.254.0.0", 16},     /* link-local, RFC 3927: metadata of AWS, GCP, Azure, … */
    {"100.100.100.200", 32}, /* metadata of Alibaba Cloud */
    {"168.63.129.16", 32},   /* Azure's wire server */
    {"192.0.0.192", 32},     /* metadata of Oracle Cloud, as RFC 6890 forgot */
};

/* ---- one route ---- */

struct request {
    struct nlmsghdr head;
    struct rtmsg route;
    struct {
        struct rtattr head;
        uint32_t value;
    } attributes[2];
};

static int ask(int fd, struct request *r, size_t attributes, struct error *err)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr verdict;
    } answer = {.verdict.error = -EPROTO};

    r->head =
        (struct nlmsghdr){.nlmsg_type = RTM_NEWROUTE,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE};
    r->head.nlmsg_len =
        (uint32_t)(offsetof(struct request, attributes) + attributes * sizeof(r->attributes[0]));
    r->route.rtm_table = RT_TABLE_MAIN;
    r->route.rtm_protocol = RTPROT_STATIC;
    r->route.rtm_scope = RT_SCOPE_UNIVERSE;
    if (send(fd, r, r->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), MSG_TRUNC) < 0)
        return error_errno(err, errno, "add a route");
    if (answer.head.nlmsg_type != NLMSG_ERROR || answer.verdict.error != 0)
        return error_errno(err, -answer.verdict.error, "add a route");
    return 0;
}

static void add_attribute(struct request *r, size_t i, unsigned short type, uint32_t value)
{
    r->attributes[i].head = (struct rtattr){.rta_len = RTA_LENGTH(sizeof(value)), .rta_type = type};
    r->attributes[i].value = value;
}

/* In network order. */
static int refuse(int fd, uint32_t address, unsigned char bits, struct error *err)
{
    struct request r = {.route = {.rtm_family = AF_INET, .rtm_dst_len = bits}};

    r.route.rtm_type = RTN_PROHIBIT;
    add_attribute(&r, 0, RTA_DST, address);
    return ask(fd, &r, 1, err);
}

static int allow(int fd, uint32_t address, unsigned char bits, struct error *err)
{
    struct request r = {.route = {.rtm_family = AF_INET, .rtm_dst_len = bits}};

    r.route.rtm_type = RTN_UNICAST;
    add_attribute(&r, 0, RTA_DST, address);
    add_attribute(&r, 1, RTA_GATEWAY, inet_addr(SLIRP_GATEWAY));
    return ask(fd, &r, 2, err);
}

/* A kernel without IPv6 has nothing to refuse. */
static int refuse_ipv6(int fd, struct error *err)
{
    struct request r = {.route = {.rtm_family = AF_INET6, .rtm_type = RTN_PROHIBIT}};
    CLEANUP_CLOSE int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return probe < 0 ? 0 : ask(fd, &r, 0, err);
}

/* ---- all of them ---- */

static int refuse_all(int fd, const struct net *nets, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (refuse(fd, inet_addr(nets[i].address), nets[i].bits, err) < 0)
            return error_wrap(err, "refuse %s", nets[i].address);
    return 0;
}

/* "10.1.0.0/16" */
static int allow_word(int fd, const char *word, struct error *err)
{
    const char *slash = strchr(word, '/');
    char address[INET_ADDRSTRLEN];
    struct in_addr in;
    uint64_t bits;

    (void)snprintf(address, sizeof(address), "%.*s", (int)strcspn(word, "/"), word);
    if (!slash || !text_to_u64(slash + 1, 32, &bits) || inet_pton(AF_INET, address, &in) != 1)
        return error_set(err, ERR_SYSTEM, "allow %s: not a network", word);
    if (allow(fd, in.s_addr, (unsigned char)bits, err) < 0)
        return error_wrap(err, "allow %s", word);
    return 0;
}

int jail_routes_set(const struct jail_spec *spec, const struct jail_addresses *own,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const size_t n_private = sizeof(private_nets) / sizeof(private_nets[0]);
    int result;

    if (fd < 0)
        return error_errno(err, errno, "open a netlink socket");
    if (spec->net == JAIL_NET_LIST)
        result = refuse(fd, INADDR_ANY, 0, err);
    else
        result = refuse_all(fd, private_nets, n_private, err);
    if (result < 0 || refuse_ipv6(fd, err) < 0)
        return error_wrap(err, "close the jail's network");
    for (size_t i = 0; i < spec->routes.n; i++)
        if (allow_word(fd, spec->routes.v[i], err) < 0)
            return -1;
    if (refuse_all(fd, never, sizeof(never) / sizeof(never[0]), err) < 0)
        return -1;
    for (size_t i = 0; i < own->n; i++)
        if (refuse(fd, own->v[i], 32, err) < 0)
            return error_wrap(err, "refuse the host's address");
    return 0;
}
