/* dockerfile/generate/node — what the files of the JavaScript and TypeScript generator tell each
 * other.
 *
 *   node_package.c     package.json is read
 *   semver.c           ranges of versions
 *   node_version.c     the version of Node.js, and what decided it
 *   yaml_lines.c       single facts of YAML files that tools have written
 *   node_manager.c     the package manager, its version and commands, and what decided them;
 *   node_pnpm.c        of pnpm and
 *   node_yarn.c        of Yarn there are several to tell apart
 *   node_workspaces.c  the packages of a monorepo; whether installing needs the sources
 *   node_script.c      what a script or a command line runs, through other scripts too
 *   node_start.c       the start command, and what has to be compiled for it
 *   node_draft.c       the lines
 *
 * What comments of the Dockerfile quote is ASCII that has been checked: a cut in the middle of a
 * character would make a file that no builder reads. */
#ifndef DOCKERFILE_GENERATE_NODE_H
#define DOCKERFILE_GENERATE_NODE_H

#include "dockerfile/generate/generator.h"
#include "dockerfile/generate/semver.h"

/* ---- package.json ---- */

struct json_t;

struct node_package {
    struct json_t *root; /* an object; NULL: not read */
};

void node_package_release(struct node_package *p);

/* Reads the file at path, if it is there; *ret_found.  ERR_INPUT, with the line: no JSON, no
 * object, or scripts and dependencies that are not strings by name. */
MUST_CHECK int node_package_read(struct generator *g, const char *path, struct node_package *ret,
                                 bool *ret_found, struct error *err);

/* A string that is not blank: of the package itself, or of an object in it ("scripts").  NULL
 * when there is none. */
const char *node_package_text(const struct node_package *p, const char *section, const char *key);

/* The keys of an object in it; the strings of an array in it, or in its "packages". */
void node_package_keys(const struct node_package *p, const char *section, struct argv *ret);
void node_package_list(const struct node_package *p, const char *key, struct argv *ret);

/* Whether name is installed with --omit=dev; whether only without it. */
bool node_package_depends(const struct node_package *p, const char *name);
bool node_package_develops(const struct node_package *p, const char *name);

/* The script that npm itself runs when it installs ("prepare"), the first of them; a dependency
 * that is a path.  NULL without. */
const char *node_package_install_script(const struct node_package *p);
const char *node_package_local_dependency(const struct node_package *p);

/* Whether package-lock.json (its text) was made for other dependencies than package.json has. */
bool node_package_lock_differs(const struct node_package *p, const char *text, size_t len);

/* ---- the version of Node.js ---- */

struct node_version {
    char tag[32];          /* of the image: "22", "22.4", "22.4.1" */
    struct semver version; /* SEMVER_NEWEST where the tag leaves it open */
    bool asked;            /* something asked for it: not the default */
    char why[200];         /* "Node.js 22: .nvmrc" */
};

MUST_CHECK int node_version_find(struct generator *g, const struct node_package *p,
                                 struct node_version *ret, struct error *err);

/* Runs TypeScript by leaving its types out. */
bool node_version_strips_types(const struct node_version *v);

/* ---- the package manager ---- */

struct node_manager {
    const char *name;       /* as packageManager has it: "pnpm" */
    const char *title;      /* for people: "Yarn 4" is berry's */
    const char *package;    /* at npm; NULL: every image with Node.js has it */
    const char *version;    /* when nothing says another one */
    const char *files[8];   /* of the root, besides package.json: copied before installing */
    const char *locks[3];   /* newest form first */
    const char *cache;      /* --mount=… of install and prune */
    const char *install;    /* with a lock file */
    const char *unlocked;   /* without */
    const char *prune;      /* takes development's dependencies away */
    const char *prune_bare; /* the same when the package's own scripts must not run; NULL: prune */
};

struct node_choice {
    const struct node_manager *manager;
    char version[64];
    char why[200];     /* "package manager pnpm 9.15.9: lockfileVersion 9.0 in pnpm-lock.yaml" */
    const char *lock;  /* of this manager; NULL without */
    char yarn[256];    /* yarnPath in .yarnrc.yml; "" without */
    bool is_berry;     /* Yarn 2 and later */
    bool prunes;       /* it has the command */
    bool notes_itself; /* pnpm 12 would write into a frozen lock file which pnpm it is */
    bool sets_linker;  /* berry would plug'n'play: node_modules is what every program finds */
};

MUST_CHECK int node_manager_choose(struct generator *g, const struct node_package *p,
                                   const struct node_version *version, struct node_choice *ret,
                                   struct error *err);

bool node_choice_is_npm(const struct node_choice *c);
bool node_choice_is_bun(const struct node_choice *c);

/* ---- the packages of a monorepo ---- */

struct node_workspaces {
    bool declared;
    struct argv directories; /* each has a package.json, and a name that COPY takes as it is */
    bool has_dependencies, has_development; /* in any package, the root's too */
    char whole_tree[200]; /* why installing needs all files; "" when it does not */
};

void node_workspaces_release(struct node_workspaces *w);
MUST_CHECK int node_workspaces_read(struct generator *g, const struct node_package *p,
                                    const struct node_manager *manager, struct node_workspaces *ret,
                                    struct error *err);

/* ---- what a command runs ---- */

/* Whether a command line, or a script of p that it comes to, has name for a word or a path below
 * it ("ts-node/register"). */
bool node_script_uses(const struct node_package *p, const char *command, const char *name);

/* A development dependency that the command line runs or loads; false without.  Names are ASCII
 * here, as the words they are found by. */
bool node_script_development(const struct node_package *p, const char *command, char *ret,
                             size_t size);

/* The first word that is a path of JavaScript ("dist/index.js") and no option; false without. */
bool node_script_file(const struct node_package *p, const char *command, char *ret, size_t size);

/* ---- the start command ---- */

struct node_start {
    const char *compile; /* a command that compiles before the start; NULL without */
    char compile_why[200];
    char keep[256];    /* why development's dependencies stay; "" when they need not */
    bool uses_manager; /* the command runs the package manager */
};

struct node_project {
    struct node_package package;
    struct node_version version;
    struct node_choice choice;
    struct node_workspaces workspaces;
    struct node_start start; /* the last that is found: from the others */
};

MUST_CHECK int node_start_find(struct generator *g, const struct node_project *project,
                               struct node_start *ret, struct error *err);

/* ---- lines ---- */

MUST_CHECK int node_draft(struct generator *g, const struct node_project *p, struct error *err);

#endif
