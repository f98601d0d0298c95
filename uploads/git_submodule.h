/* uploads/git_submodule — repositories in a repository, each fetched by itself. */
#ifndef UPLOADS_GIT_SUBMODULE_H
#define UPLOADS_GIT_SUBMODULE_H

#include "uploads/git.h"

struct git_nested {
    struct upload_git source;
    struct upload_git_limits limits;
    struct upload_report report; /* bytes: received */
    char dir[PATH_MAX];
    struct upload_git_session *session; /* NULL: it is left out */
};

/* Fetches the commit that parent has at path, which is relative to its root, into a directory of
 * its own in parent's; number tells apart.  limits: what is left of those of the source as a whole.
 * It is left out, with the reason in ret_why, if it is nowhere that is asked.  ret is to be
 * released. */
MUST_CHECK int git_nested_open(struct upload_git_session *parent, const char *path,
                               const git_oid *commit, const struct upload_git_limits *limits,
                               unsigned number, struct git_nested *ret, struct error *ret_why,
                               struct error *err);
void git_nested_release(struct git_nested *m);

#endif
