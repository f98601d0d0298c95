/* A worker that kills itself with SIGKILL at a step of its first build: the fault that
 * every_step_survives_kill_9.py injects.  In all else it is `kiln worker`.
 *
 *     dying_worker STEP MILLISECONDS [kiln's options]...   MILLISECONDS into the step
 */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/http.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/installation.h"

struct death {
    const char *step;
    uint64_t ms;
};

static void *die_later(void *self)
{
    const struct death *d = self;

    usleep((useconds_t)d->ms * 1000);
    (void)kill(getpid(), SIGKILL);
    return NULL;
}

static void on_step(void *self, const char *step)
{
    struct death *d = self;
    pthread_t thread;

    fprintf(stderr, "step %s\n", step);
    if (strcmp(step, d->step) != 0)
        return;
    if (d->ms == 0)
        (void)kill(getpid(), SIGKILL);
    (void)pthread_create(&thread, NULL, die_later, d);
}

static int work(const struct config *config, struct death *death, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = config};
    struct worker_config worker_config;
    struct worker *worker;

    if (installation_open(config, config->data_dir, NULL, &i, err) < 0)
        return -1;
    worker_config = installation_worker(&i, 1, operator_log);
    worker_config.on_step = on_step;
    worker_config.on_step_self = death;
    if (worker_start(&worker_config, &worker, err) < 0)
        return -1;
    sleep(120); /* it is to die before; living on is the test's failure */
    worker_stop(worker, 0);
    return error_set(err, ERR_SYSTEM, "step %s never came", death->step);
}

int main(int argc, char **argv)
{
    CLEANUP(config_release) struct config config;
    struct error err = ERROR_INIT;
    struct death death;

    builder_jail_main(argc, argv, inner_mains);
    if (argc < 3 || !text_to_u64(argv[2], 60000, &death.ms)) {
        fprintf(stderr, "usage: dying_worker STEP MILLISECONDS [OPTION]...\n");
        return 2;
    }
    death.step = argv[1];
    argv += 2;
    argc -= 2;
    if (config_load(&argc, argv, &config, &err) < 0 || http_setup(&err) < 0 ||
        work(&config, &death, &err) < 0)
        fprintf(stderr, "dying_worker: %s\n", err.msg);
    return 1;
}
