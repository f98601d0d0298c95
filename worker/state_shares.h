/* worker/state_shares — images that other workspaces see: of one account at once, of another once
 * that has accepted. */
#ifndef WORKER_STATE_SHARES_H
#define WORKER_STATE_SHARES_H

#include "worker/state.h"

enum share_outcome {
    SHARE_MADE,
    SHARE_NO_IMAGE,  /* the workspace has none of its own of that name */
    SHARE_NO_TARGET, /* no such workspace in the image's account, or the image's own */
    SHARE_EXISTS,    /* it is shared with the target already */
    SHARE_TAKEN,     /* the target has, or sees, another image of that name */
};
/* Lets another workspace of the account see and pull the image, with all tags that it will have.
 * The bytes stay where they are. */
MUST_CHECK int state_share_create(struct state *s, const struct target *t, const char *target,
                                  enum share_outcome *ret, struct error *err);
/* Also one that is only offered (below).  left: it is the target that ends it. */
MUST_CHECK int state_share_delete(struct state *s, const struct target *t, const char *target,
                                  bool left, enum presence *ret_presence, struct error *err);
/* The workspace that shares an image of that name with seen->workspace. */
MUST_CHECK int state_share_source(struct state *s, const struct target *seen,
                                  enum presence *ret_presence, char ret[NAME_SIZE],
                                  struct error *err);
/* The workspaces that the image is shared with, by name. */
MUST_CHECK int state_share_list(struct state *s, const struct target *t,
                                void (*each)(void *self, const struct workspace *target),
                                void *self, struct error *err);
/* Whether the image is shared with that workspace; NULL: with any. */
MUST_CHECK int state_share_exists(struct state *s, const struct target *t, const char *target,
                                  bool *ret, struct error *err);

/* Whether a workspace may pull from a repository of Kiln's registry, "globex/sandbox/app": its own,
 * and what is shared with it.  Tokens and builds go by this. */
MUST_CHECK int state_may_pull(struct state *s, const char *workspace, const char *repository,
                              bool *ret, struct error *err);
/* Whether any workspace of the account may. */
MUST_CHECK int state_account_may_pull(struct state *s, const char *account, const char *repository,
                                      bool *ret, struct error *err);

/* ---- offers to other accounts ---- */

/* An image that is offered to a workspace of another account. */
struct pending_share {
    char id[17];
    char account[NAME_SIZE]; /* the image's */
    char workspace[NAME_SIZE];
    char type[NAME_SIZE];
    char name[NAME_SIZE];
    char target_account[NAME_SIZE];
    char target[NAME_SIZE];
    char shared_by[NAME_SIZE]; /* the key's label, or its id */
    int64_t created, expires;
};
struct share_offer { /* borrowed */
    const char *account, *target;
    const char *shared_by;
    int64_t ns; /* how long it stands */
};
/* SHARE_MADE: ret_share is told; SHARE_NO_TARGET: the account has no such workspace; SHARE_EXISTS:
 * it is shared or offered already.  Never SHARE_TAKEN. */
MUST_CHECK int state_share_offer(struct state *s, const struct target *t,
                                 const struct share_offer *o, enum share_outcome *ret,
                                 struct pending_share *ret_share, struct error *err);
/* Also one that has expired, for a while. */
MUST_CHECK int state_pending_share_get(struct state *s, const char *id, enum presence *ret_presence,
                                       struct pending_share *ret, struct error *err);
/* Those that stand: offered to the workspace, or by it.  Oldest first. */
MUST_CHECK int state_pending_share_list(struct state *s, const char *workspace, bool incoming,
                                        void (*each)(void *self, const struct pending_share *p),
                                        void *self, struct error *err);
/* Makes a share of it.  SHARE_MADE and SHARE_EXISTS: it is one, the offer is gone; SHARE_NO_IMAGE:
 * the image is; SHARE_TAKEN: the target has another of that name.  force: what others share with
 * the target under that name ends. */
MUST_CHECK int state_pending_share_accept(struct state *s, const struct pending_share *p,
                                          bool force, enum share_outcome *ret, struct error *err);
MUST_CHECK int state_pending_share_delete(struct state *s, const char *id, struct error *err);

#endif
