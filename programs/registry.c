/* programs/registry — `kiln registry`: what a registry that the operator runs has to know of Kiln.
 */
#include <string.h>

#include "programs/commands.h"
#include "programs/installation.h"

static int print_certificate(const struct installation *i, struct error *err)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(16384);

    if (es256_certificate(i->registry_key, REGISTRY_ISSUER, &pem, err) < 0)
        return -1;
    fputs(buf_str(&pem), stdout);
    return 0;
}

static void print_configuration(const struct installation *i)
{
    const struct config *c = i->config;

    printf("# Part of docker-registry's configuration.  The certificate is what\n"
           "# `kiln registry certificate` prints.\n"
           "auth:\n"
           "  token:\n"
           "    realm: %s%s" REGISTRY_REALM "\n"
           "    service: %s\n"
           "    issuer: %s\n"
           "    rootcertbundle: /etc/docker-registry/kiln.pem\n",
           c->public_url[0] ? "" : "http://", c->public_url[0] ? c->public_url : c->listen,
           i->signer.service, i->signer.issuer);
}

int command_registry(const struct config *c, int argc, char **argv)
{
    CLEANUP(installation_release) struct installation i = {.config = c};
    bool certificate = argc == 2 && strcmp(argv[1], "certificate") == 0;
    struct error err = ERROR_INIT;
    int result;

    if (argc > 1 && !certificate) {
        fprintf(stderr, "kiln registry: unexpected word \"%s\"; see kiln registry --help\n",
                argv[1]);
        return 2;
    }
    result = installation_open_registry(&i, &err);
    if (result == 0 && !i.registry_key)
        result = error_set(&err, ERR_INPUT, "registry_auth is none: there is nothing to trust");
    if (result == 0 && certificate)
        result = print_certificate(&i, &err);
    else if (result == 0)
        print_configuration(&i);
    if (result < 0)
        fprintf(stderr, "kiln registry: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
