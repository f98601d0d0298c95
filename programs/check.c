/* programs/check — `kiln check`: what the build would say of a Dockerfile, without a build. */
#include "programs/commands.h"
#include "programs/project.h"

static void print_warnings(const struct dockerfile_plan *p)
{
    for (size_t i = 0; i < p->warnings.n; i++)
        printf("WARNING: %s\n\n", p->warnings.v[i]);
}

static void print_summary(const struct dockerfile_plan *p)
{
    size_t n = p->n_checks + p->warnings.n;

    if (n == 0 && p->failure.kind == ERR_NONE) {
        printf("Check complete, no warnings found.\n");
        return;
    }
    printf("Check complete, %zu warning%s", n, n == 1 ? "" : "s");
    printf("%s\n", p->failure.kind == ERR_NONE ? " found." : " and 1 error found.");
}

static void print_all(const struct dockerfile_plan *p)
{
    print_warnings(p);
    project_print_checks(p, stdout);
    print_summary(p);
}

int command_check(const struct config *config, int argc, char **argv)
{
    return project_show(config, argc, argv, true, print_all);
}
