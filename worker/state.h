/* worker/state — workspaces, keys, resources, builds, logs and events, in SQLite. */
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

/* path: a file, or ":memory:".  attempts_max: how often a build is tried in all. */
struct state_config {
    const char *path;
    const struct clock *clock;
    int attempts_max;
    int64_t upload_ns; /* how long a presigned URL is good for */
};
MUST_CHECK int state_open(const struct state_config *config, struct state **ret, struct error *err);
void state_close(struct state *s);

/* ---- workspaces and API keys ---- */

/* [a-z0-9]+(-[a-z0-9]+)*, 1…49 bytes: what a workspace or a resource may be called. */
bool name_is_valid(const char *name);

/* Makes the workspace if it is not there.  ERR_INPUT: the name is not valid. */
MUST_CHECK int state_workspace_ensure(struct state *s, const char *workspace, struct error *err);

#define API_KEY_TEXT 48 /* "bl_" and 40 letters and digits */
struct api_key {
    char id[17];
    char workspace[NAME_SIZE];
    char label[NAME_SIZE];
    int64_t created, revoked; /* ns; revoked 0: valid */
};
/* The key's text is given out here and never again: only its SHA-256 is stored. */
MUST_CHECK int state_key_create(struct state *s, const char *workspace, const char *label,
                                char ret_text[API_KEY_TEXT], struct api_key *ret,
                                struct error *err);
enum key_verdict { KEY_VALID, KEY_UNKNOWN };
MUST_CHECK int state_key_check(struct state *s, const char *text, enum key_verdict *ret_verdict,
                               struct api_key *ret, struct error *err);
MUST_CHECK int state_key_list(struct state *s, const char *workspace, /* NULL: all */
                              void (*each)(void *self, const struct api_key *k), void *self,
                              struct error *err);
enum presence { PRESENT, ABSENT };
MUST_CHECK int state_key_revoke(struct state *s, const char *id, enum presence *ret_presence,
                                struct error *err);

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

enum build_purpose { BUILD_FOR_IMAGE, BUILD_FOR_RESOURCE };

struct build {
    char id[BUILD_ID];
    char workspace[NAME_SIZE];
    char type[NAME_SIZE]; /* singular: "sandbox" */
    char name[NAME_SIZE];
    enum build_purpose purpose;
    enum build_phase phase;
    char tag[BUILD_TAG]; /* drawn when the build is made, so that every try pushes the same */
    char archive[96];    /* key in the upload store; "" before the upload, or with a source */
    uint64_t archive_size;
    int attempts;       /* tries begun */
    char step[32];      /* of the pipeline, while RUNNING */
    char fault[8];      /* error_kind_name, when FAILED */
    char message[1024]; /* why, when FAILED or CANCELLED */
    char digest[DIGEST_SIZE];
    uint64_t image_size; /* bytes */
    /* moments in ns since 1970; 0: not yet */
    int64_t created, upload_expires, uploaded, started, finished;
    int64_t last_line;         /* of the log: when it was stored */
    int64_t building_seen;     /* when a client was first told BUILDING */
    int64_t log_read;          /* when a client last read the log, before the end was visible */
    char source[BUILD_SOURCE]; /* a git source, or BUILD_IMPORT and an image, instead of an upload;
                                  "" without */
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

/* Makes a build that waits for its upload; an older one of the same target that still waits is
 * CANCELLED.  Adds the event buildimage.created. */
MUST_CHECK int state_build_begin(struct state *s, const struct target *t,
                                 enum build_purpose purpose, struct build *ret, struct error *err);

/* Makes a build that needs no upload: it is queued at once, and older unfinished ones of the same
 * target are cancelled.  source: shorter than BUILD_SOURCE, and checked by the caller. */
MUST_CHECK int state_build_from_source(struct state *s, const struct target *t,
                                       enum build_purpose purpose, const char *source,
                                       struct build *ret, struct error *err);
/* The same with an id that was drawn before, so that something can be kept for the build before
 * anybody takes it. */
void state_build_draw_id(char ret[BUILD_ID]);
MUST_CHECK int state_build_from_source_as(struct state *s, const struct target *t,
                                          enum build_purpose purpose, const char *source,
                                          const char *id, struct build *ret, struct error *err);

/* What state_upload_accept would answer now; lets a PUT be refused before its body is read. */
MUST_CHECK int state_upload_check(struct state *s, const char *workspace, const char *id,
                                  enum upload_outcome *ret_outcome, struct error *err);

/* The archive is in the store and durable: queues the build, and cancels older unfinished ones of
 * the same target.  Anything but UPLOAD_ACCEPTED changes nothing. */
MUST_CHECK int state_upload_accept(struct state *s, const char *workspace, const char *id,
                                   const char *archive, uint64_t size,
                                   enum upload_outcome *ret_outcome, struct error *err);

MUST_CHECK int state_build_get(struct state *s, const char *id, enum presence *ret_presence,
                               struct build *ret, struct error *err);
/* The newest one of the target that is not CANCELLED. */
MUST_CHECK int state_build_newest(struct state *s, const struct target *t,
                                  enum presence *ret_presence, struct build *ret,
                                  struct error *err);

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

/* Clients were told BUILDING, or read the log, now: facts that build_status needs.  Both change
 * nothing once the end is visible. */
MUST_CHECK int state_build_seen(struct state *s, const char *id, struct error *err);
MUST_CHECK int state_build_log_read(struct state *s, const char *id, struct error *err);

/* ---- queue ---- */

/* Claims, steps, heartbeats, log lines and what clients were told survive every kill, but a power
 * cut may take the last of them back: the build is then where it was, and tried again. */

/* Takes the oldest QUEUED build whose target has none RUNNING, for lease_ns. */
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
/* Says which step begins. */
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
};
MUST_CHECK int state_finish(struct state *s, const char *id, const char *worker,
                            const struct build_result *result, enum lease_verdict *ret_verdict,
                            enum build_phase *ret_phase, struct error *err);

/* Hands a claimed build back unharmed (a worker that drains): QUEUED at once, the try not counted.
 */
MUST_CHECK int state_give_back(struct state *s, const char *id, const char *worker,
                               struct error *err);

/* Waits until a build may be there to claim, at most timeout_ms.  Builds queued by other processes
 * are noticed at the timeout. */
void state_wait(struct state *s, int timeout_ms);
void state_wake(struct state *s); /* lets all state_wait return */

/* Ends what nobody will: uploads past their time, leases past theirs.  Cheap; call every second. */
MUST_CHECK int state_expire(struct state *s, struct error *err);

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

struct log_line {
    int64_t seq;  /* from 1 */
    int64_t time; /* ns; unique and rising within a build */
    enum log_severity severity;
    const char *text; /* UTF-8, no control bytes but tab */
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

/* ---- resources ---- */

struct resource {
    char workspace[NAME_SIZE];
    char type[NAME_SIZE]; /* singular */
    char name[NAME_SIZE];
    char *metadata;       /* JSON object as the client sent it, without what the server owns */
    char *spec;           /* JSON object, unknown fields kept */
    char build[BUILD_ID]; /* the newest asked for; "" without any, or with an image of its own */
    char image[256];      /* "<type>/<name>:<tag>" of the last success; "" before */
    int64_t created, updated;
};
void resource_release(struct resource *r);

enum resource_outcome { RESOURCE_WRITTEN, RESOURCE_EXISTS, RESOURCE_ABSENT };

/* create: RESOURCE_EXISTS if it is there, unless it has no image and no upload ever came for it.
 * Otherwise an update: RESOURCE_ABSENT if it is not there.  With upload, a build for it is begun in
 * the same transaction (ret_build; else untouched); without, spec.runtime.image is its image and it
 * has no build any more, or, if the spec names none, both stay.  With RESOURCE_WRITTEN, ret is to
 * be released by the caller; otherwise it is untouched. */
MUST_CHECK int state_resource_write(struct state *s, const struct target *t, const char *metadata,
                                    const char *spec, bool create, bool upload,
                                    enum resource_outcome *ret_outcome, struct resource *ret,
                                    struct build *ret_build, struct error *err);
/* The same with a build as from state_build_from_source_as. */
MUST_CHECK int state_resource_import(struct state *s, const struct target *t, const char *metadata,
                                     const char *spec, bool create, const char *source,
                                     const char *id, enum resource_outcome *ret_outcome,
                                     struct resource *ret, struct build *ret_build,
                                     struct error *err);
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

/* ---- images ---- */

struct image_tag {
    char name[129]; /* "latest" or a build's tag */
    char digest[DIGEST_SIZE];
    uint64_t size; /* bytes */
    int64_t created, updated;
};
struct image {
    char type[NAME_SIZE];
    char name[NAME_SIZE];
    int64_t created, updated, deployed; /* deployed: last success */
    uint64_t size;                      /* of the newest tag */
};
/* An image is there from the first build asked for. */
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
/* Forgets the image with all tags, or one tag, and calls gone for every digest that no tag of the
 * image names any more, for the caller to delete in the registry. */
MUST_CHECK int state_image_delete(struct state *s, const struct target *t, const char *tag,
                                  void (*gone)(void *self, const char *digest), void *self,
                                  enum presence *ret_presence, struct error *err);

#endif
