/* api/handover — see the header. */
#include "api/handover.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <sys/socket.h>

#include "api/call.h"

#define PIECE_SIZE (16u << 10) /* bytes of a chunk */

static int fd_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info ? info->connect_fd : -1;
}

bool handover_is_encrypted(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);

    return info && info->tls_session;
}

/* Nobody else uses the number meanwhile. */
int handover_take(struct MHD_Connection *connection)
{
    const int number = fd_of(connection);
    CLEANUP_CLOSE int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP_CLOSE int fd = number < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 0);

    if (dead < 0 || fd < 0 || dup3(dead, number, O_CLOEXEC) < 0)
        return -1;
    return TAKE_FD(fd);
}

static ssize_t fill(void *self, uint64_t position, char *to, size_t max)
{
    struct error err = ERROR_INIT;
    ssize_t n = held_stream_fill(self, to, max, &err);

    (void)position;
    if (n < 0 && err.kind != ERR_NONE)
        api_log(((struct held_stream *)self)->config, "error: go on with an answer: %s", err.msg);
    return n > 0    ? n
           : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
                    : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_held(void *self)
{
    held_stream_free(self);
}

struct MHD_Response *handover_hold(struct MHD_Connection *connection, struct api_response *resp,
                                   const struct held_stream *like, unsigned silence)
{
    struct held_stream *stream = held_stream_new(resp, like);
    struct MHD_Response *response;

    if (!stream)
        return NULL;
    stream->fd = fd_of(connection);
    response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_SIZE, fill, stream, free_held);
    if (!response)
        held_stream_free(stream);
    (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, silence);
    return response;
}
