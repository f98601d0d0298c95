/* templates/channel — what a jail and the broker outside say to each other about a store.
 *
 * One request, one reply; files go along as descriptors.  Both ends are the same program. */
#ifndef TEMPLATES_CHANNEL_H
#define TEMPLATES_CHANNEL_H

#include <stdint.h>

#include "base/error.h"

#define CHANNEL_SOCKET "socket" /* in the directory that the jail has as its store */

enum channel_act {
    CHANNEL_LIST, /* the reply's file has the names, a line each */
    CHANNEL_OPEN,
    CHANNEL_OPEN_PACK, /* number: of the pack, for the next three */
    CHANNEL_FILL,
    CHANNEL_FORGET,
    CHANNEL_CLOSE_PACK,
    CHANNEL_CREATE, /* number: of the file, for the next two */
    CHANNEL_COMMIT,
    CHANNEL_DISCARD,
    CHANNEL_REMOVE,
    CHANNEL_MAY_REMOVE, /* number: whether */
    CHANNEL_LOCK,       /* number: 1 for an exclusive one; then of the lock */
    CHANNEL_UNLOCK,
    CHANNEL_SESSION_BEGIN, /* the request's file has the text; number: of the session */
    CHANNEL_SESSION_END,
    CHANNEL_SESSIONS, /* as LIST */
    CHANNEL_SWEEP,
    CHANNEL_ACTS,
};

struct channel_request {
    uint32_t act;
    int32_t number;
    uint64_t offset, len;
    char area[16];
    char name[256];
};

struct channel_reply {
    int32_t result; /* 0, or -1 with error */
    int32_t number; /* OPEN: -1 when there is no such file, else 0 */
    struct error error;
};

#define CHANNEL_TEXT (16u << 20) /* bytes of names in one file */

/* broker.c: answers one connection until it ends, or quit is thrown; then nothing of it is left. */
struct storage;
struct cancel;
void broker_serve(struct storage *s, int socket, const struct cancel *quit);

#endif
