/* builder/address — which addresses a pull or a fetch must never be sent to. */
#ifndef BUILDER_ADDRESS_H
#define BUILDER_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Loopback, unspecified, link-local, or a cloud's metadata service, also when written as an
 * IPv4-mapped IPv6 address.  Private networks are none of these: registries live there. */
bool address_is_forbidden(const struct sockaddr *address);

/* Of a network that is not the public internet: RFC 1918, carriers' and documentation networks,
 * fc00::/7, multicast, what is reserved; and IPv6 addresses that stand for such. */
bool address_is_private(const struct sockaddr *address);

/* The name in "host:port" or "[::1]:port", as a resolver takes it. */
#define ADDRESS_NAME 256
void address_name(const char *authority, char ret[ADDRESS_NAME]);

/* The first for a host as it stands in an image reference ("127.1:5000", "[::1]", "localhost"):
 * only what can be said without asking a name server. */
bool address_host_is_forbidden(const char *host);

#endif
