/* dockerfile/scope — see the header. */
#include "dockerfile/scope.h"

#include <string.h>

#include "dockerfile/platform.h"

#define VALUE_MAX (64 << 10) /* bytes of an expanded word */

static void note(struct arena *arena, struct argv *names, const char *name, size_t len)
{
    for (size_t i = 0; i < names->n; i++)
        if (strncmp(names->v[i], name, len) == 0 && !names->v[i][len])
            return;
    if (names->n < NAMES_MAX)
        arena_push(arena, names, arena_string(arena, name, len));
}

static const char *get(void *self, const char *name, size_t len)
{
    struct scope *s = self;
    const char *value = vars_get(&s->vars, name, len);

    note(s->arena, value ? &s->names.found : &s->names.missing, name, len);
    return value;
}

void scope_init(struct scope *s, char escape, struct arena *arena)
{
    *s = (struct scope){
        .expander = {.escape = escape, .get = get, .self = s, .work = EXPAND_WORK},
        .arena = arena,
        .vars = {.arena = arena},
        .out = BUF_INIT(VALUE_MAX),
    };
}

void scope_release(struct scope *s)
{
    buf_release(&s->out);
}

int scope_expand(struct scope *s, const char *word, char **ret, struct error *err)
{
    char *copy;

    s->names = (struct names){.found = ARGV_INIT};
    buf_clear(&s->out);
    if (expand_word(&s->expander, word, &s->out, err) < 0)
        return -1;
    copy = arena_string(s->arena, buf_str(&s->out), s->out.len);
    if (arena_check(s->arena, err) < 0)
        return -1;
    *ret = copy;
    return 0;
}

int scope_expand_words(struct scope *s, const char *word, struct argv *ret_words, struct error *err)
{
    CLEANUP(argv_release) struct argv words = ARGV_INIT;

    s->names = (struct names){.found = ARGV_INIT};
    if (expand_words(&s->expander, word, &words, err) < 0)
        return -1;
    s->names = (struct names){.found = ARGV_INIT};
    for (size_t i = 0; i < words.n; i++)
        arena_push(s->arena, ret_words, arena_string(s->arena, words.v[i], strlen(words.v[i])));
    return arena_check(s->arena, err);
}

const char *scope_hint(const struct scope *s, const char *name, const char *prefix,
                       char text[SUGGEST_SIZE])
{
    const char **names = calloc(s->vars.n + 1, sizeof(*names));
    char plain[SUGGEST_SIZE];

    text[0] = '\0';
    for (size_t i = 0; names && i < s->vars.n; i++)
        names[i] = s->vars.v[i].name;
    if (names && *suggest(name, names, false, plain))
        (void)snprintf(text, SUGGEST_SIZE, " (did you mean %s%s", prefix,
                       plain + strlen(" (did you mean "));
    free(names);
    return text;
}

/* ---- the global scope ---- */

const char *build_arg(const struct argv *build_args, const char *name, size_t len)
{
    for (size_t i = build_args ? build_args->n : 0; i-- > 0;)
        if (strncmp(build_args->v[i], name, len) == 0 && build_args->v[i][len] == '=')
            return build_args->v[i] + len + 1;
    return NULL;
}

/* A platform argument needs no ARG to be overridden. */
static int set_platform_args(struct vars *vars, const struct argv *build_args, const char *target,
                             struct error *err)
{
    struct var sorted[] = {
        {"BUILDARCH", ARCHITECTURE},
        {"BUILDOS", "linux"},
        {"BUILDOSVERSION", ""},
        {"BUILDPLATFORM", "linux/" ARCHITECTURE},
        {"BUILDVARIANT", ""},
        {"TARGETARCH", ARCHITECTURE},
        {"TARGETOS", "linux"},
        {"TARGETOSVERSION", ""},
        {"TARGETPLATFORM", "linux/" ARCHITECTURE},
        {"TARGETSTAGE", target && *target ? target : "default"},
        {"TARGETVARIANT", ""},
    };
    size_t n = sizeof(sorted) / sizeof(sorted[0]);

    for (size_t i = 0; build_args && i < n; i++) {
        const char *given = build_arg(build_args, sorted[i].name, strlen(sorted[i].name));

        sorted[i].value = given ? given : sorted[i].value;
    }
    return vars_fill(vars, sorted, n, err);
}

/* One "k" or "k=v" of a global ARG. */
static int declare(struct scope *s, const char *word, const struct argv *build_args,
                   struct error *err)
{
    size_t len = strcspn(word, "=");
    const char *given = build_arg(build_args, word, len);
    char *value;

    if (given)
        return vars_set(&s->vars, word, len, given, err);
    if (!word[len])
        return 0;
    if (scope_expand(s, word + len + 1, &value, err) < 0)
        return -1;
    return vars_set(&s->vars, word, len, value, err);
}

int scope_fill_global(struct scope *s, const struct dockerfile *d, const struct argv *build_args,
                      const char *target, bool lenient, struct error *err)
{
    if (set_platform_args(&s->vars, build_args, target, err) < 0)
        return -1;
    for (size_t k = 0; k < d->n_global; k++) {
        const struct dockerfile_instruction *arg = &d->instructions[k];

        for (size_t w = 0; w < arg->words.n; w++)
            if (declare(s, arg->words.v[w], build_args, err) < 0 && !lenient)
                return fail_at_line(arg->first_line, err);
    }
    return 0;
}

/* ---- a scope of its own ---- */

int dockerfile_expand(const char *word, char escape, const struct argv *env, struct buf *ret_word,
                      struct argv *ret_words, struct error *err)
{
    CLEANUP(arena_release) struct arena arena = {.blocks = NULL};
    struct vars vars = {.arena = &arena};
    struct expander x = {.escape = escape, .get = vars_get, .self = &vars, .work = EXPAND_WORK};

    for (size_t i = 0; i < env->n; i++) {
        size_t len = strcspn(env->v[i], "=");

        if (!vars_get(&vars, env->v[i], len) &&
            vars_set(&vars, env->v[i], len, env->v[i][len] ? env->v[i] + len + 1 : "", err) < 0)
            return -1;
    }
    if (expand_word(&x, word, ret_word, err) < 0)
        return -1;
    return expand_words(&x, word, ret_words, err);
}

int fail_at_line(int line, struct error *err)
{
    return error_wrap(err, "dockerfile parse error on line %d", line);
}
