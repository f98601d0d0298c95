/* worker/audit — who did what, when and from where: one entry for every change by the API and by
 * the operator's commands, and for every key that was refused.  Entries hold names, never secrets,
 * and stay when what they are about is gone. */
#ifndef WORKER_AUDIT_H
#define WORKER_AUDIT_H

#include "worker/state_gc.h"

#define AUDIT_ID      25  /* with the NUL */
#define AUDIT_ADDRESS 46  /* an IP address */
#define AUDIT_OBJECT  200 /* bytes; what is longer is cut */

enum audit_actor {
    AUDIT_BY_KEY,     /* actor: its id */
    AUDIT_BY_SERVICE, /* a service account; actor: its id */
    AUDIT_BY_URL,     /* who had a presigned URL; actor: "" */
    AUDIT_BY_NOBODY,  /* a key or password that is not known; actor: "" */
    AUDIT_BY_COMMAND, /* of kiln on the machine; actor: the user's name */
    AUDIT_ACTORS,
};
extern const char *const audit_actor_names[AUDIT_ACTORS];

enum audit_outcome {
    AUDIT_DONE,
    AUDIT_DENIED,
    AUDIT_FAILED, /* Kiln's own fault: part of it may have been done */
    AUDIT_OUTCOMES,
};
extern const char *const audit_outcome_names[AUDIT_OUTCOMES];

struct audit_entry {
    char id[AUDIT_ID];
    int64_t time;            /* ns */
    char account[NAME_SIZE]; /* "" when added: that of the workspace */
    char workspace[NAME_SIZE];
    enum audit_actor by;
    char actor[NAME_SIZE];
    char address[AUDIT_ADDRESS];
    char action[NAME_SIZE]; /* "sandbox.create" */
    char object[AUDIT_OBJECT];
    enum audit_outcome outcome;
    int status; /* of HTTP; 0: none */
};

/* Adds it, with an id and the time of its own.  What was done waits for the disk as the change
 * did, but for an upload, which was announced.
 */
MUST_CHECK int state_audit_add(struct state *s, const struct audit_entry *entry, struct error *err);

struct audit_query {       /* borrowed */
    const char *account;   /* NULL: any */
    const char *workspace; /* NULL: any */
    int64_t since;         /* ns */
    const char *cursor;    /* the id of the last entry that was read; "": from the start */
    bool oldest_first;     /* else newest */
    int64_t limit;
};
/* *ret_total (may be NULL): without cursor and limit. */
MUST_CHECK int state_audit_list(struct state *s, const struct audit_query *query,
                                void (*each)(void *self, const struct audit_entry *e), void *self,
                                int64_t *ret_total, struct error *err);

/* How many are older. */
MUST_CHECK int state_audit_find_old(struct state *s, int64_t before, struct gc_found *ret,
                                    struct error *err);
/* Removes some of what is older; *ret_more: there may be more. */
MUST_CHECK int state_audit_remove_old(struct state *s, int64_t before, bool *ret_more,
                                      struct error *err);

#endif
