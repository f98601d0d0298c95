/* dockerfile/plan_json — a plan as a JSON document: docs/plan.md says what is in it.
 *
 * The reader takes what a jail has written in which a hostile archive was unpacked, so it trusts
 * nothing: strings have ceilings, numbers ranges, and the settings are read again from their
 * text. */
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/plan.h"

#define ROWS_MAX 10000 /* of a list */

/* ---- writing ---- */

/* JSON holds text only.  A file that is not UTF-8 has made the plan fail already, and is shown with
 * question marks. */
static json_t *from_bytes(const char *s, size_t len)
{
    CLEANUP_FREE char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    if (!text_is_utf8(copy, len))
        for (size_t i = 0; i < len; i++)
            if (copy[i] & 0x80)
                copy[i] = '?';
    return json_stringn(copy, len);
}

static json_t *from_buf(const struct buf *b)
{
    return from_bytes(buf_str(b), b->len);
}

static json_t *from_text(const char *s)
{
    return s ? from_bytes(s, strlen(s)) : json_null();
}

static json_t *from_words(const struct argv *words)
{
    json_t *list = json_array();

    for (size_t i = 0; i < words->n; i++)
        if (json_array_append_new(list, from_text(words->v[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

/* Their names: the values may be secrets. */
static json_t *from_build_args(const struct argv *build_args)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    for (size_t i = 0; i < build_args->n; i++)
        argv_pushf(&names, "%.*s", (int)strcspn(build_args->v[i], "="), build_args->v[i]);
    return names.failed ? NULL : from_words(&names);
}

static json_t *from_checks(const struct dockerfile_plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_checks; i++) {
        const struct dockerfile_plan_check *c = &p->checks[i];

        if (json_array_append_new(
                list, json_pack("{s:o,s:o,s:o,s:i,s:i}", "rule", from_text(c->rule), "detail",
                                from_text(c->detail), "url", from_text(c->url), "line",
                                c->first_line, "lastLine", c->last_line)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *from_stages(const struct dockerfile_plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_stages; i++) {
        const struct dockerfile_plan_stage *s = &p->stages[i];

        if (json_array_append_new(list, json_pack("{s:o,s:o,s:i,s:b}", "name", from_text(s->name),
                                                  "base", from_text(s->base), "line", s->line,
                                                  "needed", s->needed)) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *from_failure(const struct error *failure)
{
    if (failure->kind == ERR_NONE)
        return json_null();
    return json_pack("{s:s,s:o,s:i}", "kind", error_kind_name(failure->kind), "message",
                     from_text(failure->msg), "line", dockerfile_error_line(failure));
}

static json_t *from_plan(const struct dockerfile_plan *p)
{
    return json_pack(
        "{s:s,s:b,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:s,s:o}", "type", p->type,
        "generated", p->generated, "file", from_text(p->file[0] ? p->file : NULL), "language",
        p->language, "dockerfile", from_buf(&p->text), "notes", from_words(&p->notes), "warnings",
        from_words(&p->warnings), "checks", from_checks(p), "stages", from_stages(p), "images",
        from_words(&p->images), "sandboxApi", from_words(&p->sandbox), "buildArgs",
        from_build_args(&p->build_args), "ignore", from_buf(&p->ignore), "settings",
        from_buf(&p->settings_text), "context", p->context, "failure", from_failure(&p->failure));
}

int dockerfile_plan_write(const struct dockerfile_plan *p, struct buf *out, struct error *err)
{
    json_auto_t *document = from_plan(p);
    CLEANUP_FREE char *dump = document ? json_dumps(document, JSON_COMPACT) : NULL;

    if (!dump)
        return error_set(err, ERR_SYSTEM, "write the plan: out of memory");
    buf_adds(out, dump);
    return buf_check(out, "the plan", err);
}

/* ---- reading ---- */

static bool to_buf(const json_t *j, struct buf *out)
{
    if (!json_is_string(j))
        return false;
    buf_add(out, json_string_value(j), json_string_length(j));
    return !out->full;
}

static bool to_array(const json_t *j, char *out, size_t size)
{
    const char *s = json_is_null(j) ? "" : json_string_value(j);

    return s && (size_t)snprintf(out, size, "%s", s) < size;
}

/* A fresh string, or NULL for null. */
static bool to_string(const json_t *j, char **ret)
{
    const char *s = json_string_value(j);

    *ret = s ? strdup(s) : NULL;
    return s ? *ret != NULL : json_is_null(j);
}

static bool to_words(const json_t *list, struct argv *out)
{
    size_t i;
    json_t *word;

    if (!json_is_array(list) || json_array_size(list) > ROWS_MAX)
        return false;
    json_array_foreach (list, i, word) {
        if (!json_is_string(word))
            return false;
        argv_push1(out, json_string_value(word));
    }
    return !out->failed;
}

static bool to_line(const json_t *j, int *ret)
{
    json_int_t n = json_integer_value(j);

    *ret = (int)n;
    return json_is_integer(j) && n >= 0 && n <= INT32_MAX;
}

static bool to_checks(const json_t *list, struct dockerfile_plan *p)
{
    size_t i;
    json_t *row;

    if (!json_is_array(list) || json_array_size(list) > ROWS_MAX)
        return false;
    p->checks = calloc(json_array_size(list) + 1, sizeof(*p->checks));
    if (!p->checks)
        return false;
    json_array_foreach (list, i, row) {
        struct dockerfile_plan_check *c = &p->checks[p->n_checks++];

        if (!to_string(json_object_get(row, "rule"), &c->rule) || !c->rule ||
            !to_string(json_object_get(row, "detail"), &c->detail) || !c->detail ||
            !to_string(json_object_get(row, "url"), &c->url) ||
            !to_line(json_object_get(row, "line"), &c->first_line) ||
            !to_line(json_object_get(row, "lastLine"), &c->last_line))
            return false;
    }
    return true;
}

static bool to_stages(const json_t *list, struct dockerfile_plan *p)
{
    size_t i;
    json_t *row;

    if (!json_is_array(list) || json_array_size(list) > ROWS_MAX)
        return false;
    p->stages = calloc(json_array_size(list) + 1, sizeof(*p->stages));
    if (!p->stages)
        return false;
    json_array_foreach (list, i, row) {
        struct dockerfile_plan_stage *s = &p->stages[p->n_stages++];

        if (!to_string(json_object_get(row, "name"), &s->name) ||
            !to_string(json_object_get(row, "base"), &s->base) || !s->base ||
            !to_line(json_object_get(row, "line"), &s->line))
            return false;
        s->needed = json_is_true(json_object_get(row, "needed"));
    }
    return true;
}

static bool to_failure(const json_t *j, struct error *failure)
{
    static const enum error_kind kinds[] = {ERR_INPUT, ERR_LIMIT};
    const char *kind = json_string_value(json_object_get(j, "kind"));
    const char *message = json_string_value(json_object_get(j, "message"));

    *failure = (struct error)ERROR_INIT;
    if (json_is_null(j))
        return true;
    for (size_t i = 0; kind && message && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kind, error_kind_name(kinds[i])) == 0)
            (void)error_set(failure, kinds[i], "%s", message);
    return failure->kind != ERR_NONE;
}

static bool to_plan(const json_t *j, struct dockerfile_plan *p)
{
    struct error unused;

    p->generated = json_is_true(json_object_get(j, "generated"));
    return to_array(json_object_get(j, "type"), p->type, sizeof(p->type)) &&
           to_array(json_object_get(j, "file"), p->file, sizeof(p->file)) &&
           to_array(json_object_get(j, "language"), p->language, sizeof(p->language)) &&
           to_buf(json_object_get(j, "dockerfile"), &p->text) &&
           to_buf(json_object_get(j, "ignore"), &p->ignore) &&
           to_buf(json_object_get(j, "settings"), &p->settings_text) &&
           to_words(json_object_get(j, "notes"), &p->notes) &&
           to_words(json_object_get(j, "warnings"), &p->warnings) &&
           to_words(json_object_get(j, "images"), &p->images) &&
           to_array(json_object_get(j, "context"), p->context, sizeof(p->context)) &&
           to_words(json_object_get(j, "sandboxApi"), &p->sandbox) &&
           to_checks(json_object_get(j, "checks"), p) &&
           to_stages(json_object_get(j, "stages"), p) &&
           to_failure(json_object_get(j, "failure"), &p->failure) &&
           (p->failure.kind != ERR_NONE ||
            dockerfile_settings_read(buf_str(&p->settings_text), p->settings_text.len, &p->settings,
                                     &unused) == 0);
}

int dockerfile_plan_read(const char *json, size_t len, struct dockerfile_plan *ret,
                         struct error *err)
{
    CLEANUP(dockerfile_plan_release) struct dockerfile_plan p;
    json_auto_t *document = json_loadb(json, len, 0, NULL);

    dockerfile_plan_init(&p);
    if (!json_is_object(document) || !to_plan(document, &p))
        return error_set(err, ERR_SYSTEM, "read the plan: it is no plan");
    dockerfile_plan_release(ret);
    *ret = p;
    dockerfile_plan_init(&p);
    return 0;
}
