/* builder/slim_rules — see the header. */
#include "builder/slim_rules.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define AGAIN     "fetched again by the next install"
#define COMPUTED  "computed again when it is missing"
#define NO_READER "written for people, and never read by a program"
#define BACKUP    "a copy of a file from before its last change"

/* No place lies in what another takes. */
const struct slim_rule slim_rules[] = {
    /* Distributions. */
    {"apt's package lists", "var/lib/apt/lists", NULL, NULL, false, "fetched by apt-get update"},
    {"apt's packages", "var/cache/apt", NULL, NULL, false, "unpacked, and " AGAIN},
    {"apk's cache", "var/cache/apk", NULL, NULL, false, AGAIN},
    {"dnf's cache", "var/cache/dnf", NULL, NULL, false, AGAIN},
    {"dnf's cache", "var/cache/libdnf5", NULL, NULL, false, AGAIN},
    {"yum's cache", "var/cache/yum", NULL, NULL, false, AGAIN},
    {"zypper's cache", "var/cache/zypp", NULL, NULL, false, AGAIN},
    {"pacman's packages", "var/cache/pacman/pkg", NULL, NULL, false, AGAIN},
    {"pacman's package lists", "var/lib/pacman/sync", NULL, NULL, false, "fetched by pacman -Sy"},
    {"dpkg's backups", "var/lib/dpkg", "*-old", NULL, false, BACKUP},
    {"debconf's backups", "var/cache/debconf", "*-old", NULL, false, BACKUP},
    {"ldconfig's cache of its own", "var/cache/ldconfig", "aux-cache", NULL, false, COMPUTED},
    {"package managers' logs", "var/log/apt", NULL, NULL, false, NO_READER},
    {"package managers' logs", "var/log",
     "dpkg.log alternatives.log bootstrap.log apk.log dnf*.log hawkey.log yum.log pacman.log", NULL,
     false, NO_READER},

    /* Python. */
    {"pip's cache", "~/.cache/pip", NULL, "pip pip3", false, AGAIN},
    {"uv's cache", "~/.cache/uv", NULL, "uv uvx", false, AGAIN},
    {"poetry's cache", "~/.cache/pypoetry/cache", NULL, NULL, false, AGAIN},
    {"poetry's cache", "~/.cache/pypoetry/artifacts", NULL, NULL, false, AGAIN},
    {"pdm's cache", "~/.cache/pdm/http", NULL, NULL, false, AGAIN},
    {"pdm's cache", "~/.cache/pdm/wheels", NULL, NULL, false, AGAIN},
    {"pipenv's cache", "~/.cache/pipenv", NULL, NULL, false, AGAIN},
    {"conda's archives", "opt/conda/pkgs", "*.conda *.tar.bz2", NULL, false, "unpacked beside it"},
    {"conda's archives", "~/miniconda3/pkgs", "*.conda *.tar.bz2", NULL, false,
     "unpacked beside it"},

    /* Node. */
    {"npm's cache", "~/.npm/_cacache", NULL, "npx", false, AGAIN},
    {"npm's logs", "~/.npm/_logs", NULL, NULL, false, NO_READER},
    {"yarn's cache", "usr/local/share/.cache/yarn", NULL, NULL, true, AGAIN},
    {"yarn's cache", "~/.cache/yarn", NULL, NULL, true, AGAIN},
    {"pnpm's store", "~/.local/share/pnpm/store", NULL, "pnpx", false, AGAIN},
    {"pnpm's store", "pnpm/store", NULL, "pnpx", false, AGAIN},
    {"pnpm's cache", "~/.cache/pnpm/metadata*", NULL, "pnpx", false, AGAIN},
    {"bun's cache", "~/.bun/install/cache", NULL, "bun bunx", false, AGAIN},
    {"node-gyp's headers", "~/.cache/node-gyp", NULL, NULL, false, AGAIN},

    /* Other languages. */
    {"go's build cache", "~/.cache/go-build", NULL, "go", false, COMPUTED},
    {"cargo's registry", "usr/local/cargo/registry", NULL, "cargo", false, AGAIN},
    {"cargo's registry", "~/.cargo/registry", NULL, "cargo", false, AGAIN},
    {"composer's cache", "~/.cache/composer", NULL, NULL, false, AGAIN},
    {"composer's cache", "~/.composer/cache", NULL, NULL, false, AGAIN},
    {"gem's archives", "usr/local/bundle/cache", "*.gem", NULL, false, "unpacked beside it"},
    {"gem's archives", "usr/local/lib/ruby/gems/*/cache", "*.gem", NULL, false,
     "unpacked beside it"},
    {"gem's archives", "var/lib/gems/*/cache", "*.gem", NULL, false, "unpacked beside it"},
    {"NuGet's answers", "~/.local/share/NuGet/http-cache", NULL, NULL, false, AGAIN},
    {"NuGet's answers", "~/.local/share/NuGet/v3-cache", NULL, NULL, false, AGAIN},
};
const size_t slim_n_rules = sizeof(slim_rules) / sizeof(slim_rules[0]);

/* ---- places ---- */

static int add_place(struct slim_places *p, const struct slim_rule *rule, const char *home,
                     struct error *err)
{
    struct slim_place *at = &p->v[p->n];

    at->rule = rule;
    if (asprintf(&at->pattern, "%s%s", home, rule->path + (*rule->path == '~')) < 0)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    p->n++;
    return 0;
}

/* One that would be read as a pattern, or is the root, is no home that we know of. */
static const char *usable_home(const char *home)
{
    home += strspn(home, "/");
    return strpbrk(home, "*?[\\") || strstr(home, "..") ? "" : home;
}

int slim_places_init(const char *home, struct slim_places *ret, struct error *err)
{
    const char *const homes[] = {"root", "home/*", usable_home(home)};

    *ret = (struct slim_places){.v = calloc(3 * slim_n_rules, sizeof(*ret->v))};
    if (!ret->v)
        return error_set(err, ERR_SYSTEM, "slim a layer: out of memory");
    for (size_t i = 0; i < slim_n_rules; i++) {
        const struct slim_rule *rule = &slim_rules[i];

        for (size_t k = 0; k < (*rule->path == '~' ? 3 : 1); k++)
            if (*homes[k] && add_place(ret, rule, *rule->path == '~' ? homes[k] : "", err) < 0)
                return -1;
    }
    return 0;
}

void slim_places_release(struct slim_places *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->v[i].pattern);
    free(p->v);
    *p = (struct slim_places){.n = 0};
}

/* ---- finding ---- */

static bool is_same_name(const char *pattern, size_t pattern_len, const char *name, size_t len)
{
    char p[256], n[256];

    if (pattern_len == len && memcmp(pattern, name, len) == 0)
        return true;
    if (!memchr(pattern, '*', pattern_len) || pattern_len >= sizeof(p) || len >= sizeof(n))
        return false;
    (void)snprintf(p, sizeof(p), "%.*s", (int)pattern_len, pattern);
    (void)snprintf(n, sizeof(n), "%.*s", (int)len, name);
    return fnmatch(p, n, FNM_PERIOD) == 0;
}

/* Name by name.  *ret_rest: what of the path lies below the place. */
static enum slim_relation relate(const char *pattern, const char *path, const char **ret_rest)
{
    for (;;) {
        size_t pattern_len = strcspn(pattern, "/"), len = strcspn(path, "/");

        if (len == 0)
            return SLIM_ABOVE;
        if (!is_same_name(pattern, pattern_len, path, len))
            return SLIM_ELSEWHERE;
        pattern += pattern_len;
        path += len;
        *ret_rest = path + (*path == '/');
        if (!*pattern)
            return *path ? SLIM_BELOW : SLIM_AT;
        pattern++;
        path = *ret_rest;
    }
}

bool slim_rule_takes(const struct slim_rule *rule, const char *rest)
{
    return !rule->names || (!strchr(rest, '/') && slim_is_among(rule->names, rest));
}

enum slim_relation slim_places_find(const struct slim_places *p, const char *path,
                                    const struct slim_rule **ret_rule, size_t *ret_len)
{
    enum slim_relation best = SLIM_ELSEWHERE;

    for (size_t i = 0; i < p->n; i++) {
        const char *rest = path;
        enum slim_relation r = relate(p->v[i].pattern, path, &rest);

        if (r <= best || (r == SLIM_BELOW && !slim_rule_takes(p->v[i].rule, rest)))
            continue;
        best = r;
        *ret_rule = p->v[i].rule;
        *ret_len = (size_t)(rest - path) - (r == SLIM_BELOW);
    }
    return best;
}

bool slim_is_among(const char *words, const char *name)
{
    char word[64];

    for (size_t n; *words; words += n + (words[n] == ' ')) {
        n = strcspn(words, " ");
        (void)snprintf(word, sizeof(word), "%.*s", (int)n, words);
        if (fnmatch(word, name, 0) == 0)
            return true;
    }
    return false;
}
