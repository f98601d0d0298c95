/* See the header. */
#include "tests/registry/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"

#define START_SECONDS 60

int fixture_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/kiln-registry-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->listen, sizeof(f->listen), "127.0.0.1:%d", fixture_free_port());
    (void)snprintf(f->url, sizeof(f->url), "http://%s", f->listen);
    f->config = (struct registry_server_config){.dir = f->dir, .listen = f->listen};
    f->registry = (struct registry){.url = f->url, .http = &http_curl};
    return f;
}

bool fixture_is_other(void)
{
    const char *program = getenv("KILN_OTHER_REGISTRY");

    return program && *program;
}

static void start_other(struct fixture *f)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP_CLOSE int log = -1;
    int64_t end = clock_monotonic() + START_SECONDS * NS_PER_SEC;
    struct error err = ERROR_INIT;

    argv_push(&argv, getenv("KILN_OTHER_REGISTRY"), "serve", "--api-delete", "--api-blob-delete",
              "--dir", f->dir, "--addr", "127.0.0.1", "--port", strchr(f->listen, ':') + 1, NULL);
    if (f->rate)
        argv_push(&argv, "--rate-limit", f->rate, NULL);
    log = openat(AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC);
    if (process_start(&argv, NULL, NULL, 0, log, &f->other, &err) < 0)
        fail_msg("%s", err.msg);
    while (registry_ping(&f->registry, &err) < 0) {
        if (clock_monotonic() > end || !process_is_alive(&f->other))
            fail_msg("%s: %s", argv.v[0], err.msg);
        (void)poll(NULL, 0, 20);
    }
}

void fixture_start(struct fixture *f)
{
    struct error err = ERROR_INIT;

    if (fixture_is_other())
        start_other(f);
    else if (registry_server_start(&f->config, &f->server, &err) < 0)
        fail_msg("%s", err.msg);
}

void fixture_free(struct fixture *f)
{
    struct error err = ERROR_INIT;

    registry_server_free(f->server);
    process_stop(&f->other, 5000);
    if (fs_remove_tree(AT_FDCWD, f->dir, &err) < 0)
        fail_msg("%s", err.msg);
    free(f);
}

int fixture_setup(void **state)
{
    *state = fixture_new();
    fixture_start(*state);
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

struct buf fixture_read(const struct fixture *f, const char *name)
{
    struct buf text = BUF_INIT(20 << 20);
    struct error err = ERROR_INIT;
    char path[200];

    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    if (fs_read_file(AT_FDCWD, path, &text, &err) < 0)
        fail_msg("%s", err.msg);
    return text;
}

static void digest_of(const char *data, char *digest)
{
    memcpy(digest, "sha256:", 7);
    digest_sha256_hex(data, strlen(data), digest + 7);
}

static void send_request(const struct http_request *req, struct http_response *resp)
{
    struct error err = ERROR_INIT;

    if (http_curl.request(http_curl.self, req, resp, &err) < 0)
        fail_msg("%s", err.msg);
}

void fixture_push_blob(const struct fixture *f, const char *repository, const char *data,
                       char *digest)
{
    struct http_response resp = HTTP_RESPONSE_INIT(65536);
    const char *location;
    char url[2048];

    digest_of(data, digest);
    (void)snprintf(url, sizeof(url), "%s/v2/%s/blobs/uploads/", f->url, repository);
    send_request(&(struct http_request){.method = "POST", .url = url}, &resp);
    assert_int_equal(resp.status, 202);
    location = http_header(&resp, "location");
    assert_non_null(location);
    (void)snprintf(url, sizeof(url), "%s%s%cdigest=%s", location[0] == '/' ? f->url : "", location,
                   strchr(location, '?') ? '&' : '?', digest);
    http_response_release(&resp);
    send_request(
        &(struct http_request){.method = "PUT", .url = url, .body = data, .body_len = strlen(data)},
        &resp);
    assert_int_equal(resp.status, 201);
    http_response_release(&resp);
}

int fixture_push_manifest(const struct fixture *f, const char *repository, const char *reference,
                          const char *media_type, const char *json, char *digest)
{
    struct http_response resp = HTTP_RESPONSE_INIT(65536);
    struct argv headers = ARGV_INIT;
    char url[2048];
    int status;

    digest_of(json, digest);
    (void)snprintf(url, sizeof(url), "%s/v2/%s/manifests/%s", f->url, repository, reference);
    argv_pushf(&headers, "Content-Type: %s", media_type);
    send_request(&(struct http_request){.method = "PUT",
                                        .url = url,
                                        .headers = &headers,
                                        .body = json,
                                        .body_len = strlen(json)},
                 &resp);
    status = resp.status;
    argv_release(&headers);
    http_response_release(&resp);
    return status;
}

void fixture_push_image(const struct fixture *f, const char *repository, const char *tag,
                        const char *text, char *digest)
{
    char config[REGISTRY_DIGEST];
    char layer[REGISTRY_DIGEST];
    char json[1000];

    fixture_push_blob(f, repository, "{}", config);
    fixture_push_blob(f, repository, text, layer);
    (void)snprintf(json, sizeof(json),
                   "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MANIFEST "\",\"config\":{"
                   "\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                   "\"digest\":\"%s\",\"size\":2},\"layers\":[{"
                   "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                   "\"digest\":\"%s\",\"size\":%zu}]}",
                   config, layer, strlen(text));
    assert_int_equal(fixture_push_manifest(f, repository, tag, OCI_MANIFEST, json, digest), 201);
}
