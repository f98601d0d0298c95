/* dockerfile/sandbox_script — COPY read backwards: from a path in the image to what was copied
 * there. */
#include "dockerfile/sandbox_script.h"

#include <fnmatch.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/flags.h"
#include "dockerfile/paths.h"

#define LOOKUPS_MAX 4096

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
    if (!*file || !k->s->context || k->s->lookups >= LOOKUPS_MAX)
        return 0;
    k->s->lookups++;
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
        return parent ? try_file(k, path_clean(k->a, parent, rest), err) : 0;
    }
    return try_file(k, path_clean(k->a, source, rest), err);
}

static int try_source(struct seeker *k, const char *source, const char *to, struct error *err)
{
    size_t n = strcmp(to, "/") == 0 ? 0 : strlen(to);

    if (strcmp(k->path, to) == 0)
        return try_file(k, source, err);
    if (strncmp(k->path, to, n) == 0 && k->path[n] == '/')
        return try_below(k, source, k->path + n + 1, err);
    return 0;
}

static void try_heredoc(struct seeker *k, const struct dockerfile_heredoc *h, const char *to,
                        bool into)
{
    const char *at = into ? path_clean(k->a, to, h->name) : to;

    if (at && strcmp(k->path, at) == 0)
        k->hit = (struct hit){.name = k->path, .heredoc = h->content};
}

static int follow_copy(struct seeker *k, const struct dockerfile_instruction *i,
                       const char *workdir, struct error *err)
{
    const char *last = i->words.n ? i->words.v[i->words.n - 1] : "$";
    bool into = i->words.n > 2 || text_ends(last, "/") || strcmp(last, ".") == 0;
    const char *to;

    if (strchr(last, '$') || (*last != '/' && !workdir) || flags_value(&i->flags, "from"))
        return 0;
    to = path_clean(k->a, workdir ? workdir : "/", last);
    if (!to)
        return 0;
    for (size_t h = 0; h < i->n_heredocs; h++)
        try_heredoc(k, &i->heredocs[h], to, into || path_is_known_directory(to));
    for (size_t w = 0; w + 1 < i->words.n; w++) {
        const char *source = i->words.v[w];

        if (strchr(source, '$') || strncmp(source, "<<", 2) == 0 || strstr(source, "://"))
            continue;
        source = path_clean(k->a, "/", source);
        if (source && try_source(k, source, to, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the stages ---- */

static int follow_stage(struct seeker *k, const struct dockerfile_stage *stage,
                        const char **workdir, struct error *err)
{
    for (size_t n = 1; n < stage->n_instructions; n++) {
        const struct dockerfile_instruction *i = &stage->instructions[n];

        if (strcmp(i->keyword, "WORKDIR") == 0)
            *workdir = path_after_workdir(k->a, *workdir, i);
        else if ((strcmp(i->keyword, "COPY") == 0 || strcmp(i->keyword, "ADD") == 0) && k->path &&
                 follow_copy(k, i, *workdir, err) < 0)
            return -1;
    }
    return 0;
}

/* From the base to the last stage; *ret_workdir is the last one's at its end. */
static int follow_chain(struct seeker *k, const char **ret_workdir, struct error *err)
{
    const struct graph *g = k->s->g;
    size_t *chain = arena_alloc(k->a, g->n * sizeof(*chain));
    size_t n = 0;

    *ret_workdir = "/";
    if (!chain)
        return arena_check(k->a, err);
    for (size_t at = g->n - 1; at != NO_STAGE; at = g->nodes[at].base_stage)
        chain[n++] = at;
    while (n-- > 0)
        if (follow_stage(k, &k->s->d->stages[chain[n]], ret_workdir, err) < 0)
            return -1;
    return 0;
}

static int seek(struct seeker *k, const char *path, struct error *err)
{
    const char *workdir;

    k->path = path;
    return path && !k->hit.name ? follow_chain(k, &workdir, err) : 0;
}

/* A path is relative to WORKDIR; so may be a name, or it is looked up along the PATH. */
static int seek_word(struct seeker *k, const char *word, struct error *err)
{
    static const char *const path[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                       "/usr/bin",        "/sbin",          "/bin"};
    const char *workdir;

    if (follow_chain(k, &workdir, err) < 0)
        return -1;
    if ((*word == '/' || workdir) &&
        seek(k, path_clean(k->a, workdir ? workdir : "/", word), err) < 0)
        return -1;
    for (size_t i = 0; !strchr(word, '/') && i < sizeof(path) / sizeof(path[0]); i++)
        if (seek(k, path_clean(k->a, path[i], word), err) < 0)
            return -1;
    return 0;
}

int sandbox_script_read(struct sandbox_scripts *s, const char *word, struct buf *out,
                        const char **ret_name, struct error *err)
{
    struct seeker k = {.s = s, .a = &s->g->arena};
    bool found = true;

    *ret_name = NULL;
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
