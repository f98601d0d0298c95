/* builder/egress — see the header.
 *
 * Names are looked up here, with the host's resolver, and the jail gets what was found twice: as
 * routes, and as the lines of its /etc/hosts.  So a build connects to just the addresses that were
 * allowed, and with "list" needs no name server, through which anything could be carried out. */
#include "builder/egress.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/address.h"

#define NAME_MAX_DNS 253 /* RFC 1035, as text */

/* ---- words ---- */

struct word {
    char host[NAME_MAX_DNS + 4]; /* a name, an address or a network */
    char ports[16];              /* "443-443"; "": all */
};

/* "HOST", "HOST:PORT" or "HOST:FROM-TO".  IPv6 has no way out, so a colon parts off ports. */
static bool split(const char *text, struct word *ret)
{
    size_t len = strcspn(text, ":");
    const char *dash;
    char from[8];
    uint64_t low, high;

    if (len >= sizeof(ret->host))
        return false;
    *ret = (struct word){.ports = ""};
    memcpy(ret->host, text, len);
    if (!text[len])
        return true;
    text += len + 1;
    dash = strchr(text, '-');
    len = dash ? (size_t)(dash - text) : strlen(text);
    (void)snprintf(from, sizeof(from), "%.*s", (int)(len < sizeof(from) ? len : 0), text);
    if (!text_to_u64(from, 65535, &low) || !text_to_u64(dash ? dash + 1 : from, 65535, &high) ||
        low == 0 || high < low)
        return false;
    (void)snprintf(ret->ports, sizeof(ret->ports), "%u-%u", (unsigned)low, (unsigned)high);
    return true;
}

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

bool builder_egress_word_is_valid(const char *text)
{
    struct word word;
    uint32_t address;
    unsigned bits;

    if (!split(text, &word))
        return false;
    if (parse_net(word.host, &address, &bits))
        return is_net_allowed(address, bits);
    return is_name(word.host);
}

/* ---- the jail's part ---- */

static void add_route(struct jail_spec *s, uint32_t address, unsigned bits, const char *ports)
{
    const struct in_addr in = {.s_addr = htonl(address)};
    char text[INET_ADDRSTRLEN];

    if (inet_ntop(AF_INET, &in, text, sizeof(text)))
        argv_pushf(&s->routes, "%s/%u%s%s", text, bits, *ports ? ":" : "", ports);
}

/* IPv4 only: nothing else has a way out. */
static void add_name(const struct word *word, const struct progress *p, struct jail_spec *s)
{
    const char *name = word->host;
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
        add_route(s, ntohl(in.sin_addr.s_addr), 32, word->ports);
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

static void add_words(const struct argv *words, const struct progress *p, struct jail_spec *s)
{
    for (size_t i = 0; s->net != JAIL_NET_NONE && words && i < words->n; i++) {
        struct word word;
        uint32_t address;
        unsigned bits;

        if (!builder_egress_word_is_valid(words->v[i]) || !split(words->v[i], &word))
            continue; /* whoever read the configuration has refused it */
        if (parse_net(word.host, &address, &bits))
            add_route(s, address, bits, word.ports);
        else
            add_name(&word, p, s);
    }
    s->failed |= s->hosts.full;
}

void egress_describe(const struct builder_config *config, const struct progress *p,
                     struct jail_spec *s)
{
    s->net = egress_net(config);
    s->hosts = (struct buf)BUF_INIT(JAIL_HOSTS_MAX);
    add_words(config->egress_allow, p, s);
}

void egress_describe_pull(const struct builder_config *config, const struct progress *p,
                          struct jail_spec *s)
{
    struct error ignored = ERROR_INIT;

    s->net = JAIL_NET_NAT;
    s->hosts = (struct buf)BUF_INIT(JAIL_HOSTS_MAX);
    if (fs_read_file(AT_FDCWD, "/etc/hosts", &s->hosts, &ignored) < 0)
        buf_clear(&s->hosts);
    else
        buf_addc(&s->hosts, '\n');
    add_words(config->egress_allow, p, s);
}
