/* dockerfile/generate/node_manager — which package manager a project uses, in which version, and
 * its commands.
 *
 * The commands were tried with the versions named here.  corepack would fetch a manager by itself,
 * but not every image has it; npm install -g works in all that have Node.js.  Its --force is for
 * yarn alone, which official images have already. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"
#include "dockerfile/generate/yaml_lines.h"

#define PNPM_STORE "--store-dir=/root/.pnpm-store"

/* pnpm prune sees the root of a workspace only and breaks the others; install --prod takes the
 * same packages away in all of them, and the cache's age limit is what it keeps unused ones by. */
static const struct node_manager
    npm = {.name = "npm",
           .title = "npm",
           .version = "",
           .files = {".npmrc", "patches/"},
           .locks = {"package-lock.json", "npm-shrinkwrap.json"},
           .cache = "--mount=type=cache,target=/root/.npm",
           .install = "npm ci --no-audit --no-fund",
           .unlocked = "npm install --no-audit --no-fund",
           .prune = "npm prune --omit=dev --no-audit --no-fund"},
    pnpm = {.name = "pnpm",
            .title = "pnpm",
            .package = "pnpm",
            .version = "10.34.9",
            .files = {".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs",
                      "patches/"},
            .locks = {"pnpm-lock.yaml"},
            .cache = "--mount=type=cache,target=/root/.pnpm-store",
            .install = "pnpm install --frozen-lockfile " PNPM_STORE,
            .unlocked = "pnpm install --no-frozen-lockfile " PNPM_STORE,
            .prune = "CI=true pnpm install --prod --frozen-lockfile --ignore-scripts --offline "
                     "--config.modules-cache-max-age=0 " PNPM_STORE},
    yarn_classic = {.name = "yarn",
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
                             "--prefer-offline --non-interactive"},
    yarn_berry = {.name = "yarn",
                  .title = "Yarn",
                  .package = "@yarnpkg/cli-dist",
                  .version = "4.18.1",
                  .files = {".yarnrc.yml", ".yarn/", "patches/"},
                  .locks = {"yarn.lock"},
                  .cache = "--mount=type=cache,target=/root/.yarn/berry/cache,sharing=locked",
                  .install = "yarn install --immutable",
                  .unlocked = "yarn install --no-immutable",
                  .prune = "yarn workspaces focus --production --all"},
    bun = {.name = "bun",
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
} marks[] = {
    {"pnpm-lock.yaml", &pnpm},      {"bun.lock", &bun},          {"bun.lockb", &bun},
    {"yarn.lock", &yarn_classic},   {"package-lock.json", &npm}, {"npm-shrinkwrap.json", &npm},
    {"pnpm-workspace.yaml", &pnpm}, {".yarnrc.yml", &yarn_berry}};
#define N_MARKS (sizeof(marks) / sizeof(marks[0]))

static void explain(struct node_choice *c, const char *why)
{
    (void)snprintf(c->why, sizeof(c->why), "package manager %s%s%s: %s", c->manager->title,
                   *c->version ? " " : "", c->version, why);
}

static void set_version(struct node_choice *c, const char *version)
{
    (void)snprintf(c->version, sizeof(c->version), "%s", version);
}

static unsigned major_of(const char *version)
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
            return all[i] == &yarn_classic && major_of(version) >= 2 ? &yarn_berry : all[i];
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
    set_version(ret, version);
    explain(ret, "packageManager in package.json");
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
        else if (!ret->lock && strcmp(marks[i].file, "pnpm-workspace.yaml") != 0 &&
                 strcmp(marks[i].file, ".yarnrc.yml") != 0)
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

/* ---- pnpm ---- */

/* The formats of pnpm-lock.yaml and the newest version that writes each.  pnpm 6 does not run on
 * Node.js 20 and later, and 7 reads its format; 10 and later write 9.0 too. */
static const struct {
    const char *format, *version;
} pnpm_locks[] = {{"5.", "7.33.7"}, {"6.", "8.15.9"}, {"9.", "9.15.9"}};

/* In the order in which engines.pnpm is tried with them. */
static const char *const pnpm_versions[] = {"10.34.9",  "9.15.9",  "8.15.9",
                                            "11.28.11", "12.21.0", "7.33.7"};

static int pnpm_from_lock(struct generator *g, const struct node_choice *c, char version[64],
                          char why[128], struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    char format[16];
    bool found;

    if (!c->lock)
        return 0;
    if (generator_read(g, c->lock, &text, &found, err) < 0)
        return -1;
    (void)yaml_scalar(buf_str(&text), "lockfileVersion", format, sizeof(format));
    for (size_t i = 0; i < sizeof(pnpm_locks) / sizeof(pnpm_locks[0]); i++) {
        if (!text_starts(format, pnpm_locks[i].format) || text_has_control(format, strlen(format)))
            continue;
        (void)snprintf(version, 64, "%s", pnpm_locks[i].version);
        (void)snprintf(why, 128, "lockfileVersion %.1s.x in pnpm-lock.yaml", format);
        return 0;
    }
    generator_warn(g, "pnpm-lock.yaml: lockfileVersion \"%s\" is not known; pnpm %s is used",
                   format, version);
    return 0;
}

/* Settings came into pnpm-workspace.yaml with pnpm 10, and 9 would install without them. */
static int pnpm_from_workspace(struct generator *g, char version[64], char why[128],
                               struct error *err)
{
    static const char *const known[] = {"packages", "catalog", "catalogs", NULL};
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    char key[40];
    bool found;

    if (generator_read(g, "pnpm-workspace.yaml", &text, &found, err) < 0)
        return -1;
    if (!found || major_of(version) != 9 ||
        !yaml_other_key(buf_str(&text), known, key, sizeof(key)))
        return 0;
    (void)snprintf(version, 64, "%s", pnpm.version);
    (void)snprintf(why, 128, "%s in pnpm-workspace.yaml is a setting of pnpm 10", key);
    return 0;
}

static void pnpm_from_engines(struct generator *g, const struct node_package *p, char version[64],
                              char why[128])
{
    const char *text = node_package_text(p, "engines", "pnpm");
    struct semver_range range;
    struct semver v;
    int parts;

    if (!text || !semver_range_parse(text, &range))
        return;
    if (semver_parse(version, &v, &parts) && semver_range_allows(&range, &v))
        return;
    for (size_t i = 0; i < sizeof(pnpm_versions) / sizeof(pnpm_versions[0]); i++) {
        if (!semver_parse(pnpm_versions[i], &v, &parts) || !semver_range_allows(&range, &v))
            continue;
        (void)snprintf(version, 64, "%s", pnpm_versions[i]);
        (void)snprintf(why, 128, "engines.pnpm in package.json");
        return;
    }
    generator_warn(g, "engines.pnpm in package.json allows none of the versions known here; set "
                      "packageManager to the one to use");
}

/* What packageManager asks for, unless Node.js 20 and later break it: their URLSearchParams stopped
 * every download of these. */
static void pnpm_from_field(struct generator *g, const struct node_version *node,
                            struct node_choice *c)
{
    static const struct {
        struct semver below;
        const char *instead;
    } broken[] = {{{{7, 33, 7}}, "7.33.7"}, {{{8, 0, 0}}, NULL}, {{{8, 5, 0}}, "8.15.9"}};
    struct semver v;
    size_t i = 0;
    int parts;

    if (node->version.v[0] < 20 || !semver_parse(c->version, &v, &parts) || parts < 3)
        return;
    while (i < sizeof(broken) / sizeof(broken[0]) && semver_compare(&v, &broken[i].below) >= 0)
        i++;
    if (i == sizeof(broken) / sizeof(broken[0]) || !broken[i].instead)
        return;
    generator_warn(g, "pnpm %s does not run on Node.js %u; pnpm %s is used", c->version,
                   node->version.v[0], broken[i].instead);
    set_version(c, broken[i].instead);
    explain(c, "packageManager in package.json asks for one that this Node.js does not run");
}

static int settle_pnpm(struct generator *g, const struct node_package *p,
                       const struct node_version *node, const char *mark, struct node_choice *c,
                       struct error *err)
{
    char version[64], why[128];

    if (*c->version) {
        pnpm_from_field(g, node, c);
        return 0;
    }
    (void)snprintf(version, sizeof(version), "%s", pnpm.version);
    (void)snprintf(why, sizeof(why), "%s", mark ? mark : "engines.pnpm in package.json");
    if (pnpm_from_lock(g, c, version, why, err) < 0 ||
        pnpm_from_workspace(g, version, why, err) < 0)
        return -1;
    pnpm_from_engines(g, p, version, why);
    set_version(c, version);
    explain(c, why);
    return 0;
}

/* ---- Yarn ---- */

/* The formats of berry's yarn.lock and a version that writes each: one that writes another would
 * have to change the file, which --immutable forbids. */
static const struct {
    unsigned format;
    const char *version;
} berry_locks[] = {{7, "3.8.7"}, {8, "4.12.0"}, {9, "4.14.1"}, {SEMVER_NEWEST, "4.18.1"}};

/* The number after "__metadata:\n  version: "; 0: not berry's. */
static unsigned berry_format(const char *lock)
{
    static const char begin[] = "__metadata:", key[] = "version:";
    const char *p = strstr(lock, begin);
    char number[8];

    if (!p)
        return 0;
    p += strlen(begin);
    p += strspn(p, " \r\n");
    if (!text_starts(p, key))
        return 7;
    p += strlen(key);
    p += strspn(p, " ");
    (void)snprintf(number, sizeof(number), "%.*s", (int)strspn(p, "0123456789"), p);
    return major_of(number);
}

static bool is_plain_path(const char *path)
{
    return *path && *path != '/' && !strstr(path, "..") &&
           path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "._/@+-")] == '\0';
}

/* yarnPath: the project has its Yarn with it. */
static int berry_from_path(struct generator *g, const char *settings, struct node_choice *c,
                           struct error *err)
{
    const char *version;
    bool has = false;

    if (!yaml_scalar(settings, "yarnPath", c->yarn, sizeof(c->yarn)))
        return 0;
    if (text_starts(c->yarn, "./"))
        memmove(c->yarn, c->yarn + 2, strlen(c->yarn + 2) + 1);
    if (is_plain_path(c->yarn) && generator_has(g, c->yarn, &has, err) < 0)
        return -1;
    if (!has)
        return error_set(err, ERR_INPUT,
                         "yarnPath in .yarnrc.yml names \"%.200s\", and there is no such file; "
                         "commit .yarn/releases, or take the key out and set packageManager",
                         c->yarn);
    version = strstr(c->yarn, "yarn-");
    if (version && text_ends(c->yarn, ".cjs")) {
        char text[sizeof(c->version)];

        version += strlen("yarn-");
        (void)snprintf(text, sizeof(text), "%.*s", (int)(strlen(version) - strlen(".cjs")),
                       version);
        if (major_of(text) >= 2)
            set_version(c, text);
    }
    explain(c, "yarnPath in .yarnrc.yml");
    return 0;
}

static void berry_from_lock(struct generator *g, unsigned format, struct node_choice *c)
{
    size_t i = 0;
    char why[64];

    if (format == 0) {
        set_version(c, c->manager->version);
        explain(c, ".yarnrc.yml");
        return;
    }
    while (berry_locks[i].format < format)
        i++;
    set_version(c, berry_locks[i].version);
    (void)snprintf(why, sizeof(why), "__metadata.version %u in yarn.lock", format);
    explain(c, why);
    generator_warn(g,
                   "nothing says which Yarn wrote yarn.lock: %s is used, and one that would "
                   "write it otherwise refuses it; set packageManager in package.json",
                   c->version);
}

static int settle_berry(struct generator *g, unsigned format, struct node_choice *c,
                        struct error *err)
{
    CLEANUP(buf_release) struct buf settings = BUF_INIT(SOURCE_FILE_MAX);
    char linker[32];
    bool found;

    c->manager = &yarn_berry;
    c->is_berry = true;
    if (generator_read(g, ".yarnrc.yml", &settings, &found, err) < 0 ||
        berry_from_path(g, buf_str(&settings), c, err) < 0)
        return -1;
    if (!*c->version && !*c->yarn)
        berry_from_lock(g, format, c);
    (void)yaml_scalar(buf_str(&settings), "nodeLinker", linker, sizeof(linker));
    c->sets_linker = strcmp(linker, "node-modules") != 0 && strcmp(linker, "pnpm") != 0;
    c->prunes = major_of(c->version) >= 4 ||
                (*c->yarn && strstr(buf_str(&settings), "plugin-workspace-tools"));
    return 0;
}

static int settle_yarn(struct generator *g, const char *mark, struct node_choice *c,
                       struct error *err)
{
    CLEANUP(buf_release) struct buf lock = BUF_INIT(SOURCE_FILE_MAX);
    bool found = false, has_settings = false;
    unsigned format;

    if (c->lock && generator_read(g, c->lock, &lock, &found, err) < 0)
        return -1;
    if (generator_has(g, ".yarnrc.yml", &has_settings, err) < 0)
        return -1;
    format = berry_format(buf_str(&lock));
    if (*c->version ? c->manager == &yarn_berry : has_settings || format > 0)
        return settle_berry(g, format, c, err);
    if (!*c->version) {
        set_version(c, c->manager->version);
        explain(c, mark ? mark : "engines.yarn in package.json");
    }
    return 0;
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
        if (settle_pnpm(g, p, version, mark, ret, err) < 0)
            return -1;
        ret->notes_itself = major_of(ret->version) >= 12;
        return 0;
    }
    if (ret->manager == &yarn_classic || ret->manager == &yarn_berry)
        return settle_yarn(g, mark, ret, err);
    if (!*ret->version) {
        set_version(ret, ret->manager->version);
        explain(ret, mark                   ? mark
                     : ret->manager == &bun ? "engines.bun in package.json"
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
