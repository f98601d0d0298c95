/* programs/batch_ignore — {"ignore": text, "paths": […]} becomes {"ignored": [true, …]} or
 * {"error": text}. */
#include <jansson.h>
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "programs/batch.h"

static json_t *refused(const char *why)
{
    return json_pack("{s:s}", "error", why);
}

static json_t *ignored_of(const struct dockerfile_ignore *g, const json_t *paths)
{
    json_t *answers = json_array();
    const json_t *path;
    size_t i;

    json_array_foreach (paths, i, path) {
        const char *s = json_string_value(path);

        json_array_append_new(answers, json_boolean(s && dockerfile_ignore_matches(g, s)));
    }
    return json_pack("{s:o}", "ignored", answers);
}

static json_t *answer(const char *line, size_t len)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *g = NULL;
    json_t *request = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const json_t *text = json_object_get(request, "ignore");
    struct error err = ERROR_INIT;
    json_t *result;

    if (!json_is_string(text))
        result = refused("not {\"ignore\": text, \"paths\": [...]}");
    else if (dockerfile_ignore_parse(json_string_value(text), json_string_length(text), &g, &err) <
             0)
        result = refused(err.msg);
    else
        result = ignored_of(g, json_object_get(request, "paths"));
    json_decref(request);
    return result;
}

int batch_ignore(void)
{
    CLEANUP_FREE char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    while ((len = getline(&line, &cap, stdin)) > 0) {
        json_t *result = answer(line, (size_t)len);

        /* A text that is not UTF-8 makes no message that JSON can hold. */
        if (!result || json_dumpf(result, stdout, JSON_COMPACT) < 0)
            fputs("{\"error\":\"no answer\"}", stdout);
        putchar('\n');
        json_decref(result);
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
