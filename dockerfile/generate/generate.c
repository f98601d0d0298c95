/* dockerfile/generate/generate — which language a project is of, and the frame around what that
 * language writes. */
#include "dockerfile/generate.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/generator.h"
#include "dockerfile/ignore.h"
#include "dockerfile/quote.h"
#include "dockerfile/suggest.h"

#define DOCKERFILE_MAX (256 << 10)
#define IGNORE_MAX     (64 << 10)
#define ELSEWHERE_MAX  200 /* names of the root that are looked at */

static const struct language *const languages[] = {&language_python, &language_node, &language_go,
                                                   &language_python_file};
#define N_LANGUAGES (sizeof(languages) / sizeof(languages[0]))

/* What no image needs, and what would spoil the cache or a secret. */
static const char default_ignore[] = ".git\n"
                                     ".gitignore\n"
                                     "**/node_modules\n"
                                     "**/.venv\n"
                                     "**/venv\n"
                                     "**/__pycache__\n"
                                     "**/*.pyc\n"
                                     "**/.pytest_cache\n"
                                     "**/.mypy_cache\n"
                                     "**/.next\n"
                                     ".env\n"
                                     ".env.*\n"
                                     ".docker\n"
                                     ".blaxel\n"
                                     "**/.DS_Store\n"
                                     ".idea\n"
                                     ".vscode\n";

void dockerfile_generation_init(struct dockerfile_generation *g)
{
    *g = (struct dockerfile_generation){.text = BUF_INIT(DOCKERFILE_MAX),
                                        .ignore = BUF_INIT(IGNORE_MAX),
                                        .notes = ARGV_INIT,
                                        .warnings = ARGV_INIT};
}

void dockerfile_generation_release(struct dockerfile_generation *g)
{
    buf_release(&g->text);
    buf_release(&g->ignore);
    argv_release(&g->notes);
    argv_release(&g->warnings);
}

/* ---- reading ---- */

int generator_has(struct generator *g, const char *path, bool *ret, struct error *err)
{
    enum source_kind kind;

    if (g->source->kind(g->source->self, path, &kind, err) < 0)
        return -1;
    *ret = kind == SOURCE_FILE;
    return 0;
}

int generator_first(struct generator *g, const char *const *names, const char **ret,
                    struct error *err)
{
    bool has = false;

    for (; *names; names++) {
        if (generator_has(g, *names, &has, err) < 0)
            return -1;
        if (has)
            break;
    }
    *ret = *names;
    return 0;
}

int generator_read(struct generator *g, const char *path, struct buf *out, bool *ret_found,
                   struct error *err)
{
    if (g->source->read(g->source->self, path, out, ret_found, err) < 0)
        return -1;
    if (*ret_found && out->len >= 3 && memcmp(out->data, "\xef\xbb\xbf", 3) == 0) {
        memmove(out->data, out->data + 3, out->len - 3 + 1);
        out->len -= 3;
    }
    return 0;
}

/* ---- the language ---- */

/* A file that is there under a name that is nearly one that was looked for. */
static int find_misspelt(struct generator *g, char hint[SUGGEST_SIZE], const char **ret_name,
                         struct argv *names, struct error *err)
{
    static const char *const known[] = {
        "requirements.txt", "pyproject.toml", "package.json", "go.mod", "Dockerfile",
        "Pipfile",          "setup.py",       "main.py",      "app.py", NULL};

    *ret_name = NULL;
    if (g->source->list(g->source->self, "", names, err) < 0)
        return -1;
    for (size_t i = 0; i < names->n && !*ret_name; i++)
        if (!text_is_among(names->v[i], known) &&
            (*suggest(names->v[i], known, false, hint) || *suggest(names->v[i], known, true, hint)))
            *ret_name = names->v[i];
    return 0;
}

/* A file that says which language it is, one that no Dockerfile is made for. */
static const char *find_other(const struct argv *names, const char **ret_language)
{
    static const char *const others[][2] = {
        {"Cargo.toml", "Rust"},         {"pom.xml", "Java"},        {"build.gradle", "Java"},
        {"build.gradle.kts", "Kotlin"}, {"Gemfile", "Ruby"},        {"composer.json", "PHP"},
        {"mix.exs", "Elixir"},          {"deno.json", "Deno"},      {"Package.swift", "Swift"},
        {"CMakeLists.txt", "C or C++"}, {"index.html", "a website"}};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        *ret_language = others[i][1];
        if (argv_contains(names, others[i][0]))
            return others[i][0];
    }
    return NULL;
}

/* A Dockerfile that only [build] dockerfile would find: of another name in the root, or of that
 * name one directory below.  *ret stays "" without one. */
static int find_elsewhere(struct generator *g, const struct argv *names, char *ret, size_t size,
                          struct error *err)
{
    for (size_t i = 0; i < names->n && i < ELSEWHERE_MAX && !*ret; i++) {
        const char *name = names->v[i];
        enum source_kind kind = SOURCE_NONE;
        char path[256];

        (void)snprintf(path, sizeof(path), "%s%s", name, text_ends(name, "/") ? "Dockerfile" : "");
        if (!text_ends(name, "/") && !text_starts(name, "Dockerfile.") &&
            !text_ends(name, ".Dockerfile"))
            continue;
        if (g->source->kind(g->source->self, path, &kind, err) < 0)
            return -1;
        if (kind == SOURCE_FILE && !text_ends(path, ".dockerignore"))
            (void)snprintf(ret, size, "%s", path);
    }
    return 0;
}

static int refuse(struct generator *g, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP(buf_release) struct buf looked = BUF_INIT(4096);
    char elsewhere[256] = "", quoted[QUOTE_SIZE];
    char hint[SUGGEST_SIZE] = "";
    const char *misspelt, *other, *language;

    if (find_misspelt(g, hint, &misspelt, &names, err) < 0 ||
        find_elsewhere(g, &names, elsewhere, sizeof(elsewhere), err) < 0)
        return -1;
    if (*elsewhere)
        return error_set(err, ERR_INPUT,
                         "no Dockerfile in the root, and no language detected; to build with the "
                         "one that is there, set [build] dockerfile = %s in blaxel.toml",
                         quote_short(elsewhere, quoted));
    other = misspelt ? NULL : find_other(&names, &language);
    if (other)
        return error_set(
            err, ERR_INPUT,
            "no Dockerfile, and none is made for %s (%s), only for Python, JavaScript, "
            "TypeScript and Go: add a Dockerfile",
            language, other);
    for (size_t i = 0; i < N_LANGUAGES; i++)
        buf_addf(&looked, "%s%s", i ? ", " : "", languages[i]->looked_for);
    return error_set(err, ERR_INPUT,
                     "no Dockerfile, and no language detected: looked for %s%s%.100s%s; add one of "
                     "them, or a Dockerfile",
                     buf_str(&looked), misspelt ? "; there is " : "", misspelt ? misspelt : "",
                     misspelt ? hint : "");
}

static int detect(struct generator *g, const struct language **ret, struct error *err)
{
    CLEANUP(buf_release) struct buf others = BUF_INIT(1024);
    const char *reason, *first = NULL;

    *ret = NULL;
    for (size_t i = 0; i < N_LANGUAGES; i++) {
        if (languages[i]->detect(g, &reason, err) < 0)
            return -1;
        if (!reason)
            continue;
        if (!*ret) {
            *ret = languages[i];
            first = reason;
        } else if (strcmp(languages[i]->name, (*ret)->name) != 0) {
            buf_addf(&others, "%s%s (%s)", others.len ? ", " : "", languages[i]->name, reason);
        }
    }
    if (!*ret)
        return refuse(g, err);
    (void)snprintf(g->out->language, sizeof(g->out->language), "%s", (*ret)->name);
    generator_note(g, "Detected %s (%s)", (*ret)->name, first);
    if (others.len)
        generator_warn(g, "more than one language: took %s (%s), not %s", (*ret)->name, first,
                       buf_str(&others));
    return 0;
}

/* ---- all of it ---- */

static int write_ignore(struct generator *g, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    const char *own = NULL;

    dockerfile_ignore_names("Dockerfile", &names);
    if (names.failed)
        return error_set(err, ERR_SYSTEM, "generate a Dockerfile: out of memory");
    if (generator_first(g, (const char *const *)names.v, &own, err) < 0)
        return -1;
    if (!own)
        buf_adds(&g->out->ignore, default_ignore);
    return 0;
}

static int check(const struct dockerfile_generation *out, struct error *err)
{
    if (buf_check(&out->text, "the generated Dockerfile", err) < 0 ||
        buf_check(&out->ignore, "the generated ignore rules", err) < 0)
        return -1;
    if (out->notes.failed || out->warnings.failed)
        return error_set(err, ERR_SYSTEM, "generate a Dockerfile: out of memory");
    return 0;
}

static int generate(struct generator *g, struct error *err)
{
    const struct language *language;

    if (detect(g, &language, err) < 0 || generator_start_from_project(g, err) < 0)
        return -1;
    draft_line(g, "", "# Made by Kiln for a project without a Dockerfile: %s %s.", language->name,
               g->type);
    draft_line(g, "",
               "# To take it over, save it as \"Dockerfile\" in the project's root: "
               "kiln generate DIR.");
    draft_gap(g);
    if (language->write(g, err) < 0 || write_ignore(g, err) < 0)
        return -1;
    return check(g->out, err);
}

int dockerfile_generate(const struct dockerfile_source *source,
                        const struct dockerfile_settings *settings, const char *type,
                        struct dockerfile_generation *ret, struct error *err)
{
    struct generator g = {.source = source, .settings = settings, .type = type, .out = ret};
    int r = generate(&g, err);

    argv_release(&g.start.words);
    return r;
}
