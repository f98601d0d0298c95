/* builder/build — one run of buildah on the job's context, and what is read out of it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "builder/buildah.h"

#define IGNORE_MAX (1 << 20) /* bytes of rules */

/* ---- .dockerignore ---- */

/* Opens a regular file of the context, with the context as the root for any symlink in it. */
static int open_in_context(int context_fd, const char *name)
{
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                                 .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, context_fd, name, &how, sizeof(how));
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* BuildKit's choice: the Dockerfile's own rules, else those of the directory.  buildah would also
 * take .containerignore, so it is always told which file it is. */
static int read_ignore(const struct builder_job *j, struct buf *out, struct error *err)
{
    static const char *const names[] = {"Dockerfile.dockerignore", ".dockerignore"};
    char path[PATH_MAX + 16];
    CLEANUP_CLOSE int dir_fd = -1;

    (void)snprintf(path, sizeof(path), "%s/context", j->dir);
    if (fs_open_dir(AT_FDCWD, path, &dir_fd, err) < 0)
        return -1;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_CLOSE int fd = open_in_context(dir_fd, names[i]);

        if (fd >= 0)
            return fs_read_fd(fd, out, err) < 0 ? error_wrap(err, "%s", names[i]) : 0;
    }
    return 0;
}

/* ---- build arguments ---- */

static bool are_acceptable(const struct argv *build_args, const struct progress *p)
{
    for (size_t i = 0; build_args && i < build_args->n; i++) {
        const char *arg = build_args->v[i];
        char name[256];
        size_t len = strcspn(arg, "=");

        if (len == 0 || len >= sizeof(name) || arg[len] != '=') {
            progress_say(p, "build argument %zu has no name", i + 1);
            return false;
        }
        memcpy(name, arg, len);
        name[len] = '\0';
        if (buildah_obeys(name)) {
            progress_say(p, "build argument %s: this name is reserved, choose another", name);
            return false;
        }
    }
    return true;
}

/* ---- building ---- */

static int check_request(const struct builder_job *j, const struct builder_request *req,
                         struct progress *p, struct buf *ignore, bool *ret_acceptable,
                         struct error *err)
{
    if (read_ignore(j, ignore, err) < 0) {
        if (err->kind != ERR_LIMIT)
            return -1;
        progress_say(p, "%s", err->msg);
        *err = (struct error)ERROR_INIT;
        *ret_acceptable = false;
        return 0;
    }
    *ret_acceptable = are_acceptable(req->build_args, p);
    return 0;
}

int builder_build(struct builder_job *j, const struct builder_request *req,
                  const struct builder_io *io, enum builder_outcome *ret_outcome,
                  struct builder_failure *ret_failure, struct error *err)
{
    CLEANUP(buf_release) struct buf ignore = BUF_INIT(IGNORE_MAX);
    struct jail_spec spec = {.inner = false};
    struct progress p;
    struct process_sink sink;
    enum builder_outcome outcome = BUILDER_FAILED;
    bool acceptable;
    int code = 0;

    progress_init(&p, io->sink);
    sink = progress_sink(&p);
    if (check_request(j, req, &p, &ignore, &acceptable, err) < 0)
        return -1;
    if (acceptable) {
        buildah_describe_build(j, req, buf_str(&ignore), builder_job_has_bases(j), &spec);
        if (builder_run_step(j, &spec, io, &sink, 0, j->b->config->timeout_ms, &outcome, &code,
                             err) < 0)
            return error_wrap(err, "build");
    }
    if (outcome == BUILDER_DONE && code != 0)
        outcome = progress_was_killed(&p) ? BUILDER_KILLED : BUILDER_FAILED;
    if (outcome == BUILDER_FAILED)
        progress_read_failure(&p, ret_failure);
    *ret_outcome = outcome;
    return 0;
}
