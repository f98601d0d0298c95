/* worker/labels — see the header. */
#include "worker/labels.h"

#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"

#define OCI   "org.opencontainers.image."
#define EPOCH "SOURCE_DATE_EPOCH="
#define EPOCH_MAX                                                                                  \
    INT64_C(9000000000) /* seconds: nanoseconds since 1970 fit beyond the year 2250                \
                         */

struct labeller {
    const struct run *run;
    const struct dockerfile_outcome *outcomes; /* of the stages */
    size_t target;
    struct argv *labels;
};

static bool is_set_by_user(const struct labeller *l, const char *key)
{
    const struct dockerfile_pairs *own = &l->outcomes[l->target].config.labels;

    for (size_t i = 0; i < own->n; i++)
        if (strcmp(own->v[i].key, key) == 0)
            return true;
    return false;
}

static void add(const struct labeller *l, const char *key, const char *value)
{
    if (value[0] && !is_set_by_user(l, key))
        argv_pushf(l->labels, "%s=%s", key, value);
}

/* The moment that SOURCE_DATE_EPOCH names, so that two builds with it are the same to the bit;
 * otherwise when the build was begun, which a second try does not change. */
static void add_created(const struct labeller *l)
{
    const struct argv *args = &l->run->build_args;
    int64_t moment = l->run->build.started;
    char text[CLOCK_TEXT];
    uint64_t epoch;

    for (size_t i = 0; i < args->n; i++)
        if (text_starts(args->v[i], EPOCH) &&
            text_to_u64(args->v[i] + strlen(EPOCH), EPOCH_MAX, &epoch))
            moment = (int64_t)epoch * NS_PER_SEC;
    add(l, OCI "created", clock_format_seconds(moment, text));
}

/* The image that the final stage stands on, through all stages between. */
static int add_base(const struct labeller *l, struct error *err)
{
    static const char *const nothing[] = {NULL};
    CLEANUP(builder_base_release) struct builder_base base = {.program = NULL};
    const struct dockerfile_outcome *stage = &l->outcomes[l->target];
    struct dockerfile_reference ref;
    char name[sizeof(ref.host) + sizeof(ref.path) + sizeof(ref.tag) + 2];
    bool found;

    while (stage->base_stage != DOCKERFILE_NO_STAGE)
        stage = &l->outcomes[stage->base_stage];
    if (strcmp(stage->base, "scratch") == 0)
        return 0;
    if (dockerfile_parse_reference(stage->base, &ref, err) < 0 ||
        builder_base_find(l->run->job, stage->base, nothing, &found, &base, err) < 0)
        return -1;
    (void)snprintf(name, sizeof(name), "%s/%s%s%s", ref.host, ref.path, ref.tag[0] ? ":" : "",
                   ref.tag);
    add(l, OCI "base.name", name);
    add(l, OCI "base.digest", found ? base.digest : "");
    return 0;
}

int labels_make(const struct run *r, struct argv *ret, struct error *err)
{
    CLEANUP(dockerfile_evaluation_freep) struct dockerfile_evaluation *e = NULL;
    const struct dockerfile_request request = {.build_args = &r->build_args};
    struct labeller l = {.run = r, .labels = ret};
    size_t n;

    if (dockerfile_evaluate(r->dockerfile, &request, &e, err) < 0)
        return -1;
    l.outcomes = dockerfile_outcomes(e, &n, &l.target);
    add_created(&l);
    add(&l, OCI "revision", r->revision);
    add(&l, OCI "source", r->source.url);
    if (add_base(&l, err) < 0)
        return -1;
    add(&l, "dev.kiln.version", r->config->program);
    return ret->failed ? error_set(err, ERR_SYSTEM, "label the image: out of memory") : 0;
}
