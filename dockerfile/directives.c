/* dockerfile/directives — ^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$, names in any case. */
#include "dockerfile/directives.h"

#include <string.h>
#include <strings.h>

/* \s of Go's regular expressions */
static bool is_re_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool is_alnum(char c, bool digits)
{
    char lower = (char)(c | 0x20);

    return (lower >= 'a' && lower <= 'z') || (digits && c >= '0' && c <= '9');
}

static struct span skip_re_space(struct span s)
{
    while (s.len > 0 && is_re_space(*s.s)) {
        s.s++;
        s.len--;
    }
    return s;
}

/* The value after "=": white space around it is no part of it, unless there is nothing else. */
static struct span directive_value(struct span rest)
{
    struct span value = skip_re_space(rest);

    if (value.len == 0 && rest.len > 0)
        return (struct span){rest.s + rest.len - 1, 1};
    while (value.len > 1 && is_re_space(value.s[value.len - 1]))
        value.len--;
    return value;
}

static bool split_directive(struct span line, struct span *ret_name, struct span *ret_value)
{
    size_t n = 0;

    if (line.len == 0 || *line.s != '#')
        return false;
    line = span_trim_left((struct span){line.s + 1, line.len - 1});
    while (n < line.len && is_alnum(line.s[n], n > 0))
        n++;
    *ret_name = (struct span){line.s, n};
    line = skip_re_space((struct span){line.s + n, line.len - n});
    if (n == 0 || line.len == 0 || *line.s != '=')
        return false;
    *ret_value = directive_value((struct span){line.s + 1, line.len - 1});
    return ret_value->len > 0;
}

static bool name_is(struct span name, const char *known)
{
    return name.len == strlen(known) && strncasecmp(name.s, known, name.len) == 0;
}

static int read_escape(struct directives *d, struct span value, struct error *err)
{
    if (d->escape_given)
        return error_set(err, ERR_INPUT, "only one escape parser directive can be used");
    if (value.len != 1 || (*value.s != '`' && *value.s != '\\'))
        return error_set(err, ERR_INPUT, "invalid escape token '%.*s' does not match ` or \\",
                         (int)(value.len > 60 ? 60 : value.len), value.s);
    d->escape = *value.s;
    d->escape_given = true;
    return 0;
}

static int read_text(const char **field, const char *name, struct span value, struct arena *arena,
                     struct error *err)
{
    if (*field)
        return error_set(err, ERR_INPUT, "only one %s parser directive can be used", name);
    *field = arena_string(arena, value.s, value.len);
    return arena_check(arena, err);
}

int directives_read_line(struct directives *d, struct span line, struct arena *arena,
                         struct error *err)
{
    struct span name, value;

    if (d->done)
        return 0;
    if (split_directive(line, &name, &value)) {
        if (name_is(name, "escape"))
            return read_escape(d, value, err);
        if (name_is(name, "syntax"))
            return read_text(&d->syntax, "syntax", value, arena, err);
        if (name_is(name, "check"))
            return read_text(&d->check, "check", value, arena, err);
    }
    d->done = true;
    return 0;
}
