/* dockerfile/sandbox_script — COPY read backwards: from a path in the image to what was copied
 * there. */
#include "dockerfile/sandbox_script.h"

#include <fnmatch.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/flags.h"
#include "dockerfile/image_path.h"

#define TRIES_MAX 4096

struct sandbox_copy {
    const struct dockerfile_instruction *instruction;
    const char *to; /* cleaned */
    bool into;
};

struct hit {
    const char *name;
    const char *heredoc; /* its text; NULL: name is a file of the context */
};

struct seeker {
    struct sandbox_scripts *s;
    struct arena *a;
    const char *path; /* in the image */
    struct hit hit;
};

/* ---- one COPY ---- */

static int try_file(struct seeker *k, const char *file, struct error *err)
{
    enum source_kind kind;

    file += strspn(file, "/");
    if (!*file || !k->s->context)
        return 0;
    if (k->s->context->kind(k->s->context->self, file, &kind, err) < 0)
        return -1;
    if (kind == SOURCE_FILE)
        k->hit = (struct hit){.name = file};
    return 0;
}

/* What of the source lies at "rest" below the destination: the file of that name if the source is
 * it, or the source's own file if the source is a directory. */
static int try_below(struct seeker *k, const char *source, const char *rest, struct error *err)
{
    const char *name = strrchr(source, '/') + 1;
    const char *parent;

    if (strcmp(name, rest) == 0 && try_file(k, source, err) < 0)
        return -1;
    if (strpbrk(name, "*?[") && !strchr(rest, '/') && strlen(name) < 64 &&
        fnmatch(name, rest, 0) == 0) {
        parent = arena_string(k->a, source, (size_t)(name - source));
        return parent ? try_file(k, image_path_clean(k->a, parent, rest), err) : 0;
    }
    return try_file(k, image_path_clean(k->a, source, rest), err);
}

static int try_source(struct seeker *k, const char *source, const char *rest, struct error *err)
{
    if (strchr(source, '$') || strncmp(source, "<<", 2) == 0 || strstr(source, "://") ||
        k->s->tries >= TRIES_MAX)
        return 0;
    k->s->tries++;
    source = image_path_clean(k->a, "/", source);
    if (!source)
        return 0;
    return *rest ? try_below(k, source, rest, err) : try_file(k, source, err);
}

static void try_heredoc(struct seeker *k, const struct dockerfile_heredoc *h, const char *to,
                        bool into)
{
    const char *at = into ? image_path_clean(k->a, to, h->name) : to;

    if (at && strcmp(k->path, at) == 0)
        k->hit = (struct hit){.name = k->path, .heredoc = h->content};
}

/* What of the path lies below the destination: "" when it is the destination itself; NULL when the
 * COPY does not bring it. */
static const char *below(const char *path, const char *to)
{
    size_t n = strcmp(to, "/") == 0 ? 0 : strlen(to);

    if (strncmp(path, to, n) != 0)
        return NULL;
    if (!path[n])
        return path + n;
    return path[n] == '/' ? path + n + 1 : NULL;
}

static int try_copy(struct seeker *k, const struct sandbox_copy *c, struct error *err)
{
    const struct dockerfile_instruction *i = c->instruction;
    const char *rest = below(k->path, c->to);

    if (!rest)
        return 0;
    for (size_t h = 0; h < i->n_heredocs; h++)
        try_heredoc(k, &i->heredocs[h], c->to, c->into);
    for (size_t w = 0; w + 1 < i->words.n; w++)
        if (try_source(k, i->words.v[w], rest, err) < 0)
            return -1;
    return 0;
}

/* The last one that brings it counts. */
static int seek(struct seeker *k, const char *path, struct error *err)
{
    k->path = path;
    for (size_t i = k->s->n_copies; path && i-- > 0 && !k->hit.name;)
        if (try_copy(k, &k->s->copies[i], err) < 0)
            return -1;
    return 0;
}

/* ---- all of them ---- */

static void add_copy(struct sandbox_scripts *s, const struct dockerfile_instruction *i)
{
    struct arena *a = &s->g->arena;
    const char *to = i->words.n ? i->words.v[i->words.n - 1] : "$";
    struct sandbox_copy c = {.instruction = i};

    if (strchr(to, '$') || (*to != '/' && !s->workdir) || flags_value(&i->flags, "from"))
        return;
    c.to = image_path_clean(a, s->workdir ? s->workdir : "/", to);
    s->copies = arena_grow(a, s->copies, s->n_copies, &s->cap_copies, sizeof(c));
    if (!c.to || !s->copies)
        return;
    c.into = i->words.n > 2 || text_ends(to, "/") || strcmp(to, ".") == 0 ||
             image_path_is_directory(c.to);
    s->copies[s->n_copies++] = c;
}

static void add_stage(struct sandbox_scripts *s, const struct dockerfile_stage *stage)
{
    for (size_t n = 1; n < stage->n_instructions; n++) {
        const struct dockerfile_instruction *i = &stage->instructions[n];

        if (instruction_is(i, "WORKDIR"))
            s->workdir = image_path_workdir(&s->g->arena, s->workdir, i);
        else if (instruction_is(i, "COPY") || instruction_is(i, "ADD"))
            add_copy(s, i);
    }
}

/* From the base to the last stage. */
static int fill(struct sandbox_scripts *s, struct error *err)
{
    size_t n;
    const size_t *chain = graph_chain(s->g, &n);

    s->workdir = "/";
    s->filled = true;
    while (n-- > 0)
        add_stage(s, &s->d->stages[chain[n]]);
    return arena_check(&s->g->arena, err);
}

/* A path is relative to WORKDIR; so may be a name, or it is looked up along the PATH. */
static int seek_word(struct seeker *k, const char *word, struct error *err)
{
    static const char *const path[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};

    if ((*word == '/' || k->s->workdir) &&
        seek(k, image_path_clean(k->a, k->s->workdir ? k->s->workdir : "/", word), err) < 0)
        return -1;
    for (size_t i = 0; !strchr(word, '/') && i < sizeof(path) / sizeof(path[0]); i++)
        if (!k->hit.name && seek(k, image_path_clean(k->a, path[i], word), err) < 0)
            return -1;
    return 0;
}

int sandbox_script_read(struct sandbox_scripts *s, const char *word, struct buf *out,
                        const char **ret_name, struct error *err)
{
    struct seeker k = {.s = s, .a = &s->g->arena};
    bool found = true;

    *ret_name = NULL;
    if (!s->filled && fill(s, err) < 0)
        return -1;
    if (seek_word(&k, word, err) < 0 || arena_check(k.a, err) < 0)
        return -1;
    if (!k.hit.name)
        return 0;
    if (k.hit.heredoc)
        buf_adds(out, k.hit.heredoc);
    else if (s->context->read(s->context->self, k.hit.name, out, &found, err) < 0)
        return err->kind == ERR_LIMIT ? 0 : -1;
    if (found)
        *ret_name = k.hit.name;
    return 0;
}
