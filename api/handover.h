/* api/handover — connections whose answers come bit by bit, and how libmicrohttpd lets go of them,
 * or has their threads wait. */
#ifndef API_HANDOVER_H
#define API_HANDOVER_H

#include "api/held_stream.h"

struct MHD_Connection;
struct MHD_Response;

/* What is encrypted is not to be had without what libmicrohttpd keeps of it. */
bool handover_is_encrypted(struct MHD_Connection *connection);

/* The connection's socket, for the caller to close; in its place libmicrohttpd gets a dead one,
 * which it shuts down and closes with its thread.  To be called in that thread, which then returns
 * MHD_NO. -1: no descriptors. */
int handover_take(struct MHD_Connection *connection);

/* A response whose thread waits for more, as long as silence (seconds) is broken.  Takes over
 * resp's source; like: all but fd, which is the connection's.  NULL: out of memory. */
struct MHD_Response *handover_hold(struct MHD_Connection *connection, struct api_response *resp,
                                   const struct held_stream *like, unsigned silence);

#endif
