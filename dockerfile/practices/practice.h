/* dockerfile/practices/practice — what files do that builds well today and fails tomorrow, or
 * elsewhere.
 *
 * Rules beyond BuildKit's own.  Those named DL… are known by that name from hadolint's wiki and
 * written here from their descriptions there; two are this project's.  A rule is a row of a table
 * and a function that looks at one instruction; what it has to remember of those before it, in the
 * same stage, is in struct practice_stage. */
#ifndef DOCKERFILE_RULES_PRACTICE_H
#define DOCKERFILE_RULES_PRACTICE_H

#include "dockerfile/dockerfile.h"
#include "dockerfile/practices/shell.h"

#define PRACTICE_NAMES_MAX 256 /* of variables that are remembered */

struct practice;

struct practice_rule {
    const char *name;        /* "DL3004": as "# hadolint ignore=" and "# check=skip=" name it */
    const char *keyword;     /* of the instructions it looks at */
    const char *description; /* one sentence */
    const char *advice;      /* one line: what to write instead */
    const char *url;         /* "" without */
    void (*look)(struct practice *p, const struct dockerfile_instruction *i);
};

struct practice_finding {
    const struct practice_rule *rule;
    int line;           /* the first of the instruction */
    const char *detail; /* "useradd --uid 200000 without --no-log-init" */
};

/* What the instructions of the stage before the current one have done. */
struct practice_stage {
    bool pipefail;      /* SHELL has it, or is no POSIX shell */
    bool has_sources;   /* the whole context was copied */
    int sources_line;   /* where; 0 once it is reported */
    unsigned installed; /* the tools of sources.c that have run */
    struct argv names;  /* set by ARG and ENV; in the arena */
};

struct practice {
    const struct dockerfile_stage *stages;
    size_t n_stages, index; /* of the current stage */
    struct practice_stage stage;
    struct shell_script script; /* of a RUN */
    const struct practice_rule *rule;
    int line; /* of the current instruction */
    struct arena *arena;
    struct practice_finding *findings;
    size_t n_findings, cap_findings;
};

/* Tables, each ended by a row without a name. */
extern const struct practice_rule practice_bases[], practice_values[], practice_copies[],
    practice_packages[], practice_commands[], practice_sources[];

/* Looks at a whole file.  p is zero but for arena, which notes when memory ran out and outlives the
 * findings; they are sorted by line. */
void practice_look(struct practice *p, const struct dockerfile *d);

/* A finding of the current rule at the current line, or at another. */
void practice_found(struct practice *p, const char *fmt, ...) PRINTF(2, 3);
void practice_found_at(struct practice *p, int line, const char *fmt, ...) PRINTF(3, 4);

/* The value of --name=value; NULL without it. */
const char *practice_flag(const struct dockerfile_instruction *i, const char *name);

/* The stage that --from names: its index, n_stages for an image or for what a variable decides. */
size_t practice_stage_named(const struct practice *p, const char *from);

#define HADOLINT(code) "https://github.com/hadolint/hadolint/wiki/" code

#endif
