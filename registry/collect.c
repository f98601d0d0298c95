/* registry/collect — what no manifest needs any more leaves the disk.
 *
 * docker-registry does that itself, as a program beside the one that serves, which must not run
 * meanwhile: it would take what is being pushed for garbage, and go on saying that it has what is
 * gone.  So whoever serves a directory holds its lock shared, and who collects holds it alone. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "registry/server_lock.h"

#define ELIGIBLE "blob eligible for deletion: "

struct output {
    size_t removed;
    char last[200];
};

static void read_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct output *o = self;

    (void)stream;
    o->removed += text_starts(text, ELIGIBLE);
    if (!text_has_control(text, len) && text_is_utf8(text, len))
        (void)snprintf(o->last, sizeof(o->last), "%s", text);
}

static int run(const char *program, const char *config, size_t *ret_removed, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    struct output output = {.removed = 0};
    const struct process_sink sink = {.line = read_line, .self = &output};
    const struct process_request req = {.argv = &argv, .stdin_fd = -1, .sink = &sink};
    struct process_end end;
    char how[PROCESS_TEXT];

    argv_push(&argv, program, "garbage-collect", config, NULL);
    if (process_run(&req, &end, err) < 0)
        return -1;
    process_describe(&end, how);
    if (!process_succeeded(&end))
        return error_set(err, ERR_SYSTEM, "%s garbage-collect %s: %s", program, how, output.last);
    *ret_removed = output.removed;
    return 0;
}

int registry_server_collect(const struct registry_server_config *config, bool *ret_busy,
                            size_t *ret_removed, struct error *err)
{
    const char *program = config->program ? config->program : "docker-registry";
    CLEANUP_CLOSE int lock = -1;
    char path[PATH_MAX];
    size_t removed = 0;
    bool busy = false;

    /* It calls an empty store an error. */
    if (snprintf(path, sizeof(path), "%s/data/docker/registry/v2/repositories", config->dir) >=
        (int)sizeof(path))
        return error_set(err, ERR_SYSTEM, "%s: path too long", config->dir);
    if (access(path, F_OK) == 0) {
        (void)snprintf(path, sizeof(path), "%s/config.yml", config->dir);
        if (registry_server_lock(config->dir, true, &busy, &lock, err) < 0 ||
            (!busy && run(program, path, &removed, err) < 0))
            return error_wrap(err, "collect the registry's garbage");
    }
    *ret_busy = busy;
    *ret_removed = removed;
    return 0;
}

int registry_server_hold(const char *dir, bool *ret_busy, int *ret_fd, struct error *err)
{
    return registry_server_lock(dir, false, ret_busy, ret_fd, err);
}
