/* api/quota — what a workspace may store: asked before a build is begun that would add to it. */
#include <string.h>

#include "api/call.h"
#include "base/text.h"

static void describe(const char *what, uint64_t used, int64_t max, const char *advice,
                     char message[512])
{
    char has[TEXT_SIZE], may[TEXT_SIZE];

    text_size(used, has);
    text_exact_size((uint64_t)max, may);
    (void)snprintf(message, 512, "This workspace's %s take %s, and it may have %s. %s", what, has,
                   may, advice);
}

static int check_images(struct api_call *c, int64_t max, char message[512], struct error *err)
{
    uint64_t used;

    if (state_images_size(c->config->state, c->key.workspace, &used, err) < 0)
        return -1;
    if (used >= (uint64_t)max)
        describe("images", used, max,
                 "Delete some: DELETE /v0/images deletes those that no resource uses.", message);
    return 0;
}

static int check_templates(struct api_call *c, int64_t max, char message[512], struct error *err)
{
    uint64_t used;

    if (places_templates_size(c->config->places, c->key.workspace, &used, err) < 0)
        return -1;
    if (used >= (uint64_t)max)
        describe("volume templates", used, max, "Delete some, or versions of them.", message);
    return 0;
}

int api_check_quota(struct api_call *c, const char *type, bool *ret_allowed, struct error *err)
{
    struct workspace_limits limits;
    char message[512] = "";
    int result = 0;

    if (state_limits_get(c->config->state, c->key.workspace, &limits, err) < 0)
        return -1;
    if (api_kind_of_image(type) && limits.images)
        result = check_images(c, limits.images, message, err);
    else if (strcmp(type, TYPE_TEMPLATE) == 0 && limits.templates)
        result = check_templates(c, limits.templates, message, err);
    if (result < 0)
        return -1;
    *ret_allowed = !message[0];
    return message[0] ? api_refuse_of_kind(c, "QUOTA_EXCEEDED", NULL, message, err) : 0;
}
