/* api/health — whether Kiln lives, and whether it can work. */
#include "api/call.h"

/* The one thing nothing works without.  False: resp holds the refusal. */
static bool reads_database(struct api_call *c)
{
    enum presence presence;
    struct error err = ERROR_INIT;
    struct build b;

    if (state_build_get(c->config->state, "", &presence, &b, &err) == 0)
        return true;
    api_log(c->config, "error: health: %s", err.msg);
    api_refuse(c->resp, 503, "unavailable", "Kiln cannot read its database.");
    return false;
}

static int answer_ok(struct api_call *c, struct error *err)
{
    json_auto_t *answer = json_pack("{s:s, s:s}", "status", "ok", "version", KILN_VERSION);

    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}

int api_get_health(struct api_call *c, struct error *err)
{
    return reads_database(c) ? answer_ok(c, err) : 0;
}

int api_get_ready(struct api_call *c, struct error *err)
{
    struct error why = ERROR_INIT;

    if (!reads_database(c))
        return 0;
    if (registry_ping(c->config->registry, &why) < 0) {
        api_log(c->config, "error: readiness: %s", why.msg);
        api_refuse(c->resp, 503, "unavailable", "The registry does not answer.");
        return 0;
    }
    return answer_ok(c, err);
}
