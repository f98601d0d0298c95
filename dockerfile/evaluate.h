/* dockerfile/evaluate — what a build of the file does and what image it makes, without building.
 *
 * BuildKit's dispatch (frontend/dockerfile/dockerfile2llb): variables are put in where BuildKit
 * puts them in, triggers of the base run first, and each instruction leaves its mark on the
 * configuration.  A builder executes the steps; rules (dockerfile/check.h) look at them. */
#ifndef DOCKERFILE_EVALUATE_H
#define DOCKERFILE_EVALUATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/buf.h"

struct dockerfile;
struct dockerfile_heredoc;
struct dockerfile_instruction;
struct dockerfile_stage;

/* Where the configurations of base images come from. */
struct dockerfile_bases {
    /* Appends the JSON of the image's configuration (OCI or Docker) to out; *ret_found false, and
     * out untouched, when it is not known: then it counts as empty.  image is as in the FROM line,
     * variables put in; platform is NULL when none is asked for. */
    int (*config)(void *self, const char *image, const char *platform, struct buf *out,
                  bool *ret_found, struct error *err);
    void *self;
};

struct dockerfile_request {
    const char *target;                   /* a stage's name or index; NULL or "": the last */
    const struct argv *build_args;        /* "K=V"; NULL: none */
    const struct dockerfile_bases *bases; /* NULL: no base is known */
    bool to_build; /* steps get what running them takes: see struct dockerfile_step */
};

struct dockerfile_pair {
    const char *key, *value;
};
struct dockerfile_pairs {
    struct dockerfile_pair *v;
    size_t n;
};

struct dockerfile_health {
    struct argv test;                                        /* empty: no check */
    int64_t interval, timeout, start_period, start_interval; /* nanoseconds; 0: the default */
    int retries;
};

/* All lists and strings belong to the evaluation. */
struct dockerfile_config {
    const char *user, *working_dir, *stop_signal, *author; /* "" when not set */
    struct dockerfile_pairs env, labels;
    struct argv cmd, entrypoint, shell, on_build;
    struct argv volumes, exposed_ports; /* each once */
    struct dockerfile_health health;
    bool args_escaped;
    struct argv history; /* what each step did, in BuildKit's words; the base's come first */
};

/* Appends it as the "config" object of an OCI or Docker image, members that say nothing left out.
 * ERR_SYSTEM: out of memory. */
MUST_CHECK int dockerfile_config_write(const struct dockerfile_config *config, struct buf *out,
                                       struct error *err);

enum dockerfile_mount_type {
    DOCKERFILE_MOUNT_BIND,
    DOCKERFILE_MOUNT_CACHE,
    DOCKERFILE_MOUNT_TMPFS,
    DOCKERFILE_MOUNT_SECRET,
    DOCKERFILE_MOUNT_SSH,
};

#define DOCKERFILE_NO_STAGE ((size_t)-1)

struct dockerfile_mount {
    enum dockerfile_mount_type type;
    const char *from;                                 /* "": the context, or for a cache nothing */
    size_t from_stage;                                /* DOCKERFILE_NO_STAGE: an image, or none */
    const char *source, *target, *id, *env, *sharing; /* "" when not given */
    bool read_only, required;
    int64_t mode, uid, gid; /* -1: not given */
    int64_t size;           /* of a tmpfs, bytes; 0: not limited */
};

/* A variable that nobody set. */
struct dockerfile_unset {
    const char *name;
    const char *hint; /* " (did you mean $X?)" or "" */
};

struct dockerfile_step {
    /* Of a trigger: what ONBUILD kept, as if it stood by itself. */
    const struct dockerfile_instruction *instruction;
    bool triggered;
    int first_line, last_line; /* a trigger's are those of the FROM */
    bool done;                 /* false: evaluation failed here, and what follows may be missing */

    /* Variables put in.  ENV, LABEL: key and value by turns; ARG: the names, with "=value" where
     * there is one; COPY, ADD: sources, then the destination; RUN, CMD, ENTRYPOINT: what is
     * executed, the shell included; all others: as the instruction's. */
    struct argv words;
    const char *from;                          /* COPY: "" for the context */
    size_t from_stage;                         /* DOCKERFILE_NO_STAGE: an image, or the context */
    const char *chown, *chmod, *checksum;      /* "" when not given */
    bool parents, link;                        /* COPY, ADD: --parents, --link */
    bool keep_git_dir;                         /* ADD: --keep-git-dir */
    const char *unpack;                        /* ADD: of --unpack: "", "true" or "false" */
    struct argv exclude;                       /* COPY, ADD: of --exclude */
    const struct dockerfile_heredoc *heredocs; /* COPY, ADD: with their content expanded */
    size_t n_heredocs;
    const char *network, *security; /* RUN: as given, "" when not */
    /* RUN: its command is a heredoc that begins with #!, to be run as the file words[0]. */
    const char *script;
    struct dockerfile_mount *mounts;
    size_t n_mounts;

    /* The line it added to the image's history; NULL: none. */
    const char *history;
    /* What it runs in.  working_dir is an absolute path; a WORKDIR's is its own. */
    const char *user, *working_dir;
    struct argv env; /* RUN, when to_build was asked for: "K=V", arguments too */

    struct dockerfile_unset *unset; /* variables used that are neither set nor declared */
    size_t n_unset, cap_unset;
    bool shell_set;   /* before it: the image has a SHELL */
    bool workdir_set; /* before it: a WORKDIR of this file counts */
};

struct dockerfile_outcome { /* of a stage */
    const struct dockerfile_stage *stage;
    const char *base;     /* variables put in */
    const char *platform; /* likewise; NULL without */
    size_t base_stage;    /* DOCKERFILE_NO_STAGE: an image, or scratch */
    bool needed;          /* by the target; others have no steps unless all were asked for */
    bool evaluated;       /* steps and config are there */
    struct dockerfile_step *steps; /* triggers first; without the FROM */
    size_t n_steps;
    struct dockerfile_config config;
    const char *base_os, *base_architecture; /* of the base image, where its configuration says */
};

struct dockerfile_evaluation;

/* ERR_INPUT with the line, in BuildKit's words, for what BuildKit refuses before it builds;
 * ERR_LIMIT: more steps or a longer history than an image should have. */
MUST_CHECK int dockerfile_evaluate(const struct dockerfile *d,
                                   const struct dockerfile_request *request,
                                   struct dockerfile_evaluation **ret, struct error *err);
void dockerfile_evaluation_free(struct dockerfile_evaluation *e);
static inline void dockerfile_evaluation_freep(struct dockerfile_evaluation **e)
{
    dockerfile_evaluation_free(*e);
}

/* One for each stage of the file, in its order; *ret_target is the target's index. */
const struct dockerfile_outcome *dockerfile_outcomes(const struct dockerfile_evaluation *e,
                                                     size_t *ret_n, size_t *ret_target);

/* One word as a build sees it: env ("K=V", the first of a name counts) put in and quotes taken off,
 * appended to ret_word; the same cut at white space goes to ret_words.  ERR_INPUT in BuildKit's
 * words; both may be half-filled then. */
MUST_CHECK int dockerfile_expand(const char *word, char escape, const struct argv *env,
                                 struct buf *ret_word, struct argv *ret_words, struct error *err);

#endif
