/* dockerfile/sandbox_run — as much of a shell as it takes to see `cp A B` among its commands. */
#include "dockerfile/sandbox_run.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/image_path.h"

#define WORDS_MAX 64 /* of one command; a longer one is not looked at */
#define WORD_SIZE 4096

/* ---- one command ---- */

struct command {
    const char *words[WORDS_MAX];
    size_t n;
    bool unclear; /* a word depends on a variable, or there are too many */
};

struct search {
    struct arena *arena;
    const char *workdir, *file;
    const char *found;
};

/* The words that are no options, the command itself left out; an option of install may take one
 * word more. */
static size_t operands(const struct command *c, bool install, const char *out[WORDS_MAX])
{
    size_t n = 0;

    for (size_t i = 1; i < c->n; i++) {
        const char *word = c->words[i];

        if (*word != '-')
            out[n++] = word;
        else if (install && strlen(word) == 2 && strchr("mog", word[1]))
            i++;
    }
    return n;
}

static void judge_command(struct search *s, const struct command *c)
{
    const char *words[WORDS_MAX];
    const char *name = c->n ? image_path_name(c->words[0]) : "";
    bool install = strcmp(name, "install") == 0;
    struct image_path_copy copy;
    size_t n;

    if (c->unclear || (!install && strcmp(name, "cp") != 0))
        return;
    n = operands(c, install, words);
    if (n < 2)
        return;
    copy = (struct image_path_copy){.to = image_path_clean(s->arena, s->workdir, words[n - 1]),
                                    .into = n > 2 || text_ends(words[n - 1], "/") ||
                                            strcmp(words[n - 1], ".") == 0};
    if (!copy.to)
        return;
    copy.into |= image_path_is_directory(copy.to);
    for (size_t i = 0; i + 1 < n; i++) {
        const char *source = image_path_clean(s->arena, s->workdir, words[i]);
        const char *to = source ? image_path_landing(s->arena, &copy, source, s->file) : NULL;
        bool whole_name = source && (strcmp(source, s->file) == 0 || strpbrk(source, "*?["));

        /* A directory lands in or beside the destination, which is not known; its content, by
         * "dir/.", lands in it. */
        if (to && (whole_name || text_ends(words[i], "/.")))
            s->found = to;
    }
}

/* ---- the text ---- */

static bool ends_command(char c)
{
    return c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' || c == ')';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Reads one word, without its quotes, into the command; returns where it ends. */
static const char *read_word(struct search *s, struct command *c, const char *p)
{
    char word[WORD_SIZE];
    const char *copy;
    size_t n = 0;
    char quote = '\0';

    for (; *p && (quote || (!is_blank(*p) && !ends_command(*p))); p++) {
        if (*p == '$' || *p == '`')
            c->unclear = true;
        if (*p == quote)
            quote = '\0';
        else if (!quote && (*p == '"' || *p == '\''))
            quote = *p;
        else if (*p == '\\' && p[1] == '\n')
            p++;
        else if (n + 1 < sizeof(word))
            word[n++] = *p;
    }
    if (c->n == WORDS_MAX || n + 1 == sizeof(word))
        c->unclear = true;
    else if (n > 0 && (copy = arena_string(s->arena, word, n)))
        c->words[c->n++] = copy;
    return p;
}

static void search_text(struct search *s, const char *text)
{
    struct command c = {.n = 0};

    for (const char *p = text; *p;) {
        if (is_blank(*p)) {
            p++;
        } else if (ends_command(*p)) {
            judge_command(s, &c);
            c = (struct command){.n = 0};
            p++;
        } else {
            p = read_word(s, &c, p);
        }
    }
    judge_command(s, &c);
}

static void search_words(struct search *s, const struct argv *words)
{
    struct command c = {.n = 0};

    for (size_t i = 0; i < words->n && i < WORDS_MAX; i++)
        c.words[c.n++] = words->v[i];
    c.unclear = words->n > WORDS_MAX;
    judge_command(s, &c);
}

const char *sandbox_run_copy(struct arena *a, const struct dockerfile_instruction *run,
                             const char *workdir, const char *file)
{
    struct search s = {.arena = a, .workdir = workdir, .file = file};

    if (run->json)
        search_words(&s, &run->words);
    else
        search_text(&s, run->text);
    for (size_t i = 0; i < run->n_heredocs; i++)
        search_text(&s, run->heredocs[i].content);
    return s.found;
}
