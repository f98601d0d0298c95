/* builder/execute — the inside of a build: what runs in the jail and goes through the stages.
 *
 *   execute.c         the inner main: reads the program, starts the stages, writes the image
 *   execute_stage.c   one stage, in a thread of its own: step by step, cached or run
 *   execute_run.c     RUN: its mounts, its command
 *   execute_copy.c    COPY, ADD, WORKDIR
 *   execute_add.c     what ADD gets from the web
 *   git_process.c     …and from git repositories, in a process beside this one
 *   execute_layers.c  layers, made while later steps run
 *   execute_packages.c  what packages are in the image
 *   execute_slim.c    what is left out of them
 *   execute_known.c   both, for other workers
 *   image.c           the image's configuration
 *   cache.c cache_key.c cache_inputs.c   what earlier builds left, and how it is found
 *   cache_remote.c cache_link.c cache_index.c cache_mount.c   what other workers left
 *   execute_result.c  what came of it, for whoever started it
 *   stack.c           what a stage sees
 *   prune.c           what a RUN did not change after all
 *   run.c copy.c layer.c   the work itself */
#ifndef BUILDER_EXECUTE_H
#define BUILDER_EXECUTE_H

#include <pthread.h>
#include <stdatomic.h>

#include "builder/cache.h"
#include "builder/cache_inputs.h"
#include "builder/cache_key.h"
#include "builder/cache_remote.h"
#include "builder/copy.h"
#include "builder/document.h"
#include "builder/events.h"
#include "builder/git_process.h"
#include "builder/slim.h"
#include "builder/stack.h"

struct execution;

/* The layer that an image has of a step whose files need not be looked into for it. */
struct known_layer {
    bool is_slim; /* else it is the whole one, as the step's record has it */
    bool away;    /* it is at other workers */
    char key[SHA256_HEX];
    struct layer layer; /* entries 0: there is none */
};

/* A step that made files. */
struct made {
    struct stage_run *stage;
    size_t step;
    char key[SHA256_HEX];
    char quick[SHA256_HEX]; /* under which it is found, too; "": none */
    struct cache_record record;
    struct slim_step *slim; /* NULL: not looked at */
    bool is_known;
    struct known_layer known; /* if it is */
};

enum stage_state { STAGE_WAITING, STAGE_RUNNING, STAGE_DONE, STAGE_STOPPED };

struct stage_run {
    struct execution *x;
    size_t index;
    const struct builder_stage *stage;
    pthread_t thread;
    bool started;
    enum stage_state state; /* under the execution's lock */
    char key[SHA256_HEX];   /* of all that was done so far */
    struct stack files;     /* likewise */
    struct made *made;      /* of this stage alone, in order */
    size_t n_made;
    struct cache_inputs inputs; /* of the step at hand: what its key is made of */
    struct git_source
        *sources; /* likewise, of an ADD: the repositories, by the index of the word */
    size_t n_sources;
    bool exported; /* the image descends from it */
    bool missed;   /* the step before was not cached, and this one cannot be */
};

/* Steps whose layers are made in the background; under the execution's lock. */
struct layer_queue {
    struct made **v;
    size_t n, next;
    bool started, ended;
    pthread_t thread;
};

/* The list of packages, made while the last layers are. */
struct package_list {
    struct buf list; /* JSON, of packages_of_image; empty: not asked for, or not to be had */
    struct error error;
    bool started;
    pthread_t thread;
};

/* What other workers find of the image: execute_known.c. */
struct known_image {
    bool found; /* or left */
    char key[SHA256_HEX];
    struct layer layer; /* the blob that it is in */
    struct buf report;  /* of slimming, if it was found */
};

struct execution {
    struct document doc;
    struct cache cache;
    struct cache_remote remote;
    struct argv mounts; /* cache mounts that commands had, by name; under the lock */
    const struct builder_patterns *patterns;
    const struct builder_git *git;
    struct git_process git_process;
    int context; /* descriptor; the build's files */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct cancel cancel; /* thrown when a step has failed */
    struct error error;   /* the first one; under the lock */
    struct stage_run *stages;
    atomic_uint n_tmp; /* of the cache's tmp and of /run */
    atomic_size_t n_steps, n_cached;
    atomic_ullong disk; /* bytes that the steps made here take */
    struct layer_queue layers;
    struct package_list packages;
    struct known_image known;
    struct slim *slim; /* NULL: layers are whole */
    json_t *last;      /* the image's last build, to compare with; not written to meanwhile */
    int running;       /* commands, under the lock */
};

/* A thread's main: goes through a stage, of a struct stage_run. */
void *execute_stage(void *self);

/* Waits for a stage that this one needs.  -1 with ERR_NONE: it was stopped. */
MUST_CHECK int execute_wait(struct execution *x, size_t stage, struct error *err);

/* Fetches what of a stage's files is away, for whoever looks at diffs themselves. */
MUST_CHECK int execute_bring(struct execution *x, const struct stack *files, struct error *err);
/* A read-only view of a stage's or an image's files, which are fetched if they are away. */
MUST_CHECK int execute_view(struct execution *x, const struct stack *files, struct stack_view *ret,
                            struct error *err);
/* The files of an origin, to read; of the context when it names none.  Waits for a stage.  view is
 * to be released in any case. */
MUST_CHECK int execute_view_origin(struct execution *x, const struct builder_origin *from,
                                   struct stack_view *view, struct error *err);
/* What a stage or an image is, for a key. */
MUST_CHECK int execute_key_origin(struct execution *x, const struct builder_origin *from,
                                  struct cache_key *key, struct error *err);

/* The tree of an image. */
MUST_CHECK int execute_image_stack(const struct execution *x, const char *image, struct stack *ret,
                                   struct error *err);

/* Where the files of a base's layer lie. */
void execute_base_layer_path(const struct bases_layer *layer, char ret[CACHE_PATH]);

/* Notes how a stage ended; a failure stops the others. */
void execute_end_stage(struct stage_run *s, bool done, const struct error *err);

/* What became of making a step's files. */
struct step_end {
    int code;       /* exit code of the user's command that failed; -1: none did */
    uint64_t bytes; /* of files written, where that is known */
    uint64_t files; /* likewise */
};

/* Each kind of step has a key, and a way to make what it is the key of, in the diff of path (see
 * cache_begin).  ERR_INPUT: the user's step failed. */
MUST_CHECK int execute_run_key(struct stage_run *s, const struct builder_step *step,
                               char ret[SHA256_HEX], struct error *err);
MUST_CHECK int execute_run(struct stage_run *s, const struct builder_step *step, const char *path,
                           struct step_end *end, struct error *err);

MUST_CHECK int execute_workdir_key(struct stage_run *s, const struct builder_step *step,
                                   char ret[SHA256_HEX], struct error *err);
MUST_CHECK int execute_workdir(struct stage_run *s, const struct builder_step *step,
                               const char *path, struct step_end *end, struct error *err);

/* By the digests of the files that it reads… */
MUST_CHECK int execute_copy_key(struct stage_run *s, const struct builder_step *step,
                                char ret[SHA256_HEX], struct error *err);
/* …or, from a stage or an image, by what that is, without looking at its files; "" in ret for the
 * context. */
MUST_CHECK int execute_copy_quick_key(struct stage_run *s, const struct builder_step *step,
                                      char ret[SHA256_HEX], struct error *err);
MUST_CHECK int execute_copy(struct stage_run *s, const struct builder_step *step, const char *path,
                            struct step_end *end, struct error *err);

/* ---- execute_add.c ---- */

/* Before there are threads: makes ready for fetching, where a needed step does. */
MUST_CHECK int add_setup(const struct builder_program *p, struct error *err);

/* Whether a source of the step is an address, of a file or of a repository. */
bool add_is_url(const struct stage_run *s, const struct builder_step *step, const char *source);
bool add_is_git(const struct stage_run *s, const struct builder_step *step, const char *source);

/* Adds the commits of the step's repositories to its key.  ERR_INPUT: one could not be had. */
MUST_CHECK int add_key_of_git(struct stage_run *s, const struct builder_step *step,
                              struct cache_key *key, struct error *err);
/* When the step is over. */
void add_release_git(struct stage_run *s);

/* The directory in which the step's source i, an address, lies as a file or as a tree; fetched when
 * it is asked for first.  The pattern that matches it is added to ret_sources.  ERR_INPUT: it could
 * not be had. */
MUST_CHECK int add_open(struct stage_run *s, const struct builder_step *step, size_t i,
                        int *ret_dir, struct argv *ret_sources, struct error *err);

/* ---- execute_layers.c ---- */

/* The layer of a step's files, all of them, unless an earlier build's is there. */
MUST_CHECK int execute_make_layer(struct execution *x, struct made *made, struct error *err);
struct layer_options execute_layer_options(const struct execution *x);
/* Makes those of steps that are queued, until the end is told: then all are made, or, after a
 * failure, the one at hand.  Nothing is wrong when it cannot start: the export makes them. */
void execute_start_layers(struct execution *x);
void execute_queue_layer(struct stage_run *s, struct made *made);
void execute_end_layers(struct execution *x);

/* ---- execute_packages.c ---- */

/* Once all stages have ended; between the two, layers may be made. */
void execute_start_packages(struct execution *x);
void execute_end_packages(struct execution *x);

/* ---- execute_slim.c ---- */

/* Looks for what need not be in the image, where that was not done, of a step that made files. */
MUST_CHECK int execute_look(struct execution *x, struct made *made, struct error *err);
/* The layer that the image has of a step that was looked at; ret->entries 0: it has none.  Before
 * all steps are looked at it may be another. */
MUST_CHECK int execute_image_layer(struct execution *x, struct made *made, struct layer *ret,
                                   struct error *err);
/* The layer, and the key of its record, if slimming has made one of its own; false: the image has
 * the whole one. */
bool execute_slim_layer(const struct made *made, struct known_layer *ret);
/* Says what was left out of the target's layers; adds the same to ret. */
void execute_report_slim(struct execution *x, struct buf *ret);
/* The same of all steps that the image has, of a stage and those it is on; before their layers. */
MUST_CHECK int execute_look_at_stage(struct execution *x, size_t stage, struct error *err);

/* ---- execute_known.c ---- */

/* Once all stages have ended, which ends the making of layers: where files of the image are away,
 * finds what would be found by looking into them.  False: it is not known, and they have to be had.
 */
bool execute_find_known(struct execution *x);
/* Leaves it, once the layers of the image are made; what fails leaves nothing. */
void execute_leave_known(struct execution *x, const char *report);

/* ---- image.c ---- */

struct image_layer {
    char diff_id[LAYER_DIGEST], digest[LAYER_DIGEST];
    uint64_t size;
    bool base, away;
};
/* Appends the image's configuration: that of the base, with what the stages did. */
struct image_history {
    const char *created_by;
    bool empty_layer;
};
MUST_CHECK int image_write_config(const struct builder_program *p, const char *base_config,
                                  const struct image_layer *layers, size_t n_layers,
                                  const struct image_history *history, size_t n_history,
                                  struct buf *out, struct error *err);

/* ---- execute_result.c ---- */

/* Notes a step that is done, for a build that may not come to its end; see read_steps (build.c). */
void execute_note_step(const struct made *made);
/* Those that were noted are void. */
void execute_forget_steps(void);

/* The image, the steps with their keys, and the cache mounts, as JSON; see read_image (build.c). */
MUST_CHECK int execute_write_result(struct execution *x, const struct image_layer *layers,
                                    size_t n_layers, const struct buf *config, struct error *err);

#endif
