/* dockerfile/report — the two steps of reading are taken one by one, so that what was found before
 * a failure is not lost. */
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/dump.h"
#include "dockerfile/rules/rule.h"

#define DUMP_MAX   (16 << 20)
#define CONFIG_MAX (16 << 20)

static int check(const struct dockerfile *d, const struct dockerfile_check_request *request,
                 struct dockerfile_report *r, struct error *err)
{
    /* Why it could not be read all counts for more than what evaluation says. */
    struct error failure = r->findings.failure;
    int line = r->findings.failure_line;

    if (rules_run(d, r->accepted, request, &r->findings, err) < 0)
        return -1;
    if (failure.kind) {
        r->findings.failure = failure;
        r->findings.failure_line = line;
    }
    return 0;
}

static int refuse(struct dockerfile_report *r, const struct error *failure,
                  const struct fault *fault, struct error *err)
{
    if (error_may_retry(failure->kind)) {
        *err = *failure;
        return -1;
    }
    r->findings.failure = *failure;
    r->findings.failure_line = fault->buildkit_line;
    return 0;
}

static int write_config(const struct dockerfile *d, const struct dockerfile_request *request,
                        struct dockerfile_report *r, struct error *err)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    const struct dockerfile_outcome *outcomes;
    struct error failure = ERROR_INIT;
    size_t n, target;

    if (dockerfile_evaluate(d, request, &e, &failure) < 0) {
        if (!error_may_retry(failure.kind))
            return 0;
        *err = failure;
        return -1;
    }
    outcomes = dockerfile_outcomes(e, &n, &target);
    return dockerfile_config_write(&outcomes[target].config, &r->config, err);
}

static int examine(struct dockerfile *d, const struct dockerfile_check_request *request,
                   struct dockerfile_report *r, struct error *err)
{
    struct error failure = ERROR_INIT;
    struct fault fault = {0, 0};

    dump_text(d, &r->dump);
    if (buf_check(&r->dump, "the dump", err) < 0)
        return -1;
    r->read = true;
    r->accepted = stages_build(d, &fault, &failure) == 0;
    if (!r->accepted && refuse(r, &failure, &fault, err) < 0)
        return -1;
    if (check(d, request, r, err) < 0)
        return -1;
    if (!r->accepted || d->n_stages == 0)
        return 0;
    r->d = d;
    /* A failure without a line is about the file as a whole: its checks, its target. */
    if (r->findings.failure.kind && !r->findings.failure_line)
        return 0;
    return write_config(d, &request->build, r, err);
}

int dockerfile_report(const char *text, size_t len, const struct dockerfile_limits *limits,
                      const struct dockerfile_check_request *request, struct dockerfile_report *ret,
                      struct error *err)
{
    struct dockerfile_report r = {.dump = BUF_INIT(DUMP_MAX), .config = BUF_INIT(CONFIG_MAX)};
    struct dockerfile *d = calloc(1, sizeof(*d));
    struct error failure = ERROR_INIT;
    struct fault fault;
    int done;

    if (!d)
        return error_set(err, ERR_SYSTEM, "report on a Dockerfile: out of memory");
    if (parse_text(d, text, len, limits, &fault, &failure) < 0)
        done = refuse(&r, &failure, &fault, err);
    else
        done = examine(d, request, &r, err);
    if (done < 0) {
        dockerfile_report_release(&r);
        dockerfile_free(d);
        return -1;
    }
    if (!r.d)
        dockerfile_free(d);
    *ret = r;
    return 0;
}

void dockerfile_report_release(struct dockerfile_report *r)
{
    dockerfile_free(r->d);
    r->d = NULL;
    buf_release(&r->dump);
    buf_release(&r->config);
    dockerfile_findings_release(&r->findings);
}
