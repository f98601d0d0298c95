/* dockerfile/missing — see the header. */
#include "dockerfile/missing.h"

#include <limits.h>
#include <string.h>

#include "base/path.h"
#include "base/text.h"
#include "dockerfile/origin.h"
#include "dockerfile/parse.h"
#include "dockerfile/quote.h"
#include "dockerfile/suggest.h"

struct finder {
    const struct dockerfile_source *source;
    const struct dockerfile_ignore *ignore;
};

/* Two lines that say where the name stands are enough of an excerpt; here is the reason. */
static int refuse(const struct dockerfile_step *s, const char *path, const char *why,
                  const char *hint, struct error *err)
{
    char quoted[QUOTE_SIZE];

    return error_set(err, ERR_INPUT,
                     "dockerfile parse error on line %d: %s %s: not found in the build context: "
                     "%s%s",
                     s->first_line, s->instruction->keyword, quote_short(path, quoted), why, hint);
}

/* The name in the same directory that is nearly the path's, in *hint. */
static int find_near(const struct finder *f, const char *path, char hint[SUGGEST_SIZE],
                     struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT, plain = ARGV_INIT;
    CLEANUP_FREE char *directory = strdup(path);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    const char *name = slash ? path + (slash - directory) + 1 : path;

    *hint = '\0';
    if (!directory)
        return error_set(err, ERR_SYSTEM, "look for %.100s: out of memory", path);
    *(slash ? slash : directory) = '\0';
    if (f->source->list(f->source->self, directory, &names, err) < 0)
        return err->kind == ERR_LIMIT ? 0 : -1;
    for (size_t i = 0; i < names.n; i++)
        if (!text_has_control(names.v[i], strlen(names.v[i])))
            argv_pushf(&plain, "%.*s", (int)strcspn(names.v[i], "/"), names.v[i]);
    if (plain.n > 0 && !plain.failed)
        (void)suggest(name, (const char *const *)plain.v, false, hint);
    return 0;
}

/* An ignored directory is there all the same where a "!" may bring back something below it. */
static bool is_ignored(const struct finder *f, const char *path)
{
    return f->ignore && dockerfile_ignore_matches(f->ignore, path) &&
           !dockerfile_ignore_may_reinclude(f->ignore, path);
}

static bool has_wildcard(const char *path)
{
    return strpbrk(path, "*?[\\") != NULL;
}

static int look_for(const struct finder *f, const struct dockerfile_step *s, const char *path,
                    struct error *err)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(PATH_MAX);
    char hint[SUGGEST_SIZE];
    enum source_kind kind;

    path_join(&clean, "/", path);
    if (clean.full || clean.len <= 1)
        return 0; /* the root is always there */
    if (f->source->kind(f->source->self, buf_str(&clean) + 1, &kind, err) < 0)
        return -1;
    if (kind == SOURCE_NONE)
        return find_near(f, buf_str(&clean) + 1, hint, err) < 0
                   ? -1
                   : refuse(s, path, "no such file was uploaded", hint, err);
    if (is_ignored(f, buf_str(&clean) + 1))
        return refuse(s, path, "the ignore file leaves it out", "", err);
    return 0;
}

static int look_at_copy(const struct finder *f, const struct dockerfile_step *s, struct error *err)
{
    for (size_t k = 0; k + 1 < s->words.n; k++) {
        enum origin origin = ORIGIN_CONTEXT;

        if (has_wildcard(s->words.v[k]))
            continue;
        if (instruction_is(s->instruction, "ADD") && origin_of(s->words.v[k], &origin, err) < 0)
            return -1;
        if ((origin == ORIGIN_CONTEXT || origin == ORIGIN_GIT_LIKE) &&
            look_for(f, s, s->words.v[k], err) < 0)
            return -1;
    }
    return 0;
}

static int look_at_mounts(const struct finder *f, const struct dockerfile_step *s,
                          struct error *err)
{
    for (size_t k = 0; k < s->n_mounts; k++) {
        const struct dockerfile_mount *m = &s->mounts[k];

        if (m->type == DOCKERFILE_MOUNT_BIND && !*m->from && *m->source &&
            look_for(f, s, m->source, err) < 0)
            return -1;
    }
    return 0;
}

static int look_at_step(const struct finder *f, const struct dockerfile_step *s, struct error *err)
{
    if (!s->done)
        return 0;
    if (instruction_is(s->instruction, "RUN"))
        return look_at_mounts(f, s, err);
    if (!instruction_is(s->instruction, "COPY") && !instruction_is(s->instruction, "ADD"))
        return 0;
    return *s->from ? 0 : look_at_copy(f, s, err);
}

int missing_refuse(const struct dockerfile_evaluation *e, const struct dockerfile_source *source,
                   const struct dockerfile_ignore *ignore, struct error *err)
{
    const struct finder f = {source, ignore};
    size_t n, target;
    const struct dockerfile_outcome *outcomes = dockerfile_outcomes(e, &n, &target);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; outcomes[i].needed && k < outcomes[i].n_steps; k++)
            if (look_at_step(&f, &outcomes[i].steps[k], err) < 0)
                return -1;
    return 0;
}
