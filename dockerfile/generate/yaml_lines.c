#include "dockerfile/generate/yaml_lines.h"

#include <stdio.h>
#include <string.h>

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
#define VALUE_MAX  512 /* bytes of one element */

static const char *next_line(const char *p)
{
    p += strcspn(p, "\n");
    return *p ? p + 1 : p;
}

/* The value at p, up to the end of the line or one of the characters of end; *ret_after is where
 * it stopped.  False: empty, not closed, or too long. */
static bool read_value(const char *p, const char *end, char *ret, size_t size,
                       const char **ret_after)
{
    char stop[8] = "\r\n";
    size_t n;

    p += strspn(p, " \t");
    if (*p == '"' || *p == '\'') {
        stop[2] = *p++;
        n = strcspn(p, stop);
        *ret_after = p + n + (p[n] == stop[2]);
        if (p[n] != stop[2])
            return false;
    } else {
        (void)snprintf(stop + 2, sizeof(stop) - 2, "%s", end);
        n = strcspn(p, stop);
        for (size_t i = 0; i < n; i++) /* " #" begins a comment */
            if (p[i] == '#' && (i == 0 || p[i - 1] == ' ' || p[i - 1] == '\t'))
                n = i;
        *ret_after = p + n;
        while (n > 0 && strchr(" \t", p[n - 1]))
            n--;
    }
    if (n == 0 || n >= size)
        return false;
    memcpy(ret, p, n);
    ret[n] = '\0';
    return true;
}

/* What follows "key:" at the beginning of a line; NULL without. */
static const char *find_key(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = text; *p; p = next_line(p))
        if (strncmp(p, key, n) == 0 && p[n] == ':' && strchr(" \t\r\n", p[n + 1]))
            return p + n + 1;
    return NULL;
}

bool yaml_scalar(const char *text, const char *key, char *ret, size_t size)
{
    const char *p = find_key(text, key), *after;

    *ret = '\0';
    return p && read_value(p, "", ret, size, &after);
}

static int push(struct argv *list, const char *value, size_t max, const char *key,
                struct error *err)
{
    if (list->n == max)
        return error_set(err, ERR_LIMIT, "%s: more than %zu entries", key, max);
    argv_push1(list, value);
    return 0;
}

static int read_flow(const char *p, const char *key, size_t max, struct argv *ret,
                     struct error *err)
{
    char value[VALUE_MAX];

    while (*p && *p != ']' && *p != '\n') {
        if (read_value(p, ",]", value, sizeof(value), &p) && push(ret, value, max, key, err) < 0)
            return -1;
        p += strcspn(p, ",]\n");
        p += *p == ',';
    }
    return 0;
}

static int read_block(const char *p, const char *key, size_t max, struct argv *ret,
                      struct error *err)
{
    char value[VALUE_MAX];
    const char *after;

    for (; *p; p = next_line(p)) {
        const char *item = p + strspn(p, " \t\r");

        if (*item == '\n' || *item == '#')
            continue;
        if (*item != '-' || !strchr(" \t\r\n", item[1]))
            break;
        if (read_value(item + 1, "", value, sizeof(value), &after) &&
            push(ret, value, max, key, err) < 0)
            return -1;
    }
    return 0;
}

int yaml_list(const char *text, const char *key, size_t max, struct argv *ret, struct error *err)
{
    const char *p = find_key(text, key);

    if (!p)
        return 0;
    p += strspn(p, " \t");
    if (*p == '[')
        return read_flow(p + 1, key, max, ret, err);
    return read_block(next_line(p), key, max, ret, err);
}

bool yaml_other_key(const char *text, const char *const *names, char *ret, size_t size)
{
    for (const char *p = text; *p; p = next_line(p)) {
        size_t n = strspn(p, NAME_CHARS), i = 0;

        if (n == 0 || p[n] != ':' || n >= size)
            continue;
        while (names[i] && !(strlen(names[i]) == n && strncmp(p, names[i], n) == 0))
            i++;
        if (names[i])
            continue;
        memcpy(ret, p, n);
        ret[n] = '\0';
        return true;
    }
    return false;
}
