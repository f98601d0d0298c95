/* machine — what the builder's tests stand on: a directory, a real docker-registry on a free port
 * with the stand-in bases in it, and a builder. */
#ifndef TESTS_BUILDER_MACHINE_H
#define TESTS_BUILDER_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four that it needs */
#include <cmocka.h>

#include "builder/state.h"

#define ALPINE  "alpine:3.20"
#define SANDBOX "ghcr.io/blaxel-ai/sandbox:latest"

struct machine {
    char dir[64];      /* of this test program; all it makes is in it */
    char address[32];  /* of the registry */
    char location[64]; /* where the bases are in it: <address> */
    struct process registry;
    struct builder_mirror mirrors[2];
    struct builder_config config;
    struct builder *b;
};

/* The inner programs of a builder: for builder_jail_main. */
extern const struct builder_inner machine_inner[];

/* Group setup and teardown.  KILN_TEST_USERS=none opens the builder without a user namespace. */
int machine_start(void **state);
int machine_stop(void **state);

/* A docker-registry of its own with the storage directory dir/name; extra: more of its YAML. */
void machine_start_registry(const struct machine *m, const char *name, const char *extra,
                            struct process *ret, char ret_address[32]);

/* A port that nobody listens on. */
int machine_free_port(void);

/* One pass through pull, build and push. */
struct attempt {
    const char *workspace; /* NULL: "ws" */
    const char *id;        /* NULL: "job" */
    const char *images;    /* blank-separated, pulled first; NULL: none */
    const char *dockerfile;
    const char *ignore;       /* rules; NULL: none */
    const char *const *files; /* name, content, …, NULL: put into the context */
    const char *const *links; /* name, target, …, NULL */
    const struct argv *build_args;
    const struct argv *labels;
    const char *push_to;   /* repository; NULL: not pushed */
    struct cancel *cancel; /* NULL: none */
    bool no_cache;         /* every step is run */
    bool cached;           /* what earlier attempts of the workspace left may be used */
    bool slim;             /* layers are made slim */
    bool unlisted;         /* what packages are in it is not looked for */
    char registry[64];     /* its URL; set by attempt_run */
    /* Called with every line; NULL: none. */
    void (*on_line)(struct attempt *a, const char *line);
    void *self;

    /* what came of it */
    const char *at; /* the step that ended it: "pull", "build", "push" */
    int result;     /* of that call */
    enum builder_outcome outcome;
    struct builder_failure failure;
    struct error err;
    struct builder_image image;
    char digest[BUILDER_DIGEST];
    struct buf log; /* every line, stdout and stderr, with "\n"; of a build also the titles of its
                       steps, "CACHED" and notes */
};

void attempt_run(const struct machine *m, struct attempt *a);
/* The same on a job that is begun and ended by the caller. */
void attempt_run_on(struct builder_job *job, struct attempt *a);
void attempt_release(struct attempt *a);

/* Fails the test, with the log, unless it came out as said. */
void assert_built(const struct attempt *a);
void assert_outcome(const struct attempt *a, const char *at, enum builder_outcome outcome);
void assert_says(const struct attempt *a, const char *text);
void assert_does_not_say(const struct attempt *a, const char *text);

/* ---- the image that was pushed ---- */

/* The config and all layers (decompressed tar bytes) of a pushed image. */
void machine_fetch_image(const struct machine *m, const char *repository, const char *reference,
                         struct buf *config, struct buf *layers);
/* Adds a blob of the repository, as it lies there. */
void machine_fetch_blob(const struct machine *m, const char *repository, const char *digest,
                        struct buf *blob);
bool buf_holds(const struct buf *b, const char *text);

/* ---- processes of the machine ---- */

/* The pid of a process with text in its command line, 0 if there is none. */
pid_t process_with(const char *text);
/* The same among the descendants of this process: safe to kill where other builds run. */
pid_t process_of_ours(const char *text);
pid_t parent_of(pid_t pid);
/* Waits up to two seconds until there is none; false if one stays. */
bool processes_are_gone(const char *text);

/* Names in dir (not "." and ".."). */
size_t count_entries(const char *dir);

#endif
