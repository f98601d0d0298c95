/* api/logs — GET /v0/observability/logs: the logs of builds, by name (PROTOCOL.md 1.4, 2.8).
 *
 * Of each name one build counts: the newest of the time that is asked about. */
#include <string.h>

#include "api/log_query.h"

#define WORKLOADS_MAX 16

/* The plural that the CLI sends, or the singular. */
static const struct kind *kind_asked(const struct api_call *c)
{
    const char *type = api_request_param(c->req, "resourceType");
    const struct kind *kind = type ? api_kind_of_plural(type) : NULL;

    return kind || !type ? kind : api_kind_of_type(type);
}

static int add_workload(struct api_call *c, const struct kind *kind, const char *name, size_t len,
                        const struct log_query *q, json_t *answer, struct error *err)
{
    char text[NAME_SIZE];
    struct target t = {c->key.workspace, kind->type, text};
    json_t *logs;

    if (len >= sizeof(text))
        return error_set(err, ERR_INPUT, "workloadIds holds a name longer than %d bytes",
                         NAME_SIZE - 1);
    memcpy(text, name, len);
    text[len] = '\0';
    if (log_query_page(c, q, &t, true, &logs, err) < 0)
        return -1;
    return api_json_check(json_object_set_new(answer, text, logs), err);
}

static int add_workloads(struct api_call *c, const struct kind *kind, const char *names,
                         const struct log_query *q, json_t *answer, struct error *err)
{
    int n = 0;

    while (*names) {
        size_t len = strcspn(names, ",");

        if (n++ == WORKLOADS_MAX)
            return error_set(err, ERR_INPUT, "workloadIds holds more than %d names", WORKLOADS_MAX);
        if (len > 0 && add_workload(c, kind, names, len, q, answer, err) < 0)
            return -1;
        names += len + (names[len] == ',');
    }
    return 0;
}

int api_get_logs(struct api_call *c, struct error *err)
{
    const char *names = api_request_param(c->req, "workloadIds");
    const struct kind *kind = kind_asked(c);
    json_auto_t *answer = json_object();
    struct log_query q;
    bool good;

    if (!kind || !names || !*names) {
        api_refuse(
            c->resp, 400, "invalid_log_query",
            "Say whose log: workloadIds=<name> and resourceType=sandboxes, agents, functions, "
            "jobs, volume_templates or volumes.");
        return 0;
    }
    if (log_query_read(c, &q, &good, err) < 0)
        return -1;
    if (!good)
        return 0;
    if (add_workloads(c, kind, names, &q, answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
