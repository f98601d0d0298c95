/* dockerfile/sandbox — follows the file /sandbox-api from the sandbox image through the stages.
 *
 * Every stage has a list of places where the binary is: those of the stage it is FROM, and those
 * that its COPY --from lines, and cp in a RUN with a mount, make of the places in other stages.  A
 * place that depends on a variable cannot be told, and counts as none: a second copy of the binary
 * does no harm, none at all leaves the sandbox dead. */
#include "dockerfile/sandbox.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/flags.h"
#include "dockerfile/image_path.h"
#include "dockerfile/mount.h"
#include "dockerfile/sandbox_run.h"

#define BINARY     "/sandbox-api"
#define REPOSITORY "ghcr.io/blaxel-ai/sandbox"

struct place {
    const char *path;
    const struct dockerfile_instruction *source;
};

struct places {
    struct place v[SANDBOX_PATHS_MAX];
    size_t n;
};

struct finder {
    const struct dockerfile *d;
    struct graph *g;
    struct dockerfile_reference image, repository;
    struct places *places; /* of each stage */
    const char **workdirs; /* of each stage, at its end; NULL: depends on a variable */
    const char *base;      /* the final stage's base image, and where that has the binary */
    const char *base_path;
};

static bool is_sandbox_image(const struct finder *f, const char *text)
{
    struct dockerfile_reference r;
    struct error ignored;

    if (dockerfile_parse_reference(text, &r, &ignored) < 0)
        return false;
    return (strcmp(r.host, f->image.host) == 0 && strcmp(r.path, f->image.path) == 0) ||
           (strcmp(r.host, f->repository.host) == 0 && strcmp(r.path, f->repository.path) == 0);
}

static void add_place(struct places *places, const char *path,
                      const struct dockerfile_instruction *source)
{
    if (path && places->n < SANDBOX_PATHS_MAX)
        places->v[places->n++] = (struct place){path, source};
}

/* ---- one COPY ---- */

static void copy_places(struct finder *f, size_t stage, const struct image_path_copy *c,
                        const struct dockerfile_instruction *i, const struct places *from)
{
    for (size_t w = 0; w + 1 < i->words.n; w++) {
        const char *source;

        if (strchr(i->words.v[w], '$'))
            continue;
        source = image_path_clean(&f->g->arena, "/", i->words.v[w]);
        for (size_t k = 0; source && k < from->n; k++)
            add_place(&f->places[stage],
                      image_path_landing(&f->g->arena, c, source, from->v[k].path), i);
    }
}

/* The places in a stage before this one, or in a sandbox image. */
static struct places places_from(const struct finder *f, size_t stage, size_t from_stage,
                                 const char *from, const struct dockerfile_instruction *i)
{
    if (from_stage != NO_STAGE && from_stage < stage)
        return f->places[from_stage];
    if (from_stage == NO_STAGE && is_sandbox_image(f, from))
        return (struct places){.v = {{BINARY, i}}, .n = 1};
    return (struct places){.n = 0};
}

static void follow_copy(struct finder *f, size_t stage, const struct graph_use *use)
{
    const struct dockerfile_instruction *i = use->instruction;
    const char *to = i->words.v[i->words.n - 1];
    const char *workdir = f->workdirs[stage];
    const struct places from = places_from(f, stage, use->stage, use->from, i);
    struct image_path_copy c = {.into =
                                    i->words.n > 2 || text_ends(to, "/") || strcmp(to, ".") == 0};

    if (strchr(to, '$') || (*to != '/' && !workdir))
        return;
    c.to = image_path_clean(&f->g->arena, workdir ? workdir : "/", to);
    if (!c.to)
        return;
    c.keeps_path =
        argv_contains(&i->flags, "--parents") || argv_contains(&i->flags, "--parents=true");
    c.into |= image_path_is_directory(c.to) || (workdir && strcmp(c.to, workdir) == 0);
    copy_places(f, stage, &c, i, &from);
}

/* ---- one RUN with a mount ---- */

/* What a mount shows of the places, by the paths at which RUN sees them. */
static void mount_places(struct finder *f, size_t stage, const struct dockerfile_instruction *i,
                         const struct dockerfile_mount *mount, struct places *seen)
{
    struct arena *a = &f->g->arena;
    struct image_path_copy c = {.to = NULL};
    const char *source;
    struct places places;

    if (!*mount->from || !*mount->target || strchr(mount->target, '$') ||
        strchr(mount->source, '$'))
        return;
    places =
        places_from(f, stage, stages_find(f->d, mount->from, f->d->n_stages, true), mount->from, i);
    c.to = image_path_clean(a, f->workdirs[stage], mount->target);
    source = image_path_clean(a, "/", mount->source);
    for (size_t k = 0; c.to && source && k < places.n; k++)
        add_place(seen, image_path_landing(a, &c, source, places.v[k].path), i);
}

/* Variables stay as they are: what depends on one is left out. */
static int keep_variables(void *self, const char *value, char **ret, struct error *err)
{
    struct arena *a = self;

    *ret = arena_string(a, value, strlen(value));
    return arena_check(a, err);
}

static void follow_run(struct finder *f, size_t stage, const struct dockerfile_instruction *i)
{
    const struct mount_expander expander = {.expand = keep_variables, .self = &f->g->arena};
    struct places seen = {.n = 0};
    struct dockerfile_mount mount;
    struct error ignored;
    const char *text;

    if (!f->workdirs[stage])
        return;
    for (size_t at = 0; (text = flags_next(&i->flags, "mount", &at));)
        if (mount_parse(text, &expander, &mount, &ignored) == 0)
            mount_places(f, stage, i, &mount, &seen);
    for (size_t k = 0; k < seen.n; k++)
        add_place(&f->places[stage],
                  sandbox_run_copy(&f->g->arena, i, f->workdirs[stage], seen.v[k].path), i);
}

/* ---- one stage ---- */

static void follow_stage(struct finder *f, size_t stage)
{
    const struct dockerfile_stage *s = &f->d->stages[stage];
    const struct graph_node *node = &f->g->nodes[stage];
    size_t use = 0;

    f->workdirs[stage] = "/";
    if (node->base_stage != NO_STAGE) {
        f->places[stage] = f->places[node->base_stage];
        f->workdirs[stage] = f->workdirs[node->base_stage];
    } else if (is_sandbox_image(f, node->base)) {
        add_place(&f->places[stage], BINARY, s->instructions);
    } else if (f->base_path && strcmp(node->base, f->base) == 0) {
        add_place(&f->places[stage], f->base_path, s->instructions);
    }
    for (size_t k = 1; k < s->n_instructions; k++) {
        const struct dockerfile_instruction *i = &s->instructions[k];

        if (instruction_is(i, "WORKDIR"))
            f->workdirs[stage] = image_path_workdir(&f->g->arena, f->workdirs[stage], i);
        else if (instruction_is(i, "RUN"))
            follow_run(f, stage, i);
        for (; use < node->n_uses && node->uses[use].instruction == i; use++)
            if (instruction_is(i, "COPY"))
                follow_copy(f, stage, &node->uses[use]);
    }
}

/* ---- all of them ---- */

static const char *final_base(const struct graph *g)
{
    size_t at = g->n - 1;

    while (g->nodes[at].base_stage != NO_STAGE)
        at = g->nodes[at].base_stage;
    return g->nodes[at].base;
}

int sandbox_find(const struct dockerfile *d, struct graph *g, const char *image,
                 const char *base_path, struct sandbox_place *ret, struct error *err)
{
    struct finder f = {.d = d, .g = g, .base = final_base(g), .base_path = base_path};
    const struct places *places;

    if (dockerfile_parse_reference(image, &f.image, err) < 0 ||
        dockerfile_parse_reference(REPOSITORY, &f.repository, err) < 0)
        return error_wrap(err, "sandbox image %.200s", image);
    f.places = arena_alloc(&g->arena, g->n * sizeof(*f.places));
    f.workdirs = arena_alloc(&g->arena, g->n * sizeof(*f.workdirs));
    if (!f.places || !f.workdirs)
        return error_set(err, ERR_SYSTEM, "look for sandbox-api: out of memory");
    for (size_t i = 0; i < g->n; i++)
        follow_stage(&f, i);
    if (arena_check(&g->arena, err) < 0)
        return -1;
    places = &f.places[g->n - 1];
    *ret = (struct sandbox_place){.base = f.base, .is_sandbox = is_sandbox_image(&f, f.base)};
    for (size_t i = 0; i < places->n; i++)
        ret->paths[ret->n_paths++] = places->v[i].path;
    if (places->n) {
        ret->path = places->v[places->n - 1].path;
        ret->source = places->v[places->n - 1].source;
    }
    return 0;
}
