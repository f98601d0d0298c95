/* uploads/env — .env.build: "KEY=value" lines that become build arguments.
 *
 * Values are secrets more often than not: an error names the line, never what stands in it. */
#include <string.h>

#include "uploads/uploads.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_key(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';

        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return len > 0;
}

static void trim(const char **s, size_t *len)
{
    while (*len > 0 && is_blank(**s)) {
        (*s)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*s)[*len - 1]))
        (*len)--;
}

static void strip_quotes(const char **s, size_t *len)
{
    char quote;

    if (*len < 2)
        return;
    quote = **s;
    if ((quote == '"' || quote == '\'') && (*s)[*len - 1] == quote) {
        (*s)++;
        *len -= 2;
    }
}

static int parse_line(const char *line, size_t len, size_t number, struct argv *out,
                      struct error *err)
{
    const char *equals, *value;
    size_t key_len, value_len;

    trim(&line, &len);
    if (len == 0 || line[0] == '#')
        return 0;
    equals = memchr(line, '=', len);
    if (!equals)
        return error_set(err, ERR_INPUT, "line %zu is not KEY=value", number);
    value = equals + 1;
    value_len = len - (size_t)(value - line);
    key_len = (size_t)(equals - line);
    trim(&line, &key_len);
    if (!is_key(line, key_len))
        return error_set(err, ERR_INPUT,
                         "line %zu: a name is letters, digits and _, and begins with no digit",
                         number);
    if (memchr(value, '\0', value_len))
        return error_set(err, ERR_INPUT, "line %zu holds a NUL byte", number);
    trim(&value, &value_len);
    strip_quotes(&value, &value_len);
    argv_pushf(out, "%.*s=%.*s", (int)key_len, line, (int)value_len, value);
    return 0;
}

int upload_parse_env(const char *text, size_t len, struct argv *out, struct error *err)
{
    size_t number = 1;

    for (size_t at = 0; at < len; number++) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t line_len = newline ? (size_t)(newline - text) - at : len - at;

        if (parse_line(text + at, line_len, number, out, err) < 0)
            return error_wrap(err, ".env.build");
        at += line_len + (newline ? 1 : 0);
    }
    if (out->failed)
        return error_set(err, ERR_SYSTEM, ".env.build: out of memory");
    return 0;
}
