/* dockerfile/generate/node_script — what a command line runs, the scripts of package.json that it
 * calls included.
 *
 * Words are looked at without their shell meaning: a word too many keeps a package in the image, a
 * word too few would make a program that does not start. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define SCRIPTS_MAX 32 /* that one command reaches */
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
    if (text && *n < SCRIPTS_MAX)
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

/* A word as a package: "node_modules/.bin/tsx", "node_modules/tsx/cli.mjs", "ts-node/register". */
static bool names_package(const char *word, const char *name)
{
    static const char modules[] = "node_modules/", bin[] = ".bin/";
    const char *inside = strstr(word, modules);
    size_t n = strlen(name);

    if (inside)
        word = inside + strlen(modules);
    if (text_starts(word, bin))
        word += strlen(bin);
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

static const char *find_package(const struct node_package *p, const struct argv *names,
                                const char *text)
{
    for (size_t i = 0; i < names->n; i++) {
        const char *name = names->v[i], *last = strrchr(name, '/');

        if (!node_package_develops(p, name) || text_starts(name, "@types/"))
            continue;
        /* "@scope/tool" commonly has a program "tool"; "node" is everybody's. */
        if (text_uses(text, name) ||
            (last && strcmp(last, "/node") != 0 && text_uses(text, last + 1)))
            return name;
        for (size_t k = 0; k < sizeof(programs) / sizeof(programs[0]); k++)
            if (strcmp(name, programs[k].package) == 0 && text_uses(text, programs[k].program))
                return name;
    }
    return NULL;
}

bool node_script_development(const struct node_package *p, const char *command, char *ret,
                             size_t size)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    const char *texts[SCRIPTS_MAX], *found = NULL;
    size_t n = reach_all(p, command, texts);

    node_package_keys(p, "devDependencies", &names);
    for (size_t i = 0; i < n && !found; i++)
        found = find_package(p, &names, texts[i]);
    if (found)
        (void)snprintf(ret, size, "%s", found);
    return found != NULL;
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
