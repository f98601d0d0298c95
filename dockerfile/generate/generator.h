/* dockerfile/generate/generator — what the languages share: the project that is looked at, and the
 * Dockerfile that is being written.
 *
 * A language is a file of its own (python.c, node.c, go.c and those beside them) and one row of
 * languages[] in generate.c.  detect says whether the project is of that language; write reads
 * what it needs of the project, finds the command that starts it, and writes lines. */
#ifndef DOCKERFILE_GENERATE_GENERATOR_H
#define DOCKERFILE_GENERATE_GENERATOR_H

#include "dockerfile/generate.h"

/* The command that starts the program, and what decided it. */
struct start {
    bool found;
    bool shell;        /* words is one shell command line: it needs a shell */
    struct argv words; /* exec form */
    char why[256];     /* "[entrypoint] prod in blaxel.toml, line 3" */
};

struct generator {
    const struct dockerfile_source *source;
    const struct dockerfile_settings *settings;
    const char *type;
    struct dockerfile_generation *out;
    struct start start; /* from the project's configuration, when that has one, before write */
    char last_why[256]; /* of the line before */
};

struct language {
    const char *name; /* "python" */
    /* *ret_reason: the file that says so, NULL when it is not this language. */
    int (*detect)(struct generator *g, const char **ret_reason, struct error *err);
    int (*write)(struct generator *g, struct error *err);
    const char *looked_for; /* "pyproject.toml, requirements.txt, …": for the error */
};

/* In the order in which the clients look (PROTOCOL.md 7.2); a program without a manifest is
 * Python's if it is anybody's, and comes last. */
extern const struct language language_python, language_node, language_go, language_python_file;

/* Whether type's final image runs as root: a sandbox does, the others as uid 1000. */
bool generator_is_root(const struct generator *g);

/* ---- reading ---- */

/* Whether there is a regular file at path. */
MUST_CHECK int generator_has(struct generator *g, const char *path, bool *ret, struct error *err);
/* The first of the names (up to NULL) that is there; NULL for none. */
MUST_CHECK int generator_first(struct generator *g, const char *const *names, const char **ret,
                               struct error *err);
/* The whole file, found or not; a byte order mark is left out. */
MUST_CHECK int generator_read(struct generator *g, const char *path, struct buf *out,
                              bool *ret_found, struct error *err);

/* What a version manager's file says: its first line that is neither blank nor a comment; with
 * tools (names up to NULL), the first version behind one of them, as in .tool-versions.  "" when
 * the file is not there or says nothing. */
#define VERSION_TEXT_MAX 256
MUST_CHECK int generator_read_version(struct generator *g, const char *path,
                                      const char *const *tools, char ret[VERSION_TEXT_MAX],
                                      struct error *err);

/* ---- the start command ---- */

/* Sets it from [entrypoint] prod, else from a Procfile; g->start.found says whether one did. */
MUST_CHECK int generator_start_from_project(struct generator *g, struct error *err);

/* Sets it from a command line: POSIX word splitting when no character of it needs a shell
 * (| & ; < > ( ) $ ` \ " ' * ? [ # ~ = % and newline are looked at), else a shell command, with
 * "exec " before it unless it holds ; && || |. */
MUST_CHECK int generator_start_line(struct generator *g, const char *line, const char *why,
                                    struct error *err);
/* Sets it from words, up to NULL. */
void generator_start_words(struct generator *g, const char *why, ...) __attribute__((sentinel));

/* ---- writing ---- */

/* A comment "# why" and a line; an empty why, or the same one as of the line before, writes no
 * comment. */
void draft_line(struct generator *g, const char *why, const char *fmt, ...) PRINTF(3, 4);
/* An empty line: the parts of a stage. */
void draft_gap(struct generator *g);
/* A line "KEYWORD [\"a\", \"b\"]" in JSON. */
void draft_json(struct generator *g, const char *why, const char *keyword,
                const struct argv *words);
/* CMD of g->start, with why. */
void draft_start(struct generator *g);
/* ENV HOST and PORT, EXPOSE and, unless it is root's, the USER of the final stage. */
void draft_service(struct generator *g);

/* One line of notes or warnings each. */
void generator_note(struct generator *g, const char *fmt, ...) PRINTF(2, 3);
void generator_warn(struct generator *g, const char *fmt, ...) PRINTF(2, 3);

#endif
