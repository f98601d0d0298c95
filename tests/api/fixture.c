#include "fixture.h"

#include <ftw.h>
#include <string.h>

#include "api/openapi.h"
#include "base/fs.h"
#include "base/text.h"
#include "described.h"

/* ---- the world ---- */

static int64_t fixture_now(void *self)
{
    return ((struct fixture *)self)->now;
}

static int registry_request(void *self, const struct http_request *req, struct http_response *resp,
                            struct error *err)
{
    struct fixture *f = self;

    if (f->registry_down)
        return error_set(err, ERR_REMOTE, "connect to the registry: refused");
    if (strcmp(req->method, "DELETE") == 0)
        argv_push1(&f->deleted, req->url);
    resp->status = strcmp(req->method, "DELETE") == 0 ? 202 : 404;
    return 0;
}

static void log_line(void *self, const struct note *note)
{
    struct fixture *f = self;

    pthread_mutex_lock(&f->log_lock);
    buf_addf(&f->log, "%s\n", note->line);
    pthread_mutex_unlock(&f->log_lock);
}

static void open_state(struct fixture *f)
{
    struct state_config config = {
        .path = database_is_remote() ? f->database : ":memory:",
        .clock = &f->clock,
        .attempts_max = 3,
        .upload_ns = 3600 * NS_PER_SEC,
    };
    struct api_key key;
    struct error err;

    assert_true(!database_is_remote() || database_get(f->database));
    assert_int_equal(state_open(&config, &f->config.state, &err), 0);
    assert_int_equal(state_workspace_ensure(f->config.state, "acme", &err), 0);
    assert_int_equal(state_workspace_ensure(f->config.state, "globex", &err), 0);
    assert_int_equal(state_key_create(f->config.state,
                                      &(struct key_draft){
                                          .workspace = "acme", .label = "ci", .role = ROLE_ADMIN},
                                      f->key, &key, &err),
                     0);
    assert_int_equal(state_key_create(f->config.state,
                                      &(struct key_draft){
                                          .workspace = "globex", .label = "", .role = ROLE_ADMIN},
                                      f->other_key, &key, &err),
                     0);
}

static void load_description(struct fixture *f)
{
    const struct reply *r = ask(f, "GET", "/v0/openapi.json", NULL);

    if (r->status != 200)
        fail_msg("/v0/openapi.json: %s", buf_str(&f->log));
    f->description = json_incref(r->json);
}

static void read_upload_key(struct fixture *f)
{
    struct state_upload_keys keys;
    struct error err = ERROR_INIT;

    assert_int_equal(state_upload_keys(f->config.state, &keys, &err), 0);
    memcpy(f->upload_key, keys.current, sizeof(f->upload_key));
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char store[80];
    struct error err;

    assert_non_null(f);
    *state = f;
    f->now = INT64_C(1767225600) * NS_PER_SEC; /* 2026-01-01T00:00:00Z */
    f->clock = (struct clock){fixture_now, f};
    f->http = (struct http){registry_request, f};
    f->registry = (struct registry){.url = "http://registry.test", .http = &f->http};
    f->log = (struct buf)BUF_INIT(1 << 20);
    pthread_mutex_init(&f->log_lock, NULL);
    (void)snprintf(f->credentials_dir, sizeof(f->credentials_dir), "/dev/shm/kiln-api-test-%d",
                   (int)getpid());
    f->config = (struct api_config){
        .registry = &f->registry,
        .registry_name = "registry.test",
        .credentials_dir = f->credentials_dir,
        .clock = &f->clock,
        .upload_seconds = 3600,
        .upload_max = 1000000,
        .places = &f->places,
        .log = log_line,
        .log_self = f,
    };
    open_state(f);
    read_upload_key(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-api-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(store, sizeof(store), "%s/uploads", f->dir);
    (void)snprintf(f->templates, sizeof(f->templates), "%s/templates", f->dir);
    (void)snprintf(f->volumes, sizeof(f->volumes), "%s/volumes", f->dir);
    f->places = (struct places){
        .templates = f->templates, .volumes = f->volumes, .revisions_max = 10, .volume_max = 65536};
    assert_int_equal(upload_store_open(store, f->config.upload_max, &f->config.uploads, &err), 0);
    (void)snprintf(f->authorization, sizeof(f->authorization), "Bearer %s", f->key);
    f->headers[API_HEADER_AUTHORIZATION] = f->authorization;
    f->headers[API_HEADER_VERSION] = "2026-04-28";
    f->headers[API_HEADER_HOST] = HOST;
    assert_int_equal(openapi_new(&f->config.openapi, &err), 0);
    load_description(f);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    struct error err;

    while (f->replies) {
        struct reply *r = f->replies;

        f->replies = r->next;
        json_decref(r->json);
        api_response_release(&r->resp);
        free(r);
    }
    json_decref(f->description);
    openapi_free(f->config.openapi);
    upload_store_free(f->config.uploads);
    state_close(f->config.state);
    if (database_is_remote())
        database_leave(f->database);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir, &err), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->credentials_dir, &err), 0);
    argv_release(&f->deleted);
    buf_release(&f->log);
    pthread_mutex_destroy(&f->log_lock);
    free(f);
    return 0;
}

/* ---- asking ---- */

struct reply *ask(struct fixture *f, const char *method, const char *target, const char *body)
{
    struct api_request req = {.method = method, .body = body, .body_len = body ? strlen(body) : 0};
    struct reply *r = calloc(1, sizeof(*r));
    struct error err = ERROR_INIT;

    assert_non_null(r);
    r->resp = (struct api_response)API_RESPONSE_INIT;
    r->next = f->replies;
    f->replies = r;
    memcpy(req.headers, f->headers, sizeof(req.headers));
    assert_int_equal(api_request_target(&req, target, &err), 0);
    api_handle(&f->config, &req, &r->resp);
    if (f->description)
        assert_described(f->description, &req, &r->resp);
    api_request_release(&req);
    r->status = r->resp.status;
    r->text = buf_str(&r->resp.body);
    r->json = json_loadb(r->text, r->resp.body.len, 0, NULL);
    return r;
}

struct reply *ask_as(struct fixture *f, const char *key, const char *method, const char *target,
                     const char *body)
{
    struct reply *r;

    (void)snprintf(f->authorization, sizeof(f->authorization), "Bearer %s", key);
    f->headers[API_HEADER_AUTHORIZATION] = f->authorization;
    r = ask(f, method, target, body);
    (void)snprintf(f->authorization, sizeof(f->authorization), "Bearer %s", f->key);
    return r;
}

json_t *at(const struct reply *r, const char *path)
{
    json_t *value = r->json;

    while (value && *path) {
        size_t len = strcspn(path, ".");
        char part[64];

        assert_true(len < sizeof(part));
        memcpy(part, path, len);
        part[len] = '\0';
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(part))
                                     : json_object_get(value, part);
        path += len + (path[len] == '.');
    }
    return value;
}

const char *text_at(const struct reply *r, const char *path)
{
    return json_string_value(at(r, path));
}

const char *upload_target(const struct reply *r)
{
    const char *url = api_response_find(&r->resp, "X-Blaxel-Upload-Url");

    assert_non_null(url);
    assert_true(text_starts(url, "http://" HOST "/uploads/"));
    return url + strlen("http://" HOST);
}

void upload_id(const struct reply *r, char id[BUILD_ID])
{
    const char *end = strchr(upload_target(r), '?');

    memcpy(id, end - (BUILD_ID - 1), BUILD_ID - 1);
    id[BUILD_ID - 1] = '\0';
}

/* ---- the worker's part ---- */

struct build claim(struct fixture *f)
{
    enum lease_verdict verdict;
    enum presence presence;
    struct error err;
    struct build b;

    assert_int_equal(state_claim(f->config.state, "w", 600 * NS_PER_SEC, &presence, &b, &err), 0);
    assert_int_equal(presence, PRESENT);
    assert_int_equal(state_step(f->config.state, b.id, "w", "build", &verdict, &err), 0);
    return b;
}

void say(struct fixture *f, const struct build *b, enum log_severity severity, const char *text)
{
    struct log_line line = {.severity = severity, .text = text};
    struct error err;

    assert_int_equal(state_log_append(f->config.state, b->id, &line, 1, &err), 0);
}

static void finish(struct fixture *f, const struct build *b, const struct build_result *result)
{
    enum lease_verdict verdict;
    enum build_phase phase;
    struct error err;

    assert_int_equal(state_finish(f->config.state, b->id, "w", result, &verdict, &phase, &err), 0);
    assert_int_equal(verdict, LEASE_KEPT);
}

void succeed(struct fixture *f, const struct build *b)
{
    char digest[DIGEST_SIZE];
    struct build_result result = {.kind = ERR_NONE, .digest = digest, .image_size = 1234};

    (void)snprintf(digest, sizeof(digest), "sha256:%s%s", b->id, b->id);
    finish(f, b, &result);
}

void succeed_as(struct fixture *f, const struct build *b, const char *image)
{
    const struct build_result result = {.kind = ERR_NONE, .digest = "", .image = image};
    enum lease_verdict verdict;
    enum build_phase phase;
    struct error err;

    assert_int_equal(state_finish(f->config.state, b->id, "w", &result, &verdict, &phase, &err), 0);
    assert_int_equal(phase, BUILD_SUCCEEDED);
}

void break_build(struct fixture *f, const struct build *b, const char *message)
{
    struct build_result result = {.kind = ERR_INPUT, .message = message};

    finish(f, b, &result);
}

/* ---- judging ---- */

void assert_error(const struct reply *r, int status, const char *code)
{
    const char *message = text_at(r, "message");

    assert_int_equal(r->status, status);
    assert_non_null(r->json);
    assert_string_equal(api_response_find(&r->resp, "Content-Type"), "application/json");
    assert_int_equal(json_integer_value(at(r, "code")), status);
    assert_string_equal(text_at(r, "error"), code);
    assert_non_null(message);
    assert_true(message[0] >= 'A' && message[0] <= 'Z' && text_ends(message, "."));
}

static size_t n_files;

static int count_file(const char *path, const struct stat *st, int type)
{
    (void)path;
    (void)st;
    n_files += type == FTW_F;
    return 0;
}

size_t archives(const struct fixture *f)
{
    n_files = 0;
    assert_int_equal(ftw(f->dir, count_file, 16), 0);
    return n_files;
}
