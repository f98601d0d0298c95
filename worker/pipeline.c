/* worker/pipeline — the steps from an accepted upload to an image that can be pulled.
 *
 * Every step may be run again from the start: each try has a job directory of its own, pulls and
 * pushes are idempotent, the tag was drawn when the build was made.  So a worker that dies at any
 * moment leaves nothing that the next try does not overwrite or the sweep does not remove. */
#include <poll.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "worker/build_log.h"
#include "worker/cache_registry.h"
#include "worker/labels.h"
#include "worker/pack.h"
#include "worker/program.h"
#include "worker/steps.h"
#include "worker/unpack.h"
#include "worker/verdict.h"

#define AGAIN_MS 500

/* Waits for a database that is not to be reached as long as the lease holds. */
static int note_step(struct run *r, const char *step, enum lease_verdict *ret_verdict,
                     struct error *err)
{
    struct pollfd cancel = {.fd = r->cancel.fd, .events = POLLIN};
    struct error why = ERROR_INIT;

    while (state_step(r->config->state, r->build.id, r->holder, step, ret_verdict, &why) < 0) {
        if (why.kind != ERR_REMOTE || poll(&cancel, 1, AGAIN_MS) != 0) {
            *err = why;
            return -1;
        }
    }
    return 0;
}

/* Says which step begins; stops the run when the build is no longer ours. */
static int begin_step(struct run *r, const char *step, struct error *err)
{
    enum lease_verdict verdict;

    if (note_step(r, step, &verdict, err) < 0)
        return -1;
    if (verdict == LEASE_LOST)
        atomic_store(&r->lost, true);
    if (verdict != LEASE_KEPT)
        cancel_throw(&r->cancel);
    if (r->config->on_step)
        r->config->on_step(r->config->on_step_self, step);
    if (cancel_is_thrown(&r->cancel)) {
        err->kind = ERR_NONE;
        return -1;
    }
    return 0;
}

void step_tell(struct run *r, const char *reason, int first, int last)
{
    const struct buf *text = &r->dockerfile_text;
    CLEANUP(buf_release) struct buf excerpt = BUF_INIT(64 << 10);

    if (first > 0)
        dockerfile_excerpt_text(buf_str(text), text->len, first, last, &excerpt);
    plain_log_error(&r->plain_log, "%s", reason);
    journal_add_text(&r->journal, LOG_ERROR, buf_str(&excerpt));
    journal_addf(&r->journal, LOG_ERROR, "error: failed to solve: %s", reason);
    buf_addf(&r->failure, "#%d ERROR: %s\n%serror: failed to solve: %s", r->plain_log.number,
             reason, buf_str(&excerpt), reason);
}

int step_judge(struct run *r, enum builder_outcome outcome, const char *act, struct error *err)
{
    return verdict_of(builder_configuration(r->config->builder), outcome, act, r->plain_log.last,
                      err);
}

/* ---- extract ---- */

static int read_env(struct run *r, struct error *err)
{
    CLEANUP(argv_release) struct argv given = ARGV_INIT;

    if (r->report.has_env_build &&
        upload_parse_env(buf_str(&r->report.env_build), r->report.env_build.len, &given, err) < 0)
        return -1;
    if (dockerfile_plan_build_args(&r->plan.settings, &given, &r->build_args, err) < 0)
        return -1;
    for (size_t i = 0; i < given.n; i++)
        journal_hide(&r->journal, strchr(given.v[i], '=') + 1);
    return 0;
}

static int unpack(struct run *r, int archive, struct error *err)
{
    const struct process_sink sink = plain_log_sink(&r->plain_log);
    const struct builder_io io = {.sink = &sink, .cancel = &r->cancel};
    enum builder_outcome outcome;

    if (unpack_archive(r->config, r->job, archive, r->build.type, &io, &r->report, &r->plan,
                       &outcome, err) < 0)
        return -1;
    return step_judge(r, outcome, "unpacking the archive", err);
}

/* What was uploaded, or what the source gives. */
static int open_archive(struct run *r, int *ret_fd, struct error *err)
{
    if (import_is_source(r->build.source))
        return import_source_open(r, ret_fd, err);
    if (r->build.source[0])
        return git_source_fetch(r, ret_fd, err);
    return upload_store_get(r->config->uploads, r->build.archive, ret_fd, err);
}

/* What the upload said beside its bytes (PROTOCOL.md 1.9).  They ask for a machine's size and
 * place, which Kiln decides by its configuration: the log shows that they came. */
static int show_labels(struct run *r, struct error *err)
{
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;

    if (r->build.source[0])
        return 0;
    if (upload_store_labels(r->config->uploads, r->build.archive, &labels, err) < 0)
        return -1;
    for (size_t i = 0; i < labels.n; i++)
        journal_addf(&r->journal, LOG_INFO, "#%d label %s", r->plain_log.number, labels.v[i]);
    return 0;
}

static int step_extract(struct run *r, struct error *err)
{
    CLEANUP_CLOSE int archive = -1;
    char job[JOB_NAME];
    char packed[TEXT_SIZE];
    char unpacked[TEXT_SIZE];

    text_size(r->build.archive_size, packed);
    if (import_is_source(r->build.source))
        plain_log_begin(&r->plain_log, "[internal] import image %s",
                        r->build.source + strlen(BUILD_IMPORT));
    else if (r->build.source[0])
        plain_log_begin(&r->plain_log, "[internal] load git source %s", r->build.source);
    else
        plain_log_begin(&r->plain_log, "[internal] unpack archive, %s", packed);
    pipeline_job_name(&r->build, job);
    if (builder_job_begin(r->config->builder, r->build.workspace, job, &r->job, err) < 0 ||
        open_archive(r, &archive, err) < 0 || show_labels(r, err) < 0 ||
        unpack(r, archive, err) < 0)
        return -1;
    if (!r->build.source[0])
        (void)snprintf(r->revision, sizeof(r->revision), "%s", r->report.revision);
    for (size_t i = 0; i < r->report.warnings.n; i++)
        journal_addf(&r->journal, LOG_WARNING, "#%d warning: %s", r->plain_log.number,
                     r->report.warnings.v[i]);
    if (read_env(r, err) < 0)
        return -1;
    text_size(r->report.bytes, unpacked);
    journal_addf(&r->journal, LOG_INFO, "#%d %llu files, %s", r->plain_log.number,
                 (unsigned long long)r->report.files, unpacked);
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- dockerfile ---- */

static void show_lines(struct run *r, enum log_severity severity, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        journal_addf(&r->journal, severity, "#%d   %.*s", r->plain_log.number, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void show_check(struct run *r, const struct dockerfile_plan_check *c)
{
    CLEANUP(buf_release) struct buf excerpt = BUF_INIT(64 << 10);
    char where[32] = "";

    if (c->first_line > 0) {
        (void)snprintf(where, sizeof(where), " (line %d)", c->first_line);
        dockerfile_excerpt_text(buf_str(&r->plan.text), r->plan.text.len, c->first_line,
                                c->last_line, &excerpt);
    }
    journal_addf(&r->journal, LOG_WARNING, "#%d WARNING: %s: %s%s%s%s", r->plain_log.number,
                 c->rule, c->detail, where, c->url ? " - " : "", c->url ? c->url : "");
    journal_add_text(&r->journal, LOG_WARNING, buf_str(&excerpt));
}

/* What is known before the build, so that it stands in the log before the build does. */
static void show_plan(struct run *r)
{
    const struct dockerfile_plan *p = &r->plan;
    int n = r->plain_log.number;

    for (size_t i = 0; i < p->notes.n; i++)
        journal_addf(&r->journal, LOG_INFO, "#%d %s", n, p->notes.v[i]);
    if (p->generated && p->text.len) {
        journal_addf(&r->journal, LOG_INFO, "#%d The Dockerfile that was made for it:", n);
        show_lines(r, LOG_INFO, buf_str(&p->text));
    }
    for (size_t i = 0; i < p->warnings.n; i++)
        journal_addf(&r->journal, LOG_WARNING, "#%d warning: %s", n, p->warnings.v[i]);
    for (size_t i = 0; i < p->n_checks; i++)
        show_check(r, &p->checks[i]);
}

static int understand(struct run *r, struct error *err)
{
    if (r->plan.failure.kind != ERR_NONE)
        return error_set(err, r->plan.failure.kind, "%s", r->plan.failure.msg);
    if (dockerfile_parse(buf_str(&r->dockerfile_text), r->dockerfile_text.len,
                         &dockerfile_limits_default, &r->dockerfile, err) < 0)
        return -1;
    return dockerfile_images(r->dockerfile, &r->build_args, &r->images, err);
}

static int step_dockerfile(struct run *r, struct error *err)
{
    const struct dockerfile_plan *p = &r->plan;

    if (p->generated)
        plain_log_begin(&r->plain_log, "[internal] generate a Dockerfile");
    else
        plain_log_begin(&r->plain_log, "[internal] load build definition from %s",
                        p->file[0] ? p->file : "Dockerfile");
    buf_add(&r->dockerfile_text, buf_str(&p->text), p->text.len);
    if (buf_check(&r->dockerfile_text, "the Dockerfile", err) < 0)
        return -1;
    show_plan(r);
    if (p->text.len &&
        state_build_keep_dockerfile(r->config->state, r->build.id, buf_str(&p->text), err) < 0)
        return -1;
    if (understand(r, err) < 0) {
        int line = dockerfile_error_line(err);

        step_tell(r, err->msg, line, line);
        return -1;
    }
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- build ---- */

static int tell_build_failure(struct run *r, const struct program *p,
                              const struct builder_failure *f, struct error *err)
{
    int first, last;

    program_lines(p, f->stage, f->step, &first, &last);
    step_tell(r, f->reason, first, last);
    return error_set(err, ERR_INPUT, "%s", f->reason);
}

/* "[build 5/9] RUN make" is "step build 5/9 RUN make". */
static void add_step(const char *title, struct buf *out)
{
    size_t n = strcspn(title, "]");

    buf_addf(out, "step %.*s%s", (int)(n ? n - 1 : 0), title + 1, title[n] ? title + n + 1 : "");
}

/* Everything that ends a build but a failure of its own, with the step it was at. */
static int judge_build(struct run *r, const struct program *p, enum builder_outcome outcome,
                       const struct builder_failure *f, struct error *err)
{
    CLEANUP(buf_release) struct buf act = BUF_INIT(4096);
    int first, last;

    if (outcome != BUILDER_DONE && f->step != BUILDER_NO_STEP)
        add_step(f->reason, &act);
    else
        buf_adds(&act, "the build");
    if (step_judge(r, outcome, buf_str(&act), err) == 0)
        return 0;
    if (err->kind == ERR_NONE)
        return -1;
    program_lines(p, f->stage, f->step, &first, &last);
    step_tell(r, err->msg, first, last);
    return -1;
}

static int build(struct run *r, const struct program *p, struct error *err)
{
    CLEANUP(build_log_release) struct build_log log = {.log = &r->plain_log};
    const struct builder_watch watch = build_log_watch(&log);
    struct builder_failure failure;
    enum builder_outcome outcome;

    if (builder_build(r->job, &p->program, &watch, &r->cancel, &outcome, &r->image, &failure, err) <
        0)
        return -1;
    if (outcome == BUILDER_FAILED)
        return tell_build_failure(r, p, &failure, err);
    return judge_build(r, p, outcome, &failure, err);
}

static int step_build(struct run *r, struct error *err)
{
    CLEANUP(program_release) struct program program = {.evaluation = NULL};
    CLEANUP(argv_release) struct argv labels = ARGV_INIT;
    char repository[3 * NAME_SIZE];
    const struct program_request request = {.dockerfile = r->dockerfile,
                                            .job = r->job,
                                            .build_args = &r->build_args,
                                            .labels = &labels,
                                            .name = repository,
                                            .slim = run_is_slim(r)};

    pipeline_repository(&r->build, repository);
    cache_registry_use(r);
    if (labels_make(r, &labels, err) < 0)
        return -1;
    if (program_make(&request, &program, err) < 0) {
        int line = dockerfile_error_line(err);

        step_tell(r, err->msg, line, line);
        return -1;
    }
    program.program.packages = r->config->attest;
    r->epoch = program.program.epoch;
    program.program.no_cache = r->build.no_cache;
    return build(r, &program, err);
}

void pipeline_job_name(const struct build *b, char name[JOB_NAME])
{
    (void)snprintf(name, JOB_NAME, "%s-%d", b->id, b->attempts);
}

void pipeline_repository(const struct build *b, char repository[3 * NAME_SIZE])
{
    (void)snprintf(repository, 3 * (size_t)NAME_SIZE, "%s/%s/%s", b->workspace, b->type, b->name);
}

struct step {
    const char *name;
    int (*run)(struct run *r, struct error *err);
    bool makes_image; /* not needed when one is reused */
};

static const struct step *steps_of(const struct build *b)
{
    static const struct step image[] = {
        {"extract", step_extract, false},  {"dockerfile", step_dockerfile, false},
        {"pull", step_pull, false},        {"reuse", step_reuse, false},
        {"build", step_build, true},       {"push", step_push, true},
        {STEP_DEPLOY, step_deploy, false}, {NULL, NULL, false},
    };
    static const struct step pack[] = {{"pack", step_pack, false}, {NULL, NULL, false}};
    static const struct step volume[] = {
        {"volume", step_volume, false}, {"name", step_name_volume, false}, {NULL, NULL, false}};
    static const struct step collect[] = {{"collect", step_collect, false}, {NULL, NULL, false}};

    switch (b->purpose) {
    case BUILD_FOR_IMAGE:
    case BUILD_FOR_RESOURCE:
        return image;
    case BUILD_FOR_TEMPLATE:
        return pack;
    case BUILD_FOR_VOLUME:
        return volume;
    case BUILD_TO_COLLECT:
        return collect;
    }
    abort();
}

/* -1; what was cut short because the run was stopped is no failure. */
static int fail(struct run *r, struct error *err)
{
    if (cancel_is_thrown(&r->cancel) && (err->kind == ERR_REMOTE || err->kind == ERR_SYSTEM))
        err->kind = ERR_NONE;
    if (err->kind != ERR_NONE && r->failure.len == 0)
        step_tell(r, err->msg, 0, 0);
    return -1;
}

int pipeline_run(struct run *r, struct error *err)
{
    const struct step *steps = steps_of(&r->build);

    for (size_t i = 0; steps[i].name; i++) {
        if (r->reused && steps[i].makes_image)
            continue;
        if (begin_step(r, steps[i].name, err) < 0)
            return -1;
        if (steps[i].run(r, err) < 0)
            return fail(r, err);
    }
    return begin_step(r, "finish", err);
}
