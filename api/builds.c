/* api/builds — the builds of a workspace, as they are: whoever waits for an image or a resource is
 * told statuses that fit its client's habits (worker/status.h), whoever looks at builds is not. */
#include <string.h>

#include "api/call.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     1000

static const char *phase_name(enum build_phase phase)
{
    static const char *const names[] = {"UPLOADING", "QUEUED", "RUNNING",
                                        "SUCCEEDED", "FAILED", "CANCELLED"};

    return names[phase];
}

/* Where the build's log is: "/v0/sandboxes/demo/build-logs?build=…". */
static json_t *log_url(const struct build *b)
{
    const struct kind *kind = api_kind_of_type(b->type);

    return kind ? json_sprintf("/v0/%s/%s/build-logs?build=%s", kind->plural, b->name, b->id)
                : json_null();
}

/* What the build was asked to take instead of an upload: a volume's is not for people. */
static const char *source_of(const struct build *b)
{
    return b->source[0] && purpose_is_image(b->purpose) ? b->source : NULL;
}

static json_t *build_json(const struct build *b)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s?, s:I, s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:o,"
        " s:o}",
        "id", b->id, "workspace", b->workspace, "resourceType", b->type, "name", b->name, "status",
        phase_name(b->phase), "source", source_of(b), "tag", b->tag[0] ? b->tag : NULL, "digest",
        b->digest[0] ? b->digest : NULL, "size", (json_int_t)b->image_size, "step",
        b->phase == BUILD_RUNNING ? b->step : "", "message", b->message, "attempts", b->attempts,
        "noCache", (int)b->no_cache, "createdAt", api_json_time(b->created), "uploadedAt",
        api_json_time(b->uploaded), "startedAt", api_json_time(b->started), "finishedAt",
        api_json_time(b->finished), "log", log_url(b));
}

/* ---- list ---- */

struct listing {
    json_t *array;
    uint64_t limit, seen;
    char last[BUILD_ID]; /* in the array */
    int bad;
};

static void add_build(void *self, const struct build *b)
{
    struct listing *l = self;

    if (l->seen++ >= l->limit)
        return;
    memcpy(l->last, b->id, sizeof(l->last));
    l->bad |= json_array_append_new(l->array, build_json(b));
}

int api_list_builds(struct api_call *c, struct error *err)
{
    const char *cursor = api_request_param(c->req, "cursor");
    json_auto_t *array = json_array();
    struct listing l = {.array = array, .limit = LIMIT_DEFAULT};
    int64_t total;

    if (api_request_number(c->req, "limit", INT32_MAX, &l.limit, err) < 0)
        return -1;
    if (l.limit > LIMIT_MAX)
        l.limit = LIMIT_MAX;
    if (state_build_list(c->config->state, c->key.workspace, cursor ? cursor : "",
                         (int64_t)l.limit + 1, add_build, &l, &total, err) < 0 ||
        api_json_check(l.bad, err) < 0)
        return -1;
    return api_answer_list(c, TAKE(array), l.limit > 0 && l.seen > l.limit ? l.last : "", total,
                           err);
}

/* ---- one ---- */

int api_get_build(struct api_call *c, struct error *err)
{
    json_auto_t *answer = NULL;
    enum presence presence;
    struct build b;

    if (state_build_get(c->config->state, c->args[0], &presence, &b, err) < 0)
        return -1;
    if (presence == ABSENT || strcmp(b.workspace, c->key.workspace) != 0) {
        api_refuse(c->resp, 404, "build not found",
                   "There is no build %.64s in this workspace. List them with GET /v0/builds.",
                   c->args[0]);
        return 0;
    }
    answer = build_json(&b);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
