/* sign_token KEY-FILE SERVICE ISSUER SCOPE: prints the token that Kiln itself would push, or
 * delete, with, for all that the scope asks for.  For tests by others' clients. */
#include <stdio.h>

#include "base/clock.h"
#include "registry/registry.h"

#define SCOPES_MAX 20

static int print_token(char **argv, struct error *err)
{
    struct registry_scope scopes[SCOPES_MAX];
    struct registry_access access[SCOPES_MAX];
    CLEANUP(buf_release) struct buf token = BUF_INIT(65536);
    struct es256_key *key = NULL;
    struct registry_signer signer = {.service = argv[2], .issuer = argv[3]};
    struct registry_claims claims = {.subject = "kiln",
                                     .access = access,
                                     .n_access = registry_parse_scope(argv[4], scopes, SCOPES_MAX),
                                     .now = clock_now(&clock_system),
                                     .seconds = 60};
    int result;

    for (size_t i = 0; i < claims.n_access; i++)
        access[i] = (struct registry_access){scopes[i].repository, scopes[i].actions};
    if (es256_open(argv[1], &key, err) < 0)
        return -1;
    signer.key = key;
    result = registry_token(&signer, &claims, &token, err);
    es256_free(key);
    if (result == 0)
        puts(buf_str(&token));
    return result;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;

    if (argc != 5) {
        fprintf(stderr, "usage: sign_token KEY-FILE SERVICE ISSUER SCOPE\n");
        return 2;
    }
    if (print_token(argv, &err) < 0) {
        fprintf(stderr, "sign_token: %s\n", err.msg);
        return 1;
    }
    return 0;
}
