/* dockerfile/generate/node_pnpm — which pnpm: what packageManager says, else one that reads the
 * lock file and the settings. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node_manager.h"
#include "dockerfile/generate/yaml_lines.h"

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
    if (!found || node_choice_major(version) != 9 ||
        !yaml_other_key(buf_str(&text), known, key, sizeof(key)))
        return 0;
    (void)snprintf(version, 64, "%s", PNPM_VERSION);
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
    node_choice_set_version(c, broken[i].instead);
    node_choice_explain(
        c, "packageManager in package.json asks for one that this Node.js does not run");
}

int node_pnpm_settle(struct generator *g, const struct node_package *p,
                     const struct node_version *node, const char *mark, struct node_choice *c,
                     struct error *err)
{
    char version[64], why[128];

    if (*c->version) {
        pnpm_from_field(g, node, c);
        return 0;
    }
    (void)snprintf(version, sizeof(version), "%s", PNPM_VERSION);
    (void)snprintf(why, sizeof(why), "%s", mark ? mark : "engines.pnpm in package.json");
    if (pnpm_from_lock(g, c, version, why, err) < 0 ||
        pnpm_from_workspace(g, version, why, err) < 0)
        return -1;
    pnpm_from_engines(g, p, version, why);
    node_choice_set_version(c, version);
    node_choice_explain(c, why);
    return 0;
}
