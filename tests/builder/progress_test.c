/* What is read out of buildah's lines; they are copied from buildah 1.28.2. */
#include "machine.h"

#include <signal.h>
#include <string.h>

#include "builder/buildah.h"

static void say(struct progress *p, enum process_stream stream, const char *line)
{
    const struct process_sink sink = progress_sink(p);

    sink.line(sink.self, stream, line, strlen(line));
}

static void test_the_last_step_said_is_where_it_stands(void **state)
{
    static const struct {
        const char *line;
        int stage, step;
        const char *text;
    } cases[] = {
        {"STEP 1/2: FROM alpine:3.20", 0, 1, "FROM alpine:3.20"},
        {"[1/2] STEP 2/12: RUN a && b", 0, 2, "RUN a && b"},
        {"[2/2] STEP 3/3: COPY --from=0 /x /", 1, 3, "COPY --from=0 /x /"},
        {"noeolSTEP 4/5: RUN x", 0, 4, "RUN x"},
        {"noeol[12/13] STEP 4/5: RUN x", 11, 4, "RUN x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct progress p;

        progress_init(&p, NULL);
        say(&p, PROCESS_STDOUT, "STEP 1/9: FROM before");
        say(&p, PROCESS_STDOUT, cases[i].line);
        say(&p, PROCESS_STDOUT, "STEP by step");
        say(&p, PROCESS_STDOUT, "STEP 7: no");
        say(&p, PROCESS_STDERR, "STEP 8/8: not on this stream");
        assert_int_equal(p.stage, cases[i].stage);
        assert_int_equal(p.step, cases[i].step);
        assert_string_equal(p.text, cases[i].text);
    }
}

static void test_a_failed_command_tells_its_exit_code_and_other_failures_none(void **state)
{
    static const struct {
        const char *lines[3];
        int code;
        bool killed;
    } cases[] = {
        {{"subprocess exited with status 42",
          "Error: building at STEP \"RUN printf noeol; exit 42\": exit status 42"},
         42,
         false},
        {{"Error: building at STEP \"RUN echo exit status 3\": exit status 4"}, 4, false},
        {{"subprocess exited on killed", "subprocess exited with status 1",
          "Error: building at STEP \"RUN x\": exit status 1"},
         137,
         true},
        {{"subprocess exited on segmentation fault", "subprocess exited with status 1",
          "Error: building at STEP \"RUN x\": exit status 1"},
         139,
         false},
        {{"Error: building at STEP \"COPY nofile /\": checking on sources under \"/context\": "
          "copier: stat: \"/nofile\": no such file or directory"},
         -1,
         false},
        {{"Error: creating build container: nonexist:1: image not known"}, -1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct builder_failure f;
        struct progress p;

        progress_init(&p, NULL);
        say(&p, PROCESS_STDOUT, "STEP 2/2: RUN x");
        for (size_t n = 0; n < 3 && cases[i].lines[n]; n++)
            say(&p, PROCESS_STDERR, cases[i].lines[n]);
        progress_read_failure(&p, &f);
        assert_int_equal(f.exit_code, cases[i].code);
        assert_int_equal(progress_was_killed(&p), cases[i].killed);
        assert_int_equal(f.step, 2);
    }
}

static void keep(void *self, enum process_stream stream, const char *text, size_t len)
{
    (void)stream;
    buf_clear(self);
    buf_add(self, text, len);
}

static void test_signatures_in_urls_are_not_passed_on(void **state)
{
    struct buf got = BUF_INIT(1000);
    const struct process_sink next = {keep, &got};
    struct progress p;

    (void)state;
    progress_init(&p, &next);
    p.hide_queries = true;
    say(&p, PROCESS_STDERR, "Error: Get \"https://cdn.example/b?X-Sig=s3cr3t&a=b\": EOF");
    assert_string_equal(buf_str(&got), "Error: Get \"https://cdn.example/b?…\": EOF");
    assert_null(strstr(p.fault, "s3cr3t"));
    say(&p, PROCESS_STDERR, "really? yes");
    assert_string_equal(buf_str(&got), "really? yes");
    buf_release(&got);
}

static void test_the_reason_of_a_failed_pull_is_recognised(void **state)
{
    static const struct {
        const char *line;
        enum buildah_fault fault;
    } cases[] = {
        {"Error: initializing source docker://alpine:x: reading manifest x in 127.0.0.1:1/library/"
         "alpine: manifest unknown: manifest unknown",
         BUILDAH_FAULT_ABSENT},
        {"Error: initializing source docker://a/b:latest: reading manifest latest in "
         "docker.io/a/b: "
         "errors:\ndenied: requested access to the resource is denied",
         BUILDAH_FAULT_DENIED},
        {"Error: initializing source docker://x/y:z: unable to retrieve auth token: invalid "
         "username/password: unauthorized: incorrect username or password",
         BUILDAH_FAULT_DENIED},
        {"Error: initializing source docker://alpine:3: pinging container registry 127.0.0.1:5000: "
         "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
         BUILDAH_FAULT_REMOTE},
        {"Error: dial tcp: lookup quay.invalid: Name or service not known", BUILDAH_FAULT_REMOTE},
        {"Error: Source image rejected: Running image docker://a is rejected by policy.",
         BUILDAH_FAULT_REFUSED},
        {"Error: writing blob: no space left on device", BUILDAH_FAULT_OURS},
        {"Error: something else", BUILDAH_FAULT_OURS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct progress p;

        progress_init(&p, NULL);
        say(&p, PROCESS_STDERR, cases[i].line);
        assert_int_equal(buildah_read_fault(&p), cases[i].fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_step_said_is_where_it_stands),
        cmocka_unit_test(test_a_failed_command_tells_its_exit_code_and_other_failures_none),
        cmocka_unit_test(test_signatures_in_urls_are_not_passed_on),
        cmocka_unit_test(test_the_reason_of_a_failed_pull_is_recognised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
