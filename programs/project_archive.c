/* programs/project_archive — a project that is an archive. */
#include "programs/project.h"
#include "uploads/uploads.h"

int project_unpack(int fd, int dirfd, const struct config *c, struct argv *ret_build_args,
                   struct error *err)
{
    CLEANUP(upload_report_release) struct upload_report report;
    struct upload_limits limits = upload_limits_default;

    upload_report_init(&report);
    limits.bytes_max = (uint64_t)c->unpack_max;
    limits.entries_max = (uint64_t)c->unpack_entries;
    if (upload_extract(fd, dirfd, &limits, &report, err) < 0)
        return -1;
    return report.has_env_build ? project_read_env(&report.env_build, ret_build_args, err) : 0;
}
