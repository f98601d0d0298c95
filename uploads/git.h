/* uploads/git — what the files that know libgit2 share. */
#ifndef UPLOADS_GIT_H
#define UPLOADS_GIT_H

#include <git2.h>

#include "base/text.h"
#include "uploads/entry_name.h"
#include "uploads/uploads.h"

struct upload_git_session {
    const struct upload_git *source;
    const struct upload_git_limits *limits;
    struct upload_report *report;
    const char *dir; /* of the repository */
    git_repository *repo;
    git_remote *remote;
    struct argv names;     /* of the refs that the server has */
    git_oid *ids;          /* what they name */
    bool is_resolved;      /* these say what is asked for: */
    git_oid wanted;        /* the commit, or a tag that names it */
    char ref[256];         /* the ref's whole name; "": it is asked for by its id */
    git_commit *commit;    /* that is asked for, once it is here */
    struct error exceeded; /* the limit that ended the download; ERR_NONE: none */
};

/* git.c: "https://host/repo.git" or, with a ref, "main of https://host/repo.git". */
struct text_shown git_show_source(const struct upload_git *s);

/* git.c: what libgit2 says of its last call, in words for the user.  Returns -1. */
int git_failed(const struct upload_git_session *f, int code, struct error *err);

/* git.c: has the commit that is asked for, with its objects, from now on. */
MUST_CHECK int git_receive(struct upload_git_session *f, struct error *err);

/* git_keep.c: a .git in the directory `to`, of the commit alone. */
MUST_CHECK int git_keep(struct upload_git_session *f, const char *to, struct error *err);

/* git_tree.c: the tree of f->commit, or the folder of it that is asked for, as a tar to fd. */
MUST_CHECK int git_tree_to_tar(struct upload_git_session *f, int fd, struct error *err);

#endif
