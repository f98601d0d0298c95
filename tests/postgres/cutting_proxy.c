#include "tests/postgres/cutting_proxy.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME ".s.PGSQL.5432"

static struct sockaddr_un address_in(const char *dir)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.80s/" SOCKET_NAME, dir);
    return a;
}

static int connect_to_server(const struct cutting_proxy *p)
{
    const struct sockaddr_un a = address_in(p->server);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Passes on what there is to read; false at the end, or when the connection is to be cut. */
static bool pass(struct cutting_proxy *p, int client, int server, bool from_client)
{
    char bytes[65536];
    ssize_t n = read(from_client ? client : server, bytes, sizeof(bytes));
    const bool commit = from_client && n > 0 && memmem(bytes, (size_t)n, "commit\0", 7);
    const int cut = commit ? atomic_exchange(&p->cut, CUT_NOTHING) : CUT_NOTHING;

    if (n <= 0 || cut == CUT_BEFORE_COMMIT)
        return false;
    if (write(from_client ? server : client, bytes, (size_t)n) != n)
        return false;
    if (cut == CUT_AFTER_COMMIT)
        (void)!read(server, bytes, sizeof(bytes)); /* it is done */
    return cut == CUT_NOTHING;
}

/* One client at a time. */
static void serve(struct cutting_proxy *p, int client)
{
    const int server = connect_to_server(p);
    struct pollfd fds[] = {{.fd = p->quit[0], .events = POLLIN},
                           {.fd = client, .events = POLLIN},
                           {.fd = server, .events = POLLIN}};
    bool open = server >= 0;

    while (open && poll(fds, 3, -1) > 0 && !fds[0].revents) {
        if (fds[1].revents)
            open = pass(p, client, server, true);
        if (open && fds[2].revents)
            open = pass(p, client, server, false);
    }
    close(client);
    if (server >= 0)
        close(server);
}

static void *serve_all(void *self)
{
    struct cutting_proxy *p = self;
    struct pollfd fds[] = {{.fd = p->quit[0], .events = POLLIN},
                           {.fd = p->listener, .events = POLLIN}};

    while (poll(fds, 2, -1) > 0 && !fds[0].revents) {
        int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0)
            serve(p, client);
    }
    return NULL;
}

int cutting_proxy_start(struct cutting_proxy *p, const char *server_dir)
{
    struct sockaddr_un a;

    *p = (struct cutting_proxy){.dir = "/tmp/kiln-proxy-XXXXXX"};
    (void)snprintf(p->server, sizeof(p->server), "%s", server_dir);
    if (!mkdtemp(p->dir) || pipe(p->quit) < 0)
        return -1;
    a = address_in(p->dir);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p->listener, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(p->listener, 4) < 0)
        return -1;
    return pthread_create(&p->thread, NULL, serve_all, p) == 0 ? 0 : -1;
}

void cutting_proxy_stop(struct cutting_proxy *p)
{
    const struct sockaddr_un a = address_in(p->dir);

    (void)!write(p->quit[1], "q", 1);
    pthread_join(p->thread, NULL);
    close(p->listener);
    close(p->quit[0]);
    close(p->quit[1]);
    (void)unlink(a.sun_path);
    (void)rmdir(p->dir);
}
