/* worker/planner — see the header.  Its job directories are named "plan-<pid>-<start
 * time>-<random>" so that the sweep can tell whether whoever made one still lives. */
#include "worker/planner.h"

#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "worker/facts.h"
#include "worker/places.h"
#include "worker/unpack.h"
#include "worker/verdict.h"

#define PREFIX       "plan-"
#define JOB_NAME     96
#define OVERLAPS_MAX (1 << 16) /* bytes about PLANNER_REVISIONS */

static void free_job(struct builder_job **job)
{
    builder_job_end(*job);
}

/* "<pid>-<start time>" of a process. */
static bool process_label(int pid, char label[JOB_NAME])
{
    char name[WORKER_NAME];
    const char *colon = worker_name_of(pid, name) ? strchr(name, ':') : NULL;

    if (!colon)
        return false;
    (void)snprintf(label, JOB_NAME, "%s", colon + 1);
    label[strcspn(label, ":")] = '-';
    return true;
}

bool planner_owns_job(const char *name)
{
    char label[JOB_NAME];
    int pid;

    if (!text_starts(name, PREFIX) || sscanf(name + strlen(PREFIX), "%d", &pid) != 1)
        return false;
    return process_label(pid, label) && text_starts(name + strlen(PREFIX), label);
}

static int begin_job(const struct planner *p, const char *workspace, struct builder_job **ret,
                     struct error *err)
{
    char label[JOB_NAME] = "";
    char random[9], name[2 * JOB_NAME];

    if (!process_label(getpid(), label))
        return error_set(err, ERR_SYSTEM, "read /proc: is it mounted?");
    digest_random_name(random, 8);
    (void)snprintf(name, sizeof(name), PREFIX "%s-%s", label, random);
    return builder_job_begin(p->config->builder, workspace, name, ret, err);
}

/* One of p->max; false when all are taken.  To be given back with end_turn in any case. */
static bool begin_turn(struct planner *p, enum planner_outcome *ret_outcome)
{
    const bool mine = atomic_fetch_add(&p->busy, 1) < p->max;

    *ret_outcome = mine ? PLANNER_DONE : PLANNER_BUSY;
    return mine;
}

static void end_turn(struct planner *p)
{
    atomic_fetch_sub(&p->busy, 1);
}

/* ---- a plan ---- */

static int plan(const struct planner *p, const char *workspace, int archive_fd, const char *type,
                struct dockerfile_plan *ret, struct error *err)
{
    CLEANUP(free_job) struct builder_job *job = NULL;
    CLEANUP(upload_report_release) struct upload_report report;
    const struct builder_io io = {.sink = NULL};
    enum builder_outcome outcome;

    upload_report_init(&report);
    if (begin_job(p, workspace, &job, err) < 0 ||
        unpack_archive(p->config, job, archive_fd, type, &io, &report, ret, &outcome, err) < 0)
        return -1;
    return verdict_of(builder_configuration(p->config->builder), outcome, "planning",
                      "the plan could not be made", err);
}

int planner_plan(struct planner *p, const char *workspace, int archive_fd, const char *type,
                 enum planner_outcome *ret_outcome, struct dockerfile_plan *ret, struct error *err)
{
    int r = 0;

    if (begin_turn(p, ret_outcome))
        r = plan(p, workspace, archive_fd, type, ret, err);
    end_turn(p);
    return r;
}

/* ---- what revisions have in common ---- */

struct reading {
    void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes);
    void *self;
};

/* "1 2 4096" */
static bool read_overlap(char *line, uint64_t n[3])
{
    const char *a = strsep(&line, " ");
    const char *b = strsep(&line, " ");

    return a && b && line && text_to_u64(a, UINT32_MAX, &n[0]) &&
           text_to_u64(b, UINT32_MAX, &n[1]) && text_to_u64(line, INT64_MAX, &n[2]);
}

int planner_read_overlaps(char *text,
                          void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes),
                          void *self, struct error *err)
{
    struct facts unused;
    char *line;

    if (strncmp(text, "end", 3) != 0 && (*text < '0' || *text > '9'))
        return facts_read(text, &unused, err);
    while ((line = strsep(&text, "\n")) != NULL) {
        uint64_t n[3];

        if (strcmp(line, "end") == 0)
            return 0;
        if (!read_overlap(line, n))
            break;
        each(self, n[0], n[1], n[2]);
    }
    return error_set(err, ERR_SYSTEM, "read the comparison of a jail: it is damaged");
}

static int compare(const struct planner *p, const char *workspace, const char *name,
                   const struct reading *told, struct error *err)
{
    CLEANUP(free_job) struct builder_job *job = NULL;
    CLEANUP(buf_release) struct buf out = BUF_INIT(OVERLAPS_MAX);
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    const struct builder_io io = {.sink = NULL};
    enum builder_outcome outcome;
    char store[PATH_MAX];
    const struct builder_share share = {"store", store};

    argv_push1(&words, name);
    argv_pushf(&words, "%d", PLANNER_REVISIONS);
    if (places_store(p->config->places, workspace, store, err) < 0 ||
        begin_job(p, workspace, &job, err) < 0 ||
        builder_give(p->config->builder, store, err) < 0 ||
        builder_run_beside(job, "template-overlaps", &words, -1, &share, 1, &out, &io, &outcome,
                           err) < 0 ||
        verdict_of(builder_configuration(p->config->builder), outcome, "comparing revisions",
                   "the revisions could not be compared", err) < 0)
        return -1;
    return out.len ? planner_read_overlaps(out.data, told->each, told->self, err)
                   : error_set(err, ERR_SYSTEM, "read the comparison of a jail: there is none");
}

int planner_overlaps(struct planner *p, const char *workspace, const char *name,
                     void (*each)(void *self, uint64_t a, uint64_t b, uint64_t bytes), void *self,
                     enum planner_outcome *ret_outcome, struct error *err)
{
    int r = 0;

    if (begin_turn(p, ret_outcome))
        r = compare(p, workspace, name, &(struct reading){each, self}, err);
    end_turn(p);
    return r;
}
