/* dockerfile/generate/node_script — what a command line runs, the scripts of package.json that it
 * calls included.
 *
 * Words are looked at without their shell meaning: a word too many keeps a package in the image, a
 * word too few would make a program that does not start. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define SCRIPTS_MAX 32   /* that one command reaches */
#define SCRIPT_MAX  8192 /* bytes of a script that is looked at */
#define SCOPED_MAX  200
#define WORD_MAX    256
#define WORD_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@/._-:"

/* The next word of *p; false at the end.  A word longer than any name is cut. */
static bool next_word(const char **p, char ret[WORD_MAX])
{
    size_t n;

    while (**p && !strchr(WORD_CHARS, **p))
        (*p)++;
    n = strspn(*p, WORD_CHARS);
    (void)snprintf(ret, WORD_MAX, "%.*s", (int)(n < WORD_MAX ? n : WORD_MAX - 1), *p);
    *p += n;
    return n > 0;
}

/* ---- scripts that call scripts ---- */

static bool runs_scripts(const char *command)
{
    static const char *const runners[] = {"npm",   "pnpm",  "yarn",        "bun",
                                          "--run", "run-s", "npm-run-all", "run-p"};
    char word[WORD_MAX];

    while (next_word(&command, word))
        for (size_t i = 0; i < sizeof(runners) / sizeof(runners[0]); i++)
            if (strcmp(word, runners[i]) == 0)
                return true;
    return false;
}

static void reach(const struct node_package *p, const char *name, const char **texts, size_t *n)
{
    const char *text = node_package_text(p, "scripts", name);

    for (size_t i = 0; i < *n && text; i++)
        if (texts[i] == text)
            text = NULL;
    if (text && *n < SCRIPTS_MAX && strlen(text) <= SCRIPT_MAX)
        texts[(*n)++] = text;
}

/* The command and the texts of the scripts it comes to, with those that npm runs before and after
 * each.  A text is in the list once, so scripts that call each other end. */
static size_t reach_all(const struct node_package *p, const char *command,
                        const char *texts[SCRIPTS_MAX])
{
    static const char *const hooks[] = {"", "pre", "post"};
    char word[WORD_MAX], name[WORD_MAX + 8];
    size_t n = 0;

    texts[n++] = command;
    for (size_t i = 0; i < n; i++) {
        const char *rest = texts[i];

        if (!runs_scripts(rest))
            continue;
        while (next_word(&rest, word))
            for (size_t k = 0; k < sizeof(hooks) / sizeof(hooks[0]); k++) {
                const char *plain = text_starts(word, "npm:") ? word + 4 : word;

                (void)snprintf(name, sizeof(name), "%s%s", hooks[k], plain);
                reach(p, name, texts, &n);
            }
    }
    return n;
}

/* ---- questions ---- */

/* "node_modules/.bin/tsx" and "node_modules/tsx/cli.mjs" without what comes before "tsx". */
static char *without_directories(char *word)
{
    static const char modules[] = "node_modules/", bin[] = ".bin/";
    char *inside = strstr(word, modules);

    if (inside)
        word = inside + strlen(modules);
    return text_starts(word, bin) ? word + strlen(bin) : word;
}

static bool names_package(char *word, const char *name)
{
    size_t n = strlen(name);

    word = without_directories(word);
    return strncmp(word, name, n) == 0 && (word[n] == '\0' || word[n] == '/');
}

static bool text_uses(const char *text, const char *name)
{
    char word[WORD_MAX];

    while (next_word(&text, word))
        if (names_package(word, name))
            return true;
    return false;
}

bool node_script_uses(const struct node_package *p, const char *command, const char *name)
{
    const char *texts[SCRIPTS_MAX];
    size_t n = reach_all(p, command, texts);

    for (size_t i = 0; i < n; i++)
        if (text_uses(texts[i], name))
            return true;
    return false;
}

/* Programs whose package has another name. */
static const struct {
    const char *program, *package;
} programs[] = {{"tsc", "typescript"},
                {"tsnd", "ts-node-dev"},
                {"dotenv", "dotenv-cli"},
                {"babel-node", "@babel/node"},
                {"nest", "@nestjs/cli"},
                {"react-router-serve", "@react-router/serve"},
                {"remix-serve", "@remix-run/serve"},
                {"run-s", "npm-run-all"},
                {"run-p", "npm-run-all"}};

/* "@scope/tool" of development, which commonly has a program "tool". */
static void find_scoped(const struct node_package *p, struct argv *ret)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    node_package_keys(p, "devDependencies", &names);
    for (size_t i = 0; i < names.n && ret->n < SCOPED_MAX; i++)
        if (names.v[i][0] == '@' && strchr(names.v[i], '/'))
            argv_push1(ret, names.v[i]);
}

static bool is_of_development(const struct node_package *p, const char *name)
{
    return !text_starts(name, "@types/") && node_package_develops(p, name);
}

/* The package of development that a word stands for; NULL without.  Cuts the word. */
static const char *package_of_word(const struct node_package *p, const struct argv *scoped,
                                   char *word)
{
    char *name = without_directories(word), *end = strchr(name, '/');

    if (*name == '@' && end)
        end = strchr(end + 1, '/');
    if (end)
        *end = '\0';
    if (is_of_development(p, name))
        return name;
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(name, programs[i].program) == 0 && is_of_development(p, programs[i].package))
            return programs[i].package;
    for (size_t i = 0; i < scoped->n; i++) /* "node" is everybody's */
        if (strcmp(strchr(scoped->v[i], '/') + 1, name) == 0 && strcmp(name, "node") != 0 &&
            is_of_development(p, scoped->v[i]))
            return scoped->v[i];
    return NULL;
}

bool node_script_development(const struct node_package *p, const char *command, char *ret,
                             size_t size)
{
    CLEANUP(argv_release) struct argv scoped = ARGV_INIT;
    const char *texts[SCRIPTS_MAX], *package;
    size_t n = reach_all(p, command, texts);
    char word[WORD_MAX];

    find_scoped(p, &scoped);
    for (size_t i = 0; i < n; i++)
        for (const char *rest = texts[i]; next_word(&rest, word);)
            if ((package = package_of_word(p, &scoped, word))) {
                (void)snprintf(ret, size, "%s", package);
                return true;
            }
    return false;
}

bool node_script_file(const struct node_package *p, const char *command, char *ret, size_t size)
{
    static const char *const ends[] = {".js", ".mjs", ".cjs"};
    const char *texts[SCRIPTS_MAX];
    size_t n = reach_all(p, command, texts);
    char word[WORD_MAX];

    for (size_t i = 0; i < n; i++)
        for (const char *rest = texts[i]; next_word(&rest, word);)
            for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
                const char *path = text_starts(word, "./") ? word + 2 : word;

                if (!text_ends(path, ends[k]) || strchr("-/@.", *path) ||
                    strstr(path, "node_modules") || strstr(path, "..") || strlen(path) >= size)
                    continue;
                (void)snprintf(ret, size, "%s", path);
                return true;
            }
    return false;
}
