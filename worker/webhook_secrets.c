/* worker/webhook_secrets — the secrets that webhooks are signed with, and signatures (Standard
 * Webhooks specification, "Webhook signatures"). */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "worker/webhooks.h"

#define FILE_MAX   (64 << 10)
#define BYTES_MIN  24 /* of a secret, as the specification has it */
#define BYTES_MAX  64
#define BYTES_MADE 32

static void draw(struct buf *out)
{
    unsigned char secret[BYTES_MADE];

    digest_random(secret, sizeof(secret));
    buf_adds(out, WEBHOOK_SECRET_PREFIX);
    digest_base64(secret, sizeof(secret), out);
}

int webhook_secrets_make(const char *path, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(256);

    if (access(path, F_OK) == 0)
        return 0;
    draw(&text);
    buf_addc(&text, '\n');
    return fs_write_file(AT_FDCWD, path, buf_str(&text), text.len, 0600, err);
}

static bool decode(const char *secret, struct buf *ret)
{
    return text_starts(secret, WEBHOOK_SECRET_PREFIX) &&
           digest_unbase64(secret + strlen(WEBHOOK_SECRET_PREFIX), ret) && !ret->full &&
           ret->len >= BYTES_MIN;
}

/* The message never holds the line: it may be a secret with a typing error. */
static int add_line(char *line, int number, const char *path, struct argv *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf bytes = BUF_INIT(BYTES_MAX);
    size_t n = strlen(line);

    while (n > 0 && strchr(" \t\r", line[n - 1]))
        line[--n] = '\0';
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    if (!decode(line, &bytes))
        return error_set(err, ERR_INPUT,
                         "%s:%d: this is no secret: " WEBHOOK_SECRET_PREFIX
                         " and the base64 of %d to %d bytes",
                         path, number, BYTES_MIN, BYTES_MAX);
    argv_push1(ret, line);
    return ret->failed ? error_set(err, ERR_SYSTEM, "read %s: out of memory", path) : 0;
}

int webhook_secrets_read(const char *path, struct argv *ret, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    CLEANUP_FREE char *lines = NULL;
    char *rest;
    int number = 0;

    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    rest = lines = buf_take(&text);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (add_line(line, ++number, path, ret, err) < 0)
            return -1;
    return ret->n ? 0 : error_set(err, ERR_INPUT, "%s: there is no secret in it", path);
}

/* Whoever may read the file still may. */
static int write_as_it_is(const char *path, const struct buf *text, struct error *err)
{
    struct stat st;

    if (buf_check(text, path, err) < 0)
        return -1;
    if (stat(path, &st) < 0)
        st.st_mode = 0600;
    return fs_write_file(AT_FDCWD, path, buf_str(text), text->len, st.st_mode & 0777, err);
}

int webhook_secrets_add(const char *path, char ret[WEBHOOK_SECRET], struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    CLEANUP(buf_release) struct buf secret = BUF_INIT(WEBHOOK_SECRET - 1);

    if (access(path, F_OK) == 0 && fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    draw(&secret);
    if (text.len && buf_str(&text)[text.len - 1] != '\n')
        buf_addc(&text, '\n');
    buf_adds(&text, buf_str(&secret));
    buf_addc(&text, '\n');
    if (buf_check(&secret, "a secret", err) < 0 || write_as_it_is(path, &text, err) < 0)
        return -1;
    (void)snprintf(ret, WEBHOOK_SECRET, "%s", buf_str(&secret));
    return 0;
}

int webhook_secrets_purge(const char *path, struct error *err)
{
    CLEANUP(argv_release) struct argv secrets = ARGV_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    CLEANUP(buf_release) struct buf kept = BUF_INIT(FILE_MAX);
    CLEANUP_FREE char *lines = NULL;
    const char *last;
    char *rest;

    if (webhook_secrets_read(path, &secrets, err) < 0 ||
        fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return -1;
    last = secrets.v[secrets.n - 1];
    rest = lines = buf_take(&text);
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n"))
        if (line[strspn(line, " \t\r")] == '#')
            buf_addf(&kept, "%s\n", line);
    buf_addf(&kept, "%s\n", last);
    return write_as_it_is(path, &kept, err);
}

int webhook_sign(const struct argv *secrets, const char *id, int64_t seconds, const void *body,
                 size_t len, struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf content = BUF_INIT(len + 256);

    buf_addf(&content, "%s.%lld.", id, (long long)seconds);
    buf_add(&content, body, len);
    for (size_t i = 0; i < secrets->n; i++) {
        CLEANUP(buf_release) struct buf key = BUF_INIT(BYTES_MAX);
        unsigned char mac[SHA256_SIZE];

        if (!decode(secrets->v[i], &key))
            return error_set(err, ERR_SYSTEM, "sign a webhook: a secret is none");
        digest_hmac_sha256(buf_str(&key), key.len, buf_str(&content), content.len, mac);
        buf_adds(out, i ? " v1," : "v1,");
        digest_base64(mac, sizeof(mac), out);
    }
    return buf_check(out, "a webhook's signature", err);
}
