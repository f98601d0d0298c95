/* programs/build_registry — see the header.
 *
 * A build that stands on an image of this registry pulls it as every client does: the registry asks
 * for a token, and names the API as who gives it. */
#include "programs/build_registry.h"

static int start_api(const struct installation *i, struct build_registry *r, struct error *err)
{
    r->api_config = (struct api_config){
        .state = i->state,
        .uploads = i->uploads,
        .registry = &i->registry,
        .registry_name = i->registry_name,
        .clock = &clock_system,
        .places = &i->places,
    };
    return api_server_start(&r->api_config, "127.0.0.1:0", &r->api, err);
}

int build_registry_start(const struct installation *i, struct build_registry *ret,
                         struct error *err)
{
    struct error unused;
    char url[64];

    *ret = (struct build_registry){.api = NULL};
    if (registry_ping(&i->registry, &unused) == 0)
        return 0;
    if (i->config->registry_url[0])
        return registry_ping(&i->registry, err);
    if (i->registry.signer && start_api(i, ret, err) < 0)
        return -1;
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d",
                   ret->api ? api_server_port(ret->api) : 0);
    return installation_start_registry(i, url, &ret->server, err);
}

void build_registry_release(struct build_registry *r)
{
    registry_server_free(r->server);
    api_server_stop(r->api);
}
