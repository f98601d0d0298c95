/* programs/batch_parse — {"dockerfile": text, "args": {}, "target": "", "dockerignore": text}
 * becomes what BuildKit would say of it: {"ok", "dump", "error", "stages", "config", "warnings"}.
 *
 * The answers that these are compared with were made with one stand-in for every base image; ours
 * are made with the same. */
#include <jansson.h>
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "programs/batch.h"
#include "programs/batch_line.h"

static const char stand_in[] =
    "{\"config\":{\"Env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
    "\"Cmd\":[\"/bin/sh\"]},\"history\":[{\"created_by\":\"base\"}]}";

static int give_stand_in(void *self, const char *image, const char *platform, struct buf *out,
                         bool *ret_found, struct error *err)
{
    (void)self;
    (void)image;
    (void)platform;
    buf_adds(out, stand_in);
    *ret_found = true;
    return buf_check(out, "a configuration", err);
}

static void read_args(json_t *args, struct argv *out)
{
    const char *name;
    json_t *value;

    json_object_foreach (args, name, value)
        if (json_is_string(value))
            argv_pushf(out, "%s=%s", name, json_string_value(value));
}

/* NULL when a text is not UTF-8, which messages about such a file are not always. */
static json_t *text(const char *s)
{
    json_t *string = json_string(s);

    return string ? string : json_string("a text that is not valid UTF-8");
}

static json_t *stages_of(const struct dockerfile *d)
{
    json_t *array = json_array();
    const struct dockerfile_stage *stages;
    size_t n = 0;

    stages = d ? dockerfile_stages(d, &n) : NULL;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_pack("{s:o,s:o}", "name",
                                               text(stages[i].name ? stages[i].name : ""), "base",
                                               text(stages[i].base)));
    return array;
}

static json_t *warnings_of(const struct dockerfile_findings *f)
{
    json_t *array = json_array();

    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(array, json_pack("{s:s,s:i,s:o}", "rule", f->warnings[i].rule, "line",
                                               f->warnings[i].first_line, "detail",
                                               text(f->warnings[i].detail)));
    return array;
}

static json_t *error_of(const struct dockerfile_findings *f)
{
    if (!f->failure.kind)
        return json_null();
    return json_pack("{s:o,s:i}", "message", text(f->failure.msg), "line", f->failure_line);
}

static json_t *answer_of(const struct dockerfile_report *r)
{
    json_t *config = r->config.len ? json_loadb(buf_str(&r->config), r->config.len, 0, NULL) : NULL;

    return json_pack("{s:b,s:o,s:o,s:o,s:o,s:o}", "ok", r->accepted, "dump",
                     r->read ? text(buf_str(&r->dump)) : json_null(), "error",
                     error_of(&r->findings), "stages", stages_of(r->d), "config",
                     config ? config : json_null(), "warnings", warnings_of(&r->findings));
}

static int report(const json_t *request, struct dockerfile_report *ret, struct error *err)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    const struct dockerfile_bases bases = {.config = give_stand_in};
    const json_t *file = json_object_get(request, "dockerfile");
    const json_t *rules = json_object_get(request, "dockerignore");
    const char *target = json_string_value(json_object_get(request, "target"));
    const struct dockerfile_check_request check = {
        .build = {.target = target, .build_args = &args, .bases = &bases},
        .all_stages = !target || !*target,
    };
    struct dockerfile_check_request with_rules = check;

    if (!json_is_string(file))
        return error_set(err, ERR_INPUT, "not {\"dockerfile\": text, ...}");
    read_args(json_object_get(request, "args"), &args);
    if (json_string_length(rules) > 0 &&
        dockerfile_ignore_parse(json_string_value(rules), json_string_length(rules), &ignore, err) <
            0)
        return error_wrap(err, ".dockerignore");
    with_rules.ignore = ignore;
    return dockerfile_report(json_string_value(file), json_string_length(file),
                             &dockerfile_limits_default, &with_rules, ret, err);
}

static json_t *answer(json_t *request)
{
    struct dockerfile_report r;
    struct error err = ERROR_INIT;
    json_t *result;

    if (report(request, &r, &err) < 0)
        return json_pack("{s:b,s:{s:o,s:i}}", "ok", 0, "error", "message", text(err.msg), "line",
                         0);
    result = answer_of(&r);
    dockerfile_report_release(&r);
    return result;
}

int batch_parse(void)
{
    return batch_lines(answer);
}
