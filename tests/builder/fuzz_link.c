/* What a jail that was taken over asks the outside for: each line is a message; one that begins
 * with
 * "-" brings no file, with "|" a pipe, the others a file. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/message.h"
#include "base/text.h"
#include "builder/cache_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Only what has the form of a name or a digest gets here. */
static int look_up(void *self, const char *name, struct buf *out, bool *ret_found,
                   struct error *err)
{
    (void)self;
    (void)err;
    must(strcmp(name, BUILDER_REMOTE_STEPS) == 0 || text_starts(name, BUILDER_REMOTE_MOUNT));
    must(!strchr(name, '/') && !strchr(name, ' '));
    buf_adds(out, "{}");
    *ret_found = true;
    return 0;
}

static int fetch(void *self, const char *digest, uint64_t size, int fd, bool *ret_found,
                 struct error *err)
{
    (void)self;
    must(digest_is_sha256(digest) && size <= INT64_MAX && fd >= 0);
    *ret_found = size % 2;
    return size % 3 ? 0 : error_set(err, ERR_REMOTE, "no such luck");
}

static int open_file(char kind)
{
    int fds[2];

    if (kind == '-')
        return -1;
    if (kind != '|')
        return memfd_create("file", MFD_CLOEXEC);
    must(pipe2(fds, O_CLOEXEC) == 0);
    close(fds[0]);
    return fds[1];
}

/* Each message is answered, by one of the three. */
static void ask(int socket, const char *line)
{
    const char kind = *line == '-' || *line == '|' ? *line : ' ';
    CLEANUP_CLOSE int fd = open_file(kind);
    CLEANUP_CLOSE int unused = -1;
    struct error err = ERROR_INIT;
    char reply[2048];
    size_t n;

    line += kind != ' ';
    must(message_send(socket, line, strlen(line), fd, &err) == 0);
    must(message_receive(socket, reply, sizeof(reply), &n, &unused, &err) == 0);
    must(n > 0 && memchr("+-!", reply[0], 3) && unused < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct builder_remote remote = {.look_up = look_up, .fetch = fetch};
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    CLEANUP_CLOSE int document = memfd_create("document", MFD_CLOEXEC);
    CLEANUP_CLOSE int brought = -1;
    struct cache_link_server server;
    struct error err = ERROR_INIT;
    char first[16], *rest = text;
    int jail = -1, lines = 0;
    size_t n;

    must(text && document >= 0 && cache_link_serve(&remote, document, &server, &jail, &err) == 0);
    must(message_receive(jail, first, sizeof(first), &n, &brought, &err) == 0 && brought >= 0);
    for (char *line = strsep(&rest, "\n"); line && lines < LINES_MAX; line = strsep(&rest, "\n"))
        if (*line && strlen(line) < 1000 && (line[1] || !strchr("-|", *line))) {
            ask(jail, line);
            lines++;
        }
    close(jail);
    cache_link_end(&server);
    return 0;
}
