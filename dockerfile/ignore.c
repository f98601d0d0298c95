/* dockerfile/ignore — an ignore file's lines become patterns, in the two steps of moby's ignorefile
 * and patternmatcher, because some lines mean something only by the second: "./!x" is a "!". */
#include "dockerfile/ignore.h"

#include <string.h>

#include "dockerfile/ignore_pattern.h"

struct dockerfile_ignore {
    struct arena arena;
    struct ignore_pattern *patterns;
    size_t n, cap;
    size_t wild; /* bytes of those that have wildcards */
    bool has_exceptions;
    bool for_all;  /* a pattern is "*", "**" or "**" "/" "*" */
    bool anywhere; /* patterns without wildcards match in every directory */
};

void dockerfile_ignore_names(const char *dockerfile, struct argv *ret_names)
{
    argv_pushf(ret_names, "%s.dockerignore", dockerfile);
    argv_push1(ret_names, ".dockerignore");
}

/* ---- lines ---- */

struct cleaning {
    char *s;
    size_t len;
    size_t floor; /* no ".." takes anything away before this */
    bool rooted;
};

static void clean_part(struct cleaning *c, const char *part, size_t n)
{
    bool up = n == 2 && memcmp(part, "..", 2) == 0;

    if (n == 0 || (n == 1 && *part == '.') || (up && c->rooted && c->len == c->floor))
        return;
    if (up && c->len > c->floor) {
        do {
            c->len--;
        } while (c->len > c->floor && c->s[c->len] != '/');
        return;
    }
    if (c->len > c->rooted)
        c->s[c->len++] = '/';
    memmove(c->s + c->len, part, n);
    c->len += n;
    if (up)
        c->floor = c->len;
}

/* Go's filepath.Clean, in place, where there is room for at least one byte. */
static size_t clean(char *s, size_t len)
{
    struct cleaning c = {.s = s, .rooted = len > 0 && *s == '/'};
    size_t n;

    c.len = c.floor = c.rooted;
    for (size_t i = c.rooted; i < len; i += n + 1) {
        const char *slash = memchr(s + i, '/', len - i);

        n = slash ? (size_t)(slash - (s + i)) : len - i;
        clean_part(&c, s + i, n);
    }
    if (c.len == 0)
        s[c.len++] = '.';
    return c.len;
}

/* The pattern of a line, "!" included, in the arena; one without text when there is none. */
static struct span read_line(struct dockerfile_ignore *g, struct span line)
{
    struct span rest = span_trim(line);
    bool exception = rest.len > 0 && *rest.s == '!';
    char *s, *path;
    size_t n;

    if (rest.len == 0 || *line.s == '#')
        return (struct span){"", 0};
    if (exception)
        rest = span_trim((struct span){rest.s + 1, rest.len - 1});
    s = arena_alloc(&g->arena, rest.len + 3);
    if (!s)
        return (struct span){"", 0};
    path = s + 1;
    memcpy(path, rest.s, rest.len);
    n = rest.len > 0 ? clean(path, rest.len) : 0;
    if (n > 1 && *path == '/') {
        path++;
        n--;
    }
    if (exception) {
        *--path = '!';
        n++;
    }
    return (struct span){path, n};
}

/* ---- patterns ---- */

static int store(struct dockerfile_ignore *g, const struct ignore_pattern *p, struct error *err)
{
    struct ignore_pattern *patterns;

    if (g->n >= DOCKERFILE_IGNORE_PATTERNS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d patterns", DOCKERFILE_IGNORE_PATTERNS_MAX);
    patterns = arena_grow(&g->arena, g->patterns, g->n, &g->cap, sizeof(*patterns));
    if (!patterns)
        return error_set(err, ERR_SYSTEM, "read an ignore file: out of memory");
    patterns[g->n++] = *p;
    g->patterns = patterns;
    g->has_exceptions |= p->exception;
    return 0;
}

static bool has_wildcards(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (memchr("*?[\\", text.s[i], 4))
            return true;
    return false;
}

/* "x" as "**" and "/x". */
static int add_anywhere(struct dockerfile_ignore *g, struct span *text, struct error *err)
{
    char *s = arena_alloc(&g->arena, text->len + 3);

    if (!s)
        return error_set(err, ERR_SYSTEM, "read an ignore file: out of memory");
    memcpy(s, "**/", 3);
    memcpy(s + 3, text->s, text->len);
    *text = (struct span){s, text->len + 3};
    return 0;
}

static bool is_for_all(struct span text)
{
    return (text.len == 1 && *text.s == '*') || (text.len == 2 && memcmp(text.s, "**", 2) == 0) ||
           (text.len == 4 && memcmp(text.s, "**/*", 4) == 0);
}

static int add_pattern(struct dockerfile_ignore *g, struct span text, struct error *err)
{
    struct ignore_pattern p = {.exception = false};

    text = span_trim(text);
    if (text.len == 0)
        return 0;
    if (text.len > DOCKERFILE_IGNORE_PATTERN_MAX)
        return error_set(err, ERR_LIMIT, "the pattern is longer than %d bytes",
                         DOCKERFILE_IGNORE_PATTERN_MAX);
    /* It lies in the arena, where read_line made it. */
    text.len = clean((char *)text.s, text.len);
    if (*text.s == '!') {
        if (text.len == 1)
            return error_set(err, ERR_INPUT, "illegal exclusion pattern: \"!\"");
        p.exception = true;
        text.s++;
        text.len--;
    }
    if (g->anywhere && !has_wildcards(text) && add_anywhere(g, &text, err) < 0)
        return -1;
    if (has_wildcards(text)) {
        g->wild += text.len;
        if (g->wild > DOCKERFILE_IGNORE_WILD_MAX)
            return error_set(err, ERR_LIMIT, "more than %u bytes of patterns with wildcards",
                             DOCKERFILE_IGNORE_WILD_MAX);
    }
    if (ignore_pattern_compile(text, &g->arena, &p, err) < 0)
        return -1;
    g->for_all = g->for_all || (!p.exception && is_for_all(text));
    return store(g, &p, err);
}

static int read_lines(struct dockerfile_ignore *g, struct span text, struct error *err)
{
    for (int number = 1; text.len > 0; number++) {
        const char *lf = memchr(text.s, '\n', text.len);
        size_t n = lf ? (size_t)(lf - text.s) : text.len;
        struct span pattern = read_line(g, (struct span){text.s, n});

        if (add_pattern(g, pattern, err) < 0)
            return error_wrap(err, "line %d", number);
        n += lf != NULL;
        text.s += n;
        text.len -= n;
    }
    return g->arena.failed ? error_set(err, ERR_SYSTEM, "read an ignore file: out of memory") : 0;
}

static int parse(struct span text, bool anywhere, struct dockerfile_ignore **ret, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = calloc(1, sizeof(*g));

    if (!g)
        return error_set(err, ERR_SYSTEM, "read an ignore file: out of memory");
    if (text.len > DOCKERFILE_IGNORE_TEXT_MAX)
        return error_set(err, ERR_LIMIT, "the ignore file is larger than %u bytes",
                         DOCKERFILE_IGNORE_TEXT_MAX);
    if (text.len >= 3 && memcmp(text.s, "\xef\xbb\xbf", 3) == 0) {
        text.s += 3;
        text.len -= 3;
    }
    g->anywhere = anywhere;
    if (read_lines(g, text, err) < 0)
        return -1;
    *ret = TAKE(g);
    return 0;
}

int dockerfile_ignore_parse(const char *text, size_t len, struct dockerfile_ignore **ret,
                            struct error *err)
{
    return parse((struct span){text, len}, false, ret, err);
}

int dockerfile_ignore_parse_blaxel(const char *text, size_t len, struct dockerfile_ignore **ret,
                                   struct error *err)
{
    return parse((struct span){text, len}, true, ret, err);
}

void dockerfile_ignore_free(struct dockerfile_ignore *g)
{
    if (!g)
        return;
    arena_release(&g->arena);
    free(g);
}

/* ---- questions ---- */

bool dockerfile_ignore_matches(const struct dockerfile_ignore *g, const char *path)
{
    const struct span whole = {path, strlen(path)};
    bool ignored = false;

    for (size_t i = 0; i < g->n; i++)
        if (g->patterns[i].exception == ignored && ignore_pattern_matches(&g->patterns[i], whole))
            ignored = !ignored;
    return ignored;
}

bool dockerfile_ignore_has_exceptions(const struct dockerfile_ignore *g)
{
    return g->has_exceptions;
}

bool dockerfile_ignore_has_all(const struct dockerfile_ignore *g)
{
    return g->for_all;
}

/* Whether something below dir may begin with that. */
static bool reaches_below(struct span fixed, const char *dir, size_t len)
{
    size_t n = fixed.len < len ? fixed.len : len;

    return memcmp(fixed.s, dir, n) == 0 && (fixed.len <= len || fixed.s[len] == '/');
}

bool dockerfile_ignore_may_reinclude(const struct dockerfile_ignore *g, const char *dir)
{
    size_t len = strlen(dir);

    for (size_t i = 0; i < g->n; i++)
        if (g->patterns[i].exception && reaches_below(g->patterns[i].fixed, dir, len))
            return true;
    return false;
}
