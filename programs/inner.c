/* programs/inner — the list of what runs inside jails. */
#include "builder/builder.h"
#include "programs/commands.h"

const struct builder_inner inner_mains[] = {
    {"extract", inner_extract},
    {"git", inner_git},
    {"template-pack", inner_template_pack},
    {"template-volume", inner_volume},
    {"template-collect", inner_template_collect},
    {"template-overlaps", inner_template_overlaps},
    {BUILDER_EXECUTE, inner_execute},
    {BUILDER_FETCH, inner_fetch},
    {NULL, NULL},
};
