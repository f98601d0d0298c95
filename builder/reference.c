/* builder/reference — see the header.
 *
 * The grammar is github.com/distribution/reference: the part before the first slash is a host when
 * it could not be a path (a dot, a colon, upper case, "localhost"); Docker Hub is the default. */
#include "builder/reference.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "builder/address.h"

#define DIGEST_HEX_MIN 32

static bool all_in(const char *s, size_t len, const char *extra)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (!(c < 0x80 && isalnum(c)) && !(c && strchr(extra, c)))
            return false;
    }
    return true;
}

static bool is_host(const char *s, size_t len)
{
    if (len == 9 && strncmp(s, "localhost", 9) == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '.' || s[i] == ':' || isupper((unsigned char)s[i]))
            return true;
    return false;
}

/* "name", "name:port", "[address]:port". */
static bool is_valid_host(const char *s, size_t len)
{
    const char *close = len > 0 && s[0] == '[' ? memchr(s, ']', len) : NULL;
    size_t name = close ? (size_t)(close - s) + 1 : 0;
    size_t port;

    while (!close && name < len && s[name] != ':')
        name++;
    port = len - name;
    if (name == 0 || s[0] == '.' || s[0] == '-' || memmem(s, name, "..", 2) ||
        (close && !all_in(s + 1, name - 2, ":.")) || (!close && !all_in(s, name, ".-_")))
        return false;
    return port == 0 || (port >= 2 && port <= 6 && s[name] == ':' &&
                         strspn(s + name + 1, "0123456789") >= port - 1);
}

/* Length of the component at s, 0 if there is none: [a-z0-9]+ with ".", "_", "__" or dashes
 * between.
 */
static size_t component(const char *s, size_t len)
{
    size_t i = 0;

    for (;;) {
        size_t start = i;
        size_t sep;

        while (i < len && (islower((unsigned char)s[i]) || isdigit((unsigned char)s[i])))
            i++;
        if (i == start)
            return 0;
        if (i == len || s[i] == '/')
            return i;
        sep = strspn(s + i, s[i] == '-' ? "-" : s[i] == '_' ? "_" : ".");
        if (sep == 0 || (s[i] == '.' && sep > 1) || (s[i] == '_' && sep > 2))
            return 0;
        i += sep;
    }
}

static bool is_path(const char *s, size_t len)
{
    for (;;) {
        size_t n = component(s, len);

        if (n == 0)
            return false;
        if (n == len)
            return true;
        s += n + 1;
        len -= n + 1;
    }
}

static bool is_tag(const char *s, size_t len)
{
    return len > 0 && len <= 128 && s[0] != '.' && s[0] != '-' && all_in(s, len, "_.-");
}

static bool is_digest(const char *s)
{
    const char *colon = strchr(s, ':');

    return colon && colon > s && all_in(s, (size_t)(colon - s), "+._-") &&
           strlen(colon + 1) >= DIGEST_HEX_MIN &&
           strspn(colon + 1, "0123456789abcdef") == strlen(colon + 1);
}

static int bad(const char *image, struct error *err)
{
    return error_set(err, ERR_INPUT, "\"%.200s\" is not the name of an image", image);
}

int reference_parse(const char *image, struct reference *ret, struct error *err)
{
    const char *slash = strchr(image, '/');
    const char *at = strchr(image, '@');
    bool hosted = slash && is_host(image, (size_t)(slash - image));
    const char *host = hosted ? image : "docker.io";
    size_t host_len = hosted ? (size_t)(slash - image) : strlen(host);
    const char *path = hosted ? slash + 1 : image;
    size_t rest_len = at && at >= path ? (size_t)(at - path) : strlen(path);
    const char *tag = memchr(path, ':', rest_len);
    size_t path_len = tag ? (size_t)(tag - path) : rest_len;
    size_t tag_len = tag ? rest_len - path_len - 1 : 0;
    const char *library;
    struct reference r;

    if (at && (at < path || !is_digest(at + 1)))
        return bad(image, err);
    if (!is_path(path, path_len) || (tag && !is_tag(tag + 1, tag_len)) ||
        host_len >= sizeof(r.host) || !is_valid_host(host, host_len))
        return bad(image, err);
    if (host_len == 15 && strncmp(host, "index.docker.io", 15) == 0) {
        host = "docker.io";
        host_len = 9;
    }
    (void)snprintf(r.host, sizeof(r.host), "%.*s", (int)host_len, host);
    library = strcmp(r.host, "docker.io") == 0 && !memchr(path, '/', path_len) ? "library/" : "";
    if (snprintf(r.full, sizeof(r.full), "%s/%s%.*s%s%s", r.host, library, (int)path_len, path,
                 at ? "" : ":", at ? at : "") >= (int)sizeof(r.full))
        return bad(image, err);
    if (!at) {
        size_t len = strlen(r.full);

        if (snprintf(r.full + len, sizeof(r.full) - len, "%.*s", tag ? (int)tag_len : 6,
                     tag ? tag + 1 : "latest") >= (int)(sizeof(r.full) - len))
            return bad(image, err);
    }
    *ret = r;
    return 0;
}

size_t reference_name_length(const char *full)
{
    const char *slash = strrchr(full, '/');

    return (size_t)(slash ? slash - full : 0) + strcspn(slash ? slash : full, ":@");
}

bool reference_is_below(const char *full, const char *prefix)
{
    size_t len = strlen(prefix);

    return len > 0 && strncmp(full, prefix, len) == 0 && full[len] && strchr("/:@", full[len]);
}

/* Of the registry that is pushed to: what is below the workspace, and the very repositories that
 * are shared with it. */
static bool is_open(const struct reference *r, const char *registry, const char *workspace,
                    const struct argv *shared)
{
    char prefix[512];

    (void)snprintf(prefix, sizeof(prefix), "%s/%s/", registry, workspace);
    if (text_starts(r->full, prefix))
        return true;
    for (size_t i = 0; shared && i < shared->n; i++) {
        size_t len = (size_t)snprintf(prefix, sizeof(prefix), "%s/%s", registry, shared->v[i]);

        if (text_starts(r->full, prefix) && (r->full[len] == ':' || r->full[len] == '@'))
            return true;
    }
    return false;
}

enum reference_place reference_where(const struct reference *r, const struct builder_config *config,
                                     const char *workspace, const struct argv *shared)
{
    for (size_t i = 0; i < config->n_mirrors; i++)
        if (reference_is_below(r->full, config->mirrors[i].prefix))
            return REFERENCE_CONFIGURED;
    if (config->push_registry && strcasecmp(r->host, config->push_registry) == 0)
        return is_open(r, config->push_registry, workspace, shared) ? REFERENCE_CONFIGURED
                                                                    : REFERENCE_FOREIGN;
    return address_host_is_forbidden(r->host) ? REFERENCE_FORBIDDEN : REFERENCE_OUTSIDE;
}
