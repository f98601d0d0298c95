/* programs/inner_template — what is done to a workspace's template store inside a jail, where it is
 * /kiln/store: packing an archive, collecting, and comparing revisions. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "programs/commands.h"
#include "programs/inner_facts.h"
#include "programs/progress_text.h"
#include "templates/templates.h"

#define TELL_FIRST (3 * NS_PER_SEC)
#define TELL_EVERY (10 * NS_PER_SEC)

int inner_end(const struct facts *f, const struct error *failure)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(16384);
    struct error err = ERROR_INIT;

    facts_write(f, failure, &text);
    if (buf_check(&text, "the report", &err) < 0 ||
        fs_write_all(STDOUT_FILENO, buf_str(&text), text.len, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    return 0;
}

/* ---- progress: lines of the build's log ---- */

static void tell(void *self, enum template_phase phase, uint64_t done, uint64_t total)
{
    struct inner_progress *p = self;
    int64_t now = clock_monotonic();
    char text[PROGRESS_TEXT];

    if (now < p->next)
        return;
    p->next = now + TELL_EVERY;
    progress_text(phase, (double)(now - p->started) / (double)NS_PER_SEC, done, total, text);
    fprintf(stderr, "%s\n", text);
}

void inner_progress_init(struct inner_progress *p)
{
    p->started = clock_monotonic();
    p->next = p->started + TELL_FIRST;
    p->progress = (struct template_progress){.report = tell, .self = p};
}

/* ---- packing ---- */

/* NAME HOLDER DEFAULT_MB REVISIONS_MAX BYTES_MAX ENTRIES_MAX */
static int read_order(int argc, char **argv, struct template_pack_request *req,
                      struct template_options *options, struct template_limits *limits,
                      struct error *err)
{
    uint64_t revisions;

    *limits = template_limits_default;
    if (argc != 7 || !text_to_u64(argv[3], UINT64_MAX, &req->default_size_mb) ||
        !text_to_u64(argv[4], UINT32_MAX, &revisions) ||
        !text_to_u64(argv[5], UINT64_MAX, &limits->bytes_max) ||
        !text_to_u64(argv[6], UINT64_MAX, &limits->entries_max))
        return error_set(err, ERR_SYSTEM, "template-pack: wants two names and four numbers");
    req->name = argv[1];
    req->holder = argv[2];
    req->limits = limits;
    options->revisions_max = (unsigned)revisions;
    return 0;
}

static void take_report(const struct template_pack_report *r, struct facts *f)
{
    f->v[FACT_REVISION] = r->ref.revision;
    f->v[FACT_FILES] = r->files;
    f->v[FACT_CONTENT] = r->content_size;
    f->v[FACT_ADDED] = r->bytes_added;
    f->v[FACT_NEW] = r->bytes_new;
    f->v[FACT_SHARED] = r->bytes_shared;
    f->v[FACT_DROPPED] = r->dropped;
    (void)snprintf(f->digest, sizeof(f->digest), "%s", r->digest);
}

/* An earlier try came so far. */
static void take_info(const struct template_revision_info *i, struct facts *f)
{
    f->v[FACT_REVISION] = i->ref.revision;
    f->v[FACT_FILES] = i->files;
    f->v[FACT_CONTENT] = i->content_size;
    f->v[FACT_ADDED] = i->bytes_added;
    f->v[FACT_NEW] = i->bytes_new;
    f->v[FACT_SHARED] = i->bytes_shared;
    (void)snprintf(f->digest, sizeof(f->digest), "%s", i->digest);
}

static int pack(int argc, char **argv, struct facts *f, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    struct inner_progress progress;
    struct template_pack_request req = {.archive_fd = STDIN_FILENO,
                                        .progress = &progress.progress,
                                        .now = clock_now(&clock_system)};
    struct template_options options = {.revisions_max = 0};
    struct template_revision_info earlier;
    struct template_pack_report report;
    struct template_limits limits;
    bool there;

    inner_progress_init(&progress);
    if (read_order(argc, argv, &req, &options, &limits, err) < 0 ||
        template_store_open(INNER_STORE, &options, &s, err) < 0 ||
        template_find_held(s, req.name, req.holder, &there, &earlier, err) < 0)
        return -1;
    if (there) {
        take_info(&earlier, f);
        return 0;
    }
    if (template_pack(s, &req, &report, err) < 0)
        return -1;
    take_report(&report, f);
    return 0;
}

int inner_template_pack(int argc, char **argv)
{
    struct facts f = {.digest = ""};
    struct error err = ERROR_INIT;

    /* Times in a ZIP have no zone; unset, two calls a file would look for /etc/localtime. */
    (void)setenv("TZ", "UTC0", 1);
    return inner_end(&f, pack(argc, argv, &f, &err) < 0 ? &err : NULL);
}

/* ---- collecting ---- */

static int collect(struct facts *f, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    struct template_gc_report report;
    struct inner_progress progress;

    inner_progress_init(&progress);
    if (template_store_open(INNER_STORE, NULL, &s, err) < 0 ||
        template_gc(s, &progress.progress, &report, err) < 0)
        return -1;
    f->v[FACT_FREED] = report.bytes_freed;
    f->v[FACT_LIVE] = report.bytes_live;
    f->v[FACT_WAITING] = report.bytes_waiting;
    return 0;
}

int inner_template_collect(int argc, char **argv)
{
    struct facts f = {.digest = ""};
    struct error err = ERROR_INIT;

    (void)argc;
    (void)argv;
    return inner_end(&f, collect(&f, &err) < 0 ? &err : NULL);
}

/* ---- comparing ---- */

static void print_overlap(void *self, uint64_t a, uint64_t b, uint64_t bytes)
{
    (void)self;
    printf("%llu %llu %llu\n", (unsigned long long)a, (unsigned long long)b,
           (unsigned long long)bytes);
}

static int compare(int argc, char **argv, struct error *err)
{
    CLEANUP(template_store_freep) struct template_store *s = NULL;
    uint64_t newest;

    if (argc != 3 || !text_to_u64(argv[2], UINT16_MAX, &newest) || newest == 0)
        return error_set(err, ERR_SYSTEM, "template-overlaps: wants a name and a number");
    if (template_store_open(INNER_STORE, NULL, &s, err) < 0 ||
        template_overlaps(s, argv[1], (size_t)newest, print_overlap, NULL, err) < 0)
        return -1;
    puts("end");
    return fflush(stdout) == 0 ? 0 : error_set(err, ERR_SYSTEM, "write the comparison");
}

int inner_template_overlaps(int argc, char **argv)
{
    struct facts f = {.digest = ""};
    struct error err = ERROR_INIT;

    return compare(argc, argv, &err) < 0 ? inner_end(&f, &err) : 0;
}
