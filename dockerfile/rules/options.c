/* dockerfile/rules/options — which rules count: linter.ParseLintOptions. */
#include <string.h>

#include "dockerfile/quote.h"
#include "dockerfile/rules/rule.h"
#include "dockerfile/runes.h"

static struct span cut(const char *s, size_t len)
{
    return span_trim((struct span){s, len});
}

static bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.s, text, s.len) == 0;
}

/* "A, B", or "all" */
static void read_names(struct span value, struct arena *arena, struct argv *ret, bool *ret_all)
{
    const char *p = value.s, *end = value.s + value.len;

    if (span_is(value, "all")) {
        *ret_all = true;
        return;
    }
    while (p <= end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        struct span name = cut(p, (size_t)((comma ? comma : end) - p));

        arena_push(arena, ret, arena_string(arena, name.s, name.len));
        p = comma ? comma + 1 : end + 1;
    }
}

static int read_error(struct span value, bool *ret, struct error *err)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True", NULL};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False", NULL};

    for (size_t i = 0; yes[i]; i++) {
        if (!span_is(value, yes[i]) && !span_is(value, no[i]))
            continue;
        *ret = span_is(value, yes[i]);
        return 0;
    }
    return error_set(err, ERR_INPUT,
                     "failed to parse check option \"error=%.*s\": strconv.ParseBool: parsing "
                     "\"%.*s\": invalid syntax",
                     (int)(value.len > 100 ? 100 : value.len), value.s,
                     (int)(value.len > 100 ? 100 : value.len), value.s);
}

static int read_option(struct span part, struct arena *arena, struct check_options *ret,
                       struct error *err)
{
    const char *equals = memchr(part.s, '=', part.len);
    struct span key = equals ? cut(part.s, (size_t)(equals - part.s)) : part;
    struct span value = {"", 0};

    if (equals)
        value = cut(equals + 1, part.len - (size_t)(equals + 1 - part.s));
    if (equals && span_is(key, "skip"))
        read_names(value, arena, &ret->skip, &ret->skip_all);
    else if (equals && span_is(key, "experimental"))
        read_names(value, arena, &ret->experimental, &ret->experimental_all);
    else if (equals && span_is(key, "error"))
        return read_error(value, &ret->error, err);
    else
        return error_set(err, ERR_INPUT, "invalid check option \"%.*s\"",
                         (int)(key.len > 100 ? 100 : key.len), key.s);
    return 0;
}

int check_options_read(const char *text, struct arena *arena, struct check_options *ret,
                       struct error *err)
{
    struct span rest = cut(text, strlen(text));
    struct check_options options = *ret;

    for (int parts = 1; rest.len > 0 || parts > 1; parts++) {
        const char *end = parts < 3 ? memchr(rest.s, ';', rest.len) : NULL;
        size_t n = end ? (size_t)(end - rest.s) : rest.len;

        if (read_option((struct span){rest.s, n}, arena, &options, err) < 0)
            return error_wrap(err, "failed to parse check options");
        if (!end)
            break;
        rest = (struct span){end + 1, rest.len - n - 1};
    }
    *ret = options;
    return arena_check(arena, err);
}

int check_options_read_comment(const char *text, struct arena *arena, struct check_options *ret,
                               struct error *err)
{
    char *word = arena_string(arena, text, strcspn(text, " "));

    return word ? check_options_read(word, arena, ret, err) : arena_check(arena, err);
}

void check_options_skip(const char *text, struct arena *arena, struct check_options *ret)
{
    read_names(cut(text, strlen(text)), arena, &ret->skip, &ret->skip_all);
}
