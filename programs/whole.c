/* programs/whole — what the whole program does before its commands. */
#include "base/http.h"
#include "programs/commands.h"

void whole_main(int argc, char **argv)
{
    builder_jail_main(argc, argv, inner_mains);
}

int whole_setup(struct error *err)
{
    return http_setup(err);
}
