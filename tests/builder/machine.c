/* machine — see the header. */
#include "machine.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/http.h"
#include "dockerfile/dockerfile.h"
#include "programs/commands.h"
#include "worker/program.h"
#include "worker/push.h"

#define LOG_MAX   (16 << 20)
#define IMAGE_MAX (256 << 20)

/* What only a machine that is stuck needs: a busy one is slow. */
#define PATIENCE_MS 300000
#define PAUSE_MS    20
#define PORT_TRIES  5

static struct {
    uid_t uid;
    gid_t gid;
} root_of_jail; /* nftw has no argument of the caller's */

const struct builder_inner machine_inner[] = {
    {BUILDER_EXECUTE, inner_execute}, {BUILDER_FETCH, inner_fetch}, {NULL, NULL}};

/* ---- start and stop ---- */

int machine_free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

static bool answers(const char *address)
{
    struct http_response resp = HTTP_RESPONSE_INIT(4096);
    struct http_request req = {.method = "GET", .timeout_ms = 1000};
    struct error ignored = ERROR_INIT;
    char url[64];
    bool yes;

    (void)snprintf(url, sizeof(url), "http://%s/v2/", address);
    req.url = url;
    yes = http_curl.request(http_curl.self, &req, &resp, &ignored) == 0 &&
          (resp.status == 200 || resp.status == 401);
    http_response_release(&resp);
    return yes;
}

static void launch_registry(const struct machine *m, const char *name, const char *extra,
                            const char *address, struct process *ret)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(buf_release) struct buf yaml = BUF_INIT(4096);
    CLEANUP_CLOSE int log_fd = -1;
    struct error err = ERROR_INIT;
    char path[PATH_MAX];

    buf_addf(&yaml,
             "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/%s}}\n"
             "http: {addr: %s}\n%s",
             m->dir, name, address, extra);
    (void)snprintf(path, sizeof(path), "%s/%s.yml", m->dir, name);
    assert_int_equal(fs_write_file(AT_FDCWD, path, yaml.data, yaml.len, 0644, &err), 0);
    argv_push(&argv, "docker-registry", "serve", path, NULL);
    (void)snprintf(path, sizeof(path), "%s/%s.log", m->dir, name);
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    assert_int_equal(process_start(&argv, NULL, NULL, 0, log_fd, ret, &err), 0);
}

static bool comes_up(struct process *registry, const char *address)
{
    const int64_t deadline = clock_monotonic() + PATIENCE_MS * NS_PER_MS;

    while (process_is_alive(registry) && clock_monotonic() < deadline) {
        if (answers(address))
            return true;
        (void)poll(NULL, 0, PAUSE_MS);
    }
    process_stop(registry, 0);
    return false;
}

void machine_start_registry(const struct machine *m, const char *name, const char *extra,
                            struct process *ret, char ret_address[32])
{
    bool up = false;

    /* Somebody else may get the port before the registry does, which then ends. */
    for (int i = 0; i < PORT_TRIES && !up; i++) {
        (void)snprintf(ret_address, 32, "127.0.0.1:%d", machine_free_port());
        launch_registry(m, name, extra, ret_address, ret);
        up = comes_up(ret, ret_address);
    }
    assert_true(up);
}

static void make_bases(const struct machine *m)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct process_request req = {
        .argv = &argv, .env = &env, .stdin_fd = -1, .timeout_ms = PATIENCE_MS};
    struct process_end end;
    struct error err = ERROR_INIT;

    argv_pushf(&argv, "%s/tests/bases/make-bases", getenv("KILN_SOURCE"));
    argv_pushf(&env, "PATH=%s", getenv("PATH"));
    argv_pushf(&env, "REGISTRY=%s", m->address);
    argv_pushf(&env, "TMPDIR=%s", m->dir);
    assert_int_equal(process_run(&req, &end, &err), 0);
    assert_true(process_succeeded(&end));
}

static int open_builder(struct machine *m)
{
    const char *users = getenv("KILN_TEST_USERS");
    struct error err = ERROR_INIT;
    int result;

    if (users && strcmp(users, "none") == 0)
        result = builder_open_as(&m->config, JAIL_USERS_NONE, &m->b, &err);
    else if (geteuid() != 0)
        result = builder_open_as(&m->config, JAIL_USERS_HELPERS, &m->b, &err);
    else
        result = builder_open_as(&m->config, JAIL_USERS_DIRECT, &m->b, &err);
    if (result < 0)
        print_error("open the builder: %s\n", err.msg);
    return result;
}

int machine_start(void **state)
{
    struct machine *m = calloc(1, sizeof(*m));
    struct error err = ERROR_INIT;

    assert_non_null(m);
    *state = m;
    assert_non_null(getenv("KILN_SOURCE"));
    (void)snprintf(m->dir, sizeof(m->dir), "/var/tmp/kiln-builder-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    assert_int_equal(http_setup(&err), 0);
    machine_start_registry(m, "registry", "", &m->registry, m->address);
    make_bases(m);
    (void)snprintf(m->location, sizeof(m->location), "%s", m->address);
    m->mirrors[0] = (struct builder_mirror){"docker.io", m->location, true};
    m->mirrors[1] = (struct builder_mirror){"ghcr.io/blaxel-ai", NULL, true};
    {
        CLEANUP(buf_release) struct buf dir = BUF_INIT(128);
        CLEANUP(buf_release) struct buf sandbox = BUF_INIT(128);

        buf_addf(&dir, "%s/builder", m->dir);
        buf_addf(&sandbox, "%s/blaxel-ai", m->address);
        m->mirrors[1].location = buf_take(&sandbox);
        m->config = (struct builder_config){.dir = buf_take(&dir),
                                            .uid_base = 1000000,
                                            .mirrors = m->mirrors,
                                            .n_mirrors = 2,
                                            .push_registry = m->address,
                                            .push_insecure = true,
                                            .timeout_ms = PATIENCE_MS};
    }
    return open_builder(m);
}

int machine_stop(void **state)
{
    struct machine *m = *state;
    struct error err = ERROR_INIT;

    builder_free(m->b);
    process_stop(&m->registry, 1000);
    if (fs_remove_tree(AT_FDCWD, m->dir, &err) < 0)
        print_error("left behind: %s\n", err.msg);
    free((char *)m->config.dir);
    free((char *)m->mirrors[1].location);
    free(m);
    return err.kind == ERR_NONE ? 0 : -1;
}

/* ---- an attempt ---- */

static void on_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct attempt *a = self;

    (void)stream;
    buf_add(&a->log, text, len);
    buf_addc(&a->log, '\n');
    if (a->on_line)
        a->on_line(a, text);
}

static void fill_context(const struct builder_job *job, const struct attempt *a)
{
    char path[PATH_MAX + 256];
    struct error err = ERROR_INIT;

    for (const char *const *f = a->files; f && f[0]; f += 2) {
        char *slash;

        (void)snprintf(path, sizeof(path), "%s/%s", job->context, f[0]);
        slash = strrchr(path, '/');
        *slash = '\0';
        assert_int_equal(fs_mkdirs(path, 0755, &err), 0);
        *slash = '/';
        assert_int_equal(fs_write_file(AT_FDCWD, path, f[1], strlen(f[1]), 0644, &err), 0);
    }
    for (const char *const *l = a->links; l && l[0]; l += 2) {
        (void)snprintf(path, sizeof(path), "%s/%s", job->context, l[0]);
        assert_int_equal(symlink(l[1], path), 0);
    }
}

static int give_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return lchown(path, root_of_jail.uid, root_of_jail.gid);
}

/* As if it had been unpacked in the jail. */
static void give_context_to_jail(const struct builder_job *job)
{
    if (geteuid() != 0)
        return;
    root_of_jail.uid = job->b->ids.root_uid;
    root_of_jail.gid = job->b->ids.root_gid;
    assert_int_equal(nftw(job->context, give_away, 16, FTW_PHYS), 0);
}

static bool pull_all(struct builder_job *job, const struct builder_io *io, struct attempt *a)
{
    CLEANUP_FREE char *images = strdup(a->images ? a->images : "");
    char *rest = images;

    a->at = "pull";
    for (char *image = strsep(&rest, " "); image; image = strsep(&rest, " ")) {
        if (!*image)
            continue;
        a->result = builder_pull(job, image, NULL, io, &a->outcome, &a->err);
        if (a->result < 0 || a->outcome != BUILDER_DONE)
            return false;
    }
    return true;
}

static void prune_context(const struct builder_job *job, const struct attempt *a)
{
    CLEANUP(dockerfile_ignore_freep) struct dockerfile_ignore *ignore = NULL;
    CLEANUP_CLOSE int fd = -1;
    struct error err = ERROR_INIT;

    if (!a->ignore)
        return;
    assert_int_equal(dockerfile_ignore_parse(a->ignore, strlen(a->ignore), &ignore, &err), 0);
    assert_int_equal(fs_open_dir(AT_FDCWD, job->context, &fd, &err), 0);
    assert_int_equal(dockerfile_context_prune(fd, ignore, &err), 0);
}

static void on_event(void *self, const struct builder_event *e)
{
    struct attempt *a = self;
    const char *text = e->kind == BUILDER_EVENT_CACHED ? "CACHED" : e->text;

    if (e->kind != BUILDER_EVENT_DONE)
        on_line(a, e->stream, text, strlen(text));
}

static int build(struct builder_job *job, struct attempt *a)
{
    CLEANUP(dockerfile_freep) struct dockerfile *d = NULL;
    CLEANUP(program_release) struct program program = {.evaluation = NULL};
    const struct builder_watch watch = {on_event, a};
    const struct program_request req = {.job = job,
                                        .build_args = a->build_args,
                                        .labels = a->labels,
                                        .name = "test/image",
                                        .slim = a->slim};
    struct program_request with = req;

    if (dockerfile_parse(a->dockerfile, strlen(a->dockerfile), &dockerfile_limits_default, &d,
                         &a->err) < 0)
        return -1;
    with.dockerfile = d;
    if (program_make(&with, &program, &a->err) < 0)
        return -1;
    program.program.no_cache = a->no_cache;
    program.program.packages = !a->unlisted;
    return builder_build(job, &program.program, &watch, a->cancel, &a->outcome, &a->image,
                         &a->failure, &a->err);
}

/* Every step is run, unless a build at the same time has done it. */
static void forget_steps(const struct builder_job *job)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;
    CLEANUP_CLOSE int fd = -1;
    struct error ignored = ERROR_INIT;
    char path[2 * PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/records", job->cache);
    if (fs_open_dir(AT_FDCWD, path, &fd, &ignored) < 0 || fs_list(fd, ".", &names, &ignored) < 0)
        return; /* there are none yet */
    for (size_t i = 0; i < names.n; i++)
        (void)unlinkat(fd, names.v[i], 0);
}

void attempt_run_on(struct builder_job *job, struct attempt *a)
{
    const struct process_sink sink = {on_line, a};
    const struct builder_io io = {&sink, a->cancel};
    const struct registry registry = {.url = a->registry, .http = &http_curl};
    struct registry_pushed pushed;

    a->log = (struct buf)BUF_INIT(LOG_MAX);
    a->err = (struct error)ERROR_INIT;
    if (!a->cached)
        forget_steps(job);
    fill_context(job, a);
    prune_context(job, a);
    give_context_to_jail(job);
    if (!pull_all(job, &io, a))
        return;
    a->at = "build";
    a->result = build(job, a);
    if (a->result < 0 || a->outcome != BUILDER_DONE || !a->push_to)
        return;
    a->at = "push";
    a->result =
        push_image(&registry, job, &a->image, a->push_to, "latest", NULL, NULL, &pushed, &a->err);
    if (a->result == 0)
        (void)snprintf(a->digest, sizeof(a->digest), "%s", pushed.digest);
}

void attempt_run(const struct machine *m, struct attempt *a)
{
    struct builder_job *job;
    struct error err = ERROR_INIT;

    (void)snprintf(a->registry, sizeof(a->registry), "http://%s", m->address);
    if (builder_job_begin(m->b, a->workspace ? a->workspace : "ws", a->id ? a->id : "job", &job,
                          &err) < 0)
        fail_msg("%s", err.msg);
    attempt_run_on(job, a);
    builder_job_end(job);
}

void attempt_release(struct attempt *a)
{
    builder_image_release(&a->image);
    buf_release(&a->log);
}

static void fail_attempt(const struct attempt *a, const char *what)
{
    static const char *const names[] = {"done",      "failed",    "timed out",
                                        "cancelled", "killed",    "out of memory",
                                        "too many",  "disk full", "machine full"};

    print_error("%s\n", buf_str(&a->log)); /* fail_msg cuts at 1 KiB */
    fail_msg("%s; it ended at %s: %s %s", what, a->at,
             a->result < 0 ? error_kind_name(a->err.kind) : names[a->outcome],
             a->result < 0 ? a->err.msg : "");
}

void assert_outcome(const struct attempt *a, const char *at, enum builder_outcome outcome)
{
    if (a->result < 0 || a->outcome != outcome || strcmp(a->at, at) != 0)
        fail_attempt(a, "not the outcome that was expected");
}

void assert_built(const struct attempt *a)
{
    assert_outcome(a, a->push_to ? "push" : "build", BUILDER_DONE);
}

void assert_says(const struct attempt *a, const char *text)
{
    if (!buf_holds(&a->log, text))
        fail_attempt(a, text);
}

void assert_does_not_say(const struct attempt *a, const char *text)
{
    if (buf_holds(&a->log, text))
        fail_attempt(a, text);
}

/* ---- images ---- */

bool buf_holds(const struct buf *b, const char *text)
{
    return b->len > 0 && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void get(const char *url, struct http_response *resp)
{
    CLEANUP(argv_release) struct argv headers = ARGV_INIT;
    const struct http_request req = {.method = "GET", .url = url, .headers = &headers};
    struct error err = ERROR_INIT;

    argv_push(&headers, "Accept: application/vnd.docker.distribution.manifest.v2+json", NULL);
    if (http_curl.request(http_curl.self, &req, resp, &err) < 0 || resp->status != 200)
        fail_msg("get %s: %d %s", url, resp->status, err.msg);
}

void machine_fetch_blob(const struct machine *m, const char *repository, const char *digest,
                        struct buf *blob)
{
    struct http_response resp = HTTP_RESPONSE_INIT(IMAGE_MAX);
    char url[256];

    (void)snprintf(url, sizeof(url), "http://%s/v2/%s/blobs/%s", m->address, repository, digest);
    get(url, &resp);
    buf_add(blob, resp.body.data, resp.body.len);
    http_response_release(&resp);
}

static void add_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_add(self, text, len);
    buf_addc(self, '\n');
}

static void gunzip(const struct buf *gz, struct buf *out)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP_CLOSE int fd = memfd_create("layer", MFD_CLOEXEC);
    const struct process_sink sink = {add_line, out};
    const struct process_request req = {.argv = &argv, .stdin_fd = fd, .sink = &sink};
    struct process_end end;
    struct error err = ERROR_INIT;

    assert_int_equal(fs_write_all(fd, gz->data, gz->len, &err), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    argv_push(&argv, "gzip", "-dc", NULL);
    assert_int_equal(process_run(&req, &end, &err), 0);
    assert_true(process_succeeded(&end));
}

/* Every "digest":"…" of a manifest: the config is the blob that is JSON. */
void machine_fetch_image(const struct machine *m, const char *repository, const char *reference,
                         struct buf *config, struct buf *layers)
{
    struct http_response manifest = HTTP_RESPONSE_INIT(1 << 20);
    char url[256];
    int n = 0;

    (void)snprintf(url, sizeof(url), "http://%s/v2/%s/manifests/%s", m->address, repository,
                   reference);
    get(url, &manifest);
    for (const char *at = strstr(buf_str(&manifest.body), "\"digest\":\""); at;
         at = strstr(at + 1, "\"digest\":\""), n++) {
        struct http_response blob = HTTP_RESPONSE_INIT(IMAGE_MAX);

        (void)snprintf(url, sizeof(url), "http://%s/v2/%s/blobs/%.71s", m->address, repository,
                       at + 10);
        get(url, &blob);
        if (blob.body.len && blob.body.data[0] == '{')
            buf_add(config, blob.body.data, blob.body.len);
        else
            gunzip(&blob.body, layers);
        http_response_release(&blob);
    }
    http_response_release(&manifest);
    assert_true(n >= 1);
}

/* ---- processes ---- */

pid_t parent_of(pid_t pid)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(65536);
    struct error err = ERROR_INIT;
    char path[64];
    const char *at;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    if (fs_read_file(AT_FDCWD, path, &text, &err) < 0)
        return 0;
    at = strstr(buf_str(&text), "\nPPid:\t");
    return at ? atoi(at + 7) : 0;
}

static bool is_ours(pid_t pid)
{
    while (pid > 1 && pid != getpid())
        pid = parent_of(pid);
    return pid == getpid();
}

static pid_t find_process(const char *text, bool ours)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;

    assert_non_null(proc);
    for (struct dirent *e = readdir(proc); e && !found; e = readdir(proc)) {
        CLEANUP(buf_release) struct buf words = BUF_INIT(1 << 20);
        struct error ignored = ERROR_INIT;
        pid_t pid = atoi(e->d_name);
        char path[300];

        (void)snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
        if (pid > 0 && pid != getpid() && fs_read_file(AT_FDCWD, path, &words, &ignored) == 0 &&
            buf_holds(&words, text) && (!ours || is_ours(pid)))
            found = pid;
    }
    closedir(proc);
    return found;
}

pid_t process_with(const char *text)
{
    return find_process(text, false);
}

pid_t process_of_ours(const char *text)
{
    return find_process(text, true);
}

bool processes_are_gone(const char *text)
{
    for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
        if (process_with(text) == 0)
            return true;
        (void)poll(NULL, 0, PAUSE_MS);
    }
    return false;
}

size_t count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}
