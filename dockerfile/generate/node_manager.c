/* dockerfile/generate/node_manager — which package manager a project uses, in which version, and
 * its commands.
 *
 * The commands were tried with the versions named here.  corepack would fetch a manager by itself,
 * but not every image has it; npm install -g works in all that have Node.js.  Its --force is for
 * yarn alone, which official images have already. */
#include "dockerfile/generate/node_manager.h"

#include <string.h>

#define PNPM_STORE "--store-dir=/root/.pnpm-store"

static const struct node_manager npm = {.name = "npm",
                                        .title = "npm",
                                        .version = "",
                                        .files = {".npmrc", "patches/"},
                                        .locks = {"package-lock.json", "npm-shrinkwrap.json"},
                                        .cache = "--mount=type=cache,target=/root/.npm",
                                        .install = "npm ci --no-audit --no-fund",
                                        .unlocked = "npm install --no-audit --no-fund",
                                        .prune = "npm prune --omit=dev --no-audit --no-fund"};

/* pnpm prune sees the root of a workspace only and breaks the others; install --prod takes the
 * same packages away in all of them, and the cache's age limit is what it keeps unused ones by. */
static const struct node_manager pnpm = {
    .name = "pnpm",
    .title = "pnpm",
    .package = "pnpm",
    .version = PNPM_VERSION,
    .files = {".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs", "patches/"},
    .locks = {"pnpm-lock.yaml"},
    .cache = "--mount=type=cache,target=/root/.pnpm-store",
    .install = "pnpm install --frozen-lockfile " PNPM_STORE,
    .unlocked = "pnpm install --no-frozen-lockfile " PNPM_STORE,
    .prune = "CI=true pnpm install --prod --frozen-lockfile --ignore-scripts --offline "
             "--config.modules-cache-max-age=0 " PNPM_STORE};

static const struct node_manager yarn_classic = {
    .name = "yarn",
    .title = "Yarn",
    .package = "yarn",
    .version = "1.22.22",
    .files = {".npmrc", ".yarnrc", "patches/"},
    .locks = {"yarn.lock"},
    .cache = "--mount=type=cache,target=/usr/local/share/.cache/yarn,"
             "sharing=locked",
    .install = "yarn install --frozen-lockfile --non-interactive",
    .unlocked = "yarn install --non-interactive",
    .prune = "yarn install --production --frozen-lockfile --ignore-scripts "
             "--prefer-offline --non-interactive"};

const struct node_manager node_yarn_berry = {
    .name = "yarn",
    .title = "Yarn",
    .package = "@yarnpkg/cli-dist",
    .version = "4.18.1",
    .files = {".yarnrc.yml", ".yarn/", "patches/"},
    .locks = {"yarn.lock"},
    .cache = "--mount=type=cache,target=/root/.yarn/berry/cache,sharing=locked",
    .install = "yarn install --immutable",
    .unlocked = "yarn install --no-immutable",
    .prune = "yarn workspaces focus --production --all"};

/* Its install does not take packages away that are there already. */
static const struct node_manager bun = {
    .name = "bun",
    .title = "Bun",
    .package = "bun",
    .version = "1",
    .files = {".npmrc", "bunfig.toml", "patches/"},
    .locks = {"bun.lock", "bun.lockb"},
    .cache = "--mount=type=cache,target=/root/.bun/install/cache",
    .install = "bun install --frozen-lockfile",
    .unlocked = "bun install",
    .prune = "rm -rf node_modules && bun install --production --frozen-lockfile",
    .prune_bare = "rm -rf node_modules && bun install --production --frozen-lockfile "
                  "--ignore-scripts"};

/* Files that say which manager it is, in the order in which they are believed. */
static const struct {
    const char *file;
    const struct node_manager *manager;
    bool is_lock;
} marks[] = {{"pnpm-lock.yaml", &pnpm, true},
             {"bun.lock", &bun, true},
             {"bun.lockb", &bun, true},
             {"yarn.lock", &yarn_classic, true},
             {"package-lock.json", &npm, true},
             {"npm-shrinkwrap.json", &npm, true},
             {"pnpm-workspace.yaml", &pnpm, false},
             {".yarnrc.yml", &node_yarn_berry, false}};
#define N_MARKS (sizeof(marks) / sizeof(marks[0]))

void node_choice_explain(struct node_choice *c, const char *why)
{
    (void)snprintf(c->why, sizeof(c->why), "package manager %s%s%s: %s", c->manager->title,
                   *c->version ? " " : "", c->version, why);
}

void node_choice_set_version(struct node_choice *c, const char *version)
{
    (void)snprintf(c->version, sizeof(c->version), "%s", version);
}

unsigned node_choice_major(const char *version)
{
    struct semver v;
    int parts;

    return semver_parse(version, &v, &parts) ? v.v[0] : 0;
}

/* ---- packageManager ---- */

static const struct node_manager *manager_named(const char *name, size_t len, const char *version)
{
    static const struct node_manager *const all[] = {&npm, &pnpm, &yarn_classic, &bun};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strlen(all[i]->name) == len && strncmp(all[i]->name, name, len) == 0)
            return all[i] == &yarn_classic && node_choice_major(version) >= 2 ? &node_yarn_berry
                                                                              : all[i];
    return NULL;
}

static int from_field(const struct node_package *p, struct node_choice *ret, struct error *err)
{
    const char *field = node_package_text(p, NULL, "packageManager");
    char version[sizeof(ret->version)];
    struct semver v;
    size_t n;
    int parts;

    if (!field)
        return 0;
    n = strcspn(field, "@");
    (void)snprintf(version, sizeof(version), "%.*s",
                   field[n] ? (int)strcspn(field + n + 1, "+") : 0, field[n] ? field + n + 1 : "");
    if (semver_parse(version, &v, &parts) && *version != 'v')
        ret->manager = manager_named(field, n, version);
    if (!ret->manager)
        return error_set(err, ERR_INPUT,
                         "packageManager in package.json is \"%.100s\": expected npm, pnpm, yarn "
                         "or bun with its version, as in pnpm@10.34.9",
                         field);
    node_choice_set_version(ret, version);
    node_choice_explain(ret, "packageManager in package.json");
    return 0;
}

/* ---- files ---- */

/* The first mark that is there decides, unless something did; every lock file of another manager
 * is worth a warning. */
static int from_files(struct generator *g, struct node_choice *ret, const char **ret_mark,
                      struct error *err)
{
    const char *others[N_MARKS];
    size_t n = 0;
    bool has;

    *ret_mark = NULL;
    for (size_t i = 0; i < N_MARKS; i++) {
        if (generator_has(g, marks[i].file, &has, err) < 0)
            return -1;
        if (!has)
            continue;
        if (!ret->manager) {
            ret->manager = marks[i].manager;
            *ret_mark = marks[i].file;
        }
        if (strcmp(marks[i].manager->name, ret->manager->name) != 0)
            others[n++] = marks[i].file;
        else if (!ret->lock && marks[i].is_lock)
            ret->lock = marks[i].file;
    }
    for (size_t i = 0; i < n; i++)
        generator_warn(g,
                       "%s is left out of account: %s is used (%s); remove the one that is not "
                       "kept up",
                       others[i], ret->manager->title,
                       *ret_mark ? *ret_mark : "packageManager in package.json");
    return 0;
}

static bool from_engines(const struct node_package *p, struct node_choice *ret)
{
    static const struct node_manager *const asked[] = {&pnpm, &bun, &yarn_classic};

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]) && !ret->manager; i++)
        if (node_package_text(p, "engines", asked[i]->name))
            ret->manager = asked[i];
    return ret->manager != NULL;
}

/* ---- the decision ---- */

int node_manager_choose(struct generator *g, const struct node_package *p,
                        const struct node_version *version, struct node_choice *ret,
                        struct error *err)
{
    const char *mark;

    *ret = (struct node_choice){.prunes = true};
    if (from_field(p, ret, err) < 0 || from_files(g, ret, &mark, err) < 0)
        return -1;
    if (!ret->manager && !from_engines(p, ret))
        ret->manager = &npm;
    if (ret->manager == &pnpm) {
        if (node_pnpm_settle(g, p, version, mark, ret, err) < 0)
            return -1;
        ret->notes_itself = node_choice_major(ret->version) >= 12;
        return 0;
    }
    if (ret->manager == &yarn_classic || ret->manager == &node_yarn_berry)
        return node_yarn_settle(g, mark, ret, err);
    if (!*ret->version) {
        node_choice_set_version(ret, ret->manager->version);
        node_choice_explain(ret, mark ? mark
                                 : ret->manager == &bun
                                     ? "engines.bun in package.json"
                                     : "no lock file, and nothing asks for another");
    }
    return 0;
}

bool node_choice_is_npm(const struct node_choice *c)
{
    return c->manager == &npm;
}

bool node_choice_is_bun(const struct node_choice *c)
{
    return c->manager == &bun;
}
