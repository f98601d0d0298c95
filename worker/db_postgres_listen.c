/* worker/db_postgres_listen — a thread at a connection of its own, which LISTENs (PostgreSQL's
 * documentation, NOTIFY).  What is told while there is no connection is not heard, so whoever waits
 * is woken when there is one again; the first is made before anybody waits. */
#include <poll.h>
#include <string.h>

#include "worker/db_postgres.h"

#define AGAIN_MS 1000 /* before the next try to connect */

static bool connect_to_listen(struct postgres *p)
{
    PGconn *conn = postgres_connect(p->url);
    char sql[CHANNEL + 16];
    PGresult *res;

    (void)snprintf(sql, sizeof(sql), "listen %s", p->channel);
    res = PQexec(conn, sql);
    if (PQresultStatus(res) == PGRES_COMMAND_OK)
        p->listener.conn = conn;
    else
        PQfinish(conn);
    PQclear(res);
    atomic_store(&p->listener.connected, p->listener.conn != NULL);
    return p->listener.conn != NULL;
}

/* Whether another process told something; what this one did it knows. */
static bool heard_others(const struct postgres *p, PGconn *conn)
{
    bool others = false;
    PGnotify *n;

    while ((n = PQnotifies(conn))) {
        others |= n->be_pid != atomic_load(&p->backend);
        PQfreemem(n);
    }
    return others;
}

/* Until the connection breaks, or it is time to go. */
static void listen_at(struct postgres *p, PGconn *conn)
{
    struct pollfd fds[] = {{.fd = p->listener.quit.fd, .events = POLLIN},
                           {.fd = PQsocket(conn), .events = POLLIN}};

    while (!fds[0].revents) {
        (void)poll(fds, 2, -1);
        if (fds[1].revents && !PQconsumeInput(conn))
            return;
        if (heard_others(p, conn))
            p->listener.heard(p->listener.self);
    }
}

static void *listen_forever(void *self)
{
    struct postgres *p = self;
    struct pollfd quit = {.fd = p->listener.quit.fd, .events = POLLIN};

    do {
        if (!p->listener.conn && connect_to_listen(p))
            p->listener.heard(p->listener.self);
        if (!p->listener.conn)
            continue;
        listen_at(p, p->listener.conn);
        atomic_store(&p->listener.connected, false);
        PQfinish(TAKE(p->listener.conn));
    } while (poll(&quit, 1, AGAIN_MS) == 0);
    return NULL;
}

static int start(struct postgres *p, struct error *err)
{
    int problem;

    if (!connect_to_listen(p))
        return error_set(err, ERR_REMOTE, "database server: listen: no connection");
    if (cancel_init(&p->listener.quit, err) < 0) {
        PQfinish(TAKE(p->listener.conn));
        return -1;
    }
    problem = pthread_create(&p->listener.thread, NULL, listen_forever, p);
    if (problem) {
        cancel_release(&p->listener.quit);
        PQfinish(TAKE(p->listener.conn));
        return error_errno(err, problem, "start a thread");
    }
    p->listener.started = true;
    return 0;
}

int postgres_listen(void *self, void (*heard)(void *self), void *heard_self, bool *ret_hears,
                    struct error *err)
{
    struct postgres *p = self;

    if (!p->listener.started) {
        p->listener.heard = heard;
        p->listener.self = heard_self;
        /* The channel is known, and the server there, only then. */
        if (postgres_ready(p, err) < 0 || start(p, err) < 0)
            return -1;
    }
    *ret_hears = atomic_load(&p->listener.connected);
    return 0;
}

void postgres_listen_end(struct postgres *p)
{
    if (!p->listener.started)
        return;
    cancel_throw(&p->listener.quit);
    (void)pthread_join(p->listener.thread, NULL);
    PQfinish(p->listener.conn);
    cancel_release(&p->listener.quit);
    p->listener.started = false;
}
