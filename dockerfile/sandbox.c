/* dockerfile/sandbox — follows the file /sandbox-api from the sandbox image through the stages.
 *
 * Every stage has a list of places where the binary is: those of the stage it is FROM, and those
 * that its COPY --from lines make of the places in other stages.  A place that depends on a
 * variable cannot be told, and counts as none: a second copy of the binary does no harm, none at
 * all leaves the sandbox dead. */
#include "dockerfile/sandbox.h"

#include <fnmatch.h>
#include <string.h>

#include "base/text.h"

#define BINARY     "/sandbox-api"
#define REPOSITORY "ghcr.io/blaxel-ai/sandbox"

#define PLACES_MAX 8 /* of one stage; nobody needs the ninth copy */
#define STARS_MAX  4 /* in a source pattern, as matching may try all their combinations */

struct place {
    const char *path;
    const struct dockerfile_instruction *source;
};

struct places {
    struct place v[PLACES_MAX];
    size_t n;
};

struct finder {
    const struct dockerfile *d;
    struct graph *g;
    struct dockerfile_reference image, repository;
    struct places *places; /* of each stage */
    const char **workdirs; /* of each stage, at its end; NULL: depends on a variable */
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
    if (path && places->n < PLACES_MAX)
        places->v[places->n++] = (struct place){path, source};
}

/* ---- paths ---- */

/* dir/path, or path alone when it is absolute, without ".", ".." and double slashes. */
static const char *clean_path(struct arena *a, const char *dir, const char *path)
{
    CLEANUP(buf_release) struct buf out = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf in = BUF_INIT(1 << 20);

    if (*path != '/')
        buf_addf(&in, "%s/", dir);
    buf_adds(&in, path);
    for (const char *p = buf_str(&in); *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && memcmp(p, "..", 2) == 0) {
            while (out.len > 0 && out.data[--out.len] != '/')
                ;
        } else if (n > 0 && !(n == 1 && *p == '.')) {
            buf_addc(&out, '/');
            buf_add(&out, p, n);
        }
        p += n + (p[n] == '/');
    }
    return out.len ? arena_string(a, out.data, out.len) : "/";
}

static size_t count_stars(const char *pattern)
{
    size_t n = 0;

    for (; *pattern; pattern++)
        n += *pattern == '*';
    return n;
}

/* Where the copied file is under the destination: "" when the source names the file itself,
 * "/rest" when it names a directory above it; NULL when it does not bring it. */
static const char *below_source(const char *source, const char *path)
{
    size_t n = strlen(source);

    if (strcmp(source, "/") == 0)
        return path;
    if (strncmp(path, source, n) == 0 && (path[n] == '/' || !path[n]))
        return path + n;
    if (strpbrk(source, "*?[") && count_stars(source) <= STARS_MAX &&
        fnmatch(source, path, FNM_PATHNAME) == 0)
        return "";
    return NULL;
}

/* A file copied to one of these by name lands in it: they are directories everywhere. */
static bool is_known_directory(const char *path)
{
    static const char *const directories[] = {"/",    "/bin",  "/sbin",          "/usr/bin",
                                              "/opt", "/root", "/usr/local/bin", "/usr/sbin",
                                              "/tmp", "/home", "/usr/local/sbin"};

    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        if (strcmp(path, directories[i]) == 0)
            return true;
    return false;
}

/* ---- one COPY ---- */

struct copy {
    const struct dockerfile_instruction *instruction;
    const char *to;  /* cleaned */
    bool into;       /* to is a directory */
    bool keeps_path; /* --parents */
};

static const char *landing(struct arena *a, const struct copy *c, const char *path,
                           const char *below)
{
    if (c->keeps_path)
        return clean_path(a, c->to, path + 1);
    if (*below)
        return clean_path(a, c->to, below + 1);
    return c->into ? clean_path(a, c->to, strrchr(path, '/') + 1) : c->to;
}

static void copy_places(struct finder *f, size_t stage, const struct copy *c,
                        const struct places *from)
{
    const struct argv *words = &c->instruction->words;

    for (size_t w = 0; w + 1 < words->n; w++) {
        const char *source;

        if (strchr(words->v[w], '$'))
            continue;
        source = clean_path(&f->g->arena, "/", words->v[w]);
        for (size_t k = 0; source && k < from->n; k++) {
            const char *below = below_source(source, from->v[k].path);

            if (below)
                add_place(&f->places[stage], landing(&f->g->arena, c, from->v[k].path, below),
                          c->instruction);
        }
    }
}

static void follow_copy(struct finder *f, size_t stage, const struct graph_use *use)
{
    const struct argv *words = &use->instruction->words;
    const char *to = words->v[words->n - 1];
    const char *workdir = f->workdirs[stage];
    struct places image = {.v = {{BINARY, use->instruction}}, .n = 1};
    struct copy c = {.instruction = use->instruction};

    if (strchr(to, '$') || (*to != '/' && !workdir))
        return;
    c.to = clean_path(&f->g->arena, workdir ? workdir : "/", to);
    c.keeps_path = argv_contains(&use->instruction->flags, "--parents") ||
                   argv_contains(&use->instruction->flags, "--parents=true");
    c.into = words->n > 2 || text_ends(to, "/") || strcmp(to, ".") == 0 || is_known_directory(c.to);
    if (use->stage != NO_STAGE && use->stage < stage)
        copy_places(f, stage, &c, &f->places[use->stage]);
    else if (use->stage == NO_STAGE && is_sandbox_image(f, use->from))
        copy_places(f, stage, &c, &image);
}

/* ---- one stage ---- */

static void follow_workdir(struct finder *f, size_t stage, const struct dockerfile_instruction *i)
{
    const char *path = i->words.v[0];
    const char **workdir = &f->workdirs[stage];

    if (strchr(path, '$') || (*path != '/' && !*workdir))
        *workdir = NULL;
    else
        *workdir = clean_path(&f->g->arena, *workdir ? *workdir : "/", path);
}

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
    }
    for (size_t k = 1; k < s->n_instructions; k++) {
        const struct dockerfile_instruction *i = &s->instructions[k];

        if (strcmp(i->keyword, "WORKDIR") == 0)
            follow_workdir(f, stage, i);
        for (; use < node->n_uses && node->uses[use].instruction == i; use++)
            if (strcmp(i->keyword, "COPY") == 0)
                follow_copy(f, stage, &node->uses[use]);
    }
}

/* ---- ENTRYPOINT and CMD ---- */

/* The last one in the final stage or the stages it is FROM, nearest first; *ret_stage is where. */
static const struct dockerfile_instruction *last_of_chain(const struct finder *f,
                                                          const char *keyword, size_t *ret_stage)
{
    for (size_t at = f->g->n - 1; at != NO_STAGE; at = f->g->nodes[at].base_stage) {
        const struct dockerfile_stage *s = &f->d->stages[at];

        for (size_t k = s->n_instructions; k-- > 1;) {
            if (strcmp(s->instructions[k].keyword, keyword) != 0)
                continue;
            *ret_stage = at;
            return s->instructions[k].words.n ? &s->instructions[k] : NULL;
        }
    }
    return NULL;
}

static bool starts_from_sandbox(const struct finder *f)
{
    size_t at = f->g->n - 1;

    while (f->g->nodes[at].base_stage != NO_STAGE)
        at = f->g->nodes[at].base_stage;
    return is_sandbox_image(f, f->g->nodes[at].base);
}

int sandbox_find(const struct dockerfile *d, struct graph *g, const char *image,
                 struct sandbox_findings *ret, struct error *err)
{
    struct finder f = {.d = d, .g = g};
    size_t last = g->n - 1, stage = last;
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
    places = &f.places[last];
    *ret = (struct sandbox_findings){.is_sandbox = starts_from_sandbox(&f)};
    if (places->n) {
        ret->path = places->v[places->n - 1].path;
        ret->source = places->v[places->n - 1].source;
    }
    ret->entrypoint = last_of_chain(&f, "ENTRYPOINT", &stage);
    ret->cmd = last_of_chain(&f, "CMD", &stage);
    ret->cmd_inherited = ret->cmd && stage != last;
    return 0;
}
