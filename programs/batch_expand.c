/* programs/batch_expand — {"in": word, "env": ["A=b"], "escape": "\\"} becomes {"word": text,
 * "words": [text, …]} or {"error": text}. */
#include <jansson.h>
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "programs/batch.h"
#include "programs/batch_line.h"

static json_t *refused(const char *why)
{
    json_t *text = json_string(why);

    return json_pack("{s:o}", "error", text ? text : json_string("not valid UTF-8"));
}

/* BuildKit's list of no words is null. */
static json_t *list(const struct argv *words)
{
    json_t *array = words->n ? json_array() : json_null();

    for (size_t i = 0; i < words->n; i++)
        json_array_append_new(array, json_string(words->v[i]));
    return array;
}

static json_t *answer(json_t *request)
{
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    CLEANUP(argv_release) struct argv words = ARGV_INIT;
    CLEANUP(buf_release) struct buf word = BUF_INIT(16 << 20);
    const char *in = json_string_value(json_object_get(request, "in"));
    const char *escape = json_string_value(json_object_get(request, "escape"));
    const json_t *array = json_object_get(request, "env"), *pair;
    struct error err = ERROR_INIT;
    size_t i;

    json_array_foreach (array, i, pair)
        if (json_is_string(pair))
            argv_push1(&env, json_string_value(pair));
    if (!in)
        return refused("not {\"in\": word, \"env\": [...], \"escape\": token}");
    if (dockerfile_expand(in, escape && *escape ? *escape : '\\', &env, &word, &words, &err) < 0)
        return refused(err.msg);
    return json_pack("{s:o,s:o}", "word", json_string(buf_str(&word)), "words", list(&words));
}

int batch_expand(void)
{
    return batch_lines(answer);
}
