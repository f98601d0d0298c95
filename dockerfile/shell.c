/* dockerfile/shell — one pass over the text, each word copied once. */
#include "dockerfile/shell.h"

#include <string.h>

#include "base/text.h"

struct splitter {
    struct arena *arena;
    struct shell_script *out;
    const char *p; /* what is left */
    char *word;    /* where the next character of a word goes */
    struct shell_command command;
};

/* ---- words ---- */

static void put(struct splitter *s)
{
    *s->word++ = *s->p++;
}

/* Copies a quoted part with its quotes. */
static void put_quoted(struct splitter *s)
{
    char quote = *s->p;

    put(s);
    while (*s->p && *s->p != quote) {
        if (*s->p == '\\' && quote == '"' && s->p[1])
            put(s);
        put(s);
    }
    if (*s->p)
        put(s);
}

/* Copies up to and including the close that belongs to the open at s->p. */
static void put_nested(struct splitter *s, char open, char close)
{
    size_t depth = 0;

    while (*s->p) {
        if (*s->p == '"' || *s->p == '\'') {
            put_quoted(s);
            continue;
        }
        if (*s->p == '\\' && s->p[1])
            put(s);
        else if (*s->p == open)
            depth++;
        else if (*s->p == close && --depth == 0) {
            put(s);
            return;
        }
        put(s);
    }
}

static void put_backquoted(struct splitter *s)
{
    do {
        if (*s->p == '\\' && s->p[1])
            put(s);
        put(s);
    } while (*s->p && *s->p != '`');
    if (*s->p)
        put(s);
}

/* "$(…)", "${…}", "$NAME" up to its name */
static void put_dollar(struct splitter *s)
{
    put(s);
    if (*s->p == '(')
        put_nested(s, '(', ')');
    else if (*s->p == '{')
        put_nested(s, '{', '}');
}

static void put_single_quoted(struct splitter *s)
{
    for (s->p++; *s->p && *s->p != '\'';)
        put(s);
    if (*s->p)
        s->p++;
}

static void put_double_quoted(struct splitter *s)
{
    s->p++;
    while (*s->p && *s->p != '"') {
        if (*s->p == '\\' && s->p[1] && strchr("\"\\$`\n", s->p[1]))
            s->p++;
        else if (*s->p == '$') {
            put_dollar(s);
            continue;
        } else if (*s->p == '`') {
            put_backquoted(s);
            continue;
        }
        put(s);
    }
    if (*s->p)
        s->p++;
}

static void put_escaped(struct splitter *s)
{
    s->p++;
    if (*s->p == '\n')
        s->p++;
    else if (*s->p)
        put(s);
}

static bool ends_word(char c)
{
    return c == '\0' || strchr(" \t\r\n;|&()<>", c);
}

static void put_word(struct splitter *s)
{
    while (!ends_word(*s->p)) {
        switch (*s->p) {
        case '\\':
            put_escaped(s);
            break;
        case '\'':
            put_single_quoted(s);
            break;
        case '"':
            put_double_quoted(s);
            break;
        case '`':
            put_backquoted(s);
            break;
        case '$':
            put_dollar(s);
            break;
        default:
            put(s);
        }
    }
}

/* "2>&1", "> file", "<<-EOF", "<(…)", ">&-": not one of the command's words. */
static void skip_redirection(struct splitter *s)
{
    char *start = s->word;
    bool here = text_starts(s->p, "<<");

    s->p += strspn(s->p, "<>&|");
    if (*s->p == '-') {
        s->p++;
        if (!here)
            return;
    }
    s->p += strspn(s->p, " \t");
    if (*s->p == '(')
        put_nested(s, '(', ')');
    put_word(s);
    s->word = start;
}

static void read_word(struct splitter *s)
{
    size_t digits = strspn(s->p, "0123456789");
    char *start = s->word;

    if (s->p[digits] == '<' || s->p[digits] == '>') {
        s->p += digits;
        skip_redirection(s);
        return;
    }
    put_word(s);
    *s->word++ = '\0';
    arena_push(s->arena, &s->command.words, start);
}

/* ---- commands ---- */

static bool is_assignment(const char *word)
{
    size_t n = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

    return n > 0 && word[n] == '=';
}

static size_t find_program(const struct argv *words)
{
    static const char *const reserved[] = {"!",     "{",     "}",    "if",   "then",
                                           "elif",  "else",  "fi",   "do",   "done",
                                           "while", "until", "time", "esac", NULL};
    size_t k = 0;

    while (k < words->n && (is_assignment(words->v[k]) || text_is_among(words->v[k], reserved)))
        k++;
    return k;
}

const char *shell_name(const char *word)
{
    const char *slash = strrchr(word, '/');

    return slash && slash[1] ? slash + 1 : word;
}

static size_t find_worker(const struct argv *words, size_t k)
{
    static const char *const wrappers[] = {"sudo", "env",   "exec",    "command",   "nice", "nohup",
                                           "time", "xargs", "builtin", "eatmydata", NULL};

    while (k < words->n && text_is_among(shell_name(words->v[k]), wrappers))
        for (k++; k < words->n && (words->v[k][0] == '-' || is_assignment(words->v[k]));)
            k++;
    return k;
}

static void add_command(struct arena *a, const struct shell_command *command,
                        struct shell_script *out)
{
    const struct argv *words = &command->words;
    struct shell_command *v;

    if (out->n >= SHELL_COMMANDS_MAX)
        return;
    v = arena_grow(a, out->v, out->n, &out->cap, sizeof(*v));
    if (!v)
        return;
    out->v = v;
    v += out->n++;
    *v = *command;
    v->program = find_program(words);
    v->worker = find_worker(words, v->program);
    v->tool = v->worker < words->n ? shell_name(words->v[v->worker]) : "";
}

void shell_add(struct arena *a, const struct argv *words, struct shell_script *out)
{
    struct shell_command command = {.words = *words};

    add_command(a, &command, out);
}

static void end_command(struct splitter *s, bool pipe)
{
    if (s->command.words.n > 0)
        add_command(s->arena, &s->command, s->out);
    s->command = (struct shell_command){.piped = pipe};
}

/* ; & && | || |& ( ) and the end of a line; "&>" begins a redirection. */
static void read_operator(struct splitter *s)
{
    char c = *s->p++;
    bool twice = *s->p == c && (c == '&' || c == '|' || c == ';');

    if (c == '&' && *s->p == '>') {
        skip_redirection(s);
        return;
    }
    if (twice || (c == '|' && *s->p == '&'))
        s->p++;
    /* "a |" goes on in the next line. */
    if (c == '\n' && s->command.words.n == 0)
        return;
    end_command(s, c == '|' && !twice);
}

void shell_split(struct arena *a, const char *text, struct shell_script *out)
{
    /* Each word takes one byte more than its text, which the blank or operator behind it has. */
    struct splitter s = {
        .arena = a, .out = out, .p = text, .word = arena_alloc(a, strlen(text) + 2)};

    if (!s.word)
        return;
    while (*s.p) {
        if (strchr(" \t\r", *s.p))
            s.p++;
        else if (*s.p == '#')
            s.p += strcspn(s.p, "\n");
        else if (strchr("\n;|&()", *s.p))
            read_operator(&s);
        else
            read_word(&s);
    }
    end_command(&s, false);
}
