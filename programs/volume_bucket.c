/* programs/volume_bucket — `kiln volume serve` of a store in a bucket: nbdkit as a child, which
 * gets the store from this process (templates/broker), and no credentials. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "programs/volume_words.h"

/* ---- nbdkit ---- */

static _Noreturn void become_nbdkit(const struct argv *argv, pid_t parent)
{
    struct error err = ERROR_INIT;

    /* It saves what was written and ends, as when it is asked to. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent &&
        volume_become(argv, &err) < 0)
        fprintf(stderr, "kiln volume serve: %s\n", err.msg);
    _exit(1);
}

/* Until the child has ended; signals go on to it. */
static int wait_for(pid_t child, struct error *err)
{
    char how[PROCESS_TEXT];
    struct process_end end = {.how = PROCESS_EXITED, .code = -1};
    sigset_t set;
    int status = 0, number;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    while (waitpid(child, &status, WNOHANG) == 0)
        if (sigwait(&set, &number) == 0 && number != SIGCHLD)
            (void)kill(child, SIGTERM);
    if (WIFSIGNALED(status)) {
        end.how = PROCESS_SIGNALLED;
        end.signal = WTERMSIG(status);
    } else {
        end.code = WEXITSTATUS(status);
    }
    if (process_succeeded(&end))
        return 0;
    process_describe(&end, how);
    return error_set(err, ERR_SYSTEM, "nbdkit %s", how);
}

static int run_nbdkit(const struct argv *argv, struct error *err)
{
    const pid_t self = getpid();
    sigset_t set;
    pid_t child;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    child = fork();
    if (child < 0)
        return error_errno(err, errno, "start nbdkit");
    if (child == 0)
        become_nbdkit(argv, self);
    return wait_for(child, err);
}

/* ---- the store ---- */

/* A directory for the broker's socket alone, so that its path is short. */
static int lend(const struct config *config, const char *workspace, struct argv *argv,
                const char *dir, struct error *err)
{
    const struct template_gate ungated = {NULL, NULL}; /* nothing is published */
    struct template_broker *broker = NULL;
    struct object_cache *cache = NULL;
    struct objects *objects = NULL;
    int result;

    argv_pushf(argv, "store=%s", dir);
    if (argv->failed)
        return error_set(err, ERR_SYSTEM, "start nbdkit: out of memory");
    if (template_open_objects(config, workspace, &objects, &cache, err) < 0 ||
        template_broker_start(objects, cache, dir, ungated, &broker, err) < 0)
        return -1;
    result = run_nbdkit(argv, err);
    template_broker_stop(broker);
    return result;
}

int volume_serve_bucket(const struct config *config, const char *workspace, struct argv *argv,
                        struct error *err)
{
    char dir[] = "/tmp/kiln-volume-XXXXXX";
    int result;

    if (!mkdtemp(dir))
        return error_errno(err, errno, "make a directory in /tmp");
    result = lend(config, workspace, argv, dir, err);
    (void)rmdir(dir);
    return result;
}
