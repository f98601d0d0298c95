/* api/request — see the header. */
#include "api/request.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

const char *const api_header_names[API_HEADERS] = {
    [API_HEADER_AUTHORIZATION] = "Authorization",
    [API_HEADER_X_AUTHORIZATION] = "X-Blaxel-Authorization",
    [API_HEADER_WORKSPACE] = "X-Blaxel-Workspace",
    [API_HEADER_VERSION] = "Blaxel-Version",
    [API_HEADER_ACCEPT] = "Accept",
    [API_HEADER_HOST] = "Host",
    [API_HEADER_IF_NONE_MATCH] = "If-None-Match",
    [API_HEADER_FORWARDED_FOR] = "X-Forwarded-For",
};

void api_request_release(struct api_request *r)
{
    free(r->path);
    free(r->words);
    memset(r, 0, sizeof(*r));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes len bytes of text to out and ends them with a NUL; *ret_end points past it. */
static int decode(const char *text, size_t len, bool plus_is_space, char *out, char **ret_end,
                  struct error *err)
{
    char *to = out;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text[i + 2]) : -1;

            if (low < 0)
                return error_set(err, ERR_INPUT, "the URL holds a %% without two hex digits");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    if (text_has_control(out, (size_t)(to - out)) || !text_is_utf8(out, (size_t)(to - out)))
        return error_set(err, ERR_INPUT, "the URL holds control bytes or is not UTF-8");
    *to++ = '\0';
    *ret_end = to;
    return 0;
}

static int split_path(struct api_request *r, char **words, struct error *err)
{
    const char *at = r->path;

    while (*at == '/' && at[1]) {
        size_t len = strcspn(++at, "/");

        if (r->n_segments == API_SEGMENTS_MAX)
            return error_set(err, ERR_LIMIT, "the path has more than %d parts", API_SEGMENTS_MAX);
        r->segments[r->n_segments++] = *words;
        if (decode(at, len, false, *words, words, err) < 0)
            return -1;
        at += len;
    }
    return 0;
}

static int split_query(struct api_request *r, const char *query, char **words, struct error *err)
{
    while (*query) {
        size_t len = strcspn(query, "&");
        size_t name_len = strcspn(query, "=&");
        struct api_param *p = &r->params[r->n_params];

        if (len > 0) {
            if (r->n_params == API_PARAMS_MAX)
                return error_set(err, ERR_LIMIT, "the query has more than %d parameters",
                                 API_PARAMS_MAX);
            p->name = *words;
            if (decode(query, name_len, true, *words, words, err) < 0)
                return -1;
            p->value = "";
            if (name_len < len) {
                p->value = *words;
                if (decode(query + name_len + 1, len - name_len - 1, true, *words, words, err) < 0)
                    return -1;
            }
            r->n_params++;
        }
        query += len;
        query += *query == '&';
    }
    return 0;
}

/* "http://host/path" becomes "/path" (RFC 9112, 3.2.2: a server must take the absolute form). */
static const char *origin_form(const char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;

    return scheme ? target + scheme + strcspn(target + scheme, "/?") : target;
}

int api_request_target(struct api_request *r, const char *target, struct error *err)
{
    const char *origin = origin_form(target);
    size_t path_len = strcspn(origin, "?");
    size_t len = strlen(origin);
    char *words;

    r->path = strndup(origin, path_len < API_TARGET_MAX ? path_len : API_TARGET_MAX);
    if (len > API_TARGET_MAX)
        return error_set(err, ERR_LIMIT, "the URL is longer than %d bytes", API_TARGET_MAX);
    /* Each word ends where a '/', '=' or '&' stood, but for the last of path and query. */
    r->words = malloc(len + 3);
    if (!r->path || !r->words)
        return error_set(err, ERR_SYSTEM, "take a URL apart: out of memory");
    words = r->words;
    if (split_path(r, &words, err) < 0)
        return -1;
    return origin[path_len] ? split_query(r, origin + path_len + 1, &words, err) : 0;
}

const char *api_request_param(const struct api_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_params; i++)
        if (strcmp(r->params[i].name, name) == 0)
            return r->params[i].value;
    return NULL;
}

const char *api_request_text(const struct api_request *r, const char *name)
{
    const char *value = api_request_param(r, name);

    return value ? value : "";
}

bool api_request_flag(const struct api_request *r, const char *name)
{
    const char *value = api_request_param(r, name);

    return value && strcmp(value, "true") == 0;
}

int api_request_number(const struct api_request *r, const char *name, uint64_t max, uint64_t *ret,
                       struct error *err)
{
    const char *value = api_request_param(r, name);

    if (!value || !*value)
        return 0;
    if (!text_to_u64(value, max, ret))
        return error_set(err, ERR_INPUT, "%s must be a number from 0 to %llu", name,
                         (unsigned long long)max);
    return 0;
}
