/* api/handle — from a whole request to its answer: route, version, key, handler. */
#include <stdarg.h>
#include <string.h>

#include "api/route.h"

void api_log(const struct api_config *config, const char *fmt, ...)
{
    char line[1600];
    va_list ap;

    if (!config->log)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    config->log(config->log_self, &(const struct note){.line = line});
}

static int admit(struct api_call *c, bool *ret_admitted, struct error *err)
{
    if (c->route->open) {
        *ret_admitted = c->route->streams || api_rate_address(c);
        return 0;
    }
    if (api_authorize(c, ret_admitted, err) < 0)
        return -1;
    *ret_admitted = *ret_admitted && api_negotiate(c);
    return 0;
}

void api_handle(const struct api_config *config, const struct api_request *req,
                struct api_response *resp)
{
    struct api_call c = {.config = config, .req = req, .resp = resp};
    struct error err = ERROR_INIT;
    bool admitted = false;
    int rc;

    c.now = clock_now(config->clock);
    if (!api_route_find(&c)) {
        (void)api_rate_address(&c);
        return;
    }
    rc = admit(&c, &admitted, &err);
    if (rc == 0 && admitted)
        rc = c.route->handler(&c, &err);
    if (rc < 0) {
        api_refuse_error(resp, &err);
        if (resp->status >= 500)
            api_log(config, "error: %s %s: %s", c.route->method, c.route->pattern, err.msg);
    }
    api_audit(&c);
}
