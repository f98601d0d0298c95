/* worker/pack — an uploaded archive becomes a revision in the workspace's template store.
 *
 * The packer runs in a jail, and of all stores it sees the workspace's own.  It may ruin that, if
 * its archive takes it over, as any build may ruin its own workspace's cache; every read of a store
 * is verified, and follows no links.
 *
 * The revision is held by the build from the moment it can be seen until the build's end is
 * recorded.  A try that comes after a kill finds it by that, and makes no second one. */
#include "worker/pack.h"

#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "worker/places.h"
#include "worker/steps.h"

#define OUTPUT_MAX 16384
#define HOLDER     "build-"

int pack_run(struct run *r, const struct pack_jail *jail, struct facts *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(OUTPUT_MAX);
    const struct process_sink sink = plain_log_sink(&r->plain_log);
    const struct builder_io io = {.sink = &sink, .cancel = &r->cancel};
    enum builder_outcome outcome;
    char job[JOB_NAME];

    pipeline_job_name(&r->build, job);
    if (!r->job && builder_job_begin(r->config->builder, r->build.workspace, job, &r->job, err) < 0)
        return -1;
    for (size_t i = 0; i < jail->n_shares; i++)
        if (builder_give(r->config->builder, jail->shares[i].dir, err) < 0)
            return -1;
    if (builder_run_beside(r->job, jail->name, jail->words, jail->stdin_fd, jail->shares,
                           jail->n_shares, &out, &io, &outcome, err) < 0 ||
        step_judge(r, outcome, jail->act, err) < 0)
        return -1;
    return facts_read(buf_str(&out), ret, err);
}

/* ---- holds ---- */

static void holder_of(const struct build *b, char holder[sizeof(HOLDER) + BUILD_ID])
{
    (void)snprintf(holder, sizeof(HOLDER) + BUILD_ID, HOLDER "%s", b->id);
}

/* Nobody has been told of the revision as one that is ready. */
static int take_back(struct template_store *s, const struct template_ref *ref, struct error *err)
{
    struct template_ref what = *ref;
    struct template_info info;
    bool there;

    if (template_get(s, ref->name, &info, &there, err) < 0)
        return -1;
    if (info.revisions == 1 && info.latest == ref->revision)
        what.revision = 0; /* a template cannot be without */
    if (template_remove(s, &what, err) == 0)
        return 0;
    if (err->kind != ERR_INPUT)
        return -1;
    err->kind = ERR_NONE; /* gone already */
    return 0;
}

static int let_go(struct template_store *s, const struct template_ref *ref, const char *holder,
                  bool wanted, struct error *err)
{
    if (template_let_go(s, ref, holder, err) < 0)
        return -1;
    return wanted ? 0 : take_back(s, ref, err);
}

/* Holds of builds that ended before they could let go. */
struct stale {
    struct state *state;
    const char *own; /* of this build: kept */
    struct argv revisions, holders, wanted;
};

static void collect_stale(void *self, const struct template_ref *ref, const char *holder)
{
    struct stale *stale = self;
    struct error ignored = ERROR_INIT; /* the next pack asks again */
    enum presence presence;
    struct build b;

    if (!text_starts(holder, HOLDER) || strcmp(holder, stale->own) == 0 ||
        state_build_get(stale->state, holder + strlen(HOLDER), &presence, &b, &ignored) < 0 ||
        (presence == PRESENT && (b.phase == BUILD_QUEUED || b.phase == BUILD_RUNNING)))
        return;
    argv_pushf(&stale->revisions, "%s:%llu", ref->name, (unsigned long long)ref->revision);
    argv_push1(&stale->holders, holder);
    argv_push1(&stale->wanted, presence == PRESENT && b.phase == BUILD_SUCCEEDED ? "yes" : "no");
}

static void stale_release(struct stale *stale)
{
    argv_release(&stale->revisions);
    argv_release(&stale->holders);
    argv_release(&stale->wanted);
}

static int let_go_stale(struct state *state, struct template_store *s, const char *own,
                        struct error *err)
{
    CLEANUP(stale_release) struct stale stale = {.state = state, .own = own};

    if (template_holds(s, collect_stale, &stale, err) < 0)
        return -1;
    if (stale.revisions.failed || stale.holders.failed || stale.wanted.failed)
        return error_set(err, ERR_SYSTEM, "list holds: out of memory");
    for (size_t i = 0; i < stale.revisions.n; i++) {
        struct template_ref ref;

        if (template_ref_parse(stale.revisions.v[i], &ref, err) < 0 ||
            let_go(s, &ref, stale.holders.v[i], stale.wanted.v[i][0] == 'y', err) < 0)
            return -1;
    }
    return 0;
}

/* ---- packing ---- */

/* spec.defaultSize of the template as it is now; 0: not said. */
static int default_size(struct run *r, uint64_t *ret, struct error *err)
{
    CLEANUP(resource_release) struct resource resource = {.created = 0};
    struct target t = {r->build.workspace, r->build.type, r->build.name};
    json_auto_t *spec = NULL;
    enum presence presence;
    json_int_t size;

    if (state_resource_get(r->config->state, &t, &presence, &resource, err) < 0)
        return -1;
    if (presence == PRESENT)
        spec = json_loads(resource.spec, 0, NULL);
    size = json_integer_value(json_object_get(spec, "defaultSize"));
    *ret = size > 0 ? (uint64_t)size : 0;
    return 0;
}

static void tell(struct run *r, const struct facts *f)
{
    char content[TEXT_SIZE], added[TEXT_SIZE], fresh[TEXT_SIZE], shared[TEXT_SIZE];
    const int n = r->plain_log.number;

    text_size(f->v[FACT_CONTENT], content);
    text_size(f->v[FACT_ADDED], added);
    text_size(f->v[FACT_NEW], fresh);
    text_size(f->v[FACT_SHARED], shared);
    journal_addf(&r->journal, LOG_INFO, "#%d %s:%llu: %llu files, %s of content", n, r->build.name,
                 (unsigned long long)f->v[FACT_REVISION], (unsigned long long)f->v[FACT_FILES],
                 content);
    journal_addf(&r->journal, LOG_INFO,
                 "#%d %s added to the store (%s before compression), %s were there already", n,
                 added, fresh, shared);
    if (f->v[FACT_DROPPED])
        journal_addf(&r->journal, LOG_INFO,
                     "#%d %llu old revisions were dropped: %u are kept (template_revisions)", n,
                     (unsigned long long)f->v[FACT_DROPPED], r->config->places->revisions_max);
    journal_addf(&r->journal, LOG_INFO, "#%d sha256 of the image: %s", n, f->digest);
}

static int pack(struct run *r, const char *store, struct facts *ret, struct error *err)
{
    const struct places *p = r->config->places;
    const struct builder_share share = {"store", store};
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP_CLOSE int archive = -1;
    struct pack_jail jail = {.name = "template-pack",
                             .act = "packing the archive",
                             .words = &words,
                             .shares = &share,
                             .n_shares = 1};
    char holder[sizeof(HOLDER) + BUILD_ID];
    uint64_t size;

    if (default_size(r, &size, err) < 0 ||
        upload_store_get(r->config->uploads, r->build.archive, &archive, err) < 0)
        return -1;
    jail.stdin_fd = archive;
    holder_of(&r->build, holder);
    argv_push(&words, r->build.name, holder, NULL);
    argv_pushf(&words, "%llu", (unsigned long long)size);
    argv_pushf(&words, "%u", p->revisions_max);
    argv_pushf(&words, "%llu", (unsigned long long)p->bytes_max);
    argv_pushf(&words, "%llu", (unsigned long long)p->entries_max);
    return pack_run(r, &jail, ret, err);
}

int pack_lend_store(struct run *r, struct store_loan *ret, struct error *err)
{
    const struct template_gate gate = {run_has_lease, r};
    char job[JOB_NAME];

    pipeline_job_name(&r->build, job);
    return places_lend_store(r->config->places, r->build.workspace, job, gate, ret, err);
}

static int prepare_store(struct run *r, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    char holder[sizeof(HOLDER) + BUILD_ID];

    holder_of(&r->build, holder);
    if (places_open_store(r->config->places, r->build.workspace, &s, err) < 0)
        return -1;
    return s ? let_go_stale(r->config->state, s, holder, err) : 0;
}

int step_pack(struct run *r, struct error *err)
{
    CLEANUP(places_loan_end) struct store_loan store = {.broker = NULL};
    char size[TEXT_SIZE];
    struct facts f;

    text_size(r->build.archive_size, size);
    plain_log_begin(&r->plain_log, "[internal] pack archive, %s, into volume template %s", size,
                    r->build.name);
    if (prepare_store(r, err) < 0 || pack_lend_store(r, &store, err) < 0 ||
        pack(r, store.dir, &f, err) < 0)
        return -1;
    tell(r, &f);
    r->image_size = f.v[FACT_CONTENT];
    r->dropped = f.v[FACT_DROPPED] > 0;
    (void)snprintf(r->digest, sizeof(r->digest), "%s", f.digest);
    (void)snprintf(r->made, sizeof(r->made), "%s:%llu", r->build.name,
                   (unsigned long long)f.v[FACT_REVISION]);
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- collecting ---- */

int step_collect(struct run *r, struct error *err)
{
    const struct worker_config *c = r->config;
    CLEANUP(template_store_freep) struct template_store *there = NULL;
    CLEANUP(places_loan_end) struct store_loan store = {.broker = NULL};
    char line[256], freed[TEXT_SIZE], live[TEXT_SIZE], waiting[TEXT_SIZE];
    const struct builder_share share = {"store", store.dir};
    const struct pack_jail jail = {.name = "template-collect",
                                   .act = "collecting",
                                   .shares = &share,
                                   .n_shares = 1,
                                   .stdin_fd = -1};
    struct facts f;

    if (places_open_store(c->places, r->build.workspace, &there, err) < 0)
        return -1;
    if (!there)
        return 0;
    if (pack_lend_store(r, &store, err) < 0)
        return -1;
    plain_log_begin(&r->plain_log, "[internal] free what no volume template needs");
    if (pack_run(r, &jail, &f, err) < 0)
        return -1;
    text_size(f.v[FACT_FREED], freed);
    text_size(f.v[FACT_LIVE], live);
    text_size(f.v[FACT_WAITING], waiting);
    (void)snprintf(line, sizeof(line), "templates of %.64s: %s freed, %s kept, %s wait",
                   r->build.workspace, freed, live, waiting);
    journal_addf(&r->journal, LOG_INFO, "#%d %s", r->plain_log.number, line);
    run_log(c, &r->build, "%s", line);
    /* In a bucket a pack waits for an hour at least: the next collection takes it. */
    if (f.v[FACT_WAITING] && !c->places->objects && r->build.attempts < c->attempts)
        return error_set(err, ERR_SYSTEM, "%s wait for a pack to end", waiting);
    plain_log_done(&r->plain_log);
    return 0;
}

/* ---- the end ---- */

static int settle_template(struct run *r, bool wanted, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    char holder[sizeof(HOLDER) + BUILD_ID];
    struct template_ref ref;

    if (!r->made[0])
        return 0;
    if (template_ref_parse(r->made, &ref, err) < 0 ||
        places_open_store(r->config->places, r->build.workspace, &s, err) < 0)
        return -1;
    holder_of(&r->build, holder);
    if (s && let_go(s, &ref, holder, wanted, err) < 0)
        return -1;
    return wanted && !r->dropped ? 0
                                 : places_collect_later(r->config->state, r->build.workspace, err);
}

/* A volume that was deleted while it was made, and perhaps named. */
static int settle_volume(struct run *r, struct error *err)
{
    struct target t = {r->build.workspace, r->build.type, r->build.name};
    CLEANUP(resource_release) struct resource resource = {.created = 0};
    enum presence presence;
    char path[PATH_MAX];

    if (state_resource_get(r->config->state, &t, &presence, &resource, err) < 0)
        return -1;
    if (presence == PRESENT)
        return 0;
    if (places_volume(r->config->places, t.workspace, t.name, path, err) < 0)
        return -1;
    (void)unlink(path);
    return 0;
}

void pack_settled(struct run *r, enum lease_verdict verdict, enum build_phase phase)
{
    struct error err = ERROR_INIT;
    int result = 0;

    if (verdict == LEASE_LOST || phase == BUILD_QUEUED)
        return;
    if (r->build.purpose == BUILD_FOR_TEMPLATE)
        result = settle_template(r, phase == BUILD_SUCCEEDED, &err);
    else if (r->build.purpose == BUILD_FOR_VOLUME && verdict == LEASE_CANCELLED)
        result = settle_volume(r, &err);
    if (result == 0)
        return;
    /* Its hold is let go by the next pack. */
    run_log(r->config, &r->build, "error: build %s: tidy up after it: %s", r->build.id, err.msg);
}
