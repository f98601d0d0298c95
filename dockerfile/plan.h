/* dockerfile/plan — what building a context would be, told from its files before anything is built.
 *
 * A plan is made where the context is (in a jail, when it was uploaded) and crosses to whoever
 * builds or shows it as JSON. */
#ifndef DOCKERFILE_PLAN_H
#define DOCKERFILE_PLAN_H

#include "base/digest.h"
#include "dockerfile/settings.h"
#include "dockerfile/source.h"

struct dockerfile_plan_request { /* borrowed for the length of the call */
    const struct dockerfile_source *source;
    const int *dirfd;              /* the same as a directory, to be hashed; NULL: it is not */
    const char *type;              /* "sandbox", "agent", "function" or "job"; "": the project's own
                                      word in blaxel.toml, else "sandbox" */
    const struct argv *build_args; /* "K=V"; they win over those of blaxel.toml */
    const char *sandbox_image;     /* where sandbox-api comes from */
    const char *file;              /* the path of the Dockerfile; NULL: where the project has it */
    bool all_stages;               /* checks look also at stages that the last one does not need */
    bool generate;                 /* one is made even where the project has its own */
};

struct dockerfile_plan_stage {
    char *name; /* NULL without one */
    char *base; /* expanded */
    int line;
    bool needed; /* by the last one */
};

struct dockerfile_plan_check { /* one finding of the build checks */
    char *rule, *detail, *url; /* detail: what to write instead is at its end, if that is known */
    int first_line, last_line; /* 0: the file as a whole */
};

struct dockerfile_plan {
    char type[16];
    struct buf settings_text; /* of blaxel.toml; "" without one */
    struct dockerfile_settings settings;
    struct argv build_args; /* of blaxel.toml and of the request, each name once; no reader of the
                               JSON gets them, whose values may be secrets */
    bool generated;
    char file[256];    /* the path of the Dockerfile; "" when it is generated, or there is none */
    char language[16]; /* of a generated one; "" otherwise */
    struct buf text;   /* the Dockerfile */
    struct buf ignore; /* the rules for what the build does not see */
    struct argv notes, warnings; /* one line each, for the build log */
    struct dockerfile_plan_check *checks;
    size_t n_checks;
    struct dockerfile_plan_stage *stages;
    size_t n_stages;
    struct argv images;  /* to be had from registries */
    struct argv sandbox; /* what will be done about sandbox-api, one line each; a sandbox's only */
    char context[SHA256_HEX]; /* dockerfile_context_digest of it; "" where none was asked for */
    /* ERR_NONE, or why it cannot be built; INPUT and LIMIT are the project's. */
    struct error failure;
};

void dockerfile_plan_init(struct dockerfile_plan *p);
void dockerfile_plan_release(struct dockerfile_plan *p);

/* Makes the plan in an initialised ret.  What is wrong with the project is the plan's failure; -1,
 * ERR_SYSTEM, is this machine's fault. */
MUST_CHECK int dockerfile_plan_make(const struct dockerfile_plan_request *req,
                                    struct dockerfile_plan *ret, struct error *err);

/* What a build of the project makes when nobody says: the type in its blaxel.toml, else "sandbox",
 * which is also what clients deploy an "application" as.  ERR_INPUT: a volume template. */
MUST_CHECK int dockerfile_plan_type(const struct dockerfile_settings *settings, const char **ret,
                                    struct error *err);

/* The build arguments of blaxel.toml that given does not name, then given; "K=V". */
MUST_CHECK int dockerfile_plan_build_args(const struct dockerfile_settings *settings,
                                          const struct argv *given, struct argv *ret,
                                          struct error *err);

/* Appends the plan as one JSON document on one line.  docs/plan.md describes it. */
MUST_CHECK int dockerfile_plan_write(const struct dockerfile_plan *p, struct buf *out,
                                     struct error *err);

/* Reads one back into an initialised ret.  The document may come out of a jail that a hostile
 * archive has taken over, so everything in it is checked again.  ERR_SYSTEM: it is no plan. */
MUST_CHECK int dockerfile_plan_read(const char *json, size_t len, struct dockerfile_plan *ret,
                                    struct error *err);

#endif
