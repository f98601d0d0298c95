/* builder/pull — base images come into the workspace's own store, one pull at a time.
 *
 * Nothing is fetched from this machine or its private networks unless the operator put it there:
 * what is configured is pulled with the host's network, all else from a jail whose routes lead
 * neither here nor there, since a registry may send whoever pulls to another place — by a redirect,
 * or by the realm of its tokens. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "builder/bases.h"
#include "builder/buildah.h"
#include "builder/location.h"

#define LOCK_PAUSE_MS 20
#define PULL_GRACE_MS 3000 /* buildah leaves its store in order when it is asked to end */

/* ---- the lock ---- */

static bool is_past(int64_t deadline)
{
    return deadline && clock_monotonic() >= deadline;
}

/* DONE: *ret_fd holds the lock until it is closed. */
static int lock_bases(const struct builder_job *j, const struct builder_io *io, int64_t deadline,
                      int *ret_fd, enum builder_outcome *ret_outcome, struct error *err)
{
    char path[PATH_MAX + 8];
    CLEANUP_CLOSE int fd = -1;

    (void)snprintf(path, sizeof(path), "%s.lock", j->bases);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_errno(err, errno, "lock %s", path);
        if (io->cancel && cancel_is_thrown(io->cancel)) {
            *ret_outcome = BUILDER_CANCELLED;
            return 0;
        }
        if (is_past(deadline)) {
            *ret_outcome = BUILDER_TIMED_OUT;
            return 0;
        }
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
    *ret_fd = TAKE_FD(fd);
    *ret_outcome = BUILDER_DONE;
    return 0;
}

/* ---- the verdict ---- */

static int read_verdict(const struct progress *p, const struct reference *image, int code,
                        enum builder_outcome *ret_outcome, struct error *err)
{
    const char *why = p->fault[0] ? p->fault : p->last;

    if (code != JAIL_VET_REFUSED)
        return error_set(err, code == JAIL_VET_UNKNOWN ? ERR_REMOTE : ERR_SYSTEM, "pull %s: %s",
                         image->full, why);
    progress_say(p, "%s: %s", image->full, why);
    *ret_outcome = BUILDER_FAILED;
    return 0;
}

static int64_t left_ms(int64_t deadline)
{
    int64_t left = (deadline - clock_monotonic()) / NS_PER_MS;

    return !deadline ? 0 : left > 1 ? left : 1;
}

static int run(const struct builder_job *j, const struct reference *image,
               enum reference_place place, const char *docker_config, const struct builder_io *io,
               int64_t deadline, struct progress *p, enum builder_outcome *ret_outcome,
               int *ret_code, struct error *err)
{
    const struct process_sink sink = progress_sink(p);
    struct jail_spec spec = {.inner = false};
    struct builder_base_place from;

    if (!location_find(j->b->config, image, &from))
        return error_set(err, ERR_SYSTEM, "pull %s: where it is has too long a name", image->full);
    buildah_describe_pull(j, image, place, &from, docker_config, p, &spec);
    return builder_run_step(j, &spec, io, &sink, -1, PULL_GRACE_MS, left_ms(deadline), ret_outcome,
                            ret_code, err);
}

static int fetch(const struct builder_job *j, const struct reference *image,
                 enum reference_place place, const char *docker_config, const struct builder_io *io,
                 struct progress *p, enum builder_outcome *ret_outcome, struct error *err)
{
    int64_t timeout = j->b->config->timeout_ms;
    int64_t deadline = timeout > 0 ? clock_monotonic() + timeout * NS_PER_MS : 0;
    CLEANUP_CLOSE int lock_fd = -1;
    enum builder_outcome outcome = BUILDER_KILLED;
    int code = -1;

    if (lock_bases(j, io, deadline, &lock_fd, &outcome, err) < 0)
        return -1;
    if (outcome == BUILDER_DONE) {
        if (run(j, image, place, docker_config, io, deadline, p, &outcome, &code, err) < 0)
            return -1;
        if (outcome == BUILDER_DONE && code != 0)
            return read_verdict(p, image, code, ret_outcome, err);
        bases_trim_blobs(j->bases);
        (void)utimensat(AT_FDCWD, j->bases, NULL, 0); /* what is new may not be on the disk yet */
    }
    *ret_outcome = outcome;
    return 0;
}

int builder_pull(struct builder_job *j, const char *image, const char *docker_config,
                 const struct builder_io *io, enum builder_outcome *ret_outcome, struct error *err)
{
    struct reference ref;
    struct progress p;
    struct error why = ERROR_INIT;
    enum reference_place place;

    progress_init(&p, io->sink);
    if (reference_parse(image, &ref, &why) < 0) {
        progress_say(&p, "%s", why.msg);
        *ret_outcome = BUILDER_FAILED;
        return 0;
    }
    place = reference_where(&ref, j->b->config, j->workspace, j->shared);
    if (place == REFERENCE_FORBIDDEN || place == REFERENCE_FOREIGN) {
        progress_say(&p, "%s: not allowed: %s", ref.full,
                     place == REFERENCE_FOREIGN
                         ? "it is not this workspace's, and not shared with it"
                         : "images come from registries on other machines");
        *ret_outcome = BUILDER_FAILED;
        return 0;
    }
    return fetch(j, &ref, place, docker_config, io, &p, ret_outcome, err);
}
