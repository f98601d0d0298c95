/* dockerfile/generate/node_workspaces — the packages of a monorepo, whose manifests have to be
 * there before anything is installed, and what else installing needs. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"
#include "dockerfile/generate/yaml_lines.h"

#define PATTERNS_MAX    64
#define PATTERN_MAX     256
#define DIRECTORIES_MAX 100  /* more of them, and a line for each is no help to anybody */
#define LISTED_MAX      2000 /* directories that are looked into */
#define DEPTH_MAX       6
#define WORK_MAX        (1 << 24) /* characters that are compared with patterns */

/* What COPY takes as it is, in shell form: no blank, no wildcard, no variable. */
#define PLAIN_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@+-"

void node_workspaces_release(struct node_workspaces *w)
{
    argv_release(&w->directories);
}

static void need_tree(struct node_workspaces *w, const char *why)
{
    if (!w->whole_tree[0])
        (void)snprintf(w->whole_tree, sizeof(w->whole_tree), "%s", why);
}

/* ---- patterns ---- */

enum match { MATCH_NONE, MATCH_ABOVE, MATCH_FULL };

/* A segment against a pattern whose only special character is "*".  What a star takes is only
 * ever lengthened, so the time is that of the two lengths' product. */
static bool matches_segment(const char *pattern, size_t m, const char *s, size_t n, size_t *work)
{
    size_t p = 0, i = 0, star = m, mark = 0;

    for (; i < n; ++*work) {
        if (p < m && pattern[p] == '*') {
            star = p++;
            mark = i;
        } else if (p < m && pattern[p] == s[i]) {
            p++;
            i++;
        } else if (star < m) {
            p = star + 1;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (p < m && pattern[p] == '*')
        p++;
    return p == m;
}

/* "packages/" "*" and "apps/" "**" against a directory; ABOVE: what is below it may match. */
static enum match match_path(const char *pattern, const char *path, size_t *work)
{
    while (*pattern) {
        size_t m = strcspn(pattern, "/"), n = strcspn(path, "/");

        if (m == 2 && strncmp(pattern, "**", 2) == 0)
            return MATCH_FULL; /* whatever is below; what follows it narrows nothing of use */
        if (*path == '\0')
            return MATCH_ABOVE;
        if (!matches_segment(pattern, m, path, n, work))
            return MATCH_NONE;
        pattern += m + (pattern[m] == '/');
        path += n + (path[n] == '/');
    }
    return *path ? MATCH_NONE : MATCH_FULL;
}

static enum match match_all(const struct argv *patterns, const char *path, size_t *work)
{
    enum match best = MATCH_NONE;

    for (size_t i = 0; i < patterns->n; i++) {
        const char *pattern = patterns->v[i];
        bool excludes = *pattern == '!';
        enum match m;

        pattern += excludes;
        if (text_starts(pattern, "./"))
            pattern += 2;
        m = match_path(pattern, path, work);
        if (excludes && m == MATCH_FULL)
            return MATCH_NONE;
        if (!excludes && m > best)
            best = m;
    }
    return best;
}

/* ---- the walk ---- */

struct walk {
    struct generator *g;
    const struct argv *patterns;
    struct node_workspaces *out;
    size_t listed, work;
};

static int walk(struct walk *w, const char *dir, int depth, struct error *err);

static int visit(struct walk *w, const char *path, int depth, struct error *err)
{
    enum match match = match_all(w->patterns, path, &w->work);
    char manifest[PATTERN_MAX + 32];
    bool has;

    if (match == MATCH_NONE)
        return 0;
    (void)snprintf(manifest, sizeof(manifest), "%s/package.json", path);
    if (match == MATCH_FULL) {
        if (generator_has(w->g, manifest, &has, err) < 0)
            return -1;
        if (has && path[strspn(path, PLAIN_CHARS)] != '\0')
            need_tree(w->out, "a workspace's directory has a name that COPY would take for more");
        else if (has)
            argv_push1(&w->out->directories, path);
    }
    return walk(w, path, depth + 1, err);
}

static int walk(struct walk *w, const char *dir, int depth, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    char path[PATTERN_MAX];

    if (depth > DEPTH_MAX)
        return 0;
    if (w->listed++ >= LISTED_MAX || w->work > WORK_MAX ||
        w->out->directories.n > DIRECTORIES_MAX) {
        need_tree(w->out, "there are too many workspaces for a line each");
        return 0;
    }
    if (w->g->source->list(w->g->source->self, dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.n && w->work <= WORK_MAX; i++) {
        size_t n = strlen(names.v[i]);
        int len;

        if (n < 2 || names.v[i][n - 1] != '/' || names.v[i][0] == '.' ||
            strcmp(names.v[i], "node_modules/") == 0)
            continue;
        len = snprintf(path, sizeof(path), "%s%s%.*s", dir, *dir ? "/" : "", (int)(n - 1),
                       names.v[i]);
        if (len < 0 || (size_t)len >= sizeof(path))
            continue;
        if (visit(w, path, depth, err) < 0)
            return -1;
    }
    if (w->work > WORK_MAX)
        need_tree(w->out, "there are too many directories to look for workspaces in");
    return 0;
}

/* ---- what installing needs ---- */

static void look_at(const struct node_package *p, const char *path, struct node_workspaces *w)
{
    static const char *const used[] = {"dependencies", "optionalDependencies"};
    const char *script = node_package_install_script(p);
    const char *local = node_package_local_dependency(p);
    CLEANUP(argv_release) struct argv names = ARGV_INIT, development = ARGV_INIT;
    char why[160];

    if (script) {
        (void)snprintf(why, sizeof(why), "scripts.%s in %.80s runs when it is installed", script,
                       path);
        need_tree(w, why);
    }
    if (local) {
        (void)snprintf(why, sizeof(why), "one of %s in %.80s is a path", local, path);
        need_tree(w, why);
    }
    for (size_t i = 0; i < 2; i++)
        node_package_keys(p, used[i], &names);
    w->has_dependencies = w->has_dependencies || names.n > 0;
    node_package_keys(p, "devDependencies", &development);
    w->has_development = w->has_development || development.n > 0;
}

static int look_at_all(struct generator *g, struct node_workspaces *w, struct error *err)
{
    char path[PATTERN_MAX + 32];
    bool found;

    for (size_t i = 0; i < w->directories.n; i++) {
        CLEANUP(node_package_release) struct node_package p = {NULL};

        (void)snprintf(path, sizeof(path), "%s/package.json", w->directories.v[i]);
        if (node_package_read(g, path, &p, &found, err) < 0)
            return -1;
        if (found)
            look_at(&p, path, w);
    }
    return 0;
}

static int read_patterns(struct generator *g, const struct node_package *p,
                         const struct node_manager *manager, struct argv *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    bool found;

    if (strcmp(manager->name, "pnpm") != 0) {
        node_package_list(p, "workspaces", ret);
    } else {
        if (generator_read(g, "pnpm-workspace.yaml", &text, &found, err) < 0)
            return -1;
        if (found && yaml_list(buf_str(&text), "packages", PATTERNS_MAX, ret, err) < 0)
            return error_wrap(err, "pnpm-workspace.yaml");
    }
    if (ret->n > PATTERNS_MAX)
        return error_set(err, ERR_LIMIT, "workspaces in package.json: more than %d entries",
                         PATTERNS_MAX);
    for (size_t i = 0; i < ret->n; i++)
        if (strlen(ret->v[i]) > PATTERN_MAX)
            return error_set(err, ERR_LIMIT, "a workspace pattern is longer than %d bytes",
                             PATTERN_MAX);
    return 0;
}

int node_workspaces_read(struct generator *g, const struct node_package *p,
                         const struct node_manager *manager, struct node_workspaces *ret,
                         struct error *err)
{
    CLEANUP(argv_release) struct argv patterns = ARGV_INIT;
    struct walk w = {.g = g, .patterns = &patterns, .out = ret};

    look_at(p, "package.json", ret);
    if (read_patterns(g, p, manager, &patterns, err) < 0)
        return -1;
    ret->declared = patterns.n > 0;
    if (ret->declared && (walk(&w, "", 0, err) < 0 || look_at_all(g, ret, err) < 0))
        return -1;
    return ret->directories.failed || patterns.failed
               ? error_set(err, ERR_SYSTEM, "read the workspaces: out of memory")
               : 0;
}
