/* dockerfile/generate/python — what the files of the Python generator tell each other.
 *
 *   python_toml.c          pyproject.toml and Pipfile are read into a project
 *   python_requirements.c  requirements.txt and what it includes; names of requirements
 *   python_specifier.c     ">=3.10,<3.14": which versions of Python it allows
 *   python_version.c       the version of Python, and what decided it
 *   python_manager.c       the package manager, and what decided it
 *   python_native.c        Debian packages that Python packages need
 *   python_entry.c         the files a program may begin with, and what stands in them
 *   python_framework.c     a web framework's object, and the server that runs it
 *   python_start.c         the start command
 *   python_draft.c         the lines */
#ifndef DOCKERFILE_GENERATE_PYTHON_H
#define DOCKERFILE_GENERATE_PYTHON_H

#include "dockerfile/generate/generator.h"

/* ---- versions ---- */

#define PYTHON_MINOR_MIN     9  /* 3.9 is the oldest that today's package managers run on */
#define PYTHON_MINOR_MAX     14 /* 3.14 */
#define PYTHON_MINOR_DEFAULT 12 /* has wheels of nearly everything */
#define PYTHON_PATCH_ANY     (-1)

struct python_version {
    int minor; /* of 3 */
    int patch; /* PYTHON_PATCH_ANY: the newest there is */
    char why[200];
};

enum python_syntax { PYTHON_PEP440, PYTHON_POETRY };

#define PYTHON_CLAUSES_MAX 32

struct python_clause {
    enum {
        PYTHON_EQUAL,
        PYTHON_NOT_EQUAL,
        PYTHON_LESS,
        PYTHON_AT_MOST,
        PYTHON_MORE,
        PYTHON_AT_LEAST,
        PYTHON_COMPATIBLE, /* ~= */
        PYTHON_CARET,
        PYTHON_TILDE,
    } op;
    int parts[3];
    int n;         /* parts that are given */
    bool wildcard; /* ".*" follows them */
    bool starts_alternative;
};

/* Clauses that must all hold; "||" parts alternatives. */
struct python_specifier {
    struct python_clause v[PYTHON_CLAUSES_MAX];
    size_t n;
};

/* False: text is none. */
bool python_specifier_parse(const char *text, enum python_syntax syntax,
                            struct python_specifier *ret);
/* Whether 3.minor.patch is allowed; PYTHON_PATCH_ANY stands for a patch newer than any named. */
bool python_specifier_allows(const struct python_specifier *s, int minor, int patch);

/* ---- the project ---- */

struct python_constraint {
    char text[128];
    enum python_syntax syntax;
    const char *key; /* "requires-python in pyproject.toml" */
};

struct python_project {
    struct argv declared; /* normalised names of direct dependencies, "name[extra]" beside them */
    struct argv locked;   /* names in the lock file */
    struct argv scripts;  /* names of commands that installing the project makes */
    struct argv requirements; /* files of pip's, the first and what it includes */
    struct python_constraint constraints[2];
    size_t n_constraints;
    char pipfile_version[32]; /* python_full_version, else python_version; "" without */
    bool pipfile_full;
    char name[128];
    bool has_project, has_build_system, has_uv, has_poetry, has_pdm; /* tables of pyproject.toml */
    bool uv_package, uv_virtual; /* [tool.uv] package = true, false */
    bool poetry_no_package;      /* [tool.poetry] package-mode = false */
    bool poetry_packages;        /* [tool.poetry] packages */
    bool pdm_package, pdm_no_package;
    bool needs_git;   /* a dependency is a git repository */
    bool scm_version; /* its version comes from git, which no context holds */
    /* Why all files are needed before the dependencies are installed; "" when they are not. */
    char whole_tree[160];
};

void python_project_release(struct python_project *p);

/* Reads what is there of pyproject.toml, Pipfile, setup.py and the requirements. */
MUST_CHECK int python_project_read(struct generator *g, struct python_project *p,
                                   struct error *err);
/* Only the TOML ones. */
MUST_CHECK int python_toml_read(struct generator *g, struct python_project *p, struct error *err);

/* requirements.txt, or one of the names it also goes by, with what it includes. */
MUST_CHECK int python_requirements_read(struct generator *g, struct python_project *p,
                                        struct error *err);
/* The names in a lock file. */
MUST_CHECK int python_lock_read(struct generator *g, const char *lock, struct python_project *p,
                                struct error *err);

/* "Flask_Login[async] >= 2; python_version > '3'" adds "flask-login" and "flask-login[async]";
 * ERR_LIMIT when there are too many.  What is a path or a URL says so in p. */
MUST_CHECK int python_declare(struct python_project *p, const char *requirement, const char *where,
                              struct error *err);
/* A name and an extra, NULL without. */
MUST_CHECK int python_declare_name(struct python_project *p, const char *name, const char *extra,
                                   struct error *err);
bool python_declares(const struct python_project *p, const char *name);
/* Declared or locked. */
bool python_uses(const struct python_project *p, const char *name);
void python_need_tree(struct python_project *p, const char *fmt, ...) PRINTF(2, 3);

MUST_CHECK int python_version_find(struct generator *g, const struct python_project *p,
                                   struct python_version *ret, struct error *err);

/* ---- the manager ---- */

/* Command lines; NULL: there is nothing to install. */
struct python_commands {
    const char *dependencies; /* without the project itself */
    const char *project;
};

struct python_manager {
    const char *name;    /* "uv" */
    const char *lock;    /* the lock file it writes; NULL without */
    const char *tool;    /* what pip installs to have it, with pins; NULL: nothing, or uv */
    const char *tool_39; /* the same for Python 3.9, which newer ones do not run on */
    bool uses_uv;
    const char *env;          /* of the build stage; NULL: none */
    const char *caches[3];    /* directories kept between builds */
    const char *manifests[4]; /* copied before the install, those that are there */
    bool names_file;          /* the command lines end with the file that decided it */
    const char *venv;         /* makes .venv; NULL when installing does */
    bool leaves_development;  /* knows dependencies of development, and leaves them out */
    struct python_commands locked, unlocked; /* with a lock file and without */
};

struct python_choice {
    const struct python_manager *manager;
    const char *file; /* what decided it: "uv.lock"; NULL for plain files */
    bool has_lock;
    const char *package_why; /* the project itself is installed too; NULL: it is not */
};

MUST_CHECK int python_manager_choose(struct generator *g, struct python_project *p,
                                     struct python_choice *ret, struct error *err);

/* ---- Debian packages ---- */

/* Appends those to have while installing and those to have while running, each once. */
void python_native_packages(const struct python_project *p, struct argv *ret_build,
                            struct argv *ret_run, struct buf *ret_why);

/* ---- the start command ---- */

#define PYTHON_FILE_MAX (1 << 20) /* bytes of a program's first file that are looked at */

struct python_entry {
    char path[160];      /* "src/main.py" */
    char module[160];    /* "src.main", or "main" when root is "src" */
    char root[96];       /* the directory modules are imported from; "" for the project's */
    bool must_be_module; /* it imports from its own package: "python src/main.py" fails */
    bool has_guard;      /* if __name__ == "__main__" */
    struct buf text;
};

void python_entry_release(struct python_entry *e);
/* The file at path, if there is one: where it stands and how it imports. */
MUST_CHECK int python_entry_read(struct generator *g, const char *path, struct python_entry *ret,
                                 bool *ret_found, struct error *err);
/* Files that a program may begin with, in the order in which they are looked for: those of the
 * client, others that are usual, those of packages at the root or in src. */
MUST_CHECK int python_entry_paths(struct generator *g, struct argv *ret, struct error *err);
extern const char *const python_entry_files[]; /* of the client, up to NULL */

/* Sets g->start when a framework is declared and its object is found. */
MUST_CHECK int python_framework_start(struct generator *g, const struct python_project *p,
                                      struct error *err);

MUST_CHECK int python_start_find(struct generator *g, const struct python_project *p,
                                 const struct python_choice *c, struct error *err);

/* ---- lines ---- */

MUST_CHECK int python_draft(struct generator *g, const struct python_project *p,
                            const struct python_version *version, const struct python_choice *c,
                            struct error *err);

/* What is not printable ASCII becomes "?": for text that a comment quotes. */
void python_clean(char *s);

/* Letters, digits, "_", not beginning with a digit. */
bool python_is_identifier(const char *s);

#endif
