/* Where base images come from, where they must not come from, and what is said when they do not
 * come. */
#include "machine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fs.h"

struct pull {
    enum builder_outcome outcome;
    int result;
    struct error err;
    struct buf log;
    void (*on_line)(struct pull *p);
    struct cancel *cancel;
    const struct machine *m;
};

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct pull *p = self;

    (void)stream;
    buf_add(&p->log, text, len);
    buf_addc(&p->log, '\n');
    if (p->on_line)
        p->on_line(p);
}

static void pull_with(struct builder *b, const char *workspace, const char *image,
                      const char *docker_config, struct pull *p)
{
    const struct process_sink sink = {keep_line, p};
    const struct builder_io io = {&sink, p->cancel};
    struct builder_job *job;
    struct error err = ERROR_INIT;

    p->log = (struct buf)BUF_INIT(1 << 20);
    if (builder_job_begin(b, workspace, "pull", &job, &err) < 0)
        fail_msg("%s", err.msg);
    p->result = builder_pull(job, image, docker_config, &io, &p->outcome, &p->err);
    builder_job_end(job);
}

static void assert_pulled(const struct pull *p, enum builder_outcome outcome, const char *says)
{
    if (p->result < 0 || p->outcome != outcome || !strstr(buf_str(&p->log), says)) {
        print_error("%s%s\n", buf_str(&p->log), p->err.msg);
        fail_msg("result %d, outcome %d, and not %d with \"%s\"", p->result, (int)p->outcome,
                 (int)outcome, says);
    }
}

static void test_an_image_that_is_not_there_is_the_users_fault_and_named(void **state)
{
    static const struct {
        const char *image, *says;
    } cases[] = {
        {"alpine:missing-tag", "docker.io/library/alpine:missing-tag: not found\n"},
        {"nobody/nothing", "docker.io/nobody/nothing:latest: not found\n"},
        {"oci-archive:/etc/passwd", "\"oci-archive:/etc/passwd\" is not the name of an image\n"},
        {"--all-tags", "is not the name of an image\n"},
    };
    const struct machine *m = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pull p = {.result = 0};

        pull_with(m->b, "ws", cases[i].image, NULL, &p);
        assert_pulled(&p, BUILDER_FAILED, cases[i].says);
        buf_release(&p.log);
    }
}

static void test_this_machine_and_other_workspaces_are_not_pulled_from(void **state)
{
    const struct machine *m = *state;
    struct attempt a = {.dockerfile = "FROM scratch\nLABEL a=b\n",
                        .workspace = "victim",
                        .push_to = "victim/sandbox/app"};
    char others[128];
    char hosts[5][128];

    attempt_run(m, &a);
    assert_built(&a);
    (void)snprintf(others, sizeof(others), "%s/victim/sandbox/app:latest", m->address);
    (void)snprintf(hosts[0], 128, "localhost:%s/victim/sandbox/app", strchr(m->address, ':') + 1);
    (void)snprintf(hosts[1], 128, "127.1:%s/victim/sandbox/app", strchr(m->address, ':') + 1);
    (void)snprintf(hosts[2], 128, "[::1]:%s/victim/sandbox/app", strchr(m->address, ':') + 1);
    (void)snprintf(hosts[3], 128, "169.254.169.254/latest/meta-data");
    (void)snprintf(hosts[4], 128, "0.0.0.0:%s/victim/sandbox/app", strchr(m->address, ':') + 1);
    for (size_t i = 0; i < 5; i++) {
        struct pull p = {.result = 0};

        pull_with(m->b, "ws", hosts[i], NULL, &p);
        assert_pulled(&p, BUILDER_FAILED, "not allowed");
        assert_false(buf_holds(&p.log, "Trying to pull"));
        buf_release(&p.log);
    }
    for (int own = 0; own < 2; own++) {
        struct pull p = {.result = 0};

        pull_with(m->b, own ? "victim" : "ws", others, NULL, &p);
        assert_pulled(&p, own ? BUILDER_DONE : BUILDER_FAILED, own ? "" : "not allowed");
        buf_release(&p.log);
    }
    attempt_release(&a);
}

/* The names in /etc/hosts stand for any name that a resolver turns into this machine. */
static void test_a_name_that_resolves_to_this_machine_is_not_pulled_from(void **state)
{
    const struct machine *m = *state;
    struct pull p = {.result = 0};
    char image[128];
    char name[64];
    CLEANUP(buf_release) struct buf hosts = BUF_INIT(65536);
    const char *at;
    struct error err = ERROR_INIT;

    /* a name other than localhost on the line of 127.0.0.1 or 127.0.1.1, as Debian makes them */
    assert_int_equal(fs_read_file(AT_FDCWD, "/etc/hosts", &hosts, &err), 0);
    for (at = strstr(buf_str(&hosts), "127.0."); at; at = strstr(at + 1, "127.0."))
        if (sscanf(at, "%*s %63s", name) == 1 && strcmp(name, "localhost") != 0)
            break;
    if (!at) {
        buf_release(&hosts); /* skip leaves by longjmp */
        skip();
    }
    (void)snprintf(image, sizeof(image), "%s%s/library/alpine:3.20", name, strchr(m->address, ':'));
    pull_with(m->b, "ws", image, NULL, &p);
    assert_pulled(&p, BUILDER_FAILED, "is an address of this machine");
    buf_release(&p.log);
}

static void test_a_registry_that_does_not_answer_is_another_machines_fault(void **state)
{
    const struct machine *m = *state;
    char dead[32];
    struct builder_mirror mirror = {"docker.io", dead, true};
    struct builder_config config = m->config;
    struct builder *b;
    struct pull p = {.result = 0};
    struct error err = ERROR_INIT;

    (void)snprintf(dead, sizeof(dead), "127.0.0.1:%d", machine_free_port());
    config.mirrors = &mirror;
    config.n_mirrors = 1;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    pull_with(b, "ws", "alpine:3.20", NULL, &p);
    assert_int_equal(p.result, -1);
    assert_int_equal(p.err.kind, ERR_REMOTE);
    assert_non_null(strstr(p.err.msg, "docker.io/library/alpine:3.20"));
    assert_non_null(strstr(p.err.msg, "connect to"));
    buf_release(&p.log);
    builder_free(b);
}

static void test_a_name_that_does_not_resolve_is_another_machines_fault(void **state)
{
    const struct machine *m = *state;
    struct pull p = {.result = 0};

    pull_with(m->b, "ws", "registry.invalid/x:1", NULL, &p); /* RFC 2606: never exists */
    assert_int_equal(p.result, -1);
    assert_int_equal(p.err.kind, ERR_REMOTE);
    buf_release(&p.log);
}

static void test_a_moved_tag_is_fetched_again(void **state)
{
    const struct machine *m = *state;
    char text[256];
    struct attempt base = {.dockerfile = "FROM scratch\nLABEL version=1\n",
                           .push_to = "ws/base/moving"};
    struct attempt app = {.dockerfile = text, .push_to = "ws/base/app"};
    CLEANUP(buf_release) struct buf config = BUF_INIT(1 << 20);
    CLEANUP(buf_release) struct buf layers = BUF_INIT(1 << 20);
    char image[128];

    (void)snprintf(image, sizeof(image), "%s/ws/base/moving:latest", m->address);
    (void)snprintf(text, sizeof(text), "FROM %s\nLABEL app=1\n", image);
    app.images = image;
    for (int i = 1; i <= 2; i++) {
        attempt_run(m, &base);
        assert_built(&base);
        attempt_run(m, &app);
        assert_built(&app);
        base.dockerfile = "FROM scratch\nLABEL version=2\n";
        attempt_release(&base);
        attempt_release(&app);
    }
    machine_fetch_image(m, "ws/base/app", "latest", &config, &layers);
    assert_true(buf_holds(&config, "\"version\":\"2\""));
}

/* ---- credentials ---- */

/* "kiln:opensesame", by bcrypt as htpasswd -B writes it. */
#define HTPASSWD "kiln:$2y$05$abcdefghijklmnopqrstuuQbLfdQZSxZ9gjhA5V9o8Tyc6aQRO0Qi\n"
#define PASSWORD "opensesame"

static bool disk_holds(const char *dir, const char *text)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    const struct process_request req = {.argv = &argv, .stdin_fd = -1};
    struct process_end end;
    struct error err = ERROR_INIT;

    argv_push(&argv, "grep", "-r", "-q", "-a", text, dir, NULL);
    assert_int_equal(process_run(&req, &end, &err), 0);
    assert_int_equal(end.how, PROCESS_EXITED);
    return end.code == 0;
}

static void look_for_the_password(struct pull *p)
{
    char encoded[64];
    struct buf b64 = BUF_INIT(64);

    digest_base64("kiln:" PASSWORD, strlen("kiln:" PASSWORD), &b64);
    (void)snprintf(encoded, sizeof(encoded), "%s", buf_str(&b64));
    buf_release(&b64);
    assert_int_equal(process_with(encoded), 0);
    assert_int_equal(process_with(PASSWORD), 0);
    assert_false(disk_holds(p->m->config.dir, encoded));
}

static void start_private_registry(const struct machine *m, struct process *ret, char address[32])
{
    char path[128];
    char yaml[256];
    struct error err = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/htpasswd", m->dir);
    assert_int_equal(fs_write_file(AT_FDCWD, path, HTPASSWD, strlen(HTPASSWD), 0644, &err), 0);
    (void)snprintf(yaml, sizeof(yaml), "auth: {htpasswd: {realm: kiln, path: %s}}\n", path);
    machine_start_registry(m, "registry", yaml, ret, address); /* the same images */
}

static void docker_config_for(const char *host, struct buf *out)
{
    buf_addf(out, "{\"auths\":{\"%s\":{\"auth\":\"", host);
    digest_base64("kiln:" PASSWORD, strlen("kiln:" PASSWORD), out);
    buf_adds(out, "\"}}}");
}

static void test_credentials_open_a_private_registry_and_stay_in_memory(void **state)
{
    const struct machine *m = *state;
    struct process registry;
    char address[32];
    struct builder_mirror mirror = {"private.example", address, true};
    struct builder_config config = m->config;
    CLEANUP(buf_release) struct buf docker_config = BUF_INIT(1024);
    struct pull refused = {.result = 0};
    struct pull let_in = {.on_line = look_for_the_password, .m = m};
    struct builder *b;
    struct error err = ERROR_INIT;

    start_private_registry(m, &registry, address);
    docker_config_for(address, &docker_config); /* a mirror gets its own credentials only */
    config.mirrors = &mirror;
    config.n_mirrors = 1;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    pull_with(b, "private", "private.example/library/alpine:3.20", NULL, &refused);
    assert_pulled(&refused, BUILDER_FAILED, "access denied");
    pull_with(b, "private", "private.example/library/alpine:3.20", buf_str(&docker_config),
              &let_in);
    assert_pulled(&let_in, BUILDER_DONE, "Storing signatures");
    look_for_the_password(&let_in);
    buf_release(&refused.log);
    buf_release(&let_in.log);
    builder_free(b);
    process_stop(&registry, 1000);
}

static void test_what_one_workspace_pulled_another_does_not_have(void **state)
{
    struct attempt first = {
        .workspace = "one", .images = ALPINE, .dockerfile = "FROM alpine:3.20\nRUN true\n"};
    struct attempt second = {.workspace = "two", .dockerfile = "FROM alpine:3.20\nRUN true\n"};

    attempt_run(*state, &first);
    assert_built(&first);
    attempt_run(*state, &second);
    assert_int_equal(second.result, -1);
    assert_non_null(strstr(second.err.msg, "alpine:3.20 was not fetched"));
    attempt_release(&first);
    attempt_release(&second);
}

/* ---- connections that break ---- */

#define CUT      200000
#define TEXT     (3 << 20) /* of a layer's file, of which half is left when it is compressed */
#define READY_MS 60000

/* A registry's address behind one that breaks off every answer after CUT bytes of its body. */
struct cutter {
    struct process process;
    char dir[128], address[32];
};

static void start_cutter(const struct machine *m, struct cutter *ret)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    CLEANUP(buf_release) struct buf port = BUF_INIT(16);
    CLEANUP_CLOSE int log = -1;
    struct error err = ERROR_INIT;
    char path[160];

    (void)snprintf(ret->dir, sizeof(ret->dir), "%s/cutter", m->dir);
    assert_int_equal(fs_mkdirs(ret->dir, 0755, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/log", ret->dir);
    log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    argv_push(&argv, "python3", "-B", NULL);
    argv_pushf(&argv, "%s/tests/builder/cut_answers.py", getenv("KILN_SOURCE"));
    argv_push(&argv, ret->dir, m->address, NULL);
    argv_pushf(&argv, "%d", CUT);
    argv_pushf(&env, "PATH=%s", getenv("PATH"));
    assert_int_equal(process_start(&argv, &env, NULL, 0, log, &ret->process, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/port", ret->dir);
    for (int waited = 0; access(path, F_OK) < 0; waited += 20) {
        assert_true(waited < READY_MS && process_is_alive(&ret->process));
        (void)poll(NULL, 0, 20);
    }
    assert_int_equal(fs_read_file(AT_FDCWD, path, &port, &err), 0);
    (void)snprintf(ret->address, sizeof(ret->address), "127.0.0.1:%s", buf_str(&port));
}

/* An image of one layer, which is as large as it looks. */
static void push_large_image(const struct machine *m, const char *repository)
{
    static char text[TEXT + 1];
    static const char *files[] = {"large", text, NULL};
    struct attempt a = {
        .dockerfile = "FROM scratch\nCOPY large /\n", .push_to = repository, .files = files};

    for (size_t i = 0; i < TEXT / 64; i++)
        digest_sha256_hex(&i, sizeof(i), text + i * 64); /* its NUL is written over by the next */
    attempt_run(m, &a);
    assert_built(&a);
    attempt_release(&a);
}

struct answers {
    unsigned long long size, sent; /* of the large blob: its bytes, and those that came */
    int n;
};

/* Of answers "path from size sent". */
static void read_answers(const struct cutter *c, struct answers *ret)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct error err = ERROR_INIT;
    char path[160];

    *ret = (struct answers){.n = 0};
    (void)snprintf(path, sizeof(path), "%s/answers", c->dir);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    for (char *rest = text.data, *line; (line = strsep(&rest, "\n"));) {
        unsigned long long from, size, sent;

        if (sscanf(line, "%*s %llu %llu %llu", &from, &size, &sent) != 3 ||
            !strstr(line, "/blobs/") || size <= CUT)
            continue;
        assert_int_equal(from, ret->sent); /* it goes on where it was */
        ret->size = size;
        ret->sent += sent;
        ret->n++;
    }
}

static void test_a_blob_goes_on_where_its_connection_broke_however_often(void **state)
{
    const struct machine *m = *state;
    struct cutter cutter;
    struct builder_mirror mirror = {"cut.example", cutter.address, true};
    struct builder_config config = m->config;
    struct builder *b;
    struct pull p = {.result = 0};
    struct answers answers;
    struct error err = ERROR_INIT;

    push_large_image(m, "ws/base/large");
    start_cutter(m, &cutter);
    config.mirrors = &mirror;
    config.n_mirrors = 1;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    pull_with(b, "cut", "cut.example/ws/base/large:latest", NULL, &p);
    assert_pulled(&p, BUILDER_DONE, "the connection broke off; blob sha256:");
    read_answers(&cutter, &answers);
    assert_true(answers.n > 5);
    assert_int_equal(answers.sent, answers.size); /* no byte came twice */
    buf_release(&p.log);
    builder_free(b);
    process_stop(&cutter.process, 0);
}

/* ---- what is not taken ---- */

static void test_an_image_that_is_larger_than_the_store_may_be_is_refused(void **state)
{
    const struct machine *m = *state;
    struct builder_config config = m->config;
    struct builder *b;
    struct pull p = {.result = 0};
    struct error err = ERROR_INIT;

    config.bases_max = 1000;
    assert_int_equal(builder_open_as(&config, m->b->ids.users, &b, &err), 0);
    pull_with(b, "small", ALPINE, NULL, &p);
    assert_pulled(&p, BUILDER_FAILED,
                  "docker.io/library/alpine:3.20: its layers are larger than 1 kB");
    buf_release(&p.log);
    builder_free(b);
}

/* ---- one at a time ---- */

static void test_a_pull_that_waits_for_another_can_be_cancelled(void **state)
{
    const struct machine *m = *state;
    struct cancel cancel;
    struct pull p = {.cancel = &cancel};
    char path[128];
    struct error err = ERROR_INIT;
    CLEANUP_CLOSE int fd = -1;

    (void)snprintf(path, sizeof(path), "%s/bases/waiting.lock", m->config.dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(cancel_init(&cancel, &err), 0);
    cancel_throw(&cancel);
    pull_with(m->b, "waiting", ALPINE, NULL, &p);
    assert_pulled(&p, BUILDER_CANCELLED, "");
    cancel_release(&cancel);
    buf_release(&p.log);
}

struct puller {
    const struct machine *m;
    const char *image;
    const char *id;
    struct pull p;
};

static void *pull_thread(void *self)
{
    struct puller *r = self;
    const struct process_sink sink = {keep_line, &r->p};
    const struct builder_io io = {&sink, NULL};
    struct builder_job *job;

    r->p.log = (struct buf)BUF_INIT(1 << 20);
    r->p.result = builder_job_begin(r->m->b, "shared", r->id, &job, &r->p.err);
    if (r->p.result == 0) {
        r->p.result = builder_pull(job, r->image, NULL, &io, &r->p.outcome, &r->p.err);
        builder_job_end(job);
    }
    return NULL;
}

static void test_pulls_at_once_into_one_store_all_succeed(void **state)
{
    static const char *const images[] = {"alpine:3.20", "busybox", "node:22-alpine", "alpine:3.20"};
    static const char *const ids[] = {"a", "b", "c", "d"};
    struct puller pullers[4];
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++) {
        pullers[i] = (struct puller){.m = *state, .image = images[i], .id = ids[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, pull_thread, &pullers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_pulled(&pullers[i].p, BUILDER_DONE, "");
        buf_release(&pullers[i].p.log);
    }
}

static void kill_buildah(struct pull *p)
{
    pid_t pid = process_of_ours("/usr/bin/buildah");

    if (buf_holds(&p->log, "Copying blob") && pid > 0)
        (void)kill(pid, SIGKILL);
}

static void test_a_store_survives_a_pull_that_was_killed(void **state)
{
    const struct machine *m = *state;
    struct pull killed = {.on_line = kill_buildah};
    struct attempt a = {
        .workspace = "hurt", .images = ALPINE, .dockerfile = "FROM alpine:3.20\nRUN true\n"};

    pull_with(m->b, "hurt", ALPINE, NULL, &killed);
    assert_pulled(&killed, BUILDER_KILLED, "Copying blob");
    attempt_run(m, &a);
    assert_built(&a);
    attempt_release(&a);
    buf_release(&killed.log);
}

/* ---- without a pull ---- */

static enum builder_currency currency_of(struct builder_job *job, const char *image,
                                         struct builder_base_place *place)
{
    enum builder_currency ret;
    struct error err = ERROR_INIT;

    if (builder_base_currency(job, image, &ret, place, &err) < 0)
        fail_msg("%s", err.msg);
    return ret;
}

static void test_only_the_operators_own_registries_are_asked_whether_a_base_is_current(void **state)
{
    static const char *const unknown[] = {
        "docker.io/library/busybox:latest", /* not there */
        "registry.example/team/base:1",     /* nobody's mirror */
        "127.0.0.1:1/x:1",                  /* this machine */
    };
    const struct machine *m = *state;
    struct builder_base base;
    struct builder_base_place place;
    struct builder_job *job;
    struct pull p = {.result = 0};
    struct error err = ERROR_INIT;
    char url[128], pinned[256];
    bool is;

    pull_with(m->b, "current", ALPINE, NULL, &p);
    assert_pulled(&p, BUILDER_DONE, "");
    assert_int_equal(builder_job_begin(m->b, "current", "look", &job, &err), 0);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(currency_of(job, unknown[i], &place), BUILDER_BASE_UNKNOWN);

    assert_int_equal(currency_of(job, ALPINE, &place), BUILDER_BASE_ASK);
    (void)snprintf(url, sizeof(url), "http://%s", m->location);
    assert_string_equal(place.url, url);
    assert_string_equal(place.repository, "library/alpine");
    assert_string_equal(place.tag, "3.20");

    assert_int_equal(builder_base_find(job, ALPINE, (const char *const[]){NULL}, &is, &base, &err),
                     0);
    assert_true(is);
    assert_int_equal(builder_base_came_as(job, ALPINE, base.digest, &is, &err), 0);
    assert_true(is);
    (void)snprintf(pinned, sizeof(pinned), "docker.io/library/alpine@%s", base.digest);
    assert_int_equal(currency_of(job, pinned, &place), BUILDER_BASE_CURRENT);

    pinned[strlen(pinned) - 1] = pinned[strlen(pinned) - 1] == '0' ? '1' : '0'; /* another one */
    assert_int_equal(currency_of(job, pinned, &place), BUILDER_BASE_UNKNOWN);
    assert_int_equal(builder_base_came_as(job, ALPINE, strchr(pinned, '@') + 1, &is, &err), 0);
    assert_false(is);
    builder_base_release(&base);
    builder_job_end(job);
    buf_release(&p.log);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_only_the_operators_own_registries_are_asked_whether_a_base_is_current),
        cmocka_unit_test(test_an_image_that_is_not_there_is_the_users_fault_and_named),
        cmocka_unit_test(test_this_machine_and_other_workspaces_are_not_pulled_from),
        cmocka_unit_test(test_a_name_that_resolves_to_this_machine_is_not_pulled_from),
        cmocka_unit_test(test_a_registry_that_does_not_answer_is_another_machines_fault),
        cmocka_unit_test(test_a_name_that_does_not_resolve_is_another_machines_fault),
        cmocka_unit_test(test_a_moved_tag_is_fetched_again),
        cmocka_unit_test(test_credentials_open_a_private_registry_and_stay_in_memory),
        cmocka_unit_test(test_a_blob_goes_on_where_its_connection_broke_however_often),
        cmocka_unit_test(test_an_image_that_is_larger_than_the_store_may_be_is_refused),
        cmocka_unit_test(test_what_one_workspace_pulled_another_does_not_have),
        cmocka_unit_test(test_a_pull_that_waits_for_another_can_be_cancelled),
        cmocka_unit_test(test_pulls_at_once_into_one_store_all_succeed),
        cmocka_unit_test(test_a_store_survives_a_pull_that_was_killed),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
