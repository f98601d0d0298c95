/* programs/add_git — what ADD gets from git repositories: uploads/ knows git, and dockerfile/ what
 * names a repository. */
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "programs/commands.h"
#include "uploads/uploads.h"

struct found {
    struct upload_git source;
    struct upload_git_limits limits;
    struct upload_report report;
    struct upload_git_session *session;
};

static bool is_source(const char *source)
{
    return dockerfile_origin_of(source) == DOCKERFILE_ORIGIN_GIT;
}

static int read_order(const struct builder_git_order *order, struct found *f, struct error *err)
{
    f->limits = upload_git_limits_default;
    if (order->bytes_max)
        f->limits.bytes_max = order->bytes_max;
    if (upload_git_parse(order->source, &f->source, err) < 0 ||
        (*order->checksum && upload_git_expect(&f->source, order->checksum, err) < 0))
        return -1;
    f->source.keep_git_dir |= order->keep_git_dir;
    return git_limit_process(&f->limits, err);
}

/* The same commit may come from another address; its .git says from which, and by what name. */
static void write_key(const struct found *f, const char *revision, char ret[BUILDER_GIT_KEY])
{
    const bool kept = f->source.keep_git_dir && !f->source.subdir[0];

    (void)snprintf(ret, BUILDER_GIT_KEY, "%s:%s%s%s%s%s%s", revision, f->source.subdir,
                   f->source.no_submodules ? "" : " with submodules", kept ? " .git of " : "",
                   kept ? f->source.url : "", kept ? "#" : "", kept ? f->source.ref : "");
}

static int find(const struct builder_git_order *order, const char *dir, void **ret,
                char ret_key[BUILDER_GIT_KEY], struct error *err)
{
    struct found *f = calloc(1, sizeof(*f)); /* the process ends with it */
    char revision[UPLOAD_REVISION];

    if (!f)
        return error_set(err, ERR_SYSTEM, "fetch: out of memory");
    upload_report_init(&f->report);
    if (read_order(order, f, err) < 0 ||
        upload_git_open(&f->source, dir, &f->limits, &f->report, &f->session, err) < 0 ||
        upload_git_resolve(f->session, revision, err) < 0) {
        upload_git_close(f->session);
        upload_report_release(&f->report);
        free(f);
        return -1;
    }
    write_key(f, revision, ret_key);
    *ret = f;
    return 0;
}

static int fetch(void *found, const char *to, struct argv *notes, struct error *err)
{
    struct found *f = found;

    if (upload_git_unpack(f->session, to, err) < 0)
        return -1;
    for (size_t i = 0; i < f->report.warnings.n; i++)
        argv_pushf(notes, "warning: %s", f->report.warnings.v[i]);
    return notes->failed ? error_set(err, ERR_SYSTEM, "fetch: out of memory") : 0;
}

const struct builder_git add_git = {is_source, find, fetch};
