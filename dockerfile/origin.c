/* dockerfile/origin — BuildKit's dfgitutil.ParseGitRef, as far as it tells kinds apart. */
#include "dockerfile/origin.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/dockerfile.h"

/* Bytes of [a-zA-Z0-9]+ before "://"; 0: there is none. */
static size_t scheme_length(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]))
        n++;
    return strncmp(s + n, "://", 3) == 0 ? n : 0;
}

static bool scheme_is(const char *s, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(s, name, len) == 0;
}

/* user@host:path */
static bool is_scp_style(const char *s)
{
    size_t n = 0, host;

    while (isalnum((unsigned char)s[n]) || s[n] == '-' || s[n] == '_')
        n++;
    if (n == 0 || s[n] != '@')
        return false;
    host = ++n;
    while (isalnum((unsigned char)s[n]) || s[n] == '-' || s[n] == '_' || s[n] == '.')
        n++;
    return n > host && s[n] == ':';
}

static int check_query(const char *query, size_t len, struct error *err)
{
    static const char *const known[] = {"ref",      "tag",    "branch",       "subdir",
                                        "checksum", "commit", "keep-git-dir", "submodules"};
    const char *end = query + len;

    while (query < end) {
        const char *amp = memchr(query, '&', (size_t)(end - query));
        size_t n = amp ? (size_t)(amp - query) : (size_t)(end - query);
        const char *equals = memchr(query, '=', n);
        size_t name = equals ? (size_t)(equals - query) : n;
        bool found = n == 0;

        for (size_t i = 0; !found && i < sizeof(known) / sizeof(known[0]); i++)
            found = strlen(known[i]) == name && memcmp(known[i], query, name) == 0;
        if (!found)
            return error_set(err, ERR_INPUT, "unexpected query \"%.*s\"",
                             (int)(name > 100 ? 100 : name), query);
        query += n + 1;
    }
    return 0;
}

/* Does the path between the scheme and the query or fragment end with ".git"? */
static bool names_repository(const char *s, size_t path_end)
{
    const char *slash = memchr(s, '/', path_end);

    return slash && path_end >= 4 && memcmp(s + path_end - 4, ".git", 4) == 0 &&
           (size_t)(slash - s) < path_end - 3;
}

static int of_address(const char *s, size_t scheme, enum origin *ret, struct error *err)
{
    bool web = scheme_is(s, scheme, "http") || scheme_is(s, scheme, "https");
    const char *rest = s + scheme + 3;
    size_t path = strcspn(rest, "?#");
    bool plain = text_starts(s, "http://") || text_starts(s, "https://");

    *ret = plain ? ORIGIN_HTTP : ORIGIN_CONTEXT;
    if (web && !names_repository(rest, path))
        return 0;
    if (!web && !scheme_is(s, scheme, "git") && !scheme_is(s, scheme, "ssh"))
        return 0;
    *ret = ORIGIN_GIT;
    if (rest[path] == '?')
        return check_query(rest + path + 1, strcspn(rest + path + 1, "#"), err);
    return 0;
}

int origin_of(const char *source, enum origin *ret, struct error *err)
{
    size_t scheme = scheme_length(source);

    *ret = ORIGIN_CONTEXT;
    if (text_starts(source, "./") || text_starts(source, "../"))
        return 0;
    if (text_starts(source, "github.com/")) {
        *ret = ORIGIN_GIT_LIKE;
        return 0;
    }
    if (scheme)
        return of_address(source, scheme, ret, err);
    if (is_scp_style(source))
        *ret = ORIGIN_GIT;
    return 0;
}

enum dockerfile_origin dockerfile_origin_of(const char *source)
{
    struct error ignored = ERROR_INIT;
    enum origin origin;

    if (origin_of(source, &origin, &ignored) < 0 || origin == ORIGIN_GIT)
        return DOCKERFILE_ORIGIN_GIT;
    return origin == ORIGIN_HTTP ? DOCKERFILE_ORIGIN_URL : DOCKERFILE_ORIGIN_CONTEXT;
}

static bool is_web_add(const struct dockerfile_instruction *i)
{
    return strcmp(i->keyword, "ADD") == 0 && (strstr(i->text, "://") || strchr(i->text, '$'));
}

bool dockerfile_adds_from_web(const struct dockerfile *d)
{
    size_t n;
    const struct dockerfile_stage *stages = dockerfile_stages(d, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < stages[i].n_instructions; k++)
            if (is_web_add(&stages[i].instructions[k]))
                return true;
    return false;
}
