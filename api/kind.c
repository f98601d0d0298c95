/* api/kind — see the header. */
#include "api/kind.h"

#include <string.h>

#include "api/call.h"

static const struct kind kinds[] = {
    {.plural = "sandboxes", .type = "sandbox", .purpose = BUILD_FOR_RESOURCE},
    {.plural = "agents", .type = "agent", .purpose = BUILD_FOR_RESOURCE},
    {.plural = "functions", .type = "function", .purpose = BUILD_FOR_RESOURCE},
    {.plural = "jobs", .type = "job", .purpose = BUILD_FOR_RESOURCE},
    {.plural = "volume_templates",
     .type = TYPE_TEMPLATE,
     .purpose = BUILD_FOR_TEMPLATE,
     .bare = true,
     .check = api_check_template,
     .describe = api_describe_template},
    {.plural = "volumes",
     .type = TYPE_VOLUME,
     .purpose = BUILD_FOR_VOLUME,
     .check = api_check_volume,
     .describe = api_describe_volume},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct kind *api_kind_at(size_t i)
{
    return i < N_KINDS ? &kinds[i] : NULL;
}

const struct kind *api_kind_of_plural(const char *plural)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].plural, plural) == 0)
            return &kinds[i];
    return NULL;
}

const struct kind *api_kind_of_type(const char *type)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

const struct kind *api_kind_of_image(const char *type)
{
    const struct kind *kind = api_kind_of_type(type);

    return kind && kind->purpose == BUILD_FOR_RESOURCE ? kind : NULL;
}

int api_refuse_of_kind(struct api_call *c, const char *code, const char *image, const char *message,
                       struct error *err)
{
    json_auto_t *body = NULL;

    if (!c->kind || strcmp(c->kind->type, "sandbox") != 0) {
        api_refuse(c->resp, 400, code, "%s", message);
        return 0;
    }
    body = json_pack("{s:s, s:s, s:o*, s:i, s:s, s:o, s:s}", "code", code, "message", message,
                     "details", image ? json_pack("{s:s}", "requested_image", image) : NULL,
                     "status_code", 400, "step", "validation", "timestamp", api_json_time(c->now),
                     "workspace", c->key.workspace);
    if (api_json_check(!body, err) < 0)
        return -1;
    return api_response_json(c->resp, 400, body, err);
}
