/* registry/server — a docker-registry of our own: its configuration, its start, its restart.
 *
 * It is ready when it answers, and whether the port was free is asked first: docker-registry would
 * only say so in its log.  Every start writes the configuration anew, so that a directory can move
 * and an edited file cannot linger; the secret in it, which signs the state of uploads in flight,
 * stays over restarts of one server. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"
#include "base/text.h"
#include "registry/server_lock.h"

#define READY_MS    30000
#define STOP_MS     5000
#define POLL_MS     20
#define LOG_MAX     (10 << 20) /* a longer log starts over */
#define LOG_TAIL    4096       /* bytes looked at for a reason */
#define CONFIG_MAX  16384
#define SECRET_SIZE 32
#define DRAIN       "3s" /* for what is being answered, when it is stopped */
#define TRUSTED     3

struct registry_server {
    char *program;
    char *dir;
    char *listen;
    char *host; /* of listen, without brackets */
    const char *port;
    char url[300];
    char secret[2 * SECRET_SIZE + 1];
    const struct registry_signer *signer;
    char *realm;                              /* with a signer */
    const struct es256_key *trusted[TRUSTED]; /* by the one that runs */
    int64_t ready_ms;
    struct process process;
    int lock; /* on dir */
};

/* ---- where it listens ---- */

/* Splits "host:port"; an empty host means every address. */
static int parse_listen(struct registry_server *s, struct error *err)
{
    char *colon = strrchr(s->listen, ':');
    size_t len = colon ? (size_t)(colon - s->listen) : 0;
    bool bracketed = len >= 2 && s->listen[0] == '[' && s->listen[len - 1] == ']';
    uint64_t port = 0;

    if (!colon || !text_to_u64(colon + 1, 65535, &port) || port == 0 || len > 255 ||
        strspn(s->listen, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") !=
            strlen(s->listen))
        return error_set(err, ERR_INPUT, "\"%.300s\" is no address and port to listen on",
                         s->listen);
    s->port = colon + 1;
    s->host = strndup(s->listen + bracketed, len - 2U * bracketed);
    if (!s->host)
        return error_set(err, ERR_SYSTEM, "start the registry: out of memory");
    if (len == 0 || strcmp(s->host, "0.0.0.0") == 0)
        (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%s", s->port);
    else if (strcmp(s->host, "::") == 0)
        (void)snprintf(s->url, sizeof(s->url), "http://[::1]:%s", s->port);
    else
        (void)snprintf(s->url, sizeof(s->url), "http://%s", s->listen);
    return 0;
}

static void release_addresses(struct addrinfo **a)
{
    if (*a)
        freeaddrinfo(*a);
}

static int try_bind(const struct addrinfo *a)
{
    CLEANUP_CLOSE int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    const int on = 1;

    if (fd < 0)
        return errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1) < 0 ? errno : 0;
}

/* Something listens there: says what, as far as can be told. */
static int address_taken(const struct registry_server *s, struct error *err)
{
    const struct registry there = {.url = s->url, .http = &http_curl};
    struct error ignored = ERROR_INIT;

    if (registry_ping(&there, &ignored) == 0)
        return error_set(err, ERR_SYSTEM, "another registry listens on %s already", s->listen);
    return error_set(err, ERR_SYSTEM, "another program listens on %s already", s->listen);
}

static int check_address(const struct registry_server *s, struct error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    CLEANUP(release_addresses) struct addrinfo *list = NULL;
    int problem = getaddrinfo(*s->host ? s->host : NULL, s->port, &hints, &list);

    if (problem)
        return error_set(err, ERR_SYSTEM, "listen on %s: %s", s->listen, gai_strerror(problem));
    problem = try_bind(list);
    if (problem == EADDRINUSE)
        return address_taken(s, err);
    if (problem)
        return error_errno(err, problem, "listen on %s", s->listen);
    return 0;
}

/* ---- its files ---- */

static int path_in(const struct registry_server *s, const char *name, char *path, size_t size,
                   struct error *err)
{
    if (snprintf(path, size, "%s/%s", s->dir, name) >= (int)size)
        return error_set(err, ERR_SYSTEM, "%s: path too long", s->dir);
    return 0;
}

/* YAML's single quotes: only the quote itself is special in them. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_addc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_addc(out, '\'');
        buf_addc(out, *text);
    }
    buf_adds(out, "'\n");
}

/* The current key, the next, and the old one. */
static void list_keys(const struct registry_server *s, const struct es256_key *ret[TRUSTED])
{
    struct registry_keys *keys = s->signer ? s->signer->keys : NULL;

    ret[0] = s->signer ? registry_signer_key(s->signer) : NULL;
    ret[1] = keys ? registry_keys_next(keys) : NULL;
    ret[2] = keys ? registry_keys_old(keys) : NULL;
}

static bool is_among(const struct es256_key *key, const struct es256_key *const keys[TRUSTED])
{
    for (int i = 0; i < TRUSTED; i++)
        if (key == keys[i])
            return true;
    return !key;
}

/* Who may do what is said by tokens; their signers are known by certificates. */
static int add_auth(struct registry_server *s, struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT(CONFIG_MAX);
    char path[PATH_MAX];

    list_keys(s, s->trusted);
    for (int i = 0; i < TRUSTED; i++)
        if (s->trusted[i] && es256_certificate(s->trusted[i], s->signer->issuer, &pem, err) < 0)
            return -1;
    if (path_in(s, "token-certificate.pem", path, sizeof(path), err) < 0 ||
        fs_write_file(AT_FDCWD, path, pem.data, pem.len, 0600, err) < 0)
        return -1;
    buf_adds(out, "auth:\n"
                  "  token:\n"
                  "    realm: ");
    add_quoted(out, s->realm);
    buf_adds(out, "    service: ");
    add_quoted(out, s->signer->service);
    buf_adds(out, "    issuer: ");
    add_quoted(out, s->signer->issuer);
    buf_adds(out, "    rootcertbundle: ");
    add_quoted(out, path);
    return 0;
}

static int write_config(struct registry_server *s, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(CONFIG_MAX);
    char data[PATH_MAX];
    char path[PATH_MAX];

    if (path_in(s, "data", data, sizeof(data), err) < 0 ||
        path_in(s, "config.yml", path, sizeof(path), err) < 0 || fs_mkdirs(data, 0700, err) < 0)
        return -1;
    buf_adds(&text, "# Written by kiln at every start.\n"
                    "version: 0.1\n"
                    "log:\n"
                    "  level: warn\n"
                    "  accesslog:\n"
                    "    disabled: true\n"
                    "storage:\n"
                    "  delete:\n"
                    "    enabled: true\n"
                    "  cache:\n"
                    "    blobdescriptor: inmemory\n"
                    "  filesystem:\n"
                    "    rootdirectory: ");
    add_quoted(&text, data);
    buf_adds(&text, "http:\n"
                    "  headers:\n"
                    "    X-Content-Type-Options: [nosniff]\n"
                    "  draintimeout: " DRAIN "\n"
                    "  secret: ");
    add_quoted(&text, s->secret);
    buf_adds(&text, "  addr: ");
    add_quoted(&text, s->listen);
    if (s->signer && add_auth(s, &text, err) < 0)
        return -1;
    if (buf_check(&text, "the registry's configuration", err) < 0)
        return -1;
    return fs_write_file(AT_FDCWD, path, text.data, text.len, 0600, err);
}

/* *ret_start: where what is written from now on begins. */
static int open_log(const struct registry_server *s, int *ret_fd, off_t *ret_start,
                    struct error *err)
{
    CLEANUP_CLOSE int fd = -1;
    char path[PATH_MAX];
    struct stat st;

    if (path_in(s, "registry.log", path, sizeof(path), err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_errno(err, errno, "open %s", path);
    if (st.st_size > LOG_MAX) {
        if (ftruncate(fd, 0) < 0)
            return error_errno(err, errno, "truncate %s", path);
        st.st_size = 0;
    }
    *ret_start = st.st_size;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The last line that was logged since start, as the reason of a death; "" when there is none. */
static void read_reason(int log_fd, off_t start, char reason[LOG_TAIL + 1])
{
    struct stat st = {.st_size = 0};
    off_t from =
        fstat(log_fd, &st) == 0 && st.st_size - start > LOG_TAIL ? st.st_size - LOG_TAIL : start;
    ssize_t n = pread(log_fd, reason, LOG_TAIL, from);
    char *line;

    reason[n > 0 ? n : 0] = '\0';
    while (n > 0 && reason[n - 1] == '\n')
        reason[--n] = '\0';
    line = strrchr(reason, '\n');
    if (line)
        memmove(reason, line + 1, strlen(line));
    if (text_has_control(reason, strlen(reason)) || !text_is_utf8(reason, strlen(reason)))
        reason[0] = '\0';
}

/* ---- its life ---- */

/* Until it answers, dies, or its time is over. */
static int wait_ready(struct registry_server *s, int log_fd, off_t log_start, struct error *err)
{
    const struct registry self = {.url = s->url, .http = &http_curl, .signer = s->signer};
    const int64_t deadline = clock_monotonic() + s->ready_ms * NS_PER_MS;
    char reason[LOG_TAIL + 1];
    struct error last = ERROR_INIT;

    while (clock_monotonic() < deadline) {
        bool answers = registry_ping(&self, &last) == 0;

        if (!process_is_alive(&s->process)) {
            read_reason(log_fd, log_start, reason);
            return error_set(err, ERR_SYSTEM, "%s ended at once%s%s", s->program,
                             *reason ? ": " : "", reason);
        }
        if (answers)
            return 0;
        (void)poll(NULL, 0, POLL_MS);
    }
    process_stop(&s->process, 0);
    return error_set(err, ERR_SYSTEM, "%s did not answer on %s in %d s: %s", s->program, s->listen,
                     (int)(s->ready_ms / 1000), last.msg);
}

static int launch(struct registry_server *s, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP_CLOSE int log_fd = -1;
    char config[PATH_MAX];
    off_t log_start = 0;

    if (check_address(s, err) < 0 || write_config(s, err) < 0 ||
        path_in(s, "config.yml", config, sizeof(config), err) < 0 ||
        open_log(s, &log_fd, &log_start, err) < 0)
        return -1;
    /* An empty environment: REGISTRY_* variables would override the configuration. */
    argv_push(&argv, s->program, "serve", config, NULL);
    if (process_start(&argv, NULL, NULL, 0, log_fd, &s->process, err) < 0)
        return -1;
    return wait_ready(s, log_fd, log_start, err);
}

/* Nobody frees room there while it runs. */
static int hold_dir(struct registry_server *s, struct error *err)
{
    bool busy;

    if (fs_mkdirs(s->dir, 0755, err) < 0 ||
        registry_server_lock(s->dir, false, &busy, &s->lock, err) < 0)
        return -1;
    return busy ? error_set(err, ERR_SYSTEM, "the garbage in %s is being collected", s->dir) : 0;
}

static void registry_server_freep(struct registry_server **s)
{
    registry_server_free(*s);
}

int registry_server_start(const struct registry_server_config *config, struct registry_server **ret,
                          struct error *err)
{
    CLEANUP(registry_server_freep) struct registry_server *s = calloc(1, sizeof(*s));
    unsigned char secret[SECRET_SIZE];

    if (s) {
        s->lock = -1;
        s->program = strdup(config->program ? config->program : "docker-registry");
        s->dir = strdup(config->dir);
        s->listen = strdup(config->listen);
        s->ready_ms = config->ready_ms ? config->ready_ms : READY_MS;
        s->signer = config->signer;
        s->realm = strdup(config->signer ? config->realm : "");
    }
    if (!s || !s->program || !s->dir || !s->listen || !s->realm)
        return error_set(err, ERR_SYSTEM, "start the registry: out of memory");
    if (s->dir[0] != '/' || text_has_control(s->dir, strlen(s->dir)) ||
        !text_is_utf8(s->dir, strlen(s->dir)))
        return error_set(err, ERR_INPUT,
                         "start the registry: its directory must be an absolute "
                         "path of plain text");
    digest_random(secret, sizeof(secret));
    digest_hex(secret, sizeof(secret), s->secret);
    if (parse_listen(s, err) < 0 || hold_dir(s, err) < 0 || launch(s, err) < 0)
        return error_wrap(err, "start the registry");
    *ret = TAKE(s);
    return 0;
}

int registry_server_check(struct registry_server *s, bool *ret_restarted, struct error *err)
{
    bool restarted = false;

    if (!process_is_alive(&s->process)) {
        if (launch(s, err) < 0)
            return error_wrap(err, "start the registry again");
        restarted = true;
    }
    *ret_restarted = restarted;
    return 0;
}

int registry_server_renew(struct registry_server *s, bool *ret_restarted, struct error *err)
{
    const struct es256_key *keys[TRUSTED];
    bool as_is;

    list_keys(s, keys);
    /* A next key that it does not know yet is not in use. */
    as_is = is_among(keys[0], s->trusted) && is_among(keys[2], s->trusted);
    for (int i = 0; i < TRUSTED; i++)
        as_is = as_is && is_among(s->trusted[i], keys);
    *ret_restarted = false;
    if (as_is)
        return 0;
    process_stop(&s->process, STOP_MS);
    if (launch(s, err) < 0)
        return error_wrap(err, "start the registry with other keys");
    *ret_restarted = true;
    return 0;
}

void registry_server_free(struct registry_server *s)
{
    if (!s)
        return;
    process_stop(&s->process, STOP_MS);
    cleanup_close(&s->lock);
    free(s->program);
    free(s->dir);
    free(s->listen);
    free(s->host);
    free(s->realm);
    free(s);
}
