/* api/envelope — lists and moments, as they look in an answer. */
#include <string.h>

#include "api/call.h"

json_t *api_json_time(int64_t ns)
{
    char text[CLOCK_TEXT];

    if (ns == 0)
        return json_null();
    clock_format(ns, text);
    return json_string(text);
}

json_t *api_json_number_text(uint64_t n)
{
    return json_sprintf("%llu", (unsigned long long)n);
}

int api_answer_list(struct api_call *c, json_t *data, const char *next, int64_t total,
                    struct error *err)
{
    json_auto_t *list = data;
    json_auto_t *answer = NULL;

    if (!c->enveloped)
        return api_response_json(c->resp, 200, list, err);
    answer = json_pack("{s:O, s:{s:b, s:s, s:I}}", "data", list, "meta", "hasMore", next[0] != '\0',
                       "nextCursor", next, "total", (json_int_t)total);
    if (api_json_check(!answer, err) < 0)
        return -1;
    return api_response_json(c->resp, 200, answer, err);
}
