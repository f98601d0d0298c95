/* builder/build — one run of buildah on the job's context, and what is read out of it. */
#include <string.h>

#include "builder/buildah.h"
#include "builder/egress.h"

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

int builder_build(struct builder_job *j, const struct builder_request *req,
                  const struct builder_io *io, enum builder_outcome *ret_outcome,
                  struct builder_failure *ret_failure, struct error *err)
{
    struct jail_spec spec = {.inner = false};
    struct progress p;
    struct process_sink sink;
    enum builder_outcome outcome = BUILDER_FAILED;
    int code = 0;

    progress_init(&p, io->sink);
    sink = progress_sink(&p);
    if (are_acceptable(req->build_args, &p)) {
        egress_describe(j->b->config, &p, &spec);
        buildah_describe_build(j, req, builder_job_has_bases(j), &spec);
        if (builder_run_step(j, &spec, io, &sink, 0, j->b->config->timeout_ms, &outcome, &code,
                             err) < 0)
            return error_wrap(err, "build");
    }
    if (outcome == BUILDER_DONE && code != 0)
        outcome = progress_was_killed(&p) ? BUILDER_KILLED : BUILDER_FAILED;
    if (outcome != BUILDER_DONE)
        progress_read_failure(&p, ret_failure);
    *ret_outcome = outcome;
    return 0;
}
