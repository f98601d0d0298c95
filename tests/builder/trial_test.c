/* Images that were built are started once: what is told of each way that can go. */
#include "machine.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"

#define LONG  60000 /* ms: for what comes up, on a machine that is busy */
#define SHORT 3000  /* for what does not; longer where it had no time to begin */

struct tried {
    struct attempt built;
    struct buf said; /* "1 line" or "2 line", each with "\n" */
    int result;
    enum builder_outcome outcome;
    struct builder_trial_result r;
    struct error err;
    int fetched;          /* layers that were asked for */
    struct cancel cancel; /* thrown at this line; NULL: never */
    const char *cancel_at;
};

static void on_line(void *self, enum process_stream stream, const char *text, size_t len)
{
    struct tried *t = self;

    buf_addf(&t->said, "%d %.*s\n", (int)stream, (int)len, text);
    if (t->cancel_at && strcmp(text, t->cancel_at) == 0)
        cancel_throw(&t->cancel);
}

/* Where no layer is to be asked for. */
static int fetch_none(void *self, const struct builder_layer *layer, int fd, struct error *err)
{
    struct tried *t = self;

    (void)fd;
    t->fetched++;
    return error_set(err, ERR_REMOTE, "nobody has %s", layer->digest);
}

static void try_built(struct builder_job *job, struct tried *t, uint16_t port, int64_t ms)
{
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct builder_trial trial = {.image = &t->built.image,
                                        .env = &env,
                                        .port = port,
                                        .timeout_ms = ms,
                                        .grace_ms = 1000,
                                        .fetch = fetch_none,
                                        .self = t};
    const struct process_sink sink = {on_line, t};
    const struct builder_io io = {&sink, &t->cancel};

    argv_push(&env, "HOST=0.0.0.0", NULL);
    argv_pushf(&env, "PORT=%u", port);
    t->said = (struct buf)BUF_INIT(1 << 20);
    t->result = builder_try(job, &trial, &io, &t->outcome, &t->r, &t->err);
}

static void try_dockerfile(const struct machine *m, struct tried *t, const char *dockerfile,
                           uint16_t port, int64_t ms)
{
    struct builder_job *job;
    struct error err = ERROR_INIT;

    t->built = (struct attempt){.images = ALPINE, .dockerfile = dockerfile};
    assert_int_equal(cancel_init(&t->cancel, &err), 0);
    assert_int_equal(builder_job_begin(m->b, "ws", "job", &job, &err), 0);
    attempt_run_on(job, &t->built);
    assert_built(&t->built);
    try_built(job, t, port, ms);
    builder_job_end(job);
    assert_int_equal(t->fetched, 0);
}

static void release(struct tried *t)
{
    cancel_release(&t->cancel);
    buf_release(&t->said);
    attempt_release(&t->built);
}

static void fail_trial(const struct tried *t, const char *what)
{
    print_error("%s\n", buf_str(&t->said));
    fail_msg("%s: result %d (%s), outcome %d, end %d, code %d, listens \"%s\"", what, t->result,
             t->err.msg, t->outcome, t->r.end, t->r.code, t->r.listens);
}

static void assert_ended(const struct tried *t, enum builder_trial_end end)
{
    if (t->result < 0 || t->outcome != BUILDER_DONE || t->r.end != end)
        fail_trial(t, "it ended otherwise");
}

static void assert_said(const struct tried *t, const char *line)
{
    if (!buf_holds(&t->said, line))
        fail_trial(t, line);
}

/* The image has to come as far as `far` says before the time is over. */
static void try_silence(const struct machine *m, struct tried *t, const char *dockerfile,
                        bool (*far)(const struct tried *t))
{
    for (int64_t ms = SHORT;; ms *= 3) {
        *t = (struct tried){.fetched = 0};
        try_dockerfile(m, t, dockerfile, 80, ms);
        assert_ended(t, BUILDER_TRIAL_SILENT);
        if (far(t))
            return;
        if (ms > LONG)
            fail_trial(t, "it never came so far");
        release(t);
    }
}

static bool has_spoken(const struct tried *t)
{
    return t->said.len > 0;
}

static bool listens_somewhere(const struct tried *t)
{
    return t->r.listens[0] != '\0';
}

static bool says_too_much(const struct tried *t)
{
    return t->r.left_out > 0;
}

/* Of the image's program; the words are the test's own. */
static void assert_nothing_runs(const char *words)
{
    assert_true(processes_are_gone(words));
}

/* ---- the ways ---- */

static void test_an_image_that_listens_answers(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t,
                   "FROM alpine:3.20\n"
                   "ENV PORT=1 GREETING=hello\n"
                   "WORKDIR /srv/www\n"
                   "RUN echo page >index.html && rm /etc/alpine-release\n"
                   "ENTRYPOINT [\"/bin/sh\", \"-c\"]\n"
                   "CMD [\"echo $GREETING on $HOST $PORT in $PWD; ls /etc/alpine-release; echo "
                   "careful >&2; exec httpd -f -p $PORT\"]\n",
                   80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    assert_said(&t, "1 hello on 0.0.0.0 80 in /srv/www\n");
    assert_said(&t, "2 careful\n");
    assert_said(&t, "No such file"); /* what a layer removed is not there */
    assert_nothing_runs("httpd -f -p 80");
    release(&t);
}

static void test_the_base_alone_is_an_image_too(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\"]\n",
                   8080, LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    release(&t);
}

static void test_an_image_that_never_listens_is_silent(void **state)
{
    struct tried t;

    try_silence(*state, &t, "FROM alpine:3.20\nCMD echo here; sleep 7261\n", has_spoken);
    assert_string_equal(t.r.listens, "");
    assert_said(&t, "1 here\n");
    assert_nothing_runs("sleep 7261");
    release(&t);
}

static void test_an_exit_is_told_with_its_code(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD echo no config >&2; exit 3\n", 80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ENDED);
    assert_int_equal(t.r.code, 3);
    assert_said(&t, "2 no config\n");
    release(&t);
}

static void test_a_crash_is_told_with_its_signal(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD sleep 9 & kill -SEGV $!; wait $!\n", 80,
                   LONG);
    assert_ended(&t, BUILDER_TRIAL_ENDED);
    assert_int_equal(t.r.signal, 11);
    release(&t);
    t = (struct tried){.fetched = 0};
    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD exit 255\n", 80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ENDED);
    assert_int_equal(t.r.signal, 0);
    assert_int_equal(t.r.code, 255);
    release(&t);
}

static void test_another_port_is_named(void **state)
{
    struct tried t;

    try_silence(*state, &t, "FROM alpine:3.20\nCMD exec httpd -f -p 0.0.0.0:3000\n",
                listens_somewhere);
    assert_string_equal(t.r.listens, "0.0.0.0:3000");
    release(&t);
}

static void test_loopback_is_not_every_address(void **state)
{
    struct tried t;

    try_silence(*state, &t, "FROM alpine:3.20\nCMD exec httpd -f -p 127.0.0.1:80\n",
                listens_somewhere);
    assert_string_equal(t.r.listens, "127.0.0.1:80");
    release(&t);
}

/* The shell, which is the first process, has a handler and goes on. */
static void test_what_ignores_sigterm_is_killed(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t,
                   "FROM alpine:3.20\n"
                   "CMD trap 'echo not yet' TERM; httpd -f -p 80 & "
                   "while true; do sleep 0.1; done; : 7262\n",
                   80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    assert_true(t.r.killed);
    assert_said(&t, "1 not yet\n");
    assert_nothing_runs(": 7262");
    release(&t);
}

static void test_what_heeds_sigterm_is_not_killed(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t,
                   "FROM alpine:3.20\n"
                   "CMD trap 'echo bye; exit 0' TERM; httpd -f -p 80 & wait\n",
                   80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    assert_false(t.r.killed);
    assert_said(&t, "1 bye\n");
    release(&t);
}

static void test_endless_output_is_cut_and_does_not_keep_it_from_answering(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD httpd -p 80; exec yes 7263-7263-7263\n", 80,
                   LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    assert_said(&t, "1 7263-7263-7263\n");
    assert_true(t.said.len < 256 << 10);
    assert_nothing_runs("yes 7263");
    release(&t);
    try_silence(*state, &t, "FROM alpine:3.20\nCMD yes 7264-7264-7264\n", says_too_much);
    assert_nothing_runs("yes 7264");
    release(&t);
}

static void test_a_program_that_is_not_there_is_the_users_fault(void **state)
{
    struct tried t = {.fetched = 0};

    try_dockerfile(*state, &t, "FROM alpine:3.20\nENTRYPOINT [\"/srv/missing\"]\n", 80, LONG);
    assert_int_equal(t.result, -1);
    assert_int_equal(t.err.kind, ERR_INPUT);
    assert_non_null(strstr(t.err.msg, "/srv/missing"));
    release(&t);
    t = (struct tried){.fetched = 0};
    try_dockerfile(*state, &t, "FROM scratch\nCOPY . /\n", 80, LONG);
    assert_int_equal(t.result, -1);
    assert_int_equal(t.err.kind, ERR_INPUT);
    assert_non_null(strstr(t.err.msg, "neither an ENTRYPOINT nor a CMD"));
    release(&t);
}

static void test_it_has_no_network_but_its_own_loopback(void **state)
{
    struct machine *m = *state;
    struct tried t = {.fetched = 0};
    char dockerfile[512];
    const char *colon = strrchr(m->address, ':');

    (void)snprintf(dockerfile, sizeof(dockerfile),
                   "FROM alpine:3.20\nCMD nc -w 2 127.0.0.1 %s </dev/null && echo reached; "
                   "ls /sys/class/net; ip route; exec httpd -f -p 80\n",
                   colon + 1);
    try_dockerfile(m, &t, dockerfile, 80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ANSWERED);
    assert_false(buf_holds(&t.said, "reached"));
    assert_false(buf_holds(&t.said, "default"));
    release(&t);
}

static void test_a_cancel_ends_it_at_once(void **state)
{
    struct tried t = {.cancel_at = "ready"};
    const int64_t began = clock_monotonic();

    try_dockerfile(*state, &t, "FROM alpine:3.20\nCMD echo ready; sleep 7265\n", 80, 600000);
    assert_int_equal(t.result, 0);
    assert_int_equal(t.outcome, BUILDER_CANCELLED);
    assert_true(clock_monotonic() - began < 300 * NS_PER_SEC);
    assert_nothing_runs("sleep 7265");
    release(&t);
}

/* Under small limits, where control groups can be made. */
static void try_under_limits(const struct machine *m, enum cgroup_controller needed,
                             const char *dockerfile, enum builder_outcome outcome)
{
    struct machine limited = *m;
    struct tried t = {.fetched = 0};

    if (!m->b->site.parents[needed]) {
        print_message("no limit here: %s\n", m->b->site.why[needed].msg);
        skip();
    }
    limited.config.limits =
        (struct builder_limits){.memory = UINT64_C(256) << 20, .pids = 150, .cpus = 1};
    assert_int_equal(builder_open_as(&limited.config, m->b->ids.users, &limited.b, &t.err), 0);
    try_dockerfile(&limited, &t, dockerfile, 80, LONG);
    if (t.result < 0 || t.outcome != outcome)
        fail_trial(&t, "not the limit that was expected");
    release(&t);
    builder_free(limited.b);
}

static void test_an_image_that_takes_all_memory_is_told_its_limit(void **state)
{
    try_under_limits(*state, CGROUP_MEMORY,
                     "FROM alpine:3.20\nCMD awk 'BEGIN { s = \"x\"; while (1) s = s s }'\n",
                     BUILDER_OUT_OF_MEMORY);
}

static void test_an_image_that_starts_processes_without_end_is_told_its_limit(void **state)
{
    try_under_limits(*state, CGROUP_PIDS, "FROM alpine:3.20\nCMD while :; do sleep 7266 & done\n",
                     BUILDER_TOO_MANY_PROCESSES);
    assert_nothing_runs("sleep 7266");
}

/* As another worker's layers may be: kept in the registry alone. */
struct kept {
    int fd;
    bool spoilt;
};

static int fetch_kept(void *self, const struct builder_layer *layer, int fd, struct error *err)
{
    const struct kept *k = self;
    CLEANUP(buf_release) struct buf blob = BUF_INIT(1 << 20);

    assert_int_equal(lseek(k->fd, 0, SEEK_SET), 0);
    if (fs_read_fd(k->fd, &blob, err) < 0)
        return -1;
    assert_int_equal(blob.len, layer->size);
    if (k->spoilt)
        blob.data[blob.len / 2] ^= 1;
    return fs_write_all(fd, blob.data, blob.len, err);
}

static void try_fetched(struct builder_job *job, struct tried *t, struct kept *kept)
{
    CLEANUP(argv_release) struct argv env = ARGV_INIT;
    const struct builder_trial trial = {.image = &t->built.image,
                                        .env = &env,
                                        .port = 80,
                                        .timeout_ms = LONG,
                                        .fetch = fetch_kept,
                                        .self = kept};
    const struct process_sink sink = {on_line, t};
    const struct builder_io io = {&sink, NULL};

    t->said = (struct buf)BUF_INIT(1 << 20);
    t->result = builder_try(job, &trial, &io, &t->outcome, &t->r, &t->err);
}

static void test_a_layer_that_is_not_here_is_fetched_and_checked(void **state)
{
    struct machine *m = *state;
    struct tried t = {.built = {.images = ALPINE,
                                .dockerfile = "FROM alpine:3.20\nRUN echo far away >/from\n"
                                              "CMD cat /from; exit 4\n"}};
    struct kept kept = {.fd = -1};
    const struct builder_layer *layer;
    struct builder_job *job;
    char path[2 * PATH_MAX];

    assert_int_equal(cancel_init(&t.cancel, &t.err), 0);
    assert_int_equal(builder_job_begin(m->b, "ws", "job", &job, &t.err), 0);
    attempt_run_on(job, &t.built);
    assert_built(&t.built);
    layer = &t.built.image.layers[t.built.image.n_layers - 1];
    assert_int_equal(builder_open_blob(job, layer, &kept.fd, &t.err), 0);
    (void)snprintf(path, sizeof(path), "%s/blobs/%s", job->cache, layer->digest + 7);
    assert_int_equal(unlink(path), 0);

    try_fetched(job, &t, &kept);
    assert_ended(&t, BUILDER_TRIAL_ENDED);
    assert_int_equal(t.r.code, 4);
    assert_said(&t, "1 far away\n");
    buf_release(&t.said);
    kept.spoilt = true;
    try_fetched(job, &t, &kept);
    assert_int_equal(t.result, -1);
    assert_int_equal(t.err.kind, ERR_SYSTEM);
    assert_non_null(strstr(t.err.msg, layer->digest));
    close(kept.fd);
    builder_job_end(job);
    release(&t);
}

/* A second job has nothing of the first one's left. */
static void test_nothing_of_it_stays_on_the_disk(void **state)
{
    struct machine *m = *state;
    struct tried t = {.fetched = 0};
    char path[PATH_MAX];

    try_dockerfile(m, &t, "FROM alpine:3.20\nCMD echo x >/big; exit 0\n", 80, LONG);
    assert_ended(&t, BUILDER_TRIAL_ENDED);
    (void)snprintf(path, sizeof(path), "%s/jobs", m->config.dir);
    assert_int_equal(count_entries(path), 0);
    (void)snprintf(path, sizeof(path), "%s/cache/ws/tmp", m->config.dir);
    assert_int_equal(count_entries(path), 0);
    release(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_image_that_listens_answers),
        cmocka_unit_test(test_the_base_alone_is_an_image_too),
        cmocka_unit_test(test_an_image_that_never_listens_is_silent),
        cmocka_unit_test(test_an_exit_is_told_with_its_code),
        cmocka_unit_test(test_a_crash_is_told_with_its_signal),
        cmocka_unit_test(test_another_port_is_named),
        cmocka_unit_test(test_loopback_is_not_every_address),
        cmocka_unit_test(test_what_ignores_sigterm_is_killed),
        cmocka_unit_test(test_what_heeds_sigterm_is_not_killed),
        cmocka_unit_test(test_endless_output_is_cut_and_does_not_keep_it_from_answering),
        cmocka_unit_test(test_a_program_that_is_not_there_is_the_users_fault),
        cmocka_unit_test(test_it_has_no_network_but_its_own_loopback),
        cmocka_unit_test(test_a_cancel_ends_it_at_once),
        cmocka_unit_test(test_an_image_that_takes_all_memory_is_told_its_limit),
        cmocka_unit_test(test_an_image_that_starts_processes_without_end_is_told_its_limit),
        cmocka_unit_test(test_a_layer_that_is_not_here_is_fetched_and_checked),
        cmocka_unit_test(test_nothing_of_it_stays_on_the_disk),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
