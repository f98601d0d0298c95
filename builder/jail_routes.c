/* builder/jail_routes — which addresses a jail's network reaches, by routes in it.
 *
 * Nobody in the jail has the right to change them (CAP_NET_ADMIN).  A route of type "prohibit"
 * answers EACCES to whoever connects there (rtnetlink(7)), and the most specific route counts:
 *
 *   NAT    everything by slirp4netns' default route; private networks refused; the routes of the
 *          specification allowed; the host's and the clouds' addresses refused
 *   LIST   everything refused; the routes of the specification allowed; the same refused again
 *
 * A route tells addresses apart and not ports; what is allowed for some ports only has a rule
 * (ip-rule(8)) that sends just these to a table of their own.  IPv6 is refused as a whole:
 * slirp4netns does not carry it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/jail_inside.h"

#define SLIRP_GATEWAY  "10.0.2.2"
#define TABLE_PORTS    100
#define PRIORITY_PORTS 100 /* before that of the main table, 32766 */

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

/* ---- one request ---- */

struct request {
    struct nlmsghdr head;
    union {
        struct rtmsg route;
        struct fib_rule_hdr rule;
    };
    char attributes[128];
};

static void begin(struct request *r, unsigned short type, size_t len)
{
    r->head =
        (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
                          .nlmsg_type = type,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE};
}

static void add_attribute(struct request *r, unsigned short type, const void *value, size_t len)
{
    const struct rtattr head = {.rta_len = (unsigned short)RTA_LENGTH(len), .rta_type = type};
    char *at = (char *)r + NLMSG_ALIGN(r->head.nlmsg_len);

    memcpy(at, &head, sizeof(head));
    memcpy(at + RTA_LENGTH(0), value, len);
    r->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(r->head.nlmsg_len) + RTA_SPACE(len));
}

static void add_number(struct request *r, unsigned short type, uint32_t value)
{
    add_attribute(r, type, &value, sizeof(value));
}

static int ask(int fd, const struct request *r, struct error *err)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr verdict;
    } answer = {.verdict.error = -EPROTO};

    if (send(fd, r, r->head.nlmsg_len, 0) < 0 || recv(fd, &answer, sizeof(answer), MSG_TRUNC) < 0)
        return error_errno(err, errno, "add a route");
    if (answer.head.nlmsg_type != NLMSG_ERROR || answer.verdict.error != 0)
        return error_errno(err, -answer.verdict.error, "add a route");
    return 0;
}

/* ---- one route ---- */

static void begin_route(struct request *r, unsigned char table, unsigned char family,
                        unsigned char bits, unsigned char type)
{
    *r = (struct request){.route = {.rtm_family = family,
                                    .rtm_dst_len = bits,
                                    .rtm_table = table,
                                    .rtm_protocol = RTPROT_STATIC,
                                    .rtm_scope = RT_SCOPE_UNIVERSE,
                                    .rtm_type = type}};
    begin(r, RTM_NEWROUTE, sizeof(r->route));
}

/* In network order. */
static int refuse(int fd, unsigned char table, uint32_t address, unsigned char bits,
                  struct error *err)
{
    struct request r;

    begin_route(&r, table, AF_INET, bits, RTN_PROHIBIT);
    add_number(&r, RTA_DST, address);
    return ask(fd, &r, err);
}

static int allow(int fd, unsigned char table, uint32_t address, unsigned char bits,
                 struct error *err)
{
    struct request r;

    begin_route(&r, table, AF_INET, bits, RTN_UNICAST);
    add_number(&r, RTA_DST, address);
    add_number(&r, RTA_GATEWAY, inet_addr(SLIRP_GATEWAY));
    return ask(fd, &r, err);
}

/* What goes to these ports of these addresses is looked up in the other table. */
static int allow_ports(int fd, uint32_t address, unsigned char bits, uint16_t from, uint16_t to,
                       struct error *err)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
    const struct fib_rule_port_range range = {from, to};

    for (size_t i = 0; i < sizeof(protocols); i++) {
        struct request r = {
            .rule = {
                .family = AF_INET, .dst_len = bits, .table = TABLE_PORTS, .action = FR_ACT_TO_TBL}};

        begin(&r, RTM_NEWRULE, sizeof(r.rule));
        r.head.nlmsg_flags &= (unsigned short)~NLM_F_REPLACE;
        add_number(&r, FRA_PRIORITY, PRIORITY_PORTS);
        if (bits > 0)
            add_number(&r, FRA_DST, address);
        add_attribute(&r, FRA_IP_PROTO, &protocols[i], sizeof(protocols[i]));
        add_attribute(&r, FRA_DPORT_RANGE, &range, sizeof(range));
        if (ask(fd, &r, err) < 0)
            return -1;
    }
    return 0;
}

/* A kernel without IPv6 has nothing to refuse. */
static int refuse_ipv6(int fd, struct error *err)
{
    CLEANUP_CLOSE int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct request r;

    begin_route(&r, RT_TABLE_MAIN, AF_INET6, 0, RTN_PROHIBIT);
    return probe < 0 ? 0 : ask(fd, &r, err);
}

/* ---- all of them ---- */

static int refuse_all(int fd, unsigned char table, const struct net *nets, size_t n,
                      struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if (refuse(fd, table, inet_addr(nets[i].address), nets[i].bits, err) < 0)
            return error_wrap(err, "refuse %s", nets[i].address);
    return 0;
}

static int refuse_host(int fd, unsigned char table, const struct jail_addresses *own,
                       struct error *err)
{
    if (refuse_all(fd, table, never, sizeof(never) / sizeof(never[0]), err) < 0)
        return -1;
    for (size_t i = 0; i < own->n; i++)
        if (refuse(fd, table, own->v[i], 32, err) < 0)
            return error_wrap(err, "refuse the host's address");
    return 0;
}

struct word {
    uint32_t address; /* in network order */
    unsigned char bits;
    uint16_t from, to; /* ports; 0: all */
};

/* "10.1.0.0/16" or "10.1.0.0/16:80-90" */
static bool read_word(const char *text, struct word *ret)
{
    char address[INET_ADDRSTRLEN], bits[4];
    unsigned from = 0, to = 0, length;
    struct in_addr in;
    int n = sscanf(text, "%15[0-9.]/%3[0-9]:%5u-%5u", address, bits, &from, &to);

    if ((n != 2 && n != 4) || inet_pton(AF_INET, address, &in) != 1 ||
        sscanf(bits, "%u", &length) != 1 || length > 32 || from > 65535 || to > 65535)
        return false;
    *ret = (struct word){in.s_addr, (unsigned char)length, (uint16_t)from, (uint16_t)to};
    return true;
}

static int allow_word(int fd, const char *text, bool *has_ports, struct error *err)
{
    struct word w;

    if (!read_word(text, &w))
        return error_set(err, ERR_SYSTEM, "allow %s: not a network", text);
    *has_ports |= w.to != 0;
    if ((w.to ? allow_ports(fd, w.address, w.bits, w.from, w.to, err)
              : allow(fd, RT_TABLE_MAIN, w.address, w.bits, err)) < 0)
        return error_wrap(err, "allow %s", text);
    return 0;
}

/* Answers come from where no route leads, seen without their ports, so that a filter of reverse
 * paths would drop them (Documentation/networking/ip-sysctl.rst, rp_filter). */
static int accept_answers(struct error *err)
{
    static const char *const files[] = {"/proc/sys/net/ipv4/conf/all/rp_filter",
                                        "/proc/sys/net/ipv4/conf/tap0/rp_filter"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        CLEANUP(buf_release) struct buf now = BUF_INIT(16);
        CLEANUP_CLOSE int fd = -1;

        if (fs_read_file(AT_FDCWD, files[i], &now, err) < 0)
            return -1;
        if (text_starts(buf_str(&now), "0"))
            continue;
        fd = open(files[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
            return error_errno(err, errno, "write %s", files[i]);
    }
    return 0;
}

/* All but the host and what is never allowed: only what a rule sends here gets here. */
static int open_ports(int fd, const struct jail_addresses *own, struct error *err)
{
    if (allow(fd, TABLE_PORTS, INADDR_ANY, 0, err) < 0 ||
        refuse_host(fd, TABLE_PORTS, own, err) < 0)
        return -1;
    return accept_answers(err);
}

int jail_routes_set(const struct jail_spec *spec, const struct jail_addresses *own,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    const size_t n_private = sizeof(private_nets) / sizeof(private_nets[0]);
    bool has_ports = false;
    int result;

    if (fd < 0)
        return error_errno(err, errno, "open a netlink socket");
    if (spec->net == JAIL_NET_LIST)
        result = refuse(fd, RT_TABLE_MAIN, INADDR_ANY, 0, err);
    else
        result = refuse_all(fd, RT_TABLE_MAIN, private_nets, n_private, err);
    if (result < 0 || refuse_ipv6(fd, err) < 0)
        return error_wrap(err, "close the jail's network");
    for (size_t i = 0; i < spec->routes.n; i++)
        if (allow_word(fd, spec->routes.v[i], &has_ports, err) < 0)
            return -1;
    if (refuse_host(fd, RT_TABLE_MAIN, own, err) < 0)
        return -1;
    return has_ports ? open_ports(fd, own, err) : 0;
}
