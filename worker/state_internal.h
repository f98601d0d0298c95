/* worker/state_internal — what the state_*.c files share with each other and with nobody else. */
#ifndef WORKER_STATE_INTERNAL_H
#define WORKER_STATE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "worker/db.h"
#include "worker/state.h"

struct state {
    struct db *db;
    struct clock clock;
    int attempts_max;
    int64_t upload_ns;
    bool uploads_elsewhere;
    struct workspace_limits limits;
    const struct argv *webhooks; /* URLs; NULL: none */
    const char *registry_name;   /* as references begin that they are told */
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    unsigned wakes;           /* counts state_wake calls */
    atomic_bool claim_failed; /* the last one, so that there is no use in hurrying to the next */
};

#define EVENTS_SHOWN 100 /* of a target; others are garbage */

#define COPY_TEXT(to, from) ((void)snprintf((to), sizeof(to), "%s", (from)))

/* Binds workspace, type and name. */
void bind_target(struct query *q, const struct target *t);

/* Columns for build_from_row, in its order. */
#define BUILD_COLUMNS                                                                              \
    "id, workspace, type, name, purpose, phase, tag, archive, archive_size, attempts, step, "      \
    "fault, message, digest, image_size, created, upload_expires, uploaded, started, finished, "   \
    "last_line, building_seen, log_read, source, no_cache, log_removed, deploying, "               \
    "deploying_seen"
void build_from_row(struct query *q, struct build *ret);

/* Locks the build for the rest of the transaction, if there is such a one. */
MUST_CHECK int build_lock(struct state *s, const char *id, struct error *err);
/* One build by id, within the caller's transaction. */
MUST_CHECK int build_load(struct state *s, const char *id, enum presence *ret_presence,
                          struct build *ret, struct error *err);

/* Whether there is such an account, within the caller's transaction. */
MUST_CHECK int account_load(struct state *s, const char *account, enum presence *ret,
                            struct error *err);
/* Reads name, account and a time, which need not be when the workspace was created. */
void workspace_from_row(struct query *q, struct workspace *ret);

/* Within the caller's transaction. */
struct event_draft {
    const char *type; /* without "ai.blaxel.controlplane." */
    const char *status;
    const char *message;
    bool of_resource;
    bool final;
};
MUST_CHECK int event_add(struct state *s, const struct target *t, const struct build *b,
                         const struct event_draft *draft, struct error *err);

/* The last line of the build's log; 0 and 0 without, within the caller's transaction. */
MUST_CHECK int log_end(struct state *s, const char *id, int64_t *ret_seq, int64_t *ret_time,
                       struct error *err);

/* state_revisions.c: the resource was written, within the caller's transaction; id: "" for that of
 * the build, if there is one, or its number. */
MUST_CHECK int revision_add(struct state *s, const struct target *t, const char *metadata,
                            const char *id, const char *build, struct error *err);
MUST_CHECK int revisions_forget(struct state *s, const struct target *t, struct error *err);

/* Cancels the target's unfinished builds made before `before` (ns): those that wait end at once,
 * running ones when their worker next asks. */
MUST_CHECK int builds_cancel(struct state *s, const struct target *t, int64_t before,
                             const char *why, struct error *err);

/* The resource of a build that makes no image has what its build made; and it is told. */
MUST_CHECK int resource_record(struct state *s, const struct build *b, const char *image,
                               struct error *err);

/* Tells the target of a build that makes no image how far that is, if there is anything to tell. */
enum progress_told { TOLD_BEGUN, TOLD_DONE, TOLD_FAILED };
MUST_CHECK int event_add_progress(struct state *s, const struct build *b, enum progress_told told,
                                  const char *message, struct error *err);

/* state_claim.c: whether state_claim would find a build; false also when that cannot be told, or
 * claims fail. */
bool queue_has_work(struct state *s);
/* The build is queued now: its workspace has its turn.  Within the caller's write, of that
 * workspace or of all. */
MUST_CHECK int turn_add(struct state *s, const char *build, struct error *err);
/* Forgets the turns of those who have nothing queued.  Not within a transaction. */
MUST_CHECK int turns_tidy(struct state *s, struct error *err);

/* state_lease.c: whether the worker still holds the build, and whether it should go on; locks the
 * build for the rest of the caller's transaction. */
MUST_CHECK int lease_look(struct state *s, const char *id, const char *worker,
                          enum lease_verdict *ret_verdict, struct error *err);

/* state_finish.c: ends of a build that is not over, within the caller's transaction. */
MUST_CHECK int build_end_failed(struct state *s, const struct build *failed,
                                const struct build_result *result, struct error *err);
/* Of a RUNNING one that was told to stop. */
MUST_CHECK int build_end_cancelled(struct state *s, const char *id, struct error *err);
/* Back to the queue, for pause (ns); without count_try as if it had not been tried. */
MUST_CHECK int build_requeue(struct state *s, const char *id, int64_t pause, bool count_try,
                             struct error *err);

/* The image's tags and the resource's image after a success. */
MUST_CHECK int image_record(struct state *s, const struct build *b, struct error *err);
/* The image with its own tag alone: nothing else says that it is the newest. */
MUST_CHECK int image_keep(struct state *s, const struct build *b, struct error *err);

/* state_webhooks.c: what happened to a resource waits to be sent to each URL of state_announce;
 * within the caller's transaction.  Texts that are NULL or "" are left out. */
struct webhook_news {
    const char *type; /* "deployment.succeeded" */
    struct target of;
    const char *build; /* "": it came by no build; not NULL */
    const char *revision, *status, *image, *digest, *template, *message;
};
MUST_CHECK int webhook_tell(struct state *s, const struct webhook_news *n, struct error *err);
/* What became of a build for a resource, a volume template or a volume, the latter of that version
 * of a template ("name:1"). */
MUST_CHECK int webhook_add(struct state *s, const struct build *b, const char *template,
                           const char *message, bool good, struct error *err);

/* state_image_use.c: who uses the image, or its tag, whose digests those are; within the caller's
 * transaction. */
MUST_CHECK int image_find_user(struct state *s, const struct target *t, const char *tag,
                               const struct argv *digests, const char *registry, bool *ret_found,
                               struct image_user *ret, struct error *err);
/* What resources of the workspace use of its own images, sorted: "type/name" of each, and
 * "type/name:tag" or "type/name@digest". */
MUST_CHECK int image_uses(struct state *s, const char *workspace, const char *registry,
                          struct argv *ret, struct error *err);

static inline struct target build_target(const struct build *b)
{
    return (struct target){b->workspace, b->type, b->name};
}

#endif
