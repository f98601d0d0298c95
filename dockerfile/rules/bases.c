/* dockerfile/rules/bases — FROM lines and the names of stages. */
#include <string.h>

#include "dockerfile/platform.h"
#include "dockerfile/reference.h"
#include "dockerfile/rules/rule.h"
#include "dockerfile/suggest.h"

static const struct dockerfile_instruction *from_of(const struct check *c, size_t stage)
{
    return c->d->stages[stage].instructions;
}

void rule_duplicate_stage(struct check *c)
{
    for (size_t i = 0; i < c->d->n_stages; i++) {
        const char *name = c->d->stages[i].name;

        if (name && stages_find(c->d, name, i, false) != NO_STAGE)
            CHECK_WARN_HERE(c, from_of(c, i),
                            "Duplicate stage name \"%s\", stage names should be unique", name);
    }
}

void rule_reserved_stage(struct check *c)
{
    for (size_t i = 0; i < c->d->n_stages; i++) {
        const char *name = c->d->stages[i].name;

        if (name && (strcmp(name, "scratch") == 0 || strcmp(name, "context") == 0))
            CHECK_WARN_HERE(c, from_of(c, i),
                            "Stage name should not use the same name as reserved stage \"%s\"",
                            name);
    }
}

/* ---- variables ---- */

/* The names that a FROM line may use: those that are set, and those that an ARG declares. */
struct declared {
    const char **names;
    size_t n;
};

static struct declared declared_names(const struct check *c)
{
    const struct vars *vars = &c->e->graph.scope.vars;
    struct declared d = {.n = vars->n};

    for (size_t k = 0; k < c->d->n_global; k++)
        d.n += c->d->instructions[k].words.n;
    d.names = calloc(d.n + 1, sizeof(*d.names));
    d.n = 0;
    for (size_t i = 0; d.names && i < vars->n; i++)
        d.names[d.n++] = vars->v[i].name;
    for (size_t k = 0; d.names && k < c->d->n_global; k++)
        for (size_t w = 0; w < c->d->instructions[k].words.n; w++)
            if (!strchr(c->d->instructions[k].words.v[w], '='))
                d.names[d.n++] = c->d->instructions[k].words.v[w];
    return d;
}

static bool is_declared(const struct declared *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->names[i], name) == 0)
            return true;
    return false;
}

static void warn_missing(struct check *c, size_t stage, const struct declared *d,
                         const struct names *names)
{
    char hint[SUGGEST_SIZE];

    for (size_t i = 0; i < names->missing.n; i++)
        if (!is_declared(d, names->missing.v[i]))
            CHECK_WARN_HERE(c, from_of(c, stage), "FROM argument '%s' is not declared%s",
                            names->missing.v[i],
                            suggest(names->missing.v[i], d->names, false, hint));
}

void rule_undefined_arg(struct check *c, size_t stage)
{
    const struct graph_node *node = &c->e->graph.nodes[stage];
    struct declared d;

    if (node->base_names.missing.n + node->platform_names.missing.n == 0)
        return;
    d = declared_names(c);
    if (d.names) {
        warn_missing(c, stage, &d, &node->base_names);
        warn_missing(c, stage, &d, &node->platform_names);
    }
    free(d.names);
}

/* An image that no variable has a say in, and whose name evaluation has found to be a good one. */
static bool is_known_good(const struct check *c, size_t stage)
{
    return c->out->failure.kind == ERR_NONE && c->e->graph.nodes[stage].base_stage == NO_STAGE &&
           !strchr(c->d->stages[stage].base, '$');
}

static bool all_known_good(const struct check *c)
{
    size_t i = 0;

    while (i < c->d->n_stages && is_known_good(c, i))
        i++;
    return i == c->d->n_stages;
}

void rule_default_arg(struct check *c)
{
    CLEANUP(scope_release) struct scope defaults;
    struct arena arena = {.blocks = NULL};
    struct dockerfile_reference r;
    struct error ignored;
    char *base;

    scope_init(&defaults, c->d->directives.escape, &arena);
    if (!all_known_good(c) &&
        scope_fill_global(&defaults, c->d, NULL, NULL, false, &ignored) == 0) {
        for (size_t i = 0; i < c->d->n_stages; i++) {
            if (scope_expand(&defaults, c->d->stages[i].base, &base, &ignored) < 0)
                break;
            if (reference_read(base, &r, &ignored) < 0)
                CHECK_WARN_HERE(c, from_of(c, i),
                                "Default value for ARG %s results in empty or invalid base image "
                                "name",
                                c->d->stages[i].base);
        }
    }
    arena_release(&arena);
}

/* ---- platforms ---- */

void rule_redundant_platform(struct check *c, size_t stage)
{
    const struct graph_node *node = &c->e->graph.nodes[stage];
    const struct names *names = &node->platform_names;
    const char *target = vars_get(&c->e->graph.scope.vars, "TARGETPLATFORM", 14);

    if (node->platform && names->found.n == 1 && names->missing.n == 0 && target &&
        strcmp(names->found.v[0], "TARGETPLATFORM") == 0 && strcmp(node->platform, target) == 0)
        CHECK_WARN_HERE(c, from_of(c, stage),
                        "Setting platform to predefined %s in FROM is redundant as this is the "
                        "default behavior",
                        c->d->stages[stage].platform);
}

/* A stage named after the platform is meant to be what it is. */
void rule_constant_platform(struct check *c, size_t stage)
{
    const struct graph_node *node = &c->e->graph.nodes[stage];
    const char *name = c->d->stages[stage].name ? c->d->stages[stage].name : "";
    struct platform p;
    struct error ignored;

    if (!node->platform || node->platform_names.found.n + node->platform_names.missing.n > 0 ||
        platform_parse(node->platform, &p, &ignored) < 0)
        return;
    if (!strstr(name, p.os) && !strstr(name, p.architecture))
        CHECK_WARN_HERE(c, from_of(c, stage),
                        "FROM --platform flag should not use constant value \"%s\"",
                        node->platform);
}

void rule_base_platform(struct check *c, size_t stage)
{
    const struct dockerfile_outcome *outcome = stage < c->e->n ? &c->e->outcomes[stage] : NULL;
    struct platform wanted;
    struct error ignored;

    if (!outcome || !outcome->base_os || !*outcome->base_os || !*outcome->base_architecture ||
        platform_parse(outcome->platform ? outcome->platform : "linux/" ARCHITECTURE, &wanted,
                       &ignored) < 0)
        return;
    if (strcmp(wanted.os, outcome->base_os) != 0 ||
        strcmp(wanted.architecture, outcome->base_architecture) != 0)
        CHECK_WARN_HERE(c, from_of(c, stage),
                        "Base image %s was pulled with platform \"%s/%s\", expected \"%s/%s\" for "
                        "current build",
                        outcome->base, outcome->base_os, outcome->base_architecture, wanted.os,
                        wanted.architecture);
}
