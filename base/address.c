/* base/address — see the header. */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const struct client_address *a)
{
    return memcmp(a->bits, mapped, sizeof(mapped)) == 0;
}

static void write_text(struct client_address *a)
{
    if (is_ipv4(a))
        (void)inet_ntop(AF_INET, a->bits + sizeof(mapped), a->text, sizeof(a->text));
    else
        (void)inet_ntop(AF_INET6, a->bits, a->text, sizeof(a->text));
}

static void set_ipv4(struct client_address *a, const struct in_addr *in)
{
    memcpy(a->bits, mapped, sizeof(mapped));
    memcpy(a->bits + sizeof(mapped), in, 4);
}

void address_of_socket(const struct sockaddr *from, struct client_address *ret)
{
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;

    memset(ret, 0, sizeof(*ret));
    if (from && from->sa_family == AF_INET) {
        memcpy(&sin, from, sizeof(sin));
        set_ipv4(ret, &sin.sin_addr);
    } else if (from && from->sa_family == AF_INET6) {
        memcpy(&sin6, from, sizeof(sin6));
        memcpy(ret->bits, &sin6.sin6_addr, sizeof(ret->bits));
    } else {
        return;
    }
    write_text(ret);
}

bool address_parse(const char *text, struct client_address *ret)
{
    struct client_address a = {.text = ""};
    struct in_addr in;

    if (inet_pton(AF_INET, text, &in) == 1)
        set_ipv4(&a, &in);
    else if (inet_pton(AF_INET6, text, a.bits) != 1)
        return false;
    write_text(&a);
    *ret = a;
    return true;
}

static bool split_network(const char *network, struct client_address *ret, unsigned *ret_bits)
{
    const char *slash = strchr(network, '/');
    char text[ADDRESS_TEXT];
    uint64_t bits;

    (void)snprintf(text, sizeof(text), "%.*s", slash ? (int)(slash - network) : ADDRESS_TEXT - 1,
                   network);
    if (!address_parse(text, ret))
        return false;
    bits = is_ipv4(ret) ? 32 : 128;
    if (slash && !text_to_u64(slash + 1, bits, &bits))
        return false;
    *ret_bits = (unsigned)bits + (is_ipv4(ret) ? 96 : 0);
    return true;
}

bool address_is_network(const char *word)
{
    struct client_address a;
    unsigned bits;

    return split_network(word, &a, &bits);
}

bool address_is_in(const struct client_address *a, const char *network)
{
    struct client_address n;
    unsigned bits;

    if (!a->text[0] || !split_network(network, &n, &bits))
        return false;
    if (memcmp(a->bits, n.bits, bits / 8) != 0)
        return false;
    return bits % 8 == 0 || ((a->bits[bits / 8] ^ n.bits[bits / 8]) >> (8 - bits % 8)) == 0;
}

void address_of_client(const struct client_address *a, unsigned char out[ADDRESS_BITS])
{
    memcpy(out, a->bits, ADDRESS_BITS);
    if (!is_ipv4(a))
        memset(out + 8, 0, 8);
}

bool address_is_among(const struct client_address *a, const struct argv *networks)
{
    for (size_t i = 0; networks && i < networks->n; i++)
        if (address_is_in(a, networks->v[i]))
            return true;
    return false;
}

/* The word before end, without the blanks around it; *end goes in front of it. */
static bool last_word(const char *list, size_t *end, char word[ADDRESS_TEXT])
{
    size_t to = *end, from;

    while (to > 0 && strchr(", \t", list[to - 1]))
        to--;
    from = to;
    while (from > 0 && !strchr(", \t", list[from - 1]))
        from--;
    *end = from;
    (void)snprintf(word, ADDRESS_TEXT, "%.*s", (int)(to - from), list + from);
    return to > from;
}

void address_behind(const struct argv *proxies, const char *header, struct client_address *a)
{
    size_t end = header ? strlen(header) : 0;
    char word[ADDRESS_TEXT];

    while (address_is_among(a, proxies) && end > 0 && last_word(header, &end, word))
        if (!address_parse(word, a))
            return;
}
