/* The first line is whom to look up, up to a line "--" is /etc/passwd, the rest /etc/group. */
#include <string.h>

#include "builder/accounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct account *a)
{
    if (a->n_groups > ACCOUNTS_GROUPS_MAX || !memchr(a->home, '\0', sizeof(a->home)) || !a->home[0])
        abort();
    for (size_t i = 1; i < a->n_groups; i++)
        if (a->groups[i - 1] >= a->groups[i])
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    char *rest = text;
    const char *who = strsep(&rest, "\n");
    char *group = rest ? strstr(rest, "--\n") : NULL;
    struct account a = {.n_groups = 0};
    uint32_t uid = 77;
    uint32_t gid = 77;
    bool unknown;
    struct error err = ERROR_INIT;

    if (!group)
        return 0;
    *group = '\0';
    if (accounts_read(rest, group + 3, who, &a, &err) == 0)
        check(&a);
    else if (err.kind != ERR_INPUT && err.kind != ERR_LIMIT)
        abort();
    err = (struct error)ERROR_INIT;
    if (accounts_read_owner(rest, group + 3, who, &uid, &gid, &unknown, &err) < 0 &&
        (err.kind != ERR_INPUT || uid != 77 || gid != 77))
        abort();
    return 0;
}
