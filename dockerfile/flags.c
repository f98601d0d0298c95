/* dockerfile/flags — BuildKit's extractBuilderFlags and BFlags. */
#include "dockerfile/flags.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/runes.h"
#include "dockerfile/suggest.h"

/* One flag from text, unquoted, to out; returns what follows it. */
static const char *copy_flag(const char *text, char **out)
{
    char quote = '\0';

    for (; *text && (quote || !is_ascii_space(*text)); text++) {
        if (quote ? *text == quote : *text == '\'' || *text == '"') {
            quote = (char)(quote ? '\0' : *text);
            continue;
        }
        if (*text == '\\' && !*++text)
            break; /* one at the very end is dropped */
        *(*out)++ = *text;
    }
    return text;
}

void flags_split(struct arena *a, const char *text, struct argv *ret_flags, const char **ret_rest)
{
    char *out = NULL;

    for (;;) {
        char *start;

        while (is_ascii_space(*text))
            text++;
        *ret_rest = text;
        if (text[0] != '-' || text[1] != '-')
            return;
        if (!out && !(out = arena_room(a, strlen(text) + 1)))
            return;
        start = out;
        text = copy_flag(text, &out);
        *out++ = '\0';
        *ret_rest = text;
        if (strcmp(start, "--") == 0)
            return;
        arena_push(a, ret_flags, start);
    }
}

static int check_bool(const char *name, const char *value, struct error *err)
{
    if (!value || strcasecmp(value, "true") == 0 || strcasecmp(value, "false") == 0)
        return 0;
    if (!*value)
        return error_set(err, ERR_INPUT, "missing a value on flag: --%s", name);
    return error_set(err, ERR_INPUT, "expecting boolean value for flag --%s, not: %.200s", name,
                     value);
}

static int refuse_unknown(const char *flag, size_t len, const struct flag_rule *rules,
                          struct error *err)
{
    const char *names[FLAG_RULES_MAX + 1] = {NULL};
    char hint[SUGGEST_SIZE];
    char name[64];

    for (size_t i = 0; rules && rules[i].name && i < FLAG_RULES_MAX; i++)
        names[i] = rules[i].name;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(len > 63 ? 63 : len), flag);
    return error_set(err, ERR_INPUT, "unknown flag: --%s%s", name,
                     suggest(name, names, false, hint));
}

/* flag: without the dashes; *seen has a bit for every rule met. */
static int check_flag(const char *flag, const struct flag_rule *rules, unsigned *seen,
                      struct error *err)
{
    size_t len = strcspn(flag, "=");
    const char *value = flag[len] ? flag + len + 1 : NULL;
    size_t i = 0;

    while (rules && rules[i].name &&
           !(strncmp(rules[i].name, flag, len) == 0 && !rules[i].name[len]))
        i++;
    if (!rules || !rules[i].name)
        return refuse_unknown(flag, len, rules, err);
    if (*seen & 1U << i && rules[i].kind != FLAG_LIST)
        return error_set(err, ERR_INPUT, "duplicate flag specified: --%s", rules[i].name);
    *seen |= 1U << i;
    if (rules[i].kind == FLAG_BOOL)
        return check_bool(rules[i].name, value, err);
    if (!value)
        return error_set(err, ERR_INPUT, "missing a value on flag: --%s", rules[i].name);
    return 0;
}

int flags_check(const struct argv *flags, const struct flag_rule *rules, struct error *err)
{
    unsigned seen = 0;

    for (size_t i = 0; i < flags->n; i++)
        if (check_flag(flags->v[i] + 2, rules, &seen, err) < 0)
            return -1;
    return 0;
}

const char *flags_next(const struct argv *flags, const char *name, size_t *index)
{
    size_t len = strlen(name);

    while (*index < flags->n) {
        const char *flag = flags->v[(*index)++] + 2;

        if (strncmp(flag, name, len) == 0 && flag[len] == '=')
            return flag + len + 1;
    }
    return NULL;
}

const char *flags_value(const struct argv *flags, const char *name)
{
    size_t index = 0;

    return flags_next(flags, name, &index);
}

bool flags_is_set(const struct argv *flags, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < flags->n; i++) {
        const char *flag = flags->v[i] + 2;

        if (strncmp(flag, name, len) == 0 &&
            (flag[len] == '\0' || strcasecmp(flag + len, "=true") == 0))
            return true;
    }
    return false;
}
