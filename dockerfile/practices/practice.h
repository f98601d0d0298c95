/* dockerfile/practices/practice — what files do that builds well today and fails tomorrow, or
 * elsewhere.
 *
 * Rules beyond BuildKit's own.  Those named DL… are known by that name from hadolint's wiki and
 * written here from their descriptions there; two are this project's.  A rule is a row of a table
 * and a function that looks at one instruction; what it has to remember of those before it, in the
 * same stage, is in struct practice_stage. */
#ifndef DOCKERFILE_PRACTICES_PRACTICE_H
#define DOCKERFILE_PRACTICES_PRACTICE_H

#include "dockerfile/dockerfile.h"
#include "dockerfile/rules/rule.h"
#include "dockerfile/shell.h"

#define PRACTICE_NAMES_MAX 256 /* of variables that are remembered */

struct practice;

struct practice_rule {
    struct rule rule;    /* its texts */
    const char *keyword; /* of the instructions it looks at */
    void (*look)(struct practice *p, const struct dockerfile_instruction *i);
};

/* What the instructions of the stage before the current one have done. */
struct practice_stage {
    bool pipefail;                                /* SHELL has it, or is no POSIX shell */
    bool has_sources;                             /* the whole context was copied */
    const struct dockerfile_instruction *sources; /* by this one; NULL once it is reported */
    unsigned installed;                           /* the tools of sources.c that have run */
    struct argv names;                            /* set by ARG and ENV; in the arena */
};

struct practice {
    struct check *check;
    const struct dockerfile_stage *stages;
    size_t n_stages, index; /* of the current stage */
    struct practice_stage stage;
    struct shell_script script;              /* of a RUN */
    struct arena script_arena;               /* emptied with each instruction */
    const struct dockerfile_instruction *at; /* the current one, or the ONBUILD that keeps it */
    struct {
        const struct rule *rule;
        const struct dockerfile_instruction *at;
    } last;             /* finding */
    struct arena arena; /* for the rest */
};

/* Tables, each ended by a row without a keyword. */
extern const struct practice_rule practice_bases[], practice_values[], practice_copies[],
    practice_packages[], practice_commands[], practice_sources[];

/* Looks at the whole file: the apply of a rule set. */
void practice_apply(struct check *c);

/* A finding of the current rule at the current instruction, or at another; only the first that it
 * has there counts. */
#define practice_found(p, ...) practice_found_at(p, (p)->at, __VA_ARGS__)
void practice_found_at(struct practice *p, const struct dockerfile_instruction *at, const char *fmt,
                       ...) PRINTF(3, 4);

/* The current stage's base, variables put in where that was possible. */
const char *practice_base(const struct practice *p);

/* The value of --name=value; NULL without it. */
const char *practice_flag(const struct dockerfile_instruction *i, const char *name);

/* The stage that --from names: its index, n_stages for an image or for what a variable decides. */
size_t practice_stage_named(const struct practice *p, const char *from);

#define HADOLINT(code) "https://github.com/hadolint/hadolint/wiki/" code

#endif
