/* dockerfile/generate/python_start — the command that starts a Python program, when the project's
 * configuration does not say: a framework, the entry files, a package with a __main__.py, and at
 * last a command that installing the project makes. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define COMMAND_MAX 16384

/* ---- entry files ---- */

/* __main__.py beside a file that does nothing when it is run: the package is the program. */
static int has_main_beside(struct generator *g, const struct python_entry *e, bool *ret,
                           char package[160], struct error *err)
{
    const char *slash = strrchr(e->path, '/');
    char path[200];

    *ret = false;
    if (!slash || e->has_guard)
        return 0;
    (void)snprintf(package, 160, "%.*s", (int)(slash - e->path), e->path);
    (void)snprintf(path, sizeof(path), "%s/__main__.py", package);
    return generator_has(g, path, ret, err);
}

/* "python -m module", with the directory that it is found in, unless it is installed. */
static int start_module(struct generator *g, const struct python_choice *c, const char *root,
                        const char *module, const char *why, struct error *err)
{
    char command[400];

    if (c->package_why)
        root = "";
    (void)snprintf(command, sizeof(command), "%s%s%spython -m %s", *root ? "PYTHONPATH=" : "", root,
                   *root ? " " : "", module);
    return generator_start_line(g, command, why, err);
}

/* "src/demo" is the package demo in src; "demo" is itself. */
static int start_package(struct generator *g, const struct python_choice *c, const char *dir,
                         struct error *err)
{
    bool in_src = strncmp(dir, "src/", 4) == 0;
    char why[200];

    (void)snprintf(why, sizeof(why), "entry file %s/__main__.py", dir);
    return start_module(g, c, in_src ? "src" : "", in_src ? dir + 4 : dir, why, err);
}

static int try_file(struct generator *g, const struct python_choice *c, const char *path,
                    struct error *err)
{
    CLEANUP(python_entry_release) struct python_entry e;
    char package[160], why[200];
    bool found, beside;

    if (python_entry_read(g, path, &e, &found, err) < 0)
        return -1;
    if (!found)
        return 0;
    if (has_main_beside(g, &e, &beside, package, err) < 0)
        return -1;
    if (beside)
        return start_package(g, c, package, err);
    if (e.must_be_module) {
        (void)snprintf(why, sizeof(why), "entry file %s, which imports from its own package", path);
        return start_module(g, c, e.root, e.module, why, err);
    }
    (void)snprintf(why, sizeof(why), "entry file %s", path);
    generator_start_words(g, why, "python", path, NULL);
    return 0;
}

/* ---- packages ---- */

/* The directories of parent that hold a __main__.py; the first of them starts. */
static int try_packages(struct generator *g, const struct python_choice *c, const char *parent,
                        struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (g->source->list(g->source->self, parent, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n && !g->start.found; i++) {
        char dir[128], path[160];
        size_t n = strlen(names.v[i]);
        bool has;

        if (n < 2 || n > 64 || names.v[i][n - 1] != '/')
            continue;
        names.v[i][n - 1] = '\0';
        if (!python_is_identifier(names.v[i]))
            continue;
        (void)snprintf(dir, sizeof(dir), "%s%s%s", parent, *parent ? "/" : "", names.v[i]);
        (void)snprintf(path, sizeof(path), "%s/__main__.py", dir);
        if (generator_has(g, path, &has, err) < 0)
            return -1;
        if (has && start_package(g, c, dir, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- commands ---- */

/* The command of the project's own name, else the only one. */
static void try_scripts(struct generator *g, const struct python_project *p,
                        const struct python_choice *c)
{
    const char *chosen = p->scripts.n == 1 ? p->scripts.v[0] : NULL;

    if (!c->package_why || p->scripts.n == 0)
        return;
    if (argv_contains(&p->scripts, p->name))
        chosen = p->name;
    if (!chosen) {
        generator_warn(g, "several commands in [project.scripts], none of the project's own name");
        return;
    }
    if (chosen[strspn(chosen, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "._-")] == '\0' &&
        *chosen)
        generator_start_words(g, "the command in [project.scripts] of pyproject.toml", chosen,
                              NULL);
}

/* ---- runners ---- */

/* "uv run main.py" needs uv, which the final image has not; the environment that it would look for
 * is on PATH there. */
static const char *const runners[] = {"uv run ", "poetry run ", "pdm run ", "pipenv run ", NULL};

static void join(const struct argv *words, struct buf *out)
{
    for (size_t i = 0; i < words->n; i++)
        buf_addf(out, "%s%s", i ? " " : "", words->v[i]);
}

static const char *without_prefix(const char *s, const char *const *prefixes)
{
    for (; *prefixes; prefixes++)
        if (text_starts(s, *prefixes))
            return s + strlen(*prefixes);
    return NULL;
}

/* What follows the runner's options, those that say nothing of what is run; "" when another one
 * does. */
static const char *skip_options(const char *s)
{
    static const char *const options[] = {"--frozen ", "--locked ",  "--no-sync ",
                                          "--no-dev ", "--offline ", "--quiet ",
                                          "-q ",       "-- ",        NULL};
    const char *next;

    while ((next = without_prefix(s, options)))
        s = next;
    return *s == '-' && !text_starts(s, "-m ") ? "" : s;
}

static void warn_of_runner(struct generator *g, const char *command)
{
    for (const char *const *r = runners; *r; r++)
        if (strstr(command, *r))
            generator_warn(g,
                           "the start command uses \"%s\": that program is not in the final image; "
                           "the project's environment is on PATH there without it",
                           *r);
}

/* "-m src" and "main.py" are Python's to run. */
static bool is_python(const char *command)
{
    size_t n = strcspn(command, " \t");

    return *command == '-' || (n > 3 && strncmp(command + n - 3, ".py", 3) == 0);
}

static int drop_runner(struct generator *g, struct error *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT(COMMAND_MAX), rest = BUF_INIT(COMMAND_MAX);
    char why[sizeof(g->start.why)];
    const char *s, *command;

    join(&g->start.words, &line);
    s = buf_str(&line);
    if (g->start.shell && text_starts(s, "exec "))
        s += strlen("exec ");
    command = without_prefix(s, runners);
    command = command ? skip_options(command) : "";
    if (!*command) {
        warn_of_runner(g, s);
        return buf_check(&line, "the start command", err);
    }
    generator_note(g,
                   "\"%.*s\" is left out of the start command: the project's environment is on "
                   "PATH without it",
                   (int)(command - s) - 1, s);
    warn_of_runner(g, command);
    buf_addf(&rest, "%s%s", is_python(command) ? "python " : "", command);
    if (buf_check(&rest, "the start command", err) < 0)
        return -1;
    (void)snprintf(why, sizeof(why), "%s", g->start.why);
    return generator_start_line(g, buf_str(&rest), why, err);
}

/* ---- all of it ---- */

static int refuse(struct generator *g, struct error *err)
{
    CLEANUP(buf_release) struct buf looked = BUF_INIT(1024);

    if (generator_is_root(g)) {
        generator_note(g, "No program to start was found: the sandbox waits for one");
        return 0;
    }
    for (const char *const *f = python_entry_files; *f; f++)
        buf_addf(&looked, "%s, ", *f);
    return error_set(err, ERR_INPUT,
                     "no entry point found: looked for [entrypoint] prod in blaxel.toml, a "
                     "Procfile, %sserver.py, a package with a __main__.py, and [project.scripts] "
                     "in pyproject.toml; name the command in blaxel.toml ([entrypoint] prod = "
                     "\"python3 my_file.py\"), or add a Dockerfile",
                     buf_str(&looked));
}

int python_start_find(struct generator *g, const struct python_project *p,
                      const struct python_choice *c, struct error *err)
{
    CLEANUP(argv_release) struct argv paths = ARGV_INIT;

    if (g->start.found)
        return drop_runner(g, err);
    /* A job ends; a server does not. */
    if (strcmp(g->type, "job") != 0 && python_framework_start(g, p, err) < 0)
        return -1;
    if (!g->start.found && python_entry_paths(g, &paths, err) < 0)
        return -1;
    for (size_t i = 0; i < paths.n && !g->start.found; i++)
        if (try_file(g, c, paths.v[i], err) < 0)
            return -1;
    if (!g->start.found && (try_packages(g, c, "", err) < 0 || try_packages(g, c, "src", err) < 0))
        return -1;
    if (!g->start.found)
        try_scripts(g, p, c);
    return g->start.found ? 0 : refuse(g, err);
}
