/* programs/project — what the commands that only read a project (check, plan, generate) have in
 * common: its words, its files, and the plan of its build. */
#ifndef PROGRAMS_PROJECT_H
#define PROGRAMS_PROJECT_H

#include "dockerfile/dockerfile.h"
#include "programs/commands.h"

struct project_words {
    const char *path;       /* a directory, an archive, or a Dockerfile */
    const char *type;       /* "": as blaxel.toml says, else sandbox */
    struct argv build_args; /* of --build-arg K=V */
    bool json;
    bool all_stages; /* checks look at all of them */
    bool generate;   /* a Dockerfile, whether there is one or not */
    bool force;
    bool to_stdout;
};
void project_words_release(struct project_words *w);

/* Which of the options a command takes. */
enum { PROJECT_JSON = 1, PROJECT_WRITES = 2 };

/* Reads argv; says on stderr what it does not understand, and returns -1 then. */
int project_read_words(int argc, char **argv, int takes, struct project_words *ret);

/* Unpacks an archive into a directory, and adds what its .env.build says. */
MUST_CHECK IN_WHOLE int project_unpack(int fd, int dirfd, const struct config *c,
                                       struct argv *ret_build_args, struct error *err);
MUST_CHECK int project_read_env(const struct buf *text, struct argv *ret, struct error *err);
/* False where path is an archive and this program unpacks none: COMMAND_OF_WHOLE then. */
bool project_can_open(const char *path);

/* Makes the plan of what is at words->path.  An archive is unpacked into a temporary directory that
 * is gone afterwards.  ret is initialised by the caller. */
MUST_CHECK int project_plan(const struct config *c, const struct project_words *words,
                            struct dockerfile_plan *ret, struct error *err);

/* Reads the blaxel.toml of what is at path into an initialised ret; it stays as it is without
 * one. */
MUST_CHECK int project_settings(const struct config *c, const char *path,
                                struct dockerfile_settings *ret, struct error *err);

/* All of a command that shows a plan: its words, the plan, and that by print or as JSON; the exit
 * code.  all_stages: checks look also at stages that are not needed. */
int project_show(const struct config *c, int argc, char **argv, bool all_stages,
                 void (*print)(const struct dockerfile_plan *p));

/* Whether the word is a type that can be built; if not, it is said on stderr. */
bool project_check_type(const char *command, const char *type);

/* The checks and the failure of a plan as a person reads them, on out. */
void project_print_checks(const struct dockerfile_plan *p, FILE *out);

#endif
