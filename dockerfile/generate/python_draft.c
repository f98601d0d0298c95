/* dockerfile/generate/python_draft — the lines: a stage that installs into /app/.venv, and one that
 * has that environment and the sources, but nothing that was only needed to install.
 *
 * The environment is copied before the sources, so that a change of the sources alone makes a small
 * layer; both lie where they were built, as an environment names its own path. */
#include <string.h>

#include "dockerfile/generate/python.h"

#define UV_IMAGE "ghcr.io/astral-sh/uv:0.13.9"
#define WHY_SIZE 256

struct drafting {
    struct generator *g;
    const struct python_project *p;
    const struct python_version *version;
    const struct python_choice *choice;
    struct argv build_packages, run_packages; /* of Debian */
    struct buf packages_why;
};

static void drafting_release(struct drafting *d)
{
    argv_release(&d->build_packages);
    argv_release(&d->run_packages);
    buf_release(&d->packages_why);
}

static void draft_from(struct drafting *d, const char *why, const char *as)
{
    const struct python_version *v = d->version;
    char patch[16] = "";

    if (v->patch != PYTHON_PATCH_ANY)
        (void)snprintf(patch, sizeof(patch), ".%d", v->patch);
    draft_line(d->g, why, "FROM python:3.%d%s-slim%s", v->minor, patch, as);
}

static void draft_packages(struct drafting *d, const struct argv *packages, const char *purpose)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(2048);
    char why[WHY_SIZE];

    if (packages->n == 0)
        return;
    for (size_t i = 0; i < packages->n; i++)
        buf_addf(&names, " %s", packages->v[i]);
    (void)snprintf(why, sizeof(why), "Debian packages for %s: %.160s", purpose,
                   buf_str(&d->packages_why));
    draft_line(d->g, why,
               "RUN apt-get update && apt-get install -y --no-install-recommends%s && "
               "rm -rf /var/lib/apt/lists/*",
               buf_str(&names));
}

/* ---- installing ---- */

static void draft_tool(struct drafting *d)
{
    const struct python_manager *m = d->choice->manager;
    bool old = d->version->minor == 9;
    char why[WHY_SIZE];

    (void)snprintf(why, sizeof(why), "package manager %s: %s", m->name, d->choice->file);
    if (m->uses_uv)
        draft_line(d->g, why, "COPY --from=%s /uv /usr/local/bin/uv", UV_IMAGE);
    if (m->tool)
        draft_line(d->g, why,
                   "RUN --mount=type=cache,target=/root/.cache/pip pip install --no-input "
                   "--progress-bar off %s",
                   old ? m->tool_39 : m->tool);
    if (m->uses_uv)
        draft_line(d->g, why, "ENV %s UV_PYTHON=3.%d", m->env, d->version->minor);
    else if (m->env)
        draft_line(d->g, why, "ENV %s", m->env);
    if (d->p->scm_version && d->choice->package_why)
        draft_line(d->g, "[build-system] asks git for the version, and the build has no .git",
                   "ENV SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0");
}

static int draft_manifests(struct drafting *d, struct error *err)
{
    CLEANUP(buf_release) struct buf names = BUF_INIT(1024);
    const struct python_manager *m = d->choice->manager;

    for (size_t i = 0; i < sizeof(m->manifests) / sizeof(m->manifests[0]) && m->manifests[i]; i++) {
        bool has;

        if (generator_has(d->g, m->manifests[i], &has, err) < 0)
            return -1;
        if (has)
            buf_addf(&names, "%s ", m->manifests[i]);
    }
    draft_line(d->g, "the manifests first: what they name is installed again only when they change",
               "COPY %s./", buf_str(&names));
    return 0;
}

/* Each requirements file that is there goes to where it lay, so that they find each other. */
static int draft_requirements(struct drafting *d, struct error *err)
{
    const struct argv *files = &d->p->requirements;

    for (size_t i = 0; i < files->n; i++) {
        const char *file = files->v[i], *slash = strrchr(file, '/');
        bool has;

        if (generator_has(d->g, file, &has, err) < 0)
            return -1;
        if (!has)
            return error_set(err, ERR_INPUT, "%s includes %.100s, which is not there", files->v[0],
                             file);
        draft_line(
            d->g, "the requirements first: what they name is installed again only when they change",
            "COPY %s ./%.*s", file, slash ? (int)(slash - file) + 1 : 0, file);
    }
    return 0;
}

static void draft_install(struct drafting *d, const char *why, const char *command)
{
    CLEANUP(buf_release) struct buf mounts = BUF_INIT(1024);
    const struct python_manager *m = d->choice->manager;
    const char *file = m->names_file ? d->choice->file : "";

    for (size_t i = 0; i < sizeof(m->caches) / sizeof(m->caches[0]) && m->caches[i]; i++)
        buf_addf(&mounts, "--mount=type=cache,target=%s ", m->caches[i]);
    /* A root of a workspace that is no project itself has nothing but its members. */
    draft_line(d->g, why, "RUN %s%s%s%s%s", buf_str(&mounts), command, *file ? " " : "", file,
               m->uses_uv && d->choice->has_lock && !d->p->has_project ? " --all-packages" : "");
}

/* What has to be there before the dependencies can be installed. */
static int draft_named(struct drafting *d, struct error *err)
{
    if (*d->p->whole_tree) {
        draft_line(d->g, d->p->whole_tree, "# check=skip=SourcesBeforeInstall");
        draft_line(d->g, d->p->whole_tree, "COPY . .");
        return 0;
    }
    return d->choice->manager->names_file ? draft_requirements(d, err) : draft_manifests(d, err);
}

static int draft_build_stage(struct drafting *d, struct error *err)
{
    const struct python_manager *m = d->choice->manager;
    const struct python_commands *commands = d->choice->has_lock ? &m->locked : &m->unlocked;
    char why[WHY_SIZE];

    draft_packages(d, &d->build_packages, "installing");
    draft_tool(d);
    draft_line(d->g, "", "WORKDIR /app");
    if (draft_named(d, err) < 0)
        return -1;
    if (m->venv)
        draft_line(d->g, "the environment that the final stage takes over", "RUN %s", m->venv);
    (void)snprintf(why, sizeof(why), "what %s names%s", d->choice->file,
                   m->leaves_development ? ", without what only development needs" : "");
    draft_install(d, why, commands->dependencies);
    if (!d->choice->package_why || !commands->project)
        return 0;
    (void)snprintf(why, sizeof(why), "the project is a package: %s", d->choice->package_why);
    if (!*d->p->whole_tree)
        draft_line(d->g, why, "COPY . .");
    draft_install(d, why, commands->project);
    return 0;
}

/* ---- the final stage ---- */

static void draft_user(struct drafting *d)
{
    draft_line(d->g, "a user of its own, who may write to /app",
               "RUN useradd --uid 1000 --user-group --home-dir /app --no-create-home app && "
               "install -d -o 1000 -g 1000 /app");
}

static void draft_final_stage(struct drafting *d)
{
    struct generator *g = d->g;
    bool root = generator_is_root(g);
    const char *venv = d->choice->manager->unlocked.dependencies ? NULL : d->choice->manager->venv;

    draft_packages(d, &d->run_packages, "running");
    if (!root)
        draft_user(d);
    draft_line(g, "the environment first on PATH; output is seen when it is written",
               "ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1");
    draft_line(g, "", "WORKDIR /app");
    if (venv)
        draft_line(g, "no dependencies, but commands may name .venv/bin/python", "RUN %s", venv);
    else
        draft_line(g, "the environment before the sources, which change more often",
                   "COPY --from=build /app/.venv ./.venv");
    draft_line(g, venv ? "the sources" : "", "COPY %s. .", root ? "" : "--chown=1000:1000 ");
    draft_service(g);
    if (g->start.found)
        draft_start(g);
}

static int draft_stages(struct drafting *d, struct error *err)
{
    const struct python_version *v = d->version;
    char why[WHY_SIZE];

    (void)snprintf(why, sizeof(why), "Python 3.%d: %.200s", v->minor, v->why);
    if (!d->choice->manager->unlocked.dependencies) {
        draft_from(d, why, "");
        draft_final_stage(d);
        return 0;
    }
    draft_from(d, why, " AS build");
    if (draft_build_stage(d, err) < 0)
        return -1;
    draft_gap(d->g);
    draft_from(d, "the same Python, without what only installing needs", "");
    draft_final_stage(d);
    return 0;
}

int python_draft(struct generator *g, const struct python_project *p,
                 const struct python_version *version, const struct python_choice *c,
                 struct error *err)
{
    CLEANUP(drafting_release)
    struct drafting d = {
        .g = g, .p = p, .version = version, .choice = c, .packages_why = BUF_INIT(1024)};

    python_native_packages(p, &d.build_packages, &d.run_packages, &d.packages_why);
    if (d.build_packages.failed || d.run_packages.failed)
        return error_set(err, ERR_SYSTEM, "list Debian packages: out of memory");
    return draft_stages(&d, err);
}
