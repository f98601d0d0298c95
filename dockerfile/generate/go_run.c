/* dockerfile/generate/go_run — see the header. */
#include "dockerfile/generate/go_run.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/quote.h"

#define WORD_MAX 256

/* The blank-separated word at *line, which moves to the next one: false at the end, and for a word
 * that is longer than any that is looked for. */
static bool next(const char **line, char ret[WORD_MAX])
{
    size_t len = strcspn(*line, " \t");

    if (len == 0 || len >= WORD_MAX)
        return false;
    memcpy(ret, *line, len);
    ret[len] = '\0';
    *line += len + strspn(*line + len, " \t");
    return true;
}

static int refuse(const struct generator *g, const char *word, const char *what, struct error *err)
{
    char quoted[QUOTE_SIZE];

    return error_set(err, ERR_INPUT, "%s: %s %s", g->start.why, quote_short(word, quoted), what);
}

/* ---- flags ---- */

/* Those whose value may be the next word (go help build); any other has none, or has it after =. */
static bool takes_value(const char *flag)
{
    static const char *const flags[] = {
        "tags",      "mod",      "modfile",       "ldflags",    "gcflags",  "asmflags", "p",
        "exec",      "overlay",  "pgo",           "buildmode",  "compiler", "pkgdir",   "toolexec",
        "covermode", "coverpkg", "installsuffix", "gccgoflags", "C",        NULL};
    const char *const *f = flags;

    while (*f && strcmp(flag, *f) != 0)
        f++;
    return *f != NULL;
}

static bool is_tag_list(const char *s)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,";

    return *s && s[strspn(s, allowed)] == '\0';
}

/* -tags goes to the build; the others are about a run on the user's machine. */
static int read_flag(struct generator *g, char *word, const char **line, struct go_command *ret,
                     struct error *err)
{
    char *name = word + 1 + (word[1] == '-'), *equals = strchr(name, '=');
    const char *value = equals ? equals + 1 : NULL;
    char next_word[WORD_MAX] = "", quoted[QUOTE_SIZE];

    if (equals)
        *equals = '\0';
    else if (takes_value(name))
        value = next(line, next_word) ? next_word : "";
    if (strcmp(name, "C") == 0)
        return refuse(g, "-C", "is not known here: name the package by its path from the root",
                      err);
    if (strcmp(name, "tags") != 0) {
        generator_warn(g, "%s: the flag %s of go run is left out", g->start.why,
                       quote_short(name, quoted));
        return 0;
    }
    if (!value || !is_tag_list(value))
        return refuse(g, value ? value : "", "is no list of build tags", err);
    (void)snprintf(ret->tags, sizeof(ret->tags), "%s", value);
    return 0;
}

/* ---- packages ---- */

/* The directory, from the root, of "./cmd/api", "cmd/api" or "example.com/module/cmd/api". */
static bool package_dir(const struct go_module *module, const char *word, char ret[GO_PATH_MAX])
{
    const char *name = module->module.value;
    size_t len = name ? strlen(name) : 0;

    if (len && text_starts(word, name) && (word[len] == '\0' || word[len] == '/'))
        word += len + (word[len] == '/');
    return go_path_join("", word, ret) && (!*ret || go_path_is_plain(ret));
}

static int read_package(struct generator *g, const struct go_module *module, const char *word,
                        struct go_command *ret, struct error *err)
{
    struct go_target *t = &ret->target;
    bool is = false;

    if (!package_dir(module, word, t->dir))
        return refuse(g, word, "is no directory of the project", err);
    if (go_target_is_program(g, t->dir, &is, err) < 0)
        return -1;
    if (!is)
        return refuse(g, word, "is no package main of the project", err);
    (void)snprintf(t->package, sizeof(t->package), "%s%s", *t->dir ? "./" : ".", t->dir);
    return 0;
}

/* One of the files that make up the program. */
static int read_file(struct generator *g, const char *word, struct go_target *t, struct error *err)
{
    char path[GO_PATH_MAX];
    size_t used = strlen(t->package);
    bool has = false;

    if (!go_path_join("", word, path) || !go_path_is_plain(path))
        return refuse(g, word, "is no file of the project", err);
    if (generator_has(g, path, &has, err) < 0)
        return -1;
    if (!has)
        return refuse(g, word, "is not in the project", err);
    if (used + strlen(path) + 4 > sizeof(t->package))
        return error_set(err, ERR_LIMIT, "%s: more files than are built by name", g->start.why);
    (void)snprintf(t->package + used, sizeof(t->package) - used, "%s./%s", used ? " " : "", path);
    *(strrchr(path, '/') ? strrchr(path, '/') : path) = '\0';
    memcpy(t->dir, path, strlen(path) + 1);
    return 0;
}

static int read_files(struct generator *g, char word[WORD_MAX], const char **line,
                      struct go_command *ret, struct error *err)
{
    const char *rest = *line;

    do {
        *line = rest;
        if (read_file(g, word, &ret->target, err) < 0)
            return -1;
    } while (next(&rest, word) && text_ends(word, ".go"));
    return 0;
}

int go_run_read(struct generator *g, const struct go_module *module, const char *line,
                struct go_command *ret, const char **ret_arguments, struct error *err)
{
    char word[WORD_MAX];
    int r;

    if (!next(&line, word) || !next(&line, word) || strcmp(word, "run") != 0)
        return error_set(err, ERR_INPUT,
                         "%s: of the go command, only \"go run ./DIRECTORY\" says what to build "
                         "and start",
                         g->start.why);
    do {
        if (!next(&line, word))
            return refuse(g, "go run", "without a package", err);
        if (word[0] != '-')
            break;
        if (read_flag(g, word, &line, ret, err) < 0)
            return -1;
    } while (true);
    r = text_ends(word, ".go") ? read_files(g, word, &line, ret, err)
                               : read_package(g, module, word, ret, err);
    if (r < 0)
        return -1;
    (void)snprintf(ret->target.why, sizeof(ret->target.why), "%s", g->start.why);
    *ret_arguments = line;
    return 0;
}
