/* dockerfile/generate/go_module — lines of words, and blocks of lines that share their first. */
#include "dockerfile/generate/go_module.h"

#include <string.h>

#include "base/text.h"

/* "replace a v1 => b v2" has the most that matter. */
#define WORDS_MAX 6

struct word {
    const char *s;
    size_t len;
};

struct line {
    struct word words[WORDS_MAX];
    size_t n;
    int number;
};

static bool is_word(const struct word *w, const char *text)
{
    return strlen(text) == w->len && memcmp(w->s, text, w->len) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Where the word that begins at s ends: parentheses and => stand alone, // begins a comment. */
static const char *word_end(const char *s, const char *end)
{
    const char *p = s + 1;

    if (*s == '(' || *s == ')')
        return p;
    if (*s == '=' && p < end && *p == '>')
        return p + 1;
    while (p < end && !is_blank(*p) && *p != '(' && *p != ')' &&
           !(*p == '/' && end - p > 1 && p[1] == '/'))
        p++;
    return p;
}

static void add_word(struct line *line, const char *s, size_t len)
{
    if (line->n < WORDS_MAX)
        line->words[line->n++] = (struct word){s, len};
}

static void split(const char *s, const char *end, struct line *ret)
{
    ret->n = 0;
    while (s < end) {
        const char *stop;

        if (is_blank(*s)) {
            s++;
        } else if (*s == '/' && end - s > 1 && s[1] == '/') {
            return;
        } else if (*s == '"' || *s == '`') {
            stop = memchr(s + 1, *s, (size_t)(end - s - 1));
            if (!stop)
                return;
            add_word(ret, s + 1, (size_t)(stop - s - 1));
            s = stop + 1;
        } else {
            stop = word_end(s, end);
            add_word(ret, s, (size_t)(stop - s));
            s = stop;
        }
    }
}

static struct go_entry entry(struct go_module *m, const struct line *line, size_t k)
{
    return (struct go_entry){.value = arena_string(&m->arena, line->words[k].s, line->words[k].len),
                             .line = line->number};
}

static void add(struct go_module *m, struct go_entries *list, struct go_entry e)
{
    struct go_entry *v = arena_grow(&m->arena, list->v, list->n, &list->cap, sizeof(*v));

    if (!v)
        return;
    list->v = v;
    list->v[list->n++] = e;
}

/* A path, not a module: after the reference, what begins with a dot part or a slash. */
static bool is_directory(const struct word *w)
{
    return is_word(w, ".") || is_word(w, "..") || (w->len > 0 && w->s[0] == '/') ||
           (w->len > 1 && memcmp(w->s, "./", 2) == 0) ||
           (w->len > 2 && memcmp(w->s, "../", 3) == 0);
}

static void read_module(struct go_module *m, const struct line *line)
{
    m->module = entry(m, line, 0);
}

static void read_go(struct go_module *m, const struct line *line)
{
    m->go = entry(m, line, 0);
}

static void read_toolchain(struct go_module *m, const struct line *line)
{
    m->toolchain = entry(m, line, 0);
}

static void read_require(struct go_module *m, const struct line *line)
{
    add(m, &m->required, entry(m, line, 0));
}

static void read_use(struct go_module *m, const struct line *line)
{
    add(m, &m->used, entry(m, line, 0));
}

/* module [version] => directory */
static void read_replace(struct go_module *m, const struct line *line)
{
    size_t k = 1;
    struct go_entry e;

    while (k < line->n && !is_word(&line->words[k], "=>"))
        k++;
    if (k + 1 >= line->n || !is_directory(&line->words[k + 1]))
        return;
    e = entry(m, line, 0);
    e.target = arena_string(&m->arena, line->words[k + 1].s, line->words[k + 1].len);
    add(m, &m->replaced, e);
}

static const struct {
    const char *keyword;
    void (*read)(struct go_module *m, const struct line *line);
} directives[] = {
    {"module", read_module},   {"go", read_go},   {"toolchain", read_toolchain},
    {"require", read_require}, {"use", read_use}, {"replace", read_replace},
};
#define DIRECTIVES (sizeof(directives) / sizeof(directives[0]))

static size_t find_directive(const struct word *w)
{
    size_t d = 0;

    while (d < DIRECTIVES && !is_word(w, directives[d].keyword))
        d++;
    return d;
}

static void drop_first(struct line *line)
{
    memmove(line->words, line->words + 1, --line->n * sizeof(line->words[0]));
}

/* *block: whether inside ( … ), *directive: whose; DIRECTIVES for one that does not matter. */
static void read_line(struct go_module *m, struct line *line, bool *block, size_t *directive)
{
    if (line->n == 0)
        return;
    if (*block && is_word(&line->words[0], ")")) {
        *block = false;
        return;
    }
    if (!*block) {
        *directive = find_directive(&line->words[0]);
        drop_first(line);
        *block = line->n > 0 && is_word(&line->words[0], "(");
        if (*block)
            return;
    }
    if (*directive < DIRECTIVES && line->n > 0)
        directives[*directive].read(m, line);
}

int go_module_parse(const char *path, const char *text, size_t len, struct go_module *ret,
                    struct error *err)
{
    const char *end = text + len;
    struct line line = {.number = 0};
    size_t directive = DIRECTIVES;
    bool block = false;

    ret->file = path;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));

        line.number++;
        split(text, stop ? stop : end, &line);
        read_line(ret, &line, &block, &directive);
        text = stop ? stop + 1 : end;
    }
    return ret->arena.failed ? error_set(err, ERR_SYSTEM, "read %s: out of memory", path) : 0;
}

int go_module_read(struct generator *g, const char *path, struct go_module *ret, bool *ret_found,
                   struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found = false;

    if (generator_read(g, path, &text, &found, err) < 0)
        return -1;
    if (found && go_module_parse(path, buf_str(&text), text.len, ret, err) < 0)
        return -1;
    *ret_found = found;
    return 0;
}

bool go_module_requires(const struct go_module *m, const char *path)
{
    size_t len = strlen(path);

    for (size_t i = 0; i < m->required.n; i++) {
        const char *value = m->required.v[i].value;

        if (text_starts(value, path) && (value[len] == '\0' || text_starts(value + len, "/v")))
            return true;
    }
    return false;
}

void go_module_release(struct go_module *m)
{
    arena_release(&m->arena);
}
