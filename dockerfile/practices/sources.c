/* dockerfile/practices/sources — COPY . . before what only needs the manifests: each change of any
 * file installs all of it again. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/practices/practice.h"

struct installer {
    const char *tool;
    const char *subcommand; /* words in order; NULL: any use without a word that is no flag */
    bool alone;             /* a package named behind it is no manifest's */
};

/* One tool's rows stand together: its bit is its first row's. */
static const struct installer installers[] = {
    {"npm", "ci", true},           {"npm", "install", true},      {"npm", "i", true},
    {"yarn", "install", true},     {"yarn", NULL, true},          {"pnpm", "install", true},
    {"pnpm", "i", true},           {"bun", "install", true},      {"bun", "i", true},
    {"pip", "install -r", false},  {"pip3", "install -r", false}, {"poetry", "install", true},
    {"pipenv", "install", true},   {"pipenv", "sync", true},      {"pdm", "install", true},
    {"pdm", "sync", true},         {"uv", "sync", true},          {"uv", "pip install -r", false},
    {"go", "mod download", false}, {"bundle", "install", true},   {"composer", "install", true},
    {"cargo", "fetch", true},      {"dotnet", "restore", false},
};
#define INSTALLERS (sizeof(installers) / sizeof(installers[0]))
_Static_assert(INSTALLERS <= 8 * sizeof(unsigned), "a bit for each tool");

/* Where the word at k (moved behind it) is the len bytes at s, flags before it passed over unless
 * it is one itself. */
static bool take_word(const struct shell_command *c, size_t *k, const char *s, size_t len)
{
    for (; *k < c->words.n; ++*k) {
        const char *w = c->words.v[*k];

        if (strlen(w) == len && memcmp(w, s, len) == 0) {
            ++*k;
            return true;
        }
        if (w[0] != '-' && s[0] != '-')
            return false;
    }
    return false;
}

static bool has_words(const struct shell_command *c, size_t *k, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, " ");

        if (!take_word(c, k, words, len))
            return false;
        words += len + (words[len] == ' ');
    }
    return true;
}

static bool has_plain_word(const struct shell_command *c, size_t k)
{
    for (; k < c->words.n; k++)
        if (c->words.v[k][0] != '-')
            return true;
    return false;
}

static bool is_install(const struct shell_command *c, const struct installer *i)
{
    size_t k = c->worker + 1;

    if (*c->tool != *i->tool || strcmp(c->tool, i->tool) != 0)
        return false;
    if (i->subcommand && !has_words(c, &k, i->subcommand))
        return false;
    return !i->alone || !has_plain_word(c, k);
}

/* The row, INSTALLERS when the command installs nothing from manifests. */
static size_t find_installer(const struct shell_command *c)
{
    size_t row = 0;

    while (row < INSTALLERS && !is_install(c, &installers[row]))
        row++;
    return row;
}

/* The bit of the row's tool. */
static unsigned tool_of(size_t row)
{
    while (row > 0 && strcmp(installers[row - 1].tool, installers[row].tool) == 0)
        row--;
    return 1U << row;
}

/* `COPY . .`: the whole context.  With a mount of the manifests the install does not need it. */
static void look_copy(struct practice *p, const struct dockerfile_instruction *i)
{
    if (p->stage.has_sources || practice_flag(i, "from") || i->words.n != 2)
        return;
    if (strcmp(i->words.v[0], ".") != 0 && strcmp(i->words.v[0], "./") != 0)
        return;
    p->stage.has_sources = true;
    p->stage.sources = p->at;
}

static void look_install(struct practice *p, const struct dockerfile_instruction *i)
{
    (void)i;
    for (size_t k = 0; k < p->script.n; k++) {
        size_t row = find_installer(&p->script.v[k]);

        if (row == INSTALLERS || (p->stage.installed & tool_of(row)))
            continue;
        p->stage.installed |= tool_of(row);
        if (!p->stage.sources)
            continue;
        practice_found_at(
            p, p->stage.sources, "any change of a file makes \"%s%s%s\" in line %d run again",
            installers[row].tool, installers[row].subcommand ? " " : "",
            installers[row].subcommand ? installers[row].subcommand : "", p->at->first_line);
        p->stage.sources = NULL;
    }
}

#define DESCRIPTION "Dependencies that are installed after all sources are never cached."
#define ADVICE      "copy the manifest and the lock file first, install, then COPY . ."

const struct practice_rule practice_sources[] = {
    {{.name = "SourcesBeforeInstall", .description = DESCRIPTION, .advice = ADVICE},
     "COPY",
     look_copy},
    {{.name = "SourcesBeforeInstall", .description = DESCRIPTION, .advice = ADVICE},
     "RUN",
     look_install},
    {.keyword = NULL},
};
