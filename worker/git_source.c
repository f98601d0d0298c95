/* worker/git_source — the files of a build that come from a git repository: fetched in a jail, and
 * handed on as an archive like those that are uploaded. */
#include "base/text.h"
#include "worker/steps.h"

#define OUTPUT_MAX (16 << 20) /* bytes of JSON about one repository */

static void tell(struct run *r, const struct upload_report *report)
{
    int n = r->plain_log.number;
    char received[TEXT_SIZE];

    text_size(report->bytes, received);
    journal_addf(&r->journal, LOG_INFO, "#%d commit %s; %llu objects, %s received", n,
                 report->revision, (unsigned long long)report->entries, received);
    for (size_t i = 0; i < report->warnings.n; i++)
        journal_addf(&r->journal, LOG_WARNING, "#%d warning: %s", n, report->warnings.v[i]);
}

static int run_jail(struct run *r, int *ret_fd, struct buf *json, struct error *err)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    const struct process_sink sink = plain_log_sink(&r->plain_log);
    const struct builder_io io = {.sink = &sink, .cancel = &r->cancel};
    enum builder_outcome outcome;

    argv_pushf(&words, "%llu", (unsigned long long)r->config->git_max);
    for (size_t i = 0; i < r->config->extract_words->n; i++)
        argv_push1(&words, r->config->extract_words->v[i]);
    argv_push1(&words, r->build.source);
    if (builder_fetch_inside(r->job, "git", &words, r->source.authority, ret_fd, json, &io,
                             &outcome, err) < 0)
        return -1;
    return step_judge(r, outcome, "fetching the git source", err);
}

int git_source_fetch(struct run *r, int *ret_fd, struct error *err)
{
    CLEANUP(upload_report_release) struct upload_report report;
    CLEANUP(buf_release) struct buf json = BUF_INIT(OUTPUT_MAX);
    CLEANUP_CLOSE int fd = -1;

    upload_report_init(&report);
    if (upload_git_parse(r->build.source, &r->source, err) < 0 ||
        run_jail(r, &fd, &json, err) < 0 ||
        upload_report_read(buf_str(&json), json.len, &report, err) < 0)
        return -1;
    tell(r, &report);
    (void)snprintf(r->revision, sizeof(r->revision), "%s", report.revision);
    *ret_fd = TAKE_FD(fd);
    return 0;
}
