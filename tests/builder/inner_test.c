/* Kiln's own code in a jail: what it reads, what it may write, and how its end is told. */
#include "machine.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* ---- what runs inside ---- */

static int copy_main(int argc, char **argv)
{
    char block[4096];
    ssize_t n;

    (void)argc;
    (void)argv;
    while ((n = read(0, block, sizeof(block))) > 0)
        if (write(1, block, (size_t)n) != n)
            return 3;
    return 0;
}

static int words_main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("%d:%s\n", i, argv[i]);
    for (char **e = environ; *e; e++)
        printf("env:%s\n", *e);
    return 0;
}

static int context_main(int argc, char **argv)
{
    FILE *f = fopen("/context/made", "we");

    (void)argc;
    (void)argv;
    if (!f || fputs("inside", f) < 0 || fclose(f) != 0 || chown("/context/made", 1, 2) < 0)
        return 1;
    return access("/kiln", F_OK) == 0 ? 2 : 0;
}

static int flood_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int i = 0; i < 100000; i++)
        if (write(1, "0123456789", 10) != 10)
            return 4;
    return 0;
}

static int fail_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("entry ../x is not allowed\n", stderr);
    return 1;
}

static int crash_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    signal(SIGABRT, SIG_DFL);
    return raise(SIGABRT);
}

static int killed_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return raise(SIGKILL);
}

static int sleep_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("ready\n", stderr);
    return (int)sleep(60);
}

static int powers_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 2;
    if (chroot("/context") == 0 || setuid(5) == 0)
        return 3;
    if (mount_setattr(AT_FDCWD, "/", 0, NULL, 0) == 0)
        return 4;
    return open("/etc/passwd", O_WRONLY | O_CLOEXEC) >= 0 ? 5 : 0;
}

/* What we wrote can be read and replaced; what it makes can be made below what we made. */
static int share_main(int argc, char **argv)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64);
    struct error err;

    (void)argc;
    (void)argv;
    if (fs_read_file(AT_FDCWD, "/kiln/store/packs/ours", &text, &err) < 0 ||
        strcmp(buf_str(&text), "secret") != 0)
        return 1;
    if (fs_write_file(AT_FDCWD, "/kiln/store/packs/made", "inside", 6, 0600, &err) < 0 ||
        unlink("/kiln/store/packs/ours") < 0)
        return 2;
    return access("/kiln/other", F_OK) == 0 || access("/kiln/store/../../tmp/other", F_OK) == 0 ? 3
                                                                                                : 0;
}

static const struct builder_inner inner[] = {
    {"share", share_main}, {"copy", copy_main},
    {"words", words_main}, {"context", context_main},
    {"flood", flood_main}, {"fail", fail_main},
    {"crash", crash_main}, {"killed", killed_main},
    {"sleep", sleep_main}, {"powers", powers_main},
    {NULL, NULL},
};

/* ---- the tests ---- */

struct inside {
    enum builder_outcome outcome;
    int result;
    struct error err;
    struct buf out;
    struct buf said;
    struct cancel *cancel;
    struct argv words;
    int stdin_fd;
    char made[32]; /* the content of the context's file "made" */
};

static void keep_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct inside *i = self;

    (void)stream;
    buf_add(&i->said, text, len);
    buf_addc(&i->said, '\n');
    if (i->cancel && strcmp(text, "ready") == 0)
        cancel_throw(i->cancel);
}

static void read_made(const struct builder_job *job, struct inside *i)
{
    char path[2 * PATH_MAX];
    struct buf text = BUF_INIT(sizeof(i->made) - 1);
    struct error ignored = ERROR_INIT;

    (void)snprintf(path, sizeof(path), "%s/made", job->context);
    if (fs_read_file(AT_FDCWD, path, &text, &ignored) == 0)
        (void)snprintf(i->made, sizeof(i->made), "%s", buf_str(&text));
    buf_release(&text);
}

static void run(const struct machine *m, const char *name, size_t out_max, struct inside *i)
{
    const struct process_sink sink = {keep_line, i};
    const struct builder_io io = {&sink, i->cancel};
    struct builder_job *job;
    struct error err = ERROR_INIT;

    i->out = (struct buf){.max = out_max};
    i->said = (struct buf)BUF_INIT(1 << 20);
    assert_int_equal(builder_job_begin(m->b, "ws", "inside", &job, &err), 0);
    i->result =
        builder_run_inside(job, name, &i->words, i->stdin_fd, &i->out, &io, &i->outcome, &i->err);
    read_made(job, i);
    builder_job_end(job);
}

static void assert_inside(const struct inside *i, enum builder_outcome outcome)
{
    if (i->result < 0 || i->outcome != outcome)
        fail_msg("result %d, outcome %d: %s%s", i->result, (int)i->outcome, i->err.msg,
                 buf_str(&i->said));
}

static void release(struct inside *i)
{
    buf_release(&i->out);
    buf_release(&i->said);
    argv_release(&i->words);
}

static void test_every_byte_goes_through(void **state)
{
    unsigned char bytes[70000];
    struct inside i = {.stdin_fd = memfd_create("in", MFD_CLOEXEC)};
    struct error err = ERROR_INIT;

    for (size_t n = 0; n < sizeof(bytes); n++)
        bytes[n] = (unsigned char)(n * 7 + n / 256);
    assert_int_equal(fs_write_all(i.stdin_fd, bytes, sizeof(bytes), &err), 0);
    assert_int_equal(lseek(i.stdin_fd, 0, SEEK_SET), 0);
    run(*state, "copy", 1 << 20, &i);
    assert_inside(&i, BUILDER_DONE);
    assert_int_equal(i.out.len, sizeof(bytes));
    assert_memory_equal(i.out.data, bytes, sizeof(bytes));
    close(i.stdin_fd);
    release(&i);
}

static void test_words_arrive_and_the_environment_is_empty(void **state)
{
    struct inside i = {.stdin_fd = -1};

    argv_push(&i.words, "one", "", "two words", NULL);
    run(*state, "words", 4096, &i);
    assert_inside(&i, BUILDER_DONE);
    assert_string_equal(buf_str(&i.out), "0:words\n1:one\n2:\n3:two words\n");
    release(&i);
}

static void test_the_context_is_what_it_can_write(void **state)
{
    struct inside i = {.stdin_fd = -1};

    run(*state, "context", 4096, &i);
    assert_inside(&i, BUILDER_DONE);
    if (((const struct machine *)*state)->b->ids.users != JAIL_USERS_HELPERS)
        assert_string_equal(i.made, "inside");
    release(&i);
}

static void test_a_share_is_seen_by_its_name_and_can_be_worked_on(void **state)
{
    const struct machine *m = *state;
    char store[PATH_MAX], path[PATH_MAX + 32];
    const struct builder_share share = {"store", store};
    struct builder_job *job;
    struct inside i = {.stdin_fd = -1};
    const struct process_sink sink = {keep_line, &i};
    const struct builder_io io = {&sink, NULL};
    struct buf text = BUF_INIT(64);
    struct error err = ERROR_INIT;

    i.out = (struct buf)BUF_INIT(4096);
    i.said = (struct buf)BUF_INIT(1 << 20);
    (void)snprintf(store, sizeof(store), "%s/share", m->dir);
    (void)snprintf(path, sizeof(path), "%s/packs", store);
    assert_int_equal(fs_mkdirs(path, 0700, &err), 0);
    (void)snprintf(path, sizeof(path), "%s/packs/ours", store);
    assert_int_equal(fs_write_file(AT_FDCWD, path, "secret", 6, 0600, &err), 0);
    if (geteuid() == 0) /* as jails with another uid_base left it */
        assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(builder_give(m->b, store, &err), 0);
    assert_int_equal(builder_job_begin(m->b, "ws", "inside", &job, &err), 0);
    i.result = builder_run_beside(job, "share", NULL, -1, &share, 1, &i.out, &io, &i.outcome, &err);
    builder_job_end(job);
    assert_inside(&i, BUILDER_DONE);
    (void)snprintf(path, sizeof(path), "%s/packs/made", store);
    assert_int_equal(fs_read_file(AT_FDCWD, path, &text, &err), 0);
    assert_string_equal(buf_str(&text), "inside");
    buf_release(&text);
    release(&i);
}

static void test_output_has_a_ceiling(void **state)
{
    struct inside i = {.stdin_fd = -1};

    run(*state, "flood", 4096, &i);
    assert_int_equal(i.result, -1);
    assert_int_equal(i.err.kind, ERR_LIMIT);
    assert_true(i.out.len <= 4096);
    release(&i);
}

static void test_an_exit_code_is_a_failure_with_its_reason_in_the_sink(void **state)
{
    struct inside i = {.stdin_fd = -1};

    run(*state, "fail", 4096, &i);
    assert_inside(&i, BUILDER_FAILED);
    assert_string_equal(buf_str(&i.said), "entry ../x is not allowed\n");
    release(&i);
}

static void test_a_crash_is_our_fault_and_a_kill_nobodys(void **state)
{
    struct inside crash = {.stdin_fd = -1};
    struct inside killed = {.stdin_fd = -1};

    run(*state, "crash", 4096, &crash);
    assert_int_equal(crash.result, -1);
    assert_int_equal(crash.err.kind, ERR_SYSTEM);
    run(*state, "killed", 4096, &killed);
    assert_int_equal(killed.result, 0);
    assert_int_equal(killed.outcome, BUILDER_KILLED);
    release(&crash);
    release(&killed);
}

static void test_it_can_be_cancelled(void **state)
{
    struct cancel cancel;
    struct error err = ERROR_INIT;
    struct inside i = {.stdin_fd = -1, .cancel = &cancel};

    assert_int_equal(cancel_init(&cancel, &err), 0);
    run(*state, "sleep", 4096, &i);
    assert_inside(&i, BUILDER_CANCELLED);
    cancel_release(&cancel);
    release(&i);
}

static void test_it_has_no_powers_and_no_other_descriptors(void **state)
{
    struct inside i = {.stdin_fd = -1};
    CLEANUP_CLOSE int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec, on purpose */

    assert_true(leak >= 0);
    run(*state, "powers", 4096, &i);
    assert_inside(&i, BUILDER_DONE);
    release(&i);
}

static void test_a_name_that_nobody_has_fails(void **state)
{
    struct inside i = {.stdin_fd = -1};

    run(*state, "nobody", 4096, &i);
    assert_inside(&i, BUILDER_FAILED);
    assert_true(buf_holds(&i.said, "nobody: no such program"));
    release(&i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_goes_through),
        cmocka_unit_test(test_words_arrive_and_the_environment_is_empty),
        cmocka_unit_test(test_the_context_is_what_it_can_write),
        cmocka_unit_test(test_a_share_is_seen_by_its_name_and_can_be_worked_on),
        cmocka_unit_test(test_output_has_a_ceiling),
        cmocka_unit_test(test_an_exit_code_is_a_failure_with_its_reason_in_the_sink),
        cmocka_unit_test(test_a_crash_is_our_fault_and_a_kill_nobodys),
        cmocka_unit_test(test_it_can_be_cancelled),
        cmocka_unit_test(test_it_has_no_powers_and_no_other_descriptors),
        cmocka_unit_test(test_a_name_that_nobody_has_fails),
    };

    builder_jail_main(argc, argv, inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
