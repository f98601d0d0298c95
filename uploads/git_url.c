/* uploads/git_url — "https://host/repo.git#ref:subdir", as `docker build` and BuildKit take it, and
 * BuildKit's "?ref=…&subdir=…" (its util/gitutil).
 *
 * What follows "?" or "#" is percent-decoded, as they do it.  A password has no place in it:
 * sources are kept in the database and shown in logs and labels. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/path.h"
#include "base/text.h"
#include "uploads/entry_name.h"
#include "uploads/git_refs.h"
#include "uploads/uploads.h"

#define FORM "https://host/repo.git#ref:subdir"

/* Quotes the source, unless a password may stand before an "@". */
static int refuse(struct error *err, const char *text, const char *why)
{
    if (strchr(text, '@'))
        return error_set(err, ERR_INPUT, "git source: %s", why);
    return error_set(err, ERR_INPUT, "git source %s: %s", text_show(text).text, why);
}

static size_t scheme_length(const char *text)
{
    size_t n = 0;

    while (isalnum((unsigned char)text[n]) || (n > 0 && text[n] && strchr("+-.", text[n])))
        n++;
    return n > 0 && strncmp(text + n, "://", 3) == 0 ? n : 0;
}

/* user@host:path, which ssh and git read as ssh://user@host/path. */
static bool is_scp_style(const char *text)
{
    size_t at = strcspn(text, "@/:");

    return at > 0 && text[at] == '@' && text[at + 1 + strcspn(text + at + 1, ":/")] == ':';
}

bool upload_git_is_address(const char *text)
{
    return scheme_length(text) > 0 || is_scp_style(text);
}

/* "https://host/path" for what names the same repository by ssh, without user and port; nothing
 * where more of a password may be left in it. */
static void add_https(const char *text, struct buf *out)
{
    const size_t scheme = scheme_length(text);
    const char *host = text + (scheme ? scheme + 3 : 0);
    const char *path;
    size_t len;

    host += strcspn(host, "@/") + 1;
    if (host[-1] != '@') /* no user */
        host = text + (scheme ? scheme + 3 : 0);
    len = strcspn(host, ":/");
    path = host + len;
    if (scheme && *path == ':')
        path += strcspn(path, "/");
    path += strspn(path, ":/");
    if (len && *path && !strchr(path, '@'))
        buf_addf(out, "https://%.*s/%.*s", (int)len, host, (int)strcspn(path, "?#"), path);
}

static int refuse_ssh(const char *text, struct error *err)
{
    CLEANUP(buf_release) struct buf https = BUF_INIT(200);
    CLEANUP(buf_release) struct buf why = BUF_INIT(1024);

    add_https(text, &https);
    buf_addf(&why,
             "it asks for ssh, and Kiln has no key to show there; write %s, or, if the repository "
             "is private, upload a clone of it with its submodules",
             https.len && !https.full ? text_show(buf_str(&https)).text
                                      : "the https:// address of the repository");
    return refuse(err, text, buf_str(&why));
}

/* *ret_rest: what follows the scheme. */
static int check_scheme(const char *text, const char **ret_rest, struct error *err)
{
    size_t n = scheme_length(text);

    if (is_scp_style(text) || (n == 3 && strncasecmp(text, "ssh", n) == 0) ||
        (n > 4 && strncasecmp(text + n - 4, "+ssh", 4) == 0))
        return refuse_ssh(text, err);
    if (n == 4 && strncasecmp(text, "file", n) == 0)
        return refuse(err, text,
                      "it names a file of the machine that builds; upload the folder, or use the "
                      "https:// address of the repository");
    if ((n != 5 || strncasecmp(text, "https", n) != 0) &&
        (n != 4 || strncasecmp(text, "http", n) != 0))
        return refuse(err, text, "it must begin with https:// or http://, as in " FORM);
    *ret_rest = text + n + 3;
    return 0;
}

/* ---- the part before "#" ---- */

static bool is_port(const char *text, size_t len)
{
    unsigned port = 0;

    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]) || i >= 5)
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port > 0 && port <= 65535;
}

/* A name or an IPv4 address of [a-zA-Z0-9.-], or an IPv6 address in brackets; then ":port".  No dot
 * at the end: to a resolver that is another spelling, and what is said of one must hold for all. */
static bool is_authority(const char *text, size_t len)
{
    size_t host = 0;

    if (text[0] == '[') {
        host = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (host < 3 || text[host] != ']')
            return false;
        host++;
    } else {
        while (isalnum((unsigned char)text[host]) || text[host] == '-' || text[host] == '.')
            host++;
        if (host == 0 || text[0] == '-' || text[0] == '.' || text[host - 1] == '.')
            return false;
    }
    return host == len ||
           (host < len && text[host] == ':' && is_port(text + host + 1, len - host - 1));
}

/* With the port that the scheme means where none is said. */
static int read_authority(const char *text, const char *rest, size_t len, struct upload_git *ret,
                          struct error *err)
{
    const char *port = strncasecmp(text, "https", 5) == 0 ? ":443" : ":80";

    if (memchr(rest, '@', len))
        return error_set(err, ERR_INPUT,
                         "git source: a user name or password stands in the URL; sources are kept "
                         "and shown, so leave it out: only public repositories can be fetched");
    if (len >= sizeof(ret->authority) - 24 || !is_authority(rest, len))
        return refuse(err, text, "it has no host as in " FORM);
    for (size_t i = 0; i < len; i++)
        ret->authority[i] = (char)tolower((unsigned char)rest[i]);
    ret->authority[len] = '\0';
    if (!strchr(rest[0] == '[' ? strchr(ret->authority, ']') : ret->authority, ':'))
        (void)snprintf(ret->authority + len, sizeof(ret->authority) - len, "%s", port);
    return 0;
}

/* "repo" of "/owner/repo.git/". */
static void read_name(const char *path, size_t len, struct upload_git *ret)
{
    size_t begin;

    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len > 5 && path[len - 5] != '/' && memcmp(path + len - 4, ".git", 4) == 0)
        len -= 4;
    for (begin = len; begin > 0 && path[begin - 1] != '/';)
        begin--;
    (void)snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(len - begin), path + begin);
}

static int read_address(const char *text, size_t len, struct upload_git *ret, struct error *err)
{
    const char *rest = text, *path;

    if (check_scheme(text, &rest, err) < 0)
        return -1;
    path = rest + strcspn(rest, "/?#");
    if (read_authority(text, rest, (size_t)(path - rest), ret, err) < 0)
        return -1;
    len -= (size_t)(path - text);
    read_name(path, len, ret);
    if (!ret->name[0])
        return refuse(err, text, "it names a host but no repository, as in " FORM);
    memcpy(ret->url, text, (size_t)(path - text) + len);
    ret->url[(size_t)(path - text) + len] = '\0';
    return 0;
}

/* ---- the part after it ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: a "%" without two digits, or a control character. */
static bool decode(const char *text, char *out)
{
    for (; *text; text++, out++) {
        int high = *text == '%' ? hex_value(text[1]) : -1;
        int low = high >= 0 ? hex_value(text[2]) : -1;

        if (*text == '%' && low < 0)
            return false;
        *out = *text;
        if (low >= 0) {
            *out = (char)(high << 4 | low);
            text += 2;
        }
        if (text_has_control(out, 1))
            return false;
    }
    *out = '\0';
    return true;
}

static int read_subdir(const char *text, const char *subdir, struct upload_git *ret,
                       struct error *err)
{
    const char *part;
    size_t at = 0, len;

    while (path_next(&subdir, &part, &len)) {
        if (len == 2 && memcmp(part, "..", 2) == 0)
            return refuse(err, text, "its folder leads out of the repository with \"..\"");
        if (at + len + 2 > sizeof(ret->subdir))
            return refuse(err, text, "its folder's name is too long");
        at += (size_t)snprintf(ret->subdir + at, sizeof(ret->subdir) - at, "%s%.*s",
                               at > 0 ? "/" : "", (int)len, part);
    }
    return 0;
}

/* prefix: in front of it, unless it is there. */
static int set_ref(const char *text, const char *prefix, const char *ref, struct upload_git *ret,
                   struct error *err)
{
    char whole[sizeof(ret->ref)];

    if (text_starts(ref, prefix))
        prefix = "";
    if (snprintf(whole, sizeof(whole), "%s%s", prefix, ref) >= (int)sizeof(whole) ||
        !git_ref_is_name(whole))
        return refuse(err, text, "it cannot be a branch, tag or commit; write it as in " FORM);
    if (ret->ref[0] && strcmp(ret->ref, whole) != 0)
        return refuse(err, text, "it names two branches, tags or commits");
    memcpy(ret->ref, whole, sizeof(whole));
    return 0;
}

static int read_fragment(const char *text, const char *fragment, struct upload_git *ret,
                         struct error *err)
{
    char decoded[UPLOAD_GIT_TEXT];
    char *colon;

    if (!decode(fragment, decoded) || !text_is_utf8(decoded, strlen(decoded)))
        return refuse(err, text, "what follows \"#\" is not text, or has a \"%\" without digits");
    colon = strchr(decoded, ':');
    if (colon)
        *colon = '\0';
    if (decoded[0] && set_ref(text, "", decoded, ret, err) < 0)
        return -1;
    return colon ? read_subdir(text, colon + 1, ret, err) : 0;
}

/* ---- the part between "?" and "#" ---- */

int upload_git_expect(struct upload_git *git, const char *checksum, struct error *err)
{
    size_t len = strlen(checksum);

    if (len == 0 || len >= sizeof(git->checksum) ||
        strspn(checksum, "0123456789abcdefABCDEF") != len)
        return error_set(err, ERR_INPUT,
                         "invalid checksum %s for Git source, expected hex commit hash",
                         text_show(checksum).text);
    for (size_t i = 0; i <= len; i++)
        git->checksum[i] = (char)tolower((unsigned char)checksum[i]);
    return 0;
}

/* As Go's strconv.ParseBool has it; alone it is a yes. */
static int read_switch(const char *text, const char *value, bool *ret, struct error *err)
{
    static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True", NULL};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};

    *ret = text_is_among(value, yes);
    return *ret || text_is_among(value, no)
               ? 0
               : refuse(err, text, "its query has a switch that is neither true nor false");
}

static int read_parameter(const char *text, const char *key, const char *value,
                          struct upload_git *ret, struct error *err)
{
    static const char *const switches[] = {"keep-git-dir", "submodules", NULL};
    bool on;

    if (text_is_among(key, switches)) {
        if (read_switch(text, value, &on, err) < 0)
            return -1;
        ret->keep_git_dir |= on && strcmp(key, "keep-git-dir") == 0;
        ret->no_submodules |= !on && strcmp(key, "submodules") == 0;
        return 0;
    }
    if (!*value)
        return refuse(err, text, "its query has a parameter without a value");
    if (strcmp(key, "ref") == 0)
        return set_ref(text, "", value, ret, err);
    if (strcmp(key, "tag") == 0)
        return set_ref(text, "refs/tags/", value, ret, err);
    if (strcmp(key, "branch") == 0)
        return set_ref(text, "refs/heads/", value, ret, err);
    if (strcmp(key, "subdir") == 0 && !ret->subdir[0])
        return read_subdir(text, value, ret, err);
    if (strcmp(key, "checksum") == 0 || strcmp(key, "commit") == 0)
        return upload_git_expect(ret, value, err);
    return refuse(err, text,
                  "its query may have ref, tag, branch, subdir (once), checksum, commit, "
                  "keep-git-dir and submodules");
}

static int read_query(const char *text, const char *query, size_t len, struct upload_git *ret,
                      struct error *err)
{
    char part[UPLOAD_GIT_TEXT], decoded[UPLOAD_GIT_TEXT];

    for (size_t at = 0; at < len;) {
        size_t n = strcspn(query + at, "&#");
        char *equals;

        (void)snprintf(part, sizeof(part), "%.*s", (int)n, query + at);
        at += n + 1;
        equals = strchr(part, '=');
        if (equals)
            *equals = '\0';
        if (!decode(equals ? equals + 1 : "", decoded) || !text_is_utf8(decoded, strlen(decoded)))
            return refuse(err, text, "its query is not text, or has a \"%\" without digits");
        if (n > 0 && read_parameter(text, part, decoded, ret, err) < 0)
            return -1;
    }
    return 0;
}

int upload_git_parse(const char *text, struct upload_git *ret, struct error *err)
{
    struct upload_git git = {.url = ""};
    size_t address = strcspn(text, "?#");
    size_t query = strcspn(text, "#");

    if (strlen(text) >= UPLOAD_GIT_TEXT)
        return error_set(err, ERR_INPUT, "git source: longer than %d bytes", UPLOAD_GIT_TEXT - 1);
    for (const char *p = text; *p; p++)
        if (text_has_control(p, 1) || *p == ' ' ||
            (p < text + query && ((*p & 0x80) || *p == '\\' || *p == '"')))
            return refuse(err, text,
                          "an address has no blanks or control characters, and is ASCII");
    if (read_address(text, address, &git, err) < 0)
        return -1;
    if (text[query] && read_fragment(text, text + query + 1, &git, err) < 0)
        return -1;
    if (text[address] == '?' &&
        read_query(text, text + address + 1, query - address - 1, &git, err) < 0)
        return -1;
    *ret = git;
    return 0;
}
