/* dockerfile/generate/python_manager — the package managers, and which of them a project uses: the
 * one whose lock file is there, else the one whose manifest is.
 *
 * Every version here was tried with the command lines beside it. */
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/python.h"

#define PIP "pip install --no-input --progress-bar off"

/* UV_PYTHON keeps a patch version in .python-version from asking for another interpreter than the
 * image's. */
#define UV_ENV "UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1"

static const struct python_manager uv = {
    .name = "uv",
    .lock = "uv.lock",
    .leaves_development = true,
    .uses_uv = true,
    .env = UV_ENV,
    .caches = {"/root/.cache/uv"},
    .manifests = {"pyproject.toml", "uv.lock", "uv.toml"},
    .locked = {.dependencies = "uv sync --locked --no-dev --no-editable --no-install-project",
               .project = "uv sync --locked --no-dev --no-editable"},
    .unlocked = {.dependencies = "uv sync --no-dev --no-editable --no-install-project",
                 .project = "uv sync --no-dev --no-editable"},
};

static const struct python_manager poetry = {
    .name = "poetry",
    .lock = "poetry.lock",
    .leaves_development = true,
    .tool = "poetry==2.5.1",
    .tool_39 = "poetry==2.2.1",
    .env = "POETRY_VIRTUALENVS_CREATE=true POETRY_VIRTUALENVS_IN_PROJECT=true "
           "POETRY_NO_INTERACTION=1",
    .caches = {"/root/.cache/pypoetry"},
    .manifests = {"pyproject.toml", "poetry.lock", "poetry.toml"},
    .locked = {.dependencies = "poetry install --no-ansi --only=main --no-root --compile",
               .project = "poetry install --no-ansi --only-root --compile"},
    .unlocked = {.dependencies = "poetry install --no-ansi --only=main --no-root --compile",
                 .project = "poetry install --no-ansi --only-root --compile"},
};

/* pdm 2.29.4 does not run with the hishel 2 that its own requirements allow. */
static const struct python_manager pdm = {
    .name = "pdm",
    .lock = "pdm.lock",
    .leaves_development = true,
    .tool = "pdm==2.29.4 \"hishel<2\"",
    .tool_39 = "pdm==2.26.9 \"hishel<2\" \"unearth<0.19\"",
    .env = "PDM_CHECK_UPDATE=false PDM_IGNORE_SAVED_PYTHON=1 PDM_NON_INTERACTIVE=1",
    .caches = {"/root/.cache/pdm"},
    .manifests = {"pyproject.toml", "pdm.lock", "pdm.toml"},
    .locked = {.dependencies = "pdm install --check --prod --no-editable --no-self",
               .project = "pdm install --check --prod --no-editable"},
    .unlocked = {.dependencies = "pdm install --prod --no-editable --no-self",
                 .project = "pdm install --prod --no-editable"},
};

/* verify and sync do what "install --deploy" does, but for a python_full_version of another patch
 * than the image's, which they only warn of. */
static const struct python_manager pipenv = {
    .name = "pipenv",
    .lock = "Pipfile.lock",
    .leaves_development = true,
    .tool = "pipenv==2026.10.3",
    .tool_39 = "pipenv==2025.0.4",
    .env = "PIPENV_VENV_IN_PROJECT=1 PIPENV_NOSPIN=1 PIPENV_YES=1",
    .caches = {"/root/.cache/pipenv", "/root/.cache/pip"},
    .manifests = {"Pipfile", "Pipfile.lock"},
    .locked = {.dependencies = "pipenv verify && pipenv sync"},
    .unlocked = {.dependencies = "pipenv install --skip-lock"},
};

static const struct python_manager pip = {
    .name = "pip",
    .caches = {"/root/.cache/pip"},
    .venv = "python -m venv .venv",
    .names_file = true,
    .unlocked = {.dependencies = ".venv/bin/" PIP " -r"},
};

/* pip cannot install the dependencies of a pyproject.toml without its project; uv can. */
static const struct python_manager uv_pip = {
    .name = "uv pip",
    .uses_uv = true,
    .env = UV_ENV,
    .caches = {"/root/.cache/uv"},
    .manifests = {"pyproject.toml", "uv.toml"},
    .venv = "uv venv .venv",
    .unlocked = {.dependencies = "uv pip install -r pyproject.toml",
                 .project = "uv pip install --no-deps ."},
};

static const struct python_manager setup = {
    .name = "pip",
    .caches = {"/root/.cache/pip"},
    .venv = "python -m venv .venv",
    .unlocked = {.dependencies = ".venv/bin/" PIP " ."},
};

static const struct python_manager plain = {
    .name = "none",
    .venv = "python -m venv --without-pip .venv",
};

/* In the order of precedence; a lock file says more than a manifest. */
static const struct {
    const char *file;
    const struct python_manager *manager;
    const char *beside; /* without which the file is of no use */
} locks[] = {
    {"uv.lock", &uv, "pyproject.toml"},
    {"poetry.lock", &poetry, "pyproject.toml"},
    {"pdm.lock", &pdm, "pyproject.toml"},
    {"Pipfile.lock", &pipenv, "Pipfile"},
};
#define N_LOCKS (sizeof(locks) / sizeof(locks[0]))

/* ---- by lock file ---- */

static int choose_by_lock(struct generator *g, struct python_choice *c, struct error *err)
{
    bool has, usable;

    for (size_t i = 0; i < N_LOCKS; i++) {
        if (generator_has(g, locks[i].file, &has, err) < 0 ||
            generator_has(g, locks[i].beside, &usable, err) < 0)
            return -1;
        if (!has)
            continue;
        if (!usable) {
            generator_warn(g, "%s is not used: there is no %s", locks[i].file, locks[i].beside);
        } else if (c->manager) {
            generator_warn(g, "more than one lock file: took %s, not %s", c->file, locks[i].file);
        } else {
            c->manager = locks[i].manager;
            c->file = locks[i].file;
            c->has_lock = true;
        }
    }
    return 0;
}

/* ---- by manifest ---- */

/* pyproject.toml alone: the tool that has a table in it, when there is one. */
static const struct python_manager *manager_of_pyproject(const struct python_project *p)
{
    if (p->has_uv && p->has_project)
        return &uv;
    if (p->has_poetry)
        return &poetry;
    if (p->has_pdm && p->has_project)
        return &pdm;
    return p->has_project ? &uv_pip : NULL;
}

static int choose_by_manifest(struct generator *g, const struct python_project *p,
                              struct python_choice *c, struct error *err)
{
    bool pipfile, setup_py;

    if (generator_has(g, "Pipfile", &pipfile, err) < 0 ||
        generator_has(g, "setup.py", &setup_py, err) < 0)
        return -1;
    c->manager = &plain;
    if (pipfile) {
        *c = (struct python_choice){.manager = &pipenv, .file = "Pipfile"};
    } else if (p->requirements.n > 0) {
        *c = (struct python_choice){.manager = &pip, .file = p->requirements.v[0]};
    } else if (manager_of_pyproject(p)) {
        *c = (struct python_choice){.manager = manager_of_pyproject(p), .file = "pyproject.toml"};
    } else if (setup_py) {
        *c = (struct python_choice){.manager = &setup, .file = "setup.py"};
    }
    if (c->manager->lock)
        generator_warn(g,
                       "no %s: the versions installed are those of the day; run \"%s lock\" and "
                       "add it",
                       c->manager->lock, c->manager->name);
    return 0;
}

/* ---- whether the project is installed itself ---- */

/* Poetry fails on a project without a package of its name. */
static int find_poetry_package(struct generator *g, const struct python_project *p,
                               const char **ret_why, struct error *err)
{
    static const struct {
        const char *before, *after;
    } forms[] = {{"", "/__init__.py"}, {"src/", "/__init__.py"}, {"", ".py"}};
    char name[sizeof(p->name)], path[sizeof(name) + 32];
    bool has = p->poetry_packages;

    (void)snprintf(name, sizeof(name), "%s", p->name);
    for (char *c = name; *c; c++)
        if (*c == '-' || *c == '.')
            *c = '_';
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && !has; i++) {
        (void)snprintf(path, sizeof(path), "%s%s%s", forms[i].before, name, forms[i].after);
        if (python_is_identifier(name) && generator_has(g, path, &has, err) < 0)
            return -1;
    }
    if (has)
        *ret_why = "Poetry finds its directory";
    return 0;
}

static int decide_package(struct generator *g, const struct python_project *p,
                          struct python_choice *c, struct error *err)
{
    const char *build_system = p->has_build_system ? "[build-system] in pyproject.toml" : NULL;

    if (c->manager == &uv)
        c->package_why = p->uv_package   ? "package = true of [tool.uv] in pyproject.toml"
                         : p->uv_virtual ? NULL
                                         : build_system;
    else if (c->manager == &pdm)
        c->package_why = p->pdm_package      ? "distribution = true of [tool.pdm] in pyproject.toml"
                         : p->pdm_no_package ? NULL
                                             : build_system;
    else if (c->manager == &uv_pip)
        c->package_why = build_system;
    else if (c->manager == &setup)
        c->package_why = "setup.py";
    else if (c->manager == &poetry && !p->poetry_no_package)
        return find_poetry_package(g, p, &c->package_why, err);
    return 0;
}

int python_manager_choose(struct generator *g, struct python_project *p, struct python_choice *ret,
                          struct error *err)
{
    *ret = (struct python_choice){.manager = NULL};
    if (python_requirements_read(g, p, err) < 0 || choose_by_lock(g, ret, err) < 0)
        return -1;
    if (!ret->manager && choose_by_manifest(g, p, ret, err) < 0)
        return -1;
    if (decide_package(g, p, ret, err) < 0)
        return -1;
    if (ret->has_lock && p->requirements.n > 0)
        generator_note(g, "%s is not used: %s decides", p->requirements.v[0], ret->file);
    if (ret->manager == &setup)
        python_need_tree(p, "setup.py builds the project to know its dependencies");
    return ret->has_lock ? python_lock_read(g, ret->file, p, err) : 0;
}
