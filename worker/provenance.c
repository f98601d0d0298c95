/* worker/provenance — see the header. */
#include "worker/provenance.h"

#include <jansson.h>
#include <string.h>

#include "base/digest.h"
#include "dockerfile/dockerfile.h"
#include "worker/purl.h"

#define BUILD_TYPE "urn:kiln:build:dockerfile:v1"

/* ---- what it was made from ---- */

static void add_dependency(json_t *list, const char *uri, const char *algorithm, const char *hex)
{
    json_array_append_new(list, json_pack("{s:s, s:{s:s}}", "uri", uri, "digest", algorithm, hex));
}

static int add_base(const struct run *r, const char *image, json_t *list, struct error *err)
{
    static const char *const nothing[] = {NULL};
    CLEANUP(builder_base_release) struct builder_base base = {.program = NULL};
    CLEANUP(buf_release) struct buf uri = BUF_INIT(4096);
    CLEANUP(buf_release) struct buf repository = BUF_INIT(4096);
    struct dockerfile_reference ref;
    bool found;

    if (dockerfile_parse_reference(image, &ref, err) < 0 ||
        builder_base_find(r->job, image, nothing, &found, &base, err) < 0)
        return -1;
    if (!found || !digest_is_sha256(base.digest))
        return 0;
    buf_addf(&repository, "%s/%s", ref.host, ref.path);
    purl_add_image(buf_str(&repository), ref.tag, "", &uri);
    add_dependency(list, buf_str(&uri), "sha256", base.digest + strlen("sha256:"));
    return 0;
}

static int add_bases(const struct run *r, json_t *list, struct error *err)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;

    if (dockerfile_images(r->dockerfile, &r->build_args, &images, err) < 0)
        return -1;
    for (size_t i = 0; i < images.n; i++)
        if (add_base(r, images.v[i], list, err) < 0)
            return -1;
    return 0;
}

static int add_dependencies(const struct run *r, json_t *list, struct error *err)
{
    CLEANUP(buf_release) struct buf git = BUF_INIT(4096);

    buf_addf(&git, "git+%s", r->source.url);
    if (r->source.url[0] && r->revision[0])
        add_dependency(list, buf_str(&git), "gitCommit", r->revision);
    return add_bases(r, list, err);
}

/* ---- what was asked for ---- */

static json_t *argument_names(const struct run *r)
{
    json_t *names = json_array();

    for (size_t i = 0; i < r->build_args.n; i++)
        json_array_append_new(names,
                              json_stringn(r->build_args.v[i], strcspn(r->build_args.v[i], "=")));
    return names;
}

static json_t *source_of(const struct run *r)
{
    json_t *o = json_object();

    if (r->build.source[0])
        json_object_set_new(o, "git", json_string(r->build.source));
    else if (r->revision[0]) /* as the .git of the upload says it, which nobody has checked */
        json_object_set_new(o, "claimedRevision", json_string(r->revision));
    if (r->plan.context[0])
        json_object_set_new(o, "files", json_pack("{s:s}", "kilnContextV1", r->plan.context));
    return o;
}

static json_t *parameters_of(const struct run *r)
{
    char dockerfile[SHA256_HEX], image[3 * NAME_SIZE];

    digest_sha256_hex(buf_str(&r->dockerfile_text), r->dockerfile_text.len, dockerfile);
    pipeline_repository(&r->build, image);
    return json_pack("{s:s, s:o, s:{s:s?, s:b, s:{s:s}}, s:o}", "image", image, "source",
                     source_of(r), "dockerfile", "path", r->plan.file[0] ? r->plan.file : NULL,
                     "generated", (int)r->plan.generated, "digest", "sha256", dockerfile,
                     "buildArguments", argument_names(r));
}

/* ---- who made it ---- */

static json_t *moment(int64_t ns)
{
    char text[CLOCK_TEXT];

    return json_string(clock_format_seconds(ns, text));
}

static json_t *details_of(const struct run *r)
{
    const char *id = r->config->builder_id;
    json_t *o = json_pack("{s:{s:s, s:{s:s}}}", "builder", "id", id && *id ? id : "urn:kiln:local",
                          "version", "kiln", r->config->program);

    if (r->epoch < 0)
        json_object_set_new(o, "metadata",
                            json_pack("{s:s, s:o, s:o}", "invocationId", r->build.id, "startedOn",
                                      moment(r->build.started), "finishedOn",
                                      moment(clock_now(&clock_system))));
    return o;
}

/* ---- the statement ---- */

int provenance_write(const struct run *r, const char *name, const char *digest, struct buf *out,
                     struct error *err)
{
    json_auto_t *dependencies = json_array();
    json_auto_t *statement = NULL;
    CLEANUP_FREE char *text = NULL;

    if (add_dependencies(r, dependencies, err) < 0)
        return error_wrap(err, "write the provenance");
    statement = json_pack("{s:s, s:[{s:s, s:{s:s}}], s:s, s:{s:{s:s, s:o, s:O}, s:o}}", "_type",
                          "https://in-toto.io/Statement/v1", "subject", "name", name, "digest",
                          "sha256", digest + strlen("sha256:"), "predicateType",
                          "https://slsa.dev/provenance/v1", "predicate", "buildDefinition",
                          "buildType", BUILD_TYPE, "externalParameters", parameters_of(r),
                          "resolvedDependencies", dependencies, "runDetails", details_of(r));
    text = statement ? json_dumps(statement, JSON_COMPACT) : NULL;
    if (!text)
        return error_set(err, ERR_SYSTEM, "write the provenance: out of memory");
    buf_adds(out, text);
    return buf_check(out, "the provenance", err);
}
