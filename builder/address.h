/* builder/address — which addresses a pull must never be sent to. */
#ifndef BUILDER_ADDRESS_H
#define BUILDER_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Loopback, unspecified, link-local, or a cloud's metadata service, also when written as an
 * IPv4-mapped IPv6 address.  Private networks are none of these: registries live there. */
bool address_is_forbidden(const struct sockaddr *address);

/* The same for a host as it stands in an image reference ("127.1:5000", "[::1]", "localhost"):
 * only what can be said without asking a name server. */
bool address_host_is_forbidden(const char *host);

#endif
