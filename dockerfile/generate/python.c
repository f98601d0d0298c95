/* dockerfile/generate/python — Python projects: with a manifest, or a program alone. */
#include "dockerfile/generate/python.h"

#include <string.h>

/* The client calls a project Python's for these two alone (PROTOCOL.md 7.2), before it looks for
 * other languages. */
static const char *const manifests[] = {"pyproject.toml", "requirements.txt", NULL};

static const char *const lesser_manifests[] = {"Pipfile",     "setup.py", "setup.cfg", "uv.lock",
                                               "poetry.lock", "pdm.lock", NULL};

static int detect_manifest(struct generator *g, const char **ret_reason, struct error *err)
{
    return generator_first(g, manifests, ret_reason, err);
}

static int detect_file(struct generator *g, const char **ret_reason, struct error *err)
{
    if (generator_first(g, lesser_manifests, ret_reason, err) < 0)
        return -1;
    return *ret_reason ? 0 : generator_first(g, python_entry_files, ret_reason, err);
}

/* An environment of the user's machine among the files: it would lie over the image's own. */
static int warn_of_venv(struct generator *g, struct error *err)
{
    static const char *const ignores[] = {"Dockerfile.dockerignore", ".dockerignore", NULL};
    CLEANUP(buf_release) struct buf text = BUF_INIT(SOURCE_FILE_MAX);
    enum source_kind kind;
    const char *ignore;
    bool found;

    if (g->source->kind(g->source->self, ".venv", &kind, err) < 0 ||
        generator_first(g, ignores, &ignore, err) < 0)
        return -1;
    if (kind != SOURCE_DIRECTORY || !ignore)
        return 0;
    if (generator_read(g, ignore, &text, &found, err) < 0)
        return -1;
    if (!strstr(buf_str(&text), ".venv"))
        generator_warn(g,
                       "the directory .venv is copied over the image's own: add \"**/.venv\" to "
                       "%s",
                       ignore);
    return 0;
}

static void note(struct generator *g, const struct python_version *v, const struct python_choice *c)
{
    if (c->file)
        generator_note(g, "Package manager %s (%s)", c->manager->name, c->file);
    else
        generator_note(g, "No package manager: no manifest names a dependency");
    generator_note(g, "Python 3.%d (%s)", v->minor, v->why);
    if (g->start.found)
        generator_note(g, "Start command: %s", g->start.why);
}

static int generate(struct generator *g, struct python_project *p, struct error *err)
{
    struct python_choice choice;
    struct python_version version;

    if (python_project_read(g, p, err) < 0 || python_version_find(g, p, &version, err) < 0 ||
        python_manager_choose(g, p, &choice, err) < 0 ||
        python_start_find(g, p, &choice, err) < 0 || warn_of_venv(g, err) < 0)
        return -1;
    note(g, &version, &choice);
    return python_draft(g, p, &version, &choice, err);
}

static int draft(struct generator *g, struct error *err)
{
    struct python_project p = {.n_constraints = 0};
    int r = generate(g, &p, err);

    python_project_release(&p);
    return r;
}

const struct language language_python = {.name = "python",
                                         .detect = detect_manifest,
                                         .write = draft,
                                         .looked_for = "pyproject.toml, requirements.txt"};

const struct language language_python_file = {
    .name = "python",
    .detect = detect_file,
    .write = draft,
    .looked_for = "Pipfile, setup.py, app.py, main.py, api.py (also in app/ and src/)"};
