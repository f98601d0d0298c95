/* programs/commands — kiln's subcommands.  Each gets the words after its own name (argv[0] is the
 * name), says what went wrong on stderr, and returns the exit code: 0, 1 for a failure, 2 for words
 * it does not understand. */
#ifndef PROGRAMS_COMMANDS_H
#define PROGRAMS_COMMANDS_H

#include "builder/builder.h"
#include "programs/config.h"
#include "uploads/uploads.h"

/* `kiln` is two programs of one source.  The one that people start begins in a tenth of the time,
 * since it has only the commands that need few libraries; for all others it becomes the other one,
 * lib/kiln/kiln, which has everything.  What is marked so is NULL in the first. */
#define IN_WHOLE         __attribute__((weak))
#define COMMAND_OF_WHOLE (-1) /* instead of an exit code: the whole program is to be asked */

/* SIGINT and SIGTERM, which are blocked at the start, end this command at once: for what leaves
 * nothing wrong when it is killed. */
void command_may_be_killed(void);

int command_check(const struct config *config, int argc, char **argv);
int command_plan(const struct config *config, int argc, char **argv);
int command_dockerfile(const struct config *config, int argc, char **argv);
int command_generate(const struct config *config, int argc, char **argv);
int command_template(const struct config *config, int argc, char **argv);
int command_volume(const struct config *config, int argc, char **argv);
int command_config(const struct config *config, int argc, char **argv);
IN_WHOLE int command_serve(const struct config *config, int argc, char **argv);
IN_WHOLE int command_worker(const struct config *config, int argc, char **argv);
IN_WHOLE int command_build(const struct config *config, int argc, char **argv);
IN_WHOLE int command_backup(const struct config *config, int argc, char **argv);
IN_WHOLE int command_restore(const struct config *config, int argc, char **argv);
IN_WHOLE int command_rotate(const struct config *config, int argc, char **argv);
IN_WHOLE int command_gc(const struct config *config, int argc, char **argv);
IN_WHOLE int command_audit(const struct config *config, int argc, char **argv);
IN_WHOLE int command_access(const struct config *config, int argc, char **argv);
IN_WHOLE int command_registry(const struct config *config, int argc, char **argv);
IN_WHOLE int command_webhook(const struct config *config, int argc, char **argv);
IN_WHOLE int command_prune(const struct config *config, int argc, char **argv);
IN_WHOLE int command_doctor(const struct config *config, int argc, char **argv);

/* Does not return where this process is the first of a jail. */
IN_WHOLE void whole_main(int argc, char **argv);
/* Before any command of it, and before its threads. */
MUST_CHECK IN_WHOLE int whole_setup(struct error *err);

/* The inner main that unpacks archives inside a jail: `extract BYTES_MAX ENTRIES_MAX SANDBOX_IMAGE
 * TYPE`, archive on descriptor 0, context at /context; on descriptor 1 a line with the report and
 * one with the plan. */
int inner_extract(int argc, char **argv);

/* The inner main BUILDER_EXECUTE. */
int inner_execute(int argc, char **argv);
/* The inner main BUILDER_FETCH. */
int inner_fetch(int argc, char **argv);
/* The inner main that fetches a git source: `git RECEIVED_MAX BYTES_MAX ENTRIES_MAX SOURCE`; writes
 * a tar to descriptor 0, and on descriptor 1 a line with the report. */
int inner_git(int argc, char **argv);
/* Holds this process to what fetching and unpacking a git source may take. */
MUST_CHECK int git_limit_process(const struct upload_git_limits *limits, struct error *err);
/* add_git.c: for ADD. */
extern const struct builder_git add_git;

/* The inner mains for the template store of a workspace: `template-pack NAME HOLDER DEFAULT_MB
 * REVISIONS_MAX BYTES_MAX ENTRIES_MAX`, of the archive on descriptor 0; `template-collect`;
 * `template-volume create|grow TEMPLATE SIZE_MB`, the old volume on descriptor 0.  They write facts
 * (worker/facts.h).  `template-overlaps NAME NEWEST` writes lines "a b bytes" as template_overlaps
 * tells, and "end", or facts about its failure. */
int inner_template_pack(int argc, char **argv);
int inner_template_collect(int argc, char **argv);
int inner_template_overlaps(int argc, char **argv);
int inner_volume(int argc, char **argv);

/* All inner mains, ended by a NULL name: for builder_jail_main. */
extern const struct builder_inner inner_mains[];

#endif
