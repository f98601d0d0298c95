/* builder/trial — a finished image is started once, to see whether it comes up.
 *
 *   trial.c         outside: what is to be tried, the jail, what came of it
 *   trial_inside.c  the inner main: puts the image's layers over one another, tells the result
 *   trial_watch.c   starts the image's program, asks its port, ends it
 *
 * The jail has lo and nothing else.  The program of the image runs in a container as a RUN does
 * (builder/run.h); the port is asked from beside it, at 127.0.0.2: what listens on every address
 * answers there, as it would to another machine, and what is bound to 127.0.0.1 does not. */
#ifndef BUILDER_TRIAL_H
#define BUILDER_TRIAL_H

#include "builder/builder.h"

#define TRIAL "builder-trial"

/* The inner main: reads the order (JSON) from descriptor 0; what the program says goes to
 * descriptor 2, each line behind "o " or "e "; the result (JSON) to descriptor 1.  Its exit code is
 * TRIAL_UNWELL when that is no answer, so that the job's limits are looked at as the reason. */
#define TRIAL_UNWELL 3
int trial_main(int argc, char **argv);

/* What that result says.  The program was in that jail: nothing is believed that is not looked at.
 * -1: what it says went wrong, or ERR_SYSTEM where it says nothing. */
MUST_CHECK int trial_read_result(const char *text, size_t len, struct builder_trial_result *ret,
                                 struct error *err);

/* What trial_watch is told. */
struct trial_program {         /* borrowed */
    const char *root, *bundle; /* the image's tree, mounted, and an empty directory */
    const struct argv *argv, *env;
    const char *cwd;
    uint16_t port;
    int64_t timeout_ms, grace_ms;
};

/* Runs it until the port answers, it ends, or the time is over; then SIGTERM and, grace_ms later,
 * SIGKILL end it.  Nothing of it is left.  Errors are those of run_command. */
MUST_CHECK int trial_watch(const struct trial_program *p, struct builder_trial_result *ret,
                           struct error *err);

#endif
