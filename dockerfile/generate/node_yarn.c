/* dockerfile/generate/node_yarn — which Yarn: 1 ("classic") or a later one ("berry"), and of those
 * the one that the project has with it, asks for, or has written its lock file with. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node_manager.h"
#include "dockerfile/generate/yaml_lines.h"

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
    return node_choice_major(number);
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
        if (node_choice_major(text) >= 2)
            node_choice_set_version(c, text);
    }
    node_choice_explain(c, "yarnPath in .yarnrc.yml");
    return 0;
}

static void berry_from_lock(struct generator *g, unsigned format, struct node_choice *c)
{
    size_t i = 0;
    char why[64];

    if (format == 0) {
        node_choice_set_version(c, c->manager->version);
        node_choice_explain(c, ".yarnrc.yml");
        return;
    }
    while (berry_locks[i].format < format)
        i++;
    node_choice_set_version(c, berry_locks[i].version);
    (void)snprintf(why, sizeof(why), "__metadata.version %u in yarn.lock", format);
    node_choice_explain(c, why);
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

    c->manager = &node_yarn_berry;
    c->is_berry = true;
    if (generator_read(g, ".yarnrc.yml", &settings, &found, err) < 0 ||
        berry_from_path(g, buf_str(&settings), c, err) < 0)
        return -1;
    if (!*c->version && !*c->yarn)
        berry_from_lock(g, format, c);
    (void)yaml_scalar(buf_str(&settings), "nodeLinker", linker, sizeof(linker));
    c->sets_linker = strcmp(linker, "node-modules") != 0 && strcmp(linker, "pnpm") != 0;
    c->prunes = node_choice_major(c->version) >= 4 ||
                (*c->yarn && strstr(buf_str(&settings), "plugin-workspace-tools"));
    return 0;
}

int node_yarn_settle(struct generator *g, const char *mark, struct node_choice *c,
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
    if (*c->version ? c->manager == &node_yarn_berry : has_settings || format > 0)
        return settle_berry(g, format, c, err);
    if (!*c->version) {
        node_choice_set_version(c, c->manager->version);
        node_choice_explain(c, mark ? mark : "engines.yarn in package.json");
    }
    return 0;
}
