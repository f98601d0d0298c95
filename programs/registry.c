/* programs/registry — `kiln registry`: what a registry that the operator runs has to know of Kiln;
 * and the garbage of the one that Kiln runs.
 */
#include <string.h>

#include "base/text.h"
#include "programs/commands.h"
#include "programs/installation.h"

static int print_certificate(const struct installation *i, struct error *err)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(16384);

    if (registry_keys_tend(i->registry_keys, err) < 0 ||
        registry_keys_certificates(i->registry_keys, REGISTRY_ISSUER, &pem, err) < 0)
        return -1;
    fputs(buf_str(&pem), stdout);
    return 0;
}

static void print_configuration(const struct installation *i)
{
    const struct config *c = i->config;
    const char *scheme = c->public_url[0] ? "" : c->tls_key[0] ? "https://" : "http://";

    printf("# Part of docker-registry's configuration.  The certificate is what\n"
           "# `kiln registry certificate` prints.\n"
           "auth:\n"
           "  token:\n"
           "    realm: %s%s" REGISTRY_REALM "\n"
           "    service: %s\n"
           "    issuer: %s\n"
           "    rootcertbundle: /etc/docker-registry/kiln.pem\n",
           scheme, c->public_url[0] ? c->public_url : c->listen, i->signer.service,
           i->signer.issuer);
}

static int collect(const struct config *c, struct error *err)
{
    size_t removed;
    bool busy;

    if (c->registry_url[0])
        return error_set(err, ERR_INPUT,
                         "%s is a registry of your own: collect its garbage as it wants it",
                         c->registry_url);
    if (installation_collect_registry(c, &busy, &removed, err) < 0)
        return -1;
    if (busy)
        return error_set(err, ERR_INPUT, "the registry runs: stop kiln serve first");
    printf("%zu blobs removed\n", removed);
    return 0;
}

/* What a registry of the operator's is told. */
static int print(const struct config *c, bool certificate, struct error *err)
{
    CLEANUP(installation_release) struct installation i = {.config = c};

    if (installation_open_registry(&i, err) < 0)
        return -1;
    if (!i.registry_keys)
        return error_set(err, ERR_INPUT, "registry_auth is none: there is nothing to trust");
    if (certificate)
        return print_certificate(&i, err);
    print_configuration(&i);
    return 0;
}

int command_registry(const struct config *c, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    bool known =
        argc <= 2 && text_is_among(word, (const char *const[]){"", "certificate", "collect", NULL});
    struct error err = ERROR_INIT;
    int result;

    if (!known) {
        fprintf(stderr, "kiln registry: unexpected word \"%s\"; see kiln registry --help\n",
                argv[argc - 1]);
        return 2;
    }
    result = strcmp(word, "collect") == 0 ? collect(c, &err) : print(c, *word, &err);
    if (result < 0)
        fprintf(stderr, "kiln registry: %s\n", err.msg);
    return result < 0 ? 1 : 0;
}
