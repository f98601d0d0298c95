/* base/message — see the header. */
#include "base/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int message_send(int socket, const void *data, size_t len, int fd, struct error *err)
{
    struct iovec part = {.iov_base = (void *)data, .iov_len = len};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        struct cmsghdr *head;

        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        head = CMSG_FIRSTHDR(&m);
        *head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    while (sendmsg(socket, &m, MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "send a message");
    return 0;
}

int message_receive(int socket, void *data, size_t max, size_t *ret_len, int *ret_fd,
                    struct error *err)
{
    struct iovec part = {.iov_base = data, .iov_len = max};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    const struct cmsghdr *head;
    int fd = -1;
    ssize_t n;

    do
        n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_errno(err, errno, "receive a message");
    head = CMSG_FIRSTHDR(&m);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    if (n == 0 && fd >= 0)
        close(TAKE_FD(fd));
    *ret_len = (size_t)n;
    *ret_fd = fd;
    return 0;
}
