/* programs/check — `kiln check`: what the build would say of a Dockerfile, without a build. */
#include <string.h>

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

int command_check(const struct config *config, int argc, char **argv)
{
    CLEANUP(project_words_release) struct project_words words;
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan plan;
    CLEANUP(buf_release) struct buf json = BUF_INIT(16 << 20);
    struct error err = ERROR_INIT;

    dockerfile_plan_init(&plan);
    if (project_read_words(argc, argv, PROJECT_JSON, &words) < 0)
        return 2;
    words.all_stages = true;
    if (project_plan(config, &words, &plan, &err) < 0 ||
        (words.json && dockerfile_plan_write(&plan, &json, &err) < 0)) {
        fprintf(stderr, "kiln check: %s\n", err.msg);
        return 1;
    }
    if (words.json) {
        puts(buf_str(&json));
    } else {
        print_warnings(&plan);
        project_print_checks(&plan, stdout);
        print_summary(&plan);
    }
    return plan.failure.kind == ERR_NONE ? 0 : 1;
}
