/* dockerfile/generate/python_toml — pyproject.toml and Pipfile.
 *
 * The TOML reader calls for each value with its path; a table of patterns says which paths matter
 * and what each of them means. */
#include <string.h>

#include "base/toml.h"
#include "dockerfile/generate/python.h"

#define KEY_SIZE 128

struct reading {
    struct python_project *p;
    const char *file;
};

struct rule {
    const char *pattern; /* "*" is one key, "[]" an index, "**" all that follows, if anything */
    int (*take)(struct reading *r, const char *key, const struct toml_leaf *leaf,
                struct error *err);
};

/* ---- paths ---- */

/* One part of a path: "key", "\"a key\"" or "[3]"; an index has no text. */
struct part {
    const char *text;
    size_t len;
};

/* NULL at the end. */
static const char *read_part(const char *path, struct part *ret)
{
    bool quoted;

    if (*path == '.')
        path++;
    if (*path == '[') {
        *ret = (struct part){path, 0};
        path += strcspn(path, "]");
        return *path ? path + 1 : NULL;
    }
    quoted = *path == '"';
    path += quoted;
    *ret = (struct part){path, strcspn(path, quoted ? "\"" : ".[")};
    path += ret->len;
    if (quoted)
        return *path ? path + 1 : NULL;
    return ret->len ? path : NULL;
}

static bool is(const struct part *p, const char *text)
{
    return strlen(text) == p->len && memcmp(text, p->text, p->len) == 0;
}

/* ret_key is what the last "*" stood for. */
static bool matches(const char *path, const char *pattern, struct part *ret_key)
{
    while (*pattern) {
        struct part have, want;

        pattern = read_part(pattern, &want);
        if (!pattern)
            return false;
        if (is(&want, "**"))
            return true;
        path = *path ? read_part(path, &have) : NULL;
        if (!path)
            return false;
        if (is(&want, "*"))
            *ret_key = have;
        else if (have.len != want.len || memcmp(have.text, want.text, want.len) != 0)
            return false;
    }
    return *path == '\0';
}

/* ---- what the values mean ---- */

#define TAKE_RULE(name)                                                                            \
    static int name(struct reading *r, const char *key, const struct toml_leaf *leaf,              \
                    struct error *err)

static void copy_text(char *ret, size_t size, const struct toml_leaf *leaf)
{
    (void)snprintf(ret, size, "%s", leaf->text);
    python_clean(ret);
}

TAKE_RULE(take_name)
{
    (void)key, (void)err;
    copy_text(r->p->name, sizeof(r->p->name), leaf);
    return 0;
}

static int add_constraint(struct python_project *p, const struct toml_leaf *leaf,
                          enum python_syntax syntax, const char *name, struct error *err)
{
    struct python_constraint *c = &p->constraints[p->n_constraints];

    if (leaf->type != TOML_STRING || leaf->text_len >= sizeof(c->text))
        return error_set(err, ERR_INPUT, "%s, line %d: no version specifier", name, leaf->line);
    /* Not more than one of each kind can be there. */
    if (p->n_constraints == sizeof(p->constraints) / sizeof(p->constraints[0]))
        return 0;
    copy_text(c->text, sizeof(c->text), leaf);
    c->syntax = syntax;
    c->key = name;
    p->n_constraints++;
    return 0;
}

TAKE_RULE(take_requires_python)
{
    (void)key;
    return add_constraint(r->p, leaf, PYTHON_PEP440, "requires-python in pyproject.toml", err);
}

TAKE_RULE(take_requirement)
{
    (void)key;
    return leaf->type == TOML_STRING ? python_declare(r->p, leaf->text, r->file, err) : 0;
}

TAKE_RULE(take_dynamic)
{
    (void)key, (void)err;
    if (strcmp(leaf->text, "dependencies") == 0)
        python_need_tree(r->p, "dynamic dependencies in %s", r->file);
    return 0;
}

TAKE_RULE(take_script)
{
    (void)leaf, (void)err;
    argv_push1(&r->p->scripts, key);
    return 0;
}

TAKE_RULE(take_build_requirement)
{
    (void)key, (void)err;
    r->p->has_build_system = true;
    if (strncmp(leaf->text, "setuptools-scm", 14) == 0 ||
        strncmp(leaf->text, "setuptools_scm", 14) == 0 || strncmp(leaf->text, "hatch-vcs", 9) == 0)
        r->p->scm_version = true;
    return 0;
}

TAKE_RULE(take_build_system)
{
    (void)key, (void)leaf, (void)err;
    r->p->has_build_system = true;
    return 0;
}

TAKE_RULE(take_uv_package)
{
    (void)key, (void)err;
    if (leaf->type == TOML_BOOL)
        *(leaf->boolean ? &r->p->uv_package : &r->p->uv_virtual) = true;
    return 0;
}

TAKE_RULE(take_package_mode)
{
    (void)key, (void)err;
    r->p->poetry_no_package = leaf->type == TOML_BOOL && !leaf->boolean;
    return 0;
}

TAKE_RULE(take_poetry_packages)
{
    (void)key, (void)leaf, (void)err;
    r->p->poetry_packages = true;
    return 0;
}

TAKE_RULE(take_distribution)
{
    (void)key, (void)err;
    if (leaf->type == TOML_BOOL)
        *(leaf->boolean ? &r->p->pdm_package : &r->p->pdm_no_package) = true;
    return 0;
}

TAKE_RULE(take_workspace)
{
    (void)key, (void)leaf, (void)err;
    python_need_tree(r->p, "a workspace in %s", r->file);
    return 0;
}

TAKE_RULE(take_local)
{
    (void)leaf, (void)err;
    python_need_tree(r->p, "%.64s in %s comes from the project's own files", key, r->file);
    return 0;
}

TAKE_RULE(take_git)
{
    (void)key, (void)leaf, (void)err;
    r->p->needs_git = true;
    return 0;
}

TAKE_RULE(take_poetry_python)
{
    (void)key;
    return add_constraint(r->p, leaf, PYTHON_POETRY,
                          "python of [tool.poetry.dependencies] in pyproject.toml", err);
}

/* A dependency by its key: name = "^1.2", or a table with anything in it. */
TAKE_RULE(take_named)
{
    (void)leaf;
    return strcmp(key, "python") == 0 ? 0 : python_declare_name(r->p, key, NULL, err);
}

TAKE_RULE(take_extra)
{
    return leaf->type == TOML_STRING ? python_declare_name(r->p, key, leaf->text, err) : 0;
}

TAKE_RULE(take_python_version)
{
    (void)key, (void)err;
    if (!r->p->pipfile_full)
        copy_text(r->p->pipfile_version, sizeof(r->p->pipfile_version), leaf);
    return 0;
}

TAKE_RULE(take_python_full_version)
{
    r->p->pipfile_full = false;
    (void)take_python_version(r, key, leaf, err);
    r->p->pipfile_full = true;
    return 0;
}

TAKE_RULE(take_project)
{
    (void)key, (void)leaf, (void)err;
    r->p->has_project = true;
    return 0;
}

TAKE_RULE(take_uv)
{
    (void)key, (void)leaf, (void)err;
    r->p->has_uv = true;
    return 0;
}

TAKE_RULE(take_poetry)
{
    (void)key, (void)leaf, (void)err;
    r->p->has_poetry = true;
    return 0;
}

TAKE_RULE(take_pdm)
{
    (void)key, (void)leaf, (void)err;
    r->p->has_pdm = true;
    return 0;
}

/* Every rule that matches is followed. */
static const struct rule pyproject_rules[] = {
    {"project.**", take_project},
    {"project.name", take_name},
    {"project.requires-python", take_requires_python},
    {"project.dependencies[]", take_requirement},
    {"project.dynamic[]", take_dynamic},
    {"project.scripts.*", take_script},
    {"build-system.requires[]", take_build_requirement},
    {"build-system.build-backend", take_build_system},
    {"tool.uv.**", take_uv},
    {"tool.uv.package", take_uv_package},
    {"tool.uv.workspace.**", take_workspace},
    {"tool.uv.sources.*.path", take_local},
    {"tool.uv.sources.*.workspace", take_local},
    {"tool.uv.sources.*.git", take_git},
    {"tool.uv.sources.*[].path", take_local},
    {"tool.uv.sources.*[].git", take_git},
    {"tool.poetry.**", take_poetry},
    {"tool.poetry.name", take_name},
    {"tool.poetry.package-mode", take_package_mode},
    {"tool.poetry.packages[].**", take_poetry_packages},
    {"tool.poetry.scripts.*", take_script},
    {"tool.poetry.dependencies.python", take_poetry_python},
    {"tool.poetry.dependencies.python.version", take_poetry_python},
    {"tool.poetry.dependencies.*.**", take_named},
    {"tool.poetry.dependencies.*.extras[]", take_extra},
    {"tool.poetry.dependencies.*.path", take_local},
    {"tool.poetry.dependencies.*.git", take_git},
    {"tool.poetry.dependencies.*[].path", take_local},
    {"tool.poetry.dependencies.*[].git", take_git},
    {"tool.pdm.**", take_pdm},
    {"tool.pdm.distribution", take_distribution},
};

static const struct rule pipfile_rules[] = {
    {"packages.*.**", take_named},
    {"packages.*.extras[]", take_extra},
    {"packages.*.path", take_local},
    {"packages.*.file", take_local},
    {"packages.*.git", take_git},
    {"requires.python_version", take_python_version},
    {"requires.python_full_version", take_python_full_version},
};

/* ---- reading ---- */

struct walking {
    struct reading reading;
    const struct rule *rules;
    size_t n;
};

static int take_leaf(void *self, const struct toml_leaf *leaf, struct error *err)
{
    struct walking *w = self;

    for (size_t i = 0; i < w->n; i++) {
        struct part part = {"", 0};
        char key[KEY_SIZE];

        if (!matches(leaf->path, w->rules[i].pattern, &part))
            continue;
        (void)snprintf(key, sizeof(key), "%.*s", part.len < KEY_SIZE ? (int)part.len : 0,
                       part.text);
        if (w->rules[i].take(&w->reading, key, leaf, err) < 0)
            return -1;
    }
    return 0;
}

static int read_toml(struct generator *g, struct walking *w, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(TOML_TEXT_MAX);
    const struct toml_visitor visitor = {.leaf = take_leaf, .self = w};
    bool found;

    if (generator_read(g, w->reading.file, &text, &found, err) < 0)
        return -1;
    if (found && toml_walk(buf_str(&text), text.len, &visitor, err) < 0)
        return error_wrap(err, "read %s", w->reading.file);
    return 0;
}

int python_toml_read(struct generator *g, struct python_project *p, struct error *err)
{
    struct walking pyproject = {.reading = {.p = p, .file = "pyproject.toml"},
                                .rules = pyproject_rules,
                                .n = sizeof(pyproject_rules) / sizeof(pyproject_rules[0])};
    struct walking pipfile = {.reading = {.p = p, .file = "Pipfile"},
                              .rules = pipfile_rules,
                              .n = sizeof(pipfile_rules) / sizeof(pipfile_rules[0])};

    if (read_toml(g, &pyproject, err) < 0 || read_toml(g, &pipfile, err) < 0)
        return -1;
    if (p->scripts.failed)
        return error_set(err, ERR_SYSTEM, "read the project: out of memory");
    return 0;
}
