/* builder/cache_link — how the executor, inside a jail, asks whoever started it for results of
 * other workers.
 *
 * Its standard input is then a socket of messages.  The first one is from outside and brings the
 * document (builder/document.h) as a descriptor.  After that the executor sends a name, or a digest
 * and a size, with a file to write to, and gets '+' for an answer when that was done, '-' when
 * there is no such thing, and '!' with the reason when it failed. */
#ifndef BUILDER_CACHE_LINK_H
#define BUILDER_CACHE_LINK_H

#include <pthread.h>

#include "builder/builder.h"

/* ---- outside ---- */

struct cache_link_server {
    const struct builder_remote *remote;
    int fd;
    pthread_t thread;
    bool started;
};

/* Makes the socket, and a thread that answers.  *ret_stdin is for the jail, and the caller's.  With
 * remote NULL it is the document itself. */
MUST_CHECK int cache_link_serve(const struct builder_remote *remote, int document,
                                struct cache_link_server *ret, int *ret_stdin, struct error *err);
/* After the jail has ended and the caller has closed its end. */
void cache_link_end(struct cache_link_server *s);

/* ---- inside ---- */

struct cache_link {
    int fd; /* -1: there is nobody to ask */
    pthread_mutex_t lock;
};

/* Takes the document from standard input. */
MUST_CHECK int cache_link_open(struct cache_link *ret, int *ret_document, struct error *err);
void cache_link_close(struct cache_link *l);

/* Asks ("get steps", "blob sha256:… 123") for what is to be written to the file fd; from any
 * thread.  *ret_found false: there is no such thing. */
MUST_CHECK int cache_link_ask(struct cache_link *l, const char *what, int fd, bool *ret_found,
                              struct error *err);

#endif
