/* dockerfile/check — advice on a Dockerfile: BuildKit's build checks, and others by their side.
 *
 * "# check=skip=A,B;error=true;experimental=C" at the top of the file says which rules count, the
 * build argument BUILDKIT_DOCKERFILE_CHECK overrides that line, and "# check=skip=A" or
 * "# hadolint ignore=DL3006" above an instruction is for that instruction alone. */
#ifndef DOCKERFILE_CHECK_H
#define DOCKERFILE_CHECK_H

#include "dockerfile/arena.h"
#include "dockerfile/evaluate.h"
#include "dockerfile/ignore.h"

struct dockerfile_limits;

struct dockerfile_warning {
    const char *rule; /* "StageNameCasing" */
    const char *detail;
    const char *url; /* NULL: there is none */
    const char *description;
    const char *advice; /* what to write instead; NULL: that is not known in one line */
    int first_line, last_line;
};

struct dockerfile_check_request {
    struct dockerfile_request build;
    const struct dockerfile_ignore *ignore; /* the context's; NULL: there is none */
    bool all_stages;                        /* also those that the target does not need */
    bool hadolint;                          /* also rules that are not BuildKit's (DLnnnn) */
};

struct dockerfile_findings {
    struct arena arena;
    struct dockerfile_warning *warnings;
    size_t n, cap;
    /* Why a build would be refused; ERR_NONE: it would not.  The warnings then go as far as
     * BuildKit looks before it gives up. */
    struct error failure;
    int failure_line; /* as BuildKit counts; 0: none */
    bool fatal;       /* failure is that there are warnings, and error=true */
};

/* ERR_SYSTEM: out of memory.  Whatever is wrong with the file is in *ret, for
 * dockerfile_findings_release. */
MUST_CHECK int dockerfile_check(const struct dockerfile *d,
                                const struct dockerfile_check_request *request,
                                struct dockerfile_findings *ret, struct error *err);
void dockerfile_findings_release(struct dockerfile_findings *f);

/* ---- all there is to say of a text, whether it is a Dockerfile or not ---- */

struct dockerfile_report {
    bool accepted;        /* each instruction is a good one */
    struct dockerfile *d; /* NULL unless accepted, with a stage at least */
    struct buf dump;      /* as BuildKit's Node.Dump(), when the text could be read */
    bool read;
    struct dockerfile_findings findings;
    struct buf config; /* JSON of the target's configuration; empty when a build would be refused */
};

MUST_CHECK int dockerfile_report(const char *text, size_t len,
                                 const struct dockerfile_limits *limits,
                                 const struct dockerfile_check_request *request,
                                 struct dockerfile_report *ret, struct error *err);
void dockerfile_report_release(struct dockerfile_report *r);

#endif
