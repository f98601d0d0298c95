/* HTTP requests as raw bytes, through libmicrohttpd and all of api/, on a state of their own.
 *
 * Each input has a world that none has changed, so that a finding needs that input alone; its
 * database is a copy of one that is made once, as making it takes longer than most requests.  An
 * input cannot know the API key or a signature; "@KEY@" in it stands for a key of workspace acme,
 * "@URL@" for the target of an upload URL of a build that waits, and "@OLD@" for one that has
 * expired. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "api/server.h"
#include "base/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX 65536
#define TURNS_MAX 4000
#define IDLE_MAX  3 /* turns without a byte read or written */
#define NOW       (INT64_C(1767225600) * NS_PER_SEC)

static int64_t fixed_now(void *self)
{
    (void)self;
    return NOW;
}

static int no_registry(void *self, const struct http_request *req, struct http_response *resp,
                       struct error *err)
{
    (void)self;
    (void)req;
    resp->status = 202;
    (void)err;
    return 0;
}

static const struct clock fixed_clock = {fixed_now, NULL};
static const struct http http = {no_registry, NULL};
static const struct registry registry = {.url = "http://registry.test", .http = &http};

/* Everybody: what anybody says of whom it asks for is read. */
static char everybody[] = "0.0.0.0/0";
static char *proxy_words[] = {everybody, NULL};
static const struct argv proxies = {.v = proxy_words, .n = 1, .cap = 1};

struct world {
    struct state *state;
    struct upload_store *uploads;
    struct api_config config;
    struct api_server *server;
    struct buf url, old;
};

/* The machine's fault, not the input's: stop loudly. */
static void must(int rc, const struct error *err)
{
    if (rc == 0)
        return;
    (void)fprintf(stderr, "fuzz_request: %s\n", err->msg);
    abort();
}

static char store_dir[64]; /* of this process; made at first use */

static void remove_store(void)
{
    struct error err;

    must(fs_remove_tree(AT_FDCWD, store_dir, &err), &err);
}

static void make_store(void)
{
    if (store_dir[0])
        return;
    (void)snprintf(store_dir, sizeof(store_dir), "%s/kiln-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(store_dir) || atexit(remove_store) != 0)
        abort();
    (void)signal(SIGPIPE, SIG_IGN);
}

static const struct state_config *state_at(const char *path)
{
    static struct state_config config = {
        .clock = &fixed_clock, .attempts_max = 3, .upload_ns = 3600 * NS_PER_SEC};

    config.path = path;
    return &config;
}

/* What every world begins with: a database, and what is in it. */
static struct {
    struct buf database;
    char key[API_KEY_TEXT];
    char build[BUILD_ID];
} origin = {.database = BUF_INIT(64 << 20)};

static char database[80], database_log[96], database_index[96];

static void make_origin(void)
{
    const struct key_draft draft = {.workspace = "acme", .label = "fuzz", .role = ROLE_ADMIN};
    const struct target t = {"acme", "sandbox", "waiting"};
    struct error err = ERROR_INIT;
    struct state *state;
    struct api_key key;
    struct build b;

    if (origin.database.len)
        return;
    (void)snprintf(database, sizeof(database), "%s.db", store_dir);
    (void)snprintf(database_log, sizeof(database_log), "%s-wal", database);
    (void)snprintf(database_index, sizeof(database_index), "%s-shm", database);
    must(state_open(state_at(database), &state, &err), &err);
    must(state_workspace_ensure(state, "acme", &err), &err);
    must(state_key_create(state, &draft, origin.key, &key, &err), &err);
    must(state_build_begin(state, &t, BUILD_FOR_IMAGE, &b, &err), &err);
    (void)snprintf(origin.build, sizeof(origin.build), "%s", b.id);
    state_close(state);
    must(fs_read_file(AT_FDCWD, database, &origin.database, &err), &err);
}

static void put_database(void)
{
    CLEANUP_CLOSE int fd = open(database, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct error err = ERROR_INIT;

    if (fd < 0)
        abort();
    must(fs_write_all(fd, origin.database.data, origin.database.len, &err), &err);
}

static void remove_database(void)
{
    (void)unlink(database);
    (void)unlink(database_log);
    (void)unlink(database_index);
}

static void make_urls(struct world *w)
{
    struct upload_ticket ticket = {.method = "PUT", .workspace = "acme", .object = origin.build};
    struct state_upload_keys keys;
    struct error err = ERROR_INIT;

    must(state_upload_keys(w->state, &keys, &err), &err);
    ticket.expires = NOW / NS_PER_SEC + 10;
    upload_ticket_url(keys.current, &ticket, "", &w->url);
    ticket.expires = NOW / NS_PER_SEC - 10;
    upload_ticket_url(keys.current, &ticket, "", &w->old);
}

static void world_open(struct world *w)
{
    static const struct places places = {
        .templates = "/nonexistent", .volumes = "/nonexistent", .volume_max = 1024};
    struct error err = ERROR_INIT;

    *w = (struct world){.url = BUF_INIT(1024), .old = BUF_INIT(1024)};
    make_origin();
    put_database();
    must(state_open(state_at(database), &w->state, &err), &err);
    must(upload_store_open(store_dir, 4096, &w->uploads, &err), &err);
    make_urls(w);
    w->config = (struct api_config){
        .proxies = &proxies,
        .state = w->state,
        .uploads = w->uploads,
        .registry = &registry,
        .registry_name = "registry.test",
        .clock = &fixed_clock,
        .upload_seconds = 3600,
        .upload_max = 4096,
        .places = &places,
    };
    must(api_server_start_detached(&w->config, &w->server, &err), &err);
}

static bool keep_nothing(void *self, const char *key)
{
    (void)self;
    (void)key;
    return false;
}

static void world_close(struct world *w)
{
    struct error err;

    api_server_stop(w->server);
    must(upload_store_sweep(w->uploads, keep_nothing, NULL, &err), &err);
    upload_store_free(w->uploads);
    state_close(w->state);
    remove_database();
    buf_release(&w->url);
    buf_release(&w->old);
}

static void fill_in(const struct world *w, const char *data, size_t size, struct buf *out)
{
    const struct {
        const char *mark, *text;
    } marks[] = {{"@KEY@", origin.key}, {"@URL@", buf_str(&w->url)}, {"@OLD@", buf_str(&w->old)}};

    for (size_t i = 0; i < size;) {
        const char *text = NULL;

        for (size_t m = 0; m < 3 && !text; m++)
            if (size - i >= 5 && memcmp(data + i, marks[m].mark, 5) == 0)
                text = marks[m].text;
        if (text)
            buf_adds(out, text);
        else
            buf_addc(out, data[i]);
        i += text ? 5 : 1;
    }
}

/* Sends all, reads all, until nothing moves any more; then closes and lets the server notice. */
static void talk(struct api_server *s, int fd, const struct buf *request)
{
    size_t sent = 0;
    int idle = 0;

    for (int turn = 0; turn < TURNS_MAX && idle < IDLE_MAX; turn++) {
        ssize_t in = send(fd, request->data + sent, request->len - sent, MSG_DONTWAIT);
        char scrap[16384];
        ssize_t out;

        sent += in > 0 ? (size_t)in : 0;
        api_server_turn(s);
        out = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (out == 0)
            break;
        idle = in > 0 || out > 0 ? 0 : idle + 1;
    }
    close(fd);
    for (int turn = 0; turn < IDLE_MAX; turn++)
        api_server_turn(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_release) struct buf request = BUF_INIT(2 * INPUT_MAX);
    struct error err = ERROR_INIT;
    struct world w;
    int fds[2];

    if (size == 0 || size > INPUT_MAX)
        return 0;
    make_store();
    world_open(&w);
    fill_in(&w, (const char *)data, size, &request);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    must(api_server_attach(w.server, fds[0], &err), &err);
    talk(w.server, fds[1], &request);
    world_close(&w);
    return 0;
}
