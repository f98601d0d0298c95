/* worker/unpack — see the header.  The jail prints two lines of JSON: the report of the unpacking
 * and, if that went well, the plan. */
#include "worker/unpack.h"

#include <string.h>

#define OUTPUT_MAX (16 << 20) /* bytes of JSON about one archive */

static int read_output(const struct buf *json, struct upload_report *report,
                       struct dockerfile_plan *plan, struct error *err)
{
    const char *text = buf_str(json);
    size_t first = strcspn(text, "\n");

    if (upload_report_read(text, first, report, err) < 0)
        return -1;
    if (!text[first])
        return error_set(err, ERR_SYSTEM, "read the plan: there is none");
    text += first + 1;
    return dockerfile_plan_read(text, strlen(text), plan, err);
}

int unpack_archive(const struct worker_config *config, struct builder_job *job, int archive_fd,
                   const char *type, const struct builder_io *io, struct upload_report *ret_report,
                   struct dockerfile_plan *ret_plan, enum builder_outcome *ret_outcome,
                   struct error *err)
{
    CLEANUP(buf_release) struct buf json = BUF_INIT(OUTPUT_MAX);
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    enum builder_outcome outcome;

    for (size_t i = 0; i < config->extract_words->n; i++)
        argv_push1(&words, config->extract_words->v[i]);
    argv_push(&words, config->sandbox_image, type, NULL);
    if (builder_run_inside(job, "extract", &words, archive_fd, &json, io, &outcome, err) < 0)
        return -1;
    if ((outcome == BUILDER_DONE || outcome == BUILDER_FAILED) &&
        read_output(&json, ret_report, ret_plan, err) < 0)
        return -1;
    *ret_outcome = outcome;
    return 0;
}
