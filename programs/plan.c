/* programs/plan — `kiln plan`: what a build of this project would be. */
#include <string.h>

#include "programs/commands.h"
#include "programs/project.h"

static void print_lines(const char *title, const struct argv *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        printf("%-12s %s\n", i == 0 ? title : "", lines->v[i]);
}

static void print_stages(const struct dockerfile_plan *p)
{
    for (size_t i = 0; i < p->n_stages; i++) {
        const struct dockerfile_plan_stage *s = &p->stages[i];

        printf("%-12s %zu %s, FROM %s (line %d)%s\n", i == 0 ? "stages" : "", i,
               s->name ? s->name : "-", s->base, s->line,
               i + 1 == p->n_stages ? ", the image"
               : s->needed          ? ""
                                    : ", not needed");
    }
}

static void print_dockerfile(const struct dockerfile_plan *p)
{
    const char *text = buf_str(&p->text);

    if (!p->generated || p->text.len == 0) {
        printf("%-12s %s\n", "dockerfile", p->file[0] ? p->file : "none");
        return;
    }
    printf("%-12s made by Kiln; kiln generate writes it\n\n", "dockerfile");
    while (*text) {
        size_t n = strcspn(text, "\n");

        printf("    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
    printf("\n");
}

static void print_plan(const struct dockerfile_plan *p)
{
    if (*p->type)
        printf("%-12s %s\n", "type", p->type);
    print_lines("detected", &p->notes);
    print_dockerfile(p);
    print_stages(p);
    print_lines("images", &p->images);
    print_lines("sandbox-api", &p->sandbox);
    print_lines("warnings", &p->warnings);
    if (p->n_checks > 0 || p->failure.kind != ERR_NONE)
        printf("\n");
    project_print_checks(p, stdout);
}

int command_plan(const struct config *config, int argc, char **argv)
{
    return project_show(config, argc, argv, false, print_plan);
}
