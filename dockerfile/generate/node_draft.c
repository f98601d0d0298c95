/* dockerfile/generate/node_draft — the lines of a JavaScript or TypeScript project.
 *
 *   base    (only when the start command runs the package manager) Node.js and the manager
 *   build   the dependencies, the sources, the build; then development's dependencies go
 *   (last)  what is left in /app
 *
 * A project that installs and builds nothing is copied as it is. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

struct draft {
    struct generator *g;
    const struct node_project *p;
    const struct node_manager *manager;
    char image[96];
    char tool[128]; /* "pnpm@9.15.9" for npm install -g; "" when the image has the manager */
    bool has_base;
    bool installs, builds;
};

/* ---- images and tools ---- */

static void name_image(struct draft *d)
{
    const struct node_choice *c = &d->p->choice;

    if (node_choice_is_bun(c) && !d->p->version.asked) {
        (void)snprintf(d->image, sizeof(d->image), "oven/bun:%s-slim", c->version);
        return;
    }
    (void)snprintf(d->image, sizeof(d->image), "node:%s-slim", d->p->version.tag);
    if (d->manager->package && !*c->yarn)
        (void)snprintf(d->tool, sizeof(d->tool), "%s@%s", d->manager->package, c->version);
    else if (*c->version && !*c->yarn)
        (void)snprintf(d->tool, sizeof(d->tool), "%s@%s", d->manager->name, c->version);
}

static const char *image_why(const struct draft *d)
{
    return text_starts(d->image, "oven/") ? d->p->choice.why : d->p->version.why;
}

static void write_tool(struct draft *d)
{
    if (!d->tool[0])
        return;
    draft_line(d->g, d->p->choice.why,
               "RUN --mount=type=cache,target=/root/.npm npm install -g --no-audit --no-fund %s%s",
               text_starts(d->manager->name, "yarn") ? "--force " : "", d->tool);
}

/* The Yarn that the project has with it, under the name that commands call.  Not a link: archives
 * lose the mode of files, and nobody could run it. */
static void write_own_yarn(struct draft *d)
{
    if (*d->p->choice.yarn)
        draft_line(d->g, d->p->choice.why,
                   "RUN rm -f /usr/local/bin/yarn && printf '#!/bin/sh\\nexec node /app/%s "
                   "\"$@\"\\n' >/usr/local/bin/yarn && chmod 755 /usr/local/bin/yarn",
                   d->p->choice.yarn);
}

static void write_environment(struct draft *d)
{
    if (d->p->choice.notes_itself)
        draft_line(d->g,
                   "this is the pnpm that is asked for, and a frozen lock file stays as it is",
                   "ENV pnpm_config_pm_on_fail=ignore");
    if (!d->p->choice.is_berry)
        return;
    draft_line(d->g, "packages come from a cache outside the project, without questions",
               "ENV YARN_ENABLE_GLOBAL_CACHE=true YARN_ENABLE_TELEMETRY=false");
    if (d->p->choice.sets_linker)
        draft_line(d->g, "nodeLinker in .yarnrc.yml is not node-modules, which every program finds",
                   "ENV YARN_NODE_LINKER=node-modules");
}

static void write_manager(struct draft *d)
{
    write_tool(d);
    write_own_yarn(d);
    write_environment(d);
}

/* ---- the build stage ---- */

/* Appends those of the names that are there: files to one list, directories to the other. */
static int find_files(struct draft *d, const char *const *names, size_t n, struct buf *files,
                      struct argv *directories, struct error *err)
{
    enum source_kind kind;
    bool has;

    for (size_t i = 0; i < n && names[i]; i++) {
        size_t len = strlen(names[i]);

        if (names[i][len - 1] == '/') {
            char path[32];

            (void)snprintf(path, sizeof(path), "%.*s", (int)(len - 1), names[i]);
            if (d->g->source->kind(d->g->source->self, path, &kind, err) < 0)
                return -1;
            if (kind == SOURCE_DIRECTORY)
                argv_push1(directories, names[i]);
        } else {
            if (generator_has(d->g, names[i], &has, err) < 0)
                return -1;
            if (has)
                buf_addf(files, "%s ", names[i]);
        }
    }
    return 0;
}

static int write_manifests(struct draft *d, struct error *err)
{
    static const char why[] =
        "the manifests first: what they name is installed again only when they change";
    CLEANUP(buf_release) struct buf files = BUF_INIT(4096);
    CLEANUP(argv_release) struct argv directories = ARGV_INIT;
    const struct node_manager *m = d->manager;
    const struct argv *packages = &d->p->workspaces.directories;

    if (find_files(d, m->locks, sizeof(m->locks) / sizeof(m->locks[0]), &files, &directories, err) <
            0 ||
        find_files(d, m->files, sizeof(m->files) / sizeof(m->files[0]), &files, &directories, err) <
            0)
        return -1;
    draft_line(d->g, why, "COPY package.json %s./", buf_str(&files));
    for (size_t i = 0; i < directories.n; i++)
        draft_line(d->g, why, "COPY %s ./%s", directories.v[i], directories.v[i]);
    if (*d->p->choice.yarn && !text_starts(d->p->choice.yarn, ".yarn/"))
        draft_line(d->g, why, "COPY %s ./%s", d->p->choice.yarn, d->p->choice.yarn);
    for (size_t i = 0; i < packages->n; i++)
        draft_line(d->g, "the packages of the workspace", "COPY %s/package.json ./%s/",
                   packages->v[i], packages->v[i]);
    return 0;
}

static void write_install(struct draft *d)
{
    const struct node_choice *c = &d->p->choice;
    char why[200];

    if (c->lock)
        (void)snprintf(why, sizeof(why), "exactly what %s holds", c->lock);
    else
        (void)snprintf(why, sizeof(why), "no lock file: the newest that package.json allows");
    draft_line(d->g, why, "RUN %s %s", d->manager->cache,
               c->lock ? d->manager->install : d->manager->unlocked);
}

static int write_sources(struct draft *d, struct error *err)
{
    static const char *const stale[] = {".pnp.cjs", ".pnp.js", NULL};
    const char *file;

    draft_line(d->g,
               d->p->workspaces.whole_tree[0] ? d->p->workspaces.whole_tree : "all of the sources",
               "COPY . .");
    if (!d->p->choice.sets_linker)
        return 0;
    if (generator_first(d->g, stale, &file, err) < 0)
        return -1;
    if (file)
        draft_line(d->g, "there is node_modules instead", "RUN rm -rf .pnp.* .yarn/cache");
    return 0;
}

/* Next.js keeps what it has compiled; the cache is one project's, as its content is. */
static void add_build_mount(const struct draft *d, struct buf *out)
{
    const char *name = node_package_text(&d->p->package, NULL, "name");

    if (!node_package_depends(&d->p->package, "next"))
        return;
    buf_adds(out, "--mount=type=cache,id=next-");
    for (size_t i = 0; name && name[i] && i < 100; i++)
        buf_addc(out, strchr(NAME_CHARS, name[i]) ? name[i] : '-');
    buf_adds(out, ",target=/app/.next/cache ");
}

static int write_build(struct draft *d, struct error *err)
{
    CLEANUP(buf_release) struct buf mount = BUF_INIT(512);

    if (node_package_text(&d->p->package, "scripts", "build")) {
        add_build_mount(d, &mount);
        if (buf_check(&mount, "a cache's name", err) < 0)
            return -1;
        draft_line(d->g, "scripts.build in package.json", "RUN %s%s run build", buf_str(&mount),
                   d->manager->name);
    }
    if (d->p->start.compile)
        draft_line(d->g, d->p->start.compile_why, "RUN %s", d->p->start.compile);
    return 0;
}

static void write_prune(struct draft *d)
{
    const char *prune = d->manager->prune;

    if (!d->p->workspaces.has_development)
        return;
    if (d->p->start.keep[0]) {
        generator_warn(d->g,
                       "%s: they stay in the image; move it to dependencies to have them "
                       "taken away",
                       d->p->start.keep);
        draft_line(d->g, "", "# %s: they stay", d->p->start.keep);
        return;
    }
    if (!d->p->choice.prunes) {
        generator_warn(d->g, "devDependencies stay in the image: this Yarn takes them away only "
                             "with its workspace-tools plugin");
        return;
    }
    if (d->manager->prune_bare && node_package_install_script(&d->p->package))
        prune = d->manager->prune_bare;
    draft_line(d->g, "what only development needs goes", "RUN %s %s", d->manager->cache, prune);
}

static int write_build_stage(struct draft *d, struct error *err)
{
    if (d->has_base) {
        draft_line(d->g, image_why(d), "FROM %s AS base", d->image);
        write_manager(d);
        draft_gap(d->g);
        draft_line(d->g, "", "FROM base AS build");
    } else {
        draft_line(d->g, image_why(d), "FROM %s AS build", d->image);
        write_manager(d);
    }
    draft_line(d->g, "", "WORKDIR /app");
    if (d->p->workspaces.whole_tree[0] ? write_sources(d, err) < 0
                                       : d->installs && write_manifests(d, err) < 0)
        return -1;
    if (d->installs)
        write_install(d);
    if (!d->p->workspaces.whole_tree[0] && write_sources(d, err) < 0)
        return -1;
    if (write_build(d, err) < 0)
        return -1;
    write_prune(d);
    draft_gap(d->g);
    return 0;
}

/* ---- the final stage ---- */

static void write_final_stage(struct draft *d, bool built)
{
    const char *chown = generator_is_root(d->g) ? "" : "--chown=1000:1000 ";

    if (!built)
        draft_line(d->g, image_why(d), "FROM %s", d->image);
    else
        draft_line(d->g, "the same image, without what only building needs", "FROM %s",
                   d->has_base ? "base" : d->image);
    if (*chown)
        draft_line(d->g, "the program's user may write to its directory",
                   "RUN install -d -o 1000 -g 1000 /app");
    draft_line(d->g, "programs of packages are found by name",
               "ENV NODE_ENV=production PATH=/app/node_modules/.bin:$PATH");
    draft_line(d->g, "", "WORKDIR /app");
    if (built)
        draft_line(d->g, "", "COPY --from=build %s/app ./", chown);
    else
        draft_line(d->g, "nothing to install and nothing to build", "COPY %s. .", chown);
    draft_service(d->g);
    draft_start(d->g);
}

int node_draft(struct generator *g, const struct node_project *p, struct error *err)
{
    struct draft d = {.g = g, .p = p, .manager = p->choice.manager};
    const struct node_workspaces *w = &p->workspaces;

    name_image(&d);
    d.installs = w->has_dependencies || w->has_development || w->whole_tree[0];
    d.builds = node_package_text(&p->package, "scripts", "build") || p->start.compile;
    d.has_base = p->start.uses_manager && (d.tool[0] || p->choice.is_berry);
    if (!d.installs && !d.builds && !d.has_base) {
        write_final_stage(&d, false);
        return 0;
    }
    if (write_build_stage(&d, err) < 0)
        return -1;
    write_final_stage(&d, true);
    return 0;
}
