/* dockerfile/generate/go_package — the head of a Go file: comments, package clause, imports.
 *
 * A build constraint of one tag is answered ("ignore", "!windows"); a longer one counts as met,
 * for a file too many at worst makes a package a program that the go command then says it is not.
 */
#include "dockerfile/generate/go_package.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/go_path.h"

/* ---- tokens ---- */

struct cursor {
    const char *p, *end;
};

struct token {
    const char *s; /* NULL at the end */
    size_t len;
};

static bool starts(const struct cursor *c, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(c->end - c->p) >= len && memcmp(c->p, text, len) == 0;
}

static void skip_line(struct cursor *c)
{
    const char *stop = memchr(c->p, '\n', (size_t)(c->end - c->p));

    c->p = stop ? stop + 1 : c->end;
}

static void skip_block_comment(struct cursor *c)
{
    for (c->p += 2; c->p < c->end && !starts(c, "*/"); c->p++)
        ;
    c->p = c->p < c->end ? c->p + 2 : c->end;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* The character that closes, or the end of the file. */
static void skip_string(struct cursor *c)
{
    char quote = *c->p++;

    while (c->p < c->end && *c->p != quote) {
        if (*c->p == '\\' && quote == '"')
            c->p++;
        c->p++;
    }
    c->p = c->p < c->end ? c->p + 1 : c->end;
}

static struct token next(struct cursor *c)
{
    struct token t = {NULL, 0};

    while (c->p < c->end) {
        if (isspace((unsigned char)*c->p) || *c->p == ';')
            c->p++;
        else if (starts(c, "//"))
            skip_line(c);
        else if (starts(c, "/*"))
            skip_block_comment(c);
        else
            break;
    }
    if (c->p >= c->end)
        return t;
    t.s = c->p;
    if (*c->p == '"' || *c->p == '`')
        skip_string(c);
    else if (is_word_byte(*c->p))
        while (c->p < c->end && is_word_byte(*c->p))
            c->p++;
    else
        c->p++;
    t.len = (size_t)(c->p - t.s);
    return t;
}

static bool is(const struct token *t, const char *text)
{
    return t->s && strlen(text) == t->len && memcmp(t->s, text, t->len) == 0;
}

/* ---- constraints ---- */

static const char *const systems[] = {"aix",     "android", "darwin", "dragonfly", "freebsd",
                                      "illumos", "ios",     "js",     "netbsd",    "openbsd",
                                      "plan9",   "solaris", "wasip1", "windows",   NULL};
static const char *const machines[] = {"386",      "arm",    "loong64", "mips",    "mips64",
                                       "mips64le", "mipsle", "ppc64",   "ppc64le", "riscv64",
                                       "s390x",    "wasm",   NULL};

static bool is_among(const char *s, size_t len, const char *const *names)
{
    for (; *names; names++)
        if (strlen(*names) == len && memcmp(s, *names, len) == 0)
            return true;
    return false;
}

/* A tag that no build for Linux on a common machine sets. */
static bool is_unset(const char *s, size_t len)
{
    static const char *const conventions[] = {"ignore", "tools", "never", "generate", NULL};

    return is_among(s, len, systems) || is_among(s, len, machines) || is_among(s, len, conventions);
}

static bool is_known_set(const char *s, size_t len)
{
    static const char *const set[] = {"linux", "unix", "gc", NULL};

    return is_among(s, len, set);
}

static bool constraint_is_met(const char *s, const char *end)
{
    bool negated;
    size_t len;

    while (end > s && isspace((unsigned char)end[-1]))
        end--;
    while (s < end && isspace((unsigned char)*s))
        s++;
    negated = s < end && *s == '!';
    s += negated;
    len = (size_t)(end - s);
    return negated ? !is_known_set(s, len) : !is_unset(s, len);
}

/* The //go:build and // +build lines stand before the package clause. */
static bool is_constrained_out(const char *text, const char *clause)
{
    struct cursor c = {text, clause};

    while (c.p < c.end) {
        const char *line = c.p;

        if (isspace((unsigned char)*c.p)) {
            c.p++;
            continue;
        }
        if (starts(&c, "/*")) {
            skip_block_comment(&c);
            continue;
        }
        skip_line(&c);
        for (const char *const *mark =
                 (const char *const[]){"//go:build", "// +build", "//+build", NULL};
             *mark; mark++)
            if ((size_t)(c.p - line) > strlen(*mark) && text_starts(line, *mark) &&
                !constraint_is_met(line + strlen(*mark), c.p))
                return true;
    }
    return false;
}

/* "x_windows.go", "x_linux_s390x.go", "x_test.go" */
static bool name_is_left_out(const char *name)
{
    size_t end = strlen(name) - strlen(".go"), k = end;

    if (name[0] == '_' || name[0] == '.')
        return true;
    while (k > 0 && name[k - 1] != '_')
        k--;
    if (k == 0)
        return false;
    if (is_among(name + k, end - k, (const char *const[]){"test", NULL}) ||
        is_among(name + k, end - k, systems) || is_among(name + k, end - k, machines))
        return true;
    if (!is_among(name + k, end - k, (const char *const[]){"amd64", "arm64", NULL}))
        return false;
    end = --k;
    while (k > 0 && name[k - 1] != '_')
        k--;
    return k > 0 && is_among(name + k, end - k, systems);
}

/* ---- a file ---- */

/* import "x", import y "x", import ( … ): whether one of them is "C". */
static bool imports_c(struct cursor *c)
{
    struct token t = next(c);

    for (; is(&t, "import"); t = next(c)) {
        bool group;

        t = next(c);
        group = is(&t, "(");
        if (group)
            t = next(c);
        while (t.s && !is(&t, ")")) {
            if (is(&t, "\"C\"") || is(&t, "`C`"))
                return true;
            if (!group && (*t.s == '"' || *t.s == '`'))
                break;
            t = next(c);
        }
    }
    return false;
}

void go_file_read(const char *name, const char *text, size_t len, struct go_file *ret)
{
    struct cursor c = {text, text + len};
    struct token t = next(&c);

    *ret = (struct go_file){.built = false};
    if (name_is_left_out(name) || !is(&t, "package") || is_constrained_out(text, t.s))
        return;
    ret->built = true;
    t = next(&c);
    ret->main = is(&t, "main");
    ret->cgo = imports_c(&c);
}

/* ---- a directory ---- */

static int read_file(struct generator *g, const char *path, const char *name, struct go_file *ret,
                     struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    struct error why = ERROR_INIT;
    bool found = false;

    *ret = (struct go_file){.built = false};
    if (generator_read(g, path, &text, &found, &why) == 0) {
        if (found)
            go_file_read(name, buf_str(&text), text.len, ret);
        return 0;
    }
    /* A file with megabytes of embedded data is not the one that says what the package is. */
    if (why.kind == ERR_LIMIT)
        return 0;
    *err = why;
    return -1;
}

int go_package_read(struct generator *g, const char *dir, struct go_package *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    struct go_package p = {.main = false};

    if (g->source->list(g->source->self, dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        char path[GO_PATH_MAX];
        struct go_file file;

        if (!text_ends(names.v[i], ".go") || !go_path_join(dir, names.v[i], path))
            continue;
        if (read_file(g, path, names.v[i], &file, err) < 0)
            return -1;
        if (!file.built)
            continue;
        p.main = p.main || file.main;
        if (file.cgo && !p.cgo[0])
            (void)snprintf(p.cgo, sizeof(p.cgo), "%.127s",
                           go_path_is_plain(path) ? path : "a file");
    }
    *ret = p;
    return 0;
}
