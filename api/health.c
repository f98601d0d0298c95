/* api/health — whether Kiln can work. */
#include "api/call.h"

int api_get_health(struct api_call *c, struct error *err)
{
    json_auto_t *answer = json_pack("{s:s, s:s}", "status", "ok", "version", KILN_VERSION);
    enum presence presence;
    struct build b;

    /* The one thing nothing works without. */
    if (state_build_get(c->config->state, "", &presence, &b, err) < 0) {
        api_log(c->config, "error: health: %s", err->msg);
        api_refuse(c->resp, 503, "unavailable", "Kiln cannot read its database.");
        return 0;
    }
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
