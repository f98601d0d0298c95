/* api/kind — see the header. */
#include "api/kind.h"

#include <stddef.h>
#include <string.h>

static const struct kind kinds[] = {
    {.plural = "sandboxes", .type = "sandbox"},
    {.plural = "agents", .type = "agent"},
    {.plural = "functions", .type = "function"},
    {.plural = "jobs", .type = "job"},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const struct kind *api_kind_of_plural(const char *plural)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].plural, plural) == 0)
            return &kinds[i];
    return NULL;
}

const struct kind *api_kind_of_type(const char *type)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}
