/* Any text as a token's scopes, and as the password of a build. */
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "registry/names.h"
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SCOPES_MAX 8

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct es256_key *key(void)
{
    static struct es256_key *k;
    char dir[] = "/tmp/kiln-fuzz-XXXXXX";
    char path[64];
    struct error err = ERROR_INIT;

    if (k)
        return k;
    must(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof(path), "%s/key", dir);
    must(es256_open(path, &k, &err) == 0 && fs_remove_tree(AT_FDCWD, dir, &err) == 0);
    return k;
}

/* No text is a password by chance; one that was given is, as it stands and no longer. */
static void try_ticket(const char *text, const struct registry_scope *scope)
{
    const struct registry_signer signer = {.key = key()};
    char ticket[REGISTRY_TICKET], workspace[REGISTRY_WORKSPACE], repository[REGISTRY_REPOSITORY];

    must(!registry_ticket_check(&signer, text, 0, workspace, repository));
    if (!scope || strlen(scope->repository) > 200)
        return;
    registry_ticket(key(), "acme", scope->repository, 10 * NS_PER_SEC, ticket);
    must(registry_ticket_check(&signer, ticket, 10 * NS_PER_SEC, workspace, repository));
    must(strcmp(workspace, "acme") == 0 && strcmp(repository, scope->repository) == 0);
    must(!registry_ticket_check(&signer, ticket, 11 * NS_PER_SEC, workspace, repository));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    struct registry_scope scopes[SCOPES_MAX];
    size_t n;

    must(text != NULL);
    n = registry_parse_scope(text, scopes, SCOPES_MAX);
    must(n <= SCOPES_MAX);
    for (size_t i = 0; i < n; i++)
        must(scopes[i].actions && registry_repository_is_valid(scopes[i].repository));
    try_ticket(text, n ? &scopes[0] : NULL);
    return 0;
}
