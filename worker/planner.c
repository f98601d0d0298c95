/* worker/planner — see the header.  Its job directories are named "plan-<pid>-<start
 * time>-<random>" so that the sweep can tell whether whoever made one still lives. */
#include "worker/planner.h"

#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "worker/unpack.h"
#include "worker/verdict.h"

#define PREFIX   "plan-"
#define JOB_NAME 96

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

static int plan(const struct planner *p, const char *workspace, int archive_fd, const char *type,
                struct dockerfile_plan *ret, struct error *err)
{
    CLEANUP(free_job) struct builder_job *job = NULL;
    CLEANUP(upload_report_release) struct upload_report report;
    const struct builder_io io = {.sink = NULL};
    enum builder_outcome outcome;
    char label[JOB_NAME] = "";
    char random[9], name[2 * JOB_NAME];

    upload_report_init(&report);
    if (!process_label(getpid(), label))
        return error_set(err, ERR_SYSTEM, "read /proc: is it mounted?");
    digest_random_name(random, 8);
    (void)snprintf(name, sizeof(name), PREFIX "%s-%s", label, random);
    if (builder_job_begin(p->config->builder, workspace, name, &job, err) < 0 ||
        unpack_archive(p->config, job, archive_fd, type, &io, &report, ret, &outcome, err) < 0)
        return -1;
    return verdict_of(builder_configuration(p->config->builder), outcome, "planning",
                      "the plan could not be made", err);
}

int planner_plan(struct planner *p, const char *workspace, int archive_fd, const char *type,
                 enum planner_outcome *ret_outcome, struct dockerfile_plan *ret, struct error *err)
{
    int r = 0;

    *ret_outcome = PLANNER_BUSY;
    if (atomic_fetch_add(&p->busy, 1) < p->max) {
        *ret_outcome = PLANNER_DONE;
        r = plan(p, workspace, archive_fd, type, ret, err);
    }
    atomic_fetch_sub(&p->busy, 1);
    return r;
}
