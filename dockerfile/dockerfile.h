/* dockerfile — a Dockerfile's text becomes instructions and stages, questions about them are
 * answered, and a sandbox gets its sandbox-api.  Beside it stand what is known of the project
 * around it (source.h, settings.h, ignore.h), a Dockerfile for a project without one (generate.h),
 * and all of it together, before a build (plan.h).
 *
 * The grammar is BuildKit's (frontend/dockerfile/parser and instructions).  Everything a parsed
 * file hands out is borrowed from it and lives until dockerfile_free. */
#ifndef DOCKERFILE_DOCKERFILE_H
#define DOCKERFILE_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/argv.h"
#include "base/buf.h"
#include "dockerfile/check.h"
#include "dockerfile/context.h"
#include "dockerfile/evaluate.h"
#include "dockerfile/generate.h"
#include "dockerfile/ignore.h"
#include "dockerfile/plan.h"
#include "dockerfile/settings.h"
#include "dockerfile/source.h"

struct dockerfile_limits {
    size_t text_max; /* bytes of the file */
    size_t line_max; /* bytes of one line, without its end */
    size_t instructions_max;
    size_t stages_max;
};
extern const struct dockerfile_limits dockerfile_limits_default;

struct dockerfile_heredoc {
    const char *name;
    const char *content; /* raw, tabs stripped already for <<- */
    bool expand;         /* no part of the delimiter was quoted */
    bool chomp;          /* <<- */
};

struct dockerfile_instruction {
    const char *keyword;  /* upper case: "RUN" */
    const char *written;  /* the keyword as written */
    const char *text;     /* all after the keyword and its flags, continuations joined */
    const char *original; /* the whole logical line as written, continuations joined */
    struct argv flags;    /* "--from=x" as written, quotes removed */
    bool json;            /* text is a JSON array of strings; of HEALTHCHECK, what follows CMD */
    bool legacy;          /* ENV or LABEL of the old form: a name and the rest of the line */
    /* Its elements if json.  Otherwise FROM, COPY, ADD, EXPOSE, VOLUME: the blank-separated words;
     * ENV, LABEL, ARG: "k=v", quotes and escapes kept, parted at white space outside quotes, or the
     * two parts if legacy; HEALTHCHECK: NONE or CMD, and the rest; all others: text, if there is
     * any, as one word. */
    struct argv words;
    const struct dockerfile_instruction *trigger; /* what ONBUILD keeps; NULL for all others */
    const struct dockerfile_heredoc *heredocs;    /* in order; ONBUILD has its trigger's */
    size_t n_heredocs;
    /* The comment lines above, in order, without "#" and the blanks around them; an indented one
     * keeps its "#".  An empty comment, another instruction and a directive end what is above; an
     * empty line does not. */
    struct argv comments;
    int first_line, last_line; /* from 1; heredocs included */
    int text_end;              /* its last line without the heredocs */
    bool empty_continuation;   /* an empty line is skipped inside it */
};

struct dockerfile_stage {
    const char *name;     /* lower case; NULL without AS */
    const char *base;     /* as written after FROM, not expanded */
    const char *platform; /* as written after --platform=; NULL without */
    const struct dockerfile_instruction *instructions; /* [0] is the FROM */
    size_t n_instructions;
};

struct dockerfile;

/* ERR_INPUT: "dockerfile parse error on line N: …" in BuildKit's words where it has words for it;
 * ERR_LIMIT likewise.  text is copied. */
MUST_CHECK int dockerfile_parse(const char *text, size_t len,
                                const struct dockerfile_limits *limits, struct dockerfile **ret,
                                struct error *err);
void dockerfile_free(struct dockerfile *d);
static inline void dockerfile_freep(struct dockerfile **d)
{
    dockerfile_free(*d);
}

const struct dockerfile_stage *dockerfile_stages(const struct dockerfile *d, size_t *ret_n);

/* What "# syntax=" at the top names; NULL without one. */
const char *dockerfile_syntax(const struct dockerfile *d);

/* What a source of ADD or COPY, variables put in, is. */
enum dockerfile_origin {
    DOCKERFILE_ORIGIN_CONTEXT,
    DOCKERFILE_ORIGIN_URL, /* "http://…", "https://…" */
    DOCKERFILE_ORIGIN_GIT,
};
enum dockerfile_origin dockerfile_origin_of(const char *source);

/* Whether the file as it stands has an ADD that may get something from the web: the same file with
 * the same context may then come to another image.  Triggers of bases are not known. */
bool dockerfile_adds_from_web(const struct dockerfile *d);

/* The image references that building the last stage needs from a registry: the bases of it and of
 * the stages it needs, COPY --from and RUN --mount=from images; variables expanded with the global
 * ARGs and build_args ("K=V"); each once, in order of first use; neither stages nor scratch.
 * ERR_INPUT, with the line: a blank base, an unknown stage index, a reference with a transport
 * (oci-archive:, dir:, docker-daemon:, containers-storage: …) or one that is not well formed. */
MUST_CHECK int dockerfile_images(const struct dockerfile *d, const struct argv *build_args,
                                 struct argv *ret_images, struct error *err);

/* An image reference after the distribution grammar, with the parts Docker would add filled in:
 * "alpine" is docker.io / library/alpine / latest.  Buffers are owned by the caller. */
struct dockerfile_reference {
    char host[256];
    char path[256];
    char tag[129];    /* "" when only a digest is given */
    char digest[136]; /* "" or "sha256:…" */
};
MUST_CHECK int dockerfile_parse_reference(const char *text, struct dockerfile_reference *ret,
                                          struct error *err);

/* ---- sandbox-api ---- */

struct dockerfile_source; /* dockerfile/source.h */

/* What is known of the image that the final stage descends from. */
struct dockerfile_base_image {
    const char *config; /* its OCI config, JSON; NULL: not known */
    const char
        *sandbox_api; /* where it has an executable sandbox-api; NULL: nowhere, or not known */
};

struct dockerfile_sandbox_request {
    /* The sandbox image: "ghcr.io/blaxel-ai/sandbox:latest" or what the operator configured, with
     * its digest where that is known. */
    const char *image;
    const struct argv *build_args;            /* "K=V"; NULL: none */
    const struct dockerfile_base_image *base; /* NULL: nothing is known of it */
    const struct dockerfile_source *context;  /* where scripts are looked up; NULL: not there */
};

/* What a sandbox lacks.  Strings are owned. */
struct dockerfile_sandbox_findings {
    char *base; /* the image that the final stage descends from, variables expanded */
    char *path; /* where the final image has sandbox-api; NULL: nowhere that can be seen */
    bool lacks_copy, lacks_entrypoint;
    struct buf lines;     /* what is to be added at the end of the Dockerfile for that */
    struct buf notes;     /* what is added or left and why, one line each */
    struct argv warnings; /* that nothing will start it, and the like */
};

/* Decides it.  COPY is lacking unless the final image gets the binary already: its stage is, or
 * descends from, a sandbox image or a base that carries it, or it is copied from one, through any
 * number of stages.  It goes to /usr/local/bin, or to where the Dockerfile's own command names it.
 * ENTRYPOINT is lacking when nothing is set that could start it; one that the Dockerfile sets is
 * never replaced, and the command that the container would have run without ours stays the image's
 * CMD.  ERR_INPUT: request->image or base->config is none.  ret is initialised in any case and is
 * to be released. */
MUST_CHECK int dockerfile_find_sandbox_api(const struct dockerfile *d,
                                           const struct dockerfile_sandbox_request *request,
                                           struct dockerfile_sandbox_findings *ret,
                                           struct error *err);
void dockerfile_sandbox_findings_release(struct dockerfile_sandbox_findings *f);

struct dockerfile_injection {
    bool copied;         /* a COPY line was added */
    bool entrypoint_set; /* an ENTRYPOINT line was added */
    struct buf text;     /* the Dockerfile to build; the original when nothing was added */
    struct buf notes;    /* what was done and why, for the build log, one line each */
    struct argv warnings;
};

/* Decides as above, and puts the lines at the end of the last stage, so that all before them stays
 * cached.  Release ret's parts. */
MUST_CHECK int dockerfile_inject_sandbox_api(const struct dockerfile *d,
                                             const struct dockerfile_sandbox_request *request,
                                             struct dockerfile_injection *ret, struct error *err);
void dockerfile_injection_release(struct dockerfile_injection *i);

/* ---- for messages ---- */

/* The line that an error of dockerfile_parse or dockerfile_images speaks of, 0 if it names none. */
int dockerfile_error_line(const struct error *err);

/* The same excerpt as below, of a text that did not parse. */
void dockerfile_excerpt_text(const char *text, size_t len, int first_line, int last_line,
                             struct buf *out);

/* Appends BuildKit's excerpt of the lines around first…last:
 *   Dockerfile:2
 *   --------------------
 *      1 |     FROM alpine:3.22
 *      2 | >>> RUN exit 42
 *   --------------------
 */
void dockerfile_excerpt(const struct dockerfile *d, int first_line, int last_line, struct buf *out);

#endif
