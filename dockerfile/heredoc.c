/* dockerfile/heredoc — finding them is shell lexing, as BuildKit does it: the line is cut into
 * words with quotes and escapes kept, and a word ^(\d*)<<(-?)\s*([^<]*)$ whose last part is one
 * word itself is a heredoc.  The escape token is \ here, whatever the directive says. */
#include "dockerfile/heredoc.h"

#include <string.h>

#include "dockerfile/expand.h"

static const char *no_value(void *self, const char *name, size_t len)
{
    (void)self;
    (void)name;
    (void)len;
    return NULL;
}

#define HEREDOC_LEXER(...)                                                                         \
    {                                                                                              \
        .escape = '\\', .keep_unset = true, .get = no_value, .work = EXPAND_WORK, __VA_ARGS__      \
    }

/* What stands behind <<, NULL if word is not of the form. */
static const char *delimiter(const char *word, bool *ret_chomp)
{
    while (*word >= '0' && *word <= '9')
        word++;
    if (word[0] != '<' || word[1] != '<')
        return NULL;
    word += 2;
    *ret_chomp = *word == '-';
    if (*ret_chomp)
        word++;
    while (*word == ' ' || *word == '\t' || *word == '\r' || *word == '\f' || *word == '\n')
        word++;
    return *word && !strchr(word, '<') ? word : NULL;
}

static size_t count_quotes(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += *s == '\'' || *s == '"';
    return n;
}

int heredoc_parse_word(struct arena *arena, const char *word, bool *ret_is,
                       struct dockerfile_heredoc *ret, struct error *err)
{
    struct expander plain = HEREDOC_LEXER();
    struct expander raw = HEREDOC_LEXER(.raw_quotes = true);
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP(argv_release) struct argv raw_words = ARGV_INIT;
    bool chomp = false;
    const char *rest = delimiter(word, &chomp);

    *ret_is = false;
    if (!rest)
        return 0;
    if (expand_words(&plain, rest, &words, err) < 0)
        return -1;
    if (words.n != 1)
        return 0;
    if (expand_words(&raw, rest, &raw_words, err) < 0)
        return -1;
    if (raw_words.n != 1)
        return error_set(err, ERR_INPUT, "heredoc name is not one word: %.200s", rest);
    /* Quotes that went away were quotes; escaped ones are part of the name. */
    ret->expand = count_quotes(words.v[0]) == count_quotes(raw_words.v[0]);
    ret->chomp = chomp;
    ret->name = arena_string(arena, words.v[0], strlen(words.v[0]));
    *ret_is = true;
    return arena_check(arena, err);
}

static struct span without_tabs(struct span line)
{
    while (line.len > 0 && *line.s == '\t') {
        line.s++;
        line.len--;
    }
    return line;
}

/* The lines up to the terminator, which is taken too. */
static int read_body(struct arena *arena, struct lines *l, struct dockerfile_heredoc *doc,
                     struct error *err)
{
    const char *start = l->text + l->pos;
    size_t name_len = strlen(doc->name), len = 0;
    CLEANUP(buf_release) struct buf stripped = BUF_INIT(l->len);
    struct span raw;

    for (;;) {
        struct span line;

        if (!lines_next(l, &raw))
            return error_set(err, ERR_INPUT, "unterminated heredoc");
        line = doc->chomp ? without_tabs(line_content(raw)) : line_content(raw);
        if (line.len == name_len && memcmp(line.s, doc->name, name_len) == 0)
            break;
        len += raw.len;
        if (doc->chomp) {
            raw = without_tabs(raw);
            buf_add(&stripped, raw.s, raw.len);
        }
    }
    doc->content = doc->chomp ? arena_string(arena, buf_str(&stripped), stripped.len)
                              : arena_string(arena, start, len);
    return buf_check(&stripped, "heredoc", err);
}

int heredoc_read(struct arena *arena, struct lines *l, struct dockerfile_instruction *instruction,
                 struct error *err)
{
    struct expander lexer = HEREDOC_LEXER(.raw_quotes = true, .raw_escapes = true);
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    struct dockerfile_heredoc *docs = NULL;
    size_t n = 0, cap = 0;
    struct error ignored;

    /* What does not lex is no heredoc: the shell will have its own opinion of the line. */
    if (expand_words(&lexer, instruction->original, &words, &ignored) < 0) {
        if (ignored.kind == ERR_INPUT)
            return 0;
        *err = ignored;
        return -1;
    }
    for (size_t i = 0; i < words.n; i++) {
        bool is;

        docs = arena_grow(arena, docs, n, &cap, sizeof(*docs));
        if (!docs)
            return arena_check(arena, err);
        if (heredoc_parse_word(arena, words.v[i], &is, &docs[n], err) < 0)
            return -1;
        n += is;
    }
    for (size_t i = 0; i < n; i++)
        if (read_body(arena, l, &docs[i], err) < 0)
            return -1;
    instruction->heredocs = docs;
    instruction->n_heredocs = n;
    return arena_check(arena, err);
}
