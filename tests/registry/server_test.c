/* The supervised docker-registry: started, killed, started again, and what stops it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "tests/registry/fixture.h"

#define REPO "team/job/demo"

static int setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static int teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* The only child of this process. */
static pid_t find_child(void)
{
    struct buf text = BUF_INIT(1000);
    struct error err = ERROR_INIT;
    char path[64];
    long pid;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
    if (fs_read_file(AT_FDCWD, path, &text, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(sscanf(buf_str(&text), "%ld", &pid), 1);
    assert_null(strchr(buf_str(&text) + strcspn(buf_str(&text), " ") + 1, ' '));
    buf_release(&text);
    return (pid_t)pid;
}

static void assert_present(const struct fixture *f, const char *digest)
{
    struct registry_manifest m;
    struct error err = ERROR_INIT;
    enum registry_presence presence;

    if (registry_get_manifest(&f->registry, REPO, "v1", &presence, &m, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(presence, REGISTRY_PRESENT);
    assert_string_equal(m.digest, digest);
    registry_manifest_release(&m);
}

static void assert_start_fails(struct fixture *f, const char *part)
{
    struct error err = ERROR_INIT;

    assert_int_equal(registry_server_start(&f->config, &f->server, &err), -1);
    assert_null(f->server);
    if (!text_starts(err.msg, "start the registry: ") || !strstr(err.msg, part))
        fail_msg("%s", err.msg);
}

static void test_killed_it_is_started_again_with_its_images(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    char digest[REGISTRY_DIGEST];
    bool restarted = true;
    pid_t pid;

    fixture_start(f);
    fixture_push_image(f, REPO, "v1", "layer", digest);
    assert_int_equal(registry_server_check(f->server, &restarted, &err), 0);
    assert_false(restarted);
    pid = find_child();
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (int i = 0; i < 500 && !restarted; i++) {
        if (registry_server_check(f->server, &restarted, &err) < 0)
            fail_msg("%s", err.msg);
        (void)poll(NULL, 0, 10);
    }
    assert_true(restarted);
    assert_int_not_equal(find_child(), pid);
    assert_present(f, digest);
}

static void test_stopped_and_started_anew_it_has_its_images(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    struct error err = ERROR_INIT;

    fixture_start(f);
    fixture_push_image(f, REPO, "v1", "layer", digest);
    registry_server_free(f->server);
    f->server = NULL;
    assert_int_equal(registry_ping(&f->registry, &err), -1);
    fixture_start(f);
    assert_present(f, digest);
}

static void test_the_port_of_another_program_is_named(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char expected[100];

    a.sin_port = htons((uint16_t)strtoul(strchr(f->listen, ':') + 1, NULL, 10));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    (void)snprintf(expected, sizeof(expected), "another program listens on %s already", f->listen);
    assert_start_fails(f, expected);
    close(fd);
}

static void test_the_port_of_another_registry_is_named(void **state)
{
    struct fixture *f = *state;
    struct registry_server *first;
    char expected[100];

    fixture_start(f);
    first = f->server;
    f->server = NULL;
    (void)snprintf(expected, sizeof(expected), "another registry listens on %s already", f->listen);
    assert_start_fails(f, expected);
    f->server = first;
}

static void test_a_missing_program_is_named(void **state)
{
    struct fixture *f = *state;

    f->config.program = "kiln-no-such-registry";
    assert_start_fails(f, "start kiln-no-such-registry: No such file or directory");
}

/* A program of our own in the fixture's directory. */
static void write_program(struct fixture *f, char path[200], const char *script)
{
    struct error err = ERROR_INIT;

    (void)snprintf(path, 200, "%s/program", f->dir);
    if (fs_write_file(AT_FDCWD, path, script, strlen(script), 0755, &err) < 0)
        fail_msg("%s", err.msg);
    f->config.program = path;
}

static void test_a_program_that_ends_at_once_is_told_with_its_last_words(void **state)
{
    struct fixture *f = *state;
    char path[200];

    write_program(f, path, "#!/bin/sh\necho first\necho \"no more inodes\" >&2\nexit 1\n");
    assert_start_fails(f, "ended at once: no more inodes");
}

static void test_a_program_that_never_answers_is_given_up_and_stopped(void **state)
{
    struct fixture *f = *state;
    char path[200];
    int64_t start = clock_monotonic();

    write_program(f, path, "#!/bin/sh\nexec /bin/sleep 100\n");
    f->config.ready_ms = 2000;
    assert_start_fails(f, "did not answer on 127.0.0.1:");
    assert_in_range((clock_monotonic() - start) / NS_PER_MS, 2000, 90000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* Otherwise the next check would find a process, and call that a registry. */
static void test_a_restart_that_never_answers_leaves_no_process(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    bool restarted;
    char path[200];
    pid_t pid;

    write_program(f, path, "#!/bin/sh\nexec docker-registry \"$@\"\n");
    f->config.ready_ms = 15000;
    fixture_start(f);
    pid = find_child();
    write_program(f, path, "#!/bin/sh\nexec /bin/sleep 100\n");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
    assert_int_equal(registry_server_check(f->server, &restarted, &err), -1);
    assert_non_null(strstr(err.msg, "start the registry again: "));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_addresses_and_directories_that_are_none_are_refused(void **state)
{
    static const char *const addresses[] = {"",
                                            "5000",
                                            "127.0.0.1",
                                            "127.0.0.1:",
                                            "127.0.0.1:0",
                                            "127.0.0.1:70000",
                                            "127.0.0.1:5000'\nx: y",
                                            "host name:5000",
                                            "a'b:5000"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        f->config.listen = addresses[i];
        assert_start_fails(f, "is no address and port to listen on");
    }
    f->config.listen = f->listen;
    f->config.dir = "relative";
    assert_start_fails(f, "absolute path");
    f->config.dir = "/tmp/new\nline";
    assert_start_fails(f, "absolute path");
}

static void test_a_directory_with_quotes_and_blanks_is_quoted_right(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    char dir[200];
    char blobs[400];
    struct stat st;

    (void)snprintf(dir, sizeof(dir), "%s/it's # a: \"dir\"", f->dir);
    f->config.dir = dir;
    fixture_start(f);
    fixture_push_image(f, REPO, "v1", "layer", digest);
    (void)snprintf(blobs, sizeof(blobs), "%s/data/docker/registry/v2/blobs", dir);
    assert_int_equal(stat(blobs, &st), 0);
}

static void test_its_configuration_and_log_are_for_the_owner_alone(void **state)
{
    static const char *const names[] = {"config.yml", "registry.log", "data"};
    struct fixture *f = *state;
    struct buf first;
    struct buf second;

    fixture_start(f);
    for (int i = 0; i < 3; i++) {
        char path[200];
        struct stat st;

        (void)snprintf(path, sizeof(path), "%s/%s", f->dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 077, 0);
    }
    first = fixture_read(f, "config.yml");
    assert_non_null(strstr(buf_str(&first), f->listen));
    registry_server_free(f->server);
    f->server = NULL;
    fixture_start(f);
    second = fixture_read(f, "config.yml");
    assert_string_not_equal(buf_str(&first), buf_str(&second)); /* the secret is new */
    buf_release(&first);
    buf_release(&second);
}

static void test_its_environment_cannot_change_its_configuration(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    int result;

    setenv("REGISTRY_HTTP_ADDR", "127.0.0.1:1", 1);
    result = registry_server_start(&f->config, &f->server, &err);
    unsetenv("REGISTRY_HTTP_ADDR");
    if (result < 0)
        fail_msg("%s", err.msg);
}

static void assert_log_size(struct fixture *f, off_t before, bool kept)
{
    char path[200];
    struct stat st;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/registry.log", f->dir);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, before), 0);
    close(fd);
    fixture_start(f);
    registry_server_free(f->server);
    f->server = NULL;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size >= before, kept);
}

static void test_a_log_that_grew_past_10_mib_starts_over(void **state)
{
    assert_log_size(*state, (10 << 20) + 1, false);
    assert_log_size(*state, 1 << 20, true);
}

static void collect(const struct fixture *f, bool busy, size_t removed)
{
    struct error err = ERROR_INIT;
    bool was_busy = !busy;
    size_t n = 77;

    if (registry_server_collect(&f->config, &was_busy, &n, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(was_busy, busy);
    assert_int_equal(n, removed);
}

static void test_what_was_deleted_leaves_the_disk_when_nobody_serves_it(void **state)
{
    struct fixture *f = *state;
    enum registry_presence presence = REGISTRY_ABSENT;
    char kept[REGISTRY_DIGEST], gone[REGISTRY_DIGEST], layer[REGISTRY_DIGEST];
    struct error err = ERROR_INIT;

    collect(f, false, 0); /* it was never started */
    fixture_start(f);
    fixture_push_image(f, REPO, "v1", "kept", kept);
    fixture_push_image(f, REPO, "v2", "gone", gone);
    fixture_push_blob(f, REPO, "gone", layer);
    assert_int_equal(registry_delete_manifest(&f->registry, REPO, gone, &err), 0);
    collect(f, true, 0);
    assert_present(f, kept);
    registry_server_free(f->server);
    f->server = NULL;
    collect(f, false, 2); /* the manifest and its layer; the config is the other's, too */
    fixture_start(f);
    assert_present(f, kept);
    assert_int_equal(registry_has_blob(&f->registry, REPO, layer, &presence, &err), 0);
    assert_int_equal(presence, REGISTRY_ABSENT);
}

static void test_garbage_that_cannot_be_collected_is_told(void **state)
{
    struct fixture *f = *state;
    char digest[REGISTRY_DIGEST];
    struct error err = ERROR_INIT;
    size_t n = 77;
    bool busy;

    fixture_start(f);
    fixture_push_image(f, REPO, "v1", "layer", digest);
    registry_server_free(f->server);
    f->server = NULL;
    f->config.program = "false";
    assert_int_equal(registry_server_collect(&f->config, &busy, &n, &err), -1);
    assert_non_null(strstr(err.msg, "exited with 1"));
    assert_int_equal(n, 77);
}

static void test_freeing_none_is_fine(void **state)
{
    (void)state;
    registry_server_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_it_is_started_again_with_its_images),
        TEST(test_stopped_and_started_anew_it_has_its_images),
        TEST(test_the_port_of_another_program_is_named),
        TEST(test_the_port_of_another_registry_is_named),
        TEST(test_a_missing_program_is_named),
        TEST(test_a_program_that_ends_at_once_is_told_with_its_last_words),
        TEST(test_a_program_that_never_answers_is_given_up_and_stopped),
        TEST(test_a_restart_that_never_answers_leaves_no_process),
        TEST(test_addresses_and_directories_that_are_none_are_refused),
        TEST(test_a_directory_with_quotes_and_blanks_is_quoted_right),
        TEST(test_its_configuration_and_log_are_for_the_owner_alone),
        TEST(test_its_environment_cannot_change_its_configuration),
        TEST(test_a_log_that_grew_past_10_mib_starts_over),
        TEST(test_what_was_deleted_leaves_the_disk_when_nobody_serves_it),
        TEST(test_garbage_that_cannot_be_collected_is_told),
        TEST(test_freeing_none_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
