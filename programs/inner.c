/* programs/inner — the list of what runs inside jails. */
#include "builder/builder.h"
#include "programs/commands.h"

const struct builder_inner inner_mains[] = {
    {"extract", inner_extract},
    {"git", inner_git},
    {BUILDER_EXECUTE, inner_execute},
    {NULL, NULL},
};
