/* api/openapi — GET /v0/openapi.json: what Kiln answers, described for machines (OpenAPI 3.1).
 *
 * The table of routes says what there is, and openapi.json, which is compiled in, what goes in and
 * out: its "operations" are looked up by method and pattern, and get what every operation has, or
 * every one that needs a key.  A route that it does not know is an error, so that none is
 * forgotten.
 *
 * {kind} is written out, as the reader of a description takes a path without {words} before one
 * with them: else /v0/volumes, where POST is described alone, would have no GET. */
#include "api/openapi.h"

#include <ctype.h>
#include <string.h>

#include "api/etag.h"
#include "api/route.h"

#define PATH_SIZE 256 /* bytes of a pattern and its {kind} */

extern const char api_openapi_text[]; /* of openapi.json */

/* ---- one operation ---- */

/* "get_v0_images_type_image" */
static json_t *operation_id(const char *method, const char *path)
{
    char id[PATH_SIZE + 16];
    size_t n = 0;

    for (; *method; method++)
        id[n++] = (char)tolower((unsigned char)*method);
    for (; *path && n + 1 < sizeof(id); path++) {
        if (isalnum((unsigned char)*path))
            id[n++] = *path;
        else if (id[n - 1] != '_' && *path != '}')
            id[n++] = '_';
    }
    return json_stringn(id, n);
}

/* A parameter for each {word}: openapi.json calls it path.word. */
static int add_words(json_t *parameters, const char *path)
{
    int bad = 0;

    while ((path = strchr(path, '{')) != NULL) {
        size_t len = strcspn(++path, "}");

        bad |= json_array_append_new(
            parameters,
            json_pack("{s:o}", "$ref",
                      json_sprintf("#/components/parameters/path.%.*s", (int)len, path)));
        path += len;
    }
    return bad;
}

/* What is said for many operations at once; the operation's own word goes first. */
static int add_shared(json_t *operation, const json_t *shared)
{
    json_t *responses = json_object_get(shared, "responses");
    json_t *parameters = json_object_get(shared, "parameters");
    json_t *security = json_object_get(shared, "security");
    int bad = json_object_update_missing(json_object_get(operation, "responses"), responses);

    if (parameters)
        bad |= json_array_extend(json_object_get(operation, "parameters"), parameters);
    if (security)
        bad |= json_object_set(operation, "security", security);
    return bad;
}

/* NULL: out of memory, or openapi.json does not know the route. */
static json_t *operation_json(const json_t *source, const struct route *r, const char *path)
{
    json_t *known = json_object_get(source, "operations");
    json_auto_t *operation = NULL;
    json_auto_t *parameters = json_array();
    char key[PATH_SIZE];
    int bad;

    (void)snprintf(key, sizeof(key), "%s %s", r->method, r->pattern);
    operation = json_deep_copy(json_object_get(known, key));
    bad = add_words(parameters, path);
    if (json_object_get(operation, "parameters"))
        bad |= json_array_extend(parameters, json_object_get(operation, "parameters"));
    bad |= json_object_set(operation, "parameters", parameters);
    bad |= json_object_set_new(operation, "operationId", operation_id(r->method, path));
    bad |= json_object_set_new(operation, "summary", json_string(r->help));
    bad |= add_shared(operation, json_object_get(source, "every"));
    if (!r->open)
        bad |= add_shared(operation, json_object_get(source, "keyed"));
    return bad ? NULL : TAKE(operation);
}

/* ---- all of them ---- */

/* The first route that fits a path answers, as in route.c. */
static int add_operation(json_t *paths, const json_t *source, const struct route *r,
                         const char *path, struct error *err)
{
    json_t *item = json_object_get(paths, path);
    char method[16];
    json_t *operation;
    size_t i;

    for (i = 0; r->method[i] && i + 1 < sizeof(method); i++)
        method[i] = (char)tolower((unsigned char)r->method[i]);
    method[i] = '\0';
    if (json_object_get(item, method))
        return 0;
    operation = operation_json(source, r, path);
    if (!operation)
        return error_set(err, ERR_SYSTEM, "describe %s %s: not in openapi.json, or out of memory",
                         r->method, r->pattern);
    if (!item)
        (void)json_object_set_new(paths, path, item = json_object());
    return api_json_check(json_object_set_new(item, method, operation), err);
}

static int add_route(json_t *paths, const json_t *source, const struct route *r, struct error *err)
{
    const char *word = strstr(r->pattern, "{kind}");
    const struct kind *kind;
    char path[PATH_SIZE];

    if (!word)
        return add_operation(paths, source, r, r->pattern, err);
    for (size_t i = 0; (kind = api_kind_at(i)) != NULL; i++) {
        (void)snprintf(path, sizeof(path), "%.*s%s%s", (int)(word - r->pattern), r->pattern,
                       kind->plural, word + strlen("{kind}"));
        if (add_operation(paths, source, r, path, err) < 0)
            return -1;
    }
    return 0;
}

static int assemble(json_t *document, const json_t *source, struct error *err)
{
    json_t *info = json_object_get(document, "info");
    json_auto_t *paths = json_object();

    for (size_t i = 0; i < api_routes_count; i++)
        if (add_route(paths, source, &api_routes[i], err) < 0)
            return -1;
    return api_json_check(json_object_set(document, "paths", paths) |
                              json_object_set_new(info, "version", json_string(KILN_VERSION)),
                          err);
}

struct openapi {
    char *text;
    size_t len;
    char etag[ETAG_SIZE];
};

void openapi_free(struct openapi *o)
{
    if (!o)
        return;
    free(o->text);
    free(o);
}

int openapi_new(struct openapi **ret, struct error *err)
{
    json_auto_t *source = json_loads(api_openapi_text, 0, NULL);
    json_t *document = json_object_get(source, "document");
    struct openapi *o;

    if (assemble(document, source, err) < 0)
        return -1;
    o = calloc(1, sizeof(*o));
    if (o)
        o->text = json_dumps(document, JSON_COMPACT);
    if (!o || !o->text) {
        openapi_free(o);
        return error_set(err, ERR_SYSTEM, "describe the API: out of memory");
    }
    o->len = strlen(o->text);
    etag_of(o->text, o->len, o->etag);
    *ret = o;
    return 0;
}

int api_get_openapi(struct api_call *c, struct error *err)
{
    const struct openapi *o = c->config->openapi;

    if (etag_answers(c, o->etag))
        return 0;
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", "application/json");
    buf_add(&c->resp->body, o->text, o->len);
    buf_addc(&c->resp->body, '\n');
    return buf_check(&c->resp->body, "the description of the API", err);
}
