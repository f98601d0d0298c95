/* The part of JSON Schema and OpenAPI that openapi.json uses: see the header. */
#include "described.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/text.h"

/* ---- schemas ---- */

struct judge {
    const json_t *document;
    char why[512]; /* what did not fit; of oneOf's forms, that of the one that fits deepest */
    size_t depth;  /* of it, in bytes of its place */
};

static bool fits(struct judge *j, const json_t *schema, const json_t *value, const char *where);

static bool refuse(struct judge *j, const char *where, const char *fmt, ...) PRINTF(3, 4);

static bool refuse(struct judge *j, const char *where, const char *fmt, ...)
{
    char what[256];
    va_list ap;

    if (strlen(where) < j->depth)
        return false;
    j->depth = strlen(where);
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    (void)snprintf(j->why, sizeof(j->why), "%.200s %s", *where ? where : "the body", what);
    return false;
}

const json_t *described_reference(const json_t *document, const json_t *object)
{
    const char *ref = json_string_value(json_object_get(object, "$ref"));
    const json_t *at = document;

    if (!ref)
        return object;
    if (!text_starts(ref, "#/"))
        fail_msg("the reference %s leads out of the document", ref);
    for (const char *part = ref + 2; *part;) {
        size_t len = strcspn(part, "/");

        at = json_object_getn(at, part, len);
        part += len + (part[len] == '/');
    }
    if (!at)
        fail_msg("the reference %s leads nowhere", ref);
    return at;
}

static bool is_checked(const char *word)
{
    static const char *const words[] = {
        "type",      "properties",           "required", "items", "enum", "oneOf", "format",
        "maxLength", "additionalProperties", "minimum"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return strcmp(word, "description") == 0;
}

static bool is_of_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
        return strcmp(type, "integer") == 0;
    case JSON_REAL:
        return strcmp(type, "number") == 0;
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(type, "boolean") == 0;
    case JSON_NULL:
        return strcmp(type, "null") == 0;
    }
    return false;
}

/* "type" is one word or several. */
static bool fits_type(const json_t *type, const json_t *value)
{
    const json_t *one;
    size_t i;

    if (!type || json_is_string(type))
        return !type || is_of_type(value, json_string_value(type));
    json_array_foreach (type, i, one)
        if (is_of_type(value, json_string_value(one)))
            return true;
    return false;
}

static bool fits_enum(const json_t *allowed, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach (allowed, i, one)
        if (json_equal(one, value))
            return true;
    return !allowed;
}

static bool fits_one_of(struct judge *j, const json_t *choices, const json_t *value,
                        const char *where)
{
    const json_t *choice;
    size_t n = 0;
    size_t i;

    json_array_foreach (choices, i, choice)
        n += fits(j, choice, value, where);
    if (n > 0)
        j->depth = 0;
    if (n > 1)
        return refuse(j, where, "fits %zu forms of oneOf", n);
    return n == 1;
}

static bool fits_members(struct judge *j, const json_t *schema, json_t *object, const char *where)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *others = json_object_get(schema, "additionalProperties");
    const char *name;
    json_t *member;

    json_object_foreach (object, name, member) {
        const json_t *of = json_object_get(properties, name);
        char inner[256];

        (void)snprintf(inner, sizeof(inner), "%.180s.%.64s", where, name);
        if (!of && json_is_object(others))
            of = others;
        if (of ? !fits(j, of, member, inner) : !json_is_true(others))
            return of ? false : refuse(j, inner, "is not described");
    }
    return true;
}

static bool has_required(struct judge *j, const json_t *schema, const json_t *object,
                         const char *where)
{
    const json_t *name;
    size_t i;

    json_array_foreach (json_object_get(schema, "required"), i, name)
        if (!json_object_get(object, json_string_value(name)))
            return refuse(j, where, "has no member %s", json_string_value(name));
    return true;
}

static bool fits_items(struct judge *j, const json_t *schema, const json_t *array,
                       const char *where)
{
    const json_t *items = json_object_get(schema, "items");
    const json_t *item;
    char inner[256];
    size_t i;

    json_array_foreach (array, i, item) {
        (void)snprintf(inner, sizeof(inner), "%.200s.%zu", where, i);
        if (!fits(j, items, item, inner))
            return false;
    }
    return true;
}

static bool fits_text(struct judge *j, const json_t *schema, const char *text, const char *where)
{
    const json_t *max = json_object_get(schema, "maxLength");
    const char *format = json_string_value(json_object_get(schema, "format"));

    if (max && strlen(text) > (size_t)json_integer_value(max))
        return refuse(j, where, "is too long");
    if (format && strcmp(format, "date-time") == 0 &&
        !(strlen(text) >= strlen("2026-01-01T00:00:00Z") && text[10] == 'T' &&
          text_ends(text, "Z")))
        return refuse(j, where, "is no moment: %.40s", text);
    return true;
}

static bool fits(struct judge *j, const json_t *schema, const json_t *value, const char *where)
{
    const json_t *minimum;
    const char *word;
    json_t *unused;

    schema = described_reference(j->document, schema);
    json_object_foreach ((json_t *)schema, word, unused)
        if (!is_checked(word))
            fail_msg("openapi.json says %s of %s, which nothing checks", word, where);
    if (json_object_get(schema, "oneOf"))
        return fits_one_of(j, json_object_get(schema, "oneOf"), value, where);
    if (!fits_type(json_object_get(schema, "type"), value))
        return refuse(j, where, "has another type than is described");
    if (!fits_enum(json_object_get(schema, "enum"), value))
        return refuse(j, where, "has a value that is not described: %s",
                      json_is_string(value) ? json_string_value(value) : "");
    minimum = json_object_get(schema, "minimum");
    if (minimum && json_number_value(value) < json_number_value(minimum))
        return refuse(j, where, "is too small");
    if (json_is_object(value))
        return has_required(j, schema, value, where) &&
               fits_members(j, schema, (json_t *)value, where);
    if (json_is_array(value))
        return fits_items(j, schema, value, where);
    return !json_is_string(value) || fits_text(j, schema, json_string_value(value), where);
}

/* ---- paths ---- */

/* How many {words} fit; -1: the path does not. */
static int words_in(const char *path, const struct api_request *req)
{
    size_t i = 0;
    int words = 0;

    if (strcmp(path, "/") == 0)
        return req->n_segments == 0 ? 0 : -1;
    for (; *path == '/' && i < req->n_segments; i++) {
        const size_t len = strcspn(++path, "/");
        const char *segment = req->segments[i];

        if (*path == '{' ? !*segment : strlen(segment) != len || memcmp(path, segment, len) != 0)
            return -1;
        words += *path == '{';
        path += len;
    }
    return !*path && i == req->n_segments ? words : -1;
}

/* The path of the document that fits, those with the fewest {words} first; NULL if there is none.
 */
static const char *find_path(const json_t *document, const struct api_request *req)
{
    const char *best = NULL;
    int fewest = API_SEGMENTS_MAX + 1;
    const char *path;
    json_t *unused;

    json_object_foreach (json_object_get(document, "paths"), path, unused) {
        const int words = words_in(path, req);

        if (words >= 0 && words < fewest) {
            fewest = words;
            best = path;
        }
    }
    return best;
}

static const json_t *find_operation(const json_t *item, const char *method)
{
    const char *name;
    json_t *operation;

    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    json_object_foreach ((json_t *)item, name, operation)
        if (strcasecmp(name, method) == 0)
            return operation;
    return NULL;
}

/* ---- answers ---- */

static bool fits_headers(struct judge *j, const json_t *described, const struct api_response *resp)
{
    for (size_t i = 0; i + 1 < resp->headers.n; i += 2) {
        const char *name = resp->headers.v[i];

        if (strcmp(name, "Content-Type") != 0 &&
            !json_object_get(json_object_get(described, "headers"), name))
            return refuse(j, name, "is a header that is not described");
    }
    return true;
}

static bool is_json(const char *type)
{
    return strcmp(type, "application/json") == 0 || text_ends(type, "+json");
}

static bool fits_body(struct judge *j, const json_t *described, const struct api_response *resp)
{
    const char *type = api_response_find(resp, "Content-Type");
    const json_t *content = json_object_get(described, "content");
    const json_t *media;
    json_auto_t *body = NULL;
    char bare[64];

    if (!type || !content)
        return (!type && !content && resp->body.len == 0) || refuse(j, "", "is not as described");
    (void)snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(type, ";"), type);
    media = json_object_get(content, bare);
    if (!media)
        return refuse(j, type, "is a type that is not described");
    if (!is_json(bare))
        return true;
    body = json_loadb(buf_str(&resp->body), resp->body.len, JSON_DECODE_ANY, NULL);
    return body ? fits(j, json_object_get(media, "schema"), body, "")
                : refuse(j, "", "is not JSON");
}

/* The description of the answer; of a URL or method that is not there, what info.description says
 * of all of them. */
static const json_t *find_response(const json_t *document, const json_t *item,
                                   const json_t *operation, int status)
{
    const json_t *components = json_object_get(document, "components");
    char code[16];

    (void)snprintf(code, sizeof(code), "%d", status);
    if (operation)
        return described_reference(document,
                                   json_object_get(json_object_get(operation, "responses"), code));
    if (status != (item ? 405 : 404))
        return NULL;
    return json_object_get(json_object_get(components, "responses"), code);
}

static bool has_parameter(const json_t *document, const json_t *operation, const char *name)
{
    const json_t *reference;
    size_t i;

    json_array_foreach (json_object_get(operation, "parameters"), i, reference) {
        const json_t *p = described_reference(document, reference);

        if (strcmp(json_string_value(json_object_get(p, "in")), "query") == 0 &&
            strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return true;
    }
    return false;
}

void assert_described(const json_t *document, const struct api_request *req,
                      const struct api_response *resp)
{
    const char *path = find_path(document, req);
    const json_t *item = path ? json_object_get(json_object_get(document, "paths"), path) : NULL;
    const json_t *operation = find_operation(item, req->method);
    const json_t *described = find_response(document, item, operation, resp->status);
    struct judge j = {.document = document};

    if (!described)
        fail_msg("%s %s: openapi.json does not tell of an answer %d: %s", req->method, req->path,
                 resp->status, buf_str(&resp->body));
    for (size_t i = 0; resp->status < 300 && i < req->n_params; i++)
        if (!has_parameter(document, operation, req->params[i].name))
            fail_msg("%s %s: openapi.json does not tell of the parameter %s", req->method,
                     req->path, req->params[i].name);
    if (!fits_headers(&j, described, resp) || !fits_body(&j, described, resp))
        fail_msg("%s %s: in the answer %d, %s: %s", req->method, req->path, resp->status, j.why,
                 buf_str(&resp->body));
}
