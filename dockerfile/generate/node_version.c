/* dockerfile/generate/node_version — the version of Node.js: engines.node, else the files in which
 * version managers keep it, else the default.
 *
 * Of a range the newest release line is taken that is in long-term support; lines that are newer,
 * or past their end, only when the range leaves nothing else. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define MAJOR_OLDEST  12 /* older ones run no package manager of today */
#define MAJOR_NEWEST  99
#define MAJOR_DEFAULT 22

/* Release lines in the order in which they are preferred; end: of security fixes, "" while they
 * come (https://github.com/nodejs/Release). */
static const struct {
    unsigned major;
    const char *end;
} lines[] = {{24, ""},          {22, ""},          {20, "April 2026"},     {18, "April 2025"},
             {26, ""},          {25, "June 2026"}, {23, "June 2025"},      {21, "June 2024"},
             {19, "June 2023"}, {17, "June 2022"}, {16, "September 2023"}, {14, "April 2023"},
             {15, "June 2021"}, {13, "June 2020"}, {12, "April 2022"}};
#define N_LINES (sizeof(lines) / sizeof(lines[0]))

/* The names by which nvm and its kin call release lines, and the range that each stands for. */
static const struct {
    const char *name, *range;
} aliases[] = {{"lts/*", "24"},       {"lts", "24"},         {"--lts", "24"},
               {"node", "24"},        {"latest", "24"},      {"stable", "24"},
               {"current", "24"},     {"lts/-1", "22"},      {"lts/krypton", "24"},
               {"lts/jod", "22"},     {"lts/iron", "20"},    {"lts/hydrogen", "18"},
               {"lts/gallium", "16"}, {"lts/fermium", "14"}, {"lts/erbium", "12"}};

/* ---- a range to an image ---- */

static struct semver newest_of(unsigned major)
{
    return (struct semver){{major, SEMVER_NEWEST, SEMVER_NEWEST}};
}

static void take_major(unsigned major, struct node_version *ret)
{
    ret->version = newest_of(major);
    (void)snprintf(ret->tag, sizeof(ret->tag), "%u", major);
}

/* The newest version below high, which no release line ends with. */
static void take_below(const struct semver *high, struct node_version *ret)
{
    unsigned major = high->v[0], minor = high->v[1], patch = high->v[2];

    if (patch > 0) {
        ret->version = (struct semver){{major, minor, patch - 1}};
        (void)snprintf(ret->tag, sizeof(ret->tag), "%u.%u.%u", major, minor, patch - 1);
    } else if (minor > 0) {
        ret->version = (struct semver){{major, minor - 1, SEMVER_NEWEST}};
        (void)snprintf(ret->tag, sizeof(ret->tag), "%u.%u", major, minor - 1);
    } else {
        take_major(major - 1, ret);
    }
}

/* False: no image has such a version. */
static bool take(const struct semver_range *range, struct node_version *ret)
{
    const struct semver_interval *last = NULL;
    struct semver line;

    for (size_t i = 0; i < N_LINES; i++) {
        line = newest_of(lines[i].major);
        if (semver_range_allows(range, &line)) {
            take_major(lines[i].major, ret);
            return true;
        }
    }
    for (size_t i = 0; i < range->n; i++)
        if (!last || semver_compare(&range->v[i].high, &last->high) > 0)
            last = &range->v[i];
    if (!last)
        return false;
    if (last->high.v[0] > SEMVER_PART_MAX) /* newer than every line above */
        take_major(last->low.v[0], ret);
    else
        take_below(&last->high, ret);
    return ret->version.v[0] >= MAJOR_OLDEST && ret->version.v[0] <= MAJOR_NEWEST;
}

static bool parse(const char *text, struct semver_range *ret)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (strcasecmp(text, aliases[i].name) == 0)
            text = aliases[i].range;
    return semver_range_parse(text, ret);
}

/* ---- where it may stand ---- */

static const char *const tool_names[] = {"nodejs", "node", NULL};

/* A section of package.json, or a file of the title's name, where a tool's name stands before the
 * version or not. */
static const struct place {
    const char *title;
    const char *section;
    const char *const *tools;
} places[] = {
    {"engines.node in package.json", "engines", NULL},
    {".nvmrc", NULL, NULL},
    {".node-version", NULL, NULL},
    {".tool-versions", NULL, tool_names},
    {"volta.node in package.json", "volta", NULL},
};

static int look(struct generator *g, const struct node_package *p, const struct place *place,
                char ret[SEMVER_TEXT_MAX], struct error *err)
{
    const char *value;

    if (!place->section)
        return generator_read_version(g, place->title, place->tools, ret, err);
    value = node_package_text(p, place->section, "node");
    if (value && strlen(value) >= SEMVER_TEXT_MAX)
        return error_set(err, ERR_LIMIT, "%s is longer than %d bytes", place->title,
                         SEMVER_TEXT_MAX - 1);
    (void)snprintf(ret, SEMVER_TEXT_MAX, "%s", value ? value : "");
    return 0;
}

_Static_assert(SEMVER_TEXT_MAX >= VERSION_TEXT_MAX, "room for what a file says");

/* ---- the decision ---- */

static int decide(const struct place *place, const char *text, const struct semver_range *range,
                  struct node_version *ret, struct error *err)
{
    if (!take(range, ret))
        return error_set(err, ERR_INPUT,
                         "%s asks for Node.js \"%s\", of which there is no image; ask for one of "
                         "18, 20, 22 and 24",
                         place->title, text);
    ret->asked = true;
    (void)snprintf(ret->why, sizeof(ret->why), "Node.js %s: %s%.60s%s%s", ret->tag,
                   place->section ? "\"" : "", place->section ? text : "",
                   place->section ? "\", " : "", place->title);
    return 0;
}

static void warn_of_end(struct generator *g, const struct node_version *v)
{
    for (size_t i = 0; i < N_LINES; i++)
        if (lines[i].major == v->version.v[0] && *lines[i].end)
            generator_warn(g, "Node.js %u has had no security fixes since %s (%s)", lines[i].major,
                           lines[i].end, v->why);
}

int node_version_find(struct generator *g, const struct node_package *p, struct node_version *ret,
                      struct error *err)
{
    struct semver_range range;
    char text[SEMVER_TEXT_MAX];

    *ret = (struct node_version){.asked = false};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (look(g, p, &places[i], text, err) < 0)
            return -1;
        if (*text == '\0')
            continue;
        if (!parse(text, &range))
            generator_warn(g, "%s: \"%s\" is no version of Node.js, and is left out of account",
                           places[i].title, text);
        else if (!ret->asked && decide(&places[i], text, &range, ret, err) < 0)
            return -1;
        else if (!semver_range_allows(&range, &ret->version))
            generator_warn(g, "%s asks for Node.js %s, but %s decides", places[i].title, text,
                           ret->why);
    }
    if (!ret->asked) {
        take_major(MAJOR_DEFAULT, ret);
        (void)snprintf(ret->why, sizeof(ret->why),
                       "Node.js 22, the default: no engines.node in package.json, no .nvmrc");
    }
    warn_of_end(g, ret);
    return 0;
}

bool node_version_strips_types(const struct node_version *v)
{
    static const struct semver in_22 = {{22, 18, 0}}, in_23 = {{23, 6, 0}};

    return v->version.v[0] == 22 ? semver_compare(&v->version, &in_22) >= 0
                                 : semver_compare(&v->version, &in_23) >= 0;
}
