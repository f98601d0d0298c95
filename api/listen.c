/* api/listen — see the header. */
#include "api/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

#define BACKLOG 256

struct endpoint {
    char host[256];
    char port[6];
};

static int parse(const char *address, struct endpoint *ret, struct error *err)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;
    uint64_t port;

    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len)) {
        len = 0; /* an IPv6 address without brackets: which colon is the port's? */
    }
    if (len == 0 || len >= sizeof(ret->host) || !text_to_u64(colon + 1, 65535, &port))
        return error_set(err, ERR_INPUT,
                         "listen on \"%s\": not host:port, such as 127.0.0.1:8080 or [::1]:8080",
                         address);
    memcpy(ret->host, address, len);
    ret->host[len] = '\0';
    (void)snprintf(ret->port, sizeof(ret->port), "%u", (unsigned)port);
    return 0;
}

static int bind_to(const struct addrinfo *a, const char *address, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return error_errno(err, errno, "listen on %s", address);
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int port_of(int fd)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);

    memset(&storage, 0, sizeof(storage));
    if (getsockname(fd, (struct sockaddr *)&storage, &len) < 0)
        return 0;
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return ntohs(((struct sockaddr_in *)&storage)->sin_port);
}

int api_listen(const char *address, int *ret_fd, int *ret_port, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    struct endpoint e;
    int rc;

    if (parse(address, &e, err) < 0)
        return -1;
    rc = getaddrinfo(e.host, e.port, &hints, &found);
    if (rc != 0)
        return error_set(err, ERR_INPUT, "listen on %s: %s", address, gai_strerror(rc));
    rc = bind_to(found, address, ret_fd, err);
    freeaddrinfo(found);
    if (rc == 0)
        *ret_port = port_of(*ret_fd);
    return rc;
}
