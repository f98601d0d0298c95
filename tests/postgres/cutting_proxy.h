/* tests/postgres/cutting_proxy — stands between a client and the server, and cuts their connection
 * where a commit passes. */
#ifndef TESTS_POSTGRES_CUTTING_PROXY_H
#define TESTS_POSTGRES_CUTTING_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

enum cut {
    CUT_NOTHING,
    CUT_BEFORE_COMMIT, /* the server does not get it */
    CUT_AFTER_COMMIT,  /* the server does it, and its answer is lost */
};

struct cutting_proxy {
    char dir[32]; /* with its socket: the host for clients */
    char server[128];
    int listener;
    int quit[2];
    pthread_t thread;
    atomic_int cut; /* enum cut, for the next commit alone */
};

/* server_dir: where the server's socket is.  0, or -1. */
int cutting_proxy_start(struct cutting_proxy *p, const char *server_dir);
void cutting_proxy_stop(struct cutting_proxy *p);

#endif
