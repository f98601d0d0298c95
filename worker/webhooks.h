/* worker/webhooks — the cluster is told what became of deployments.
 *
 * When a deployment ends, a message for each URL is written in the same transaction
 * (state_webhooks.c).  Couriers (courier.c) send them until they are acknowledged by a 2xx, so each
 * is delivered at least once, with the same id and the same body every time.  A message is sent by
 * one courier at a time: the lease of one that was killed runs out.
 *
 * Requests are signed as the Standard Webhooks specification has it: docs/webhooks.md. */
#ifndef WORKER_WEBHOOKS_H
#define WORKER_WEBHOOKS_H

#include "base/http.h"
#include "base/note.h"
#include "worker/state.h"

#define WEBHOOK_ID     64
#define WEBHOOK_URL    1024 /* with the NUL */
#define WEBHOOK_ANSWER 256

/* ---- the state's part ---- */

struct webhook_message {
    char id[WEBHOOK_ID];
    char url[WEBHOOK_URL];
    char build[BUILD_ID];
    char type[48];
    struct buf body;                             /* JSON; of a claimed one only */
    int attempts;                                /* begun */
    int64_t created, next_try, tried, delivered; /* ns since 1970; 0: not yet */
    char answer[WEBHOOK_ANSWER];                 /* of the last try: "HTTP 500", "timeout…"; "" */
};
void webhook_message_release(struct webhook_message *m);

/* Whom deployments that end from now on are told to; registry_name: "127.0.0.1:5000", as references
 * begin.  Borrowed until the state is closed. */
void state_announce(struct state *s, const struct argv *urls, const char *registry_name);

/* Takes the message to that URL that has waited for longest and may be tried now, for lease_ns.
 * ret is to be released if it is PRESENT. */
MUST_CHECK int state_webhook_claim(struct state *s, const char *url, const char *worker,
                                   int64_t lease_ns, enum presence *ret_presence,
                                   struct webhook_message *ret, struct error *err);

/* What came of it: acknowledged, or to be tried again after `pause` ns.  Nothing changes when the
 * lease is not the worker's any more. */
MUST_CHECK int state_webhook_settle(struct state *s, const struct webhook_message *m,
                                    const char *worker, bool acknowledged, const char *answer,
                                    int64_t pause, struct error *err);

/* Those that wait, the oldest first; all: also those that were delivered. */
MUST_CHECK int state_webhook_list(struct state *s, bool all,
                                  void (*each)(void *self, const struct webhook_message *m),
                                  void *self, struct error *err);

/* Forgets messages that were delivered, and others whose URL is not among urls, that were made
 * before that moment. */
MUST_CHECK int state_webhook_forget(struct state *s, const struct argv *urls, int64_t before,
                                    struct error *err);

/* ---- secrets ---- */

#define WEBHOOK_SECRET_PREFIX "whsec_"

/* Makes the file with one secret in it, unless it is there. */
MUST_CHECK int webhook_secrets_make(const char *path, struct error *err);

/* Adds one to the file, behind those that are there, and copies it; the file is made if need be. */
#define WEBHOOK_SECRET 64 /* bytes, with the NUL */
MUST_CHECK int webhook_secrets_add(const char *path, char ret[WEBHOOK_SECRET], struct error *err);
/* Removes all but the last; remarks stay. */
MUST_CHECK int webhook_secrets_purge(const char *path, struct error *err);

/* Adds the file's secrets, as they are written ("whsec_" and base64 of 24 to 64 bytes): one a line,
 * blank lines and those that begin with # left out.  ERR_INPUT: a line is none, or there are none.
 */
MUST_CHECK int webhook_secrets_read(const char *path, struct argv *ret, struct error *err);

/* Adds the value of webhook-signature: "v1,…", one for each secret, blanks between.  They are as
 * webhook_secrets_read gives them. */
MUST_CHECK int webhook_sign(const struct argv *secrets, const char *id, int64_t seconds,
                            const void *body, size_t len, struct buf *out, struct error *err);

/* ---- the couriers ---- */

struct courier_config { /* borrowed until courier_stop */
    struct state *state;
    const struct http *http;
    const struct argv *urls; /* a thread each */
    const char *secrets;     /* path; read for every request, so that it may change */
    const char *ca_file;     /* trusted beside the system's; NULL: none */
    const char *program;     /* "kiln/0.1.0", a User-Agent */
    const char *name;        /* of this process: worker_name_of(getpid()) */
    int64_t timeout_ms;      /* for a request */
    /* The operator's log.  Called from any thread. */
    void (*log)(void *self, const struct note *note);
    void *log_self;
};

struct courier;

/* Starts the threads; *ret is NULL where there are no URLs. */
MUST_CHECK int courier_start(const struct courier_config *config, struct courier **ret,
                             struct error *err);
/* Ends requests that are under way: they will be made again.  NULL is fine. */
void courier_stop(struct courier *c);

/* How long to wait after so many attempts, in ns: 1, 2, 4… s, at most 10 min; longer where the
 * answer asked for it, up to an hour. */
int64_t courier_pause(int attempts, int64_t asked_ms);

#endif
