/* dockerfile/generate/node — a JavaScript or TypeScript project: everything with a package.json. */
#include "dockerfile/generate/node.h"

static int detect(struct generator *g, const char **ret_reason, struct error *err)
{
    static const char *const names[] = {"package.json", NULL};

    return generator_first(g, names, ret_reason, err);
}

static void project_release(struct node_project *p)
{
    node_package_release(&p->package);
    node_workspaces_release(&p->workspaces);
}

/* npm ci refuses a lock file that was made for other dependencies, after minutes of waiting. */
static int check_lock(struct generator *g, const struct node_project *p, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    const struct node_workspaces *w = &p->workspaces;
    bool found;

    if (!p->choice.lock) {
        if (w->has_dependencies || w->has_development)
            generator_warn(g,
                           "no lock file: each build may take other versions; commit the %s "
                           "that %s install writes",
                           p->choice.manager->locks[0], p->choice.manager->name);
        return 0;
    }
    if (!node_choice_is_npm(&p->choice))
        return 0;
    if (generator_read(g, p->choice.lock, &text, &found, err) < 0)
        return -1;
    if (found && node_package_lock_differs(&p->package, buf_str(&text), text.len))
        generator_warn(g,
                       "%s was made for other dependencies than package.json has, which npm ci "
                       "refuses: run npm install and commit both",
                       p->choice.lock);
    return 0;
}

static int read_project(struct generator *g, struct node_project *p, struct error *err)
{
    bool found;

    if (node_package_read(g, "package.json", &p->package, &found, err) < 0)
        return -1;
    if (!found)
        return error_set(err, ERR_SYSTEM, "package.json was there, and is no longer");
    if (node_version_find(g, &p->package, &p->version, err) < 0 ||
        node_manager_choose(g, &p->package, &p->version, &p->choice, err) < 0 ||
        node_workspaces_read(g, &p->package, p->choice.manager, &p->workspaces, err) < 0)
        return -1;
    return check_lock(g, p, err);
}

static int draft(struct generator *g, struct error *err)
{
    CLEANUP(project_release) struct node_project p = {.package = {NULL}};

    if (read_project(g, &p, err) < 0 || node_start_find(g, &p, &p.start, err) < 0)
        return -1;
    if (p.version.asked || !node_choice_is_bun(&p.choice))
        generator_note(g, "%s", p.version.why);
    generator_note(g, "%s", p.choice.why);
    generator_note(g, "Started by %s", g->start.why);
    return node_draft(g, &p, err);
}

const struct language language_node = {
    .name = "typescript", .detect = detect, .write = draft, .looked_for = "package.json"};
