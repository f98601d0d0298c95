/* builder/push — the built image goes to the registry, and its digest comes back. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/buildah.h"

#define DIGEST_LEN 71 /* "sha256:" and 64 hex digits */

static int read_digest(const struct builder_job *j, char ret_digest[BUILDER_DIGEST],
                       struct error *err)
{
    char path[PATH_MAX + 16];
    CLEANUP(buf_release) struct buf text = BUF_INIT(1024);

    (void)snprintf(path, sizeof(path), "%s/out/digest", j->dir);
    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return error_wrap(err, "read the digest of what was pushed");
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        text.data[--text.len] = '\0';
    if (text.len != DIGEST_LEN || !text_starts(text.data, "sha256:") ||
        strspn(text.data + 7, "0123456789abcdef") != 64)
        return error_set(err, ERR_SYSTEM, "read the digest of what was pushed: it is not one");
    (void)snprintf(ret_digest, BUILDER_DIGEST, "%s", text.data);
    return 0;
}

static int read_verdict(const struct progress *p, const char *destination, struct error *err)
{
    bool ours = buildah_read_fault(p) == BUILDAH_FAULT_OURS;

    return error_set(err, ours ? ERR_SYSTEM : ERR_REMOTE, "push %s: %s", destination,
                     p->fault[0] ? p->fault : p->last);
}

int builder_push(struct builder_job *j, const char *repository, const char *tag,
                 const struct builder_io *io, enum builder_outcome *ret_outcome,
                 char ret_digest[BUILDER_DIGEST], struct error *err)
{
    char destination[1024];
    struct reference ref;
    struct jail_spec spec = {.inner = false};
    struct progress p;
    struct process_sink sink;
    enum builder_outcome outcome;
    int code;

    if (snprintf(destination, sizeof(destination), "%s/%s:%s", j->b->config->push_registry,
                 repository, tag) >= (int)sizeof(destination) ||
        reference_parse(destination, &ref, err) < 0)
        return error_set(err, ERR_SYSTEM, "push %.200s:%.128s: not the name of an image",
                         repository, tag);
    progress_init(&p, io->sink);
    p.hide_queries = true;
    sink = progress_sink(&p);
    buildah_describe_push(j, destination, builder_job_has_bases(j), &spec);
    if (builder_run_step(j, &spec, io, &sink, 0, j->b->config->timeout_ms, &outcome, &code, err) <
        0)
        return error_wrap(err, "push");
    if (outcome == BUILDER_DONE && code != 0)
        return read_verdict(&p, destination, err);
    if (outcome == BUILDER_DONE && read_digest(j, ret_digest, err) < 0)
        return -1;
    *ret_outcome = outcome;
    return 0;
}
