/* dockerfile/generate/python_entry — the files a program may begin with, and how they import.
 *
 * "python src/main.py" puts src in front of the module path and knows no package; "python -m
 * src.main" does the opposite.  Which of them a file was written for shows in its imports. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define PACKAGES_MAX 50  /* directories that are looked into for entry files */
#define IMPORTS_MAX  200 /* import lines whose module is looked for */

/* The client's list (PROTOCOL.md 7.2). */
const char *const python_entry_files[] = {"app.py",     "main.py",    "api.py",      "app/main.py",
                                          "app/app.py", "app/api.py", "src/main.py", "src/app.py",
                                          "src/api.py", NULL};

static const char *const usual[] = {
    "server.py", "src/server.py", "app/server.py",    "wsgi.py",     "asgi.py", "run.py",
    "start.py",  "bot.py",        "streamlit_app.py", "__main__.py", NULL};
static const char *const in_package[] = {"main.py", "app.py", "api.py", "server.py", NULL};

bool python_is_identifier(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    if (!*s || !strchr(letters, *s))
        return false;
    for (; *s; s++)
        if (!strchr(letters, *s) && !(*s >= '0' && *s <= '9'))
            return false;
    return true;
}

void python_entry_release(struct python_entry *e)
{
    buf_release(&e->text);
}

/* ---- where they may be ---- */

/* dir/main.py and so on for each directory in parent that can be a package. */
static int add_packages(struct generator *g, const char *parent, struct argv *ret,
                        struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    size_t packages = 0;

    if (g->source->list(g->source->self, parent, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n && packages < PACKAGES_MAX; i++) {
        char *name = names.v[i];
        size_t n = strlen(name);

        if (n < 2 || n > 64 || name[n - 1] != '/')
            continue;
        name[n - 1] = '\0';
        if (!python_is_identifier(name) || strcmp(name, "tests") == 0 ||
            strcmp(name, "examples") == 0)
            continue;
        packages++;
        for (const char *const *f = in_package; *f; f++) {
            char path[160];

            (void)snprintf(path, sizeof(path), "%s%s%s/%s", parent, *parent ? "/" : "", name, *f);
            if (!argv_contains(ret, path))
                argv_push1(ret, path);
        }
    }
    return 0;
}

int python_entry_paths(struct generator *g, struct argv *ret, struct error *err)
{
    for (const char *const *f = python_entry_files; *f; f++)
        argv_push1(ret, *f);
    for (const char *const *f = usual; *f; f++)
        argv_push1(ret, *f);
    if (add_packages(g, "", ret, err) < 0 || add_packages(g, "src", ret, err) < 0)
        return -1;
    return ret->failed ? error_set(err, ERR_SYSTEM, "list entry files: out of memory") : 0;
}

/* ---- how one imports ---- */

/* "import x.y" and "from x import y" give x; "from . import y" and "from .x import y" give "." */
static bool imported(const char *line, char ret[64])
{
    size_t n;

    line += strspn(line, " \t");
    if (text_starts(line, "from "))
        line += strlen("from ");
    else if (text_starts(line, "import "))
        line += strlen("import ");
    else
        return false;
    line += strspn(line, " \t");
    n = *line == '.' ? 1 : strcspn(line, ". \t\r\n,;");
    if (n == 0 || n >= 64)
        return false;
    memcpy(ret, line, n);
    ret[n] = '\0';
    return *ret == '.' || python_is_identifier(ret);
}

/* Whether module lies in dir: dir/module.py or a directory dir/module. */
static int lies_in(struct generator *g, const char *dir, const char *module, bool *ret,
                   struct error *err)
{
    char path[256];
    enum source_kind kind;

    (void)snprintf(path, sizeof(path), "%s/%s.py", dir, module);
    if (generator_has(g, path, ret, err) < 0)
        return -1;
    if (*ret)
        return 0;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, module);
    if (g->source->kind(g->source->self, path, &kind, err) < 0)
        return -1;
    *ret = kind == SOURCE_DIRECTORY;
    return 0;
}

enum importing { IMPORTS_OTHERS, IMPORTS_SIBLINGS, IMPORTS_PACKAGE, IMPORTS_TOP };

/* What the import of a module says of a file in dir: its own package by "." or by name, the
 * directory at the top of it, or a neighbour. */
static int judge(struct generator *g, const char *dir, const char *module, enum importing *ret,
                 struct error *err)
{
    const char *slash = strrchr(dir, '/');
    size_t top = strcspn(dir, "/");
    bool sibling;

    if (*module == '.' || strcmp(module, slash ? slash + 1 : dir) == 0) {
        *ret = IMPORTS_PACKAGE;
        return 0;
    }
    if (strlen(module) == top && strncmp(module, dir, top) == 0) {
        *ret = IMPORTS_TOP;
        return 0;
    }
    if (lies_in(g, dir, module, &sibling, err) < 0)
        return -1;
    *ret = sibling ? IMPORTS_SIBLINGS : IMPORTS_OTHERS;
    return 0;
}

/* The first import that tells decides. */
static int look_at_imports(struct generator *g, const struct python_entry *e, const char *dir,
                           enum importing *ret, struct error *err)
{
    size_t looked_for = 0;
    const char *line = buf_str(&e->text);

    *ret = IMPORTS_OTHERS;
    for (; line && *ret == IMPORTS_OTHERS && looked_for < IMPORTS_MAX; line = strchr(line, '\n')) {
        char module[64];

        line += *line == '\n';
        if (!imported(line, module))
            continue;
        looked_for++;
        if (judge(g, dir, module, ret, err) < 0)
            return -1;
    }
    return 0;
}

static bool has_guard(const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (text_starts(line, "if __name__"))
            return true;
    }
    return false;
}

/* "a/b/c.py" below root as "a.b.c"; "a/__init__.py" as "a". */
static void set_module(struct python_entry *e)
{
    const char *path = e->path + (*e->root ? strlen(e->root) + 1 : 0);
    size_t n = strlen(path) - strlen(".py");

    (void)snprintf(e->module, sizeof(e->module), "%.*s", (int)n, path);
    for (char *c = e->module; *c; c++)
        if (*c == '/')
            *c = '.';
    if (text_ends(e->module, ".__init__"))
        e->module[strlen(e->module) - strlen(".__init__")] = '\0';
}

/* A file in a directory belongs to the package of that name, unless it imports its neighbours
 * without it.  src is mostly no package but where packages lie: src/demo/main.py is demo.main. */
static int place(struct generator *g, struct python_entry *e, struct error *err)
{
    const char *slash = strrchr(e->path, '/');
    enum importing importing;
    char dir[96];

    if (!slash) {
        set_module(e);
        return 0;
    }
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - e->path), e->path);
    if (look_at_imports(g, e, dir, &importing, err) < 0)
        return -1;
    e->must_be_module = importing == IMPORTS_PACKAGE || importing == IMPORTS_TOP;
    if (importing == IMPORTS_SIBLINGS)
        (void)snprintf(e->root, sizeof(e->root), "%s", dir);
    else if (text_starts(dir, "src/") && importing != IMPORTS_TOP)
        (void)snprintf(e->root, sizeof(e->root), "src");
    set_module(e);
    return 0;
}

int python_entry_read(struct generator *g, const char *path, struct python_entry *ret,
                      bool *ret_found, struct error *err)
{
    bool has;

    *ret = (struct python_entry){.text = BUF_INIT(PYTHON_FILE_MAX)};
    *ret_found = false;
    if (generator_has(g, path, &has, err) < 0)
        return -1;
    if (!has)
        return 0;
    if (generator_read(g, path, &ret->text, ret_found, err) < 0)
        return -1;
    (void)snprintf(ret->path, sizeof(ret->path), "%s", path);
    ret->has_guard = has_guard(buf_str(&ret->text));
    return place(g, ret, err);
}
