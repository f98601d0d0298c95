/* worker/bases — the images that a build stands on: fetched, looked at, and, for a sandbox, given
 * what they lack.
 *
 * Whether a sandbox's base brings sandbox-api is only known once it is here; the image that brings
 * it otherwise is then fetched too, and named by its digest. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "worker/state_shares.h"
#include "worker/steps.h"

#define INJECTED_BYTES (1 << 20) /* at most what injection adds: a COPY, an ENTRYPOINT, a CMD */
#define INJECTED_LINES 3

/* Shows the FROM that names the image, where one does. */
static void tell_missing_base(struct run *r, const char *image, const struct error *err)
{
    size_t n;
    const struct dockerfile_stage *stages = dockerfile_stages(r->dockerfile, &n);
    int line = 0;

    for (size_t i = 0; i < n && !line; i++)
        if (strcmp(stages[i].base, image) == 0)
            line = stages[i].instructions[0].first_line;
    step_tell(r, err->msg, line, line);
}

/* users: see pull_credentials. */
static int pull_one(struct run *r, const char *image, const char *users, struct error *err)
{
    CLEANUP(buf_release) struct buf credentials = BUF_INIT(1 << 20);
    const struct process_sink sink = plain_log_sink(&r->plain_log);
    const struct builder_io io = {.sink = &sink, .cancel = &r->cancel};
    enum builder_outcome outcome;

    plain_log_begin(&r->plain_log, "[internal] load base image %s", image);
    if (base_is_current(r, image)) {
        plain_log_done(&r->plain_log);
        return 0;
    }
    if (pull_credentials_for(r, image, users, &credentials, err) < 0 ||
        builder_pull(r->job, image, buf_str(&credentials), &io, &outcome, err) < 0)
        return -1;
    if (step_judge(r, outcome, "loading a base image", err) < 0) {
        if (outcome == BUILDER_FAILED)
            tell_missing_base(r, image, err);
        return -1;
    }
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- sandbox-api ---- */

/* Where images that are made for sandboxes have it. */
static const char *const places[] = {"/usr/local/bin/sandbox-api",
                                     "/sandbox-api",
                                     "/usr/bin/sandbox-api",
                                     "/bin/sandbox-api",
                                     "/usr/local/sbin/sandbox-api",
                                     "/blaxel/sandbox-api",
                                     "/app/sandbox-api",
                                     NULL};

/* "ghcr.io/blaxel-ai/sandbox@sha256:…": what was fetched, whatever its tag names later. */
static int pin(const char *image, const char *digest, char *ret, size_t size, struct error *err)
{
    struct dockerfile_reference ref;

    if (dockerfile_parse_reference(image, &ref, err) < 0)
        return -1;
    if (snprintf(ret, size, "%s/%s@%s", ref.host, ref.path, digest) >= (int)size)
        return error_set(err, ERR_SYSTEM, "name the sandbox image: %.100s is too long", image);
    return 0;
}

static int load_sandbox_image(struct run *r, const char *users, char *ret, size_t size,
                              struct error *err)
{
    static const char *const nothing[] = {NULL};
    CLEANUP(builder_base_release) struct builder_base found = {.program = NULL};
    const char *image = r->config->sandbox_image;
    bool is_there;

    if (pull_one(r, image, users, err) < 0 ||
        builder_base_find(r->job, image, nothing, &is_there, &found, err) < 0)
        return -1;
    if (!is_there)
        return error_set(err, ERR_SYSTEM, "look at %s: it was fetched and is not there", image);
    return pin(image, found.digest, ret, size, err);
}

static int take_injected(struct run *r, const struct dockerfile_injection *injection,
                         struct error *err)
{
    struct dockerfile_limits limits = dockerfile_limits_default;
    struct dockerfile *injected = NULL;

    limits.text_max += INJECTED_BYTES;
    limits.instructions_max += INJECTED_LINES;
    journal_add_text(&r->journal, LOG_INFO, buf_str(&injection->notes));
    for (size_t i = 0; i < injection->warnings.n; i++)
        if (!argv_contains(&r->plan.warnings,
                           injection->warnings.v[i])) /* which are told already */
            journal_addf(&r->journal, LOG_WARNING, "warning: %s", injection->warnings.v[i]);
    buf_clear(&r->dockerfile_text);
    buf_add(&r->dockerfile_text, buf_str(&injection->text), injection->text.len);
    if (buf_check(&r->dockerfile_text, "the Dockerfile", err) < 0 ||
        dockerfile_parse(buf_str(&r->dockerfile_text), r->dockerfile_text.len, &limits, &injected,
                         err) < 0)
        return -1;
    dockerfile_free(r->dockerfile);
    r->dockerfile = injected;
    return 0;
}

/* What its tag names later must not matter: fetched, and named by its digest. */
static int inject_pinned(struct run *r, const struct dockerfile_sandbox_request *request,
                         const char *users, struct dockerfile_injection *ret, struct error *err)
{
    struct dockerfile_sandbox_request pinned = *request;
    char image[1024];

    if (load_sandbox_image(r, users, image, sizeof(image), err) < 0)
        return -1;
    pinned.image = image;
    plain_log_begin(&r->plain_log, "[internal] see to sandbox-api");
    return dockerfile_inject_sandbox_api(r->dockerfile, &pinned, ret, err);
}

static int inject(struct run *r, const struct dockerfile_sandbox_request *request,
                  const char *users, struct error *err)
{
    CLEANUP(dockerfile_injection_release)
    struct dockerfile_injection injection = {.text = BUF_INIT(0)};

    if (dockerfile_inject_sandbox_api(r->dockerfile, request, &injection, err) < 0)
        return -1;
    if (injection.copied) {
        dockerfile_injection_release(&injection);
        injection = (struct dockerfile_injection){.text = BUF_INIT(0)};
        if (inject_pinned(r, request, users, &injection, err) < 0)
            return -1;
    } else {
        plain_log_begin(&r->plain_log, "[internal] see to sandbox-api");
    }
    if (take_injected(r, &injection, err) < 0)
        return -1;
    plain_log_done(&r->plain_log);
    return 0;
}

/* Asked without the base, to learn which image that is; then with it; and once more only where the
 * sandbox image is needed, whose digest stands in what is added and is known when it is here. */
static int make_sandbox(struct run *r, const char *users, struct error *err)
{
    CLEANUP(dockerfile_sandbox_findings_release) struct dockerfile_sandbox_findings found;
    CLEANUP(builder_base_release) struct builder_base base = {.program = NULL};
    struct dockerfile_base_image known = {.config = NULL};
    const struct dockerfile_sandbox_request request = {
        .image = r->config->sandbox_image, .build_args = &r->build_args, .base = &known};
    bool is_there = false;

    if (dockerfile_find_sandbox_api(r->dockerfile, &request, &found, err) < 0)
        return -1;
    if (found.base && strcmp(found.base, "scratch") != 0 &&
        builder_base_find(r->job, found.base, places, &is_there, &base, err) < 0)
        return -1;
    if (is_there)
        known = (struct dockerfile_base_image){buf_str(&base.config), base.program};
    return inject(r, &request, users, err);
}

/* What others share is asked anew for every try: a base that is here already is no better than one
 * that is not. */
static int open_shared(struct run *r, struct error *err)
{
    char repository[REGISTRY_REPOSITORY];

    for (size_t i = 0; i < r->images.n; i++) {
        bool may = false;

        if (!pull_is_own(r, r->images.v[i], repository))
            continue;
        if (state_may_pull(r->config->state, r->build.workspace, repository, &may, err) < 0)
            return -1;
        if (may && !argv_contains(&r->open, repository))
            argv_push1(&r->open, repository);
    }
    if (r->open.failed)
        return error_set(err, ERR_SYSTEM, "look at the bases: out of memory");
    builder_job_use_shared(r->job, &r->open);
    return 0;
}

int step_pull(struct run *r, struct error *err)
{
    CLEANUP(buf_release) struct buf users = BUF_INIT(1 << 20);

    if (pull_credentials(r, &users, err) < 0 || open_shared(r, err) < 0)
        return -1;
    for (size_t i = 0; i < r->images.n; i++)
        if (pull_one(r, r->images.v[i], buf_str(&users), err) < 0)
            return -1;
    if (strcmp(r->build.type, "sandbox") != 0)
        return 0;
    return make_sandbox(r, buf_str(&users), err);
}
