/* dockerfile/reference — image references after github.com/distribution/reference:
 *
 *   [host[:port]/]component[/component…][:tag][@algorithm:hex]
 *
 * with Docker's reading of the first component: it is a host when it holds "." or ":" or an upper
 * case letter, or is "localhost". */
#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/reference.h"

#define NAME_MAX_LEN 255 /* host and path together */
#define HUB          "docker.io"

static bool is_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static int malformed(struct error *err)
{
    return error_set(err, ERR_INPUT, "invalid reference format");
}

/* ---- transports ---- */

/* buildah reads these words before a colon as a place to take the image from, most of them on the
 * machine it runs on.  "docker" is a transport only before "//": docker:dind is an image. */
int reference_refuse_transport(const char *text, struct error *err)
{
    static const char *const transports[] = {
        "atomic:",        "containers-storage:",
        "dir:",           "docker-archive:",
        "docker-daemon:", "docker://",
        "oci:",           "oci-archive:",
        "ostree:",        "sif:",
        "tarball:",
    };

    for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++) {
        const char *name = transports[i];

        if (text_starts(text, name))
            return error_set(err, ERR_INPUT,
                             "invalid reference format: the transport %.*s is not allowed, only "
                             "images from a registry are",
                             (int)strcspn(name, ":"), name);
    }
    return 0;
}

/* ---- the parts, each checked over its whole length ---- */

static bool is_port(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return len > 0;
}

/* Letters, digits and inner hyphens, parted by single dots. */
static bool is_domain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool edge = i == 0 || i + 1 == len || s[i - 1] == '.' || s[i + 1] == '.';

        if (is_alnum(s[i]) || (s[i] == '-' && !edge))
            continue;
        if (s[i] != '.' || i == 0 || i + 1 == len || s[i - 1] == '.')
            return false;
    }
    return len > 0;
}

static bool is_ipv6(const char *s, size_t len)
{
    if (len < 3 || s[0] != '[' || s[len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < len; i++)
        if (!isxdigit((unsigned char)s[i]) && s[i] != ':')
            return false;
    return true;
}

static bool is_host(const char *s, size_t len)
{
    const char *bracket = memrchr(s, ']', len);
    const char *start = bracket ? bracket : s;
    const char *colon = memchr(start, ':', len - (size_t)(start - s));
    size_t n = colon ? (size_t)(colon - s) : len;

    if (colon && !is_port(colon + 1, len - n - 1))
        return false;
    return is_domain(s, n) || is_ipv6(s, n);
}

/* What may stand between two runs of letters and digits: . _ __ or hyphens. */
static size_t separator(const char *s, size_t len)
{
    size_t n = 0;

    if (len > 0 && *s == '.')
        return 1;
    if (len > 0 && *s == '_')
        return len > 1 && s[1] == '_' ? 2 : 1;
    while (n < len && s[n] == '-')
        n++;
    return n;
}

static bool is_component(const char *s, size_t len)
{
    size_t i = 0;

    while (i < len) {
        size_t run = i, gap;

        while (i < len && is_lower(s[i]))
            i++;
        if (i == run)
            return false;
        if (i == len)
            return true;
        gap = separator(s + i, len - i);
        if (gap == 0)
            return false;
        i += gap;
    }
    return false;
}

static bool is_path(const char *s, size_t len)
{
    for (;;) {
        const char *slash = memchr(s, '/', len);
        size_t n = slash ? (size_t)(slash - s) : len;

        if (!is_component(s, n))
            return false;
        if (!slash)
            return true;
        s += n + 1;
        len -= n + 1;
    }
}

static bool is_tag(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(s[i]) && s[i] != '_' && (i == 0 || (s[i] != '.' && s[i] != '-')))
            return false;
    return len > 0 && len <= 128;
}

/* The digests that registries use: sha256 and sha512, in lower case. */
static bool is_digest(const char *s)
{
    size_t want = text_starts(s, "sha256:") ? 64 : text_starts(s, "sha512:") ? 128 : 0;
    const char *hex = s + 7;

    return want && strlen(hex) == want && strspn(hex, "0123456789abcdef") == want;
}

/* ---- putting them together ---- */

static bool has_upper(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] >= 'A' && s[i] <= 'Z')
            return true;
    return false;
}

/* Bytes of the host that name starts with, 0 when it starts with the path. */
static size_t host_length(const char *name, size_t len)
{
    const char *slash = memchr(name, '/', len);
    size_t n = slash ? (size_t)(slash - name) : 0;

    if (!slash)
        return 0;
    if (memchr(name, '.', n) || memchr(name, ':', n) || has_upper(name, n) || *name == '[' ||
        (n == 9 && memcmp(name, "localhost", 9) == 0))
        return n;
    return 0;
}

/* Room for it was checked: a name or a reference is never longer than what holds its parts. */
static size_t put(char *to, const char *s, size_t len)
{
    memcpy(to, s, len);
    to[len] = '\0';
    return len;
}

static int split_name(const char *name, size_t len, struct dockerfile_reference *ret,
                      struct error *err)
{
    size_t host = host_length(name, len);
    const char *path = host ? name + host + 1 : name;
    size_t path_len = host ? len - host - 1 : len;
    bool hub = !host || (host == strlen(HUB) && memcmp(name, HUB, host) == 0) ||
               (host == 15 && memcmp(name, "index.docker.io", 15) == 0);
    bool library = hub && !memchr(path, '/', path_len);
    const char *prefix = library ? "library/" : "";
    size_t host_len = hub ? strlen(HUB) : host, n = strlen(prefix) + path_len;

    if (host_len + n + 1 > NAME_MAX_LEN)
        return error_set(err, ERR_INPUT, "repository name must not be more than %d characters",
                         NAME_MAX_LEN);
    (void)put(ret->host, hub ? HUB : name, host_len);
    (void)put(ret->path + put(ret->path, prefix, strlen(prefix)), path, path_len);
    if (!is_host(ret->host, host_len))
        return malformed(err);
    if (has_upper(ret->path, n))
        return error_set(err, ERR_INPUT,
                         "invalid reference format: repository name (%s) must be lowercase",
                         ret->path);
    return is_path(ret->path, n) ? 0 : malformed(err);
}

static int split_digest(const char *digest, struct dockerfile_reference *ret, struct error *err)
{
    if (!is_digest(digest))
        return malformed(err);
    (void)put(ret->digest, digest, strlen(digest));
    return 0;
}

int reference_read(const char *text, struct dockerfile_reference *ret, struct error *err)
{
    struct dockerfile_reference r = {.tag = ""};
    size_t len = strcspn(text, "@");
    const char *slash = memrchr(text, '/', len);
    const char *last = slash ? slash : text;
    const char *colon = memchr(last, ':', len - (size_t)(last - text));
    size_t name_len = colon ? (size_t)(colon - text) : len;

    if (strlen(text) > NAME_MAX_LEN + sizeof(r.tag) + sizeof(r.digest))
        return malformed(err);
    if (colon && !is_tag(colon + 1, len - name_len - 1))
        return malformed(err);
    if (name_len == 64 && strspn(text, "0123456789abcdef") == 64)
        return error_set(err, ERR_INPUT,
                         "invalid repository name (%.64s), cannot specify 64-byte hexadecimal "
                         "strings",
                         text);
    if (text[len] && split_digest(text + len + 1, &r, err) < 0)
        return -1;
    if (split_name(text, name_len, &r, err) < 0)
        return -1;
    if (colon)
        (void)put(r.tag, colon + 1, len - name_len - 1);
    else if (!*r.digest)
        (void)put(r.tag, "latest", strlen("latest"));
    *ret = r;
    return 0;
}

int dockerfile_parse_reference(const char *text, struct dockerfile_reference *ret,
                               struct error *err)
{
    return reference_refuse_transport(text, err) < 0 ? -1 : reference_read(text, ret, err);
}
