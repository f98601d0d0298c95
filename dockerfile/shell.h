/* dockerfile/shell — the simple commands of a shell script, as far as rules ask for them.
 *
 * POSIX 2.3: words, quotes and operators.  What is inside $( … ), ` … ` and ${ … } stays part of
 * its word; nothing is expanded; redirections are left out.  A script that no shell
 * would take yields some commands and no error: the build says what is wrong with it. */
#ifndef DOCKERFILE_SHELL_H
#define DOCKERFILE_SHELL_H

#include <stdbool.h>

#include "dockerfile/arena.h"

#define SHELL_COMMANDS_MAX 20000 /* of one script; what comes after is not looked at */

struct shell_command {
    struct argv words; /* quotes and escapes removed; in the arena */
    size_t program;    /* index of its name: behind assignments and words as "if" and "!" */
    size_t worker;     /* of who really does the work: behind sudo, env, exec, xargs and the like
                          and their flags; words.n when there is none */
    const char *tool;  /* the worker's name without a path; "" when there is none */
    bool piped;        /* its input is the command before */
};

struct shell_script {
    struct shell_command *v; /* none without words */
    size_t n, cap;
};

/* Appends the commands of text; both live in the arena, which notes when memory ran out. */
void shell_split(struct arena *a, const char *text, struct shell_script *out);

/* Appends one command of words that are there already. */
void shell_add(struct arena *a, const struct argv *words, struct shell_script *out);

/* The last part of a path, for a program's name. */
const char *shell_name(const char *word);

#endif
