/* worker/state — workspaces, keys, resources, builds, logs and events, in a database (worker/db.h).
 */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/clock.h"

#define NAME_SIZE    64 /* workspace, resource and image names, with the NUL */
#define BUILD_ID     33 /* 32 hex digits */
#define BUILD_TAG    13 /* 12 of [a-z0-9] */
#define DIGEST_SIZE  80
#define BUILD_IMPORT "docker://" /* begins the source of a build that imports an image */
#define BUILD_SOURCE 2048        /* "https://host/repo.git#ref:subdir" */

struct state;

struct workspace_limits { /* 0: none */
    int64_t builds;       /* of images and templates, at once */
    int64_t images;       /* bytes: no image is built while all of them have that */
    int64_t templates;    /* the same for versions of volume templates */
};

/* path: a file, ":memory:", or the URL of a PostgreSQL database.  clock: NULL for the one that all
 * who use the database share.  attempts_max: how often a build is tried in all. */
struct state_config {
    const char *path;
    const struct clock *clock;
    int attempts_max;
    int64_t upload_ns;      /* how long a presigned URL is good for */
    bool uploads_elsewhere; /* in an object store: late ones are for who looks there to end */
    struct workspace_limits limits; /* of a workspace that has none of its own */
};
MUST_CHECK int state_open(const struct state_config *config, struct state **ret, struct error *err);
void state_close(struct state *s);
/* Whether a newer Kiln has changed the database since it was opened: this one can change nothing
 * more, and is to end. */
MUST_CHECK int state_look_superseded(struct state *s, bool *ret, struct error *err);
/* The clock that what it stores is dated by. */
const struct clock *state_clock(const struct state *s);

/* ---- workspaces and API keys ---- */

/* [a-z0-9]+(-[a-z0-9]+)*, 1…49 bytes: what a workspace or a resource may be called. */
bool name_is_valid(const char *name);

enum presence { PRESENT, ABSENT };

/* An account owns workspaces.  ERR_INPUT: the name is not valid.  One that is there is fine. */
MUST_CHECK int state_account_ensure(struct state *s, const char *account, struct error *err);
MUST_CHECK int state_account_list(struct state *s,
                                  void (*each)(void *self, const char *account, int64_t created),
                                  void *self, struct error *err);

struct workspace {
    char name[NAME_SIZE];
    char account[NAME_SIZE];
    int64_t created;
};
/* Makes the workspace in the account, which must be there.  *ret_made false: the name is taken, be
 * it by another account's or by a deleted one, whose images may lie about still. */
MUST_CHECK int state_workspace_create(struct state *s, const char *account, const char *workspace,
                                      bool *ret_made, struct error *err);
/* Makes it, and the account "default" for it, if there is none of that name. */
MUST_CHECK int state_workspace_ensure(struct state *s, const char *workspace, struct error *err);
MUST_CHECK int state_workspace_get(struct state *s, const char *workspace,
                                   enum presence *ret_presence, struct workspace *ret,
                                   struct error *err);
/* account: NULL for all.  By name. */
MUST_CHECK int state_workspace_list(struct state *s, const char *account,
                                    void (*each)(void *self, const struct workspace *w), void *self,
                                    struct error *err);
enum workspace_deletion { WORKSPACE_DELETED, WORKSPACE_ABSENT, WORKSPACE_IN_USE };
/* Of one that has no resources and images any more; its keys are revoked. */
MUST_CHECK int state_workspace_delete(struct state *s, const char *workspace,
                                      enum workspace_deletion *ret, struct error *err);

/* What the workspace may take. */
MUST_CHECK int state_limits_get(struct state *s, const char *workspace,
                                struct workspace_limits *ret, struct error *err);
/* Gives it limits of its own, instead of those in state_config. */
#define LIMIT_KEPT      (-1) /* as it is */
#define LIMIT_OF_SERVER (-2) /* no own one any more */
MUST_CHECK int state_limits_set(struct state *s, const char *workspace,
                                const struct workspace_limits *own, enum presence *ret_presence,
                                struct error *err);
/* What its own images have in all: each image that a tag names once, with all its layers, whether
 * or not others have them too. */
MUST_CHECK int state_images_size(struct state *s, const char *workspace, uint64_t *ret,
                                 struct error *err);
/* Its builds of images and templates that run now. */
MUST_CHECK int state_builds_running(struct state *s, const char *workspace, uint64_t *ret,
                                    struct error *err);

enum key_kind {
    KEY_API,    /* opens the API */
    KEY_CLIENT, /* a service account: its secret is worth access tokens, nothing else */
    KEY_TOKEN,  /* such a token */
};
enum key_role { ROLE_MEMBER, ROLE_ADMIN };

#define API_KEY_TEXT 48 /* "bl_" and 40 letters and digits */
struct api_key {
    char id[17];
    char parent[17]; /* of a token: the service account's id */
    char account[NAME_SIZE];
    char workspace[NAME_SIZE]; /* "": every one of the account */
    char label[NAME_SIZE];
    enum key_kind kind;
    enum key_role role;
    int64_t created, expires, revoked; /* ns; expires 0: never; revoked 0: valid */
};
struct key_draft {         /* borrowed */
    const char *account;   /* NULL: the workspace's */
    const char *workspace; /* made if it is not there; NULL: the whole account */
    const char *label;     /* NULL: "" */
    const char *parent;    /* of a token: the client's id; NULL: none */
    enum key_kind kind;
    enum key_role role;
    int64_t seconds; /* 0: it never expires */
};
/* The key's text is given out here and never again: only its SHA-256 is stored.  ERR_INPUT: a name
 * is not valid, the account is not there, or the workspace is deleted or another account's. */
MUST_CHECK int state_key_create(struct state *s, const struct key_draft *draft,
                                char ret_text[API_KEY_TEXT], struct api_key *ret,
                                struct error *err);
enum key_verdict { KEY_VALID, KEY_UNKNOWN };
/* Of a KEY_API or KEY_TOKEN. */
MUST_CHECK int state_key_check(struct state *s, const char *text, enum key_verdict *ret_verdict,
                               struct api_key *ret, struct error *err);
/* Of a KEY_CLIENT. */
MUST_CHECK int state_client_check(struct state *s, const char *id, const char *secret,
                                  enum key_verdict *ret_verdict, struct api_key *ret,
                                  struct error *err);
/* API keys and clients, of one account or workspace (NULL: any). */
MUST_CHECK int state_key_list(struct state *s, const char *account, const char *workspace,
                              void (*each)(void *self, const struct api_key *k), void *self,
                              struct error *err);
/* One of that account and workspace (NULL: any); tokens got with it go too. */
MUST_CHECK int state_key_revoke(struct state *s, const char *account, const char *workspace,
                                const char *id, enum presence *ret_presence, struct error *err);

/* A secret of this installation, made at first use: the same bytes ever after. */
MUST_CHECK int state_secret(struct state *s, const char *name, void *out, size_t len,
                            struct error *err);

/* ---- builds ---- */

enum build_phase {
    BUILD_UPLOADING,
    BUILD_QUEUED,
    BUILD_RUNNING,
    BUILD_SUCCEEDED,
    BUILD_FAILED,
    BUILD_CANCELLED,
};

enum build_purpose {
    BUILD_FOR_IMAGE,
    BUILD_FOR_RESOURCE,
    /* No image comes of these: */
    BUILD_FOR_TEMPLATE, /* a revision of a volume template */
    BUILD_FOR_VOLUME,   /* a volume is made or grown */
    BUILD_TO_COLLECT,   /* what no revision of the workspace needs is removed from its store */
};

static inline bool purpose_is_image(enum build_purpose purpose)
{
    return purpose == BUILD_FOR_IMAGE || purpose == BUILD_FOR_RESOURCE;
}

/* Types of targets that are no images. */
#define TYPE_TEMPLATE "volume-template"
#define TYPE_VOLUME   "volume"
#define TYPE_STORE    "template-store"

struct build {
    char id[BUILD_ID];
    char workspace[NAME_SIZE];
    char type[NAME_SIZE]; /* singular: "sandbox" */
    char name[NAME_SIZE];
    enum build_purpose purpose;
    enum build_phase phase;
    /* Drawn when the build is made, so that every try pushes the same; of a template the revision's
     * number, once it has one. */
    char tag[BUILD_TAG];
    char archive[96]; /* key in the upload store; "" before the upload, or with a source */
    uint64_t archive_size;
    int attempts;       /* tries begun */
    char step[32];      /* of the pipeline, while RUNNING */
    char fault[8];      /* error_kind_name, when FAILED */
    char message[1024]; /* why, when FAILED or CANCELLED */
    char digest[DIGEST_SIZE];
    uint64_t image_size; /* bytes */
    /* moments in ns since 1970; 0: not yet */
    int64_t created, upload_expires, uploaded, started, finished;
    int64_t last_line;     /* of the log: when it was stored */
    int64_t building_seen; /* when a client was first told BUILDING */
    int64_t log_read;      /* when a client last read the log, before the end was visible */
    /* Instead of an upload: a git source, BUILD_IMPORT and an image, or what is to be done with a
     * volume (volumes.h). */
    char source[BUILD_SOURCE];
    bool no_cache;          /* every step is run, and no earlier image reused */
    int64_t log_removed;    /* when its log was, by state_log_remove_old; 0: it is there */
    int64_t deploying;      /* when this try came to the deploy step; 0: not yet */
    int64_t deploying_seen; /* when a client was first told DEPLOYING, in this try */
};

/* Which image or resource a call is about. */
struct target {
    const char *workspace;
    const char *type; /* singular */
    const char *name;
};

enum upload_outcome {
    UPLOAD_ACCEPTED,
    UPLOAD_USED,       /* this build has its archive already */
    UPLOAD_SUPERSEDED, /* a newer build, or the resource is gone */
    UPLOAD_EXPIRED,
    UPLOAD_UNKNOWN, /* no such build in that workspace */
};

/* What state_build_ask makes a build of. */
struct build_order {
    enum build_purpose purpose;
    const char *source; /* NULL: an upload */
    const char *id;     /* drawn before, for a source; NULL: a new one */
    bool no_cache;
};
/* So that something can be kept for the build before anybody takes it. */
void state_build_draw_id(char ret[BUILD_ID]);
/* The two below, with all that can be asked for. */
MUST_CHECK int state_build_ask(struct state *s, const struct target *t,
                               const struct build_order *order, struct build *ret,
                               struct error *err);

/* Makes a build that waits for its upload; an older one of the same target that still waits is
 * CANCELLED.  Adds the event buildimage.created. */
MUST_CHECK int state_build_begin(struct state *s, const struct target *t,
                                 enum build_purpose purpose, struct build *ret, struct error *err);

/* Makes a build that needs no upload: it is queued at once, and older unfinished ones of the same
 * target are cancelled.  source: shorter than BUILD_SOURCE, and checked by the caller. */
MUST_CHECK int state_build_from_source(struct state *s, const struct target *t,
                                       enum build_purpose purpose, const char *source,
                                       struct build *ret, struct error *err);

/* What state_upload_accept would answer now; lets a PUT be refused before its body is read. */
MUST_CHECK int state_upload_check(struct state *s, const char *workspace, const char *id,
                                  enum upload_outcome *ret_outcome, struct error *err);

/* The archive is in the store and durable: queues the build, and cancels older unfinished ones of
 * the same target.  Anything but UPLOAD_ACCEPTED changes nothing. */
MUST_CHECK int state_upload_accept(struct state *s, const char *workspace, const char *id,
                                   const char *archive, uint64_t size,
                                   enum upload_outcome *ret_outcome, struct error *err);

/* An upload came, and is none that can be built: fails the build that waits for it.  For another
 * one nothing is changed. */
MUST_CHECK int state_upload_refuse(struct state *s, const char *id, enum error_kind kind,
                                   const char *message, struct error *err);

/* Every build that waits for its upload. */
MUST_CHECK int state_uploads_awaited(struct state *s,
                                     void (*each)(void *self, const struct build *b), void *self,
                                     struct error *err);

MUST_CHECK int state_build_get(struct state *s, const char *id, enum presence *ret_presence,
                               struct build *ret, struct error *err);
/* The newest one of the target that is not CANCELLED. */
MUST_CHECK int state_build_newest(struct state *s, const struct target *t,
                                  enum presence *ret_presence, struct build *ret,
                                  struct error *err);
/* The same among those that were there between two moments (ns): made by `until`, and not over
 * before `since`. */
MUST_CHECK int state_build_newest_between(struct state *s, const struct target *t, int64_t since,
                                          int64_t until, enum presence *ret_presence,
                                          struct build *ret, struct error *err);

/* Builds of the workspace, newest first, at most limit of those made before the build `before` (an
 * id; "" for all), without those that collect (BUILD_TO_COLLECT).  *ret_total: how many there are
 * in all. */
MUST_CHECK int state_build_list(struct state *s, const char *workspace, const char *before,
                                int64_t limit, void (*each)(void *self, const struct build *b),
                                void *self, int64_t *ret_total, struct error *err);

/* Keeps the Dockerfile that the build uses, for whoever wants to read it; the last one counts. */
MUST_CHECK int state_build_keep_dockerfile(struct state *s, const char *id, const char *text,
                                           struct error *err);
/* Appends it; nothing for a build that has not come that far. */
MUST_CHECK int state_build_dockerfile(struct state *s, const char *id, struct buf *out,
                                      struct error *err);

/* Notes the digest of all that decides the build's image, and looks for the newest build of the
 * target that SUCCEEDED with the same: its image can stand for this one's. */
MUST_CHECK int state_build_find_identical(struct state *s, const struct target *t, const char *id,
                                          const char *inputs, enum presence *ret_presence,
                                          char ret_digest[DIGEST_SIZE], struct error *err);

/* Clients were told BUILDING or DEPLOYING, or read the log, now: facts that build_status needs. All
 * change nothing once the end is visible. */
MUST_CHECK int state_build_seen(struct state *s, const char *id, struct error *err);
MUST_CHECK int state_build_deploying_seen(struct state *s, const char *id, struct error *err);
MUST_CHECK int state_build_log_read(struct state *s, const char *id, struct error *err);

/* ---- queue ---- */

/* Claims, steps, heartbeats, log lines and what clients were told survive every kill, but a power
 * cut may take the last of them back: the build is then where it was, and tried again. */

/* Takes a QUEUED build for lease_ns: workspaces take turns (state_claim.c), those passed by that
 * have as many RUNNING as they may (struct workspace_limits), and of the one whose turn it is it is
 * the oldest whose target has none RUNNING. */
MUST_CHECK int state_claim(struct state *s, const char *worker, int64_t lease_ns,
                           enum presence *ret_presence, struct build *ret, struct error *err);

enum lease_verdict {
    LEASE_KEPT,
    LEASE_CANCELLED, /* still ours, but stop: superseded or deleted */
    LEASE_LOST,      /* someone else has it, or it ended: touch nothing */
};
MUST_CHECK int state_heartbeat(struct state *s, const char *id, const char *worker,
                               int64_t lease_ns, enum lease_verdict *ret_verdict,
                               struct error *err);
/* Says which step begins.  At STEP_DEPLOY the image is made, and about to be deployed. */
#define STEP_DEPLOY "deploy"
MUST_CHECK int state_step(struct state *s, const char *id, const char *worker, const char *step,
                          enum lease_verdict *ret_verdict, struct error *err);

/* The end of a try.  With kind ERR_NONE: SUCCEEDED, the image has its tags and the resource its
 * image.  ERR_INPUT, ERR_LIMIT: FAILED.  ERR_REMOTE, ERR_SYSTEM: QUEUED again after a pause, or
 * FAILED when attempts_max is reached (*ret_phase tells).  On LEASE_LOST nothing changes; on
 * LEASE_CANCELLED the build ends CANCELLED. */
struct build_result {
    enum error_kind kind;
    const char *message; /* failure's reason for the user */
    const char *event;   /* longer text for the failure event; NULL: message */
    const char *digest;
    uint64_t image_size;
    bool reused; /* the image is an earlier build's */
    bool built;  /* of a failure: the image is there all the same, and was not fit to be deployed */
    const char *image; /* of a build that makes no image: what its resource has now ("deps:3") */
};
MUST_CHECK int state_finish(struct state *s, const char *id, const char *worker,
                            const struct build_result *result, enum lease_verdict *ret_verdict,
                            enum build_phase *ret_phase, struct error *err);

/* Hands a claimed build back unharmed (a worker that drains): QUEUED at once, the try not counted.
 */
MUST_CHECK int state_give_back(struct state *s, const char *id, const char *worker,
                               struct error *err);

/* Waits until a build may be there to claim, at most timeout_ms; false: there is none, so look
 * again by this, which costs others less than a claim.  Builds queued by other processes are
 * noticed at once while state_hears, and else at the timeout, as are those whose pause is over. */
bool state_wait(struct state *s, int timeout_ms);
bool state_hears(struct state *s);
void state_wake(struct state *s); /* lets all state_wait return */

/* Ends what nobody will: uploads past their time (unless they are elsewhere), leases past theirs.
 * Cheap; call every second. */
MUST_CHECK int state_expire(struct state *s, struct error *err);
/* The former alone. */
MUST_CHECK int state_expire_uploads(struct state *s, struct error *err);

/* The workers that hold a build, and: this one is known to be dead, so its leases end now. */
MUST_CHECK int state_worker_list(struct state *s, struct argv *ret, struct error *err);
MUST_CHECK int state_worker_died(struct state *s, const char *worker, struct error *err);

/* True for an archive that an unfinished build owns, and for a build that has not ended. */
MUST_CHECK int state_archive_in_use(struct state *s, const char *archive, bool *ret,
                                    struct error *err);
MUST_CHECK int state_build_unfinished(struct state *s, const char *id, bool *ret,
                                      struct error *err);

/* ---- build log ---- */

enum log_severity { LOG_DEBUG = 5, LOG_INFO = 9, LOG_WARNING = 13, LOG_ERROR = 17 };

enum log_step { LOG_STEP_NONE, LOG_STEP_RUNNING, LOG_STEP_CACHED, LOG_STEP_DONE, LOG_STEP_FAILED };
enum log_stream { LOG_NO_STREAM, LOG_STDOUT, LOG_STDERR };

struct log_event {          /* what a line is about */
    int step;               /* the number in its text; 0: not known, or none */
    enum log_step state;    /* that the step comes to with this line */
    enum log_stream stream; /* of the output that the line is */
    int skip;               /* bytes of text before what the line itself says */
    int64_t began;          /* CACHED, DONE, FAILED: when the step did, ns since 1970 */
    uint64_t bytes;         /* DONE: that it wrote */
    int code;               /* FAILED: the command's exit code; -1: none did */
};

struct log_line {
    int64_t seq;  /* from 1 */
    int64_t time; /* ns; unique and rising within a build */
    enum log_severity severity;
    const char *text; /* UTF-8, no control bytes but tab */
    struct log_event event;
};
/* Appends; seq is set here, and so is a time that is 0 or not later than the line before's.  The
 * lines of a build that is over stay. */
MUST_CHECK int state_log_append(struct state *s, const char *id, const struct log_line *lines,
                                size_t n, struct error *err);
/* Lines with seq > after in rising order, at most limit of them; with newest, the last `limit`
 * lines of the log instead, newest first.  *ret_total: lines in the log. */
MUST_CHECK int state_log_read(struct state *s, const char *id, int64_t after, bool newest,
                              int64_t limit, void (*each)(void *self, const struct log_line *l),
                              void *self, int64_t *ret_total, struct error *err);
/* Removes the first thousand or so lines of the oldest log whose build was over before `before`
 * (ns); a line in the place of the last of them says so, and when no other is left, log_removed is
 * set.  *ret_more: there was such a log, so call it again.  Small steps, so that others get their
 * turns in between. */
MUST_CHECK int state_log_remove_old(struct state *s, int64_t before, bool *ret_more,
                                    struct error *err);

/* ---- events ---- */

struct event {
    int64_t time;
    const char *type;   /* "ai.blaxel.controlplane.buildimage.created" */
    const char *status; /* "UPLOADED" */
    const char *message;
    const char *revision; /* the build's tag; "" without */
    char build[BUILD_ID]; /* "" without */
    bool of_resource;     /* about the resource, not the image */
    bool final;           /* to be shown only once the build's end is visible */
};
/* Oldest first, the last 100 of the target. */
MUST_CHECK int state_event_list(struct state *s, const struct target *t,
                                void (*each)(void *self, const struct event *e), void *self,
                                struct error *err);

/* ---- what is said of images ---- */

enum attestation { ATTESTATION_PROVENANCE, ATTESTATION_SBOM };

/* Keeps what is said of the image that the build makes; the last word counts. */
MUST_CHECK int state_attestation_keep(struct state *s, const char *build, enum attestation kind,
                                      const char *text, struct error *err);
/* Appends what is said of the image that the tag names, by the newest build that made it. */
MUST_CHECK int state_attestation_get(struct state *s, const struct target *t, const char *tag,
                                     enum attestation kind, enum presence *ret_presence,
                                     struct buf *out, struct error *err);

/* The image's repository has these layers. */
MUST_CHECK int state_layers_keep(struct state *s, const struct target *t,
                                 const struct argv *digests, struct error *err);
/* Adds for each the repository of the workspace that was last known to have it, or "". */
MUST_CHECK int state_layers_find(struct state *s, const char *workspace, const struct argv *digests,
                                 struct argv *ret, struct error *err);

/* ---- resources ---- */

struct resource {
    char workspace[NAME_SIZE];
    char type[NAME_SIZE]; /* singular */
    char name[NAME_SIZE];
    char *metadata;       /* JSON object as the client sent it, without what the server owns */
    char *spec;           /* JSON object, unknown fields kept */
    char *others;         /* JSON object of what Kiln does not know beside these two; "" for none */
    char build[BUILD_ID]; /* the newest asked for; "" without any, or with an image of its own */
    /* Of the last success; "" before: "<type>/<name>:<tag>"; of a template "<name>:<revision>"; of
     * a volume what state_resource_order's build said. */
    char image[256];
    int64_t created, updated;
};
void resource_release(struct resource *r);

struct resource_body { /* as in struct resource; borrowed */
    const char *metadata, *spec;
    const char *others; /* NULL: none */
};

enum resource_outcome { RESOURCE_WRITTEN, RESOURCE_EXISTS, RESOURCE_ABSENT, RESOURCE_BUSY };

/* create: RESOURCE_EXISTS if it is there, unless it has no image and no upload ever came for it.
 * Otherwise an update: RESOURCE_ABSENT if it is not there.  With upload, a build for it is begun in
 * the same transaction (ret_build; else untouched); without, spec.runtime.image is its image and it
 * has no build any more, or, if the spec names none, both stay.  With RESOURCE_WRITTEN, ret is to
 * be released by the caller; otherwise it is untouched. */
MUST_CHECK int state_resource_write(struct state *s, const struct target *t,
                                    const struct resource_body *body, bool create, bool upload,
                                    enum resource_outcome *ret_outcome, struct resource *ret,
                                    struct build *ret_build, struct error *err);
/* The same for a volume: a build that needs no upload, of source (as for state_build_from_source;
 * "" for none), is queued with it.  RESOURCE_BUSY: its last one has not ended.  create also where
 * its making failed. */
MUST_CHECK int state_resource_order(struct state *s, const struct target *t,
                                    const struct resource_body *body, bool create,
                                    const char *source, enum resource_outcome *ret_outcome,
                                    struct resource *ret, struct build *ret_build,
                                    struct error *err);
/* The same with a build of that source, whose id was drawn before. */
MUST_CHECK int state_resource_import(struct state *s, const struct target *t,
                                     const struct resource_body *body, bool create,
                                     const char *source, const char *id,
                                     enum resource_outcome *ret_outcome, struct resource *ret,
                                     struct build *ret_build, struct error *err);
MUST_CHECK int state_resource_get(struct state *s, const struct target *t,
                                  enum presence *ret_presence, struct resource *ret,
                                  struct error *err);
/* In the order of their names, those after `after` ("" for the first page), at most limit.
 * *ret_total: how many there are in all. */
MUST_CHECK int state_resource_list(struct state *s, const char *workspace, const char *type,
                                   const char *after, int64_t limit,
                                   void (*each)(void *self, const struct resource *r), void *self,
                                   int64_t *ret_total, struct error *err);
/* Cancels its unfinished builds. */
MUST_CHECK int state_resource_delete(struct state *s, const struct target *t,
                                     enum presence *ret_presence, struct error *err);

struct revision {
    int64_t number;     /* of the resource's writes, from 1 */
    char id[BUILD_TAG]; /* "": it has the name of its build, or else its number */
    char build[BUILD_ID];
    int64_t created;
    char created_by[NAME_SIZE];
};
/* What the resource was, newest first, the last 100. */
MUST_CHECK int state_revision_list(struct state *s, const struct target *t,
                                   void (*each)(void *self, const struct revision *r), void *self,
                                   struct error *err);

/* ---- load ---- */

struct state_load {
    int64_t uploading, queued, running; /* builds */
    int64_t queued_since;               /* ns: of the queued build that waits longest; 0: of none */
};
MUST_CHECK int state_load(struct state *s, struct state_load *ret, struct error *err);

/* ---- images ---- */

struct image_tag {
    char name[129]; /* "latest" or a build's tag */
    char digest[DIGEST_SIZE];
    uint64_t size; /* bytes */
    int64_t created, updated;
};
struct image {
    char workspace[NAME_SIZE]; /* whose it is: another's, if it is shared */
    char type[NAME_SIZE];
    char name[NAME_SIZE];
    int64_t created, updated, deployed; /* deployed: last success */
    uint64_t size;                      /* of the newest tag */
};
/* An image is there from the first build asked for.  Both also find what others share with the
 * workspace. */
MUST_CHECK int state_image_get(struct state *s, const struct target *t, enum presence *ret_presence,
                               struct image *ret, struct error *err);
MUST_CHECK int state_image_list(struct state *s, const char *workspace,
                                void (*each)(void *self, const struct image *i), void *self,
                                struct error *err);
MUST_CHECK int state_image_tags(struct state *s, const struct target *t,
                                void (*each)(void *self, const struct image_tag *g), void *self,
                                struct error *err);
/* True while a tag of the image names the digest. */
MUST_CHECK int state_digest_in_use(struct state *s, const struct target *t, const char *digest,
                                   bool *ret, struct error *err);

/* Who is told what was deleted: both are called when the database has forgotten it, and nobody
 * waits for them. */
struct image_deleter {
    const char *registry; /* the host that resources may name this workspace's images with */
    void (*deleted)(void *self, const struct target *t, const char *tag); /* NULL: all of it */
    /* No tag of the image names the digest any more: it is to be deleted in the registry. */
    void (*gone)(void *self, const struct target *t, const char *digest);
    void *self;
};
struct image_user { /* a resource */
    char workspace[NAME_SIZE];
    char type[NAME_SIZE];
    char name[NAME_SIZE];
};
enum image_deletion { IMAGE_DELETED, IMAGE_ABSENT, IMAGE_SHARED, IMAGE_IN_USE };
/* Forgets the image with all tags, or one tag, and cancels what is still built of a whole image.
 * IMAGE_IN_USE: a resource of the workspace, or of one that the image is shared with, has it
 * (*ret_user; else untouched).  IMAGE_SHARED: others see it, though none of their resources has
 * it. */
MUST_CHECK int state_image_delete(struct state *s, const struct target *t, const char *tag,
                                  const struct image_deleter *deleter, enum image_deletion *ret,
                                  struct image_user *ret_user, struct error *err);
/* Forgets what no resource of the workspace uses of its own images: all of an image that none uses;
 * of one that some use, the tags that none of them names, but for "latest" and others of the same
 * digests as those that stay.  Images that are shared, or have an unfinished build, stay whole. */
MUST_CHECK int state_image_clean(struct state *s, const char *workspace,
                                 const struct image_deleter *deleter, struct error *err);

#endif
