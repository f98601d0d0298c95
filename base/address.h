/* base/address — where a client is: as text for people, and as bits for counting. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"

#define ADDRESS_TEXT 46 /* bytes, with the NUL */
#define ADDRESS_BITS 16 /* bytes */

/* IPv4 is ::ffff:a.b.c.d in the bits, and a.b.c.d in the text. */
struct client_address {
    unsigned char bits[ADDRESS_BITS];
    char text[ADDRESS_TEXT]; /* "": not known */
};

struct sockaddr;

/* Of another family: not known. */
void address_of_socket(const struct sockaddr *from, struct client_address *ret);
/* False: the text is no address. */
bool address_parse(const char *text, struct client_address *ret);
/* "10.1.0.0/16", "fd00::/8" or an address. */
bool address_is_network(const char *text);
bool address_is_in(const struct client_address *a, const char *network);
/* In one of the networks; NULL: there are none. */
bool address_is_among(const struct client_address *a, const struct argv *networks);
/* The part that one client has: all of IPv4's, and of IPv6's the first 64 bits. */
void address_of_client(const struct client_address *a, unsigned char out[ADDRESS_BITS]);

/* Behind proxies that are trusted (networks, as above), their X-Forwarded-For tells who it was:
 * the last in it that is no such proxy itself.  header: NULL, or what the last of these said. */
void address_behind(const struct argv *proxies, const char *header, struct client_address *a);

#endif
