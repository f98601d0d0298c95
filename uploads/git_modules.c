/* uploads/git_modules — see the header.
 *
 * The syntax is that of git-config(1), of which nothing is needed but sections and values of one
 * line.  libgit2's reader would follow what the file includes. */
#include "uploads/git_modules.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

#define SPACE " \t\r"

struct section { /* the one at hand */
    bool is_submodule;
    char path[UPLOAD_GIT_TEXT], url[UPLOAD_GIT_TEXT]; /* "": not said */
};

static char unescaped(char c)
{
    return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'b' ? '\b' : c;
}

/* The value in the rest of a line: parts of it in quotes, up to a comment.  False: it is too long,
 * or goes on in the next line. */
static bool read_value(const char *at, char ret[UPLOAD_GIT_TEXT])
{
    size_t n = 0, end = 0; /* end: behind the last character that is no blank */
    bool quoted = false;

    for (at += strspn(at, SPACE); *at && (quoted || !strchr("#;", *at)); at++) {
        char c = *at;

        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\\' && !at[1])
            return false;
        if (c == '\\')
            c = unescaped(*++at);
        if (n + 1 == UPLOAD_GIT_TEXT)
            return false;
        ret[n++] = c;
        if (quoted || !strchr(SPACE, *at))
            end = n;
    }
    ret[end] = '\0';
    return !quoted;
}

static void read_key(const char *line, struct section *s)
{
    const size_t len = strcspn(line, SPACE "=");
    const char *equals = line + len + strspn(line + len, SPACE);
    char value[UPLOAD_GIT_TEXT];

    if (*equals != '=' || !read_value(equals + 1, value))
        return;
    if (len == 4 && strncasecmp(line, "path", len) == 0)
        memcpy(s->path, value, sizeof(value));
    else if (len == 3 && strncasecmp(line, "url", len) == 0)
        memcpy(s->url, value, sizeof(value));
}

static bool is_of(struct section *s, const char *path)
{
    size_t len = strlen(s->path);

    while (len > 0 && s->path[len - 1] == '/')
        s->path[--len] = '\0';
    return s->is_submodule && s->url[0] && strcmp(s->path, path) == 0;
}

bool git_modules_find(const char *text, const char *path, char ret_url[UPLOAD_GIT_TEXT])
{
    CLEANUP_FREE char *copy = strdup(text);
    struct section s = {.is_submodule = false};
    bool found = false;

    if (!path[0])
        return false;
    for (char *rest = copy, *line; !found && (line = strsep(&rest, "\n"));) {
        line += strspn(line, SPACE);
        if (*line == '[') {
            found = is_of(&s, path);
            if (!found)
                s = (struct section){.is_submodule = strncasecmp(line, "[submodule ", 11) == 0};
        } else {
            read_key(line, &s);
        }
    }
    if (!found && !is_of(&s, path))
        return false;
    memcpy(ret_url, s.url, sizeof(s.url));
    return true;
}

/* Takes the last part off a path that begins at host. */
static bool go_up(char *url, size_t host)
{
    char *slash = strrchr(url + host, '/');

    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

int git_modules_resolve(const char *base, const char *url, char ret[UPLOAD_GIT_TEXT],
                        struct error *err)
{
    const char *scheme = strstr(base, "://");
    const size_t host = scheme ? (size_t)(scheme + 3 - base) : 0;
    char up[UPLOAD_GIT_TEXT];
    const char *from = "";
    size_t len;

    (void)snprintf(up, sizeof(up), "%s", base);
    for (len = strlen(up); len > host && up[len - 1] == '/';)
        up[--len] = '\0';
    while (text_starts(url, "./") || text_starts(url, "../")) {
        if (url[1] == '.' && !go_up(up, host))
            return error_set(err, ERR_INPUT, "its address leads out of the server");
        url += url[1] == '.' ? 3 : 2;
        from = up;
    }
    if (snprintf(ret, UPLOAD_GIT_TEXT, "%s%s%s", from, *from ? "/" : "", url) >= UPLOAD_GIT_TEXT)
        return error_set(err, ERR_INPUT, "its address is too long");
    return 0;
}
