/* A stand-in for sandbox-api: answers every request on port 8080 (or $PORT) with 200 and a line of
 * JSON that says what it is.  Built statically, so that it runs in any image. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer(int fd)
{
    static const char body[] = "{\"status\":\"ok\",\"message\":\"stand-in for sandbox-api\"}\n";
    char request[4096];
    char head[256];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                       sizeof(body) - 1);

    if (read(fd, request, sizeof(request)) > 0 && write(fd, head, (size_t)len) == len)
        (void)!write(fd, body, sizeof(body) - 1);
    close(fd);
}

int main(void)
{
    const char *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)atoi(port ? port : "8080"))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    signal(SIGPIPE, SIG_IGN);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0) {
        perror("sandbox-api (stand-in)");
        return 1;
    }
    for (;;) {
        int client = accept(fd, NULL, NULL);

        if (client >= 0)
            answer(client);
    }
}
