/* Anything that parses is evaluated and checked without harm: for the target, for all stages, and
 * with a base image whose configuration is hostile too.
 *
 * A line "#base:{…}" is the configuration of every base, "#ignore:…" the .dockerignore, "#arg:K=V"
 * a build argument. */
#include <stdint.h>
#include <string.h>

#include "dockerfile/dockerfile.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What follows marker up to the end of its line, from *at on; NULL when there is none. */
static char *line_behind(const char *text, const char *marker, const char **at)
{
    const char *found = strstr(*at ? *at : text, marker);

    if (!found)
        return NULL;
    found += strlen(marker);
    *at = found;
    return strndup(found, strcspn(found, "\n"));
}

static int give_base(void *self, const char *image, const char *platform, struct buf *out,
                     bool *ret_found, struct error *err)
{
    const char *json = self;

    must(image && *image && (!platform || *platform));
    if (json)
        buf_adds(out, json);
    *ret_found = json != NULL;
    return buf_check(out, "a configuration", err);
}

static void look_at_step(const struct dockerfile_step *s, size_t n)
{
    must(s->done && s->instruction && s->first_line >= 1 && s->last_line >= s->first_line);
    must(s->from && s->chown && s->chmod && s->checksum);
    must(s->from_stage == DOCKERFILE_NO_STAGE || s->from_stage < n);
    for (size_t i = 0; i < s->words.n; i++)
        (void)strlen(s->words.v[i]);
    for (size_t i = 0; i < s->n_heredocs; i++)
        (void)strlen(s->heredocs[i].content);
    for (size_t i = 0; i < s->n_mounts; i++)
        must(s->mounts[i].target && s->mounts[i].source && s->mounts[i].from);
}

static void look_at_outcomes(const struct dockerfile_evaluation *e)
{
    struct buf json = BUF_INIT(64 << 20);
    struct error err = ERROR_INIT;
    size_t n, target;
    const struct dockerfile_outcome *o = dockerfile_outcomes(e, &n, &target);

    must(target < n && o[target].needed && o[target].evaluated);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < o[i].n_steps; k++)
            look_at_step(&o[i].steps[k], n);
    must(dockerfile_config_write(&o[target].config, &json, &err) == 0);
    must(buf_str(&json)[0] == '{');
    buf_release(&json);
}

static void evaluate(const struct dockerfile *d, const struct dockerfile_request *request)
{
    struct dockerfile_evaluation *e = NULL;
    struct error err = ERROR_INIT;

    if (dockerfile_evaluate(d, request, &e, &err) < 0) {
        must(err.kind == ERR_INPUT || err.kind == ERR_LIMIT);
        return;
    }
    look_at_outcomes(e);
    dockerfile_evaluation_free(e);
}

static void report(const char *text, const struct dockerfile_check_request *request)
{
    struct dockerfile_report r;
    struct error err = ERROR_INIT;

    must(dockerfile_report(text, strlen(text), &dockerfile_limits_default, request, &r, &err) == 0);
    for (size_t i = 0; i < r.findings.n; i++) {
        must(r.findings.warnings[i].rule && r.findings.warnings[i].detail);
        must(r.findings.warnings[i].first_line >= 1);
    }
    if (r.d && !r.config.len)
        must(r.findings.failure.kind || !request->all_stages);
    dockerfile_report_release(&r);
}

static void try(const char *text, struct dockerfile_check_request *request)
{
    struct dockerfile *d = NULL;
    struct error err = ERROR_INIT;

    report(text, request);
    request->all_stages = true;
    report(text, request);
    if (dockerfile_parse(text, strlen(text), &dockerfile_limits_default, &d, &err) < 0)
        return;
    evaluate(d, &request->build);
    dockerfile_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_FREE char *text = strndup((const char *)data, size);
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    const char *at = NULL;
    CLEANUP_FREE char *base = line_behind(text, "#base:", &at);
    CLEANUP_FREE char *rules = line_behind(text, "#ignore:", &(const char *){NULL});
    const struct dockerfile_bases bases = {.config = give_base, .self = base};
    struct dockerfile_check_request request = {.build = {.build_args = &args, .bases = &bases}};
    struct error err = ERROR_INIT;

    at = NULL;
    for (int i = 0; i < 8; i++) {
        CLEANUP_FREE char *arg = line_behind(text, "#arg:", &at);

        if (!arg)
            break;
        argv_push1(&args, arg);
    }
    if (rules && dockerfile_ignore_parse(rules, strlen(rules), &ignore, &err) == 0)
        request.ignore = ignore;
    try(text, &request);
    return 0;
}
