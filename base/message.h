/* base/message — messages over a SOCK_SEQPACKET socket, each with a descriptor along if need be. */
#ifndef BASE_MESSAGE_H
#define BASE_MESSAGE_H

#include <stddef.h>

#include "base/error.h"

/* fd -1: none goes along; else it stays the caller's. */
MUST_CHECK int message_send(int socket, const void *data, size_t len, int fd, struct error *err);

/* *ret_len 0: the other side has ended.  *ret_fd -1: none came along; else it is the caller's. */
MUST_CHECK int message_receive(int socket, void *data, size_t max, size_t *ret_len, int *ret_fd,
                               struct error *err);

#endif
