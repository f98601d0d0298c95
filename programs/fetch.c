/* programs/fetch — a pull of buildah's, by the registry client that does not give up. */
#include <string.h>

#include "builder/builder.h"
#include "programs/commands.h"
#include "registry/registry.h"

#define TRIES                                                                                      \
    4 /* without a byte of progress: some seconds, then the build is tried again as a whole */

/* What the relay borrows until the process ends. */
struct source {
    struct registry registry;
    struct registry_relay_config config;
    struct registry_relay *relay;
};

static int log_in(const struct builder_relay_order *o, struct registry *r, struct error *err)
{
    CLEANUP(buf_release) struct buf credentials = BUF_INIT(64 << 10);
    CLEANUP(buf_release) struct buf name = BUF_INIT(2048);

    buf_addf(&name, "%s/%s", strstr(o->url, "://") + 3, o->repository);
    if (o->docker_config)
        registry_login_find(o->docker_config, strlen(o->docker_config), buf_str(&name),
                            &credentials);
    if (buf_check(&credentials, "credentials", err) < 0)
        return -1;
    return registry_login_new(credentials.len ? buf_str(&credentials) : NULL, &r->login, err);
}

static int start(const struct builder_relay_order *o, void **ret, char ret_location[64],
                 struct error *err)
{
    struct source *s = calloc(1, sizeof(*s)); /* the process ends with it */

    if (!s)
        return error_set(err, ERR_SYSTEM, "start a relay: out of memory");
    *ret = s;
    s->registry =
        (struct registry){.url = o->url, .http = &http_curl, .ca_file = o->ca_file, .tries = TRIES};
    s->config = (struct registry_relay_config){.registry = &s->registry,
                                               .repository = o->repository,
                                               .size_max = o->size_max,
                                               .note = o->note};
    if (log_in(o, &s->registry, err) < 0)
        return -1;
    return registry_relay_start(&s->config, &s->relay, ret_location, err);
}

static void fault(void *relay, struct error *ret)
{
    const struct source *s = relay;

    registry_relay_fault(s->relay, ret);
}

int inner_fetch(int argc, char **argv)
{
    static const struct builder_relay relay = {start, fault};

    return builder_fetch_main(&relay, argc, argv);
}
