/* dockerfile/generate/node_start — the command that starts the program, and what has to be
 * compiled or kept so that it does.
 *
 * The order is that of the platform's own client (scripts prod and start, then files by name),
 * then main of package.json, then TypeScript that nothing builds. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define PATH_MAX_BYTES 256
#define COMMAND_MAX    16384
#define WHY_MAX        128

static const char *const files[] = {
    "dist/index.js", "dist/app.js",  "dist/server.js", "index.js",      "app.js",
    "server.js",     "src/index.js", "src/app.js",     "src/server.js", "index.mjs",
    "server.mjs",    "main.js",      "src/index.mjs",  "src/main.js",   NULL};

static const char *const typescript_files[] = {
    "src/index.ts", "src/app.ts", "src/server.ts", "src/main.ts",   "index.ts",  "app.ts",
    "server.ts",    "main.ts",    "src/index.mts", "src/index.cts", "index.mts", NULL};

/* tsc writes beside the sources, whatever tsconfig.json says about where: then the path of the
 * program is known, and paths that it has relative to its own file stay right.  "null" takes a
 * setting of tsconfig.json back (TypeScript 4.9 to 7). */
#define TSC_IN_PLACE                                                                               \
    "node_modules/.bin/tsc -p . --rootDir . --outDir null --declarationDir null --noEmit false "   \
    "--emitDeclarationOnly false --allowJs false --checkJs false --skipLibCheck"
#define TSC_AS_CONFIGURED "node_modules/.bin/tsc -p ."

struct search {
    struct generator *g;
    const struct node_package *p;
    const struct node_version *version;
    const struct node_choice *c;
    const struct node_workspaces *w;
    const char *runtime; /* "node" or "bun" */
    struct node_start *out;
};

/* ---- scripts ---- */

/* What a shell does itself: no program of that name is there. */
static bool is_builtin(const char *word)
{
    static const char *const builtins[] = {"cd",   "export", "set", "source", ".",
                                           "exec", "eval",   "if",  "for",    "while"};

    for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++)
        if (strcmp(word, builtins[i]) == 0)
            return true;
    return false;
}

static bool has_hooks(const struct node_package *p, const char *script)
{
    char pre[32], post[32];

    (void)snprintf(pre, sizeof(pre), "pre%s", script);
    (void)snprintf(post, sizeof(post), "post%s", script);
    return node_package_text(p, "scripts", pre) || node_package_text(p, "scripts", post);
}

/* A plain command is run as it is: signals reach it, and no package manager waits beside it. */
static int start_script(struct search *s, const char *script, struct error *err)
{
    const char *text = node_package_text(s->p, "scripts", script);
    char why[64];

    if (!text)
        return 0;
    (void)snprintf(why, sizeof(why), "scripts.%s in package.json", script);
    if (generator_start_line(s->g, text, why, err) < 0)
        return -1;
    if (s->g->start.shell || has_hooks(s->p, script) || is_builtin(s->g->start.words.v[0]))
        generator_start_words(s->g, why, s->c->manager->name, "run", script, NULL);
    return 0;
}

/* ---- files ---- */

static const char *explain(const char *file, char why[WHY_MAX])
{
    (void)snprintf(why, WHY_MAX, "%s is there, and package.json has no script prod or start", file);
    return why;
}

static int start_file(struct search *s, const char *const *names, struct error *err)
{
    const char *file;
    char why[WHY_MAX];

    if (generator_first(s->g, names, &file, err) < 0)
        return -1;
    if (file)
        generator_start_words(s->g, explain(file, why), s->runtime, file, NULL);
    return 0;
}

/* main, if it is there, or will be when a script has built it.  One that ends in .ts is left to
 * the search for TypeScript. */
static int start_main(struct search *s, struct error *err)
{
    static const char *const forms[] = {"%s", "%s.js", "%s/index.js"};
    const char *text = node_package_text(s->p, NULL, "main");
    char path[PATH_MAX_BYTES + 16];
    bool has = node_package_text(s->p, "scripts", "build") != NULL;

    if (!text || strlen(text) > PATH_MAX_BYTES || text_ends(text, "ts"))
        return 0;
    text += text_starts(text, "./") ? 2 : 0;
    if (*text == '\0' || *text == '/' || strstr(text, ".."))
        return 0;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && !has; i++) {
        (void)snprintf(path, sizeof(path), "%s%s", text, forms[i] + 2);
        if (generator_has(s->g, path, &has, err) < 0)
            return -1;
    }
    if (has)
        generator_start_words(s->g, "main in package.json", s->runtime, text, NULL);
    return 0;
}

/* ---- TypeScript ---- */

static bool has_package(const struct search *s, const char *name)
{
    return node_package_depends(s->p, name) || node_package_develops(s->p, name);
}

/* "src/index.ts" and what tsc makes of it, "src/index.js". */
static void compile(struct search *s, const char *file)
{
    size_t stem = strlen(file) - strlen("ts");
    char built[64], why[WHY_MAX];

    s->out->compile = TSC_IN_PLACE;
    (void)snprintf(s->out->compile_why, sizeof(s->out->compile_why),
                   "TypeScript without a build script: tsconfig.json, typescript in package.json");
    (void)snprintf(built, sizeof(built), "%.*sjs", (int)stem, file);
    generator_start_words(s->g, explain(file, why), s->runtime, built, NULL);
}

/* A project that imports "./x.ts", which tsc leaves as it is, is written to run without tsc. */
static int is_for_stripping(struct search *s, const char *config, bool *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found;

    if (generator_read(s->g, config, &text, &found, err) < 0)
        return -1;
    *ret = node_version_strips_types(s->version) &&
           strstr(buf_str(&text), "\"allowImportingTsExtensions\"");
    return 0;
}

static int strip_types(struct search *s, const char *file, const char *why, struct error *err)
{
    if (!node_version_strips_types(s->version))
        return error_set(err, ERR_INPUT,
                         "%s: nothing compiles it (no scripts.build, no tsx or typescript in "
                         "package.json), and only Node.js 22.18 and later runs it as it is; add a "
                         "build script, or set engines.node in package.json to \">=22.18\"",
                         file);
    generator_start_words(s->g, why, s->runtime, file, NULL);
    generator_warn(s->g,
                   "%s is run as it is: Node.js leaves types out, and nothing checks them; enums "
                   "and imports without .ts fail",
                   file);
    return 0;
}

static int start_typescript(struct search *s, struct error *err)
{
    bool has_config, strips = false;
    char why[WHY_MAX];
    const char *file;

    if (generator_first(s->g, typescript_files, &file, err) < 0 ||
        generator_has(s->g, "tsconfig.json", &has_config, err) < 0)
        return -1;
    if (!file)
        return 0;
    (void)explain(file, why);
    if (has_config && is_for_stripping(s, "tsconfig.json", &strips, err) < 0)
        return -1;
    if (node_choice_is_bun(s->c))
        generator_start_words(s->g, why, s->runtime, file, NULL);
    else if (has_package(s, "tsx"))
        generator_start_words(s->g, why, "tsx", file, NULL);
    else if (node_package_text(s->p, "scripts", "build"))
        return 0; /* what it writes, and where, is not said */
    else if (has_config && has_package(s, "typescript") && !strips)
        compile(s, file);
    else
        return strip_types(s, file, why, err);
    return 0;
}

/* A start command for a file that only tsc can make: "node dist/index.js" without a build. */
static int check_file(struct search *s, const char *command, struct error *err)
{
    char path[PATH_MAX_BYTES];
    bool has, has_config;

    if (s->out->compile || node_package_text(s->p, "scripts", "build") ||
        !node_script_file(s->p, command, path, sizeof(path)))
        return 0;
    if (generator_has(s->g, path, &has, err) < 0 ||
        generator_has(s->g, "tsconfig.json", &has_config, err) < 0)
        return -1;
    if (has)
        return 0;
    if (has_config && has_package(s, "typescript")) {
        s->out->compile = TSC_AS_CONFIGURED;
        (void)snprintf(s->out->compile_why, sizeof(s->out->compile_why),
                       "no build script, and %.80s is not there: tsconfig.json", path);
    } else {
        generator_warn(s->g, "%s: %s is not in the project, and no build script makes it",
                       s->g->start.why, path);
    }
    return 0;
}

/* ---- what the command needs in the final image ---- */

static void keep(struct search *s, const char *package, const char *where)
{
    (void)snprintf(s->out->keep, sizeof(s->out->keep),
                   "the start command uses %.90s, which is in devDependencies of %.80s", package,
                   where);
}

/* Of a monorepo the command may start one of its packages, whose scripts and dependencies count. */
static int find_development(struct search *s, const char *command, struct error *err)
{
    char package[100], path[400];
    bool found;

    if (node_script_development(s->p, command, package, sizeof(package)))
        keep(s, package, "package.json");
    for (size_t i = 0; i < s->w->directories.n && !s->out->keep[0]; i++) {
        CLEANUP(node_package_release) struct node_package p = {NULL};

        (void)snprintf(path, sizeof(path), "%s/package.json", s->w->directories.v[i]);
        if (node_package_read(s->g, path, &p, &found, err) < 0)
            return -1;
        if (found && node_script_development(&p, command, package, sizeof(package)))
            keep(s, package, path);
    }
    return 0;
}

static int examine(struct search *s, struct error *err)
{
    CLEANUP(buf_release) struct buf command = BUF_INIT(COMMAND_MAX);
    const struct argv *words = &s->g->start.words;

    for (size_t i = 0; i < words->n; i++)
        buf_addf(&command, "%s%s", i ? " " : "", words->v[i]);
    if (buf_check(&command, "the start command", err) < 0 ||
        check_file(s, buf_str(&command), err) < 0 ||
        find_development(s, buf_str(&command), err) < 0)
        return -1;
    s->out->uses_manager = node_script_uses(s->p, buf_str(&command), s->c->manager->name);
    return 0;
}

static int refuse(const struct search *s, struct error *err)
{
    if (node_package_text(s->p, "scripts", "build"))
        return error_set(err, ERR_INPUT,
                         "nothing says what starts the program that scripts.build in package.json "
                         "makes: set [entrypoint] prod in blaxel.toml, or scripts.prod, "
                         "scripts.start or main in package.json");
    if (s->w->directories.n > 0)
        return error_set(err, ERR_INPUT,
                         "nothing says which of the workspaces starts (%.100s%s): set [entrypoint] "
                         "prod in blaxel.toml, as in prod = \"cd %.100s && %s start\"",
                         s->w->directories.v[0], s->w->directories.n > 1 ? ", …" : "",
                         s->w->directories.v[0], s->c->manager->name);
    return error_set(
        err, ERR_INPUT,
        "nothing says what starts the program: no [entrypoint] prod in blaxel.toml, "
        "no Procfile, no scripts.prod, scripts.start or main in package.json, and "
        "none of index.js, app.js, server.js, or the same in dist or src, or with .ts");
}

int node_start_find(struct generator *g, const struct node_project *project, struct node_start *ret,
                    struct error *err)
{
    struct search s = {.g = g,
                       .p = &project->package,
                       .version = &project->version,
                       .c = &project->choice,
                       .w = &project->workspaces,
                       .out = ret};

    *ret = (struct node_start){.uses_manager = false};
    s.runtime = node_choice_is_bun(s.c) ? "bun" : "node";
    if (!g->start.found && start_script(&s, "prod", err) < 0)
        return -1;
    if (!g->start.found && start_script(&s, "start", err) < 0)
        return -1;
    if (!g->start.found && start_file(&s, files, err) < 0)
        return -1;
    if (!g->start.found && start_main(&s, err) < 0)
        return -1;
    if (!g->start.found && start_typescript(&s, err) < 0)
        return -1;
    return g->start.found ? examine(&s, err) : refuse(&s, err);
}
