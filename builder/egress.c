/* builder/egress — see the header.
 *
 * Names are looked up here, with the host's resolver, and the jail gets what was found twice: as
 * routes, and as the lines of its /etc/hosts.  So a build connects to just the addresses that were
 * allowed, and with "list" needs no name server, through which anything could be carried out. */
#include "builder/egress.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "base/text.h"
#include "builder/address.h"

#define NAME_MAX_DNS 253 /* RFC 1035, as text */

/* ---- words ---- */

/* "192.0.2.0/24", or without bits one address. */
static bool parse_net(const char *word, uint32_t *ret_address, unsigned *ret_bits)
{
    const char *slash = strchr(word, '/');
    const size_t len = slash ? (size_t)(slash - word) : strlen(word);
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    uint64_t bits = 32;

    if (len >= sizeof(text) || (slash && !text_to_u64(slash + 1, 32, &bits)))
        return false;
    (void)snprintf(text, sizeof(text), "%.*s", (int)len, word);
    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    *ret_bits = (unsigned)bits;
    *ret_address = ntohl(in.s_addr) & (bits == 0 ? 0 : ~UINT32_C(0) << (32 - bits));
    return true;
}

/* A network that lies in one of these would, being more specific, take back its refusal; one that
 * contains it does not.  (255.255.255.255 with 240/4 and 224/4: nothing to connect to.) */
static bool is_net_allowed(uint32_t address, unsigned bits)
{
    static const struct {
        uint32_t address;
        unsigned bits;
    } refused[] = {
        {0x00000000, 8},  /* "this host" */
        {0x7f000000, 8},  /* loopback */
        {0xa9fe0000, 16}, /* link-local */
        {0xe0000000, 3},  /* multicast and reserved */
        {0x0a000200, 24}, /* 10.0.2.0/24: slirp4netns' own, which hides the real one */
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (bits >= refused[i].bits &&
            (address & (~UINT32_C(0) << (32 - refused[i].bits))) == refused[i].address)
            return false;
    return true;
}

static bool is_name(const char *word)
{
    const char *label = word;
    bool letter = false;

    if (!*word || strlen(word) > NAME_MAX_DNS || address_host_is_forbidden(word))
        return false;
    for (const char *c = word;; c++) {
        if (*c == '.' || *c == '\0') {
            if (c == label || c - label > 63 || *label == '-' || c[-1] == '-')
                return false;
            label = c + 1;
            if (*c == '\0')
                return letter;
            continue;
        }
        letter |= (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *c))
            return false;
    }
}

bool builder_egress_word_is_valid(const char *word)
{
    uint32_t address;
    unsigned bits;

    if (parse_net(word, &address, &bits))
        return is_net_allowed(address, bits);
    return is_name(word);
}

/* ---- the jail's part ---- */

static void add_route(struct jail_spec *s, uint32_t address, unsigned bits)
{
    const struct in_addr in = {.s_addr = htonl(address)};
    char text[INET_ADDRSTRLEN];

    if (inet_ntop(AF_INET, &in, text, sizeof(text)))
        argv_pushf(&s->routes, "%s/%u", text, bits);
}

/* IPv4 only: nothing else has a way out. */
static void add_name(const char *name, const struct progress *p, struct jail_spec *s)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    const int problem = getaddrinfo(name, NULL, &hints, &list);

    if (problem)
        progress_say(p, "network: %s cannot be reached: %s", name, gai_strerror(problem));
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        char text[INET_ADDRSTRLEN];
        struct sockaddr_in in;

        memcpy(&in, i->ai_addr, sizeof(in));
        if (address_is_forbidden(i->ai_addr) || !is_net_allowed(ntohl(in.sin_addr.s_addr), 32) ||
            !inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text))) {
            progress_say(p, "network: %s has an address that is not allowed", name);
            continue;
        }
        add_route(s, ntohl(in.sin_addr.s_addr), 32);
        buf_addf(&s->hosts, "%s %s\n", text, name);
    }
    if (list)
        freeaddrinfo(list);
}

enum jail_net egress_net(const struct builder_config *config)
{
    static const enum jail_net nets[] = {[BUILDER_EGRESS_NONE] = JAIL_NET_NONE,
                                         [BUILDER_EGRESS_NAT] = JAIL_NET_NAT,
                                         [BUILDER_EGRESS_LIST] = JAIL_NET_LIST};

    return nets[config->egress];
}

void egress_describe(const struct builder_config *config, const struct progress *p,
                     struct jail_spec *s)
{
    const struct argv *words = config->egress_allow;

    s->net = egress_net(config);
    s->hosts = (struct buf)BUF_INIT(JAIL_HOSTS_MAX);
    for (size_t i = 0; s->net != JAIL_NET_NONE && words && i < words->n; i++) {
        uint32_t address;
        unsigned bits;

        if (!builder_egress_word_is_valid(words->v[i]))
            continue; /* whoever read the configuration has refused it */
        if (parse_net(words->v[i], &address, &bits))
            add_route(s, address, bits);
        else
            add_name(words->v[i], p, s);
    }
    s->failed |= s->hosts.full;
}
