/* dockerfile/evaluator — the inside of an evaluation.
 *
 *   evaluate.c     the way through: the graph, the bases, the triggers, the stages in order
 *   base.c         reads a base image's configuration
 *   trigger.c      makes instructions of what ONBUILD kept
 *   dispatch.c     the table: what each instruction does to the state
 *   dispatch_*.c   those that do more than set a field
 *   config_json.c  writes a configuration
 * After a failure an evaluation holds all steps up to the one that failed, which the checks want
 * to look at all the same. */
#ifndef DOCKERFILE_EVALUATOR_H
#define DOCKERFILE_EVALUATOR_H

#include "dockerfile/evaluate.h"
#include "dockerfile/graph.h"
#include "dockerfile/ports.h"

#define STEPS_MAX     4096       /* of all stages; triggers multiply what the file's limit allows */
#define HISTORY_MAX   (8 << 20)  /* bytes of all history lines: registries stop at less */
#define PORTS_MAX     (1 << 20)  /* of all stages */
#define INHERITED_MAX (32 << 20) /* bytes of variables that stages take over from others */
#define ENV_MAX       (64 << 20) /* bytes of what all RUNs find in their environment */
#define DEFAULT_PATH  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What a stage has come to while its instructions are gone through. */
struct state {
    struct vars scope; /* what its words see: the image's environment, ARG and ENV */
    struct vars args;  /* those declared by ARG */
    struct vars env, labels, volumes;
    const struct ports *ports; /* NULL: none; those of the base until own_ports changes them */
    struct ports *ports_owned;
    struct dockerfile_config config; /* all but the lists that are kept above */
    bool workdir_set;
    bool cmd_set; /* by this stage */
};

struct command {
    const struct dockerfile_instruction *instruction;
    bool triggered;
};

struct stage_work {
    struct state state;
    struct command *commands;
    size_t n_commands, cap_commands;
    bool prepared;
};

struct dockerfile_evaluation {
    const struct dockerfile *d;
    struct arena arena;
    struct graph graph;
    struct scope scope; /* its vars are those of the stage at work, lent to it */
    struct buf line;    /* of the history, while it is put together */
    struct dockerfile_outcome *outcomes;
    struct stage_work *work;
    size_t n;
    struct dockerfile **triggers; /* files of one instruction each */
    size_t n_triggers, cap_triggers;
    size_t n_steps, history_len, n_unset, n_ports, inherited_len, env_len;
    const struct dockerfile_request *request; /* for the length of the run */
};

/* The stage and the step that an instruction works on. */
struct dispatcher {
    struct dockerfile_evaluation *e;
    size_t stage;
    struct state *state;
    struct dockerfile_step *step;
};

/* Runs on an empty e, which is freed in any case; all: also the stages that the target does not
 * need. */
MUST_CHECK int evaluation_run(struct dockerfile_evaluation *e, const struct dockerfile *d,
                              const struct dockerfile_request *request, bool all,
                              struct error *err);

/* ---- evaluate.c ---- */

/* The stage's ports, to add to.  NULL: out of memory. */
struct ports *own_ports(struct state *s, struct arena *arena);

/* ---- base.c ---- */
MUST_CHECK int base_load(struct dockerfile_evaluation *e, size_t stage, struct error *err);
void base_scratch(struct dockerfile_evaluation *e, size_t stage);

/* ---- trigger.c ---- */

/* Puts the commands of a stage in order: its base's triggers, then its own. */
MUST_CHECK int trigger_prepare(struct dockerfile_evaluation *e, size_t stage, struct error *err);

/* What an ONBUILD instruction keeps. */
const char *trigger_text(const struct dockerfile_instruction *i, struct arena *arena);

/* ---- dispatch.c ---- */
MUST_CHECK int dispatch(struct dispatcher *d, struct error *err);

/* Puts variables into one word and notes those that nobody set. */
MUST_CHECK int dispatch_expand(struct dispatcher *d, const char *word, char **ret,
                               struct error *err);
MUST_CHECK int dispatch_note_unset(struct dispatcher *d, struct error *err);

/* Begins a line of the image's history with the instruction's keyword, and adds it. */
struct buf *dispatch_line(struct dispatcher *d);
MUST_CHECK int dispatch_commit(struct dispatcher *d, struct error *err);

/* " key=value"; " key" without a value. */
void dispatch_add_pair(struct buf *line, const char *key, const char *value);

/* "[a b]" and ["a" "b"], as Go's %v and %q print a list. */
void add_list(struct buf *out, const struct argv *words, bool quoted);

/* path seen from current: an absolute one as it is, a relative one joined and cleaned. */
char *workdir_join(struct arena *arena, const char *current, const char *path);

/* The words behind the image's shell. */
void dispatch_shell(struct dispatcher *d, const char *command, struct argv *ret);

int dispatch_copy(struct dispatcher *d, struct error *err);
int dispatch_expose(struct dispatcher *d, struct error *err);
int dispatch_healthcheck(struct dispatcher *d, struct error *err);
int dispatch_run(struct dispatcher *d, struct error *err);
int dispatch_stopsignal(struct dispatcher *d, struct error *err);

#endif
