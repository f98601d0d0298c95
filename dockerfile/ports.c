/* dockerfile/ports — see the header. */
#include "dockerfile/ports.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/quote.h"

#define PORT_MAX 65535

const char *const protocol_names[PROTOCOLS] = {"tcp", "udp", "sctp"};

/* A piece of the text, cut to what a message or an address needs. */
struct part {
    char text[128];
};

static struct part part(const char *s, size_t len)
{
    struct part p;

    (void)snprintf(p.text, sizeof(p.text), "%.*s", (int)(len > 127 ? 127 : len), s);
    return p;
}

static bool parse_number(const char *s, unsigned *ret)
{
    uint64_t n;

    if (*s == '+' || (*s == '-' && text_to_u64(s + 1, 0, &n)))
        s++; /* as strconv.ParseInt: a sign may stand there */
    if (!text_to_u64(s, PORT_MAX, &n))
        return false;
    *ret = (unsigned)n;
    return true;
}

static bool parse_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
    size_t n = strcspn(text, "-");
    struct part first = part(text, n);

    if (!parse_number(first.text, ret_first))
        return false;
    *ret_last = *ret_first;
    if (!text[n] || strcmp(first.text, text + n + 1) == 0)
        return true;
    return parse_number(text + n + 1, ret_last) && *ret_last >= *ret_first;
}

static int parse_protocol(const char *text, struct port_range *ret, struct error *err)
{
    size_t n = strcspn(text, "/");
    const char *name = text[n] ? text + n + 1 : "";

    if (n == 0)
        return error_set(err, ERR_INPUT, "no port specified");
    ret->protocol = PROTOCOL_TCP;
    if (!*name)
        return 0;
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (strcasecmp(name, protocol_names[i]) != 0)
            continue;
        ret->protocol = (enum protocol)i;
        ret->odd_case = strcmp(name, protocol_names[i]) != 0;
        return 0;
    }
    return error_set(err, ERR_INPUT, "invalid proto: %.200s", name);
}

static int check_address(const char *address, struct error *err)
{
    struct part bare = part(address, strlen(address));
    size_t len = strlen(bare.text);
    unsigned char binary[16];

    if (*address == '[') {
        if (bare.text[len - 1] != ']')
            return error_set(err, ERR_INPUT, "invalid IP address %.120s", address);
        bare = part(address + 1, len - 2);
    }
    if (inet_pton(AF_INET, bare.text, binary) == 1 || inet_pton(AF_INET6, bare.text, binary) == 1)
        return 0;
    return error_set(err, ERR_INPUT, "invalid IP address: %.120s", bare.text);
}

static int check_host_port(const char *host, const char *port, const struct port_range *range,
                           struct error *err)
{
    unsigned first, last;

    if (!parse_range(host, &first, &last))
        return error_set(err, ERR_INPUT, "invalid hostPort: %.120s", host);
    if (range->first != range->last && range->last - range->first != last - first)
        return error_set(err, ERR_INPUT,
                         "invalid ranges specified for container and host Ports: %.120s and %.120s",
                         port, host);
    return 0;
}

int port_parse(const char *text, struct port_range *ret, struct error *err)
{
    const char *colon = strrchr(text, ':');
    const char *container = colon ? colon + 1 : text;
    const char *before = colon ? memrchr(text, ':', (size_t)(colon - text)) : NULL;
    struct part host = {""}, address = {""}, port = part(container, strcspn(container, "/"));
    char quoted[QUOTE_SIZE];

    *ret = (struct port_range){.whole = false};
    if (parse_protocol(container, ret, err) < 0)
        return error_wrap(err, "invalid port: %s", quote_short(text, quoted));
    if (colon)
        host = part(before ? before + 1 : text, (size_t)(colon - (before ? before + 1 : text)));
    if (before)
        address = part(text, (size_t)(before - text));
    ret->has_prefix = *host.text || *address.text;
    ret->whole = true;
    if (*address.text && check_address(address.text, err) < 0)
        return -1;
    if (!parse_range(port.text, &ret->first, &ret->last))
        return error_set(err, ERR_INPUT, "invalid containerPort: %.120s", port.text);
    return *host.text ? check_host_port(host.text, port.text, ret, err) : 0;
}

void ports_add(struct ports *p, const struct port_range *range)
{
    uint64_t *words = p->words[range->protocol];
    unsigned first = range->first / 64, last = range->last / 64;
    uint64_t from = UINT64_MAX << range->first % 64;
    uint64_t to = UINT64_MAX >> (63 - range->last % 64);

    if (first == last) {
        words[first] |= from & to;
        return;
    }
    words[first] |= from;
    words[last] |= to;
    memset(words + first + 1, 0xff, (last - first - 1) * sizeof(*words));
}

unsigned ports_next(const struct ports *p, enum protocol protocol, unsigned from)
{
    const uint64_t *words = p->words[protocol];

    for (unsigned i = from / 64; i < PORTS_END / 64; i++) {
        uint64_t word = words[i];

        if (i == from / 64)
            word &= UINT64_MAX << from % 64;
        if (word)
            return i * 64 + (unsigned)__builtin_ctzll(word);
    }
    return PORTS_END;
}
