/* dockerfile/generate/go_target — see the header. */
#include "dockerfile/generate/go_target.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/go_package.h"
#include "dockerfile/quote.h"

#define CANDIDATES_MAX 200 /* programs of one project; each costs a directory that is read */
#define LISTED_MAX     8   /* of them in a message */

int go_target_is_program(struct generator *g, const char *dir, bool *ret, struct error *err)
{
    struct go_package p;

    if (go_package_read(g, dir, &p, err) < 0)
        return -1;
    *ret = p.main;
    return 0;
}

/* ---- candidates ---- */

static int add_if_program(struct generator *g, const char *dir, struct argv *found,
                          struct error *err)
{
    bool is = false;

    if (go_target_is_program(g, dir, &is, err) < 0)
        return -1;
    if (is && found->n >= CANDIDATES_MAX)
        return error_set(err, ERR_LIMIT, "more than %d programs in the project", CANDIDATES_MAX);
    if (is)
        argv_push1(found, dir);
    return 0;
}

/* "name/" of a directory, which the go command takes and a shell line does too. */
static bool is_usable(struct generator *g, const char *parent, char *name)
{
    size_t len = strlen(name);
    char quoted[QUOTE_SIZE];

    if (len < 2 || name[len - 1] != '/')
        return false;
    name[len - 1] = '\0';
    if (name[0] == '_' || name[0] == '.')
        return false;
    if (go_path_is_plain(name))
        return true;
    generator_warn(g,
                   "%s in %s is not looked at: a program's directory has letters, digits and "
                   "\"_.-\" in its name",
                   quote_short(name, quoted), parent);
    return false;
}

static int add_commands(struct generator *g, const char *module, struct argv *found,
                        struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char parent[GO_PATH_MAX], dir[GO_PATH_MAX];

    if (!go_path_join(module, "cmd", parent))
        return 0;
    if (g->source->list(g->source->self, parent, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++)
        if (is_usable(g, parent, names.v[i]) && go_path_join(parent, names.v[i], dir) &&
            add_if_program(g, dir, found, err) < 0)
            return -1;
    return 0;
}

/* Of one module: its own directory, src or cmd, whichever is first, else those below cmd. */
static int add_module(struct generator *g, const char *module, struct argv *found,
                      struct error *err)
{
    static const char *const places[] = {".", "src", "cmd", NULL};
    size_t before = found->n;
    char dir[GO_PATH_MAX];

    for (const char *const *place = places; *place; place++) {
        if (!go_path_join(module, *place, dir))
            continue;
        if (add_if_program(g, dir, found, err) < 0)
            return -1;
        if (found->n > before)
            return 0;
    }
    return add_commands(g, module, found, err);
}

static int add_workspace(struct generator *g, const struct go_module *work, struct argv *found,
                         struct error *err)
{
    CLEANUP(argv_release) struct argv seen = ARGV_INIT;
    char dir[GO_PATH_MAX], quoted[QUOTE_SIZE];

    for (size_t i = 0; i < work->used.n; i++) {
        if (!go_path_join("", work->used.v[i].value, dir) || !*dir || argv_contains(&seen, dir))
            continue;
        argv_push1(&seen, dir);
        if (!go_path_is_plain(dir))
            generator_warn(g,
                           "%s line %d: %s is not looked at for a program: letters, digits and "
                           "\"_.-/\" make up a name that is",
                           work->file, work->used.v[i].line, quote_short(dir, quoted));
        else if (add_module(g, dir, found, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the choice ---- */

static void choose(const char *dir, struct go_target *ret)
{
    (void)snprintf(ret->dir, sizeof(ret->dir), "%s", dir);
    (void)snprintf(ret->package, sizeof(ret->package), "%s%s", *dir ? "./" : ".", dir);
}

static int refuse_none(const struct go_module *work, struct error *err)
{
    return error_set(err, ERR_INPUT,
                     "no Go program: looked for a package main in the root, src, cmd and the "
                     "directories of cmd%s; name it with [entrypoint] prod in blaxel.toml, as in "
                     "prod = \"go run ./DIRECTORY\"",
                     work->used.n ? ", and in those of each module of go.work" : "");
}

static int refuse_several(const struct argv *found, struct error *err)
{
    CLEANUP(buf_release) struct buf list = BUF_INIT(768);

    for (size_t i = 0; i < found->n && i < LISTED_MAX; i++)
        buf_addf(&list, "%s./%.60s", i ? ", " : "", found->v[i]);
    if (found->n > LISTED_MAX)
        buf_addf(&list, " and %zu more", found->n - LISTED_MAX);
    return error_set(err, ERR_INPUT,
                     "several Go programs: %s; say which with [entrypoint] prod in blaxel.toml, as "
                     "in prod = \"go run ./%.60s\"",
                     buf_str(&list), found->v[0]);
}

static int take_only(const struct argv *found, struct go_target *ret, struct error *err)
{
    const char *dir;

    if (found->failed)
        return error_set(err, ERR_SYSTEM, "find the Go program: out of memory");
    if (found->n > 1)
        return refuse_several(found, err);
    dir = found->v[0];
    choose(dir, ret);
    (void)snprintf(ret->why, sizeof(ret->why), "package main in %s%.200s", *dir ? "" : "the root",
                   dir);
    return 0;
}

/* cmd/PROGRAM of the root or of a module of the workspace. */
static int find_named(struct generator *g, const struct go_module *work, const char *program,
                      bool *ret_found, struct go_target *ret, struct error *err)
{
    char below[GO_PATH_MAX], dir[GO_PATH_MAX];

    *ret_found = false;
    if (!go_path_is_plain(program) || !go_path_join("cmd", program, below))
        return 0;
    for (size_t i = 0; i <= work->used.n && !*ret_found; i++) {
        if (!go_path_join(i ? work->used.v[i - 1].value : "", below, dir) || !go_path_is_plain(dir))
            continue;
        if (go_target_is_program(g, dir, ret_found, err) < 0)
            return -1;
    }
    if (!*ret_found)
        return 0;
    choose(dir, ret);
    (void)snprintf(ret->why, sizeof(ret->why), "package main in %.60s, named by %.120s", dir,
                   g->start.why);
    return 0;
}

int go_target_find(struct generator *g, const struct go_module *work, const char *program,
                   struct go_target *ret, struct error *err)
{
    CLEANUP(argv_release) struct argv found = ARGV_INIT;
    bool named = false;

    if (*program && find_named(g, work, program, &named, ret, err) < 0)
        return -1;
    if (named)
        return 0;
    if (add_module(g, "", &found, err) < 0 ||
        (found.n == 0 && add_workspace(g, work, &found, err) < 0))
        return -1;
    return found.n ? take_only(&found, ret, err) : refuse_none(work, err);
}
