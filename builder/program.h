/* builder/program — what a build is to do: the stages of a Dockerfile, evaluated, with variables
 * put in and names resolved, as plain data.
 *
 * It is made outside of the jail and executed inside; all strings are borrowed. */
#ifndef BUILDER_PROGRAM_H
#define BUILDER_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/argv.h"

/* Which paths a list of patterns names: .dockerignore's language, which COPY --exclude speaks too.
 * The matcher belongs to another folder, so it comes as functions. */
struct builder_patterns {
    /* NULL with ERR_INPUT: a bad pattern. */
    void *(*compile)(const struct argv *patterns, struct error *err);
    bool (*matches)(const void *compiled, const char *path); /* or one of its parents */
    bool (*may_reinclude)(const void *compiled, const char *path);
    void (*free)(void *compiled);
};

/* What ADD gets from a git repository.  Who knows git belongs to another folder, too; find and
 * fetch are called in a process of their own that ends with the source, and may change it for good.
 */
#define BUILDER_GIT_KEY 4096
struct builder_git_order {
    const char *source;   /* as it is written */
    const char *checksum; /* of --checksum; "" */
    bool keep_git_dir;
    uint64_t bytes_max; /* that the server may send; 0: the default */
};
struct builder_git {
    /* Whether a source of ADD names a repository. */
    bool (*is_source)(const char *source);
    /* Asks which commit it is.  dir: an empty directory to work in.  ret_key: a text that is the
     * same just when the files are; *ret is for fetch. */
    int (*find)(const struct builder_git_order *order, const char *dir, void **ret,
                char ret_key[BUILDER_GIT_KEY], struct error *err);
    /* Writes the files below the empty directory `to`, and what is to be said of it to notes. */
    int (*fetch)(void *found, const char *to, struct argv *notes, struct error *err);
};

#define BUILDER_NO_STAGE ((size_t)-1)

/* Where files come from: a stage of the program, an image, or the context. */
struct builder_origin {
    size_t stage;      /* BUILDER_NO_STAGE: none */
    const char *image; /* as it was pulled; "": none */
};

enum builder_mount_type {
    BUILDER_MOUNT_BIND,
    BUILDER_MOUNT_CACHE,
    BUILDER_MOUNT_TMPFS,
    BUILDER_MOUNT_SECRET,
    BUILDER_MOUNT_SSH,
};

struct builder_mount { /* as docs.docker.com/reference/dockerfile has it; "" is not given */
    enum builder_mount_type type;
    struct builder_origin from; /* of a cache: what it begins with */
    const char *source, *target, *id, *env;
    const char *sharing; /* "shared", "private", "locked" */
    bool read_only, required;
    int64_t mode, uid, gid; /* -1: not given */
    int64_t size;           /* of a tmpfs, bytes; 0: not limited */
};

struct builder_file { /* a heredoc of COPY or ADD */
    const char *name, *content;
};

enum builder_step_kind {
    BUILDER_STEP_NONE, /* changes the configuration only */
    BUILDER_STEP_RUN,
    BUILDER_STEP_COPY, /* and ADD */
    BUILDER_STEP_WORKDIR,
};

struct builder_step {
    enum builder_step_kind kind;
    const char *title;       /* "RUN make" */
    const char *history;     /* what the image's history says of it; NULL: nothing */
    const char *user;        /* "": root */
    const char *working_dir; /* absolute */

    /* RUN */
    struct argv argv, env;
    const char *script; /* not NULL: argv ends in the path of a file with this content */
    struct builder_mount *mounts;
    size_t n_mounts;
    bool no_network;

    /* COPY, ADD */
    struct builder_origin from;
    struct argv words; /* sources, of ADD also addresses of files and repositories; then the
                          destination */
    struct builder_file *files;
    size_t n_files;
    struct argv exclude;
    const char *chown, *chmod; /* "" */
    const char *checksum;      /* of the one URL, "sha256:…", or commit; "" */
    bool add, parents, link;
    bool keep_git_dir;
    bool keep_archives; /* --unpack=false: for those of the context */
    bool unpack;        /* --unpack=true: for those of URLs */
};

struct builder_stage {
    const char *name;           /* "build", "stage-1"; "" when the file has no other */
    struct builder_origin base; /* neither: scratch */
    bool needed;
    struct builder_step *steps;
    size_t n_steps;
};

struct builder_secret {
    const char *id, *content;
};

struct builder_program {
    struct builder_stage *stages; /* each after those it needs */
    size_t n_stages, target;
    const char *config; /* the image's "config" object, JSON */
    const char *author; /* "" */
    const char *os, *architecture;
    struct builder_secret *secrets;
    size_t n_secrets;
    int64_t epoch;    /* seconds: SOURCE_DATE_EPOCH; -1: now */
    bool packages;    /* those of the image are to be listed */
    bool slim;        /* layers are made without what nobody misses (builder/slim.h) */
    bool no_cache;    /* every step is run, whatever earlier builds left */
    const char *name; /* "sandbox/app": what the image is, to tell why a step is not cached */
};

/* Frees the lists of a program, not the texts that it borrows. */
void builder_program_release(struct builder_program *p);

#endif
