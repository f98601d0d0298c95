/* builder/web — see the header.  A server that is down, or out of order, is asked again: what it
 * says of the request itself (4xx) is its last word. */
#include "builder/web.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"

#define URL_MAX    8192
#define ANSWER_MAX 65536 /* of an answer that is not the file */
#define UNNAMED    "__unnamed__"

/* ---- names ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Resolves %XX; false: a bad one, or what no name holds. */
static bool unescape(const char *s, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)s[i];

        if (s[i] == '%') {
            if (len - i < 3 || hex_digit(s[i + 1]) < 0 || hex_digit(s[i + 2]) < 0)
                return false;
            c = hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]);
            i += 2;
        }
        if (c == 0)
            return false;
        buf_addc(out, (char)c);
    }
    return !out->full;
}

void web_name(const char *url, char ret[NAME_MAX + 1])
{
    CLEANUP(buf_release) struct buf path = BUF_INIT(URL_MAX);
    const char *host = strstr(url, "://");
    const char *from = host ? host + 3 + strcspn(host + 3, "/?#") : "";
    const char *name;
    size_t len;

    (void)snprintf(ret, NAME_MAX + 1, UNNAMED);
    if (!unescape(from, strcspn(from, "?#"), &path))
        return;
    for (len = path.len; len > 0 && path.data[len - 1] == '/';)
        len--;
    name = buf_str(&path) + len;
    while (name > buf_str(&path) && name[-1] != '/')
        name--;
    len -= (size_t)(name - buf_str(&path));
    if (len == 0 || len > NAME_MAX || (len <= 2 && memcmp(name, "..", len) == 0))
        return;
    (void)snprintf(ret, NAME_MAX + 1, "%.*s", (int)len, name);
}

/* A URL as it may be shown. */
static void show(const char *url, struct buf *out)
{
    const char *host = strstr(url, "://");
    size_t end = strcspn(url, "?#");
    const char *at;

    host = host ? host + 3 : url;
    at = memrchr(host, '@', strcspn(host, "/?#"));
    buf_add(out, url, (size_t)(host - url));
    host = at ? at + 1 : host;
    buf_addf(out, "%.*s", (int)(end - (size_t)(host - url)), host);
}

/* ---- receiving ---- */

struct receiving {
    int fd;
    struct sha256 *hash;
    uint64_t size, size_max;
};

static void receiving_release(struct receiving *r)
{
    sha256_free(r->hash);
    if (r->fd >= 0)
        close(r->fd);
}

static int take(void *self, const struct http_response *resp, const void *data, size_t len,
                struct error *err)
{
    struct receiving *r = self;

    (void)resp;
    r->size += len;
    if (r->size > r->size_max)
        return error_set(err, ERR_LIMIT, "it is larger than %" PRIu64 " bytes", r->size_max);
    sha256_add(r->hash, data, len);
    return fs_write_all(r->fd, data, len, err);
}

/* Begins the file anew. */
static int rewind_file(struct receiving *r, struct error *err)
{
    sha256_free(r->hash);
    r->hash = NULL;
    r->size = 0;
    if (ftruncate(r->fd, 0) < 0 || lseek(r->fd, 0, SEEK_SET) < 0)
        return error_errno(err, errno, "begin a file anew");
    return sha256_new(&r->hash, err);
}

static int set_time(int fd, const struct http_response *resp, struct error *err)
{
    const char *modified = http_header(resp, "last-modified");
    struct timespec times[2] = {{.tv_sec = 0}, {.tv_sec = 0}};
    struct tm tm = {.tm_sec = 0};

    /* RFC 9110 section 5.6.7; the two old forms are not in use */
    if (modified && strptime(modified, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        times[0].tv_sec = times[1].tv_sec = timegm(&tm);
    if (times[0].tv_sec < 0)
        times[0].tv_sec = times[1].tv_sec = 0;
    return futimens(fd, times) < 0 ? error_errno(err, errno, "set the time of a file") : 0;
}

static int check_sum(struct receiving *r, const char *checksum, struct error *err)
{
    unsigned char digest[SHA256_SIZE];
    char hex[SHA256_HEX];

    sha256_end(r->hash, digest);
    digest_hex(digest, sizeof(digest), hex);
    if (!*checksum || strcmp(checksum + strlen("sha256:"), hex) == 0)
        return 0;
    return error_set(err, ERR_INPUT, "digest mismatch sha256:%s: %s", hex, checksum);
}

/* ---- asking ---- */

/* One try, through all redirects.  ERR_REMOTE: another may help. */
static int ask(const struct web_request *req, struct receiving *r, struct error *err)
{
    CLEANUP(buf_release) struct buf url = BUF_INIT(URL_MAX);
    const struct http_sink sink = {take, r};

    buf_adds(&url, req->url);
    for (int redirects = 0;; redirects++) {
        CLEANUP(http_response_release)
        struct http_response resp = HTTP_RESPONSE_INIT(ANSWER_MAX);
        const struct http_request ask = {.method = "GET",
                                         .url = buf_str(&url),
                                         .sink = &sink,
                                         .timeout_ms = WEB_TIME_MAX_MS,
                                         .ca_file = req->ca_file,
                                         .stall_ms = WEB_STALL_MS,
                                         .cancel = req->cancel};
        const char *location;

        if (buf_check(&url, "an address", err) < 0 || rewind_file(r, err) < 0 ||
            req->http->request(req->http->self, &ask, &resp, err) < 0)
            return -1;
        if (resp.status / 100 == 2)
            return set_time(r->fd, &resp, err);
        location = http_header(&resp, "location");
        if (resp.status / 100 != 3 || !location)
            return error_set(err, resp.status >= 500 ? ERR_REMOTE : ERR_INPUT,
                             "invalid response status %d", resp.status);
        if (redirects == WEB_REDIRECTS_MAX)
            return error_set(err, ERR_INPUT, "more than %d redirects", WEB_REDIRECTS_MAX);
        if (http_resolve(&url, location, err) < 0)
            return -1;
    }
}

static int try(const struct web_request *req, struct receiving *r, struct error *err)
{
    if (ask(req, r, err) < 0)
        return -1;
    return check_sum(r, req->checksum, err);
}

static int open_file(int to, const char *url, int *ret_fd, struct error *err)
{
    char name[NAME_MAX + 1];

    web_name(url, name);
    *ret_fd = openat(to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return *ret_fd < 0 ? error_errno(err, errno, "make the file %s", name) : 0;
}

int web_fetch(const struct web_request *req, int to, struct error *err)
{
    CLEANUP(receiving_release)
    struct receiving r = {.fd = -1, .size_max = req->size_max ? req->size_max : WEB_SIZE_MAX};
    CLEANUP(buf_release) struct buf shown = BUF_INIT(URL_MAX);
    int64_t pause_ms = req->pause_ms;

    if (open_file(to, req->url, &r.fd, err) < 0)
        return -1;
    for (int n = 1;; n++, pause_ms *= 2) {
        if (try(req, &r, err) == 0)
            return 0;
        if (err->kind != ERR_REMOTE || n == WEB_TRIES)
            break;
        (void)poll(NULL, 0, (int)pause_ms);
        *err = (struct error)ERROR_INIT;
    }
    if (err->kind == ERR_REMOTE)
        err->kind = ERR_INPUT; /* nobody else can make it answer */
    show(req->url, &shown);
    return error_wrap(err, "%s", buf_str(&shown));
}
