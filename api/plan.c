/* api/plan — POST /v0/plan: the archive is the body, the plan of its build the answer.  Nothing is
 * kept, queued or built. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "api/call.h"
#include "base/fs.h"

static bool check_type(struct api_call *c, const char *type)
{
    if (!*type || api_kind_of_image(type))
        return true;
    api_refuse(c->resp, 400, "invalid_resource_type",
               "The parameter type must be sandbox, agent, function or job.");
    return false;
}

static int open_body(const struct api_request *req, int *ret_fd, struct error *err)
{
    CLEANUP_CLOSE int fd = memfd_create("plan", MFD_CLOEXEC);

    if (fd < 0)
        return error_errno(err, errno, "make a memory file");
    if (fs_write_all(fd, req->body, req->body_len, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "rewind a memory file");
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int answer(struct api_call *c, const struct dockerfile_plan *plan, struct error *err)
{
    if (dockerfile_plan_write(plan, &c->resp->body, err) < 0)
        return -1;
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "application/json");
    return 0;
}

int api_post_plan(struct api_call *c, struct error *err)
{
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan plan;
    CLEANUP_CLOSE int archive = -1;
    const char *type = api_request_param(c->req, "type");
    enum planner_outcome outcome;

    dockerfile_plan_init(&plan);
    if (!c->config->planner) {
        api_refuse(c->resp, 501, "not_supported", "This server does not plan builds.");
        return 0;
    }
    if (!check_type(c, type ? type : ""))
        return 0;
    if (c->req->body_len == 0) {
        api_refuse(c->resp, 400, "upload_empty",
                   "Send the project as an archive, ZIP or tar, as the body of the request.");
        return 0;
    }
    if (open_body(c->req, &archive, err) < 0 ||
        planner_plan(c->config->planner, c->key.workspace, archive, type ? type : "", &outcome,
                     &plan, err) < 0)
        return -1;
    if (outcome == PLANNER_BUSY) {
        api_refuse(c->resp, 429, "too_many_plans",
                   "Other plans are being made. Try again in a second.");
        api_response_header(c->resp, "Retry-After", "1");
        return 0;
    }
    return answer(c, &plan, err);
}
